"""A bundle: one gzip member around one tar stream of VHDs, written in one pass.

The heads of tar member and VHD tell which blocks follow, but stand in front of them; and a child's head names its
parent, which follows it in the stream. On a sink that can seek, heads and footers are left out first and patched in at
the end; on a pipe the caller must know the blocks beforehand. The bytes are the same.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Protocol

from xenimage.exceptions import TransferError
from xenimage.formats.vhd.layout import FOOTER_SIZE
from xenimage.formats.vhd.writer import GAP
from xenimage.streams import deflate, tar

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

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
    """What head and footer of a VHD tell, where it is known before the blocks are written."""

    uuid: bytes
    parent_uuid: bytes = bytes(16)
    blocks: Sequence[int]
    """numbers of the stored blocks, ascending"""
    partial: Collection[int] = ()
    """those of them whose bitmap is not all ones"""


@dataclasses.dataclass(slots=True)
class _Sum:
    """CRC-32 and length of a part of the plain stream."""

    crc: int = 0
    length: int = 0

    def add(self, part: Segment | _Sum) -> None:
        self.crc = deflate.crc32_combine(self.crc, part.crc, part.length)
        self.length += part.length


@dataclasses.dataclass(kw_only=True)
class _Member:
    """A VHD in the bundle, as far as it was written."""

    name: str
    vhd: NewVhd
    known: Known | None
    blocks: list[int] = dataclasses.field(default_factory=list)
    partial: list[int] = dataclasses.field(default_factory=list)
    head_at: int = 0
    """where its tar header and head stand in the bundle"""
    footer_at: int = 0
    body: _Sum = dataclasses.field(default_factory=_Sum)
    """of what stands between head and footer"""

    def head(self, known: Known, mtime: int) -> Segment:
        size = self.vhd.size(len(known.blocks))
        head = self.vhd.head(known.uuid, known.blocks, partial=known.partial, parent_uuid=known.parent_uuid)
        return deflate.stored_segment(tar.header(self.name, size, mtime) + head)

    def footer(self, uuid: bytes) -> Segment:
        return deflate.stored_segment(self.vhd.footer(uuid))


class BundleWriter:
    """Writes members one after the other: :meth:`start`, :meth:`add` for each block, :meth:`end`; then :meth:`finish`.

    :param mtime: of the members, Unix seconds.
    """

    def __init__(self, sink: Sink, deflater: Deflater, mtime: int) -> None:
        self._sink = sink
        self._deflater = deflater
        self._mtime = mtime
        self._gap = deflater.segment(bytes(GAP))
        self._members: list[_Member] = []
        sink.write([deflate.HEADER])

    def start(self, name: str, vhd: NewVhd, known: Known | None = None) -> None:
        """Begin a member. Without *known* head and footer are left out for now: the sink must be able to seek."""
        member = _Member(name=name, vhd=vhd, known=known, head_at=self._sink.size)
        self._members.append(member)
        if known is None:
            self._sink.skip(deflate.stored_size(tar.BLOCK + vhd.head_size))
        else:
            self._sink.write(member.head(known, self._mtime).parts)

    def add(self, block: int, segment: Segment, *, full: bool = True) -> None:
        """Put the bitmap and data of a block, deflated as one, behind what was written. Blocks come ascending.

        :param full: whether the bitmap is all ones.
        """
        member = self._members[-1]
        gap = self._gap
        if not member.blocks:
            gap = self._deflater.segment(bytes(member.vhd.first_block - member.vhd.head_size))
        self._sink.write([*gap.parts, *segment.parts])
        member.body.add(gap)
        member.body.add(segment)
        member.blocks.append(block)
        if not full:
            member.partial.append(block)

    def end(self) -> int:
        """End the member, but for what was left out, and tell the VHD's size in bytes.

        :raises TransferError: other blocks came than were known before: the head that was written tells lies.
        """
        member = self._members[-1]
        if member.known is not None and (member.blocks, member.partial) != (
            list(member.known.blocks),
            list(member.known.partial),
        ):
            raise TransferError("the source changed while it was read", expected="the same bytes twice")
        member.footer_at = self._sink.size
        if member.known is None:
            self._sink.skip(deflate.stored_size(FOOTER_SIZE))
        else:
            self._sink.write(member.footer(member.known.uuid).parts)
        return member.vhd.size(len(member.blocks))

    def finish(self, uuids: Sequence[bytes]) -> None:
        """Fill in what was left out; end the tar stream and the gzip member.

        :param uuids: of the members, each of which is the child of the next.
        """
        total = _Sum()
        for member, uuid, parent_uuid in zip(self._members, uuids, (*uuids[1:], bytes(16)), strict=True):
            known = Known(uuid=uuid, parent_uuid=parent_uuid, blocks=member.blocks, partial=member.partial)
            head, footer = member.head(known, self._mtime), member.footer(uuid)
            if member.known is None:
                self._sink.patch(member.head_at, b"".join(head.parts))
                self._sink.patch(member.footer_at, b"".join(footer.parts))
            for part in (head, member.body, footer):
                total.add(part)
        ending = self._deflater.segment(tar.ending(total.length))
        total.add(ending)
        self._sink.write([*ending.parts, deflate.FINAL, deflate.trailer(total.crc, total.length)])


def size_bound(members: Iterable[tuple[NewVhd, int]]) -> int:
    """Bytes that a bundle takes at most.

    :param members: its VHDs, each with the number of its stored blocks.
    """
    ends = len(deflate.HEADER) + len(deflate.FINAL) + 8 + deflate.segment_bound(2 * tar.RECORD)
    return ends + sum(_member_bound(vhd, blocks) for vhd, blocks in members)


def _member_bound(vhd: NewVhd, blocks: int) -> int:
    block = deflate.segment_bound(vhd.size(2) - vhd.size(1)) + deflate.segment_bound(GAP)
    head = deflate.stored_size(tar.BLOCK + vhd.head_size) + deflate.segment_bound(tar.RECORD)
    return head + blocks * block + deflate.stored_size(FOOTER_SIZE)
