"""VHDs with one fault each, and the finding that names it: the fault matrix of what vhd-util and its peers do."""

from __future__ import annotations

import dataclasses
import struct
import unittest

import ddt
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import bundle as build
from tests.builders import vhd as build_vhd
from tests.builders.bundle import NOW
from tests.builders.vhd import FIXED, Image, MemorySource, Vhd
from xenimage.formats.vhd.check import check_vhd
from xenimage.formats.vhd.facts import vhd_facts
from xenimage.limits import STRICT
from xenimage.model.finding import Finding, Severity

EPOCH = 946684800
UNALLOCATED = 0xFFFFFFFF
E, W, I = Severity.ERROR, Severity.WARNING, Severity.INFO  # noqa: E741

# Each row: a field, the value that both footers get, the code that names the fault, and its severity.
FOOTER = (
    ("features", 0, "vhd.footer.features", E),
    ("features", 3, "vhd.footer.temporary", W),
    ("features", 6, "vhd.footer.features", E),
    ("ff_version", 0x00020000, "vhd.footer.version", E),
    ("timestamp", NOW + 3600 - EPOCH, "vhd.footer.timestamp", E),
    ("timestamp", NOW, "vhd.footer.timestamp", E),
    ("timestamp", NOW + 1700 - EPOCH, None, None),
    ("timestamp", 0, None, None),
    ("crtr_ver", 0x00010004, "vhd.creator.new", E),
    ("crtr_ver", 0x00000001, "vhd.creator.old", E),
    ("crtr_ver", 0x00010001, None, None),
    ("crtr_app", b"tap ", "vhd.creator.space", W),
    ("crtr_app", b"win ", "vhd.creator.foreign", E),
    ("crtr_app", b"qemu", "vhd.creator.foreign", E),
    ("crtr_os", b"abcd", None, None),
    ("geometry", 0, "vhd.footer.geometry_zero", W),
    ("geometry", 1004 << 16 | 12 << 8 | 17, "vhd.footer.geometry", E),
    ("geometry", 0xFFFF10FF, "vhd.footer.geometry", E),
    ("type", 5, "vhd.footer.type", E),
    ("type", 0, "vhd.footer.type", E),
    ("saved", 1, "vhd.footer.saved", W),
    ("saved", 2, "vhd.footer.saved", E),
    ("hidden", 1, "vhd.footer.hidden_leaf", E),
    ("hidden", 2, "vhd.footer.hidden", E),
    ("reserved", 1, "vhd.footer.reserved", W),
    ("reserved_end", 1, "vhd.footer.reserved", E),
    ("uuid", bytes(16), "vhd.footer.uuid", E),
    ("data_offset", 1024, "vhd.header.missing", E),
    ("cookie", b"v_poison", "vhd.footer.poison", E),
    ("cookie", b"v_poison", "vhd.copy.poison", E),
    ("orig_size", 0, None, None),
    ("orig_size", 2 * build.SIZE, "vhd.size.original", W),
    ("curr_size", build.SIZE + 512, "vhd.bat.short", E),
    ("curr_size", build.SIZE + 512, "vhd.size.multiple", W),
    ("curr_size", build.SIZE - 512, "vhd.size.multiple", W),
    ("curr_size", build.SIZE - 1, "vhd.size.sector", E),
    ("curr_size", 0, "vhd.size.zero", E),
    ("curr_size", 2 * build.SIZE, "vhd.bat.short", E),
    ("curr_size", 2**64 - 512, "vhd.size.max", E),
    ("curr_size", 8194 << 20, "vhd.size.residue", I),
    ("curr_size", 4 << 20, "vhd.bat.surplus", W),
)

HEADER = (
    ("cookie", b"cxsparsE", "vhd.header.missing"),
    ("data_offset", 0, "vhd.header.data_offset"),
    ("data_offset", 0xFFFFFFFF, "vhd.header.data_offset"),
    ("table_offset", 0, "vhd.header.table_offset"),
    ("table_offset", 1537, "vhd.header.table_offset"),
    ("table_offset", 1 << 40, "vhd.header.table_offset"),
    ("hdr_ver", 0x00010001, "vhd.header.version"),
    ("max_bat_size", 49, "vhd.bat.short"),
    ("max_bat_size", 51, "vhd.bat.long"),
    ("max_bat_size", 1000, "vhd.batmap.missing"),
    ("max_bat_size", 0xFFFFFFFF, "vhd.bat.limit"),
    ("block_size", 4 << 20, "vhd.header.block_size"),
    ("block_size", 3 << 20, "vhd.header.block_size"),
    ("block_size", 512 << 10, "vhd.header.block_size"),
    ("res1", 1, "vhd.header.reserved"),
    ("res2", 1, "vhd.header.reserved"),
    ("prt_uuid", b"\x07" * 16, "vhd.dynamic.parent_uuid"),
    ("prt_name", b"\0a", "vhd.dynamic.parent_name"),
    ("prt_ts", 5, "vhd.dynamic.parent_timestamp"),
)

# Each row: a slot, a field of it, the value, and the code that names the fault.
LOCATOR = (
    (0, "code", 0x12345678, "vhd.locator.code"),
    (1, "code", 0x4D616358, "vhd.locator.duplicate"),
    (0, "data_space", 700, "vhd.locator.space"),
    (0, "data_space", 0, "vhd.locator.space"),
    (0, "res", 1, "vhd.locator.reserved"),
    (0, "data_len", 0, "vhd.locator.length"),
    (0, "data_len", 600, "vhd.locator.length"),
    (0, "data_offset", 1 << 40, "vhd.locator.offset"),
    (0, "data_offset", 0, "vhd.locator.offset"),
    (3, "data_offset", 512, "vhd.locator.none"),
)

BATMAP = (
    ("cookie", b"tdbatmaP", "vhd.batmap.missing"),
    ("offset", 0, "vhd.batmap.offset"),
    ("offset", 2561, "vhd.batmap.offset"),
    ("offset", 1 << 50, "vhd.batmap.offset"),
    ("size", 0, "vhd.batmap.size"),
    ("size", 0xFFFFFFFF, "vhd.batmap.offset"),
    ("version", 0x00010003, "vhd.batmap.version"),
    ("checksum", 7, "vhd.batmap.checksum"),
    ("key_cookie", 1, "vhd.batmap.encrypted"),
    ("marker", 1, None),
    ("reserved", 1, None),
)

# Each row: a block, the sector that the BAT gives it, and the code that names the fault.
TABLE = (
    (1, 0x100000, "vhd.bat.end"),
    (1, 0, "vhd.bat.head"),
    (1, 4, "vhd.bat.head"),
    (1, 7, "vhd.bat.duplicate"),
    (1, 8, "vhd.bat.overlap"),
    (1, 7 + 4104 + 1, "vhd.bat.truncated"),
)


def check(image: Image | bytes | bytearray, role: str = "only") -> list[Finding]:
    data = image.data if isinstance(image, Image) else image
    return check_vhd(MemorySource(data), STRICT, now=NOW, role=role)  # type: ignore[arg-type]


def set_bits(image: Image, *blocks: int) -> Image:
    """Say in the batmap that *blocks* are full, with the right checksum."""
    at = image.batmap_offset + 512
    bits = bytearray(512)
    for block in blocks:
        bits[block >> 3] |= 0x80 >> (block & 7)
    image.data[at : at + 512] = bits
    image.batmap("checksum", build_vhd.summed(bits))
    return image


@ddt.ddt
class FaultsTest(unittest.TestCase):
    """One fault, its finding. What else follows from it is not asserted."""

    def assert_found(self, code: str, findings: list[Finding], severity: Severity | None = None) -> Finding:
        found = [finding for finding in findings if finding.code == code]
        self.assertTrue(found, f"{code} not in {[finding.code for finding in findings]}")
        if severity:
            self.assertIs(severity, found[0].severity)
        self.assertTrue(found[0].what and found[0].why)
        return found[0]

    def assert_sound(self, findings: list[Finding]) -> None:
        self.assertEqual([], findings)

    @ddt.data("base", "child")
    def test_sound(self, kind: str) -> None:
        image = build.image(kind)
        if kind == "child":
            self.assert_sound(check(image, "leaf"))
        else:
            self.assert_sound(check(image))
            image.footer("hidden", 1)
            self.assert_sound(check(image, "base"))

    @ddt.idata(FOOTER)
    @ddt.unpack
    def test_footer(self, field: str, value: int | bytes, code: str | None, severity: Severity | None) -> None:
        image = build.image()
        image.footer(field, value)
        if code is None:
            self.assert_sound(check(image))
        else:
            self.assert_found(code, check(image), severity)

    @ddt.idata(HEADER)
    @ddt.unpack
    def test_header(self, field: str, value: int | bytes, code: str) -> None:
        image = build.image()
        image.header(field, value)
        self.assert_found(code, check(image))

    @ddt.idata(LOCATOR)
    @ddt.unpack
    def test_locator(self, slot: int, field: str, value: int, code: str) -> None:
        image = build.image("child")
        image.locator(slot, field, value)
        self.assert_found(code, check(image, "leaf"))

    @ddt.idata(BATMAP)
    @ddt.unpack
    def test_batmap(self, field: str, value: int | bytes, code: str | None) -> None:
        image = build.image()
        image.batmap(field, value)
        if code is None:
            self.assert_sound(check(image))
        else:
            self.assert_found(code, check(image), E)

    @ddt.idata(TABLE)
    @ddt.unpack
    def test_table(self, block: int, sector: int, code: str) -> None:
        image = build.image()
        image.table(block, sector)
        self.assert_found(code, check(image), E)

    def test_footer_checksum(self) -> None:
        for front, end, codes in (
            (True, True, {"vhd.footer.checksum", "vhd.copy.checksum"}),
            (True, False, {"vhd.copy.checksum"}),
            (False, True, {"vhd.footer.checksum"}),
        ):
            image = build.image()
            image.footer("checksum", 1, front=front, end=end)
            self.assertEqual(codes, {finding.code for finding in check(image)})

    def test_header_checksum(self) -> None:
        image = build.image()
        image.header("checksum", 1)
        self.assertEqual(["vhd.header.checksum"], [finding.code for finding in check(image)])

    def test_copies_differ(self) -> None:
        image = build.image()
        image.footer("timestamp", 7, front=False)
        found = self.assert_found("vhd.footer.differ", check(image), E)
        self.assertIn("differ in timestamp", found.what)

    def test_hidden_forgiven_to_1_1(self) -> None:
        image = build.image()
        image.footer("crtr_ver", 0x00010001)
        image.footer("hidden", 1, front=False, seal=False)
        self.assertNotIn("vhd.footer.differ", [finding.code for finding in check(image)])

    def test_end_of_file(self) -> None:
        data = bytes(build.image().data)
        live = data[:-512] + b"\xc7" * 512
        for changed, code in (
            (data[:-512], "vhd.footer.missing"),
            (live, "vhd.footer.live"),
            (data + bytes(511), "vhd.file.trailing"),
            (data + bytes(512), "vhd.file.trailing"),
            (data + bytes(100), "vhd.file.trailing"),
            (data[:-1], "vhd.footer.short"),
            (data[: -(1 << 20)], "vhd.bat.truncated"),
            (data[: -(1 << 20)], "vhd.footer.missing"),
            (data[: -(1 << 20) - 100], "vhd.file.unaligned"),
            (b"", "vhd.footer.missing"),
            (b"x" * 511, "vhd.footer.missing"),
            (bytes(4096), "vhd.footer.missing"),
            (bytes(512) + data[512:], "vhd.copy.missing"),
        ):
            self.assert_found(code, check(changed))

    def test_unused_sector_before_footer_is_fine(self) -> None:
        data = bytes(build.image().data)
        self.assert_sound(check(data[:-512] + bytes(512) + data[-512:]))

    def test_unix_timestamp_says_what_to_subtract(self) -> None:
        image = build.image()
        image.footer("timestamp", NOW)
        self.assertIn("subtract 946684800", self.assert_found("vhd.footer.timestamp", check(image)).act)

    def test_dynamic_locators(self) -> None:
        for slot in (0, 1):
            image = build.image()
            image.locator(slot, "code", 0x4D616358)
            self.assert_found("vhd.dynamic.locator", check(image), E)

    def test_parent_fields_of_children(self) -> None:
        for field, value, code in (
            ("prt_ts", NOW + 5000 - EPOCH, "vhd.parent.timestamp"),
            ("prt_uuid", bytes(16), "vhd.parent.uuid"),
            ("prt_name", b"", "vhd.parent.name"),
            ("prt_name", "\xe4.vhd".encode("utf-16-be"), "vhd.parent.name"),
            ("prt_name", "/sr/base.vhd".encode("utf-16-be"), "vhd.parent.name"),
            ("prt_name", "other.vhd".encode("utf-16-be"), "vhd.locator.name"),
        ):
            image = build.image("child")
            image.header(field, value)
            self.assert_found(code, check(image, "leaf"), W)

    def test_no_locators(self) -> None:
        image = build.image("child")
        for slot in range(3):
            for field in ("code", "data_space", "data_len", "data_offset"):
                image.locator(slot, field, 0)
        self.assert_found("vhd.locator.missing", check(image, "leaf"), E)

    def test_locator_behind_a_block(self) -> None:
        image = build.image("child")
        image.locator(0, "data_offset", (image.entry(1) + 100) * 512)
        findings = check(image, "leaf")
        self.assert_found("vhd.bat.head", findings, E)
        self.assertNotIn("vhd.locator.name", [finding.code for finding in findings])

    def test_child_alone(self) -> None:
        self.assert_found("vhd.parent.absent", check(build.image("child")), E)

    def test_base_should_be_hidden(self) -> None:
        self.assert_found("vhd.footer.unhidden", check(build.image(), "base"), W)

    def test_batmap_bits(self) -> None:
        self.assert_sound(check(set_bits(build.image())))
        self.assert_found("vhd.batmap.unallocated", check(set_bits(build.image(), 1)), E)
        self.assert_found("vhd.batmap.unallocated", check(set_bits(build.image(), 60)), E)
        self.assert_found("vhd.batmap.partial", check(set_bits(build.image(), 0)), E)

    def test_batmap_of_version_1_1_sums_signed_bytes(self) -> None:
        image = set_bits(build.image(), 5)
        image.batmap("version", 0x00010001)
        self.assert_sound(check(image))
        set_bits(image, 0)
        self.assert_found("vhd.batmap.checksum", check(image))
        signed = ~(0x80 - 0x100) & 0xFFFFFFFF
        image.batmap("checksum", signed)
        self.assertNotIn("vhd.batmap.checksum", [finding.code for finding in check(image)])

    def test_batmap_bits_that_no_checksum_covers(self) -> None:
        image = Vhd(size=(8192 + 2) << 20).build()
        image.footer("geometry", 1)
        self.assertEqual(["vhd.size.residue"], [finding.code for finding in check(image)])
        image.data[image.batmap_offset + 1024] = 0x80
        self.assert_found("vhd.batmap.uncovered", check(image), E)

    def test_resize_without_batmap_grows_nothing(self) -> None:
        image = build.image()
        image.footer("crtr_ver", 0x00010001)
        image.batmap("cookie", bytes(8))
        self.assert_found("vhd.creator.no_batmap", check(image), E)

    def test_packed_blocks_under_a_batmap(self) -> None:
        findings = check(build.image("packed"))
        first, second = (finding for finding in findings if finding.code == "vhd.block.packed")
        self.assertIn("destroy 3584 bytes of the BAT or batmap", first.why)
        self.assertIn("start of block 5 will destroy 3584 bytes of block 0", second.why)
        self.assert_found("vhd.block.unaligned", findings, E)

    def test_packed_blocks_without_a_batmap_are_fine(self) -> None:
        image = Vhd(
            size=build.SIZE, blocks={0: range(4096), 1: range(4096)}, creator=build_vhd.CREATORS["qem2"]
        ).build()
        self.assertEqual(["vhd.creator.foreign"], [finding.code for finding in check(image)])

    def test_gap_of_a_resize_is_information(self) -> None:
        image = build.image()
        image.table(0, UNALLOCATED)
        self.assertEqual([("vhd.block.first", Severity.INFO)], [(f.code, f.severity) for f in check(image)])

    def test_data_under_cleared_bits(self) -> None:
        image = build.image()
        at = (image.entry(0) + 1) * 512
        image.data[at + 200 * 512] = 1
        found = self.assert_found("vhd.block.stale", check(image), W)
        self.assertEqual(at + 128 * 512, found.offset)

    def test_bitmap_of_a_partial_block_all_ones_is_sound(self) -> None:
        image = build.image()
        at = image.entry(0) * 512
        image.data[at : at + 512] = b"\xff" * 512
        self.assert_sound(check(image))

    def test_geometry_that_makes_qemu_cut(self) -> None:
        image = build.image()
        image.footer("crtr_app", b"tap ")
        self.assertIn("lost on conversion", self.assert_found("vhd.footer.geometry_short", check(image), W).why)

    def test_fixed(self) -> None:
        image = Vhd(size=1 << 20, kind=FIXED).build()
        self.assert_found("vhd.footer.fixed", check(image), E)
        self.assertNotIn("vhd.file.length", [finding.code for finding in check(image)])
        self.assert_found("vhd.file.length", check(image.data[4096:]), E)
        image.footer("data_offset", 512)
        self.assert_found("vhd.footer.data_offset", check(image), E)

    def test_header_elsewhere(self) -> None:
        image = build.image()
        data = image.data
        data[3072:3072] = bytes(4096)
        data[3072:4096] = data[512:1536]
        moved = dataclasses.replace(image, data=data, footer_offset=image.footer_offset + 4096)
        moved.footer("data_offset", 3072)
        self.assert_found("vhd.footer.data_offset", check(moved), W)

    def test_many_findings_of_one_class_are_summed_up(self) -> None:
        image = build.image()
        for block in range(10, 50):
            image.table(block, 0)
        found = [finding for finding in check(image) if finding.code == "vhd.bat.head"]
        self.assertEqual(21, len(found))
        self.assertEqual("and 20 more of this kind", found[-1].what)

    def test_where_and_offset(self) -> None:
        image = build.image()
        image.footer("saved", 2)
        (found,) = check(image)
        self.assertEqual(("disk.vhd", image.footer_offset + 84), (found.where, found.offset))


class FactsTest(unittest.TestCase):
    def test_base(self) -> None:
        image = build.image()
        facts = vhd_facts(MemorySource(image.data), STRICT)
        self.assertEqual(("dynamic", "tap 1.3", build.SIZE), (facts.variant, facts.creator, facts.virtual_size))
        self.assertEqual((2 << 20, 50, 2), (facts.block_size, facts.blocks, facts.allocated))
        self.assertEqual("1.2, 1 of 2 stored blocks full", facts.batmap)
        self.assertEqual("2000-01-02T00:00:00Z", facts.timestamp)
        self.assertEqual("", facts.parent_uuid)

    def test_child(self) -> None:
        facts = vhd_facts(MemorySource(build.image("child").data), STRICT)
        self.assertEqual("differencing", facts.variant)
        self.assertEqual(("01010101-0101-0101-0101-010101010101", "base.vhd"), (facts.parent_uuid, facts.parent_name))

    def test_header_lost(self) -> None:
        image = build.image()
        image.data[512:1536] = bytes(1024)
        facts = vhd_facts(MemorySource(image.data), STRICT)
        self.assertEqual((build.SIZE, 0, "none"), (facts.virtual_size, facts.blocks, facts.batmap))


class FuzzTest(unittest.TestCase):
    @settings(max_examples=150, deadline=None)
    @given(
        st.sampled_from(["base", "child"]),
        st.lists(st.tuples(st.integers(0, 4095), st.integers(0, 255)), min_size=1, max_size=6),
        st.booleans(),
    )
    def test_any_bytes_give_findings(self, kind: str, changes: list[tuple[int, int]], seal: bool) -> None:
        image = build.image(kind)
        for at, value in changes:
            image.data[at] = value
        if seal:
            image.header("checksum", 0)
            struct.pack_into(">I", image.data, 548, build_vhd.summed(image.data[512:1536]))
        for finding in check(image, "leaf"):
            self.assertTrue(finding.code.startswith("vhd."))
