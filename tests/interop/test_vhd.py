"""VHDs between this project and the real qemu-img."""

from __future__ import annotations

import json

import ddt

from tests.base import TestCase
from tests.builders.pattern import pattern
from tests.builders.vhd import Vhd
from xenimage import api
from xenimage.formats.vhd.reader import open_vhd
from xenimage.formats.vhd.writer import BITMAP, GAP, NewVhd
from xenimage.limits import STRICT
from xenimage.model.extent import Extent, Kind
from xenimage.model.finding import Severity
from xenimage.model.plan import CheckOptions
from xenimage.sources.file import open_file
from xenimage.units import KIB, MIB

BLOCK = 2 * MIB
TIME = 1_000_000_000


class VhdCase(TestCase):
    def setUp(self):
        super().setUp()
        self.raw = self.scratch / "disk.raw"
        self.vhd = self.scratch / "disk.vhd"

    def make_raw(self, size):
        """A raw disk with data at its start, across blocks and at its end."""
        with self.raw.open("wb") as file:
            file.truncate(size)
            for offset, length in ((0, 70 * KIB), (3 * MIB, 2 * MIB), (size - 1024, 1024)):
                if offset >= 0 and offset + length <= size:
                    file.seek(offset)
                    file.write(pattern(offset, length))
        return self.raw.read_bytes()

    def opened(self):
        disk = open_vhd(open_file(self.vhd), STRICT)
        self.addCleanup(disk.close)
        return disk

    def content(self, disk):
        buffer = bytearray(b"\xaa" * disk.facts.virtual_size)
        disk.read_into(0, memoryview(buffer))
        return bytes(buffer)


@ddt.ddt
class CheckTest(VhdCase):
    """What the real qemu-img writes is no fault of its file: a consumer that reads only the content takes it."""

    @ddt.data(
        ("", {"vhd.creator.foreign"}),
        ("force_size=on", {"vhd.creator.foreign", "vhd.footer.geometry"}),
        ("subformat=fixed", {"vhd.footer.fixed"}),
    )
    @ddt.unpack
    def test_files_of_qemu(self, options, refused):
        self.make_raw(20 * MIB)
        words = ("-o", options) if options else ()
        self.run_tool("qemu-img", "convert", "-f", "raw", "-O", "vpc", *words, self.raw, self.vhd)
        kept = api.check_disks(CheckOptions(paths=(str(self.vhd),)))
        errors = {finding.code for finding in kept.findings if finding.severity is Severity.ERROR}
        self.assertEqual(refused, errors)
        self.assertNotIn("vhd.file.extended", {finding.code for finding in kept.findings})
        streamed = api.check_disks(CheckOptions(paths=(str(self.vhd),), profile="xcp-ng"))
        errors = {finding.code for finding in streamed.findings if finding.severity is Severity.ERROR}
        self.assertEqual(refused & {"vhd.footer.fixed"}, errors)

    def test_blocks_that_qemu_appends_to_a_disk_of_blktap_are_found(self):
        self.vhd.write_bytes(Vhd(size=20 * MIB, blocks={0: range(4096)}).build().data)
        self.run_tool("qemu-io", "-f", "vpc", "-c", "write -P 7 4M 2M", self.vhd)
        report = api.check_disks(CheckOptions(paths=(str(self.vhd),)))
        self.assertTrue(
            {"vhd.block.packed", "vhd.block.unaligned"} <= {finding.code for finding in report.findings},
            report.findings,
        )

    def test_a_copy_with_holes_is_no_repaired_file(self):
        self.vhd.write_bytes(Vhd(size=20 * MIB, blocks={0: range(4096), 3: range(9)}).build().data)
        copy = self.scratch / "copy.vhd"
        self.run_tool("cp", "--sparse=always", self.vhd, copy)
        self.assertEqual((), api.check_disks(CheckOptions(paths=(str(copy),))).findings)


@ddt.ddt
class FromQemuTest(VhdCase):
    @ddt.data(
        (512, 34816),
        (1 * MIB, 1079296),
        (10 * MIB, 10514432),
        (20 * MIB, 20994048),
        (100 * MIB + 512, 104865792),
    )
    @ddt.unpack
    def test_size_is_rounded_up_by_qemu(self, size, rounded):
        raw = self.make_raw(size)
        for options, variant in (((), "dynamic"), (("-o", "subformat=fixed"), "fixed")):
            with self.subTest(variant):
                self.run_tool("qemu-img", "convert", "-f", "raw", "-O", "vpc", *options, self.raw, self.vhd)
                disk = self.opened()
                self.assertEqual((variant, rounded), (disk.facts.variant, disk.facts.virtual_size))
                self.assertEqual(raw.ljust(rounded, b"\0"), self.content(disk))
                self.assertEqual((), disk.facts.findings)
                self.assertEqual("qemu 5.3", dict(disk.facts.details)["creator"])

    @ddt.data("force_size=on", "force_size=on,subformat=fixed")
    def test_size_is_kept_where_asked_for(self, options):
        raw = self.make_raw(7 * MIB + 512)
        self.run_tool("qemu-img", "convert", "-f", "raw", "-O", "vpc", "-o", options, self.raw, self.vhd)
        disk = self.opened()
        self.assertEqual(raw, self.content(disk))
        self.assertEqual((), disk.facts.findings)
        self.assertEqual("qem2 5.3", dict(disk.facts.details)["creator"])

    @ddt.data((20, 21475270656), (127, 136365219840), (200, 214748364800))
    @ddt.unpack
    def test_large_and_empty(self, size, rounded):
        self.run_tool("qemu-img", "create", "-q", "-f", "vpc", self.vhd, f"{size}G")
        disk = self.opened()
        self.assertEqual(rounded, disk.facts.virtual_size)
        self.assertEqual([Extent(0, rounded, Kind.ZERO)], list(disk.extents(0, rounded)))


@ddt.ddt
class ToQemuTest(VhdCase):
    @ddt.data(
        (1, ()),
        (1, (0,)),
        (5, (4, 0, 2)),
        (50, (0, 1, 49)),
        (513, (0, 512)),
        (66000, (0, 65999)),
        (1044480, (1044479,)),
    )
    @ddt.unpack
    def test_what_is_written(self, count, blocks):
        new = NewVhd(virtual_size=count * BLOCK, timestamp=TIME)
        with self.vhd.open("wb") as file:
            file.write(new.head(b"\1" * 16, blocks))
            file.seek(new.first_block if blocks else new.head_size)
            for number, block in enumerate(blocks):
                file.write((bytes(GAP) if number else b"") + BITMAP + pattern(block * BLOCK, BLOCK))
            self.assertEqual(new.footer_offset(len(blocks)), file.tell())
            file.write(new.footer(b"\1" * 16))
        self.assertEqual(new.size(len(blocks)), self.vhd.stat().st_size)
        out = self.scratch / "qemu.raw"
        self.run_tool("qemu-img", "convert", "-f", "vpc", "-O", "raw", self.vhd, out)
        info = json.loads(self.run_tool("qemu-img", "info", "--output=json", self.vhd))
        self.assertEqual(
            ("vpc", count * BLOCK, count * BLOCK), (info["format"], info["virtual-size"], out.stat().st_size)
        )
        disk = self.opened()
        buffer = bytearray(BLOCK)
        with out.open("rb") as file:
            for block in {0, 1 % count, count - 1, *blocks}:
                file.seek(block * BLOCK)
                expected = pattern(block * BLOCK, BLOCK) if block in blocks else bytes(BLOCK)
                self.assertEqual(expected, file.read(BLOCK))
                disk.read_into(block * BLOCK, memoryview(buffer))
                self.assertEqual(expected, bytes(buffer))
