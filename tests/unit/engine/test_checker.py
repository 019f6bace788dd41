"""Checking disks: which are taken for VHDs, what is said of others, and where parents are looked for."""

from __future__ import annotations

import os

import ddt

from tests.base import TestCase
from tests.builders import xva
from tests.builders.bundle import image, zipped
from tests.builders.vhdfaults import BASE, small
from xenimage import api
from xenimage.exceptions import UnsupportedError, UsageError
from xenimage.limits import Limits
from xenimage.model.plan import CheckOptions, PackageChoice
from xenimage.model.report import DisksReport, Verdict


@ddt.ddt
class CheckerTest(TestCase):
    def put(self, name: str, data: bytes | bytearray) -> str:
        path = self.scratch / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        return str(path)

    def check(self, *paths: str, **options: str) -> DisksReport:
        return api.check_disks(CheckOptions(paths=paths, **options))

    def codes(self, report: DisksReport) -> list[str]:
        return [finding.code for finding in report.findings]

    @ddt.data("qcow2", "vmdk", "raw")
    def test_other_formats_are_opened_and_mapped(self, name: str) -> None:
        path = str(self.scratch / "disk")
        self.run_tool("qemu-img", "create", "-q", "-f", name, path, "8M")
        report = self.check(path)
        self.assertEqual(["disk.raw" if name == "raw" else "disk.rules"], self.codes(report))
        self.assertEqual((name, Verdict.SOUND), (report.disks[0].format, report.verdict))

    def test_a_disk_of_a_package(self) -> None:
        path = self.put("two.xva", xva.make(bytes(1 << 20), bytes(2 << 20)))
        report = api.check_disks(CheckOptions(paths=(path,), choice=PackageChoice(disk="2")))
        self.assertEqual((["disk.rules"], "xva"), (self.codes(report), report.disks[0].format))
        with self.assertRaisesRegex(UsageError, "has 2 disks, expected one to be chosen"):
            self.check(path)

    def test_a_broken_disk_of_another_format_is_a_finding(self) -> None:
        good = str(self.scratch / "good.qcow2")
        self.run_tool("qemu-img", "create", "-q", "-f", "qcow2", good, "8M")
        with open(good, "rb") as file:
            bad = self.put("bad.qcow2", file.read(60))
        report = self.check(good, bad)
        self.assertEqual(["disk.rules", "disk.format"], self.codes(report))
        self.assertEqual([Verdict.SOUND, Verdict.NOT_READY], [disk.verdict for disk in report.disks])
        self.assertIs(Verdict.NOT_READY, report.verdict)

    def test_a_foreign_format_is_a_finding(self) -> None:
        report = self.check(self.put("x.vhdx", b"vhdxfile" + bytes(8192)))
        self.assertEqual(["disk.unread"], self.codes(report))
        self.assertIn("VHDX", report.findings[0].what)

    def test_two_formats_in_one(self) -> None:
        data = b"QFI\xfb" + bytes(image().data[4:])
        report = self.check(self.put("x", data))
        self.assertEqual(["disk.unread"], self.codes(report))
        self.assertIn("vhd.copy.missing", self.codes(self.check(self.put("x", data), format="vhd")))

    def test_a_bundle_is_sent_on(self) -> None:
        with self.assertRaisesRegex(UnsupportedError, "is in gzip format") as caught:
            self.check(self.put("x.tgz", zipped(b"x")))
        self.assertIn("bundle check", caught.exception.tip)

    @ddt.data(("lost.vhd", 0, 512), ("lost", 0, 512), ("x.vhd", 0, 2048))
    @ddt.unpack
    def test_a_vhd_without_footers_is_one_by_its_header_or_name(self, name: str, start: int, stop: int) -> None:
        data = image().data[:-512]
        data[start:stop] = bytes(stop - start)
        self.assertIn("vhd.footer.missing", self.codes(self.check(self.put(name, data))))

    def test_an_empty_file(self) -> None:
        self.assertIn("vhd.footer.missing", self.codes(self.check(self.put("x.vhd", b""))))
        self.assertEqual(["disk.format"], self.codes(self.check(self.put("x", b""))))

    def test_parents_from_a_directory_are_checked_too(self) -> None:
        leaf = self.put("leaf.vhd", small("leaf.vhd", 3, 2, "pool/mid.vhd")[1].data)
        for name, made in (small("mid.vhd", 2, 1, hidden=True), BASE, small("other.vhd", 9)):
            self.put(f"pool/{name}", made.data)
        pool = str(self.scratch / "pool")
        report = self.check(leaf, directory=pool)
        self.assertEqual([], self.codes(report))
        names = [os.path.basename(disk.path) for disk in report.disks]
        self.assertEqual("leaf.vhd", names[0])
        self.assertEqual({"leaf.vhd", "mid.vhd", "base.vhd"}, set(names))
        self.assertEqual("mid.vhd", os.path.basename(report.disks[0].parent))

    def test_a_parent_that_a_directory_has_not_is_an_error(self) -> None:
        leaf = self.put("leaf.vhd", small("leaf.vhd", 3, 2, "mid.vhd")[1].data)
        self.put("pool/base.vhd", BASE[1].data)
        report = self.check(leaf, directory=str(self.scratch / "pool"))
        self.assertIn("chain.missing", self.codes(report))
        self.assertIs(Verdict.NOT_READY, report.verdict)
        self.assertEqual(1, len(report.disks))

    def test_what_else_is_in_a_directory_is_not_checked(self) -> None:
        leaf = self.put("pool/leaf.vhd", small("leaf.vhd", 3, 1)[1].data)
        self.put("pool/base.vhd", BASE[1].data)
        self.put("pool/base2.vhd", BASE[1].data)
        self.put("pool/bad.vhd", b"x" * 8192)
        report = self.check(leaf, directory=str(self.scratch / "pool"))
        self.assertEqual(["chain.duplicate"], self.codes(report))
        self.assertEqual(["leaf.vhd", "base.vhd"], [os.path.basename(disk.path) for disk in report.disks])

    def test_a_base_alone_may_be_hidden(self) -> None:
        report = self.check(self.put("base.vhd", BASE[1].data))
        self.assertEqual(["vhd.footer.hidden_leaf"], self.codes(report))
        self.assertIs(Verdict.USABLE, report.verdict)

    def test_the_profile_weighs(self) -> None:
        made = image()
        made.footer("crtr_app", b"win ")
        path = self.put("x.vhd", made.data)
        self.assertIs(Verdict.NOT_READY, self.check(path).verdict)
        self.assertIs(Verdict.SOUND, self.check(path, profile="xcp-ng").verdict)

    def test_wrong_use(self) -> None:
        path = self.put("x.vhd", image().data)
        for words, options, text in (
            ((), {}, "no disk is given"),
            ((path, path), {}, "is the same file as"),
            ((str(self.scratch / "no"),), {}, "cannot be opened"),
            ((path,), {"format": "vdi"}, "'vdi' is no format"),
            ((path,), {"profile": "hyper-v"}, "hyper-v"),
            ((path,), {"directory": path}, "cannot be read"),
        ):
            with self.assertRaisesRegex(UsageError, text):
                self.check(*words, **options)

    def test_a_directory_is_for_another_command(self) -> None:
        good = self.put("x.vhd", image().data)
        for words in ((str(self.scratch),), (good, str(self.scratch))):
            with self.assertRaisesRegex(UsageError, "is a directory, expected disk images") as caught:
                self.check(*words)
            self.assertEqual(str(self.scratch), caught.exception.where)
            self.assertIn(f"xenimage chain show {self.scratch}", caught.exception.tip)

    def test_tables_beyond_the_limit_are_a_finding(self) -> None:
        path = self.put("x.vhd", image().data)
        report = api.check_disks(CheckOptions(paths=(path,)), limits=Limits(table_size=4096 // 32))
        self.assertIn("vhd.bat.limit", self.codes(report))

    def test_the_source_is_not_changed(self) -> None:
        path = self.put("x.vhd", image().data)
        before = os.stat(path)
        self.check(path)
        after = os.stat(path)
        self.assertEqual((before.st_mtime_ns, before.st_size), (after.st_mtime_ns, after.st_size))


class LargeTest(TestCase):
    """Full disks: what is read is bounded by what is stored, and the findings by their number."""

    def test_tables_of_a_full_disk(self) -> None:
        path = self.scratch / "large.vhd"
        write_full(path, blocks=100_000)
        report = api.check_disks(CheckOptions(paths=(str(path),)))
        self.assertEqual(21, [finding.code for finding in report.findings].count("vhd.batmap.partial"))
        self.assertTrue(report.findings[20].what.startswith("and 99980 more"), report.findings[20].what)


def write_full(path: os.PathLike[str], blocks: int) -> None:
    """A disk of which every block is stored, with nothing but its tables in the file."""
    from tests.builders.vhd import Vhd, summed

    made = Vhd(size=blocks << 21).build()
    made.footer("geometry", 1)
    bits = b"\xff" * (blocks // 8)
    at = made.batmap_offset + 512
    made.data[at : at + len(bits)] = bits
    made.batmap("checksum", summed(made.data[at : at + 512 * max(1, -(-(made.size >> 24) // 512))]))
    first = -(-(made.footer_offset + 512) // 4096) * 8 - 1
    for block in range(blocks):
        made.table(block, first + 4104 * block)
    with open(path, "wb") as file:
        file.write(made.data[: made.footer_offset])
        file.seek((first + 4104 * (blocks - 1) + 4097) * 512)
        file.write(made.data[made.footer_offset :])
