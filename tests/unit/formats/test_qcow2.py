"""The qcow2 reader against images whose content is a function of the offset."""

from __future__ import annotations

import array
import concurrent.futures
import datetime
import os
import struct

import ddt
import hypothesis
import hypothesis.strategies as st

from tests.base import TestCase
from tests.builders.pattern import pattern
from tests.builders.qcow2 import Image, State, Taken, expected
from xenimage.exceptions import UnsafeError, UnsupportedError, UsageError
from xenimage.formats.qcow2 import open_qcow2
from xenimage.formats.qcow2.tables import Cache, zeros_end
from xenimage.limits import STRICT
from xenimage.model.disk import ParentReference
from xenimage.model.extent import Extent, Kind
from xenimage.sources.file import FileSource, open_file
from xenimage.units import TIB

MIXED = ("plain", "plain", "absent", "packed", "packed", "packed", "zero", "zero-allocated", "plain", "packed", "plain")
MIXED_V2 = tuple("absent" if form.startswith("zero") else form for form in MIXED)
SUBCLUSTERED = (
    "plain",
    (0xFFFF0000, 0x0000FF00),
    "packed",
    (0x1, 0),
    "zero",
    (0, 0xF),
    "absent",
    (0xAAAAAAAA, 0),
    "plain",
)
BACKING_FORMAT = 0xE2792ACA
FEATURE_NAMES = 0x6803F857
DATA_FILE = 0x44415441
CRYPTO = 0x0537BE77

VARIANTS = {
    "v2": Image(state=State(size=700_928, forms=MIXED_V2), version=2),
    "v3": Image(state=State(size=720_896, forms=MIXED)),
    "v3 zstd": Image(state=State(size=700_416, forms=MIXED), compression=1),
    "512": Image(state=State(size=90_112, forms=MIXED * 16), cluster_bits=9),
    "4k": Image(state=State(size=45_056, forms=MIXED), cluster_bits=12),
    "2M": Image(state=State(size=5 << 20, forms=("plain", "packed", "packed")), cluster_bits=21),
    "extended": Image(state=State(size=147_456, forms=SUBCLUSTERED), cluster_bits=14, extended=True),
    "extended 64k zstd": Image(state=State(size=589_312, forms=SUBCLUSTERED), extended=True, compression=1),
}

UNREADABLE = {
    "unknown feature": ({"incompatible": 1 << 5}, UnsupportedError, r"incompatible features 5 \(unnamed\)"),
    "named feature": (
        {"incompatible": 1 << 63, "extensions": ((FEATURE_NAMES, b"\x00\x3fmagic".ljust(48, b"\0")),)},
        UnsupportedError,
        r"features 63 \(magic\)",
    ),
    "AES": ({"encryption": 1}, UnsupportedError, r"encrypted \(AES\)"),
    "LUKS": ({"encryption": 2, "extensions": ((CRYPTO, bytes(16)),)}, UnsupportedError, r"encrypted \(LUKS\)"),
    "method 7": ({"encryption": 7}, UnsupportedError, r"encrypted \(method 7\)"),
    "crypto header alone": ({"extensions": ((CRYPTO, bytes(16)),)}, UnsupportedError, "encrypted"),
    "data file": (
        {"incompatible": 1 << 2, "extensions": ((DATA_FILE, b"/etc/shadow"),)},
        UnsafeError,
        "another file, '/etc/shadow', which is never opened",
    ),
    "compression type": ({"compression": 2}, UnsupportedError, "compression type 2, expected 0"),
}


class CountingSource(FileSource):
    """Counts what is read."""

    calls = 0
    count = 0

    def read_into(self, offset: int, buffer: memoryview) -> None:
        self.calls += 1
        self.count += len(buffer)
        super().read_into(offset, buffer)


class Qcow2TestCase(TestCase):
    def open(self, image, **options):
        disk = open_qcow2(open_file(image.write(self.scratch / "i.qcow2")), STRICT, **options)
        self.addCleanup(disk.close)
        return disk

    def read(self, disk, offset=0, length=None):
        buffer = bytearray(b"\xee" * (disk.facts.virtual_size - offset if length is None else length))
        disk.read_into(offset, memoryview(buffer))
        return bytes(buffer)


@ddt.ddt
class ContentTest(Qcow2TestCase):
    @ddt.data(*VARIANTS)
    def test_reads_whole(self, name):
        image = VARIANTS[name]
        self.assertEqual(expected(image.state, image.cluster_size), self.read(self.open(image)))

    @ddt.data(*VARIANTS)
    def test_any_slice_is_the_same(self, name):
        image = VARIANTS[name]
        disk = self.open(image)
        whole = expected(image.state, image.cluster_size)

        @hypothesis.settings(max_examples=60, deadline=None, database=None)
        @hypothesis.given(st.data())
        def check(data):
            offset = data.draw(st.integers(0, len(whole)))
            length = data.draw(st.integers(0, min(len(whole) - offset, 3 * image.cluster_size)))
            self.assertEqual(whole[offset : offset + length], self.read(disk, offset, length))

        check()

    @ddt.data(*VARIANTS)
    def test_extents_cover_any_range_and_agree_with_the_content(self, name):
        image = VARIANTS[name]
        disk = self.open(image)
        whole = expected(image.state, image.cluster_size)

        @hypothesis.settings(max_examples=40, deadline=None, database=None)
        @hypothesis.given(st.data())
        def check(data):
            offset = data.draw(st.integers(0, len(whole)))
            length = data.draw(st.integers(0, len(whole) - offset))
            position, before = offset, None
            for extent in disk.extents(offset, length):
                self.assertEqual(position, extent.offset)
                self.assertGreater(extent.length, 0)
                self.assertIsNot(before, extent.kind)
                if extent.kind is not Kind.DATA:
                    self.assertEqual(bytes(extent.length), whole[extent.offset : extent.end])
                position, before = extent.end, extent.kind
            self.assertEqual(offset + length, position)

        check()

    def test_kinds(self):
        disk = self.open(Image(state=State(size=11 << 16, forms=MIXED)))
        unit = 1 << 16
        self.assertEqual(
            [
                Extent(0, 2 * unit, Kind.DATA),
                Extent(2 * unit, unit, Kind.ABSENT),
                Extent(3 * unit, 3 * unit, Kind.DATA),
                Extent(6 * unit, 2 * unit, Kind.ZERO),
                Extent(8 * unit, 3 * unit, Kind.DATA),
            ],
            list(disk.extents(0, disk.facts.virtual_size)),
        )

    def test_kinds_of_subclusters(self):
        image = Image(state=State(size=1 << 16, forms=((0x1, 0xC),)), extended=True)
        self.assertEqual(
            [
                Extent(0, 2048, Kind.DATA),
                Extent(2048, 2048, Kind.ABSENT),
                Extent(4096, 4096, Kind.ZERO),
                Extent(8192, 57344, Kind.ABSENT),
            ],
            list(self.open(image).extents(0, 1 << 16)),
        )

    def test_several_threads(self):
        image = Image(state=State(size=64 << 12, forms=("plain", "packed") * 32), cluster_bits=12)
        disk = self.open(image)
        whole = expected(image.state, image.cluster_size)

        def work(seed):
            return all(
                self.read(disk, offset, 5000) == whole[offset : offset + 5000]
                for offset in range(seed * 100, len(whole) - 5000, 1013)
            )

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            self.assertTrue(all(pool.map(work, range(8))))

    def test_the_cut_last_cluster_of_the_file_ends_in_zeros(self):
        image = Image(state=State(size=2 << 16, forms=("absent", "plain")))
        data = image.build()
        cut = image.at["data"] + 1000
        # The tables stand behind the data: bring them in front by building without content behind the cut.
        tables = data[image.at["l2"] :]
        moved = bytearray(data[: image.at["data"]] + tables + bytes(-len(tables) % (1 << 16)))
        shift = image.at["l2"] - image.at["data"]
        struct.pack_into(">Q", moved, 40, image.at["l1"] - shift)
        struct.pack_into(">Q", moved, image.at["l1"] - shift, image.at["l2"] - shift)
        struct.pack_into(">Q", moved, image.at["l2"] - shift + 8, len(moved))
        path = self.scratch / "cut.qcow2"
        path.write_bytes(bytes(moved) + data[image.at["data"] : cut])
        disk = open_qcow2(open_file(path), STRICT)
        self.addCleanup(disk.close)
        self.assertEqual(bytes(1 << 16) + pattern(1 << 16, 1000) + bytes(65536 - 1000), self.read(disk))
        self.assertEqual(bytes(20), self.read(disk, (1 << 16) + 5000, 20))

    def test_a_range_outside_is_the_callers_bug(self):
        disk = self.open(VARIANTS["v3"])
        for act in (lambda: self.read(disk, 720_890, 7), lambda: disk.extents(-1, 5)):
            with self.assertRaises(ValueError):
                act()

    def test_an_empty_disk(self):
        disk = self.open(Image(state=State(size=0)))
        self.assertEqual((b"", []), (self.read(disk), list(disk.extents(0, 0))))


class CostTest(Qcow2TestCase):
    def count(self, image):
        path = image.write(self.scratch / "c.qcow2")
        with open(path, "rb") as stream:
            source = CountingSource(stream.fileno(), "c.qcow2")
            disk = open_qcow2(source, STRICT)
            list(disk.extents(0, disk.facts.virtual_size))
            source.calls = source.count = 0
            self.read(disk)
            return source.calls, source.count, source.size

    def test_plain_neighbours_are_one_read(self):
        calls, count, _ = self.count(Image(state=State(size=32 << 16, forms=("plain",) * 32)))
        self.assertEqual((1, 32 << 16), (calls, count))

    def test_plain_neighbours_are_one_read_across_tables(self):
        image = Image(state=State(size=512 << 9, forms=("plain",) * 512), cluster_bits=9)
        calls, count, _ = self.count(image)
        self.assertEqual((1, 512 << 9), (calls, count))

    def test_compressed_neighbours_are_one_read(self):
        calls, count, size = self.count(Image(state=State(size=32 << 16, forms=("packed",) * 32)))
        self.assertEqual(1, calls)
        self.assertLess(count, size)

    def test_small_reads_in_a_compressed_cluster_inflate_once(self):
        path = Image(state=State(size=1 << 16, forms=("packed",))).write(self.scratch / "c.qcow2")
        with open(path, "rb") as stream:
            source = CountingSource(stream.fileno(), "c.qcow2")
            disk = open_qcow2(source, STRICT)
            self.read(disk, 0, 512)
            calls = source.calls
            self.assertEqual(pattern(512, 4096), self.read(disk, 512, 4096))
            self.assertEqual(calls, source.calls)

    def test_an_empty_disk_of_two_tebibytes_is_mapped_at_once(self):
        disk = self.open(Image(state=State(size=2 * TIB)))
        self.assertEqual([Extent(0, 2 * TIB, Kind.ABSENT)], list(disk.extents(0, 2 * TIB)))

    def test_tables_of_zeros_map_nothing(self):
        image = Image(state=State(size=2 * TIB, forms=("plain",)), cluster_bits=16)
        data = bytearray(image.build())
        zeros = [len(data) + (index << 16) for index in range(511)]
        struct.pack_into(">511Q", data, image.at["l1"] + 8, *zeros)
        path = self.scratch / "z.qcow2"
        path.write_bytes(data)
        os.truncate(path, zeros[-1] + (1 << 16))
        disk = open_qcow2(open_file(path), STRICT)
        self.addCleanup(disk.close)
        found = list(disk.extents(0, 2 * TIB))
        self.assertEqual([Extent(0, 65536, Kind.DATA), Extent(65536, 2 * TIB - 65536, Kind.ABSENT)], found)

    def test_cache_drops_what_was_not_used_for_longest(self):
        cache = Cache(3000)
        for key in (1, 2, 3):
            cache.put(key, str(key), 1000 - 256)
        cache.get(1)
        cache.put(4, "4", 100)
        self.assertEqual(["1", None, "3", "4"], [cache.get(key) for key in (1, 2, 3, 4)])
        cache.put(5, "5", 1 << 30)
        self.assertEqual([None, None, "5"], [cache.get(key) for key in (1, 4, 5)])


class FactsTest(Qcow2TestCase):
    def test_version_3(self):
        disk = self.open(
            Image(
                state=State(size=1 << 20),
                compatible=1,
                backing=b"../base.qcow2",
                extensions=((0x12345678, b"unknown"), (BACKING_FORMAT, b"qcow2")),
            )
        )
        facts = disk.facts
        self.assertEqual(
            ("qcow2", "v3", 1 << 20, 1 << 16), (facts.format, facts.variant, facts.virtual_size, facts.granularity)
        )
        self.assertEqual(ParentReference(name="../base.qcow2", format="qcow2"), facts.parent)
        self.assertEqual((True, ()), (facts.compressed, facts.findings))
        self.assertEqual(
            {
                "cluster size": "64 KiB",
                "compression type": "zlib",
                "refcount bits": "16",
                "lazy refcounts": "yes",
                "extended L2": "no",
                "backing file": "../base.qcow2",
                "backing format": "qcow2",
            },
            dict(facts.details),
        )
        self.assertIsNone(disk.unreadable())

    def test_version_2_with_a_parent_of_unknown_format(self):
        facts = self.open(Image(state=State(size=1 << 20), version=2, backing=b"b\xff.img")).facts
        self.assertEqual("v2", facts.variant)
        self.assertEqual(ParentReference(name="b\\xff.img"), facts.parent)
        self.assertIn(("backing format", "not recorded"), facts.details)

    def test_granularity_of_subclusters(self):
        facts = self.open(Image(state=State(size=1 << 20), extended=True)).facts
        self.assertEqual(2048, facts.granularity)
        self.assertIn(("extended L2", "yes"), facts.details)

    def test_dirty_and_corrupt_are_findings(self):
        disk = self.open(Image(state=State(size=1 << 16, forms=("plain",)), incompatible=0b11))
        self.assertEqual(["qcow2.corrupt", "qcow2.dirty"], [finding.code for finding in disk.facts.findings])
        self.assertIn("may be wrong", disk.facts.findings[0].why)
        self.assertEqual(pattern(0, 1 << 16), self.read(disk))

    def test_a_size_of_no_whole_sectors_is_rounded_up(self):
        disk = self.open(Image(state=State(size=1000, forms=("plain",))))
        self.assertEqual((1024, ["qcow2.size"]), (disk.facts.virtual_size, [f.code for f in disk.facts.findings]))
        self.assertEqual(pattern(0, 1024), self.read(disk))

    def test_an_older_header_of_version_3(self):
        image = Image(state=State(size=1 << 16, forms=("plain",)), header_length=104)
        self.assertEqual(pattern(0, 1 << 16), self.read(self.open(image)))


@ddt.ddt
class UnreadableTest(Qcow2TestCase):
    @ddt.data(*UNREADABLE)
    def test_says_why_and_still_shows_its_facts(self, name):
        options, error, text = UNREADABLE[name]
        disk = self.open(Image(state=State(size=1 << 20, forms=("plain",)), **options))
        self.assertEqual(1 << 20, disk.facts.virtual_size)
        self.assertEqual(1, str(disk.unreadable()).count("i.qcow2"))
        with self.assertRaisesRegex(error, text) as first:
            self.read(disk, 0, 512)
        with self.assertRaisesRegex(error, text) as second:
            disk.extents(0, 512)
        self.assertIsNot(first.exception, second.exception)
        self.assertIs(error, type(disk.unreadable()))


class SnapshotTest(Qcow2TestCase):
    IMAGE = Image(
        state=State(size=3 << 16, forms=("plain", "packed", "absent"), seed=9),
        taken=(
            Taken(identity="1", name="first", state=State(size=1 << 16, forms=("packed",), seed=1)),
            Taken(
                identity="2", name="twice", state=State(size=2 << 16, forms=("zero", "plain"), seed=2), vm_state_size=77
            ),
            Taken(identity="3", name="twice", state=State(size=4 << 16, forms=("plain",) * 4, seed=3)),
            Taken(identity="4", name="1", state=State(size=1 << 16, forms=("plain",), seed=4)),
        ),
    )

    def test_each_has_its_own_content_and_size(self):
        self.assertEqual(expected(self.IMAGE.state, 1 << 16), self.read(self.open(self.IMAGE)))
        for taken in self.IMAGE.taken:
            disk = self.open(self.IMAGE, snapshot=taken.identity)
            self.assertEqual(taken.state.size, disk.facts.virtual_size)
            self.assertEqual(expected(taken.state, 1 << 16), self.read(disk))

    def test_an_id_goes_before_a_name(self):
        self.assertEqual(pattern(0, 1 << 16, 1), self.read(self.open(self.IMAGE, snapshot="1")))
        self.assertEqual(pattern(0, 1 << 16, 1), self.read(self.open(self.IMAGE, snapshot="first")))

    def test_an_ambiguous_name_is_refused(self):
        with self.assertRaisesRegex(UsageError, "'twice' exists 2 times, with the ids 2, 3"):
            self.open(self.IMAGE, snapshot="twice")

    def test_an_unknown_name_lists_those_that_exist(self):
        with self.assertRaisesRegex(UsageError, "no snapshot 'x', expected one of those that exist: 1 'first' 2023"):
            self.open(self.IMAGE, snapshot="x")
        with self.assertRaisesRegex(UsageError, "no snapshots"):
            self.open(Image(state=State(size=512)), snapshot="x")

    def test_are_listed(self):
        disk = self.open(self.IMAGE)
        self.assertEqual(["1", "2", "3", "4"], [snapshot.identity for snapshot in disk.snapshots])
        self.assertEqual(datetime.datetime(2023, 11, 14, 22, 13, 20, tzinfo=datetime.UTC), disk.snapshots[0].date)
        listed = [value for name, value in disk.facts.details if name == "snapshot"]
        self.assertEqual("1 'first' 2023-11-14T22:13:20Z", listed[0])
        self.assertEqual("2 'twice' 2023-11-14T22:13:20Z, with VM state", listed[1])

    def test_names_without_measure_are_cut(self):
        state = State(size=512)
        taken = Taken(identity="i" * 65535, name="n" * 65535, state=state)
        (snapshot,) = self.open(Image(state=state, taken=(taken,))).snapshots
        self.assertEqual(("i" * 1023, "n" * 1023), (snapshot.identity, snapshot.name))

    def test_unknown_features_hide_them(self):
        image = Image(state=State(size=512), incompatible=1 << 5, taken=self.IMAGE.taken)
        self.assertIn("features 5", str(self.open(image, snapshot="1").unreadable()))

    def test_those_of_an_encrypted_disk_are_listed(self):
        disk = self.open(Image(state=State(size=512), encryption=1, taken=self.IMAGE.taken), snapshot="2")
        self.assertEqual((4, 2 << 16), (len(disk.snapshots), disk.facts.virtual_size))

    def test_an_old_entry_without_a_size_has_that_of_the_disk(self):
        taken = Taken(identity="1", name="", state=State(size=1 << 16, forms=("plain",), seed=5), extra=b"")
        for extra in (b"", bytes(8)):
            image = Image(
                state=State(size=1 << 16),
                version=2,
                taken=(Taken(identity=taken.identity, name="", state=taken.state, extra=extra),),
            )
            disk = self.open(image, snapshot="1")
            self.assertEqual(pattern(0, 1 << 16, 5), self.read(disk))


class HelperTest(TestCase):
    def test_zeros_end(self):
        for count, place in ((0, 0), (3, 1), (2000, 0), (2000, 511), (2000, 512), (2000, 1999), (1024, 1024)):
            entries = array.array("Q", bytes(8 * count))
            if place < count:
                entries[place] = 1 << 40
            self.assertEqual(place, zeros_end(entries, 0, count))
            self.assertEqual(min(place, count // 2), zeros_end(entries, 0, count // 2))
