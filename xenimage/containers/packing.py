"""What a tar lies in: a plain file, or one that is packed as a whole with gzip, zstd or xz, and read as it is."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from xenimage.containers.archive import Ahead
from xenimage.sources.slice import SliceSource
from xenimage.streams.gunzip import MAGIC, GunzipSource
from xenimage.streams.seekpoints import SeekPoints
from xenimage.streams.unpacked import UnpackedSource, packed_kind
from xenimage.units import GIB, KIB, MIB

if TYPE_CHECKING:
    from xenimage.containers.archive import Stream
    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource

_PASSES = 4
"""over packed content, each for some of the members: those who read several at once do not send each other back"""

_KEPT = 64 * KIB
"""bytes of each end of a member that are kept as they pass: disks are opened by going to and fro between the two"""
_ROOM = 16 * MIB
"""bytes that are kept of all members"""
_LITTLE = GIB
"""bytes that are unpacked in seconds, however small the file is"""


class Content:
    """The bytes of a tar, at any place, and ranges of them.

    Of gzip, places to go back to are kept, in at most 40 MiB. What is packed otherwise is begun again by a read that
    goes far back: correct, and slow. Both ends of each member are kept, in at most 16 MiB.

    :param source: closed with it.
    """

    def __init__(self, source: ByteSource, limits: Limits) -> None:
        self._source = source
        self._limits = limits
        self._packed: GunzipSource | UnpackedSource | None = None
        self.stream: Stream
        self.compression = "gzip" if source.read(0, min(2, source.size)) == MAGIC else packed_kind(source)
        """``gzip``, ``zstd``, ``xz``; empty for a plain file"""
        if self.compression == "gzip":
            self.stream = self._packed = GunzipSource(source, limits, points=SeekPoints())
        elif self.compression:
            self.stream = self._packed = UnpackedSource(source, self.compression, limits)
        else:
            self.stream = Ahead(source)
        self._ends: dict[tuple[int, int], tuple[bytes, bytes]] = {}
        self._room = _ROOM
        self._others: list[ByteSource] = []
        self._turns = itertools.count()

    def reaches(self, end: int) -> bool:
        """Whether there are *end* bytes at least. Packed content is unpacked up to there.

        :raises LimitError: that would take too long for what is packed.
        """
        if self._packed is None:
            return end <= self._source.size
        self._require_little(end)
        return end <= 0 or bool(self._packed.read_some(end - 1, 1))

    def passes(self, offset: int, size: int) -> bool:
        """Whether the member of *size* bytes at *offset* is all there. Of packed content its two ends are kept.

        :raises LimitError: unpacking it would take too long for what is packed.
        """
        if self._packed is None or not size:
            return self.reaches(offset + size)
        self._require_little(offset + size)
        length = min(size, _KEPT, max(1, self._room // 2))
        head = self._packed.read_some(offset, length)
        tail = self._packed.read_some(offset + size - length, length)
        if self._room >= 2 * length:
            self._ends[offset, size] = (head, tail)
            self._room -= 2 * length
        return len(tail) == length

    def _require_little(self, end: int) -> None:
        if end > _LITTLE:
            ratio = -(-end // max(1, self._source.size))
            self._limits.require("inflation", ratio, "the number of bytes that one packed byte stands for")

    def finish(self) -> int:
        """Go to the end, which proves the sums of the packing, and return the number of bytes of the content.

        :raises FormatError: packed content is damaged or cut short.
        """
        if self._packed is None:
            return self._source.size
        self._packed.scan()
        return self._packed.size

    @property
    def trailing(self) -> bool:
        """Whether something follows the packed stream that is no padding; known after :meth:`finish`."""
        return self._packed is not None and self._packed.trailing > 0

    def range(self, offset: int, size: int, name: str) -> SliceSource:
        """*size* bytes from *offset* on, for a reader of their own. Call :meth:`finish` before."""
        head, tail = self._ends.get((offset, size), (b"", b""))
        return _Ended(self._next_pass(), offset, size, name, head=head, tail=tail)

    def _next_pass(self) -> ByteSource:
        if self._packed is None:
            return self._source
        turn = next(self._turns) % _PASSES
        if turn == len(self._others):
            self._others.append(self._packed.again())
        return self._others[turn]

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._source.close()


class _Ended(SliceSource):
    """A member whose *head* and *tail* are at hand: what lies within one of them is not read again."""

    def __init__(self, source: ByteSource, offset: int, size: int, name: str, *, head: bytes, tail: bytes) -> None:
        super().__init__(source, offset, size, name)
        self._head = head
        self._tail = tail

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """See :meth:`xenimage.model.disk.ByteSource.read_into`."""
        end, behind = offset + len(buffer), self.size - len(self._tail)
        if offset >= 0 and end <= len(self._head):
            buffer[:] = self._head[offset:end]
        elif behind <= offset and end <= self.size:
            buffer[:] = self._tail[offset - behind : end - behind]
        else:
            super().read_into(offset, buffer)
