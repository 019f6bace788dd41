"""GNU tar, openssl, sha256sum and qemu-img as second readers of packages of OVF."""

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING, Any

import ddt

from tests.base import TestCase
from tests.builders.certificate import make_pair
from tests.builders.pattern import pattern
from xenimage.containers.ovf.folder import open_ovf
from xenimage.containers.ovf.writer import write_ova, write_ovf
from xenimage.containers.ovf.writing import NewPackage, OvfOptions
from xenimage.containers.registry import open_container
from xenimage.engine.diskfiles import DiskFiles, disk_content
from xenimage.formats.raw import open_raw
from xenimage.limits import STRICT
from xenimage.model.machine import Machine, MachineDisk
from xenimage.model.plan import PackageChoice
from xenimage.model.transfer import Silent
from xenimage.sinks.file import FileSink
from xenimage.sources.file import open_file
from xenimage.units import MIB

if TYPE_CHECKING:
    import pathlib

DISKS = {"a": pattern(0, MIB) + bytes(9 * MIB) + pattern(4 * MIB, 4 * MIB) + bytes(2 * MIB), "b": bytes(6 * MIB)}
MACHINE = Machine(
    identifier="vm", name="web", disks=tuple(MachineDisk(identifier=name, capacity=len(DISKS[name])) for name in DISKS)
)
EPOCH_2020 = 1577836800


@ddt.ddt
class OvfTestCase(TestCase):
    def package(self, form: str, jobs: int = 2, *, forward: bool = False) -> NewPackage:
        contents = {}
        files = DiskFiles(format=form, jobs=jobs, timestamp=EPOCH_2020, forward=forward)
        for name, data in DISKS.items():
            path = self.scratch / f"{name}.raw"
            path.write_bytes(data)
            disk = open_raw(open_file(path), STRICT)
            self.addCleanup(disk.close)
            contents[name] = disk_content(disk, files, STRICT, Silent())
        return NewPackage(machines=[MACHINE], disks=contents)

    def archive(self, form: str, **options: Any) -> pathlib.Path:
        path = self.scratch / "web.ova"
        sink = FileSink(str(path), force=True)
        self.addCleanup(sink.close)
        forward = options.get("compress_archive", False)
        write_ova(sink, self.package(form, forward=forward), OvfOptions(disk_format=form, **options))
        sink.flush()
        sink.commit()
        return path

    def unpacked(self, path: pathlib.Path) -> pathlib.Path:
        target = self.scratch / "unpacked"
        target.mkdir()
        self.run_tool("tar", "-xf", path, "-C", target)
        return target

    def assert_disks(self, directory: pathlib.Path, form: str) -> None:
        for number, name in enumerate(DISKS, 1):
            disk = directory / f"web-disk{number}.{form}"
            driver = {"vhd": "vpc"}.get(form, form)
            self.run_tool("qemu-img", "compare", "-f", "raw", "-F", driver, f"{name}.raw", disk)
            if form == "vmdk":
                self.run_tool("qemu-img", "check", "-f", driver, disk)

    def assert_manifest(self, directory: pathlib.Path, algorithm: str = "sha256") -> None:
        """As openssl itself writes it, line by line."""
        lines = (directory / "web.mf").read_text().splitlines()
        names = [found[1] for line in lines if (found := re.fullmatch(r"\w+\((.+)\)= [0-9a-f]+", line))]
        self.assertEqual(len(lines), len(names))
        digest = ["openssl", "dgst", f"-{algorithm}"]
        for name, line in zip(names, lines, strict=True):
            said = self.run_tool(*digest, directory / name).strip()
            self.assertEqual(said.rpartition("= ")[2], line.rpartition("= ")[2])
            self.assertEqual(said.partition("(")[0].replace("SHA2-", "SHA"), line.partition("(")[0])

    @ddt.data("vmdk", "vhd")
    def test_an_archive(self, form: str) -> None:
        path = self.archive(form)
        names = ["web.ovf", "web.mf", f"web-disk1.{form}", f"web-disk2.{form}"]
        self.assertEqual(names, self.run_tool("tar", "-tf", path).splitlines())
        self.assertEqual("", self.run_tool("sh", "-c", f"tar --warning=all -tvf {path} 2>&1 >list"))
        target = self.unpacked(path)
        self.assert_disks(target, form)
        self.assert_manifest(target)

    @ddt.data("vmdk", "vhd")
    def test_a_packed_archive(self, form: str) -> None:
        plain = self.archive(form).read_bytes()
        path = self.archive(form, compress_archive=True, jobs=2)
        self.run_tool("gzip", "-t", "-v", path, "--suffix", ".ova")
        os.rename(path, self.scratch / "web.ova.gz")
        self.run_tool("gzip", "-d", "web.ova.gz")
        self.assert_same_bytes(plain, (self.scratch / "web.ova").read_bytes())

    @ddt.data("vmdk", "vhd")
    def test_a_directory(self, form: str) -> None:
        target = self.scratch / "out"
        write_ovf(target, self.package(form), OvfOptions(disk_format=form, digest="sha1"))
        self.assert_disks(target, form)
        self.assert_manifest(target, "sha1")
        package = open_ovf(target / "web.ovf", STRICT)
        self.addCleanup(package.close)
        proof, findings = package.prove(Silent())
        self.assertEqual(("verified", ()), (proof.manifest, findings))

    @ddt.data("vmdk", "vhd")
    def test_deflated_and_in_pieces(self, form: str) -> None:
        target = self.unpacked(self.archive(form, compress=True, chunk_size=300_000, jobs=2))
        self.assert_manifest(target)
        for number in (1, 2):
            pieces = sorted(target.glob(f"web-disk{number}.*.gz.*"))
            (target / f"web-disk{number}.{form}.gz").write_bytes(b"".join(piece.read_bytes() for piece in pieces))
            self.run_tool("gzip", "-d", target / f"web-disk{number}.{form}.gz")
        self.assert_disks(target, form)

    @ddt.data(
        {"form": "vmdk"},
        {"form": "vhd"},
        {"form": "vmdk", "compress_archive": True},
        {"form": "vhd", "compress_archive": True},
        {"form": "vmdk", "chunk_size": 100_000},
        {"form": "vhd", "compress": True, "chunk_size": 9999},
    )
    def test_we_read_it_ourselves(self, options: dict[str, Any]) -> None:
        package = open_container(str(self.archive(**options)), STRICT, PackageChoice())
        self.addCleanup(package.close)
        proof, findings = package.prove(Silent())
        self.assertEqual(("verified", ("sha256",), ()), (proof.manifest, proof.algorithms, findings))
        self.assertEqual((), package.package.findings)
        (machine,) = package.package.machines
        for each, data in zip(machine.disks, DISKS.values(), strict=True):
            disk = package.disk(each)
            found = bytearray(disk.facts.virtual_size)
            disk.read_into(0, memoryview(found))
            disk.close()
            self.assert_same_bytes(data, bytes(found))

    @ddt.data("sha1", "sha256", "sha512")
    def test_openssl_verifies_the_signature(self, digest: str) -> None:
        key, certificate = make_pair(self.scratch)
        target = self.unpacked(self.archive("vmdk", digest=digest, sign=(str(key), str(certificate))))
        self.assert_manifest(target, digest)
        head, _, pem = (target / "web.cert").read_text().partition("\n")
        said = re.fullmatch(rf"{digest.upper()}\(web\.mf\)= ([0-9a-f]+)", head)
        assert said is not None
        (self.scratch / "signature").write_bytes(bytes.fromhex(said[1]))
        (self.scratch / "pem").write_text(pem)
        self.run_tool("openssl", "x509", "-in", "pem", "-pubkey", "-noout", "-out", "public")
        verified = self.run_tool(
            "openssl", "dgst", f"-{digest}", "-verify", "public", "-signature", "signature", target / "web.mf"
        )
        self.assertEqual("Verified OK\n", verified)

    def test_the_number_of_threads_changes_nothing(self) -> None:
        digests = set()
        for jobs in (1, 3):
            target = self.scratch / f"out{jobs}"
            write_ovf(target, self.package("vmdk", jobs), OvfOptions(compress=True, jobs=jobs))
            digests.add(hashlib.sha256((target / "web.mf").read_bytes()).hexdigest())
        self.assertEqual(1, len(digests))
