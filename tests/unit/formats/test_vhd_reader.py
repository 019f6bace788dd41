"""The VHD reader over files of every kind, creator and block size: content, extents, facts, thrift."""

from __future__ import annotations

import unittest
import uuid
from concurrent.futures import ThreadPoolExecutor

import ddt
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import vhd as build
from tests.builders.vhd import CREATORS, DIFFERENCING, FIXED, MemorySource, Vhd
from xenimage.formats.overlay import Overlay
from xenimage.formats.vhd.reader import VhdDisk, open_vhd
from xenimage.limits import STRICT
from xenimage.model.extent import Extent, Kind
from xenimage.units import GIB, KIB, MIB, SECTOR

ALL = range(128)
"""every sector of a block of 64 KiB"""


def opened(image: build.Image) -> VhdDisk:
    return open_vhd(MemorySource(image.data), STRICT)


def read(disk: VhdDisk | Overlay, offset: int = 0, length: int | None = None) -> bytes:
    buffer = bytearray(b"\xaa" * (disk.facts.virtual_size - offset if length is None else length))
    disk.read_into(offset, memoryview(buffer))
    return bytes(buffer)


def seen(disk: VhdDisk) -> list[tuple[int, int, Kind]]:
    return [(extent.offset, extent.length, extent.kind) for extent in disk.extents(0, disk.facts.virtual_size)]


def codes(disk: VhdDisk) -> list[str]:
    return [finding.code for finding in disk.facts.findings]


@st.composite
def images(draw: st.DrawFn) -> build.Image:
    block_size = draw(st.sampled_from([4 * KIB, 16 * KIB, 64 * KIB]))
    blocks = draw(st.integers(1, 12))
    size = blocks * block_size - SECTOR * draw(st.integers(0, block_size // SECTOR - 1))
    sectors = block_size // SECTOR
    present = st.one_of(
        st.just(list(range(sectors))), st.lists(st.integers(0, sectors - 1), unique=True).map(sorted), st.just([])
    )
    order = draw(st.permutations(range(blocks)))
    stored = {block: draw(present) for block in order[: draw(st.integers(0, blocks))]}
    return Vhd(
        size=size,
        kind=draw(st.sampled_from([FIXED, build.DYNAMIC, DIFFERENCING])),
        block_size=block_size,
        blocks=stored,
        creator=draw(st.sampled_from(list(CREATORS.values()))),
        junk=draw(st.sampled_from([b"\0", b"junk"])),
        short_footer=draw(st.booleans()),
    ).build()


@ddt.ddt
class ContentTest(unittest.TestCase):
    @settings(max_examples=150, deadline=None)
    @given(images(), st.data())
    def test_any_slice_equals_the_pattern(self, image, data):
        disk = opened(image)
        content = image.content()
        self.assertEqual(len(content), disk.facts.virtual_size)
        offset = data.draw(st.integers(0, len(content)))
        length = data.draw(st.integers(0, len(content) - offset))
        self.assertEqual(content[offset : offset + length], read(disk, offset, length))
        self.assertEqual(content, read(disk))

    @settings(max_examples=100, deadline=None)
    @given(images(), st.data())
    def test_extents_are_gapless_and_true(self, image, data):
        disk = opened(image)
        size = disk.facts.virtual_size
        offset = data.draw(st.integers(0, size))
        length = data.draw(st.integers(0, size - offset))
        position, last = offset, None
        held = {start // SECTOR for start, _ in image.ranges()}
        for extent in disk.extents(offset, length):
            self.assertEqual(position, extent.offset)
            self.assertGreater(extent.length, 0)
            self.assertNotEqual(last, extent.kind)
            position, last = extent.end, extent.kind
            if not image.fixed:
                for at in range(extent.offset, extent.end, SECTOR):
                    self.assertEqual(extent.kind is Kind.DATA, at // SECTOR in held)
        self.assertEqual(offset + length, position)

    @ddt.data(*CREATORS)
    def test_every_creator(self, name):
        image = Vhd(
            size=300 * KIB, block_size=64 * KIB, blocks={3: ALL, 0: [0, 1, 127], 4: ALL}, creator=CREATORS[name]
        ).build()
        disk = opened(image)
        self.assertIsNone(disk.unreadable())
        self.assertEqual(image.content(), read(disk))
        self.assertEqual(("vhd", "dynamic", 300 * KIB), (disk.facts.format, disk.facts.variant, len(read(disk))))

    @ddt.data(4 * KIB, 32 * KIB, 512 * KIB, 1 * MIB, 2 * MIB)
    def test_every_block_size(self, block_size):
        sectors = block_size // SECTOR
        image = Vhd(
            size=3 * block_size, block_size=block_size, blocks={1: range(sectors), 2: range(1, sectors, 3)}, junk=b"x"
        ).build()
        disk = opened(image)
        self.assertEqual(image.content(), read(disk))
        self.assertEqual(block_size, disk.facts.granularity)

    def test_alternating_sectors(self):
        disk = opened(Vhd(size=128 * KIB, block_size=64 * KIB, blocks={1: range(0, 128, 2)}).build())
        extents = seen(disk)
        self.assertEqual((0, 64 * KIB, Kind.ZERO), extents[0])
        self.assertEqual((64 * KIB, 512, Kind.DATA), extents[1])
        self.assertEqual(129, len(extents))

    def test_batmap_is_not_trusted(self):
        image = Vhd(size=1 * MIB, block_size=64 * KIB, blocks={0: [5]}, junk=b"junk").build()
        image.data[image.batmap_offset + SECTOR] = 0xFF
        self.assertEqual(image.content(), read(opened(image)))

    def test_threads_share_a_disk(self):
        image = Vhd(size=4 * MIB, block_size=16 * KIB, blocks={b: range(0, 32, 2) for b in range(0, 256, 3)}).build()
        disk, content = opened(image), image.content()
        with ThreadPoolExecutor(4) as pool:
            parts = pool.map(
                lambda at: read(disk, at, 10000) == content[at : at + 10000], range(0, 4 * MIB - 10000, 9999)
            )
            self.assertTrue(all(parts))

    def test_range_outside_is_the_callers_bug(self):
        disk = opened(Vhd(size=64 * KIB).build())
        with self.assertRaises(ValueError):
            read(disk, 64 * KIB, 1)


class DifferencingTest(unittest.TestCase):
    PARENT = uuid.UUID("11111111-2222-3333-4444-555555555555")

    def child(self, **changes):
        values = {
            "size": 256 * KIB,
            "kind": DIFFERENCING,
            "block_size": 64 * KIB,
            "blocks": {1: [0, 9], 2: ALL},
            "seed": 7,
            "parent": self.PARENT.bytes,
            "locators": build.blktap_locators("sub/base.vhd"),
        }
        return Vhd(**{**values, **changes}).build()

    def test_what_is_not_stored_is_absent(self):
        self.assertEqual(
            [
                (0, 64 * KIB, Kind.ABSENT),
                (64 * KIB, 512, Kind.DATA),
                (64 * KIB + 512, 8 * 512, Kind.ABSENT),
                (64 * KIB + 9 * 512, 512, Kind.DATA),
                (64 * KIB + 10 * 512, 118 * 512, Kind.ABSENT),
                (128 * KIB, 64 * KIB, Kind.DATA),
                (192 * KIB, 64 * KIB, Kind.ABSENT),
            ],
            seen(opened(self.child())),
        )

    def test_over_its_parent(self):
        base = Vhd(size=192 * KIB, block_size=64 * KIB, blocks={0: ALL, 1: range(60)}).build()
        child = self.child()
        disk = Overlay(opened(child), opened(base))
        self.assertEqual(child.content(base.content()), read(disk))

    def test_parent_by_locator(self):
        parent = opened(self.child()).facts.parent
        self.assertEqual(("./sub/base.vhd", str(self.PARENT), "vhd"), (parent.name, parent.identity, parent.format))

    def test_parent_by_windows_locator(self):
        disk = opened(self.child(locators=build.blktap_locators("b.vhd")[1:]))
        self.assertEqual(".\\b.vhd", disk.facts.parent.name)

    def test_parent_by_header_without_locators(self):
        self.assertEqual(
            "b\u00e4se.vhd", opened(self.child(locators=(), parent_name="b\u00e4se.vhd")).facts.parent.name
        )

    def test_name_is_made_fit_for_a_terminal(self):
        disk = opened(self.child(locators=[(b"MacX", b"file://a\x1b[2Jb\xff.vhd")]))
        self.assertEqual("a\ufffd[2Jb\ufffd.vhd", disk.facts.parent.name)

    def test_null_uuid_means_a_raw_parent(self):
        parent = opened(self.child(parent=bytes(16))).facts.parent
        self.assertEqual(("raw", ""), (parent.format, parent.identity))

    def test_dynamic_has_no_parent(self):
        self.assertIsNone(opened(self.child(kind=build.DYNAMIC)).facts.parent)


class FixedTest(unittest.TestCase):
    def test_content_and_facts(self):
        image = Vhd(size=100 * KIB, kind=FIXED, creator=CREATORS["qem2"]).build()
        disk = opened(image)
        self.assertEqual(image.content(), read(disk))
        self.assertEqual([(0, 100 * KIB, Kind.DATA)], seen(disk))
        self.assertEqual(("fixed", SECTOR, None), (disk.facts.variant, disk.facts.granularity, disk.header))

    def test_disk_that_is_shorter_than_the_file(self):
        image = Vhd(size=100 * KIB, kind=FIXED).build()
        image.footer("curr_size", 60 * KIB)
        disk = opened(image)
        self.assertEqual(image.content()[: 60 * KIB], read(disk))
        self.assertIn("vhd.fixed.length", codes(disk))

    def test_footer_of_511_bytes(self):
        image = Vhd(size=100 * KIB, kind=FIXED, short_footer=True).build()
        self.assertEqual(100 * KIB + 511, len(image.data))
        self.assertEqual(image.content(), read(opened(image)))

    def test_one_byte_less(self):
        image = Vhd(size=100 * KIB, kind=FIXED).build()
        image.footer("curr_size", 100 * KIB - 1)
        disk = opened(image)
        self.assertEqual(image.content(), read(disk))
        self.assertIn("vhd.size.sector", codes(disk))

    def test_odd_length_is_filled_with_zeros(self):
        image = Vhd(size=100 * KIB - 1, kind=FIXED).build()
        disk = opened(image)
        self.assertEqual(image.content(), read(disk))
        self.assertEqual([(0, 100 * KIB - 1, Kind.DATA), (100 * KIB - 1, 1, Kind.ZERO)], seen(disk))


class FactsTest(unittest.TestCase):
    def test_details_of_a_tap_disk(self):
        image = Vhd(size=8 * MIB, blocks={0: range(4096), 3: [1]}, identity=uuid.UUID(int=5).bytes).build()
        image.footer("hidden", 1)
        disk = opened(image)
        self.assertEqual(
            {
                "creator": "tap 1.3",
                "uuid": "00000000-0000-0000-0000-000000000005",
                "geometry": "240/4/17",
                "created": "2000-01-02T00:00:00Z",
                "hidden": "1",
                "original size": "8388608",
                "block size": "2097152",
                "blocks": "4",
                "allocated blocks": "2",
                "batmap": "1.2",
            },
            dict(disk.facts.details),
        )
        self.assertEqual(len(image.data), disk.facts.stored_size)
        self.assertEqual((), disk.facts.findings)
        self.assertFalse(disk.facts.compressed)

    def test_tables_are_there_for_those_who_judge_them(self):
        image = Vhd(size=8 * MIB, blocks={2: [0]}, creator=CREATORS["qemu"]).build()
        disk = opened(image)
        self.assertEqual(image.footer_offset, disk.footer_offset)
        self.assertEqual(4, disk.header.max_entries)
        self.assertEqual([build.NONE, build.NONE, image.entry(2), build.NONE], list(disk.table))
        self.assertEqual(b"qemu", disk.footer.creator)
        self.assertEqual("none", dict(disk.facts.details)["batmap"])

    def test_close_closes_the_source(self):
        source = MemorySource(Vhd(size=MIB).build().data)
        open_vhd(source, STRICT).close()
        self.assertTrue(source.closed)


@ddt.ddt
class SizeTest(unittest.TestCase):
    """The size is the footer's; who would see another one is told."""

    @ddt.data(
        ("tap", None),
        ("qem2", None),
        ("win", None),
        ("vbox", "before 10.0"),
        ("qemu", "qemu goes"),
        ("vpc", "qemu goes"),
    )
    @ddt.unpack
    def test_geometry_below_the_size(self, creator, who):
        disk = opened(Vhd(size=100 * MIB, creator=CREATORS[creator], geometry=1003 << 16 | 12 << 8 | 17).build())
        self.assertEqual(100 * MIB, disk.facts.virtual_size)
        found = [finding for finding in disk.facts.findings if finding.code == "vhd.size.chs"]
        self.assertEqual(who is not None, bool(found))
        if who:
            self.assertIn(who, found[0].why)
            self.assertIn("104761344", found[0].what)

    def test_full_geometry_says_nothing(self):
        disk = opened(Vhd(size=130048 * MIB, creator=CREATORS["qemu"], geometry=0xFFFF10FF).build())
        self.assertEqual([], codes(disk))


class ThriftTest(unittest.TestCase):
    def test_extents_of_an_empty_disk_of_2040_gib(self):
        disk = opened(Vhd(size=2040 * GIB).build())
        self.assertEqual(1044480, len(disk.table))
        self.assertEqual([Extent(0, 2040 * GIB, Kind.ZERO)], list(disk.extents(0, 2040 * GIB)))

    def test_opening_reads_no_data(self):
        source = MemorySource(Vhd(size=64 * MIB, blocks={b: [0] for b in range(4)}).build().data)
        open_vhd(source, STRICT)
        self.assertLess(source.read_bytes, 4096)

    def test_reading_reads_little_more_than_what_is_stored(self):
        source = MemorySource(Vhd(size=64 * MIB, blocks={b: range(4096) for b in range(0, 6, 2)}).build().data)
        disk = open_vhd(source, STRICT)
        before = source.read_bytes
        for offset in range(0, 64 * MIB, 2 * MIB):
            for extent in disk.extents(offset, 2 * MIB):
                if extent.kind is Kind.DATA:
                    read(disk, extent.offset, extent.length)
        self.assertLess(source.read_bytes - before, 1.05 * 3 * 2 * MIB)
