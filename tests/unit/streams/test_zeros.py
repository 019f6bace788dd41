"""Runs of units that are not all zeros."""

from __future__ import annotations

import random

import ddt

from tests.base import TestCase
from xenimage.streams.zeros import LARGEST_UNIT, data_units


@ddt.ddt
class DataUnitsTest(TestCase):
    @ddt.data(
        (b"", []),
        (bytes(12), []),
        (b"a" * 12, [(0, 3)]),
        (b"\0\0\0\1" + bytes(8), [(0, 1)]),
        (bytes(8) + b"\1", [(2, 3)]),
        (bytes(9), []),
        (b"a\0\0\0" + bytes(4) + b"\0b\0\0" + b"c", [(0, 1), (2, 4)]),
    )
    @ddt.unpack
    def test_by_hand(self, content, expected):
        for head in (b"", b"head"):
            self.assertEqual(expected, list(data_units(bytearray(head + content), len(head), 4)))

    @ddt.data(1, 512, 4096, LARGEST_UNIT)
    def test_by_looking_at_each_unit(self, unit):
        chance = random.Random(unit)
        for _ in range(20):
            content = b"".join(
                chance.choice((bytes(unit), b"x".rjust(unit, b"\0"), b"x".ljust(unit, b"\0"))) for _ in range(6)
            )[: 6 * unit - chance.randrange(unit)]
            wanted = [any(content[at : at + unit]) for at in range(0, len(content), unit)]
            found = [False] * len(wanted)
            last = -1
            for first, stop in data_units(content, 0, unit):
                self.assertLess(last, first, "runs are apart")
                found[first:stop] = [True] * (stop - first)
                last = stop
            self.assertEqual(wanted, found)
