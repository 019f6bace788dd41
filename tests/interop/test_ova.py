"""GNU tar, gzip, xz and zstd as makers of OVAs."""

from __future__ import annotations

import itertools

import ddt

from tests.base import TestCase
from tests.builders import ovf as build
from tests.builders.pattern import pattern
from xenimage.containers.ovf.archive import is_ova, open_ova
from xenimage.limits import STRICT
from xenimage.model.transfer import Silent
from xenimage.sources.file import open_file
from xenimage.units import GIB, KIB, MIB

RAW = pattern(0, 3 * MIB) + bytes(5 * MIB)
PACKERS = {
    "": (),
    "gzip": ("gzip", "-1"),
    "xz": ("xz", "-T2", "-0", "--block-size=1MiB"),
    "zstd": ("zstd", "-q", "--rm", "-T2"),
    "zstd in frames": ("pzstd", "-q", "--rm", "-p", "2"),
}
SUFFIXES = {"": "", "gzip": ".gz", "xz": ".xz", "zstd": ".zst", "zstd in frames": ".zst"}


@ddt.ddt
class TarTest(TestCase):
    def package(self, *disks: tuple[str, str]) -> None:
        """A package of disks: name, and format as qemu-img calls it with its options."""
        (self.scratch / "raw").write_bytes(RAW)
        files = described = ""
        items = build.CPU + build.MEMORY + build.SCSI
        for number, (name, form) in enumerate(disks):
            path = self.scratch / name
            self.run_tool("qemu-img", "convert", "-O", *form.split(), "raw", path)
            files += f'<File ovf:id="f{number}" ovf:href="{name}" ovf:size="{path.stat().st_size}"/>'
            described += f'<Disk ovf:diskId="d{number}" ovf:fileRef="f{number}" ovf:capacity="{len(RAW)}"/>'
            items += build.item(17, f"9{number}", HostResource=f"ovf:/disk/d{number}", Parent=3, AddressOnParent=number)
        (self.scratch / "web.ovf").write_bytes(build.envelope(build.machine(items), files=files, disks=described))
        sums = self.run_tool("openssl", "dgst", "-sha256", "web.ovf", *(name for name, _ in disks))
        (self.scratch / "web.mf").write_text(sums.replace("SHA2-256(", "SHA256("), encoding="utf-8")

    @ddt.data(*itertools.product(("ustar", "gnu", "pax", "v7"), PACKERS))
    @ddt.unpack
    def test_in_every_dialect_and_packing(self, dialect: str, packer: str) -> None:
        disks = (("a.vmdk", "vmdk -o subformat=streamOptimized"), ("b.qcow2", "qcow2 -c"), ("c.raw", "raw"))
        self.package(*disks)
        names = [name for name, _ in disks]
        self.run_tool("tar", "-cf", "web.ova", f"--format={dialect}", "web.ovf", "web.mf", *names)
        if PACKERS[packer]:
            self.run_tool(*PACKERS[packer], "web.ova")
        path = self.scratch / f"web.ova{SUFFIXES[packer]}"
        before = sorted(each.name for each in self.scratch.iterdir())
        source = open_file(path)
        self.assertTrue(is_ova(source, STRICT))
        package = open_ova(source, STRICT)
        self.addCleanup(package.close)
        self.assertEqual(packer.partition(" ")[0], package.package.compression)
        self.assertEqual((), package.package.findings)
        for described in package.package.machines[0].disks:
            disk = package.disk(described)
            found = bytearray(disk.facts.virtual_size)
            disk.read_into(0, memoryview(found))
            self.assert_same_bytes(RAW, bytes(found))
            disk.close()
        proof, findings = package.prove(Silent())
        self.assertEqual(("verified", ()), (proof.manifest, findings))
        self.assertEqual(before, sorted(each.name for each in self.scratch.iterdir()))

    @ddt.data("gnu", "pax")
    def test_a_member_beyond_8_gib(self, dialect: str) -> None:
        size = 8 * GIB + 512
        with (self.scratch / "disk.raw").open("wb") as file:
            file.write(RAW)
            file.truncate(size)
        (self.scratch / "web.ovf").write_bytes(
            build.envelope(files=build.FILE.replace("4096", str(size)), disks=build.DISK.replace("4096", str(size)))
        )
        # What follows are zeros, the archive's end among them: a hole.
        self.run_tool("sh", "-c", f"tar -cf - --format={dialect} web.ovf disk.raw | head -c 4M > web.ova")
        with (self.scratch / "web.ova").open("r+b") as file:
            file.truncate(size + 64 * KIB)
        package = open_ova(open_file(self.scratch / "web.ova"), STRICT)
        self.addCleanup(package.close)
        self.assertEqual((), package.package.findings)
        disk = package.disk(package.package.machines[0].disks[0])
        self.addCleanup(disk.close)
        self.assertEqual(size, disk.facts.virtual_size)
        found = bytearray(len(RAW))
        disk.read_into(0, memoryview(found))
        self.assert_same_bytes(RAW, bytes(found))

    def test_a_directory_and_long_names(self) -> None:
        name = "d" * 120 + "é.raw"
        self.package((name, "raw"))
        (self.scratch / "sub").mkdir()
        for each in ("web.ovf", "web.mf", name):
            (self.scratch / each).rename(self.scratch / "sub" / each)
        for dialect, directory in itertools.product(("gnu", "pax"), (".", "sub")):
            inside = ("-C", "sub", ".") if directory == "." else ("sub",)
            self.run_tool("tar", "-cf", "web.ova", f"--format={dialect}", "--sort=name", *inside)
            package = open_ova(open_file(self.scratch / "web.ova"), STRICT)
            self.addCleanup(package.close)
            codes = [each.code for each in package.package.findings]
            self.assertEqual(directory == "sub", "ovf.archive.directory" in codes)
            disk = package.disk(package.package.machines[0].disks[0])
            self.addCleanup(disk.close)
            found = bytearray(len(RAW))
            disk.read_into(0, memoryview(found))
            self.assert_same_bytes(RAW, bytes(found))
