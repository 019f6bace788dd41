"""VHDs with one fault each: the repaired file is sound, has the same uuid, and holds what was there."""

from __future__ import annotations

import dataclasses
import struct
from typing import TYPE_CHECKING

import ddt

from tests.base import TestCase
from tests.builders.bundle import NOW
from tests.builders.vhd import CREATORS, DIFFERENCING, FIXED, Image, MemorySource, Vhd, blktap_locators
from xenimage import api
from xenimage.exceptions import NotReadyError, XenimageError
from xenimage.formats.vhd.reader import open_vhd
from xenimage.limits import STRICT
from xenimage.model.finding import Severity
from xenimage.model.plan import RepairOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from xenimage.model.report import RepairReport

MIB = 1 << 20
BLOCK = 2 * MIB
SIZE = 20 * MIB
STRIDE = 4104
WHOLE = range(4096)
EPOCH = 946684800
FUTURE = 0xF0000000
UNALLOCATED = 0xFFFFFFFF
DISK = Vhd(size=SIZE, blocks={0: range(128), 5: WHOLE, 9: WHOLE})
CHILD = Vhd(
    size=SIZE,
    kind=DIFFERENCING,
    blocks={1: range(8, 100), 5: WHOLE},
    parent=b"\x02" * 16,
    parent_name="base.vhd",
    locators=blktap_locators("base.vhd"),
)


def both(name: str, value: int | bytes, *, seal: bool = True) -> Callable[[Image], None]:
    return lambda image: image.footer(name, value, seal=seal)


def front(name: str, value: int | bytes, *, seal: bool = True) -> Callable[[Image], None]:
    return lambda image: image.footer(name, value, end=False, seal=seal)


def end(name: str, value: int | bytes, *, seal: bool = True) -> Callable[[Image], None]:
    return lambda image: image.footer(name, value, front=False, seal=seal)


def head(name: str, value: int | bytes, *, seal: bool = True) -> Callable[[Image], None]:
    return lambda image: image.header(name, value, seal=seal)


def table(block: int, sector: int) -> Callable[[Image], None]:
    return lambda image: image.table(block, sector)


def batmap(name: str, value: int | bytes) -> Callable[[Image], None]:
    return lambda image: image.batmap(name, value)


def put(at: int, data: bytes) -> Callable[[Image], None]:
    """Write *data* at *at*; behind a negative place, counted from the end."""

    def change(image: Image) -> None:
        start = at if at >= 0 else len(image.data) + at
        image.data[start : start + len(data)] = data

    return change


def append(data: bytes) -> Callable[[Image], None]:
    return lambda image: image.data.extend(data)


def cut(length: int) -> Callable[[Image], None]:
    def change(image: Image) -> None:
        del image.data[-length:]

    return change


def map_bit(block: int, *, covered: int = 512) -> Callable[[Image], None]:
    """Set a bit of the batmap, its checksum made right."""

    def change(image: Image) -> None:
        bits = image.batmap_offset + 512
        image.data[bits + (block >> 3)] |= 0x80 >> (block & 7)
        image.batmap("checksum", ~sum(image.data[bits : bits + covered]) & 0xFFFFFFFF)

    return change


WITHOUT_LOSS = {
    "nothing": lambda image: None,
    "features 0": both("features", 0),
    "features 3": both("features", 3),
    "features 6": both("features", 6),
    "footer version": both("ff_version", 0x00020000),
    "future": both("timestamp", FUTURE),
    "unix time": both("timestamp", NOW),
    "tap 1.4": both("crtr_ver", 0x00010004),
    "tap with a space": both("crtr_app", b"tap "),
    "tap 1.0": both("crtr_ver", 0x00010000),
    "qemu with tap's layout": both("crtr_app", b"qemu"),
    "geometry 0": both("geometry", 0),
    "geometry too large": both("geometry", 65535 << 16 | 16 << 8 | 255),
    "type 5": both("type", 5),
    "type 0": both("type", 0),
    "saved 1": both("saved", 1),
    "saved 2": both("saved", 2),
    "hidden 1": both("hidden", 1),
    "hidden 2": both("hidden", 2),
    "reserved, first": both("reserved", 1),
    "reserved, last": both("reserved_end", 1),
    "data offset of the footer": both("data_offset", 1024),
    "checksum of both footers": both("checksum", 1),
    "checksum of the end": end("checksum", 1),
    "checksum of the copy": front("checksum", 1),
    "time in one footer": end("timestamp", 5),
    "cookie of the end": end("cookie", b"garbage!", seal=False),
    "cookie of the copy": front("cookie", b"garbage!", seal=False),
    "one footer damaged, one lost": lambda image: (put(-512, bytes(512))(image), front("checksum", 1)(image)),
    "original size 0": both("orig_size", 0),
    "original size too large": both("orig_size", 2 * SIZE),
    "current size 0": both("curr_size", 0),
    "footer in use": put(-512, b"\xc7" * 512),
    "footer cut off": cut(512),
    "last byte cut off": cut(1),
    "bytes behind the footer": append(b"junk" * 25),
    "zeros behind the footer": append(bytes(512)),
    "an odd sector behind the footer": append(bytes(511)),
    "a sector in front of the footer": lambda image: image.data.__setitem__(
        slice(-512, None), bytes(512) + image.data[-512:]
    ),
    "cookie of the header": head("cookie", b"garbage!"),
    "cookie of the header, unsealed": head("cookie", b"garbage!", seal=False),
    "data offset of the header": head("data_offset", 0),
    "version of the header": head("hdr_ver", 0x00010001),
    "checksum of the header": head("checksum", 1),
    "reserved word of the header": head("res1", 1),
    "reserved bytes of the header": head("res2", 1),
    "place of the BAT 0": head("table_offset", 0),
    "place of the BAT unaligned": head("table_offset", 1537),
    "place of the BAT outside": head("table_offset", 1 << 40),
    "BAT too short": head("max_bat_size", 9),
    "BAT too long": head("max_bat_size", 11),
    "BAT much too long": head("max_bat_size", 1000),
    "blocks of 3 MiB": head("block_size", 3 * MIB),
    "dynamic with a parent's uuid": head("prt_uuid", b"\7" * 16),
    "dynamic with a parent's name": head("prt_name", "x".encode("utf-16-be")),
    "dynamic with a parent's time": head("prt_ts", 1),
    "dynamic with a locator": lambda image: image.locator(1, "code", 0x4D616358),
    "unknown locator": lambda image: image.locator(0, "code", 0x12345678),
    "batmap, cookie": batmap("cookie", b"garbage!"),
    "batmap, offset": batmap("offset", 0),
    "batmap, size 0": batmap("size", 0),
    "batmap, version": batmap("version", 0x00010003),
    "batmap, checksum": batmap("checksum", 1),
    "batmap, absent block": map_bit(1),
    "batmap, partial block": map_bit(0),
    "batmap overwritten": put(2048, b"\xee" * 1024),
}

# What is lost by each fault: (block, first, stop) of the sectors that read as zeros then.
WITH_LOSS = {
    "an entry behind the end": (table(9, 1 << 20), [(9, 0, 4096)]),
    "an entry at the end": (table(2, 1 << 30), []),
    "an entry 0": (table(0, 0), [(0, 0, 128)]),
    "an entry in the tables": (table(5, 4), [(5, 0, 4096)]),
    "an entry over the BAT": (table(3, 3), []),
    "two entries of one place": (table(7, 7), []),
    "two entries of one place, one of them full": (table(2, 7 + STRIDE), []),
    "two entries that overlap": (table(2, 8), []),
    "an entry near the footer": (table(3, 7 + 3 * STRIDE - 100), []),
    "a MiB cut off": (cut(MIB), [(9, 2049, 4096)]),
    "a block cut off": (cut(512 + BLOCK), [(9, 0, 4096)]),
    "a part of a sector cut off": (cut(512 + 100), [(9, 4095, 4096)]),
    "all but a sector cut off": (cut(512 + BLOCK - 512), [(9, 1, 4096)]),
}


@ddt.ddt
class RepairTestCase(TestCase):
    """Every fault, by both ways where there are two."""

    def _repair(self, data: bytes, **options: object) -> RepairReport:
        (self.scratch / "bad.vhd").write_bytes(data)
        return api.repair_disk(
            RepairOptions(
                path=f"{self.scratch}/bad.vhd",
                output=f"{self.scratch}/good.vhd",
                **options,  # type: ignore[arg-type]
            )
        )

    def _content(self) -> bytes:
        """What qemu reads, which knows nothing of bitmaps and batmaps."""
        self.run_tool("qemu-img", "convert", "-f", "vpc", "-O", "raw", "good.vhd", "good.raw")
        return (self.scratch / "good.raw").read_bytes()

    def _assert_sound(self, report: RepairReport, uuid: bytes = b"\x01" * 16) -> None:
        self.assertEqual([], [each for each in report.after if each.severity is Severity.ERROR])
        data = (self.scratch / "good.vhd").read_bytes()
        self.assertEqual(data[:512], data[-512:])
        self.assertEqual(uuid, data[68:84])
        self.assertEqual((b"tap\0", 0x00010003), struct.unpack_from(">4sI", data, 28))

    @ddt.data(*WITHOUT_LOSS)
    def test_without_loss(self, name: str) -> None:
        image = DISK.build()
        expected = image.content()
        WITHOUT_LOSS[name](image)
        report = self._repair(bytes(image.data))
        self.assertEqual((), report.lost)
        self._assert_sound(report)
        self.assert_same_bytes(expected, self._content())

    @ddt.data(*WITH_LOSS)
    def test_with_loss(self, name: str) -> None:
        change, lost = WITH_LOSS[name]
        image = DISK.build()
        expected = bytearray(image.content())
        for block, first, stop in lost:
            expected[block * BLOCK + first * 512 : block * BLOCK + stop * 512] = bytes((stop - first) * 512)
        change(image)
        with self.assertRaises(NotReadyError) as caught:
            self._repair(bytes(image.data))
        self.assertIn("lost or in doubt", str(caught.exception))
        self.assertFalse((self.scratch / "good.vhd").exists())
        report = self._repair(bytes(image.data), accept_loss=True)
        self.assertTrue(report.lost)
        for block, first, stop in lost:
            where = (block * BLOCK + first * 512, (stop - first) * 512)
            self.assertTrue(
                any(each.offset <= where[0] and sum(where) <= each.offset + each.length for each in report.lost), where
            )
        self._assert_sound(report)
        self.assert_same_bytes(bytes(expected), self._content())

    def test_exact_ranges_are_listed(self) -> None:
        image = DISK.build()
        report = self._repair(bytes(image.data[:-MIB]), accept_loss=True)
        (lost,) = report.lost
        self.assertEqual((9 * BLOCK + MIB + 512, MIB - 512), (lost.offset, lost.length))

    @ddt.data(*CREATORS)
    def test_every_creator(self, name: str) -> None:
        disk = dataclasses.replace(DISK, creator=CREATORS[name], size=SIZE - MIB)
        image = disk.build()
        report = self._repair(bytes(image.data))
        self._assert_sound(report)
        self.assertEqual((), report.lost)
        self.assertEqual(SIZE, report.virtual_size)
        self.assert_same_bytes(image.content().ljust(SIZE, b"\0"), self._content())

    @ddt.data(512 << 10, 1 << 20)
    def test_other_block_sizes(self, block_size: int) -> None:
        blocks = {0: range(block_size // 512), 3: range(10), 7: range(5, 300)}
        image = Vhd(size=SIZE, block_size=block_size, blocks=blocks, creator=CREATORS["win"]).build()
        self._assert_sound(self._repair(bytes(image.data)))
        self.assert_same_bytes(image.content(), self._content())

    def test_a_bat_that_is_far_too_short(self) -> None:
        image = Vhd(size=260 * BLOCK, blocks={0: WHOLE, 200: WHOLE}).build()
        image.header("max_bat_size", 100)
        report = self._repair(bytes(image.data), accept_loss=True)
        self.assertEqual([(128 * BLOCK, 132 * BLOCK)], [(each.offset, each.length) for each in report.lost])
        self.assertEqual("the BAT has no entry for it", report.lost[0].why)
        self._assert_sound(report)

    def test_data_under_cleared_bits_is_dropped(self) -> None:
        image = dataclasses.replace(DISK, junk=b"\xee").build()
        report = self._repair(bytes(image.data))
        self._assert_sound(report)
        self.assertIn("vhd.block.stale", [each.code for each in report.mendings if each.mended])
        self.assert_same_bytes(image.content(), self._content())

    def test_null_uuid_becomes_one_of_the_content(self) -> None:
        found = []
        for _ in range(2):
            image = DISK.build()
            image.footer("uuid", bytes(16))
            found.append(self._repair(bytes(image.data), force=True).uuid)
        self.assertEqual(found[0], found[1])
        self.assertEqual("8", found[0][14])

    def test_both_footers_lost(self) -> None:
        image = DISK.build()
        image.footer("cookie", b"garbage!")
        report = self._repair(bytes(image.data))
        self.assertIn("both footers are lost", " ".join(report.notes))
        self.assertEqual(SIZE, report.virtual_size)
        self.assert_same_bytes(image.content(), self._content())
        report = self._repair(bytes(image.data), size=SIZE - BLOCK, force=True)
        self.assertEqual(SIZE - BLOCK, report.virtual_size)
        self.assert_same_bytes(image.content()[:-BLOCK], self._content())

    def test_fixed_disk_becomes_dynamic(self) -> None:
        image = Vhd(size=SIZE, kind=FIXED).build()
        report = self._repair(bytes(image.data))
        self._assert_sound(report)
        self.assert_same_bytes(image.content(), self._content())

    def test_truncated_fixed_disk(self) -> None:
        image = Vhd(size=SIZE, kind=FIXED).build()
        data = bytes(image.data[: SIZE - MIB] + image.data[-512:])
        report = self._repair(data, accept_loss=True)
        self.assertEqual([(SIZE - MIB, MIB)], [(each.offset, each.length) for each in report.lost])
        self.assert_same_bytes(image.content()[:-MIB] + bytes(MIB), self._content())

    def test_refused(self) -> None:
        image = DISK.build()
        for change, message in (
            (both("cookie", b"v_poison"), "a resize was interrupted"),
            (batmap("key_cookie", 1), "the disk is encrypted"),
            (both("crtr_ver", 0x00000001), "blktap 0.1"),
            (put(0, bytes(2048)), "no header and BAT were found"),
        ):
            bad = DISK.build()
            change(bad)
            with self.assertRaisesRegex(XenimageError, message):
                self._repair(bytes(bad.data))
            self.assertFalse((self.scratch / "good.vhd").exists())
        with self.assertRaisesRegex(XenimageError, "neither a sound footer nor a header"):
            self._repair(bytes(image.data[4096:-512]))

    def test_source_is_not_touched_and_dry_run_writes_nothing(self) -> None:
        image = DISK.build()
        image.footer("cookie", b"garbage!", front=False)
        report = self._repair(bytes(image.data), dry_run=True)
        self.assertFalse(report.written)
        self.assertTrue(report.before)
        self.assertEqual(["bad.vhd"], [each.name for each in self.scratch.iterdir()])
        self.assertEqual(bytes(image.data), (self.scratch / "bad.vhd").read_bytes())


@ddt.ddt
class ChildTestCase(TestCase):
    """Differencing disks stay what they are: their sectors and no others, the link, the path."""

    def _repair(self, image: Image, **options: object) -> bytes:
        (self.scratch / "bad.vhd").write_bytes(bytes(image.data))
        api.repair_disk(
            RepairOptions(
                path=f"{self.scratch}/bad.vhd",
                output=f"{self.scratch}/good.vhd",
                **options,  # type: ignore[arg-type]
            )
        )
        return (self.scratch / "good.vhd").read_bytes()

    def _assert_child(self, data: bytes, expected: Image) -> None:
        disk = open_vhd(MemorySource(data), STRICT)
        found = [each for each in disk.extents(0, SIZE) if each.kind.value != "absent"]
        held = {at for each in found for at in range(each.offset, each.end, 512)}
        self.assertEqual({start for start, _ in expected.ranges()}, held)
        buffer = bytearray(SIZE)
        disk.read_into(0, memoryview(buffer))
        self.assert_same_bytes(expected.content(), bytes(buffer))
        self.assertEqual(DIFFERENCING, struct.unpack_from(">I", data, 60)[0])

    @ddt.data(
        *(
            ("res", 1),
            ("data_len", 0),
            ("data_len", 2000),
            ("data_space", 700),
            ("data_offset", 1 << 40),
            ("code", 0x12345678),
            ("code", 0x57326B75),
        )
    )
    @ddt.unpack
    def test_locators(self, name: str, value: int) -> None:
        image = CHILD.build()
        image.locator(0, name, value)
        data = self._repair(image)
        self._assert_child(data, CHILD.build())
        self.assertEqual(b"\x02" * 16, data[552:568])
        self.assertIn(b"file://./base.vhd\0", data)
        self.assertIn(".\\base.vhd".encode("utf-16-le"), data)
        self.assertEqual("base.vhd".encode("utf-16-be"), data[576:592])

    @ddt.data(("prt_name", bytes(512)), ("prt_name", b"\xff" * 512), ("prt_ts", FUTURE), ("res1", 3))
    @ddt.unpack
    def test_header(self, name: str, value: int | bytes) -> None:
        image = CHILD.build()
        image.header(name, value)
        data = self._repair(image)
        self._assert_child(data, CHILD.build())
        self.assertEqual("base.vhd".encode("utf-16-be"), data[576:592])

    def test_no_locators_are_made_from_the_name(self) -> None:
        image = dataclasses.replace(CHILD, locators=(), parent_name="/a/dir/base.vhd", creator=CREATORS["caml"]).build()
        data = self._repair(image)
        self._assert_child(data, image)
        self.assertIn(b"file://./base.vhd\0", data)

    def test_path_to_another_directory_is_kept(self) -> None:
        image = dataclasses.replace(CHILD, locators=[(b"MacX", b"file://../pool/base.vhd")]).build()
        data = self._repair(image)
        self.assertIn(b"file://../pool/base.vhd\0", data)
        self.assertEqual("base.vhd".encode("utf-16-be"), data[576:592])

    def test_cut_sectors_are_the_parents(self) -> None:
        image = CHILD.build()
        del image.data[-MIB:]
        data = self._repair(image, accept_loss=True)
        expected = dataclasses.replace(CHILD, blocks={1: range(8, 100), 5: range(2049)}).build()
        self._assert_child(data, expected)

    def test_hidden(self) -> None:
        image = CHILD.build()
        image.footer("hidden", 1)
        self.assertEqual(0, self._repair(image)[85])
        self.assertEqual(1, self._repair(image, keep_hidden=True, force=True)[85])
