"""Every count and offset of a qcow2 image, broken: each is refused by a named error, at once and without memory."""

from __future__ import annotations

import dataclasses
import random
import struct
import tracemalloc
import unittest.mock

import ddt
import hypothesis
import hypothesis.strategies as st

from tests.base import TestCase
from tests.builders.pattern import pattern
from tests.builders.qcow2 import Image, State, Taken
from xenimage.exceptions import FormatError, LimitError, TransferError, UnsupportedError, XenimageError
from xenimage.formats.qcow2 import open_qcow2
from xenimage.limits import STRICT
from xenimage.model.extent import Kind
from xenimage.sources.file import open_file

CLUSTER = 1 << 16
BASE = Image(
    state=State(size=8 * CLUSTER, forms=("plain", "packed", "packed", "zero", "zero-allocated", "plain")),
    backing=b"base.img",
    extensions=((0xE2792ACA, b"raw"),),
    taken=(
        Taken(identity="1", name="one", state=State(size=CLUSTER, forms=("plain",), seed=1)),
        Taken(identity="2", name="two", state=State(size=CLUSTER, forms=("packed",), seed=2)),
    ),
)
DATA = BASE.build()
ZSTD = Image(state=BASE.state, compression=1)
ZSTD.build()
EXTENDED = Image(state=State(size=4 * CLUSTER, forms=((0xFFFF, 0xFF0000), "packed", "plain", "absent")), extended=True)
EXTENDED.build()
VERSION_2 = Image(state=State(size=CLUSTER, forms=("plain",)), version=2)
VERSION_2.build()
FIRST_EXTENSION, SNAPSHOTS, L1, L2, PACKED = (
    BASE.at[name] for name in ("extensions", "snapshots", "l1", "l2", "packed")
)
HUGE = 0xFFFF_FFFF_FFFF_FFFF
PACKED_ENTRY = L2 + 8


def put(place, code, value):
    """Overwrite one number."""

    def change(data):
        struct.pack_into(">" + code, data, place, value)
        return data

    return change


def alter(place, change_value):
    """Change a number of 8 bytes by a function of it."""

    def change(data):
        (value,) = struct.unpack_from(">Q", data, place)
        struct.pack_into(">Q", data, place, change_value(value) & HUGE)
        return data

    return change


def cut(length):
    return lambda data: data[:length]


def both(*changes):
    def change(data):
        for one in changes:
            data = one(data)
        return data

    return change


@dataclasses.dataclass(frozen=True)
class Row:
    """A fault, and how it must be refused."""

    name: str
    change: object
    error: type[XenimageError]
    text: str
    image: Image = BASE
    snapshot: str | None = None

    @property
    def __name__(self):
        return self.name.replace(" ", "_")


HEADER = (
    Row("an empty file", cut(0), FormatError, "starts with nothing, expected 514649fb"),
    Row("magic", put(0, "I", 0x514649FA), FormatError, "starts with 514649fa, expected 514649fb"),
    Row("half a header", cut(50), FormatError, "ends after 50 bytes, expected a header of 72 bytes"),
    Row("half a header of version 3", cut(90), FormatError, "ends after 90 bytes, expected a header of 104"),
    Row("a header and nothing else", cut(104), FormatError, "expected a whole header"),
    Row("version 0", put(4, "I", 0), UnsupportedError, "is version 0 of its format, expected version 2 or 3"),
    Row("version 1", put(4, "I", 1), UnsupportedError, "is version 1"),
    Row("version 4", put(4, "I", 4), UnsupportedError, "is version 4"),
    Row("version of all bits", put(4, "I", 0xFFFFFFFF), UnsupportedError, "is version 4294967295"),
    Row("backing offset inside the header", put(8, "Q", 50), FormatError, "backing file name: stands at 0x32"),
    Row("backing offset behind the cluster", put(8, "Q", CLUSTER), FormatError, "backing file name: stands at 0x10000"),
    Row("backing offset of all bits", put(8, "Q", HUGE), FormatError, "backing file name: stands at 0xffffffff"),
    Row("backing length", put(16, "I", 1024), FormatError, "backing file name: is 1024 bytes long, expected at most"),
    Row("backing length of all bits", put(16, "I", 0xFFFFFFFF), FormatError, "backing file name: is 4294967295"),
    Row("cluster bits 8", put(20, "I", 8), FormatError, "header: has 8 cluster bits, expected 9 to 21"),
    Row("cluster bits 22", put(20, "I", 22), FormatError, "header: has 22 cluster bits, expected 9 to 21"),
    Row("cluster bits of all bits", put(20, "I", 0xFFFFFFFF), FormatError, "cluster bits, expected 9 to 21"),
    Row("virtual size over the limit", put(24, "Q", 1 << 60), LimitError, "virtual size in bytes is 11529215046"),
    Row("virtual size of all bits", put(24, "Q", HUGE), LimitError, "(limit virtual_size)"),
    Row("virtual size over the L1 table", put(24, "Q", 1 << 40), FormatError, "L1 table: has 1 entries, expected 2048"),
    Row("L1 entries none", put(36, "I", 0), FormatError, "L1 table: has 0 entries, expected 1 or more"),
    Row("L1 entries over the limit", put(36, "I", 0xFFFFFFFF), LimitError, "L1 table in bytes is 34359738360"),
    Row("L1 entries over the file", put(36, "I", 1 << 20), FormatError, "L1 table: ends at"),
    Row("L1 offset 0", put(40, "Q", 0), FormatError, "L1 table: stands at 0x0, expected a multiple of"),
    Row("L1 offset unaligned", put(40, "Q", L1 + 512), FormatError, "expected a multiple of the cluster size 0x10000"),
    Row("L1 offset outside", put(40, "Q", 1 << 40), FormatError, "L1 table: ends at 0x10000000008"),
    Row("L1 offset of all bits", put(40, "Q", HUGE), FormatError, "L1 table: stands at 0xffffffffffffffff"),
    Row("refcount offset 0", put(48, "Q", 0), FormatError, "refcount table: stands at 0x0"),
    Row("refcount offset unaligned", put(48, "Q", 8), FormatError, "refcount table: stands at 0x8"),
    Row("refcount offset outside", put(48, "Q", 1 << 50), FormatError, "refcount table: ends at 0x4000000010000"),
    Row("refcount clusters over the file", put(56, "I", 500), FormatError, "refcount table: ends at"),
    Row("refcount clusters over the limit", put(56, "I", 0xFFFFFFFF), LimitError, "refcount table in bytes is"),
    Row("snapshots over the limit", put(60, "I", 0xFFFFFFFF), LimitError, "number of snapshots is 4294967295"),
    Row("snapshots over the file", put(60, "I", 4096), FormatError, "snapshot table, entry"),
    Row("snapshot offset 0", put(64, "Q", 0), FormatError, "snapshot table: stands at 0x0"),
    Row("snapshot offset unaligned", put(64, "Q", SNAPSHOTS + 8), FormatError, "snapshot table: stands at"),
    Row("snapshot offset outside", put(64, "Q", 1 << 62), FormatError, "entry 0 at 0x4000000000000000: needs 40 bytes"),
    Row("unset compression feature", put(104, "B", 1), FormatError, "has the compression type 1, expected the feature"),
    Row("compression feature alone", put(72, "Q", 8), FormatError, "has the compression type 0, expected the feature"),
    Row("compression feature without its field", both(put(72, "Q", 8), put(100, "I", 104)), FormatError, "type 0"),
    Row("extended L2 with small clusters", put(72, "Q", 16), FormatError, "with 9 cluster bits, expected 14 or more",
        Image(state=State(size=512), cluster_bits=9)),
    Row("refcount order", put(96, "I", 7), FormatError, "has the refcount order 7, expected at most 6"),
    Row("refcount order of all bits", put(96, "I", 0xFFFFFFFF), FormatError, "refcount order 4294967295"),
    Row("header length too short", put(100, "I", 96), FormatError, "header: is 96 bytes long, expected a multiple"),
    Row("header length odd", put(100, "I", 108), FormatError, "header: is 108 bytes long"),
    Row("header length over the cluster", put(100, "I", CLUSTER + 8), FormatError, "header: is 65544 bytes long"),
    Row("header length of all bits", put(100, "I", 0xFFFFFFFF), FormatError, "header: is 4294967295 bytes long"),
    Row("extension length", put(FIRST_EXTENSION + 4, "I", 500), FormatError,
        "header extension 0xe2792aca at 0x70: has 500 bytes, expected at most the"),
    Row("extension length of all bits", put(FIRST_EXTENSION + 4, "I", 0xFFFFFFFF), FormatError, "has 4294967295 bytes"),
)  # fmt: skip

SNAPSHOT = (
    Row("snapshot L1 offset 0", put(SNAPSHOTS, "Q", 0), FormatError, "L1 table: stands at 0x0", snapshot="1"),
    Row("snapshot L1 offset unaligned", put(SNAPSHOTS, "Q", 7), FormatError, "L1 table: stands at 0x7", snapshot="1"),
    Row("snapshot L1 offset outside", put(SNAPSHOTS, "Q", 1 << 40), FormatError, "L1 table: ends at", snapshot="1"),
    Row("snapshot L1 entries none", put(SNAPSHOTS + 8, "I", 0), FormatError, "has 0 entries", snapshot="1"),
    Row("snapshot L1 entries", put(SNAPSHOTS + 8, "I", 0xFFFFFFFF), LimitError, "(limit table_size)", snapshot="1"),
    Row("snapshot id length", put(SNAPSHOTS + 64 + 12, "H", 0xFFFF), FormatError, "entry 1 at 0x"),
    Row("snapshot name length", put(SNAPSHOTS + 64 + 14, "H", 0xFFFF), FormatError, "expected an entry within the"),
    Row("snapshot extra length", put(SNAPSHOTS + 36, "I", 1025), FormatError, "has 1025 bytes of extra data"),
    Row("snapshot extra length of all bits", put(SNAPSHOTS + 36, "I", 0xFFFFFFFF), FormatError, "has 4294967295 bytes"),
    Row("snapshot size", put(SNAPSHOTS + 48, "Q", HUGE), LimitError, "size of the snapshot in bytes", snapshot="1"),
    Row("snapshot size over its L1", put(SNAPSHOTS + 48, "Q", 1 << 40), FormatError, "has 1 entries", snapshot="1"),
    Row("snapshot L2 outside", put(BASE.at["1.l1"], "Q", 1 << 40), FormatError, "L2 table of L1 entry 0", snapshot="1"),
    Row("snapshot data outside", put(BASE.at["1.l2"], "Q", 1 << 40), FormatError, "points to 0x100", snapshot="1"),
)  # fmt: skip

TABLES = (
    Row("L1 entry low reserved bits", alter(L1, lambda v: v | 1), FormatError, "L1 table, entry 0: is 0x80"),
    Row("L1 entry high reserved bits", alter(L1, lambda v: v | 1 << 56), FormatError, "expected reserved bits 0-8"),
    Row("L1 entry unaligned", alter(L1, lambda v: v | 512), FormatError, "L2 table of L1 entry 0: stands at"),
    Row("L1 entry outside", put(L1, "Q", 1 << 50), FormatError, "L2 table of L1 entry 0: ends at 0x4000000010000"),
    Row("L2 entry low reserved bits", alter(L2, lambda v: v | 2), FormatError, ", entry 0: is 0x80"),
    Row("L2 entry high reserved bits", alter(L2, lambda v: v | 1 << 60), FormatError, "reserved bits 1-8 and 56-61"),
    Row("L2 entry unaligned", alter(L2, lambda v: v | 512), FormatError, "expected a multiple of the cluster size 0x1"),
    Row("L2 entry at the end of the file", put(L2, "Q", len(DATA)), FormatError, "entry 0: points to 0x"),
    Row("L2 entry outside", put(L2, "Q", 1 << 55), FormatError, "entry 0: points to 0x80000000000000, expected"),
    Row("L2 zero entry unaligned", put(L2 + 24, "Q", 0x201), FormatError, "entry 3: points to 0x200"),
    Row("L2 zero entry reserved bits", put(L2 + 24, "Q", 0x9), FormatError, "entry 3: is 0x0000000000000009"),
    Row("zero entry in version 2", alter(VERSION_2.at["l2"], lambda v: v | 1), FormatError, "bit 0 clear in version 2",
        VERSION_2),
    Row("second of two neighbours outside", both(put(L2, "Q", len(DATA) - CLUSTER), put(L2 + 8, "Q", len(DATA))),
        FormatError, "entry 1: points to"),
    Row("extended zero flag", alter(EXTENDED.at["l2"], lambda v: v | 1), FormatError, "has bit 0 set", EXTENDED),
    Row("extended both bits", put(EXTENDED.at["l2"] + 8, "Q", 1 << 32 | 1), FormatError,
        "has the bitmap 0x0000000100000001, expected no subcluster both stored and zero", EXTENDED),
    Row("extended without a place", put(EXTENDED.at["l2"], "Q", 0), FormatError, "stores subclusters 0x0000ffff",
        EXTENDED),
    Row("extended outside", put(EXTENDED.at["l2"], "Q", 1 << 40), FormatError, "entry 0: points to 0x1", EXTENDED),
    Row("extended compressed with a bitmap", put(EXTENDED.at["l2"] + 24, "Q", 5), FormatError, "is compressed with the",
        EXTENDED),
    Row("compressed outside", put(PACKED_ENTRY, "Q", 1 << 62 | 1 << 50), FormatError, "entry 1: points to 0x4"),
    Row("compressed offset of all bits", put(PACKED_ENTRY, "Q", 1 << 62 | (1 << 54) - 1), FormatError, "entry 1: "),
    Row("compressed elsewhere", alter(PACKED_ENTRY, lambda v: v + 3), FormatError, "compressed cluster at 0x"),
    Row("compressed at zeros", put(PACKED_ENTRY, "Q", 1 << 62 | CLUSTER), FormatError, "for guest offset 0x10000: the"),
    Row("compressed length", alter(PACKED_ENTRY, lambda v: v & ~(0xFF << 54)), FormatError, "the deflate stream ends"),
    Row("compressed bytes", alter(PACKED, lambda v: ~v), FormatError, "the deflate stream is damaged"),
    Row("zstd bytes", alter(ZSTD.at["packed"], lambda v: ~v), FormatError, "the zstd frame is damaged", ZSTD),
    Row("zstd content size", alter(ZSTD.at["packed"], lambda v: v ^ 1 << 18), FormatError, "zstd", ZSTD),
)  # fmt: skip


class FaultTestCase(TestCase):
    def use(self, data, snapshot=None):
        """Do all that can be done with an image: open, map, read."""
        path = self.scratch / "f.qcow2"
        path.write_bytes(data)
        source = open_file(path)
        try:
            disk = open_qcow2(source, STRICT, snapshot=snapshot)
            size = disk.facts.virtual_size
            buffer = memoryview(bytearray(min(size, 16 * CLUSTER)))
            disk.read_into(0, buffer)
            content = bytes(buffer)
            disk.read_into(size // 2, buffer[: min(1000, size - size // 2)])
            return content, sum(extent.length for extent in disk.extents(0, size))
        finally:
            source.close()


@ddt.ddt
class FaultTest(FaultTestCase):
    def test_the_images_themselves_are_sound(self):
        for image in (BASE, ZSTD, EXTENDED, VERSION_2):
            self.assertEqual(image.state.size, self.use(image.build())[1])
        self.assertEqual(pattern(0, CLUSTER, 1), self.use(DATA, "1")[0])

    @ddt.data(*HEADER, *SNAPSHOT, *TABLES)
    def test_is_refused(self, row):
        data = row.change(bytearray(row.image.build()))
        with self.assertRaises(XenimageError) as raised:
            self.use(data, row.snapshot)
        self.assertIs(row.error, type(raised.exception), raised.exception)
        self.assertIn(row.text, str(raised.exception))
        self.assertEqual(1, str(raised.exception).count("f.qcow2"), raised.exception)

    @ddt.data(*HEADER, *SNAPSHOT, *TABLES)
    def test_takes_no_memory(self, row):
        data = row.change(bytearray(row.image.build()))
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        with self.assertRaises(XenimageError):
            self.use(data, row.snapshot)
        self.assertLess(tracemalloc.get_traced_memory()[1], 12 << 20)

    def test_extents_name_the_place_too(self):
        path = self.scratch / "f.qcow2"
        path.write_bytes(put(L2, "Q", 1 << 55)(bytearray(DATA)))
        disk = open_qcow2(open_file(path), STRICT)
        self.addCleanup(disk.close)
        with self.assertRaisesRegex(FormatError, rf"^{path}: L2 table at {L2:#x}, entry 0: points to"):
            list(disk.extents(0, CLUSTER))

    def test_a_damaged_snapshot_does_not_hide_the_disk(self):
        data = put(SNAPSHOTS, "Q", 7)(bytearray(DATA))
        self.assertEqual(BASE.state.size, self.use(data)[1])

    def test_a_file_that_becomes_shorter_is_a_failed_transfer(self):
        path = self.scratch / "f.qcow2"
        path.write_bytes(DATA)
        disk = open_qcow2(open_file(path), STRICT)
        self.addCleanup(disk.close)
        with path.open("r+b") as stream:
            stream.truncate(CLUSTER)
        with self.assertRaises(TransferError) as raised:
            disk.read_into(0, memoryview(bytearray(512)))
        self.assertEqual(1, str(raised.exception).count(str(path)))

    @ddt.data(("packed", 0), ("packed", 1), ("plain", 0))
    @ddt.unpack
    def test_one_cluster_that_stands_for_many(self, form, compression):
        image = Image(state=State(size=1 << 29, forms=(form,)), cluster_bits=16, compression=compression)
        data = bytearray(image.build())
        (entry,) = struct.unpack_from(">Q", data, image.at["l2"])
        for copies in (2, 8192):
            struct.pack_into(f">{copies}Q", data, image.at["l2"], *[entry] * copies)
            with self.assertRaises(FormatError) as raised:
                self.use(data)
            self.assertTrue(
                str(raised.exception).endswith(
                    f"f.qcow2: L2 table at {image.at['l2']:#x}: several entries point to one cluster, expected a "
                    "cluster for each entry"
                )
            )

    def test_entries_that_point_nowhere_may_be_alike(self):
        image = Image(state=State(size=1 << 29, forms=("plain",)), cluster_bits=16)
        data = bytearray(image.build())
        struct.pack_into(">6Q", data, image.at["l2"] + 8, 1, 1, 1 << 63, 1 << 63, 1 << 63 | 1, 1 << 63 | 1)
        self.assertEqual(1 << 29, self.use(data)[1])


class HoleTest(TestCase):
    """The size of a file proves nothing: its holes cost their maker nothing."""

    def image(self, tables, bits=9):
        """A disk with *tables* L2 tables, each at its own place in a hole at the end of the file."""
        size = 1 << bits
        l1_size = -(-8 * tables // size) * size
        head = bytearray(Image(state=State(size=tables * size // 8 * size), cluster_bits=bits).build()[:size])
        struct.pack_into(">IQQ", head, 36, tables, 2 * size, size)
        path = self.scratch / "holes.qcow2"
        with path.open("wb") as stream:
            stream.write(head)
            stream.seek(2 * size)
            stream.write(
                struct.pack(f">{tables}Q", *range(2 * size + l1_size, 2 * size + l1_size + tables * size, size))
            )
            stream.truncate(2 * size + l1_size + tables * size)
        return open_file(path)

    def test_tables_in_holes_are_not_read(self):
        source = self.image(2000)
        self.addCleanup(source.close)
        disk = open_qcow2(source, STRICT)
        with unittest.mock.patch.object(source, "read_into") as read:
            (extent,) = disk.extents(0, disk.facts.virtual_size)
        self.assertEqual((0, disk.facts.virtual_size, Kind.ABSENT), (extent.offset, extent.length, extent.kind))
        self.assertLess(read.call_count, 16)  # the block of the file system that the L1 table ends in

    def test_too_many_tables_in_holes(self):
        source = self.image(2000)
        self.addCleanup(source.close)
        data = unittest.mock.patch.object(source, "data", return_value=iter([(0, 3 * 512)]))
        with data, self.assertRaises(LimitError) as raised:
            open_qcow2(source, dataclasses.replace(STRICT, holes=1996))
        self.assertEqual(
            f"{source.name}: the number of L2 tables in holes of the file is 1997, expected at most 1996 (limit holes)",
            str(raised.exception),
        )

    def test_prepared_space_is_zero(self):
        for order in (range(8), range(7, -1, -1), (0, 2, 1, 4, 3, 7, 5, 6)):
            image = Image(state=State(size=8 * CLUSTER, forms=("plain",)))
            data = bytearray(image.build())
            start = len(data)
            struct.pack_into(">8Q", data, image.at["l2"], *[1 << 63 | start + each * CLUSTER for each in order])
            path = self.scratch / "prepared.qcow2"
            with path.open("wb") as stream:
                stream.write(data)
                stream.truncate(start + 8 * CLUSTER)
            source = open_file(path)
            self.addCleanup(source.close)
            disk = open_qcow2(source, STRICT)
            (extent,) = disk.extents(0, 8 * CLUSTER)
            self.assertEqual((8 * CLUSTER, Kind.ZERO), (extent.length, extent.kind))
            with path.open("r+b") as stream:
                stream.seek(start + 3 * CLUSTER)
                stream.write(b"x" * CLUSTER)
            source = open_file(path)
            self.addCleanup(source.close)
            disk = open_qcow2(source, STRICT)
            found = [each.kind for each in disk.extents(order.index(3) * CLUSTER, CLUSTER)]
            self.assertEqual([Kind.DATA], found)


METADATA = {
    "v3": (BASE, (0, 200), (L1, 16), (L2, 64), (SNAPSHOTS, 130), (PACKED, 40)),
    "zstd": (ZSTD, (0, 130), (ZSTD.at["l1"], 16), (ZSTD.at["l2"], 64), (ZSTD.at["packed"], 40)),
    "extended": (EXTENDED, (0, 130), (EXTENDED.at["l1"], 16), (EXTENDED.at["l2"], 80)),
    "v2": (VERSION_2, (0, 90), (VERSION_2.at["l1"], 16), (VERSION_2.at["l2"], 16)),
}


@ddt.ddt
class FuzzTest(FaultTestCase):
    @ddt.data(*METADATA)
    def test_flipped_bytes_give_a_named_error_or_bytes(self, name):
        image, *regions = METADATA[name]
        data = image.build()

        @hypothesis.settings(max_examples=120, deadline=2000, database=None)
        @hypothesis.given(st.randoms(use_true_random=False), st.integers(1, 4), st.sampled_from([None, "1", "2"]))
        def check(chance: random.Random, flips, snapshot):
            changed = bytearray(data)
            for _ in range(flips):
                start, length = chance.choice(regions)
                changed[start + chance.randrange(length)] = chance.choice(
                    (0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256))
                )
            try:
                self.use(changed, snapshot)
            except XenimageError as error:
                self.assertTrue(error.found)
                self.assertEqual(1, str(error).count("f.qcow2"), error)

        check()

    @ddt.data(*METADATA)
    def test_a_cut_file_gives_a_named_error_or_bytes(self, name):
        data = METADATA[name][0].build()
        chance = random.Random(7)
        for length in [*range(130), *[chance.randrange(len(data)) for _ in range(60)]]:
            try:
                self.use(data[:length])
            except XenimageError as error:
                self.assertTrue(error.found)


class SharedTableTest(TestCase):
    """One L2 table for many parts of a disk."""

    def test_an_l2_table_stands_for_one_part_of_the_disk_only(self):
        image = Image(state=State(size=1 << 30, forms=("plain",)))
        data = bytearray(image.build())
        entry = data[image.at["l1"] : image.at["l1"] + 8]
        data[image.at["l1"] + 8 : image.at["l1"] + 16] = entry
        self.refused(data)
        data[image.at["l1"] + 8] ^= 0x80  # without the flag COPIED it is the same table
        self.refused(data)

    def refused(self, data):
        path = self.scratch / "shared.qcow2"
        path.write_bytes(data)
        with self.assertRaisesRegex(FormatError, "several entries point to one L2 table"):
            open_qcow2(open_file(path), STRICT)

    def test_a_large_table_is_compared_in_pieces(self):
        data = bytearray(Image(state=State(size=40 << 15, forms=("plain",)), cluster_bits=9).build())
        start = len(data)
        struct.pack_into(">IQ", data, 36, 40, start)
        entries = [start + 512 + 512 * number for number in range(40)]
        data += struct.pack(">40Q", *entries).ljust(512 * 41, b"\0")
        path = self.scratch / "many.qcow2"
        path.write_bytes(data)
        with unittest.mock.patch("xenimage.formats.qcow2.tables._COMPARED", 7):
            open_qcow2(open_file(path), STRICT)
            data[start + 312 : start + 320] = data[start + 8 : start + 16]
            self.refused(data)
