"""A disk with ranges that read as zeros."""

from __future__ import annotations

import unittest

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders.pattern import pattern
from tests.builders.vhd import CREATORS, DIFFERENCING, DYNAMIC, MemorySource, Vhd
from xenimage.formats.blanked import Blanked
from xenimage.formats.overlay import Overlay
from xenimage.formats.vhd.reader import open_vhd
from xenimage.limits import STRICT
from xenimage.model.extent import Kind
from xenimage.units import KIB, SECTOR

BLOCK = 16 * KIB
SECTORS = BLOCK // SECTOR


def image(kind, blocks, seed):
    return Vhd(
        size=4 * BLOCK,
        kind=kind,
        block_size=BLOCK,
        blocks=blocks,
        seed=seed,
        creator=CREATORS["qem2"],
        parent=b"\1" * 16,
    ).build()


class Recording:
    """A disk that notes which ranges are read of it."""

    def __init__(self, disk):
        self._disk = disk
        self.facts = disk.facts
        self.extents = disk.extents
        self.read = []

    def read_into(self, offset, buffer):
        self.read.append((offset, len(buffer)))
        self._disk.read_into(offset, buffer)


@st.composite
def ranges(draw):
    at, starts, stops = 0, [], []
    for gap, length in draw(st.lists(st.tuples(st.integers(1, 20), st.integers(1, 40)), max_size=8)):
        starts.append((at + gap) * SECTOR)
        stops.append((at + gap + length) * SECTOR)
        at += gap + length
    return starts, stops


class BlankedTest(unittest.TestCase):
    @settings(max_examples=150, deadline=None)
    @given(st.dictionaries(st.integers(0, 3), st.lists(st.integers(0, SECTORS - 1), unique=True).map(sorted)), ranges(),
           st.data())  # fmt: skip
    def test_any_slice_also_over_a_parent(self, blocks, blank, data):
        base = image(DYNAMIC, dict.fromkeys(range(4), range(SECTORS)), 1)
        child = image(DIFFERENCING, blocks, 2)
        expected = bytearray(child.content(base.content()))
        for start, stop in zip(*blank, strict=True):
            length = max(0, min(stop, len(expected)) - start)
            expected[start : start + length] = bytes(length)
        upper = Blanked(open_vhd(MemorySource(child.data), STRICT), *blank)
        disk = Overlay(upper, open_vhd(MemorySource(base.data), STRICT))
        offset = data.draw(st.integers(0, len(expected)))
        length = data.draw(st.integers(0, len(expected) - offset))
        buffer = bytearray(b"\xaa" * length)
        disk.read_into(offset, memoryview(buffer))
        self.assertEqual(expected[offset : offset + length], buffer)
        at, last = offset, None
        for extent in upper.extents(offset, length):
            self.assertEqual(at, extent.offset)
            self.assertNotEqual(last, extent.kind)
            at, last = extent.end, extent.kind
            self.assertTrue(extent.kind is not Kind.ZERO or not any(expected[extent.offset : extent.end]))
        self.assertEqual(offset + length, at)
        whole = [(e.offset, e.end) for e in upper.extents(0, len(expected)) if e.kind is Kind.ZERO]
        for start, end in zip(*blank, strict=True):
            stop = min(end, len(expected))
            self.assertTrue(start >= stop or any(first <= start and stop <= last for first, last in whole))

    def test_what_is_blank_at_either_end_is_not_read(self):
        base = image(DYNAMIC, dict.fromkeys(range(4), range(SECTORS)), 1)
        below = Recording(open_vhd(MemorySource(base.data), STRICT))
        disk = Blanked(below, [0, 6 * SECTOR, 10 * SECTOR], [4 * SECTOR, 7 * SECTOR, BLOCK])
        buffer = bytearray(BLOCK)
        disk.read_into(0, memoryview(buffer))
        self.assertEqual([(4 * SECTOR, 6 * SECTOR)], below.read)
        self.assertEqual(pattern(4 * SECTOR, 2 * SECTOR, 1), bytes(buffer[4 * SECTOR : 6 * SECTOR]))
        self.assertFalse(any(buffer[6 * SECTOR : 7 * SECTOR]))
        disk.read_into(SECTOR, memoryview(buffer)[:SECTOR])
        self.assertEqual(1, len(below.read))
        self.assertFalse(any(buffer[:SECTOR]))
