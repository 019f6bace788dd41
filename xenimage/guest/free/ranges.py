"""Ranges of a volume or a disk, ordered and apart, in arrays of numbers; and those of the clear bits of a bitmap."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_CLEAR = re.compile("0+")


class Ranges:
    """Ranges (start, behind the end), added in ascending order; touching ones become one.

    :param most: how many are kept: where there are more, the smallest are given up.
    """

    def __init__(self, most: int) -> None:
        self.starts = array("Q")
        self.stops = array("Q")
        self._most = most
        self._least = 1

    def __len__(self) -> int:
        return len(self.starts)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self.starts, self.stops, strict=True)

    @property
    def size(self) -> int:
        """The sum of their lengths."""
        return sum(self.stops) - sum(self.starts)

    def add(self, start: int, stop: int) -> None:
        """Add a range that begins at or behind the end of the last one. An empty one is none."""
        if self.stops and start == self.stops[-1]:
            self.stops[-1] = stop
        elif start < stop:
            if len(self.starts) >= self._most:
                self._thin()
            if stop - start >= self._least:
                self.starts.append(start)
                self.stops.append(stop)

    def _thin(self) -> None:
        """Give up the smaller half, and from now on what is not larger than that."""
        lengths = sorted(stop - start for start, stop in self)
        middle = lengths[len(lengths) // 2] if lengths else 1 << 64
        room = len(lengths) // 2 - sum(length > middle for length in lengths)
        starts, stops = array("Q"), array("Q")
        for start, stop in self:
            if stop - start < middle or (stop - start == middle and room <= 0):
                continue
            room -= stop - start == middle
            starts.append(start)
            stops.append(stop)
        self.starts, self.stops, self._least = starts, stops, middle + 1

    def touching(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Yield what the ranges have in common with [start, stop)."""
        at = bisect_right(self.stops, start)
        while at < len(self.starts) and self.starts[at] < stop:
            yield max(self.starts[at], start), min(self.stops[at], stop)
            at += 1

    def outside(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Yield what of [start, stop) lies in none of the ranges."""
        for first, last in self.touching(start, stop):
            if start < first:
                yield start, first
            start = last
        if start < stop:
            yield start, stop


def clear_runs(bitmap: bytes, bits: int) -> Iterator[tuple[int, int]]:
    """Yield the (first, behind the last) clear ones of the first *bits* bits; the lowest bit of a byte is its first."""
    number = int.from_bytes(bitmap, "little") & (1 << bits) - 1
    if not number:
        if bits:
            yield 0, bits
    elif number != (1 << bits) - 1:
        text = f"{number:0{bits}b}"[::-1]
        for match in _CLEAR.finditer(text):
            yield match.span()


def set_runs(bitmap: bytes, bits: int) -> Iterator[tuple[int, int]]:
    """Yield the (first, behind the last) set ones of the first *bits* bits."""
    every = (1 << 8 * len(bitmap)) - 1
    return clear_runs((int.from_bytes(bitmap, "little") ^ every).to_bytes(len(bitmap), "little"), bits)


def clear_count(bitmap: bytes, bits: int) -> int:
    """How many of the first *bits* bits are clear."""
    return bits - (int.from_bytes(bitmap, "little") & (1 << bits) - 1).bit_count()
