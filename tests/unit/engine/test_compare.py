"""Two disks are equal if a guest cannot tell them apart."""

from __future__ import annotations

import ddt

from tests.base import TestCase
from tests.unit.engine.support import BLOCK, FakeDisk, Watcher
from xenimage.engine.compare import compare, first_difference
from xenimage.limits import STRICT

SIZE = 6 * BLOCK


@ddt.ddt
class CompareTest(TestCase):
    def compare(self, first, second):
        self.watcher = Watcher()
        found = compare(first, second, STRICT, self.watcher)
        self.assertTrue(self.watcher.stages[0][3])
        self.assertEqual(found.compared, self.watcher.stages[0][2])
        return found

    def test_equal_though_stored_differently(self):
        first = FakeDisk(SIZE, {0: bytes(BLOCK), BLOCK: b"abc", 5 * BLOCK + 7: b"x"})
        second = FakeDisk(SIZE, {BLOCK: b"a", BLOCK + 1: b"bc\0", 5 * BLOCK: b"\0" * 7 + b"x"})
        found = self.compare(first, second)
        self.assertTrue(found.equal)
        self.assertIsNone(found.first_difference)
        self.assertEqual(((SIZE, SIZE), 3 * BLOCK), (found.sizes, found.compared))

    @ddt.data(0, 1, 511, BLOCK - 1, BLOCK, 3 * BLOCK + 12_345, SIZE - 1)
    def test_finds_the_first_byte_that_differs(self, place):
        base = {0: b"same", 4 * BLOCK: b"same too"}
        other = FakeDisk(SIZE, {**base, place: b"!", SIZE - 1: b"!"})
        for pair in ((FakeDisk(SIZE, base), other), (other, FakeDisk(SIZE, base))):
            found = self.compare(*pair)
            self.assertFalse(found.equal)
            self.assertEqual(place, found.first_difference)

    def test_behind_the_end_of_the_shorter_zeros_are_equal(self):
        short = FakeDisk(BLOCK + 512, {0: b"abc"})
        self.assertTrue(self.compare(short, FakeDisk(SIZE, {0: b"abc", 3 * BLOCK: bytes(9)})).equal)
        found = self.compare(FakeDisk(SIZE, {0: b"abc", BLOCK + 512: b"x"}), short)
        self.assertEqual((BLOCK + 512, (SIZE, BLOCK + 512)), (found.first_difference, found.sizes))

    def test_reads_nothing_where_both_have_no_data(self):
        disks = FakeDisk(1000 * BLOCK, {0: b"a"}), FakeDisk(900 * BLOCK, {0: b"a", 800 * BLOCK: b"\0"})
        self.assertTrue(self.compare(*disks).equal)
        self.assertEqual([0, 800 * BLOCK], disks[0].offsets)
        self.assertEqual([0, 800 * BLOCK], disks[1].offsets)

    def test_stops_at_the_first_difference(self):
        disks = [FakeDisk(SIZE, {number * BLOCK: fill for number in range(6)}) for fill in (b"a", b"b")]
        self.assertEqual(BLOCK, self.compare(*disks).compared)

    def test_ascending_as_sequential_disks_want_it(self):
        disks = [FakeDisk(SIZE, {number * BLOCK: b"a" for number in numbers}) for numbers in ((5, 1), (0, 2, 3))]
        disks[1].data[BLOCK] = disks[1].data[5 * BLOCK] = disks[0].data[0] = b"a"
        self.compare(*disks)
        self.assertEqual(sorted(disks[0].offsets), disks[0].offsets)

    @ddt.data(1, 2, 3, 1000, 1023)
    def test_first_difference(self, length):
        for place in {0, length // 2, length - 1}:
            other = bytearray(length)
            other[place:] = b"x" * (length - place)
            self.assertEqual(place, first_difference(bytearray(length), other))
