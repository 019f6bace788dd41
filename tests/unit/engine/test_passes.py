"""Blocks in order through several threads, and the identity of content."""

from __future__ import annotations

import contextlib
import random
import threading
import time
import unittest.mock
import uuid

import ddt

from tests.base import TestCase
from tests.unit.engine.support import BLOCK, FakeDisk, Watcher
from xenimage.engine.passes import Passes, content_uuid, in_order, random_uuid
from xenimage.formats.vhd.writer import NewVhd


def threads() -> int:
    return sum(thread.name.startswith("block") for thread in threading.enumerate())


@ddt.ddt
class InOrderTest(TestCase):
    @ddt.data(1, 2, 5, 16)
    def test_results_come_in_the_order_of_the_items(self, jobs):
        chance = random.Random(jobs)
        delays = [chance.random() / 500 for _ in range(60)]

        def work(number):
            time.sleep(delays[number])
            return number * number

        self.assertEqual([number * number for number in range(60)], list(in_order(work, range(60), jobs)))
        self.assertEqual(0, threads())

    @ddt.data(1, 2, 5)
    def test_takes_only_so_many_items_ahead(self, jobs):
        taken = []

        def items():
            for number in range(100):
                taken.append(number)
                yield number

        for done, _ in enumerate(in_order(lambda number: number, items(), jobs)):
            self.assertLessEqual(len(taken), done + 3 * jobs)
        self.assertEqual(100, len(taken))

    @ddt.data(1, 4)
    def test_works_at_once_in_all_threads(self, jobs):
        barrier = threading.Barrier(jobs, timeout=10)
        self.assertEqual(
            list(range(3 * jobs)), list(in_order(lambda number: barrier.wait() * 0 + number, range(3 * jobs), jobs))
        )

    @ddt.data(0, 3, 40)
    def test_an_error_comes_in_its_place_and_ends_the_threads(self, place):
        def work(number):
            if number == place:
                raise OSError("broken")
            return number

        found = []
        try:
            for result in in_order(work, range(1000), 4):
                found.append(result)  # noqa: PERF402
        except OSError as error:
            # With the exception, all frames that it came through still live.
            self.assertEqual(0, threads(), error)
        self.assertEqual(list(range(place)), found)

    def test_an_error_of_the_items_ends_the_threads(self):
        def items():
            yield 1
            raise ValueError("tables are broken")

        with self.assertRaisesRegex(ValueError, "tables are broken"):
            list(in_order(str, items(), 2))
        self.assertEqual(0, threads())

    def test_closing_it_ends_the_threads_and_does_no_more_work(self):
        done = []
        with contextlib.closing(in_order(done.append, range(10_000), 3)) as results:
            next(results)
        self.assertEqual(0, threads())
        self.assertLess(len(done), 20)

    def test_nothing_to_do(self):
        self.assertEqual([], list(in_order(str, [], 3)))


@ddt.ddt
class PassesTest(TestCase):
    def passes(self, disk, ranges, jobs=2):
        self.watcher = Watcher()
        return Passes(disk=disk, ranges=ranges, jobs=jobs, progress=self.watcher)

    @ddt.data(1, 3)
    def test_blocks_of_zeros_are_left_out(self, jobs):
        disk = FakeDisk(6 * BLOCK, {0: b"a", BLOCK: bytes(BLOCK), 4 * BLOCK - 1: b"z", 5 * BLOCK: b"\0"})
        passes = self.passes(disk, ((0, 2), (3, 6)), jobs)
        found = list(passes.blocks("bundle", lambda number, block: (number, bytes(block))))
        self.assertEqual([0, 3], [block.number for block in found])
        self.assertEqual((0, b"\xff" * 512 + b"a".ljust(BLOCK, b"\0")), found[0].packed)
        self.assertEqual((3, b"\xff" * 512 + b"z".rjust(BLOCK, b"\0")), found[1].packed)
        self.assertEqual([["bundle", 5 * BLOCK, 5 * BLOCK, True]], self.watcher.stages)

    def test_the_last_block_is_filled_with_zeros(self):
        disk = FakeDisk(BLOCK + 1024, {0: b"x" * (BLOCK + 1024)})
        found = list(self.passes(disk, ((0, 2),), jobs=1).blocks("x", lambda _number, block: bytes(block[512:])))
        self.assertEqual(b"x" * 1024, found[1].packed.rstrip(b"\0"))
        self.assertEqual(BLOCK, len(found[1].packed))

    def test_marks_tell_contents_apart(self):
        disk = FakeDisk(4 * BLOCK, {0: b"a", BLOCK: b"a", 2 * BLOCK: b"b"})
        marks = [block.mark for block in self.passes(disk, ((0, 4),)).blocks("map", lambda *_: None)]
        self.assertEqual(3, len(marks))
        self.assertEqual(marks[0], marks[1])
        self.assertNotEqual(marks[0], marks[2])

    @ddt.data(True, False)
    def test_marks_are_made_for_whom_wants_them(self, sequential):
        disk = FakeDisk(2 * BLOCK, {0: b"a", BLOCK: b"a"}, sequential=sequential)
        with unittest.mock.patch("xenimage.engine.passes.fingerprint") as fingerprint:
            found = list(self.passes(disk, ((0, 2),)).blocks("raw", lambda number, _: number, marked=False))
        self.assertEqual([(b"", 0), (b"", 1)], [(block.mark, block.packed) for block in found])
        fingerprint.assert_not_called()

    def test_a_sequential_disk_is_read_by_one_thread_in_order(self):
        disk = FakeDisk(20 * BLOCK, {0: b"x"}, sequential=True)
        list(self.passes(disk, ((0, 20),), jobs=8).blocks("x", lambda *_: None))
        self.assertEqual(1, len(disk.readers))
        self.assertEqual([number * BLOCK for number in range(20)], disk.offsets)

    def test_the_blocks_of_a_sequential_disk_are_packed_by_all_threads(self):
        disk = FakeDisk(12 * BLOCK, {number * BLOCK: b"x" for number in range(12)}, sequential=True)
        barrier = threading.Barrier(3, timeout=10)
        found = list(self.passes(disk, ((0, 12),), jobs=3).blocks("x", lambda number, _: barrier.wait() * 0 + number))
        self.assertEqual(list(range(12)), [block.packed for block in found])
        self.assertEqual(1, len(disk.readers))
        self.assertEqual(0, threads())

    def test_a_sequential_disk_is_read_only_so_far_ahead(self):
        disk = FakeDisk(90 * BLOCK, {number * BLOCK: b"x" for number in range(90)}, sequential=True)
        for done, _ in enumerate(self.passes(disk, ((0, 90),), jobs=2).blocks("x", lambda *_: None)):
            self.assertLessEqual(len(disk.offsets), done + 3 * 2 + 3 + 1)

    @ddt.data(True, False)
    def test_an_error_of_the_disk_ends_the_threads(self, sequential):
        disk = FakeDisk(30 * BLOCK, {number * BLOCK: b"x" for number in range(30)}, sequential=sequential)
        real = disk.read_into

        def read_into(offset, buffer):
            if offset == 17 * BLOCK:
                raise OSError("broken")
            real(offset, buffer)

        disk.read_into = read_into
        with self.assertRaisesRegex(OSError, "broken"):
            list(self.passes(disk, ((0, 30),), jobs=2).blocks("x", lambda *_: None))
        self.assertEqual(0, threads())

    def test_an_error_ends_the_stage_and_the_threads(self):
        disk = FakeDisk(20 * BLOCK, {number * BLOCK: b"x" for number in range(20)})

        def pack(number, _block):
            if number == 7:
                raise OSError("broken")

        with self.assertRaisesRegex(OSError, "broken"):
            list(self.passes(disk, ((0, 20),)).blocks("x", pack))
        self.assertTrue(self.watcher.stages[0][3])
        self.assertEqual(0, threads())

    def test_one_who_takes_no_more_ends_it(self):
        disk = FakeDisk(50 * BLOCK, {number * BLOCK: b"x" for number in range(50)})
        try:
            for _ in self.passes(disk, ((0, 50),)).blocks("x", lambda *_: None):
                raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            self.assertEqual(0, threads(), error)
        self.assertTrue(self.watcher.stages[0][3])
        self.assertLess(len(disk.offsets), 20)


@ddt.ddt
class UuidTest(TestCase):
    def uuid(self, marks, size=4 * BLOCK, timestamp=946684800) -> uuid.UUID:
        return uuid.UUID(bytes=content_uuid(NewVhd(virtual_size=size, timestamp=timestamp), marks))

    def test_is_of_version_8(self):
        for number in range(200):
            found = self.uuid([(0, number.to_bytes(16, "big"))])
            self.assertEqual((8, uuid.RFC_4122), (found.version, found.variant))

    def test_is_the_same_for_the_same(self):
        marks = [(0, b"a" * 16), (3, b"b" * 16)]
        self.assertEqual(self.uuid(marks), self.uuid(iter(marks)))
        self.assertEqual("c41e44ff-34f6-8715-8682-9cd7b08c1c3d", str(self.uuid(marks)), "each bundle would change")

    def test_differs_by_content_place_size_and_time(self):
        marks = [(0, b"a" * 16), (3, b"b" * 16)]
        found = {
            self.uuid(marks),
            self.uuid([]),
            self.uuid(marks[:1]),
            self.uuid([(0, b"b" * 16), (3, b"a" * 16)]),
            self.uuid([(1, b"a" * 16), (3, b"b" * 16)]),
            self.uuid(marks, size=5 * BLOCK),
            self.uuid(marks, timestamp=946684801),
        }
        self.assertEqual(7, len(found))

    def test_a_random_one_is_of_version_4(self):
        self.assertEqual(4, uuid.UUID(bytes=random_uuid()).version)
        self.assertNotEqual(random_uuid(), random_uuid())
