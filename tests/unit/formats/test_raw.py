"""Raw disks: holes, block-wise and odd sizes."""

from __future__ import annotations

import dataclasses

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.base import TestCase
from tests.builders.pattern import pattern
from tests.builders.vhd import MemorySource
from xenimage.exceptions import LimitError
from xenimage.formats.raw import open_raw
from xenimage.limits import STRICT
from xenimage.model.extent import Extent, Kind
from xenimage.sources.file import open_file
from xenimage.units import KIB, MIB


def read(disk, offset, length):
    buffer = bytearray(b"\xaa" * length)
    disk.read_into(offset, memoryview(buffer))
    return bytes(buffer)


class RawTest(TestCase):
    def test_facts(self):
        disk = open_raw(MemorySource(bytes(1 * MIB)), STRICT)
        facts = disk.facts
        self.assertEqual(
            ("raw", "", MIB, 512, MIB),
            (facts.format, facts.variant, facts.virtual_size, facts.granularity, facts.stored_size),
        )
        self.assertIsNone(disk.unreadable())

    @settings(max_examples=100, deadline=None)
    @given(st.integers(1, 3000), st.data())
    def test_any_slice(self, size, data):
        content = pattern(0, size)
        whole = content.ljust(-(-size // 512) * 512, b"\0")
        disk = open_raw(MemorySource(content), STRICT)
        self.assertEqual(len(whole), disk.facts.virtual_size)
        offset = data.draw(st.integers(0, size))
        length = data.draw(st.integers(0, len(whole) - offset))
        self.assertEqual(whole[offset : offset + length], read(disk, offset, length))
        position = offset
        for extent in disk.extents(offset, length):
            self.assertEqual(position, extent.offset)
            self.assertGreater(extent.length, 0)
            position = extent.end
        self.assertEqual(offset + length, position)

    def test_odd_size_is_filled_with_zeros(self):
        disk = open_raw(MemorySource(b"\1" * 700), STRICT)
        self.assertEqual([Extent(0, 700, Kind.DATA), Extent(700, 324, Kind.ZERO)], list(disk.extents(0, 1024)))
        self.assertEqual([Extent(800, 24, Kind.ZERO)], list(disk.extents(800, 24)))
        self.assertEqual(b"\1" * 100 + bytes(324), read(disk, 600, 424))

    def test_range_in_the_filling_alone(self):
        disk = open_raw(MemorySource(b"\1" * 700), STRICT)
        self.assertEqual(bytes(24), read(disk, 800, 24))

    def test_holes_are_zeros(self):
        path = self.scratch / "disk.raw"
        with path.open("wb") as file:
            file.truncate(8 * MIB)
            file.seek(4 * MIB)
            file.write(b"\1" * 64 * KIB)
        source = open_file(path)
        disk = open_raw(source, STRICT)
        self.addCleanup(disk.close)
        self.assertEqual(
            [
                Extent(0, 4 * MIB, Kind.ZERO),
                Extent(4 * MIB, 64 * KIB, Kind.DATA),
                Extent(4 * MIB + 64 * KIB, 4 * MIB - 64 * KIB, Kind.ZERO),
            ],
            list(disk.extents(0, 8 * MIB)),
        )
        self.assertEqual([Extent(4 * MIB + 10, 100, Kind.DATA)], list(disk.extents(4 * MIB + 10, 100)))
        self.assertEqual([Extent(MIB, MIB, Kind.ZERO)], list(disk.extents(MIB, MIB)))
        self.assertEqual(b"\0\1", read(disk, 4 * MIB - 1, 2))

    def test_limit(self):
        with self.assertRaises(LimitError) as caught:
            open_raw(MemorySource(bytes(1024)), dataclasses.replace(STRICT, virtual_size=1023))
        self.assertEqual(
            "the size of the raw disk is 1024, expected at most 1023 (limit virtual_size)", str(caught.exception)
        )

    def test_range_outside_is_the_callers_bug(self):
        disk = open_raw(MemorySource(bytes(512)), STRICT)
        for offset, length in ((-1, 1), (0, 513), (513, 0)):
            with self.subTest(offset=offset), self.assertRaises(ValueError):
                read(disk, offset, length)

    def test_close(self):
        source = MemorySource(b"1")
        open_raw(source, STRICT).close()
        self.assertTrue(source.closed)
