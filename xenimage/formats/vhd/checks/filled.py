"""Where the file of a VHD holds data, asked block by block: what lies in a hole is zeros and need not be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.units import KIB

if TYPE_CHECKING:
    from xenimage.model.disk import ByteSource

TAIL = 128 * KIB
"""the largest unit in which a file system gives out room: a footer keeps as much in front of it from being a hole"""


class Filled:
    """Goes once over a source's ranges of data. Questions come in ascending order."""

    def __init__(self, source: ByteSource, start: int, end: int) -> None:
        self._source = source
        self._ranges = source.data(start, end - start)
        self._end = end
        self._last = self._before = (start, start)
        self.count = 0
        """ranges that were passed; the first is whole where its start is that of the questions"""
        self._done = False

    def _next(self) -> bool:
        found = next(self._ranges, None)
        if found is None:
            self._done = True
            return False
        self.count += 1
        self._before, self._last = self._last, (found[0], found[0] + found[1])
        return True

    def any(self, start: int, end: int) -> bool:
        """Whether there is data between *start* and *end*, bytes."""
        while self._last[1] <= start and not self._done:
            self._next()
        return self._last[0] < end and start < self._last[1]

    def hole_at_end(self) -> tuple[int, int]:
        """Where the hole begins that reaches up to the end, and how many ranges stand before it; the end if none does.

        Zeros that share the last unit of the file system with what follows count as part of it.
        """
        while not self._done:
            self._next()
        if self.count == 0:
            return self._before[0], 0
        start, stop = self._last
        if stop < self._end:
            return stop, self.count
        tail = self._end - start
        if self.count == 1 or tail > TAIL or any(self._source.read(start, tail)):
            return self._end, self.count
        return self._before[1], self.count - 1
