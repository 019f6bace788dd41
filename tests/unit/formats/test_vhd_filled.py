"""Where a file holds data, as the walk over its blocks asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ddt

from tests.base import TestCase
from tests.builders.vhd import MemorySource
from xenimage.formats.vhd.checks.filled import Filled

if TYPE_CHECKING:
    from collections.abc import Iterator


class HoledSource(MemorySource):
    """A source that knows where it holds data."""

    def __init__(self, size: int, ranges: tuple[tuple[int, int], ...], content: bytes = b"\1") -> None:
        data = bytearray(size)
        for start, stop in ranges:
            data[start:stop] = content * (stop - start)
        super().__init__(data)
        self.ranges = ranges

    def data(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        for start, stop in self.ranges:
            low, high = max(start, offset), min(stop, offset + length)
            if low < high:
                yield low, high - low


@ddt.ddt
class FilledTest(TestCase):
    def test_any(self) -> None:
        filled = Filled(HoledSource(100, ((10, 20), (30, 31), (60, 90))), 5, 95)
        asked = [(5, 10), (5, 11), (19, 25), (20, 30), (20, 31), (31, 60), (40, 95), (90, 95)]
        self.assertEqual([False, True, True, False, True, False, True, False], [filled.any(*each) for each in asked])

    @ddt.data(
        (((0, 40),), (40, 1)),
        (((0, 40), (60, 100)), (100, 2)),
        ((), (0, 0)),
        (((0, 100),), (100, 1)),
        (((0, 10), (20, 40)), (40, 2)),
    )
    @ddt.unpack
    def test_hole_at_end(self, ranges: tuple[tuple[int, int], ...], expected: tuple[int, int]) -> None:
        self.assertEqual(expected, Filled(HoledSource(100, ranges), 0, 100).hole_at_end())

    def test_zeros_in_front_of_the_end_belong_to_the_hole(self) -> None:
        source = HoledSource(100, ((0, 40), (60, 100)), b"\0")
        self.assertEqual((40, 1), Filled(source, 0, 100).hole_at_end())
