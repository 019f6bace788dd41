"""What changed between two views of one qcow2 image: found in its tables, without reading data."""

from __future__ import annotations

import ddt

from tests.base import TestCase
from tests.builders.pattern import pattern
from tests.builders.qcow2 import Image, State, Taken, expected
from tests.builders.vhd import MemorySource
from xenimage.formats.overlay import Overlay
from xenimage.formats.qcow2 import open_qcow2
from xenimage.formats.qcow2.difference import Difference
from xenimage.formats.raw import RawDisk
from xenimage.limits import STRICT
from xenimage.model.extent import Kind

KIB = 1 << 10
A, D, Z = Kind.ABSENT, Kind.DATA, Kind.ZERO

# (what the older view has, what the newer one has, with the same content) and what becomes of it: without a parent of
# the image, and over one of data.
CHANGES = (
    ("absent", "absent", True, A, A),
    ("absent", "plain", True, D, D),
    ("absent", "packed", True, D, D),
    ("absent", "zero", True, A, Z),
    ("plain", "absent", True, Z, D),
    ("plain", "plain", True, A, A),
    ("plain", "plain", False, D, D),
    ("plain", "packed", True, D, D),
    ("plain", "zero", True, Z, Z),
    ("packed", "absent", True, Z, D),
    ("packed", "plain", True, D, D),
    ("packed", "packed", True, A, A),
    ("packed", "packed", False, D, D),
    ("packed", "zero", True, Z, Z),
    ("zero", "absent", True, A, D),
    ("zero", "plain", True, D, D),
    ("zero", "zero", True, A, A),
    ("zero", "zero-allocated", True, A, A),
)


class DifferenceTestCase(TestCase):
    def image(self, older: State, newer: State, **options: object) -> tuple[Image, Difference, bytes]:
        """The image, the difference of its active state to its only snapshot, and its parent's content."""
        options = {"shared": True, **options}
        image = Image(state=newer, taken=(Taken(identity="1", name="old", state=older),), **options)  # type: ignore[arg-type]
        data = image.build()
        new = open_qcow2(MemorySource(data), STRICT)
        old = open_qcow2(MemorySource(data), STRICT, snapshot="1")
        base, view = b"", new
        if image.backing:
            base = pattern(0, older.size, seed=99)
            view = Overlay(new, RawDisk(MemorySource(base)))
        return image, Difference(new, old, view, "snapshot old"), base

    def kinds(self, disk: Difference, unit: int = 64 * KIB) -> list[Kind]:
        """Of each unit of so many bytes."""
        size = disk.facts.virtual_size
        return [next(iter(disk.extents(at, min(unit, size - at)))).kind for at in range(0, size, unit)]

    def read(self, disk: Difference, offset: int, length: int) -> bytes:
        buffer = bytearray(b"\xcc" * length)
        disk.read_into(offset, memoryview(buffer))
        return bytes(buffer)


@ddt.ddt
class TableTest(DifferenceTestCase):
    @ddt.data(*((bits, extended) for bits in (9, 12, 16) for extended in (False, True) if not extended or bits >= 14))
    @ddt.unpack
    def test_every_change(self, bits, extended):
        cluster = 1 << bits
        size = len(CHANGES) * cluster
        for column, backing in ((3, b""), (4, b"base.raw")):
            for same in (True, False):
                cases = [(number, case) for number, case in enumerate(CHANGES) if case[2] is same]
                older = State(size=size, forms=tuple(case[0] for case in CHANGES), seed=1)
                newer = State(size=size, forms=tuple(case[1] for case in CHANGES), seed=1 if same else 2)
                _, disk, base = self.image(older, newer, cluster_bits=bits, extended=extended, backing=backing)
                for number, case in cases:
                    kinds = {each.kind for each in disk.extents(number * cluster, cluster)}
                    self.assertEqual({case[column]}, kinds, (case[:3], backing))
                    if case[column] is D:
                        wanted = expected(newer, cluster)[number * cluster : (number + 1) * cluster]
                        if case[1] == "absent":
                            wanted = base[number * cluster : (number + 1) * cluster]
                        self.assertEqual(wanted, self.read(disk, number * cluster, cluster), case[:3])
                    else:
                        self.assertEqual(bytes(cluster), self.read(disk, number * cluster, cluster))

    def test_a_range_that_the_parent_has_nothing_of_is_zero(self):
        """Not data: no store would hold it, and the limits would call it a bomb."""
        image = Image(
            state=State(size=256 * KIB),
            taken=(Taken(identity="1", name="old", state=State(size=256 * KIB, forms=("zero",) * 4)),),
            backing=b"base.qcow2",
        )
        data = image.build()
        base = Image(state=State(size=256 * KIB, forms=("absent", "plain", "zero"))).build()
        new = open_qcow2(MemorySource(data), STRICT)
        view = Overlay(new, open_qcow2(MemorySource(base), STRICT))
        disk = Difference(new, open_qcow2(MemorySource(data), STRICT, snapshot="1"), view, "snapshot old")
        self.assertEqual([Z, D, Z, Z], self.kinds(disk))

    def test_compressed_clusters_of_subclusters(self):
        """An entry is of a cluster; what the format allocates is a subcluster."""
        forms = ("packed", "packed", "packed", "plain")
        older, newer = (State(size=256 * KIB, forms=forms[:count], seed=1) for count in (3, 4))
        _, disk, _ = self.image(older, newer, extended=True)
        self.assertEqual(2 * KIB, disk.facts.granularity)
        found = [(each.offset, each.length, each.kind) for each in disk.extents(0, 256 * KIB)]
        self.assertEqual([(0, 192 * KIB, A), (192 * KIB, 64 * KIB, D)], found)
        for start, length in ((1024, 512), (63 * KIB, 2 * KIB), (5 * KIB, 130 * KIB)):
            self.assertEqual({A}, {each.kind for each in disk.extents(start, length)})

    def test_subclusters_one_by_one(self):
        older = State(size=64 * KIB, forms=((0b0110, 0b0001),), seed=1)
        newer = State(size=64 * KIB, forms=((0b1010, 0b0000),), seed=2)
        _, disk, base = self.image(older, newer, extended=True, backing=b"base.raw")
        # Data that the newer one has; the parent's, where the older had zeros or data.
        part = 2 * KIB
        self.assertEqual([D, D, D, D, *[A] * 28], self.kinds(disk, part))
        self.assertEqual(base[:part], self.read(disk, 0, part))
        self.assertEqual(pattern(part, part, 2), self.read(disk, part, part))
        self.assertEqual(base[2 * part : 3 * part], self.read(disk, 2 * part, part))
        self.assertEqual(pattern(3 * part, part, 2), self.read(disk, 3 * part, part))


@ddt.ddt
class SizeTest(DifferenceTestCase):
    def test_behind_the_end_of_the_older(self):
        older = State(size=100 * KIB, forms=("plain", "plain"), seed=1)
        newer = State(size=256 * KIB, forms=("plain", "plain", "zero", "plain"), seed=1)
        _, disk, _ = self.image(older, newer)
        self.assertEqual(256 * KIB, disk.facts.virtual_size)
        # The second cluster is shared, and what of it lies behind the older's end shows nothing there.
        found = [(each.offset // KIB, each.length // KIB, each.kind) for each in disk.extents(0, 256 * KIB)]
        self.assertEqual([(0, 100, A), (100, 28, D), (128, 64, A), (192, 64, D)], found)
        self.assertEqual(pattern(100 * KIB, 28 * KIB, 1), self.read(disk, 100 * KIB, 28 * KIB))

    def test_of_a_newer_that_is_smaller(self):
        older = State(size=256 * KIB, forms=("plain",) * 4, seed=1)
        newer = State(size=100 * KIB, forms=("plain", "zero"), seed=1)
        _, disk, _ = self.image(older, newer)
        found = [(each.offset // KIB, each.length // KIB, each.kind) for each in disk.extents(0, 100 * KIB)]
        self.assertEqual([(0, 64, A), (64, 36, Z)], found)

    @ddt.data((0, 512), (1, 1), (65535, 2), (65536, 65536), (70_000, 130_000), (0, 0), (262144, 0))
    @ddt.unpack
    def test_any_range_is_covered_once(self, offset, length):
        older = State(size=256 * KIB, forms=("plain", "packed", "packed", "zero"), seed=1)
        newer = State(size=256 * KIB, forms=("plain", "packed", "plain", "plain"), seed=1)
        _, disk, _ = self.image(older, newer)
        at = offset
        for each in disk.extents(offset, length):
            self.assertEqual(at, each.offset)
            self.assertGreater(each.length, 0)
            at = each.end
        self.assertEqual(offset + length, at)

    def test_outside(self):
        state = State(size=64 * KIB)
        _, disk, _ = self.image(state, state)
        with self.assertRaises(ValueError):
            disk.extents(0, 64 * KIB + 1)


class FactsTest(DifferenceTestCase):
    def test_it_is_a_child_of_the_snapshot(self):
        state = State(size=64 * KIB, forms=("plain",))
        _, disk, _ = self.image(state, state)
        self.assertEqual("snapshot old", disk.facts.parent.name)
        self.assertEqual("qcow2", disk.facts.format)
        self.assertIsNone(disk.unreadable())

    def test_its_findings_are_left_to_the_oldest_layer(self):
        state = State(size=64 * KIB, forms=("plain",))
        _, disk, _ = self.image(state, state, incompatible=1)
        self.assertEqual((), disk.facts.findings)

    def test_what_is_read_of_the_parents_counts(self):
        state = State(size=64 * KIB, forms=("plain",))
        image, disk, base = self.image(state, state, backing=b"base.raw")
        self.assertEqual(len(image.body) + len(base), disk.facts.stored_size)
        self.assertEqual(b"", self.image(state, state)[2])
