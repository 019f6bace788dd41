"""What a tar lies in: a plain file, or one that is packed as a whole with gzip, zstd or xz, and read as it is."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from xenimage.containers.archive import Ahead
from xenimage.sources.slice import SliceSource
from xenimage.streams.gunzip import MAGIC, GunzipSource
from xenimage.streams.seekpoints import SeekPoints
from xenimage.streams.unpacked import UnpackedSource, packed_kind
from xenimage.units import GIB

if TYPE_CHECKING:
    from xenimage.containers.archive import Stream
    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource

_PASSES = 4
"""over packed content, each for some of the members: those who read several at once do not send each other back"""

_LITTLE = GIB
"""bytes that are unpacked in seconds, however small the file is"""


class Content:
    """The bytes of a tar, at any place, and ranges of them.

    Of gzip, places to go back to are kept, in at most 40 MiB. What is packed otherwise is begun again by a read that
    goes far back: correct, and slow.

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
        self._others: list[ByteSource] = []
        self._turns = itertools.count()

    def reaches(self, end: int) -> bool:
        """Whether there are *end* bytes at least. Packed content is unpacked up to there.

        :raises LimitError: that would take too long for what is packed.
        """
        if self._packed is None:
            return end <= self._source.size
        if end > _LITTLE:
            ratio = -(-end // max(1, self._source.size))
            self._limits.require("inflation", ratio, "the number of bytes that one packed byte stands for")
        return end <= 0 or bool(self._packed.read_some(end - 1, 1))

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
        return SliceSource(self._next_pass(), offset, size, name)

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
