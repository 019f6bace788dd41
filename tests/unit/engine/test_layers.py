"""Layers of a chain: what each holds of its own, sector by sector, and what it costs to know."""

from __future__ import annotations

import dataclasses
import itertools
import random
import tracemalloc

import ddt

from tests.base import TestCase
from tests.builders.pattern import pattern
from tests.unit.engine.support import BLOCK, GIB, MIB, FakeDisk, LayerDisk, Watcher
from xenimage.engine.layers import ChildPasses, Delta, Kept, _bitmap, _different, _outside, layered
from xenimage.engine.mapper import map_blocks
from xenimage.exceptions import LimitError
from xenimage.limits import STRICT
from xenimage.model.extent import Kind

A, D, Z = Kind.ABSENT, Kind.DATA, Kind.ZERO
KIB = 1 << 10
SECTOR = 512
TIB = 1 << 40


@ddt.ddt
class DeltaTest(TestCase):
    def extents(self, child: LayerDisk, below: LayerDisk, offset: int = 0, length: int | None = None):
        length = child.facts.virtual_size - offset if length is None else length
        return [(each.offset, each.length, each.kind) for each in Delta(child, below).extents(offset, length)]

    def test_zeros_stay_only_where_they_hide_data(self):
        below = LayerDisk(8 * BLOCK, (0, BLOCK, D), (BLOCK, BLOCK, Z), (3 * BLOCK, BLOCK, D))
        child = LayerDisk(8 * BLOCK, (0, 8 * BLOCK, Z))
        found = self.extents(child, below)
        self.assertEqual(
            [(0, BLOCK, Z), (BLOCK, 2 * BLOCK, A), (3 * BLOCK, BLOCK, Z), (4 * BLOCK, 4 * BLOCK, A)], found
        )

    def test_data_and_what_is_absent_stay(self):
        below = LayerDisk(4 * BLOCK, (0, 4 * BLOCK, D))
        child = LayerDisk(4 * BLOCK, (512, 1024, D), (BLOCK, BLOCK, Z))
        self.assertEqual(
            [(0, 512, A), (512, 1024, D), (1536, BLOCK - 1536, A), (BLOCK, BLOCK, Z), (2 * BLOCK, 2 * BLOCK, A)],
            self.extents(child, below),
        )

    @ddt.data((0, D), (1, A), (512, A))
    @ddt.unpack
    def test_behind_the_end_of_what_is_below(self, missing, last):
        below = LayerDisk(BLOCK - missing, (0, BLOCK - missing, D))
        child = LayerDisk(2 * BLOCK, (0, 2 * BLOCK, Z))
        self.assertEqual([(0, BLOCK - missing, Z), (BLOCK - missing, BLOCK + missing, A)], self.extents(child, below))
        self.assertEqual(Z if last is D else A, self.extents(child, below, BLOCK - 1, 1)[0][2])

    def test_part_of_it(self):
        below = LayerDisk(4 * BLOCK, (0, BLOCK, D))
        child = LayerDisk(4 * BLOCK, (0, 4 * BLOCK, Z))
        self.assertEqual([(BLOCK - 5, 5, Z), (BLOCK, 5, A)], self.extents(child, below, BLOCK - 5, 10))
        self.assertEqual([], self.extents(child, below, 7, 0))
        with self.assertRaises(ValueError):
            self.extents(child, below, 4 * BLOCK, 1)

    def test_reads_and_closes_the_child_alone(self):
        below, child = LayerDisk(BLOCK, (0, BLOCK, D)), LayerDisk(BLOCK, (0, 1024, D), seed=5)
        delta = Delta(child, below)
        buffer = bytearray(2048)
        delta.read_into(0, memoryview(buffer))
        self.assertEqual(pattern(0, 1024, 5) + bytes(1024), bytes(buffer))
        delta.close()
        self.assertEqual((True, False, []), (child.closed, below.closed, below.reads))

    def test_a_terabyte_of_nothing_costs_nothing(self):
        """A command or two in the guest call all of it zero; as data of the VHD it would be terabytes."""
        below = LayerDisk(2 * TIB)
        delta = Delta(LayerDisk(2 * TIB, (0, 2 * TIB, Z)), below)
        found = map_blocks(delta, STRICT, child=True)
        self.assertEqual((0, 0, ()), (found.blocks, found.data_size, found.ranges))
        below = LayerDisk(2 * TIB, (TIB, 4096, D))
        found = map_blocks(Delta(LayerDisk(2 * TIB, (0, 2 * TIB, Z)), below), STRICT, child=True)
        self.assertEqual(((TIB // BLOCK, TIB // BLOCK + 1),), found.ranges)


class KeptTest(TestCase):
    def test_a_block_is_read_once_however_often_it_is_asked_for(self):
        disk = LayerDisk(3 * BLOCK - 1024, (512, 3 * BLOCK - 2048, D), seed=4)
        whole = bytearray(disk.facts.virtual_size)
        disk.read_into(0, memoryview(whole))
        disk.reads.clear()
        kept = Kept(disk)
        places = [(0, 512), (100, 5000), (BLOCK - 7, 14), (BLOCK, BLOCK), (BLOCK + 5, 1), (2 * BLOCK, BLOCK - 1024)]
        for offset, length in places:
            buffer = bytearray(b"\xcc" * length)
            kept.read_into(offset, memoryview(buffer))
            self.assert_same_bytes(bytes(whole[offset : offset + length]), bytes(buffer))
        self.assertEqual([(0, BLOCK), (BLOCK, BLOCK), (2 * BLOCK, BLOCK - 1024)], disk.reads)
        with self.assertRaises(ValueError):
            kept.read_into(3 * BLOCK - 1024, memoryview(bytearray(1)))

    def test_an_error_keeps_nothing(self):
        disk = LayerDisk(2 * BLOCK, (0, 2 * BLOCK, D))
        kept = Kept(disk)
        buffer = memoryview(bytearray(512))
        kept.read_into(0, buffer)
        disk.read_into = None
        with self.assertRaises(TypeError):
            kept.read_into(BLOCK, buffer)
        del disk.read_into
        kept.read_into(0, buffer)
        self.assertEqual(pattern(0, 512), bytes(buffer))
        self.assertEqual(2, len(disk.reads))


class LayeredTest(TestCase):
    def test_each_lies_on_all_below_it(self):
        base = LayerDisk(BLOCK, (0, BLOCK, D), seed=1)
        middle = LayerDisk(BLOCK, (0, 4096, Z), (8192, 4096, D), seed=2)
        leaf = LayerDisk(2 * BLOCK, (0, 512, D), seed=3)
        top, second, bottom = layered([leaf, middle, base])
        self.assertIs(base, bottom.disk)
        self.assertEqual((None, base), (bottom.below, second.below))
        buffer = bytearray(16384)
        top.below.read_into(0, memoryview(buffer))
        self.assertEqual(bytes(4096) + pattern(4096, 4096, 1) + pattern(8192, 4096, 2), bytes(buffer[:12288]))
        self.assertEqual({A, D}, {each.kind for each in top.disk.extents(0, 2 * BLOCK)})

    def test_one_alone(self):
        disk = LayerDisk(BLOCK)
        (only,) = layered([disk])
        self.assertEqual((disk, None), (only.disk, only.below))


def bits(*sectors: int) -> bytes:
    """A block's bitmap with the bits of *sectors*."""
    found = bytearray(512)
    for sector in sectors:
        found[sector >> 3] |= 0x80 >> (sector & 7)
    return bytes(found)


@ddt.ddt
class BitmapTest(TestCase):
    @ddt.data([], [(0, 1)], [(0, 4096)], [(4095, 4096)], [(7, 9)], [(0, 3), (3, 5), (100, 4000)], [(0, 9), (5, 12)])
    def test_the_first_sector_is_the_highest_bit(self, runs):
        wanted = bits(*(sector for first, stop in runs for sector in range(first, stop)))
        self.assertEqual(wanted, _bitmap(runs).to_bytes(512, "big"))

    def test_what_differs(self):
        chance = random.Random(5)
        for count in (0, 1, 2, 5, 100, 3000):
            one = bytearray(chance.randbytes(BLOCK))
            other = bytearray(one)
            changed = {chance.randrange(4096) for _ in range(count)} | ({0, 4095} if count == 5 else set())
            for sector in changed:
                other[sector * 512 + chance.randrange(512)] ^= 1
            for first, stop in ((0, 4096), (0, 1), (17, 2049), (4095, 4096), (5, 5)):
                runs = list(_different(memoryview(one), memoryview(other), first, stop))
                found = {sector for start, end in runs for sector in range(start, end)}
                self.assertEqual({sector for sector in changed if first <= sector < stop}, found)
                self.assertEqual(sorted(runs), runs)
                self.assertTrue(all(a[1] < b[0] for a, b in itertools.pairwise(runs)), "runs touch")

    def test_equal_blocks_cost_one_comparison(self):
        class Counted:
            def __init__(self) -> None:
                self.looks = 0

            def __getitem__(self, part: slice) -> bytes:
                self.looks += 1
                return bytes(part.stop - part.start)

        one = Counted()
        self.assertEqual([], list(_different(one, Counted(), 0, 4096)))
        self.assertEqual(1, one.looks)

    @ddt.data(
        ([], [(0, 4096)]),
        ([(0, 4096)], []),
        ([(1, 3), (3, 4), (4095, 4096)], [(0, 1), (4, 4095)]),
        ([(0, 9), (5, 12), (20, 30)], [(12, 20), (30, 4096)]),
    )
    @ddt.unpack
    def test_what_lies_outside(self, runs, wanted):
        self.assertEqual([(first * SECTOR, stop * SECTOR) for first, stop in wanted], list(_outside(runs)))


@ddt.ddt
class ChildPassesTest(TestCase):
    def blocks(self, child: LayerDisk, below: LayerDisk | FakeDisk, **options: object):
        self.watcher = Watcher()
        count = -(-child.facts.virtual_size // BLOCK)
        values = {"ranges": ((0, count),), "jobs": 2, **options}
        passes = ChildPasses(child=Delta(child, below), below=below, progress=self.watcher, **values)  # type: ignore[arg-type]
        return list(passes.blocks("x", bytes))

    def test_only_what_it_holds(self):
        below = LayerDisk(3 * BLOCK, (0, 3 * BLOCK, D), seed=1)
        child = LayerDisk(3 * BLOCK, (1024, 512, D), (4096, 1024, Z), (2 * BLOCK, BLOCK, D), seed=2)
        first, last = self.blocks(child, below)
        self.assertEqual((0, 2), (first.number, last.number))
        self.assertEqual((False, True), (first.full, last.full))
        self.assertEqual(bits(2, 8, 9), first.packed[:512])
        content = (bytes(1024) + pattern(1024, 512, 2)).ljust(BLOCK, b"\0")
        self.assertEqual(content, first.packed[512:])
        self.assertEqual(b"\xff" * 512 + pattern(2 * BLOCK, BLOCK, 2), last.packed)
        self.assertEqual((0, 0), (first.completed, last.completed))
        self.assertEqual([["x", 3 * BLOCK, 3 * BLOCK, True]], self.watcher.stages)

    def test_a_block_is_read_once(self):
        below = LayerDisk(4 * BLOCK, (0, 4 * BLOCK, D), seed=1)
        for options in ({}, {"dedup": True}, {"whole": True}, {"whole": True, "dedup": True}):
            child = LayerDisk(4 * BLOCK, (0, 4096, D), (2 * BLOCK, BLOCK, D), seed=2)
            below.reads.clear()
            self.blocks(child, below, **options)
            for number in (0, 2):
                read = sum(length for at, length in child.reads if at // BLOCK == number)
                self.assertLessEqual(read, BLOCK, options)
            self.assertEqual([], [at for at, _ in child.reads if at // BLOCK in (1, 3)])
            wanted = [(0, BLOCK), (2 * BLOCK, BLOCK)] if options else []
            self.assertEqual(wanted, sorted(below.reads), options)

    def test_whole_blocks(self):
        below = LayerDisk(2 * BLOCK, (0, BLOCK + 1024, D), seed=1)
        child = LayerDisk(3 * BLOCK, (512, 512, D), (2048, 512, Z), (BLOCK, 512, D), (2 * BLOCK, 512, D), seed=2)
        first, second, third = self.blocks(child, below, whole=True)
        wanted = bytearray(pattern(0, BLOCK, 1))
        wanted[512:1024] = pattern(512, 512, 2)
        wanted[2048:2560] = bytes(512)
        self.assert_same_bytes(b"\xff" * 512 + bytes(wanted), first.packed)
        self.assertEqual((True, BLOCK - 1024), (first.full, first.completed))
        wanted = pattern(BLOCK, 512, 2) + pattern(BLOCK + 512, 512, 1)
        self.assert_same_bytes(b"\xff" * 512 + wanted.ljust(BLOCK, b"\0"), second.packed)
        self.assert_same_bytes(b"\xff" * 512 + pattern(2 * BLOCK, 512, 2).ljust(BLOCK, b"\0"), third.packed)

    def test_dedup(self):
        below = LayerDisk(3 * BLOCK, (0, 3 * BLOCK, D), seed=1)

        class Same(LayerDisk):
            """Has the content of what is below, but for some sectors."""

            def read_into(self, offset: int, buffer: memoryview) -> None:
                below.read_into(offset, buffer)
                for sector in (4096 + 3, 4096 + 4, 4096 + 9, 8192):
                    at = sector * SECTOR
                    if offset <= at < offset + len(buffer):
                        buffer[at - offset] ^= 0xFF

        child = Same(3 * BLOCK, (0, BLOCK, D), (BLOCK, 8 * SECTOR, D), (2 * BLOCK, 1024, D))
        second, third = self.blocks(child, below, dedup=True)
        self.assertEqual((1, bits(3, 4)), (second.number, second.packed[:512]))
        wanted = bytearray(pattern(BLOCK + 3 * SECTOR, 2 * SECTOR, 1))
        wanted[0] ^= 0xFF
        wanted[SECTOR] ^= 0xFF
        self.assert_same_bytes((bytes(3 * SECTOR) + bytes(wanted)).ljust(BLOCK, b"\0"), second.packed[512:])
        self.assertEqual((2, bits(0)), (third.number, third.packed[:512]))

    def test_zeros_over_zeros_that_are_stored_are_dropped_by_dedup(self):
        below = FakeDisk(BLOCK, {0: bytes(4096)})
        child = LayerDisk(BLOCK, (0, 4096, Z))
        self.assertEqual([bits(*range(8))], [each.packed[:512] for each in self.blocks(child, below)])
        self.assertEqual([], self.blocks(child, below, dedup=True))

    def test_a_child_that_ends_inside_a_block(self):
        below = LayerDisk(BLOCK + 1000, (0, BLOCK + 1000, D), seed=1)
        child = LayerDisk(BLOCK + 2048, (BLOCK, 2048, D), seed=2)
        for options in ({}, {"dedup": True}, {"whole": True}):
            (only,) = self.blocks(child, below, **options)
            self.assert_same_bytes(pattern(BLOCK, 2048, 2).ljust(BLOCK, b"\0"), only.packed[512:])
        # What is zero behind the end of the parent hides nothing; the sector that it ends in is hidden whole.
        child = LayerDisk(BLOCK + 2048, (BLOCK, 2048, Z))
        (only,) = self.blocks(child, below)
        self.assertEqual(bits(0, 1), only.packed[:512])

    def test_the_mark_is_of_bitmap_and_data(self):
        below = LayerDisk(2 * BLOCK, (0, 2 * BLOCK, D), seed=1)
        marks = set()
        for runs in ([(0, 512, Z)], [(512, 512, Z)], [(0, 1024, Z)], [(0, 512, D)]):
            marks |= {each.mark for each in self.blocks(LayerDisk(2 * BLOCK, *runs), below)}
        self.assertEqual(4, len(marks))

    @ddt.data((True, False), (False, True))
    @ddt.unpack
    def test_a_stream_is_read_by_one_thread_in_order(self, child_streams, below_streams):
        below = LayerDisk(20 * BLOCK, (0, 20 * BLOCK, D), sequential=below_streams)
        child = LayerDisk(20 * BLOCK, (0, 20 * BLOCK, D), seed=2, sequential=child_streams)
        self.blocks(child, below, jobs=8, dedup=True)
        for disk in (child, below):
            self.assertEqual(1, len(disk.readers))
            self.assertEqual([number * BLOCK for number in range(20)], [at for at, _ in disk.reads])

    def test_memory_does_not_grow_with_the_layer(self):
        below = FakeDisk(200 * BLOCK, {0: b"x" * 512})
        child = LayerDisk(200 * BLOCK, *((number * BLOCK, 512, D) for number in range(200)))
        passes = ChildPasses(
            child=child, below=below, ranges=((0, 200),), jobs=2, progress=Watcher(), dedup=True, whole=True
        )
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        self.assertEqual(200, sum(1 for _ in passes.blocks("x", lambda _data: None)))
        # Of each thread: a block, what lies below it, and as much again while the two are compared or made up.
        self.assertLess(tracemalloc.get_traced_memory()[1], 2 * 5 * BLOCK + 4 * MIB)


class LimitsTest(TestCase):
    def test_zeros_of_a_child_that_are_in_the_way_count_as_ranges(self):
        runs = [(number * 1024, 512, D) for number in range(2000)]
        below = LayerDisk(GIB, *runs)
        child = LayerDisk(GIB, (0, GIB, Z))
        with self.assertRaisesRegex(LimitError, "number of ranges"):
            map_blocks(Delta(child, below), dataclasses.replace(STRICT, ranges=1000), child=True)
