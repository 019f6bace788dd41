"""A bundle: one gzip member around one tar stream of VHDs, written in one pass.

The heads of tar member and VHD tell which blocks follow, but stand in front of them. On a sink that can seek they are
left out first and patched in at the end; on a pipe the caller must know the blocks beforehand. The bytes are the same.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Protocol

from xenimage.formats.vhd.writer import GAP
from xenimage.streams import deflate, tar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xenimage.formats.vhd.writer import NewVhd
    from xenimage.streams.deflate import Bytes, Deflater, Segment


class Sink(Protocol):
    """Where a bundle goes: see :class:`xenimage.sinks.file.FileSink`."""

    @property
    def name(self) -> str:
        """What messages call it."""

    @property
    def size(self) -> int:
        """Bytes written and skipped so far."""

    @property
    def seekable(self) -> bool:
        """Whether :meth:`skip` and :meth:`patch` work."""

    def write(self, parts: Sequence[Bytes]) -> None:
        """Put bytes behind what was written."""

    def skip(self, length: int) -> None:
        """Leave *length* bytes out."""

    def patch(self, offset: int, data: bytes) -> None:
        """Fill in what was left out at *offset*."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Known:
    """What a VHD's head tells, where it is known before the blocks are written."""

    uuid: bytes
    blocks: Sequence[int]
    """numbers of the stored blocks, ascending"""


@dataclasses.dataclass(slots=True)
class _Sum:
    """CRC-32 and length of a part of the plain stream."""

    crc: int = 0
    length: int = 0

    def add(self, part: Segment | _Sum) -> None:
        self.crc = deflate.crc32_combine(self.crc, part.crc, part.length)
        self.length += part.length


class BundleWriter:
    """Writes members one after the other: :meth:`start`, :meth:`add` for each block, :meth:`end`; then :meth:`finish`.

    :param mtime: of the members, Unix seconds.
    """

    def __init__(self, sink: Sink, deflater: Deflater, mtime: int) -> None:
        self._sink = sink
        self._deflater = deflater
        self._mtime = mtime
        self._gap = deflater.segment(bytes(GAP))
        self._total = _Sum()
        sink.write([deflate.HEADER])

    def start(self, name: str, vhd: NewVhd, known: Known | None = None) -> None:
        """Begin a member. Without *known* its head is left out for now: the sink must be able to seek."""
        self._name = name
        self._vhd = vhd
        self._blocks: list[int] = []
        self._body = _Sum()
        self._head_at = None if known else self._sink.size
        if known is None:
            self._sink.skip(deflate.stored_size(tar.BLOCK + vhd.head_size))
        else:
            head = self._head(known.uuid, known.blocks)
            self._sink.write(head.parts)
            self._total.add(head)

    def add(self, block: int, segment: Segment) -> None:
        """Put the bitmap and data of a block, deflated as one, behind what was written. Blocks come ascending."""
        if self._blocks:
            before = self._gap
        else:
            before = self._deflater.segment(bytes(self._vhd.first_block - self._vhd.head_size))
        self._put(before, segment)
        self._blocks.append(block)

    def end(self, uuid: bytes) -> int:
        """Write the footer, fill in the head if it was left out, and tell the VHD's size in bytes."""
        size = self._vhd.size(len(self._blocks))
        self._put(self._deflater.segment(self._vhd.footer(uuid)))
        if self._head_at is not None:
            head = self._head(uuid, self._blocks)
            self._sink.patch(self._head_at, b"".join(head.parts))
            self._total.add(head)
        self._total.add(self._body)
        return size

    def finish(self) -> None:
        """End the tar stream and the gzip member."""
        ending = self._deflater.segment(tar.ending(self._total.length))
        self._total.add(ending)
        self._sink.write([*ending.parts, deflate.FINAL, deflate.trailer(self._total.crc, self._total.length)])

    def _head(self, uuid: bytes, blocks: Sequence[int]) -> Segment:
        header = tar.header(self._name, self._vhd.size(len(blocks)), self._mtime)
        return deflate.stored_segment(header + self._vhd.head(uuid, blocks))

    def _put(self, *segments: Segment) -> None:
        self._sink.write([part for segment in segments for part in segment.parts])
        for segment in segments:
            self._body.add(segment)


def size_bound(vhd: NewVhd, blocks: int) -> int:
    """Bytes that a bundle of one VHD with *blocks* stored blocks takes at most."""
    block = deflate.segment_bound(vhd.size(2) - vhd.size(1)) + deflate.segment_bound(GAP)
    head = deflate.stored_size(tar.BLOCK + vhd.head_size) + deflate.segment_bound(tar.RECORD)
    ends = len(deflate.HEADER) + len(deflate.FINAL) + 8 + deflate.segment_bound(2 * tar.RECORD)
    return head + blocks * block + ends
