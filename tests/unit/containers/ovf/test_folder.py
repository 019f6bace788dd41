"""Packages in a directory: disks in every wrapping, proof, and what must not be opened."""

from __future__ import annotations

import base64
import gzip
import hashlib
import os
import pathlib
import tempfile
from typing import TYPE_CHECKING

import ddt
from cryptography.hazmat.primitives import padding as blocks
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tests.base import TestCase
from tests.builders import ovf as build
from tests.builders import vmx
from tests.builders.pattern import pattern
from tests.unit.containers.ovf.test_parts import KNOWN
from xenimage.containers.ovf.folder import open_ovf
from xenimage.exceptions import FormatError, UnsafeError, UnsupportedError, UsageError
from xenimage.limits import STRICT
from xenimage.model.transfer import Silent

if TYPE_CHECKING:
    from xenimage.containers.ovf.package import OvfPackage

GRAIN = 65536
DATA = pattern(0, 4096)


def encrypted(data: bytes) -> bytes:
    digest = hashlib.sha384(b"citrix").digest()
    padder = blocks.PKCS7(128).padder()
    cipher = Cipher(algorithms.AES(digest[:32]), modes.CBC(digest[32:])).encryptor()
    return cipher.update(padder.update(data) + padder.finalize()) + cipher.finalize()


class FolderTestCase(TestCase):
    def setUp(self) -> None:
        super().setUp()
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.folder = pathlib.Path(directory.name)

    def write(self, **files: bytes) -> None:
        """Files by their names, ``__`` for a dot."""
        for name, data in files.items():
            (self.folder / name.replace("__", ".")).write_bytes(data)

    def opened(self, descriptor: bytes, password: str | None = None) -> OvfPackage:
        self.write(web__ovf=descriptor)
        package = open_ovf(self.folder / "web.ovf", STRICT, password=password)
        self.addCleanup(package.close)
        return package

    def content(self, package: OvfPackage, index: int = 0) -> bytes:
        disk = package.disk(package.package.machines[0].disks[index])
        self.addCleanup(disk.close)
        buffer = bytearray(disk.facts.virtual_size)
        disk.read_into(0, memoryview(buffer))
        return bytes(buffer)

    def codes(self, package: OvfPackage) -> list[str]:
        return [each.code for each in package.package.findings]


@ddt.ddt
class DiskTest(FolderTestCase):
    def test_as_it_is(self) -> None:
        self.write(disk__raw=DATA)
        package = self.opened(build.envelope())
        self.assert_same_bytes(DATA, self.content(package))
        self.assertEqual(
            ("ovf", "1.0", "web", ()),
            (package.package.kind, package.package.version, package.package.name, package.package.findings),
        )
        self.assertEqual(["web.ovf", "disk.raw"], list(package.parts()))

    def test_in_pieces(self) -> None:
        self.write(
            disk__raw__000000000=DATA[:1500], disk__raw__000000001=DATA[1500:3000], disk__raw__000000002=DATA[3000:]
        )
        package = self.opened(build.envelope(files=build.FILE.replace("/>", ' ovf:chunkSize="1500"/>')))
        self.assertEqual([], self.codes(package))
        self.assert_same_bytes(DATA, self.content(package))

    @ddt.data("gzip", "Gzip", "GZip")
    def test_deflated(self, name: str) -> None:
        packed = gzip.compress(DATA)
        self.write(disk__raw=packed)
        file = build.FILE.replace("4096", str(len(packed))).replace("/>", f' ovf:compression="{name}"/>')
        package = self.opened(build.envelope(files=file))
        self.assertEqual([], self.codes(package))
        self.assert_same_bytes(DATA, self.content(package))
        self.assertTrue(package.disk(package.package.machines[0].disks[0]).facts.sequential)
        self.assertEqual(packed, package.file("file1").read(0, len(packed)))

    def test_encrypted_and_deflated(self) -> None:

        known = base64.b64encode(KNOWN).decode()
        self.write(aa__vhd=encrypted(gzip.compress(DATA)))
        descriptor = build.citrix(
            security=build.security(known), attributes='Id="xen_1" ovf:compression="GZip"'
        ).replace(build.VHD.encode(), b"")
        package = self.opened(descriptor, "citrix")
        self.assertIn("ovf.encrypted", self.codes(package))
        self.assertEqual("citrix", package.package.proof.encryption)
        self.assert_same_bytes(DATA, self.content(package))
        for password, text in ((None, "is encrypted, expected the password"), ("other", "the password is wrong")):
            with self.assertRaisesRegex(UsageError, text):
                self.content(self.opened(descriptor, password))

    @ddt.data("sub/disk.raw", "with space.raw", "with%20space.raw", "caf%C3%A9.raw", "./disk.raw")
    def test_names(self, name: str) -> None:
        (self.folder / "sub").mkdir()
        real = {"with%20space.raw": "with space.raw", "caf%C3%A9.raw": "cafe\u0301.raw"}.get(name, name)
        (self.folder / real).write_bytes(DATA)
        package = self.opened(build.envelope(files=build.FILE.replace("disk.raw", name)))
        self.assertEqual([], self.codes(package))
        self.assert_same_bytes(DATA, self.content(package))

    def test_a_disk_without_content(self) -> None:
        package = self.opened(build.envelope(files="", disks='<Disk ovf:diskId="disk1" ovf:capacity="4096"/>'))
        with self.assertRaisesRegex(UnsupportedError, "comes without content"):
            self.content(package)

    def test_what_is_no_disk_of_its_format(self) -> None:
        self.write(disk__raw=DATA)
        with self.assertRaisesRegex(FormatError, "is of no known format"):
            self.content(self.opened(build.envelope(disks=build.DISK.replace("/>", f' ovf:format="{build.VMDK}"/>'))))

    def test_a_chain_without_an_end(self) -> None:
        self.write(disk__raw=DATA)
        package = self.opened(build.envelope(disks=build.DISK.replace("/>", ' ovf:parentRef="disk1"/>')))
        with self.assertRaisesRegex(FormatError, "belongs over itself"):
            self.content(package)

    def test_a_delta_disk_over_its_parent(self) -> None:
        below, above = pattern(0, GRAIN), pattern(1, GRAIN)
        leaf = vmx.disk({1: above}, cid="0000bbbb", parent="0000aaaa", hint="base.vmdk")
        files = '<File ovf:id="leaf" ovf:href="leaf.vmdk"/><File ovf:id="base" ovf:href="base.vmdk"/>'
        disks = (
            '<Disk ovf:diskId="disk1" ovf:fileRef="leaf" ovf:capacity="524288" ovf:parentRef="disk0"/>'
            '<Disk ovf:diskId="disk0" ovf:fileRef="base" ovf:capacity="524288"/>'
        )
        self.write(leaf__vmdk=leaf, base__vmdk=vmx.disk({0: below, 1: below}))
        package = self.opened(build.envelope(files=files, disks=disks))
        self.assert_same_bytes(below + above, self.content(package)[: 2 * GRAIN])
        self.write(base__vmdk=vmx.disk({0: below, 1: below}, cid="0000aaab"))
        with self.assertRaisesRegex(UnsafeError, "disk1: its parent is 0000aaaa, but disk0 is 0000aaab"):
            self.content(package)


@ddt.ddt
class HostileTest(FolderTestCase):
    def test_missing_and_short(self) -> None:
        package = self.opened(build.envelope())
        self.assertEqual(["ovf.file.missing"], self.codes(package))
        self.assertRaises(FormatError, self.content, package)
        self.write(disk__raw=DATA[:512])
        self.assertEqual(["ovf.file.size"], self.codes(self.opened(build.envelope())))

    def test_pieces_that_do_not_fit(self) -> None:
        descriptor = build.envelope(files=build.FILE.replace("/>", ' ovf:chunkSize="1500"/>'))
        self.write(disk__raw__000000000=DATA[:1500], disk__raw__000000002=DATA[3000:])
        package = self.opened(descriptor)
        self.assertEqual(["ovf.file.chunk"], self.codes(package))
        self.assertRaises(FormatError, self.content, package)
        self.write(disk__raw__000000001=DATA[1500:2999])
        self.assertRaises(FormatError, self.content, self.opened(descriptor))

    @ddt.data("../secret", "/etc/passwd", "%2e%2e/secret", "a/../../secret")
    def test_names_that_lead_out(self, name: str) -> None:
        package = self.opened(build.envelope(files=build.FILE.replace("disk.raw", name)))
        self.assertEqual(["ovf.file.name"], self.codes(package))
        self.assertRaises(UnsafeError, self.content, package)
        self.assertRaises(UnsafeError, package.file, "file1")

    @ddt.data("disk.raw", "sub/disk.raw")
    def test_links(self, name: str) -> None:
        with tempfile.TemporaryDirectory() as other:
            pathlib.Path(other, "disk.raw").write_bytes(DATA)
            if name == "disk.raw":
                (self.folder / name).symlink_to(f"{other}/disk.raw")
            else:
                (self.folder / "sub").symlink_to(other)
            package = self.opened(build.envelope(files=build.FILE.replace("disk.raw", name)))
            self.assertEqual(["ovf.file.name"], self.codes(package))
            self.assertRaises(UnsafeError, self.content, package)

    def test_a_fifo(self) -> None:
        os.mkfifo(self.folder / "disk.raw")
        package = self.opened(build.envelope())
        self.assertNotEqual([], self.codes(package))
        self.assertRaises((FormatError, UnsafeError), self.content, package)


class ProofTest(FolderTestCase):
    def prove(self, package: OvfPackage) -> tuple[str, tuple[str, ...], list[str]]:
        proof, findings = package.prove(Silent())
        return proof.manifest, proof.algorithms, [each.code for each in findings]

    def test_whole(self) -> None:
        self.write(disk__raw=DATA, web__mf=build.manifest({"web.ovf": build.envelope(), "disk.raw": DATA}))
        package = self.opened(build.envelope())
        self.assertEqual("not verified", package.package.proof.manifest)
        self.assertEqual(("verified", ("sha256",), []), self.prove(package))
        self.assertEqual(["web.ovf", "web.mf", "disk.raw"], list(package.parts()))

    def test_without_a_manifest(self) -> None:
        self.write(disk__raw=DATA)
        self.assertEqual(("", (), ["ovf.manifest.absent"]), self.prove(self.opened(build.envelope())))

    def test_faults(self) -> None:
        self.write(
            disk__raw=DATA, web__mf=build.manifest({"disk.raw": b"other", "lost.vmdk": b"", "../x": b""}, "sha1")
        )
        manifest, _, codes = self.prove(self.opened(build.envelope()))
        self.assertEqual("not verified", manifest)
        expected = ["ovf.manifest.descriptor", "ovf.manifest.missing", "ovf.manifest.missing", "ovf.manifest.mismatch"]
        self.assertEqual(expected, codes)

    def test_a_disk_of_another_size(self) -> None:
        self.write(disk__raw=DATA)
        package = self.opened(build.envelope(disks=build.DISK.replace("4096", "8192")))
        self.assertEqual(["ovf.manifest.absent", "ovf.disk.size"], self.prove(package)[2])
