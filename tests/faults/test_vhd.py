"""VHDs with one fault each: every count, offset and size of the format, its checksums, and what truncation leaves."""

from __future__ import annotations

import dataclasses
import struct
import tempfile
import unittest

import ddt
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import vhd as build
from tests.builders.vhd import CREATORS, DIFFERENCING, FIXED, MemorySource, Vhd
from xenimage.exceptions import FormatError, LimitError, UnsupportedError, XenimageError
from xenimage.formats.vhd.reader import VhdDisk, open_vhd
from xenimage.limits import STRICT
from xenimage.sources.file import open_file
from xenimage.units import KIB, SECTOR, TIB

BLOCK = 64 * KIB
BLOCKS = 50
SIZE = BLOCKS * BLOCK
SPAN = 1 + BLOCK // SECTOR
"""sectors that a block takes in the file"""
FIELDS_UNREAD = (
    ("features", 0),
    ("features", 3),
    ("features", 6),
    ("timestamp", 0),
    ("timestamp", 0xFFFFFFFF),
    ("crtr_ver", 0x00010004),
    ("crtr_app", b"win "),
    ("crtr_app", b"\xff\xfe\x00\x01"),
    ("crtr_os", b"\xde\xad\xbe\xef"),
    ("orig_size", 0),
    ("orig_size", 2 * SIZE),
    ("orig_size", 2**64 - 1),
    ("geometry", 0),
    ("geometry", 0xFFFF10FF),
    ("geometry", 0xFFFFFFFF),
    ("uuid", bytes(16)),
    ("saved", 1),
    ("saved", 2),
    ("hidden", 1),
    ("hidden", 2),
    ("reserved", 1),
    ("reserved_end", 1),
)
"""fields of the footer that reading does not depend on"""
HEADER_UNREAD = (
    ("data_offset", 0),
    ("data_offset", 0xFFFFFFFF),
    ("max_bat_size", BLOCKS + 1),
    ("max_bat_size", 1000),
    ("max_bat_size", 0xFFFFFFFF),
    ("prt_uuid", b"\x07" * 16),
    ("prt_ts", 0xFFFFFFFF),
    ("prt_name", b"\xd8" * 512),
    ("res1", 1),
    ("res2", 1),
)
BATMAP_UNREAD = (
    ("cookie", b"xxbatmap"),
    ("offset", 0),
    ("offset", 2**64 - 1),
    ("size", 0),
    ("size", 2),
    ("size", 0xFFFFFFFF),
    ("version", 0x00010003),
    ("version", 0x00010001),
    ("checksum", 0),
    ("marker", 9),
    ("reserved", 1),
)
LOCATORS_UNREAD = (
    ("code", 0),
    ("code", 0x58585858),
    ("data_space", 0),
    ("data_space", 700),
    ("data_space", 0xFFFFFFFF),
    ("data_len", 0),
    ("data_len", 513),
    ("data_len", 0xFFFFFFFF),
    ("res", 1),
    ("data_offset", 0),
    ("data_offset", 1 << 40),
    ("data_offset", 2**64 - 1),
)
FOOTER_REFUSED = (
    ("cookie", b"connectx", FormatError, "neither the end nor the start of the file holds a VHD footer"),
    ("checksum", 0, FormatError, "the checksum of the footer is wrong, and there is no sound copy"),
    ("data_offset", 1024, FormatError, "header at 0x400: the VHD header begins with"),
    ("data_offset", 0, FormatError, "the header stands at 0x0, expected 0x200 or more"),
    ("data_offset", 2**64 - 1, FormatError, "the header stands at 0xffffffffffffffff"),
    ("data_offset", 1 << 40, FormatError, "the header stands at 0x10000000000"),
    ("curr_size", 0, FormatError, "the disk has 0 bytes"),
    ("curr_size", SIZE + SECTOR, FormatError, "the BAT has 50 entries, expected 51 or more for 3277312 bytes"),
    ("curr_size", 2 * SIZE, FormatError, "the BAT has 50 entries, expected 100 or more"),
    ("curr_size", 17 * TIB, LimitError, "the virtual size of the VHD is 18691697672192"),
    ("curr_size", 2**64 - 1, LimitError, "limit virtual_size"),
)
FOOTER_UNREADABLE = (
    ("type", 0, "the disk is of the unknown type 0, expected 2 (fixed)"),
    ("type", 5, "the disk is of the unknown type 5"),
    ("type", 0xFFFFFFFF, "the disk is of the unknown type 4294967295"),
    ("ff_version", 0x00020000, "the footer is of version 2.0, expected 1.0"),
    ("crtr_ver", 1, "the disk was made by blktap 0.1, whose bitmaps are little-endian"),
    ("cookie", b"v_poison", "a resize was interrupted"),
)
HEADER_REFUSED = (
    ("cookie", b"cxsparce", FormatError, "header at 0x200: the VHD header begins with b'cxsparce'"),
    ("checksum", 0, FormatError, "header: the checksum is 0x00000000"),
    ("hdr_ver", 0x00010001, UnsupportedError, "header: the version is 1.1, expected 1.0"),
    ("table_offset", 0, FormatError, "header: the BAT of 200 bytes stands at 0x0"),
    ("table_offset", 1537, FormatError, "stands at 0x601, expected a multiple of 512"),
    ("table_offset", 512, FormatError, "stands at 0x200"),
    ("table_offset", 1024, FormatError, "stands at 0x400"),
    ("table_offset", 1 << 40, FormatError, "stands at 0x10000000000"),
    ("table_offset", 2**64 - 512, FormatError, "stands at 0xfffffffffffffe00"),
    ("max_bat_size", 0, FormatError, "the BAT has 0 entries, expected 50 or more"),
    ("max_bat_size", BLOCKS - 1, FormatError, "the BAT has 49 entries, expected 50 or more"),
    ("block_size", 0, FormatError, "the block size is 0 bytes, expected a power of two"),
    ("block_size", 1, FormatError, "the block size is 1 bytes"),
    ("block_size", 2048, FormatError, "the block size is 2048 bytes"),
    ("block_size", 3 * BLOCK, FormatError, "the block size is 196608 bytes"),
    ("block_size", 4 << 20, LimitError, "limit cluster_size"),
    ("block_size", 1 << 31, LimitError, "limit cluster_size"),
    ("block_size", 2 << 20, FormatError, "truncated: block 0 at"),
    ("block_size", BLOCK // 2, FormatError, "the BAT has 50 entries, expected 100 or more"),
)
TABLE_REFUSED = (
    (1, 0x100000, "truncated: block 1 at 0x20000000 ends at 0x20010200, expected its end at or before"),
    (1, 0xFFFFFFFE, "truncated: block 1 at 0x1fffffffc00"),
    (1, 0, "block 1 at 0x0 and block 0 at 0xe00 overlap"),
    (1, 1, "block 1 at 0x200 and block 0 at 0xe00 overlap"),
    (1, 4, "block 1 at 0x800 and block 0 at 0xe00 overlap"),
    (1, 7, "block 0 at 0xe00 and block 1 at 0xe00 overlap"),
    (1, 8, "block 0 at 0xe00 and block 1 at 0x1000 overlap"),
)


def base(**changes: object) -> build.Image:
    """Block 0 stands first and is partly written, block 5 follows and is full."""
    values: dict[str, object] = {
        "size": SIZE,
        "block_size": BLOCK,
        "blocks": {0: [*range(8), 20, 127], 5: range(128)},
        "junk": b"junk",
    }
    return Vhd(**{**values, **changes}).build()  # type: ignore[arg-type]


def child() -> build.Image:
    return base(kind=DIFFERENCING, parent=b"\x02" * 16, locators=build.blktap_locators("base.vhd"))


def opened(image: build.Image) -> VhdDisk:
    return open_vhd(MemorySource(image.data), STRICT)


def content(disk: VhdDisk) -> bytes:
    buffer = bytearray(disk.facts.virtual_size)
    disk.read_into(0, memoryview(buffer))
    return bytes(buffer)


class FaultCase(unittest.TestCase):
    def assert_refused(self, image: build.Image, error: type[XenimageError], text: str) -> None:
        with self.assertRaises(error) as caught:
            opened(image)
        self.assertIs(error, type(caught.exception))
        self.assertIn(text, str(caught.exception))
        self.assertTrue(str(caught.exception).startswith("disk.vhd: "))

    def assert_sound(self, image: build.Image) -> VhdDisk:
        disk = opened(image)
        self.assertIsNone(disk.unreadable())
        self.assertEqual(image.content(), content(disk))
        return disk

    def assert_finding(self, image: build.Image, code: str, text: str) -> None:
        found = [finding for finding in self.assert_sound(image).facts.findings if finding.code == code]
        self.assertEqual(1, len(found))
        self.assertIn(text, found[0].what)


@ddt.ddt
class FieldTest(FaultCase):
    def test_no_fault(self):
        self.assertEqual((), self.assert_sound(base()).facts.findings)
        self.assertEqual((), self.assert_sound(child()).facts.findings)

    @ddt.data(*FIELDS_UNREAD)
    @ddt.unpack
    def test_footer_field_that_does_not_matter(self, name, value):
        image = base()
        image.footer(name, value)
        self.assert_sound(image)

    @ddt.data(*FOOTER_REFUSED)
    @ddt.unpack
    def test_footer_field_refused(self, name, value, error, text):
        image = base()
        image.footer(name, value)
        self.assert_refused(image, error, text)

    @ddt.data(*FOOTER_UNREADABLE)
    @ddt.unpack
    def test_footer_field_that_makes_it_unreadable(self, name, value, text):
        image = base()
        image.footer(name, value)
        disk = opened(image)
        self.assertEqual(SIZE, disk.facts.virtual_size)
        self.assertIsInstance(disk.unreadable(), UnsupportedError)
        self.assertTrue(str(disk.unreadable()).startswith(f"disk.vhd: {text}"), str(disk.unreadable()))
        with self.assertRaises(UnsupportedError):
            content(disk)
        with self.assertRaises(UnsupportedError):
            disk.extents(0, SIZE)

    @ddt.data(*HEADER_UNREAD)
    @ddt.unpack
    def test_header_field_that_does_not_matter(self, name, value):
        image = base()
        image.header(name, value)
        self.assert_sound(image)

    @ddt.data(*HEADER_REFUSED)
    @ddt.unpack
    def test_header_field_refused(self, name, value, error, text):
        image = base()
        image.header(name, value)
        self.assert_refused(image, error, text)

    @ddt.data(*BATMAP_UNREAD)
    @ddt.unpack
    def test_batmap_field_does_not_matter(self, name, value):
        image = base()
        image.batmap(name, value)
        self.assert_sound(image)

    def test_batmap_bits_do_not_matter(self):
        image = base()
        image.data[image.batmap_offset + SECTOR : image.batmap_offset + 2 * SECTOR] = b"\xff" * SECTOR
        self.assert_sound(image)

    def test_hash_of_a_key_means_encrypted(self):
        image = base()
        image.batmap("key_cookie", 1)
        disk = opened(image)
        self.assertIsInstance(disk.unreadable(), UnsupportedError)
        self.assertIn("the disk is encrypted", str(disk.unreadable()))
        self.assertEqual("2", dict(disk.facts.details)["allocated blocks"])

    @ddt.data(*LOCATORS_UNREAD)
    @ddt.unpack
    def test_locator_field_does_not_matter(self, name, value):
        for slots in ([0], range(8)):
            image = child()
            for slot in slots:
                image.locator(slot, name, value)
            disk = self.assert_sound(image)
            self.assertLess(len(disk.facts.parent.name), 4096)

    def test_parent_name_falls_back_to_the_header(self):
        image = child()
        for slot in range(3):
            image.locator(slot, "data_offset", 1 << 40)
        self.assertEqual("base.vhd", opened(image).facts.parent.name)

    def test_limits_hold_for_the_bat(self):
        with self.assertRaises(LimitError) as caught:
            open_vhd(MemorySource(base().data), dataclasses.replace(STRICT, table_size=199))
        self.assertIn(
            "the size of the BAT in bytes is 200, expected at most 199 (limit table_size)", str(caught.exception)
        )


class HoleTest(FaultCase):
    def test_limits_hold_for_the_blocks(self):
        with self.assertRaises(LimitError) as caught:
            open_vhd(MemorySource(base().data), dataclasses.replace(STRICT, blocks=1))
        self.assertRegex(
            str(caught.exception), r"the number of stored blocks is \d, expected at most 1 \(limit blocks\)"
        )

    def test_bitmaps_in_holes_are_not_read(self):
        image = base()
        footer = bytes(image.data[image.footer_offset :])
        start = image.footer_offset
        head = image.data[:start]
        for block in range(BLOCKS):
            if block not in image.present:
                struct.pack_into(">I", head, image.table_offset + 4 * block, (start + 2 * block * BLOCK) // SECTOR)
        with tempfile.NamedTemporaryFile() as stream:
            stream.write(head)
            stream.seek(start + 2 * BLOCKS * BLOCK)
            stream.write(footer)
            stream.flush()
            source = open_file(stream.name)
            self.addCleanup(source.close)
            disk = open_vhd(source, STRICT)
            self.assertEqual(BLOCKS, len(disk.tables.stored))
            self.assertLessEqual(set(image.present), set(disk.tables.shown))
            self.assertLessEqual(len(disk.tables.shown), len(image.present) + 1)
            self.assertEqual(image.content(), content(disk))
            self.assertEqual(
                list(opened(image).extents(0, disk.facts.virtual_size)), list(disk.extents(0, disk.facts.virtual_size))
            )


@ddt.ddt
class TableTest(FaultCase):
    @ddt.data(*TABLE_REFUSED)
    @ddt.unpack
    def test_entry_refused(self, block, sector, text):
        image = base()
        image.table(block, sector)
        self.assert_refused(image, FormatError, text)

    def test_entry_over_the_footer(self):
        image = base()
        image.table(49, image.entry(5) + SPAN + 7)
        self.assert_refused(image, FormatError, "truncated: block 49")

    def test_entry_over_the_header(self):
        image = base(blocks={5: range(128)})
        image.data[:] = image.data[:3584] + bytes(BLOCK) + image.data[3584:]
        image.footer_offset += BLOCK
        image.table(5, image.entry(5) + BLOCK // SECTOR)
        self.assert_sound(image)
        image.table(1, 1)
        self.assert_refused(image, FormatError, "block 1 at 0x200 overlaps the header at 0x200")
        image.table(1, 3)
        self.assert_refused(image, FormatError, "block 1 at 0x600 overlaps the BAT at 0x600")

    def test_every_entry_the_same(self):
        image = base()
        for block in range(BLOCKS):
            image.table(block, 7)
        self.assert_refused(image, FormatError, "block 0 at 0xe00 and block 1 at 0xe00 overlap")

    def test_entries_behind_the_disk_are_not_read(self):
        image = base()
        image.footer("curr_size", 6 * BLOCK)
        image.table(30, 0)
        disk = opened(image)
        self.assertEqual(image.content()[: 6 * BLOCK], content(disk))

    def test_blocks_in_front_of_the_bat_are_legal(self):
        image = base(creator=CREATORS["qemu"])
        table = bytes(image.data[1536:2048])
        moved = image.footer_offset
        image.data[moved:moved] = table
        image.footer_offset += 512
        image.data[1536:2048] = bytes(512)
        image.table_offset = moved
        image.header("table_offset", moved)
        self.assert_sound(image)

    @ddt.data(1, 512, 100 * KIB)
    def test_truncated(self, cut):
        image = base()
        del image.data[image.footer_offset - cut :]
        self.assert_refused(image, FormatError, "truncated: block 5 at")

    def test_truncated_into_the_bat(self):
        image = base()
        del image.data[1600:]
        self.assert_refused(image, FormatError, "the BAT of 200 bytes stands at 0x600")

    def test_truncated_into_the_header(self):
        image = base()
        del image.data[1100:]
        self.assert_refused(image, FormatError, "the header stands at 0x200")


@ddt.ddt
class FooterPlaceTest(FaultCase):
    """What is left when one of the two footers is not as it should be."""

    def test_short_footer(self):
        image = base(short_footer=True)
        self.assertEqual((), self.assert_sound(image).facts.findings)

    def test_end_missing(self):
        image = base()
        del image.data[image.footer_offset :]
        self.assert_finding(image, "vhd.footer.end", "missing or overwritten")
        self.assertEqual(0, opened(image).footer_offset)

    def test_end_overwritten_by_a_running_host(self):
        image = base()
        image.data[image.footer_offset :] = b"\xc7" * 512
        self.assert_finding(image, "vhd.footer.end", "missing or overwritten")

    @ddt.data(1, 100, 511, 512, 5000)
    def test_something_behind_the_end(self, count):
        image = base()
        image.data += bytes(count)
        self.assert_finding(image, "vhd.footer.end", "missing or overwritten")

    def test_gap_before_the_end(self):
        image = base()
        image.data[image.footer_offset : image.footer_offset] = bytes(512)
        self.assertEqual((), self.assert_sound(image).facts.findings)

    def test_end_damaged(self):
        image = base()
        image.footer("checksum", 1, front=False)
        self.assert_finding(image, "vhd.footer.end", "is damaged")

    def test_copy_damaged(self):
        image = base()
        image.footer("checksum", 1, end=False)
        self.assert_finding(image, "vhd.footer.copy", "is damaged")

    def test_copy_missing(self):
        image = base()
        image.data[:512] = bytes(512)
        self.assert_finding(image, "vhd.footer.copy", "is missing")

    def test_both_sound_but_different(self):
        image = base()
        image.footer("curr_size", 6 * BLOCK, front=False)
        disk = opened(image)
        self.assertEqual(image.content()[: 6 * BLOCK], content(disk))
        self.assertEqual(["vhd.footer.copy"], [finding.code for finding in disk.facts.findings])
        self.assertIn("differ; the one at the end was used", disk.facts.findings[0].what)

    @ddt.data((True, False), (False, True))
    @ddt.unpack
    def test_one_of_them_poisoned(self, front, end):
        image = base()
        image.footer("cookie", b"v_poison", front=front, end=end)
        disk = opened(image)
        self.assertIn("a resize was interrupted", str(disk.unreadable()))
        self.assertIn("vhd-util revert", disk.unreadable().tip)

    def test_header_checksum_has_a_tip(self):
        image = base()
        image.header("checksum", 5)
        with self.assertRaises(FormatError) as caught:
            opened(image)
        self.assertIn("Fetch the file again", caught.exception.tip)

    @ddt.data(-SECTOR, -1)
    def test_size_below_a_block(self, difference):
        image = base()
        image.footer("curr_size", SIZE + difference)
        disk = opened(image)
        self.assertEqual(SIZE + (difference if difference != -1 else 0), disk.facts.virtual_size)
        self.assertEqual(image.content()[: disk.facts.virtual_size], content(disk))

    @ddt.data(0, 1, 511, 512, 1022)
    def test_too_short_for_anything(self, length):
        image = base()
        del image.data[length:]
        self.assert_refused(image, FormatError, f"the file has {length} bytes, expected 1024 or more of a VHD")


@ddt.ddt
class FixedTest(FaultCase):
    def fixed(self):
        return Vhd(size=SIZE, kind=FIXED).build()

    def test_truncated(self):
        image = self.fixed()
        del image.data[:BLOCK]
        self.assert_refused(image, FormatError, "truncated: 3211264 bytes stand before the footer, expected 3276800")

    @ddt.data(
        ("curr_size", SIZE + 1, FormatError, "truncated: 3276800 bytes stand before the footer, expected 3276801"),
        ("curr_size", 2**64 - 1, LimitError, "limit virtual_size"),
        ("cookie", b"xonectix", FormatError, "neither the end nor the start"),
        ("checksum", 3, FormatError, "the checksum of the footer is wrong"),
    )
    @ddt.unpack
    def test_field_refused(self, name, value, error, text):
        image = self.fixed()
        image.footer(name, value)
        self.assert_refused(image, error, text)

    @ddt.data(("data_offset", 512), ("data_offset", 0), ("geometry", 0), ("orig_size", 0))
    @ddt.unpack
    def test_field_that_does_not_matter(self, name, value):
        image = self.fixed()
        image.footer(name, value)
        self.assert_sound(image)

    def test_a_copy_at_the_start_does_not_stand_in(self):
        image = self.fixed()
        image.data[:512] = image.data[-512:]
        image.data[-512:] = b"\xc7" * 512
        self.assert_refused(image, FormatError, "the footer at the end is missing or overwritten")


class FuzzTest(unittest.TestCase):
    """Whatever the metadata says: an error of the family, or as many bytes as the disk has."""

    def probe(self, data: bytes) -> None:
        try:
            disk = open_vhd(MemorySource(data), STRICT)
            size = disk.facts.virtual_size
            length = min(size, 2 * BLOCK)
            for offset in (0, 5 * BLOCK, size - length):
                if offset <= size - length:
                    self.assertEqual(length, sum(extent.length for extent in disk.extents(offset, length)))
                    disk.read_into(offset, memoryview(bytearray(length)))
        except XenimageError:
            return

    @settings(max_examples=300, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 4095), st.integers(0, 255)), min_size=1, max_size=8), st.booleans())
    def test_bytes_changed(self, changes, differencing):
        image = child() if differencing else base()
        for offset, value in changes:
            image.data[offset] = value
        self.probe(image.data)

    @settings(max_examples=400, deadline=None)
    @given(st.data())
    def test_fields_changed_with_right_checksums(self, data):
        image = child() if data.draw(st.booleans()) else base()
        for _ in range(data.draw(st.integers(1, 4))):
            table, change = data.draw(
                st.sampled_from(
                    [(build.FOOTER, image.footer), (build.HEADER, image.header), (build.BATMAP, image.batmap)]
                )
            )
            name = data.draw(st.sampled_from([name for name, field in table.items() if field[1][-1] != "s"]))
            width = {"B": 8, "I": 32, "Q": 64}[table[name][1][-1]]
            edge = st.sampled_from([0, 1, 511, 512, 4096, BLOCK, SIZE, (1 << width) - 512, (1 << width) - 1])
            change(name, data.draw(edge | st.integers(0, (1 << width) - 1)) & ((1 << width) - 1))
        if data.draw(st.booleans()):
            image.table(data.draw(st.integers(0, BLOCKS - 1)), data.draw(st.integers(0, 300)))
        self.probe(image.data)

    @settings(max_examples=100, deadline=None)
    @given(st.data())
    def test_cut_anywhere(self, data):
        image = base()
        self.probe(image.data[: data.draw(st.integers(0, len(image.data)))])
