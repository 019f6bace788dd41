"""How much of a disk is stored, and whereabouts."""

from __future__ import annotations

import ddt

from tests.base import TestCase
from tests.unit.engine.support import FakeDisk
from xenimage.engine.usage import CELLS, measure
from xenimage.limits import STRICT

SIZE = CELLS * 4096


@ddt.ddt
class UsageTest(TestCase):
    @ddt.data(
        ((), 0, {}),
        (((0, SIZE),), SIZE, dict.fromkeys(range(CELLS), 100)),
        (((0, 1),), 1, {0: 1}),
        (((4095, 2),), 2, {0: 1, 1: 1}),
        (((8192, 2048),), 2048, {2: 50}),
        (((8192, 1024), (10240, 1024)), 2048, {2: 50}),
        (((SIZE - 4096, 4096),), 4096, {CELLS - 1: 100}),
        (((2048, 3 * 4096),), 3 * 4096, {0: 50, 1: 100, 2: 100, 3: 50}),
    )
    @ddt.unpack
    def test_each_part(self, data: tuple[tuple[int, int], ...], total: int, cells: dict[int, int]) -> None:
        disk = FakeDisk(SIZE, {start: bytes(length) for start, length in data})
        found = measure(disk, "a", STRICT)
        self.assertEqual(("a", SIZE, total), (found.path, found.size, found.data))
        self.assertEqual(cells, {number: share for number, share in enumerate(found.cells) if share})
        self.assertEqual(CELLS, len(found.cells))

    @ddt.data(512, 1000003)
    def test_sizes_that_do_not_divide(self, size: int) -> None:
        found = measure(FakeDisk(size, {0: bytes(size)}), "a", STRICT)
        self.assertEqual((size, {100}), (found.data, set(found.cells)))
