"""Which blocks may hold data, and images that promise more than they can hold."""

from __future__ import annotations

import dataclasses

import ddt

from tests.base import TestCase
from tests.unit.engine.support import BLOCK, MIB, FakeDisk
from xenimage.engine.mapper import map_blocks
from xenimage.exceptions import LimitError
from xenimage.limits import STRICT
from xenimage.model.extent import Extent, Kind


@ddt.ddt
class MapTest(TestCase):
    @ddt.data(
        ((), ()),
        (((0, 1),), ((0, 1),)),
        (((BLOCK - 1, 1),), ((0, 1),)),
        (((BLOCK - 1, 2),), ((0, 2),)),
        (((BLOCK, 512), (BLOCK + 1024, 512)), ((1, 2),)),
        (((0, 512), (3 * BLOCK, BLOCK)), ((0, 1), (3, 4))),
        (((0, 512), (BLOCK, 512), (5 * BLOCK, 1)), ((0, 2), (5, 6))),
        (((10 * BLOCK, 700),), ((10, 11),)),
        (((0, 10 * BLOCK + 700),), ((0, 11),)),
    )
    @ddt.unpack
    def test_ranges(self, data, ranges):
        disk = FakeDisk(10 * BLOCK + 700, {start: bytes(length) for start, length in data})
        found = map_blocks(disk, STRICT)
        self.assertEqual(ranges, found.ranges)
        self.assertEqual(sum(stop - first for first, stop in ranges), found.blocks)
        self.assertEqual(sum(length for _, length in data), found.data_size)
        self.assertEqual([], disk.offsets, "data was read")

    def test_plain_data_cannot_be_larger_than_what_is_stored(self):
        disk = FakeDisk(100 * MIB, {0: bytes(5 * MIB)}, stored_size=2 * MIB)
        with self.assertRaises(LimitError) as caught:
            map_blocks(disk, STRICT)
        self.assertEqual(
            f"the image's tables promise more than {4 * MIB} bytes of data,"
            f" expected at most that much in {2 * MIB} stored bytes (limit expansion)",
            str(caught.exception),
        )
        self.assertEqual(5, caught.exception.exit_code)
        self.assertEqual(
            4 * MIB, map_blocks(FakeDisk(100 * MIB, {0: bytes(4 * MIB)}, stored_size=2 * MIB), STRICT).data_size
        )

    def test_the_walk_over_ranges_is_bounded(self):
        disk = FakeDisk(100 * MIB, {start * MIB: b"x" for start in range(10)})
        self.assertEqual(10, map_blocks(disk, dataclasses.replace(STRICT, ranges=20)).data_size)
        with self.assertRaisesRegex(LimitError, r"the number of ranges so far is 20, expected at most 19"):
            map_blocks(disk, dataclasses.replace(STRICT, ranges=19))

    @ddt.data(1, 1100)
    def test_deflated_data_is_bounded_by_the_limit(self, expansion):
        limits = dataclasses.replace(STRICT, expansion=expansion)
        good = FakeDisk(100 * MIB, {0: bytes(expansion * 4096)}, stored_size=4096, compressed=True)
        self.assertEqual(expansion * 4096, map_blocks(good, limits).data_size)
        bad = FakeDisk(100 * MIB, {0: bytes(expansion * 4096 + 1)}, stored_size=4096, compressed=True)
        with self.assertRaisesRegex(LimitError, "limit expansion"):
            map_blocks(bad, limits)

    @ddt.data(None, 80 << 20)
    def test_much_deflated_data_is_bounded_by_the_bytes_that_are_there(self, occupied):
        def made(size):
            facts = {"stored_size": 80 << 20 if occupied is None else 1 << 40, "occupied": occupied, "compressed": True}
            disk = FakeDisk(8 << 30, {}, **facts)
            disk.extents = lambda *_: iter([Extent(0, size, Kind.DATA)])
            return disk

        self.assertEqual(64 * (80 << 20), map_blocks(made(64 * (80 << 20)), STRICT).data_size)
        with self.assertRaisesRegex(LimitError, "limit inflation"):
            map_blocks(made(64 * (80 << 20) + 1), STRICT)
        # So little data that nobody cares what it is made of.
        self.assertEqual(4 << 30, map_blocks(made(4 << 30), dataclasses.replace(STRICT, inflation=1)).data_size)

    def test_a_bomb_is_refused_before_its_tables_are_read_to_the_end(self):
        class Bomb(FakeDisk):
            seen = 0

            def _ranges(self, offset, end):
                for start in range(offset, end, 2 * MIB):
                    self.seen += 1
                    yield from super()._ranges(start, start + 2 * MIB)

        disk = Bomb(4096 * MIB, dict.fromkeys(range(0, 400 * MIB, 2 * MIB), b"x" * MIB), stored_size=MIB)
        with self.assertRaises(LimitError):
            map_blocks(disk, STRICT)
        self.assertLess(disk.seen, 10)
