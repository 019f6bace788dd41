"""A tar in a plain or packed file: what is kept of it as it passes, and what is refused before it is unpacked."""

from __future__ import annotations

import random
import unittest.mock

import ddt

from tests.base import TestCase
from tests.builders.ova import PACKINGS
from tests.builders.vhd import MemorySource
from xenimage.containers import packing
from xenimage.containers.packing import Content
from xenimage.exceptions import FormatError, LimitError
from xenimage.limits import STRICT
from xenimage.units import KIB, MIB

DATA = random.Random(2).randbytes(3 * MIB)
PACKED = sorted(set(PACKINGS) - {""})


@ddt.ddt
class EndsTest(TestCase):
    def opened(self, compression: str) -> tuple[MemorySource, Content]:
        source = MemorySource(PACKINGS[compression](DATA), "x")
        return source, Content(source, STRICT)

    @ddt.data(*PACKINGS)
    def test_any_place_of_a_member(self, compression: str) -> None:
        _, content = self.opened(compression)
        offset, size = 1000, 2 * MIB + 7
        self.assertTrue(content.passes(offset, size))
        self.assertEqual(len(DATA), content.finish())
        member = content.range(offset, size, "x: member")
        places = random.Random(4)
        edges = [(0, 64 * KIB), (0, 64 * KIB + 1), (size - 64 * KIB, 64 * KIB), (size - 64 * KIB - 1, 9), (size, 0)]
        drawn = [(at, min(size - at, places.choice([1, 512, MIB]))) for at in places.choices(range(size), k=30)]
        for at, length in [*edges, *drawn]:
            self.assert_same_bytes(DATA[offset + at : offset + at + length], member.read(at, length))
        for at, length in ((-1, 1), (size, 1), (size - 1, 2), (0, size + 1)):
            with self.assertRaisesRegex(FormatError, "^x: member: .* lie outside the 2097159 bytes"):
                member.read(at, length)

    @ddt.data(*PACKED)
    def test_going_to_and_fro_between_the_ends_unpacks_nothing(self, compression: str) -> None:
        source, content = self.opened(compression)
        content.passes(512, 2 * MIB)
        content.finish()
        before = source.read_bytes
        member = content.range(512, 2 * MIB, "x: member")
        for _ in range(3):
            self.assert_same_bytes(DATA[512 : 512 + 64 * KIB], member.read(0, 64 * KIB))
            tail = member.read(2 * MIB - 64 * KIB, 64 * KIB)
            self.assert_same_bytes(DATA[512 + 2 * MIB - 64 * KIB : 512 + 2 * MIB], tail)
        self.assertEqual(before, source.read_bytes)

    @ddt.data(*PACKED)
    def test_no_more_is_kept_than_there_is_room(self, compression: str) -> None:
        self.enterContext(unittest.mock.patch.object(packing, "_ROOM", 300 * KIB))
        _, content = self.opened(compression)
        ends = [(offset, 20 * KIB) for offset in range(0, MIB, 32 * KIB)]
        for offset, size in ends:
            self.assertTrue(content.passes(offset, size))
        content.finish()
        kept = sum(len(head) + len(tail) for head, tail in content._ends.values())
        self.assertLessEqual(kept, packing._ROOM)
        self.assertGreater(len(ends), len(content._ends))
        offset, size = ends[-1]
        self.assert_same_bytes(DATA[offset : offset + size], content.range(offset, size, "x").read(0, size))

    @ddt.data(*PACKINGS)
    def test_what_is_not_all_there(self, compression: str) -> None:
        for offset, size in ((0, len(DATA) + 1), (len(DATA) - 1, 2), (len(DATA), 1), (len(DATA) + 9, 1)):
            _, content = self.opened(compression)
            self.assertFalse(content.passes(offset, size), (offset, size))
        _, content = self.opened(compression)
        self.assertTrue(content.passes(len(DATA), 0))

    @ddt.data(*PACKED)
    def test_what_would_take_long_is_refused_unread(self, compression: str) -> None:
        source, content = self.opened(compression)
        before = source.read_bytes
        with self.assertRaisesRegex(LimitError, r"\(limit inflation\)$"):
            content.passes(512, 1 << 40)
        self.assertEqual(before, source.read_bytes)
