"""A disk of which some ranges read as zeros, whatever it holds there."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from xenimage.formats.base import DiskView, clear, merged, within
from xenimage.model.extent import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from xenimage.model.disk import Disk
    from xenimage.model.extent import Extent


class Blanked(DiskView):
    """See :class:`xenimage.model.disk.Disk`: *disk*, with zeros in the given ranges; also where it has a parent.

    :param starts: bytes, ascending.
    :param stops: the ends of the same ranges: none touches another. They may lie behind the end of the disk.
    """

    def __init__(self, disk: Disk, starts: Sequence[int], stops: Sequence[int]) -> None:
        super().__init__(disk)
        self._starts = starts
        self._stops = stops

    def _blank(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Yield what the ranges have in common with [start, stop)."""
        at = bisect_right(self._stops, start)
        while at < len(self._starts) and self._starts[at] < stop:
            yield max(self._starts[at], start), min(self._stops[at], stop)
            at += 1

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """See :meth:`xenimage.model.disk.Disk.read_into`."""
        within(self.facts.virtual_size, offset, len(buffer))
        blank = list(self._blank(offset, offset + len(buffer)))
        # What is blank at either end is not read at all.
        start, stop = offset, offset + len(buffer)
        if blank and blank[0][0] == start:
            start = blank[0][1]
        if blank and blank[-1][1] == stop:
            stop = max(start, blank[-1][0])
        if start < stop:
            self._disk.read_into(start, buffer[start - offset : stop - offset])
        for first, last in blank:
            clear(buffer[first - offset : last - offset])

    def extents(self, offset: int, length: int) -> Iterator[Extent]:
        """See :meth:`xenimage.model.disk.Disk.extents`."""
        within(self.facts.virtual_size, offset, length)
        return merged(self._ranges(offset, length))

    def _ranges(self, offset: int, length: int) -> Iterator[tuple[int, int, Kind]]:
        for extent in self._disk.extents(offset, length):
            at = extent.offset
            for start, stop in self._blank(extent.offset, extent.end):
                if at < start:
                    yield at, start - at, extent.kind
                yield start, stop - start, Kind.ZERO
                at = stop
            if at < extent.end:
                yield at, extent.end - at, extent.kind
