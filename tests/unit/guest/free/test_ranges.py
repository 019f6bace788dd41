"""Ranges, and runs of clear bits."""

from __future__ import annotations

import itertools
import unittest

from hypothesis import given, settings
from hypothesis import strategies as st

from xenimage.guest.free.ranges import Ranges, clear_count, clear_runs


def gathered(pieces, most=1000):
    ranges = Ranges(most)
    for piece in pieces:
        ranges.add(*piece)
    return ranges


@st.composite
def pieces(draw):
    at, found = 0, []
    for gap, length in draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), max_size=40)):
        found.append((at + gap, at + gap + length))
        at += gap + length
    return found


class RangesTest(unittest.TestCase):
    @settings(deadline=None)
    @given(pieces(), st.integers(0, 100), st.integers(0, 100))
    def test_every_place_is_in_or_out(self, added, one, other):
        start, stop = sorted((one, other))
        ranges = gathered(added)
        held = {place for first, last in added for place in range(first, last)}
        self.assertEqual(held, {place for first, last in ranges for place in range(first, last)})
        self.assertEqual(len(held), ranges.size)
        inside = {place for first, last in ranges.touching(start, stop) for place in range(first, last)}
        outside = {place for first, last in ranges.outside(start, stop) for place in range(first, last)}
        self.assertEqual(held & set(range(start, stop)), inside)
        self.assertEqual(set(range(start, stop)) - held, outside)
        self.assertTrue(all(first < last for first, last in ranges))
        self.assertTrue(all(one < other for one, other in zip(ranges.stops, ranges.starts[1:], strict=False)))

    @settings(deadline=None)
    @given(pieces(), st.integers(0, 10))
    def test_too_many_lose_some_and_gain_none(self, added, most):
        ranges = gathered(added, most)
        self.assertLessEqual(len(ranges), most)
        held = {place for first, last in added for place in range(first, last)}
        self.assertLessEqual({place for first, last in ranges for place in range(first, last)}, held)

    def test_the_largest_stay(self):
        ranges = gathered([(10 * n, 10 * n + (9 if n == 2 else 1 + n % 2)) for n in range(8)], 4)
        self.assertIn((20, 29), list(ranges))
        self.assertNotIn((0, 1), list(ranges))


class ClearRunsTest(unittest.TestCase):
    @settings(deadline=None)
    @given(st.binary(max_size=40), st.integers(0, 7))
    def test_every_bit(self, bitmap, cut):
        bits = max(0, 8 * len(bitmap) - cut)
        clear = [place for place in range(bits) if not bitmap[place >> 3] >> (place & 7) & 1]
        runs = list(clear_runs(bitmap, bits))
        self.assertEqual(clear, [place for first, last in runs for place in range(first, last)])
        self.assertEqual(len(clear), clear_count(bitmap, bits))
        self.assertTrue(all(one[1] < other[0] for one, other in itertools.pairwise(runs)))
