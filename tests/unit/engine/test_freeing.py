"""What is free, blank in all layers of a disk, and counted where it is stored."""

from __future__ import annotations

import dataclasses
import unittest

import ddt

from tests.faults.test_free_space import BASE, ext, put_super, sound
from tests.unit.guest.free.support import raw
from xenimage.engine.freeing import without_free
from xenimage.engine.mapper import bounded_extents, map_blocks
from xenimage.exceptions import NotReadyError
from xenimage.formats.base import DiskView, merged
from xenimage.limits import STRICT
from xenimage.model.extent import Kind


class Patchy(DiskView):
    """A disk that stores but every second stretch of 96 KiB, and leaves the rest to another."""

    STEP = 96 << 10

    def extents(self, offset, length):
        def ranges():
            at = offset
            while at < offset + length:
                stop = min(at - at % self.STEP + self.STEP, offset + length)
                yield at, stop - at, Kind.ABSENT if at // self.STEP % 2 else Kind.DATA
                at = stop

        return merged(ranges())


@ddt.ddt
class FreeingTest(unittest.TestCase):
    def test_only_what_is_stored_counts_as_left_out(self):
        free = ext(*BASE)[1]
        (blank,), space = without_free([Patchy(raw(sound()))], STRICT, "disk")
        held = sum(
            min(stop, at + Patchy.STEP) - max(start, at)
            for start, stop in free
            for at in range(0, len(sound()), 2 * Patchy.STEP)
            if max(start, at) < min(stop, at + Patchy.STEP)
        )
        self.assertEqual(held, space.dropped_size)
        self.assertEqual(sum(stop - start for start, stop in free), space.free_size)
        self.assertEqual(raw(sound()).facts, blank.facts)

    def test_each_layer_counts(self):
        free = sum(stop - start for start, stop in ext(*BASE)[1])
        layers, space = without_free([Patchy(raw(sound())), raw(sound())], STRICT, "disk")
        self.assertEqual(2, len(layers))
        self.assertEqual(free, space.free_size)
        self.assertGreater(space.dropped_size, free)

    @ddt.data(2, 5, 9, 40, 400)
    def test_the_limit_on_ranges_holds_with_what_is_blank(self, ranges):
        limits = dataclasses.replace(STRICT, ranges=ranges)
        (blank,), space = without_free([raw(sound())], limits, "disk")
        extents = list(bounded_extents(blank, limits))
        self.assertLessEqual(len(extents), ranges)
        self.assertEqual(space.free_size, sum(each.length for each in extents if each.kind is Kind.ZERO))
        map_blocks(blank, limits)
        self.assertEqual(ranges >= 5, bool(space.free_size))

    def test_a_refusal_names_the_disk(self):
        with self.assertRaises(NotReadyError) as caught:
            without_free([raw(put_super(sound(), (0x3A, b"\0\0")))], STRICT, "disk.raw")
        self.assertTrue(str(caught.exception).startswith("disk.raw: ext4 on the whole disk is not clean"))
