"""Disks that fail in parts: what can be read is, the rest is zeros and told of."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import ddt

from tests.base import TestCase
from tests.builders.disk import MemoryDisk
from tests.builders.pattern import pattern
from xenimage.engine import salvage
from xenimage.engine.salvage import Blank, Guarded, Salvaged
from xenimage.exceptions import FormatError, LimitError, TransferError, XenimageError
from xenimage.model.disk import DiskFacts
from xenimage.model.extent import Extent, Kind
from xenimage.units import KIB, MIB

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SIZE = 4 * MIB
CONTENT = pattern(0, SIZE)


class Damaged(MemoryDisk):
    """A disk that fails where a read touches one of *holes*: (start, stop)."""

    def __init__(self, holes: Sequence[tuple[int, int]], error: type[XenimageError] = TransferError) -> None:
        super().__init__(CONTENT)
        self.holes = holes
        self.kind = error
        self.reads = 0

    def read_into(self, offset: int, buffer: memoryview) -> None:
        self.reads += 1
        for start, stop in self.holes:
            if start < offset + len(buffer) and offset < stop:
                raise self.kind(f"bad at {start:#x}")
        super().read_into(offset, buffer)


class BrokenTables(MemoryDisk):
    """A disk whose tables cannot be read in the second half."""

    def extents(self, offset: int, length: int) -> Iterator[Extent]:
        half = SIZE // 2
        if offset < half:
            yield Extent(offset, half - offset, Kind.ZERO)
        if offset + length > half and offset < SIZE - MIB:
            raise FormatError("a table is damaged")
        if offset >= SIZE - MIB:
            yield Extent(offset, length, Kind.ZERO)


def read(disk: Guarded, step: int = 2 * MIB) -> bytes:
    buffer = bytearray(disk.facts.virtual_size)
    for offset in range(0, len(buffer), step):
        disk.read_into(offset, memoryview(buffer)[offset : offset + step])
    return bytes(buffer)


def without(content: bytes, ranges: Sequence[tuple[int, int]]) -> bytes:
    found = bytearray(content)
    for start, stop in ranges:
        found[start:stop] = bytes(stop - start)
    return bytes(found)


@ddt.ddt
class SalvagedTestCase(TestCase):
    def lost(self, disk: Salvaged) -> list[tuple[int, int]]:
        return [(each.offset, each.offset + each.length) for each in disk.lost()]

    def test_a_sound_disk(self) -> None:
        disk = Salvaged(Damaged([]))
        self.assert_same_bytes(CONTENT, read(disk))
        self.assertEqual((), disk.lost())

    @ddt.data(
        ([(5000, 5001)], [(4096, 8192)]),
        ([(0, 1)], [(0, 4096)]),
        ([(SIZE - 1, SIZE)], [(SIZE - 4096, SIZE)]),
        ([(4095, 4097)], [(0, 8192)]),
        ([(2 * MIB - 1, 2 * MIB + 1)], [(2 * MIB - 4096, 2 * MIB + 4096)]),
        ([(100, 200), (3 * MIB, 3 * MIB + 9000)], [(0, 4096), (3 * MIB, 3 * MIB + 12288)]),
        ([(0, SIZE)], [(0, SIZE)]),
    )
    @ddt.unpack
    def test_only_the_damage_is_lost(self, holes: list[tuple[int, int]], lost: list[tuple[int, int]]) -> None:
        disk = Salvaged(Damaged(holes))
        self.assert_same_bytes(without(CONTENT, lost), read(disk))
        self.assertEqual(lost, self.lost(disk))
        self.assertEqual(f"bad at {holes[0][0]:#x}", disk.lost()[0].why)
        self.assertIsNone(disk.failure)

    def test_reads_at_odd_places(self) -> None:
        disk = Salvaged(Damaged([(10_000, 10_001)]))
        buffer = bytearray(33_333)
        disk.read_into(777, memoryview(buffer))
        (start, stop) = self.lost(disk)[0]
        self.assertTrue(start <= 10_000 < stop and stop - start <= 4096, (start, stop))
        self.assert_same_bytes(without(CONTENT, [(start, stop)])[777 : 777 + 33_333], bytes(buffer))

    def test_reading_twice_counts_once(self) -> None:
        disk = Salvaged(Damaged([(0, 1), (MIB, MIB + 1)]))
        self.assertEqual(read(disk), read(disk, MIB))
        self.assertEqual([(0, 4096), (MIB, MIB + 4096)], self.lost(disk))

    def test_a_cluster_is_whole_or_lost(self) -> None:
        damaged = Damaged([(70_000, 70_001)], FormatError)
        damaged.facts = dataclasses.replace(damaged.facts, granularity=64 * KIB)
        disk = Salvaged(damaged)
        read(disk)
        self.assertEqual([(64 * KIB, 128 * KIB)], self.lost(disk))

    def test_a_stream_is_not_tried_again(self) -> None:
        damaged = Damaged([(5, 6)], FormatError)
        damaged.facts = dataclasses.replace(damaged.facts, sequential=True)
        disk = Salvaged(damaged)
        read(disk)
        self.assertEqual([(0, 2 * MIB)], self.lost(disk))
        self.assertEqual(2, damaged.reads)

    def test_the_work_is_bounded(self) -> None:
        damaged = Damaged([(0, SIZE)])
        disk = Salvaged(damaged)
        tries = 10
        original, salvage._TRIES = salvage._TRIES, tries
        self.addCleanup(setattr, salvage, "_TRIES", original)
        self.assert_same_bytes(bytes(SIZE), read(disk))
        self.assertEqual([(0, SIZE)], self.lost(disk))
        self.assertLess(damaged.reads, 3 * tries)

    def test_what_limits_refuse_stays_refused(self) -> None:
        disk = Salvaged(Damaged([(0, 1)], LimitError))
        with self.assertRaises(LimitError) as caught:
            read(disk)
        self.assertIs(caught.exception, disk.failure)

    def test_broken_tables_are_data(self) -> None:
        disk = Salvaged(BrokenTables(CONTENT))
        self.assertEqual(
            [Extent(0, 2 * MIB, Kind.ZERO), Extent(2 * MIB, 2 * MIB, Kind.DATA)], list(disk.extents(0, SIZE))
        )

    def test_a_guarded_disk_keeps_its_failure(self) -> None:
        disk = Guarded(Damaged([(0, 1)]))
        with self.assertRaises(TransferError) as caught:
            read(disk)
        self.assertIs(caught.exception, disk.failure)
        tables = Guarded(BrokenTables(CONTENT))
        with self.assertRaises(FormatError):
            list(tables.extents(0, SIZE))
        self.assertIsInstance(tables.failure, FormatError)

    def test_a_blank_disk(self) -> None:
        disk = Blank(DiskFacts(format="blank", virtual_size=SIZE, granularity=512, stored_size=0))
        buffer = bytearray(b"x" * 1000)
        disk.read_into(SIZE - 1000, memoryview(buffer))
        self.assertEqual(bytes(1000), bytes(buffer))
        self.assertEqual([Extent(0, SIZE, Kind.ZERO)], list(disk.extents(0, SIZE)))
