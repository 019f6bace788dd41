"""A child over its parent: who answers where."""

from __future__ import annotations

import unittest

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders.vhd import CREATORS, DIFFERENCING, DYNAMIC, MemorySource, Vhd
from xenimage.exceptions import UnsupportedError
from xenimage.formats.overlay import Overlay
from xenimage.formats.vhd.reader import open_vhd
from xenimage.limits import STRICT
from xenimage.model.extent import Extent, Kind
from xenimage.units import KIB, SECTOR

BLOCK = 16 * KIB
SECTORS = BLOCK // SECTOR


def image(size, kind, blocks, seed):
    return Vhd(
        size=size, kind=kind, block_size=BLOCK, blocks=blocks, seed=seed, creator=CREATORS["qem2"], parent=b"\1" * 16
    ).build()


def opened(one):
    return open_vhd(MemorySource(one.data), STRICT)


def read(disk, offset, length):
    buffer = bytearray(b"\xaa" * length)
    disk.read_into(offset, memoryview(buffer))
    return bytes(buffer)


@st.composite
def layers(draw):
    """Two to four images, the root first, of sizes that differ."""
    made = []
    for level in range(draw(st.integers(2, 4))):
        count = draw(st.integers(1, 4))
        sectors = st.lists(st.integers(0, SECTORS - 1), unique=True).map(sorted) | st.just(list(range(SECTORS)))
        blocks = draw(st.dictionaries(st.integers(0, count - 1), sectors))
        made.append(image(count * BLOCK, DIFFERENCING if level else DYNAMIC, blocks, level + 1))
    return made


class OverlayTest(unittest.TestCase):
    @settings(max_examples=150, deadline=None)
    @given(layers(), st.data())
    def test_any_slice_of_any_chain(self, made, data):
        content = made[0].content()
        disk = opened(made[0])
        for one in made[1:]:
            content = one.content(content)
            disk = Overlay(opened(one), disk)
        self.assertEqual(len(content), disk.facts.virtual_size)
        offset = data.draw(st.integers(0, len(content)))
        length = data.draw(st.integers(0, len(content) - offset))
        self.assertEqual(content[offset : offset + length], read(disk, offset, length))
        position, last = offset, None
        for extent in disk.extents(offset, length):
            self.assertEqual(position, extent.offset)
            self.assertGreater(extent.length, 0)
            self.assertNotEqual(last, extent.kind)
            if extent.kind is not Kind.DATA:
                self.assertFalse(any(content[extent.offset : extent.end]))
            position, last = extent.end, extent.kind
        self.assertEqual(offset + length, position)

    def test_behind_the_end_of_a_shorter_parent_stand_zeros(self):
        parent = image(BLOCK, DYNAMIC, {0: range(SECTORS)}, 1)
        disk = Overlay(opened(image(2 * BLOCK, DIFFERENCING, {}, 2)), opened(parent))
        self.assertEqual(
            [Extent(0, BLOCK, Kind.DATA), Extent(BLOCK, BLOCK, Kind.ZERO)], list(disk.extents(0, 2 * BLOCK))
        )
        self.assertEqual(parent.content() + bytes(BLOCK), read(disk, 0, 2 * BLOCK))
        self.assertEqual(bytes(5), read(disk, BLOCK + 3, 5))

    def test_facts_are_the_childs_with_the_parents_weight(self):
        child = image(2 * BLOCK, DIFFERENCING, {}, 2)
        parent = image(BLOCK, DYNAMIC, {0: range(SECTORS)}, 1)
        parent.footer("checksum", 1, front=False)
        facts = Overlay(opened(child), opened(parent)).facts
        self.assertEqual((2 * BLOCK, "differencing"), (facts.virtual_size, facts.variant))
        self.assertEqual(len(child.data) + len(parent.data), facts.stored_size)
        self.assertIn("vhd.footer.end", [finding.code for finding in facts.findings])

    def test_unreadable_parent_makes_it_unreadable(self):
        parent = image(BLOCK, DYNAMIC, {}, 1)
        parent.footer("cookie", b"v_poison")
        disk = Overlay(opened(image(BLOCK, DIFFERENCING, {}, 2)), opened(parent))
        self.assertIsInstance(disk.unreadable(), UnsupportedError)

    def test_range_outside_is_the_callers_bug(self):
        disk = Overlay(opened(image(BLOCK, DIFFERENCING, {}, 2)), opened(image(BLOCK, DYNAMIC, {}, 1)))
        with self.assertRaises(ValueError):
            read(disk, BLOCK, 1)

    def test_close_closes_both(self):
        sources = [MemorySource(image(BLOCK, kind, {}, 1).data) for kind in (DIFFERENCING, DYNAMIC)]
        Overlay(*(open_vhd(source, STRICT) for source in sources)).close()
        self.assertTrue(all(source.closed for source in sources))
