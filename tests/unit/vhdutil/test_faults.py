"""One fault put into a good VHD a line, and the first line of ``check``, as observed with blktap's own vhd-util.

Where upstream's line lacks the word ``invalid``, `` (invalid)`` follows it here. SAFE marks what upstream
calls valid, or crashes on.
"""

from __future__ import annotations

import os
import pathlib
import struct
import time
from collections.abc import Callable

import ddt

from tests.builders import vhd as build
from tests.builders.vhd import Image
from tests.unit.vhdutil.base import MIB, SIZE, UtilTestCase

VALID = "x.vhd is valid"
DUMP = "x.vhd appears invalid; dumping metadata"
NOW = int(time.time()) - 946684800
MACX = 0x4D616358
END = "error calculating end of metadata: -22 (invalid)"
Fault = Callable[[Image], object]


def footer(name: str, value: int | bytes, **places: bool) -> Fault:
    return lambda image: image.footer(name, value, **places)


def header(name: str, value: int | bytes, **places: bool) -> Fault:
    return lambda image: image.header(name, value, **places)


def batmap(name: str, value: int | bytes) -> Fault:
    return lambda image: image.batmap(name, value)


def table(block: int, sector: int) -> Fault:
    return lambda image: image.table(block, sector)


def locator(slot: int, **fields: int) -> Fault:
    def change(image: Image) -> None:
        for name, value in fields.items():
            image.locator(slot, name, value)

    return change


def bits(value: bytes) -> Fault:
    """The first byte of the map, its checksum right."""

    def change(image: Image) -> None:
        at = image.batmap_offset + 512
        image.data[at : at + 1] = value
        image.batmap("checksum", build.summed(image.data[at : at + 512]))

    return change


def insert(at: int, data: bytes) -> Fault:
    def change(image: Image) -> None:
        place = at if at >= 0 else len(image.data) + at + 1
        image.data[place:place] = data

    return change


def put(at: int, data: bytes) -> Fault:
    def change(image: Image) -> None:
        image.data[at : at + len(data)] = data

    return change


def cut(count: int) -> Fault:
    def change(image: Image) -> None:
        del image.data[-count:]

    return change


def end(data: bytes) -> Fault:
    return lambda image: put(len(image.data) - 512, data)(image)


PRIMARY = {
    "features=0": (footer("features", 0), "invalid 'reserved' feature"),
    "features=6": (footer("features", 6), "invalid extra features"),
    "ff_version": (footer("ff_version", 0x00020000), "invalid file format version"),
    "an hour ahead": (footer("timestamp", NOW + 3600), "creation time in future"),
    "Unix epoch": (footer("timestamp", NOW + 946684800), "creation time in future"),
    "tap 1.4": (footer("crtr_ver", 0x00010004), "unsupported tap creator version"),
    "geometry one more": (footer("geometry", 1004 << 16 | 12 << 8 | 17), "geometry too large"),
    "geometry of force_size": (footer("geometry", 0xFFFF10FF), "geometry too large"),
    "type 5": (footer("type", 5), "invalid data offset"),
    "type 0": (footer("type", 0), "invalid data offset"),
    "saved 2": (footer("saved", 2), "invalid 'saved' state"),
    "hidden 2": (footer("hidden", 2), "invalid 'hidden' state"),
    "reserved": (footer("reserved_end", 1), "invalid 'reserved' bits"),
    "uuid null": (footer("uuid", bytes(16)), "invalid (NULL) uuid"),
    "checksums": (footer("checksum", 1), "invalid checksum"),
    "checksum at the end": (footer("checksum", 1, front=False), "invalid checksum"),
    "size 0": (footer("curr_size", 0), "geometry too large"),
    "size doubled": (footer("geometry", 0xFFFFFFFF), "geometry too large"),
    "no end footer": (cut(512), "invalid cookie"),
    "open": (end(b"\xc7" * 512), "invalid cookie"),
    "511 zeros behind": (insert(-1, bytes(511)), "invalid cookie"),
    "512 zeros behind": (insert(-1, bytes(512)), "invalid cookie"),
    "100 bytes behind": (insert(-1, b"x" * 100), "invalid cookie"),
    "1 MiB cut off": (cut(MIB), "invalid cookie"),
    "poison": (footer("cookie", b"v_poison"), "invalid cookie"),
}
BASE = {
    "none": (lambda image: None, VALID),
    "features=3": (footer("features", 3), VALID),
    "geometry 0": (footer("geometry", 0), VALID),
    "saved": (footer("saved", 1), VALID),
    "hidden": (footer("hidden", 1), VALID),
    "reserved[86]": (footer("reserved", 1), VALID),
    "checksum in front": (footer("checksum", 1, end=False), "backup footer invalid: invalid checksum"),
    "footers differ": (footer("timestamp", 1, front=False), "primary and backup footers do not match (invalid)"),
    "orig 0": (footer("orig_size", 0), VALID),
    "orig > curr": (footer("orig_size", SIZE * 2), VALID),
    "curr + 512": (footer("curr_size", SIZE + 512), "error reading bat: -22 (invalid)"),
    "curr - 512": (footer("curr_size", SIZE - 512), VALID),
    "curr - 1": (footer("curr_size", SIZE - 1), VALID),
    "header away": (footer("data_offset", 1024), "header is invalid: invalid cookie"),
    "cookie": (header("cookie", b"cxsparsf"), "header is invalid: invalid cookie"),
    "data_offset": (header("data_offset", 0xFFFFFFFF), "header is invalid: invalid data offset"),
    "table 0": (header("table_offset", 0), "header is invalid: invalid table offset"),
    "table + 1": (header("table_offset", 1537), "header is invalid: invalid table offset"),
    "table huge": (header("table_offset", 1 << 40), "header is invalid: invalid table offset"),
    "version": (header("hdr_ver", 0x00010001), "header is invalid: invalid header version"),
    "max_bat 49": (header("max_bat_size", 49), "error reading bat: -22 (invalid)"),
    "max_bat 51": (header("max_bat_size", 51), VALID),
    "max_bat 1000": (header("max_bat_size", 1000), END),
    "4 MiB": (header("block_size", 4 * MIB), DUMP),
    "3 MiB": (header("block_size", 3 * MIB), "header is invalid: invalid block size"),
    "header checksum": (header("checksum", 1), "header is invalid: invalid checksum"),
    "res1": (header("res1", 1), "header is invalid: invalid reserved bits"),
    "parent uuid": (header("prt_uuid", b"x" * 16), "differencing header is invalid: invalid non-null parent uuid"),
    "parent name": (
        header("prt_name", "b".encode("utf-16-be").ljust(512, b"\0")),
        "differencing header is invalid: invalid non-null parent name",
    ),
    "parent time": (header("prt_ts", 1), "differencing header is invalid: invalid non-zero parent timestamp"),
    "slot 1": (
        locator(1, code=MACX, data_space=512, data_len=5, data_offset=3072),
        "differencing header is invalid: invalid non-null parent locators",
    ),
    "past eof": (table(1, 0x100000), "block 1 (offset 0x100000) clobbers footer (invalid)"),
    "entry 0": (table(1, 0), "block 0 (offset 0x7) clobbers block 1 (offset 0x0) (invalid)"),
    "in headers": (table(1, 4), "block 0 (offset 0x7) clobbers block 1 (offset 0x4) (invalid)"),
    "duplicate": (table(1, 7), "block 0 (offset 0x7) clobbers block 1 (offset 0x7) (invalid)"),
    "overlap": (table(1, 8), "block 0 (offset 0x7) clobbers block 1 (offset 0x8) (invalid)"),
    "over the footer": (table(49, 0x2018), "block 49 (offset 0x2018) clobbers footer (invalid)"),
    "batmap cookie": (batmap("cookie", b"tdbatmaq"), END),
    "batmap offset 0": (batmap("offset", 0), END),
    "batmap version 1.3": (batmap("version", 0x00010003), END),
    "batmap checksum": (batmap("checksum", 1), END),
    "map changed": (put(2560, b"\xff"), END),
    "unallocated": (bits(b"\x44"), "batmap shows unallocated block 1 full (invalid)"),
    "bit clear": (bits(b"\0"), VALID),
    "batmap reserved": (batmap("reserved", 1), VALID),
    "creator win": (footer("crtr_app", b"win "), VALID),
    "creator os": (footer("crtr_os", b"abcd"), VALID),
    "short footer": (cut(1), VALID),
    "tap 1.1": (footer("crtr_ver", 0x00010001), VALID),
    "tap 0.1": (footer("crtr_ver", 0x00000001), DUMP),
    "tap with a space": (footer("crtr_app", b"tap "), VALID),
    # SAFE
    "batmap size 0": (batmap("size", 0), "batmap is invalid: invalid size zero"),
    "bit of a partial block": (bits(b"\x84"), "batmap is invalid: block 0 (offset 0x7) is not full"),
    "slot 0": (
        locator(0, code=MACX, data_space=512, data_len=5, data_offset=3072),
        "differencing header is invalid: invalid non-null parent locators",
    ),
    "1 MiB": (header("block_size", MIB), "header is invalid: invalid block size"),
}
CHILD = {
    "none": (lambda image: None, VALID),
    "unknown code": (locator(0, code=1), DUMP),
    "code twice": (locator(1, code=MACX), "duplicate platform code in locator 1: 0x4d616358 (invalid)"),
    "space 700": (locator(0, data_space=700), "error reading parent locator 0: -22 (invalid)"),
    "res": (locator(0, res=1), "invalid parent locator 0: invalid reserved bits"),
    "length 0": (locator(0, data_len=0), "invalid parent locator 0: invalid data length"),
    "length > space": (locator(0, data_len=513), "error reading parent locator 0: -22 (invalid)"),
    "beyond EOF": (locator(0, data_offset=1 << 40), "block 0 (offset 0xf) clobbers headers (invalid)"),
    "NONE with an offset": (locator(3, data_offset=5), "invalid parent locator 3: non-zero locator"),
    "prt_ts ahead": (
        header("prt_ts", NOW + 3600),
        "differencing header is invalid: parent creation time in future",
    ),
    "prt_ts 0": (header("prt_ts", 0), VALID),
    "prt_uuid null": (header("prt_uuid", bytes(16)), VALID),
    "name empty": (
        header("prt_name", bytes(512)),
        "parent locator 0 name (a.vhd) does not match header name () (invalid)",
    ),
    "name not ASCII": (
        header("prt_name", "\u00e4".encode("utf-16-be").ljust(512, b"\0")),
        "differencing header is invalid: invalid parent name",
    ),
}


@ddt.ddt
class FaultsTest(UtilTestCase):
    def first_line(self, image: Image, *words: str) -> tuple[int, str]:
        self.write("x.vhd", image)
        status, text = self.run_util("check", "-n", "x.vhd", *words)
        return status, text.splitlines()[0]

    def assert_line(self, expected: str, image: Image, *words: str) -> None:
        status = 0 if expected.endswith("is valid") else 22
        self.assertEqual((status, expected), self.first_line(image, *words))
        self.assertNotIn("Traceback", self.said)
        if status:
            self.assertIn("invalid", expected)
        if expected != DUMP:
            # Upstream's -b gives the same first line.
            self.assertEqual((status, expected), self.first_line(image, *words, "-b"))

    @ddt.data(*PRIMARY)
    def test_primary_footer(self, name):
        fault, line = PRIMARY[name]
        image = self.base("x.vhd")
        fault(image)
        self.assert_line(f"primary footer invalid: {line}", image)

    @ddt.data(*BASE)
    def test_base(self, name):
        fault, line = BASE[name]
        image = self.base("x.vhd")
        fault(image)
        self.assert_line(line, image)

    @ddt.data(*CHILD)
    def test_child(self, name):
        fault, line = CHILD[name]
        self.base()
        image = self.child("x.vhd")
        fault(image)
        self.assert_line(line, image)

    def test_child_without_locators(self) -> None:
        self.assert_line("could not find parent a.vhd (invalid)", self.child("x.vhd", locators=()))

    def test_no_faults_at_all_are_told_as_upstream_tells_them_with_t(self) -> None:
        image = self.base("x.vhd")
        image.footer("timestamp", NOW + 3600)
        self.assert_line(VALID, image, "-t")

    def test_packed_blocks(self) -> None:
        """SAFE: upstream says valid, and tapdisk zeroes what stands before a block."""
        creator = build.Creator(b"tap\0", 0x00010003, bytes(4), batmap=True)
        image = self.base("x.vhd", creator=creator)
        place = "block 0 (offset 0x6)"
        self.assert_line(f"alignment is invalid: with a batmap, writes to {place} destroy what stands before it", image)
        self.assert_line(VALID, self.base("x.vhd", creator=build.CREATORS["qemu"]))

    def test_data_under_cleared_bits(self) -> None:
        image = self.base("x.vhd", junk=b"j")
        self.assertEqual((0, VALID), self.first_line(image))
        line = "sector 0x80 of block 0x0 has data where bitmap is clear (invalid)"
        self.assertEqual((22, line), self.first_line(image, "-b"))

    def test_fixed_disks(self) -> None:
        image = self.write("x.vhd", build.Vhd(size=4 * MIB, kind=build.FIXED).build())
        self.assert_prints("", "check", "-n", "x.vhd")
        del image.data[: 2 * MIB]  # SAFE: upstream prints nothing
        self.assertEqual((22, "invalid file size: 0x200200"), self.first_line(image))

    def test_last_partial_block(self) -> None:
        """SAFE: upstream stops before it."""
        image = self.base("x.vhd", size=SIZE - MIB, blocks={49: range(1024)})
        self.assert_line(VALID, image)
        image.table(49, 0x100000)
        self.assert_line("block 49 (offset 0x100000) clobbers footer (invalid)", image)

    def test_loops_end(self) -> None:
        """SAFE: upstream hangs."""
        for one, other in (("x", "y"), ("y", "x")):
            image = build.Vhd(
                size=SIZE,
                kind=build.DIFFERENCING,
                identity=one.encode() * 16,
                parent=other.encode() * 16,
                parent_name=f"{other}.vhd",
                locators=build.blktap_locators(f"{other}.vhd"),
            ).build()
            self.write(f"{one}.vhd", image)
        here = os.path.realpath(".")
        lines = f"x.vhd is valid\n{here}/y.vhd is valid\nerror checking parents: -40\n"
        self.assert_prints(lines, "check", "-p", "-n", "x.vhd", status=40)
        self.assert_prints("error checking chain depth: -40\n", "query", "-d", "-n", "x.vhd", status=40)
        expected = "error finding x.vhd parent: -40\nerror coalescing: -40\n"
        self.assert_prints(expected, "coalesce", "-n", "x.vhd", status=40)
        status, text = self.run_util("scan", "-p", "-m", "*.vhd")
        self.assertEqual((0, 2), (status, text.count("vhd=")))
        self.assertEqual(40, self.run_util("read", "-r", "0", "-n", "x.vhd")[0])
        self.base("z.vhd")
        self.assertEqual(0, self.run_util("modify", "-n", "x.vhd", "-p", "z.vhd")[0])
        expected = f"failed to set parent to '{here}/y.vhd': -40\n"
        self.assert_prints(expected, "modify", "-n", "x.vhd", "-p", "y.vhd", status=40)

    @ddt.data(*BASE, *PRIMARY)
    def test_repair_never_invents_data(self, name):
        """Whatever repair accepts reads as before; what it refuses stays as it was."""
        fault, _ = {**BASE, **PRIMARY}[name]
        image = self.base("x.vhd")
        content = image.content()
        fault(image)
        self.write("x.vhd", image)
        before = bytes(image.data)
        status, _ = self.run_util("repair", "-n", "x.vhd")
        after = pathlib.Path("x.vhd").read_bytes()
        if status:
            self.assertEqual(before, after)
            return
        self.assertLessEqual(len(after), len(before) + 512)
        _, found = self.run_raw("read", "-R", "0", "-c", str(SIZE - 512), "-n", "x.vhd")
        self.assert_same_bytes(content[: SIZE - 512], found)

    @ddt.data("batmap cookie", "batmap checksum", "map changed", "batmap offset 0", "batmap version 1.3")
    def test_repair_gives_back_a_batmap(self, name):
        image = self.base("x.vhd")
        BASE[name][0](image)
        self.write("x.vhd", image)
        self.assert_prints("", "repair", "-n", "x.vhd")
        self.assert_prints("x.vhd is valid\n", "check", "-n", "x.vhd")
        self.assertEqual(0xFFFFFFFF, struct.unpack_from(">I", pathlib.Path("x.vhd").read_bytes(), 2048 + 24)[0])

    def test_repair_refuses_what_is_truncated(self) -> None:
        """SAFE: upstream fills up with zeros and calls the file valid."""
        image = self.base("x.vhd")
        for count in (512 + 7, 4096, MIB):
            cut(count)(image)
            self.write("x.vhd", image)
            self.assert_prints("error writing footer: -22\n", "repair", "-n", "x.vhd", status=22)
            self.assertIn("truncated", self.said)
            self.assertEqual(bytes(image.data), pathlib.Path("x.vhd").read_bytes())
