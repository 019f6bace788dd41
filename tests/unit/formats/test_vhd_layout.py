"""The structures of a VHD against bytes and figures that vhd-util itself wrote."""

from __future__ import annotations

import dataclasses
import unittest

import ddt

from xenimage.exceptions import FormatError
from xenimage.formats.vhd import layout
from xenimage.formats.vhd.geometry import Geometry, geometry, unpack
from xenimage.units import GIB, MIB, SECTOR

FOOTER = bytes.fromhex(
    "636f6e6563746978 00000002 00010000 0000000000000200 3295028a 74617000"
    "00010003 00000000 0000000006400000 0000000006400000 03eb0c11 00000003"
    "fffff1e0 14018f61848d4780a1731f00cb794de6"
).ljust(512, b"\0")
"""of an empty disk of 100 MiB, by ``vhd-util create -s 100``"""
HEADER = bytes.fromhex("6378737061727365 ffffffffffffffff 0000000000000600 00010000 00000032 00200000 fffff445").ljust(
    1024, b"\0"
)
BATMAP = bytes.fromhex("7464626174 6d6170 0000000000000a00 00000001 00010002 ffffffff").ljust(512, b"\0")

# MiB, cylinders/heads/sectors, checksum of the header, offset of the batmap's header, sectors of the map
VECTORS = (
    (2, "60/4/17", 0xFFFFF476, 2048, 1),
    (100, "1003/12/17", 0xFFFFF445, 2048, 1),
    (102, "421/16/31", 0xFFFFF444, 2048, 1),
    (504, "1024/16/63", 0xFFFFF37B, 2560, 1),
    (1024, "2080/16/63", 0xFFFFF475, 3584, 1),
    (2048, "4161/16/63", 0xFFFFF473, 5632, 1),
    (8192, "16644/16/63", 0xFFFFF467, 17920, 1),
    (8208, "16676/16/63", 0xFFFFF45F, 18432, 2),
    (10240, "20805/16/63", 0xFFFFF463, 22016, 2),
    (16384, "33288/16/63", 0xFFFFF457, 34304, 2),
    (20480, "41610/16/63", 0xFFFFF44F, 42496, 3),
    (32768, "16448/16/255", 0xFFFFF437, 67072, 4),
    (40960, "20560/16/255", 0xFFFFF427, 83456, 5),
    (102400, "51400/16/255", 0xFFFFF3AF, 206336, 13),
    (127464, "63981/16/255", 0xFFFFF28B, 256512, 16),
    (130048, "65278/16/255", 0xFFFFF379, 261632, 16),
    (131072, "65535/16/255", 0xFFFFF476, 263680, 16),
    (512000, "65535/16/255", 0xFFFFF38C, 1025536, 63),
    (1048576, "65535/16/255", 0xFFFFF46F, 2098688, 128),
    (2088960, "65535/16/255", 0xFFFFF378, 4179456, 255),
)


class FooterTest(unittest.TestCase):
    def test_parse(self):
        footer = layout.Footer.parse(FOOTER)
        self.assertTrue(footer.sound)
        self.assertTrue(footer.is_tap)
        self.assertEqual("tap 1.3", footer.creator_text)
        self.assertEqual(100 * MIB, footer.current_size)
        self.assertEqual(100 * MIB, footer.original_size)
        self.assertEqual(Geometry(1003, 12, 17), unpack(footer.geometry))
        self.assertEqual((layout.DYNAMIC, 512, 0x3295028A), (footer.type, footer.data_offset, footer.timestamp))
        self.assertEqual("14018f61848d4780a1731f00cb794de6", footer.uuid.hex())
        self.assertEqual((2, 0, 0, 0xFFFFF1E0), (footer.features, footer.saved, footer.hidden, footer.checksum))

    def test_pack_gives_the_same_bytes(self):
        self.assertEqual(FOOTER, layout.Footer.parse(FOOTER).pack())

    def test_last_byte_missing(self):
        self.assertEqual(layout.Footer.parse(FOOTER), layout.Footer.parse(FOOTER[:511]))

    def test_every_byte_counts_for_the_checksum(self):
        for at in (8, 63, 64, 67, 68, 85, 86, 511):
            with self.subTest(at):
                changed = bytearray(FOOTER)
                changed[at] ^= 1
                self.assertFalse(layout.Footer.parse(bytes(changed)).sound)

    def test_other_cookie(self):
        with self.assertRaises(FormatError):
            layout.Footer.parse(b"conectiX" + FOOTER[8:])
        self.assertEqual(b"v_poison", layout.Footer.parse(b"v_poison" + FOOTER[8:]).cookie)

    def test_creators_for_people(self):
        footer = layout.Footer.parse(FOOTER)
        for app, shown in ((b"win ", "win"), (b"tap ", "tap"), (b"\0\0\0\0", "00000000"), (b"\x1b[2J", "1b5b324a")):
            with self.subTest(app):
                changed = dataclasses.replace(footer, creator=app, creator_version=0x00060002)
                self.assertEqual(f"{shown} 6.2", changed.creator_text)
                self.assertEqual(app == b"tap ", changed.is_tap)


class HeaderTest(unittest.TestCase):
    def test_parse(self):
        header = layout.Header.parse(HEADER)
        self.assertTrue(header.sound)
        self.assertEqual((1536, 50, 2 * MIB), (header.table_offset, header.max_entries, header.block_size))
        self.assertEqual((512, 2048, 512), (header.bat_size, header.batmap_offset, header.bitmap_size))
        self.assertEqual((layout.Locator(),) * 8, header.locators)
        self.assertEqual("", header.parent_name_text)

    def test_pack_gives_the_same_bytes(self):
        self.assertEqual(HEADER, layout.Header.parse(HEADER).pack())
        self.assertEqual(HEADER, layout.Header(max_entries=50).pack())

    def test_damage(self):
        self.assertFalse(layout.Header.parse(HEADER[:1023] + b"\1").sound)
        with self.assertRaises(FormatError):
            layout.Header.parse(b"cxsparsE" + HEADER[8:])

    def test_locators_and_name(self):
        locator = layout.Locator(code=0x4D616358, data_space=512, data_length=14, data_offset=3072)
        name = "b.vhd".encode("utf-16-be").ljust(512, b"\0")
        header = layout.Header(max_entries=1, parent_name=name, locators=(locator, *(layout.Locator(),) * 7))
        again = layout.Header.parse(header.pack())
        self.assertEqual(locator, again.locators[0])
        self.assertEqual("b.vhd", again.parent_name_text)

    def test_space_in_sectors_or_bytes(self):
        for stored, size in ((1, 512), (511, 511 * 512), (512, 512), (1024, 1024)):
            with self.subTest(stored):
                self.assertEqual(size, layout.Locator(data_space=stored).space)

    def test_bitmap_of_other_block_sizes(self):
        for block, size in ((4096, 512), (512 * 1024, 512), (2 * MIB, 512), (4 * MIB, 1024)):
            with self.subTest(block):
                self.assertEqual(size, layout.Header(max_entries=1, block_size=block).bitmap_size)


@ddt.ddt
class TableTest(unittest.TestCase):
    @ddt.data(*VECTORS)
    @ddt.unpack
    def test_figures_of_vhd_util(self, size, shown, checksum, batmap_offset, sectors):
        header = layout.Header(max_entries=size // 2)
        self.assertEqual(shown, str(geometry(size * MIB)))
        self.assertEqual(checksum, layout.Header.parse(header.pack()).checksum)
        self.assertEqual(batmap_offset, header.batmap_offset)
        self.assertEqual(sectors, layout.batmap_sectors(size // 2))

    def test_batmap(self):
        batmap = layout.BatmapHeader.parse(BATMAP)
        self.assertEqual((2560, 1, 0x00010002, 0), (batmap.offset, batmap.sectors, batmap.version, batmap.key_cookie))
        self.assertEqual(BATMAP, batmap.pack())
        with self.assertRaises(FormatError):
            layout.BatmapHeader.parse(bytes(512))

    def test_checksum_of_a_map(self):
        self.assertEqual(0xFFFFFFFF, layout.checksum(bytes(512)))
        self.assertEqual(0xFFFFFF0F, layout.checksum(b"\xf0".ljust(512, b"\0")))

    def test_batmap_covers_less_than_it_holds(self):
        for size, covered in ((2, 512), (8192, 512), (8194, 512), (8206, 512), (8208, 1024), (16384, 1024)):
            with self.subTest(size):
                self.assertEqual(covered, layout.batmap_covered(size * MIB))

    def test_table_round_trip(self):
        packed = layout.pack_table(5, [(3, 7), (0, 0x80001234)])
        self.assertEqual(bytes.fromhex("80001234 ffffffff ffffffff 00000007 ffffffff").ljust(512, b"\0"), packed)
        none = layout.UNALLOCATED
        self.assertEqual([0x80001234, none, none, 7, none], list(layout.read_table(packed[:20])))


class GeometryTest(unittest.TestCase):
    def test_never_more_than_the_size(self):
        for size in (
            2 * MIB,
            2 * MIB + SECTOR,
            504 * MIB,
            504 * MIB + SECTOR,
            31 * GIB,
            32 * GIB,
            127 * GIB,
            2040 * GIB,
        ):
            with self.subTest(size):
                self.assertLessEqual(geometry(size).size, size)

    def test_the_largest(self):
        largest = Geometry(65535, 16, 255)
        self.assertEqual(136899993600, largest.size)
        self.assertEqual(largest, geometry(136899993600))
        self.assertNotEqual(largest, geometry(136899993600 - 255 * 16 * SECTOR))
        self.assertEqual(largest, geometry(2040 * GIB))

    def test_packed(self):
        self.assertEqual(0x03EB0C11, geometry(100 * MIB).packed)
        self.assertEqual(geometry(100 * MIB), unpack(0x03EB0C11))
