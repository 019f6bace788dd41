"""New VHDs against the sizes and bytes of vhd-util's, and against this project's own reader."""

from __future__ import annotations

import struct
import unittest

import ddt
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders.pattern import pattern
from tests.builders.vhd import MemorySource
from xenimage.exceptions import UnsupportedError
from xenimage.formats.vhd import layout
from xenimage.formats.vhd.reader import open_vhd
from xenimage.formats.vhd.writer import BITMAP, GAP, STRIDE, NewVhd, Parent
from xenimage.limits import STRICT
from xenimage.units import GIB, MIB, SECTOR

UUID = bytes.fromhex("14018f61848d4780a1731f00cb794de6")
TIME = layout.EPOCH + 0x3295028A
BLOCK = 2 * MIB

# MiB, bytes of the empty file, sector of the first block
VECTORS = (
    (2, 3584, 7),
    (100, 3584, 7),
    (102, 3584, 7),
    (504, 4096, 7),
    (1024, 5120, 15),
    (2048, 7168, 15),
    (8192, 19456, 39),
    (8194, 20480, 39),
    (8206, 20480, 39),
    (8208, 20480, 39),
    (10240, 24064, 47),
    (16384, 36352, 71),
    (20480, 45056, 87),
    (32768, 70144, 143),
    (40960, 87040, 175),
    (102400, 214016, 423),
    (127464, 265728, 519),
    (130048, 270848, 535),
    (131072, 272896, 535),
    (512000, 1058816, 2071),
    (1048576, 2165248, 4231),
    (2088960, 4311040, 8423),
)


def written(size: int, blocks: list[int]) -> bytes:
    """A whole file of *size* bytes whose *blocks* hold the pattern, in the order given."""
    new = NewVhd(virtual_size=size, timestamp=TIME)
    head = new.head(UUID, blocks)
    parts = [head.ljust(new.first_block, b"\0") if blocks else head]
    for number, block in enumerate(blocks):
        parts.append(bytes(GAP) if number else b"")
        parts.append(BITMAP + pattern(block * BLOCK, BLOCK))
    return b"".join(parts) + new.footer(UUID)


@ddt.ddt
class VectorTest(unittest.TestCase):
    @ddt.data(*VECTORS)
    @ddt.unpack
    def test_sizes_of_vhd_util(self, size, empty, first):
        new = NewVhd(virtual_size=size * MIB, timestamp=TIME)
        self.assertEqual(empty, new.size(0))
        self.assertEqual(first * SECTOR, new.first_block)
        self.assertEqual((first + 4104 * 2 + 4097 + 1) * SECTOR, new.size(3))
        self.assertEqual(7, new.first_block // SECTOR % 8)

    def test_bytes_of_an_empty_disk(self):
        data = written(100 * MIB, [])
        self.assertEqual(3584, len(data))
        self.assertEqual(data[:512], data[-512:])
        self.assertEqual("636f6e6563746978000000020001000000000000000002003295028a74617000", data[:32].hex())
        self.assertEqual(
            "000100030000000000000000064000000000000006400000 03eb0c1100000003".replace(" ", ""), data[32:64].hex()
        )
        self.assertEqual("fffff1e014018f61848d4780a1731f00cb794de6", data[64:84].hex())
        self.assertEqual(bytes(512 - 84), data[84:512])
        self.assertEqual(
            "6378737061727365ffffffffffffffff0000000000000600000100000000003200200000fffff445", data[512:552].hex()
        )
        self.assertEqual(bytes(1536 - 552), data[552:1536])
        self.assertEqual(b"\xff" * 200 + bytes(312), data[1536:2048])
        self.assertEqual(
            "7464626174 6d61700000000000000a000000000100010002ffffffff".replace(" ", ""), data[2048:2076].hex()
        )
        self.assertEqual(bytes(2560 - 2076 + 512), data[2076:3072])

    def test_offsets_of_a_full_disk_of_8_mib(self):
        data = written(8 * MIB, [0, 1, 2, 3])
        self.assertEqual(8405504, len(data))
        table = layout.read_table(data[1536:1552])
        self.assertEqual([3584, 2104832, 4206080, 6307328], [sector * SECTOR for sector in table])
        self.assertEqual(b"\xf0".ljust(512, b"\0"), data[2560:3072])
        self.assertEqual("ffffff0f", data[2072:2076].hex())

    def test_blocks_leave_seven_sectors_free_before_each_other(self):
        self.assertEqual(4104 * SECTOR, STRIDE)
        self.assertEqual(7 * SECTOR, GAP)


@ddt.ddt
class MapTest(unittest.TestCase):
    @ddt.data((8194, 4096), (8206, 4102), (16386, 8192))
    @ddt.unpack
    def test_bits_that_the_checksum_does_not_cover_stay_clear(self, size, last):
        new = NewVhd(virtual_size=size * MIB, timestamp=TIME)
        head = new.head(UUID, [0, last])
        offset = layout.Header(max_entries=size // 2).batmap_offset
        batmap = layout.BatmapHeader.parse(head[offset : offset + 512])
        stored = head[batmap.offset : batmap.offset + 512 * batmap.sectors]
        self.assertEqual(b"\x80", stored[:1])
        self.assertEqual(1, sum(bin(byte).count("1") for byte in stored))
        self.assertEqual(layout.checksum(stored), batmap.checksum)

    @ddt.data(0, -BLOCK, 1, BLOCK + SECTOR, 2040 * GIB + BLOCK)
    def test_size_that_no_vhd_has(self, size):
        with self.assertRaises(ValueError):
            NewVhd(virtual_size=size, timestamp=TIME)

    @ddt.data(0, layout.EPOCH - 1, layout.EPOCH + (1 << 32))
    def test_time_that_no_vhd_has(self, timestamp):
        with self.assertRaises(ValueError):
            NewVhd(virtual_size=BLOCK, timestamp=timestamp)


class RoundTripTest(unittest.TestCase):
    @settings(max_examples=15, deadline=None)
    @given(st.integers(1, 8), st.data())
    def test_own_reader_reads_it(self, count, data):
        blocks = data.draw(st.lists(st.integers(0, count - 1), unique=True, max_size=4))
        disk = open_vhd(MemorySource(written(count * BLOCK, blocks)), STRICT)
        self.assertEqual((count * BLOCK, ()), (disk.facts.virtual_size, disk.facts.findings))
        buffer = bytearray(BLOCK)
        for block in range(count):
            disk.read_into(block * BLOCK, memoryview(buffer))
            self.assertEqual(pattern(block * BLOCK, BLOCK) if block in blocks else bytes(BLOCK), bytes(buffer))
        self.assertEqual(sorted(blocks), list(disk.tables.stored))


@ddt.ddt
class ChildTest(unittest.TestCase):
    """A differencing disk, field by field as blktap's ``vhd-util snapshot`` writes it."""

    PARENT = bytes.fromhex("b0b0b0b0848d4780a1731f00cb794de6")

    def child(self, size: int = 100 * MIB, name: str = "1.vhd", hidden: bool = False) -> NewVhd:
        return NewVhd(virtual_size=size, timestamp=TIME, parent=Parent(name=name, timestamp=TIME - 1000), hidden=hidden)

    def test_an_empty_child_of_100_mib(self):
        new = self.child()
        self.assertEqual((5120, 15 * SECTOR), (new.size(0), new.first_block))
        data = new.head(UUID, [], parent_uuid=self.PARENT) + new.footer(UUID)
        self.assertEqual(5120, len(data))
        self.assertEqual(data[:512], data[-512:])
        self.assertEqual("00000004", data[60:64].hex())
        self.assertEqual(self.PARENT, data[552:568])
        self.assertEqual(0x3295028A - 1000, int.from_bytes(data[568:572], "big"))
        self.assertEqual(bytes(4), data[572:576])
        self.assertEqual(bytes.fromhex("0031002e007600680064").ljust(512, b"\0"), data[576:1088])
        self.assertEqual(bytes(256), data[1280:1536])
        self.assertEqual(~(sum(data[512:1536]) - sum(data[548:552])) & 0xFFFFFFFF, int.from_bytes(data[548:552], "big"))

    def test_three_locators_each_in_a_sector_behind_the_batmap(self):
        data = self.child().head(UUID, [], parent_uuid=self.PARENT)
        windows = ".\\1.vhd".encode("utf-16-le")
        paths = ((b"MacX", b"file://./1.vhd"), (b"W2ku", windows), (b"W2ru", windows))
        for slot, (code, path) in enumerate(paths):
            offset = 3072 + slot * SECTOR
            wanted = code + struct.pack(">IIIQ", 512, len(path), 0, offset)
            self.assertEqual(wanted, data[1088 + 24 * slot : 1112 + 24 * slot])
            self.assertEqual(path.ljust(SECTOR, b"\0"), data[offset : offset + SECTOR])
        self.assertEqual(bytes(5 * 24), data[1088 + 72 : 1280])
        self.assertEqual(3072 + 3 * SECTOR, len(data))

    # MiB, bytes of the empty file (that of a dynamic disk and 1536), sector of the first block
    @ddt.data(*((size, empty + 1536) for size, empty, _ in VECTORS))
    @ddt.unpack
    def test_the_first_block_is_the_lowest_that_begins_a_page(self, size, empty):
        new = self.child(size * MIB)
        self.assertEqual(empty, new.size(0))
        head_end = empty // SECTOR - 1
        first = next(sector for sector in range(head_end, head_end + 8) if sector % 8 == 7)
        self.assertEqual(first * SECTOR, new.first_block)
        self.assertEqual((first + 4104 + 4097 + 1) * SECTOR, new.size(2))

    def test_bits_of_the_batmap_are_those_of_full_bitmaps(self):
        head = self.child().head(UUID, [0, 3, 8, 9, 49], partial=[3, 9], parent_uuid=self.PARENT)
        self.assertEqual(bytes([0x80, 0x80, 0, 0, 0, 0, 0x40]).ljust(512, b"\0"), head[2560:3072])
        self.assertEqual(~(0x80 + 0x80 + 0x40) & 0xFFFFFFFF, int.from_bytes(head[2072:2076], "big"))
        entries = struct.unpack_from(">50I", head, 1536)
        stored = {block: start for block, start in enumerate(entries) if start != 0xFFFFFFFF}
        self.assertEqual({0: 15, 3: 15 + 4104, 8: 15 + 2 * 4104, 9: 15 + 3 * 4104, 49: 15 + 4 * 4104}, stored)

    @ddt.data(False, True)
    def test_hidden(self, hidden):
        for new in (self.child(hidden=hidden), NewVhd(virtual_size=BLOCK, timestamp=TIME, hidden=hidden)):
            self.assertEqual(int(hidden), new.footer(UUID)[85])

    def test_a_name_that_no_locator_can_hold(self):
        for name in ("ü.vhd", "x" * 300 + ".vhd"):
            with self.assertRaisesRegex(UnsupportedError, "the parent's path"):
                self.child(name=name).head(UUID, [])
