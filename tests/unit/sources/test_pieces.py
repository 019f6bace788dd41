"""Ranges of sources, and sources one behind the other."""

from __future__ import annotations

import random

from tests.base import TestCase
from tests.builders.vhd import MemorySource
from xenimage.exceptions import FormatError
from xenimage.sources.joined import JoinedSource
from xenimage.sources.slice import SliceSource

DATA = bytes(range(256)) * 5


class SliceTest(TestCase):
    def test_any_range_is_that_of_the_source(self) -> None:
        source = SliceSource(MemorySource(DATA), 100, 500, "member")
        self.assertEqual(DATA[100:600], source.read(0, 500))
        self.assertEqual(DATA[107:110], source.read(7, 3))
        self.assertEqual([(5, 495)], list(source.data(5, 10_000)))
        self.assertEqual([], list(source.data(500, 10)))

    def test_nothing_outside_can_be_read(self) -> None:
        source = SliceSource(MemorySource(DATA), 100, 500, "member")
        for offset, length in ((-1, 1), (499, 2), (501, 1)):
            with self.assertRaisesRegex(FormatError, "^member: .* lie outside the 500 bytes"):
                source.read(offset, length)

    def test_closing_leaves_the_source_open(self) -> None:
        below = MemorySource(DATA)
        SliceSource(below, 0, 1, "member").close()
        self.assertFalse(below.closed)


class JoinedTest(TestCase):
    def test_any_range_is_that_of_the_whole(self) -> None:
        pieces = [MemorySource(DATA[:100]), MemorySource(b""), MemorySource(DATA[100:101]), MemorySource(DATA[101:])]
        source = JoinedSource(pieces, "whole")
        self.assertEqual(len(DATA), source.size)
        places = random.Random(5)
        for _ in range(200):
            start = places.randrange(len(DATA))
            length = places.randrange(len(DATA) - start + 1)
            self.assertEqual(DATA[start : start + length], source.read(start, length))
        self.assertEqual([(50, 50), (100, 1), (101, 9)], list(source.data(50, 60)))
        source.close()
        self.assertTrue(all(piece.closed for piece in pieces))

    def test_nothing_outside_can_be_read(self) -> None:
        source = JoinedSource([MemorySource(b"abc"), MemorySource(b"def")], "whole")
        for offset, length in ((-1, 1), (5, 2), (7, 1)):
            with self.assertRaisesRegex(FormatError, "^whole: .* lie outside the 6 bytes"):
                source.read(offset, length)
        self.assertEqual(b"", source.read(6, 0))
