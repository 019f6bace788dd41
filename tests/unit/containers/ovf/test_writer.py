"""Packages that we write: what stands where, and that nothing is left of one that failed."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import os
import tarfile
from typing import TYPE_CHECKING, Any
from unittest import mock

import ddt

from tests.base import TestCase
from tests.builders.certificate import make_pair
from tests.builders.pattern import pattern
from xenimage.containers.ovf import newfile, writer
from xenimage.containers.ovf.descriptor import read_descriptor
from xenimage.containers.ovf.folder import open_ovf
from xenimage.containers.ovf.writer import write_ova, write_ovf
from xenimage.containers.ovf.writing import Content, NewPackage, OvfOptions, base_name
from xenimage.exceptions import TransferError, UnsupportedError, UsageError, XenimageError
from xenimage.limits import STRICT
from xenimage.model.machine import Machine, MachineDisk
from xenimage.model.transfer import Silent
from xenimage.sinks.file import FileSink
from xenimage.units import KIB, MIB

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable

    from xenimage.model.transfer import PatchSink

FIRST = pattern(0, 3 * MIB) + bytes(MIB) + pattern(MIB, 5)
SECOND = pattern(7, 70_000)
MACHINE = Machine(
    identifier="vm",
    name="Bücher & web",
    disks=(MachineDisk(identifier="a", capacity=8 * MIB), MachineDisk(identifier="b", capacity=9 * MIB)),
    cdroms=("iso",),
)
HEAD = 5000
"""bytes that come last"""


def forward(data: bytes) -> Callable[[PatchSink, str], int]:
    """Writes from the start to the end; a run of zeros is left out."""

    def write(sink: PatchSink, _name: str) -> int:
        sink.write([data[: 3 * MIB][:100], memoryview(data)[100 : 3 * MIB]])
        if len(data) > 3 * MIB:
            sink.skip(MIB)
            sink.write([bytearray(data[4 * MIB :])])
        return len(data)

    return write


def patching(data: bytes) -> Callable[[PatchSink, str], int]:
    """Leaves out the head, and fills it in by two patches."""

    def write(sink: PatchSink, _name: str) -> int:
        sink.skip(HEAD)
        sink.write([data[HEAD:]])
        sink.patch(1000, data[1000:HEAD])
        sink.patch(0, data[:1000])
        return 4096

    return write


def new(**changes: Any) -> NewPackage:
    package = NewPackage(
        machines=[MACHINE],
        disks={"a": Content(size=8 * MIB, write=forward(FIRST)), "b": Content(size=9 * MIB, write=patching(SECOND))},
        images={"iso": Content(size=5, write=forward(b"CD001"))},
    )
    return dataclasses.replace(package, **changes)


@ddt.ddt
class WriterTestCase(TestCase):
    def archive(self, package: NewPackage | None = None, name: str = "x.ova", **options: Any) -> pathlib.Path:
        path = self.scratch / name
        sink = FileSink(str(path))
        self.addCleanup(sink.close)
        self.receipt = write_ova(sink, package or new(), OvfOptions(**options))
        sink.flush()
        sink.commit()
        return path

    def members(self, path: pathlib.Path) -> dict[str, bytes]:
        found = {}
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                self.assertEqual(
                    (0o644, 0, 0, "", ""), (member.mode, member.uid, member.gid, member.uname, member.gname)
                )
                content = archive.extractfile(member)
                assert content is not None
                found[member.name] = content.read()
        return found

    def assert_proved(self, files: dict[str, bytes], algorithm: str = "sha256") -> None:
        """Every file but the proof itself stands in the manifest, in the order of the package."""
        lines = files["Bucher-web.mf"].decode().splitlines()
        digests = {name: hashlib.new(algorithm, data).hexdigest() for name, data in files.items()}
        covered = [name for name in files if not name.endswith((".mf", ".cert"))]
        expected = [f"{algorithm.upper()}({name})= {digests[name]}" for name in covered]
        self.assertEqual(expected, lines)

    def test_an_archive(self) -> None:
        path = self.archive()
        files = self.members(path)
        self.assertEqual(
            ["Bucher-web.ovf", "Bucher-web.mf", "Bucher-web-disk1.vmdk", "Bucher-web-disk2.vmdk",
             "Bucher-web-image1.iso"],
            list(files),
        )  # fmt: skip
        self.assert_same_bytes(FIRST, files["Bucher-web-disk1.vmdk"])
        self.assert_same_bytes(SECOND, files["Bucher-web-disk2.vmdk"])
        self.assertEqual(b"CD001", files["Bucher-web-image1.iso"])
        self.assert_proved(files)
        self.assertEqual(b"ustar\x0000", path.read_bytes()[257:265])
        self.assertEqual(0, path.stat().st_size % 10240)
        described = read_descriptor(files["Bucher-web.ovf"], STRICT)
        self.assertEqual((), described.findings)
        sizes = {file.name: file.size for file in described.files.values()}
        self.assertEqual({name: len(data) for name, data in files.items() if "1" in name or "2" in name}, sizes)
        (machine,) = described.machines
        self.assertEqual(("image1",), machine.cdroms)
        self.assertEqual([("disk1", 8 * MIB, len(FIRST)), ("disk2", 9 * MIB, 4096)],
                         [(disk.file, disk.capacity, disk.populated) for disk in machine.disks])  # fmt: skip
        self.assertEqual(len(FIRST) + 4096, self.receipt.data_size)
        self.assertEqual([name for name in files if not name.endswith(".mf")], [f.name for f in self.receipt.files])

    def test_the_same_again(self) -> None:
        first, second = (self.archive(name=f"{n}.ova", timestamp=1234567890) for n in range(2))
        self.assert_same_bytes(first.read_bytes(), second.read_bytes())
        with tarfile.open(first) as archive:
            self.assertEqual({1234567890}, {member.mtime for member in archive})

    def test_only_what_was_patched_is_read_again(self) -> None:
        read: list[str] = []

        class Watching(Silent):
            def start(self, what: str, total: int) -> None:
                read.append(f"{what} {total}")

        sink = FileSink(str(self.scratch / "x.ova"))
        self.addCleanup(sink.close)
        write_ova(sink, new(), OvfOptions(), Watching())
        self.assertEqual([f"digest {len(SECOND)}"], read)

    @ddt.data("sha1", "sha256", "sha512")
    def test_digests(self, digest: str) -> None:
        self.assert_proved(self.members(self.archive(digest=digest)), digest)

    @ddt.data(7001, 64 * KIB, MIB)
    def test_pieces(self, size: int) -> None:
        files = self.members(self.archive(chunk_size=size))
        self.assert_proved(files)
        self.assertEqual("Bucher-web.mf", list(files)[-1])
        for name, data in (("disk1", FIRST), ("disk2", SECOND)):
            pieces = [piece for each, piece in files.items() if name in each]
            self.assert_same_bytes(data, b"".join(pieces))
            self.assertEqual({size}, {len(piece) for piece in pieces[:-1]} | {size})
            self.assertTrue(0 < len(pieces[-1]) <= size)
        self.assertIn("Bucher-web-disk2.vmdk.000000000", files)
        described = read_descriptor(files["Bucher-web.ovf"], STRICT)
        self.assertEqual({size}, {file.chunk_size for file in described.files.values()})
        self.assertEqual(len(FIRST), described.files["disk1"].size)

    def test_too_many_pieces(self) -> None:
        with self.assertRaisesRegex(UsageError, "becomes more than 900 pieces, expected pieces of more than 512 bytes"):
            write_ovf(self.scratch / "out", new(), OvfOptions(chunk_size=512))
        self.assertEqual([], os.listdir(self.scratch))

    @ddt.data({}, {"jobs": 3}, {"chunk_size": 10_000})
    def test_deflated(self, options: dict[str, Any]) -> None:
        files = self.members(self.archive(compress=True, **options))
        self.assert_proved(files)
        for name, data in (("disk1", FIRST), ("disk2", SECOND), ("image1", b"CD001")):
            packed = b"".join(piece for each, piece in files.items() if name in each)
            self.assert_same_bytes(data, gzip.decompress(packed))
        self.assertLess(len(b"".join(piece for each, piece in files.items() if "disk1" in each)), len(FIRST))
        described = read_descriptor(files["Bucher-web.ovf"], STRICT)
        self.assertEqual({"gzip"}, {file.compression for file in described.files.values()})
        self.assertEqual("Bucher-web-disk1.vmdk.gz", described.files["disk1"].name)

    @ddt.data({}, {"jobs": 3}, {"chunk_size": MIB}, {"compress": True})
    def test_a_deflated_archive(self, options: dict[str, Any]) -> None:
        disks = {name: Content(size=MIB, write=forward(data)) for name, data in (("a", FIRST), ("b", SECOND))}
        plain = self.archive(new(disks=disks), **options).read_bytes()
        packed = self.archive(new(disks=disks), "x.ova.gz", compress_archive=True, **options).read_bytes()
        self.assert_same_bytes(plain, gzip.decompress(packed))

    def test_what_is_patched_cannot_be_in_a_deflated_archive(self) -> None:
        with self.assertRaises(io.UnsupportedOperation):
            self.archive(compress_archive=True)

    def test_a_directory(self) -> None:
        key, certificate = make_pair(self.scratch)
        target = self.scratch / "out"
        receipt = write_ovf(target, new(), OvfOptions(sign=(str(key), str(certificate))))
        files = {path.name: path.read_bytes() for path in target.iterdir()}
        names = [each.name for each in receipt.files]
        self.assertEqual({*names, "Bucher-web.mf", "Bucher-web.cert"}, set(files))
        self.assert_proved({name: files[name] for name in (*names, "Bucher-web.mf")})
        package = open_ovf(target / receipt.descriptor, STRICT)
        self.addCleanup(package.close)
        proof, findings = package.prove(Silent())
        self.assertEqual(("verified", ("sha256",), "standard", "CN=xenimage test"),
                         (proof.manifest, proof.algorithms, proof.signature, proof.signer))  # fmt: skip
        # The disks are no disks here; and nobody vouches for the certificate.
        self.assertEqual({"ovf.certificate.trust", "ovf.disk.content"}, {each.code for each in findings})

    def test_both_have_the_same_files(self) -> None:
        target = self.scratch / "out"
        write_ovf(target, new(), OvfOptions())
        files = {path.name: path.read_bytes() for path in target.iterdir()}
        packed = self.members(self.archive())
        self.assertEqual(files["Bucher-web.ovf"].strip(), packed["Bucher-web.ovf"].strip())
        for name in files.keys() - {"Bucher-web.ovf", "Bucher-web.mf"}:
            self.assert_same_bytes(files[name], packed[name])

    def test_signed_archives(self) -> None:
        key, certificate = make_pair(self.scratch)
        files = self.members(self.archive(sign=(str(key), str(certificate)), digest="sha512"))
        self.assertEqual(["Bucher-web.ovf", "Bucher-web.mf", "Bucher-web.cert"], list(files)[:3])
        self.assertIn(certificate.read_bytes().strip(), files["Bucher-web.cert"])
        files = self.members(self.archive(name="y.ova", sign=(str(key), str(certificate)), chunk_size=MIB))
        self.assertEqual(["Bucher-web.mf", "Bucher-web.cert"], list(files)[-2:])

    def test_without_content(self) -> None:
        package = new(disks={"b": new().disks["b"]}, images={})
        files = self.members(self.archive(package, name="y.ova"))
        self.assertEqual({"Bucher-web.ovf", "Bucher-web.mf", "Bucher-web-disk1.vmdk"}, set(files))
        (machine,) = read_descriptor(files["Bucher-web.ovf"], STRICT).machines
        self.assertEqual([("", 8 * MIB, None), ("disk1", 9 * MIB, 4096)],
                         [(disk.file, disk.capacity, disk.populated) for disk in machine.disks])  # fmt: skip
        self.assertEqual(("",), machine.cdroms)

    def test_text_that_is_lost_is_told(self) -> None:
        self.archive(new(machines=[dataclasses.replace(MACHINE, annotation="a\1b")]))
        self.assertEqual(["ovf.text"], [each.code for each in self.receipt.findings])

    def test_a_member_beyond_the_standard_is_told(self) -> None:
        with mock.patch.object(writer, "USTAR_MOST", len(FIRST) - 1):
            self.archive()
        self.assertEqual(["ovf.file.large"], [each.code for each in self.receipt.findings])
        self.assertIn("Bucher-web-disk1.vmdk", self.receipt.findings[0].what)


@ddt.ddt
class RefusalTestCase(TestCase):
    def failing(self, sink: PatchSink, _name: str) -> int:
        sink.write([b"half"])
        raise TransferError("the source failed")

    def test_nothing_stays_of_a_failure(self) -> None:
        package = new(disks={"a": new().disks["a"], "b": Content(size=MIB, write=self.failing)})
        with self.assertRaisesRegex(TransferError, "the source failed"):
            write_ovf(self.scratch / "out", package, OvfOptions(chunk_size=MIB))
        self.assertEqual([], os.listdir(self.scratch))
        (self.scratch / "there").mkdir()
        with self.assertRaisesRegex(TransferError, "the source failed"):
            write_ovf(self.scratch / "there", package, OvfOptions())
        self.assertEqual([], os.listdir(self.scratch / "there"))

    def test_a_file_that_comes_meanwhile(self) -> None:
        target = self.scratch / "out"

        def write(sink: PatchSink, _name: str) -> int:
            (target / "Bucher-web.ovf").write_bytes(b"theirs")
            sink.write([b"x"])
            return 1

        package = new(disks={"a": Content(size=MIB, write=write)}, images={})
        with self.assertRaisesRegex(UsageError, "exists already"):
            write_ovf(target, package, OvfOptions())
        self.assertEqual(["Bucher-web.ovf"], os.listdir(target))
        self.assertEqual(b"theirs", (target / "Bucher-web.ovf").read_bytes())

    @ddt.data("Bucher-web.ovf", "Bucher-web.mf", "Bucher-web-disk2.vmdk")
    def test_files_that_are_there(self, name: str) -> None:
        target = self.scratch / "out"
        target.mkdir()
        (target / name).write_bytes(b"theirs")
        with self.assertRaisesRegex(UsageError, f"{name}: exists already"):
            write_ovf(target, new(disks={each: Content(size=MIB, write=self.failing) for each in "ab"}), OvfOptions())
        write_ovf(target, new(), OvfOptions(), force=True)
        self.assertNotEqual(b"theirs", (target / name).read_bytes())
        self.assertEqual(5, len(os.listdir(target)))

    def test_what_cannot_be_described_is_found_before_anything_is_written(self) -> None:
        nothing = dataclasses.replace(MACHINE, disks=(MachineDisk(identifier="c"),))
        with self.assertRaisesRegex(UsageError, "the disk 'c' has no size"):
            write_ovf(self.scratch / "out", new(machines=[nothing]), OvfOptions())
        with self.assertRaisesRegex(UsageError, "no machine"):
            write_ovf(self.scratch / "out", new(machines=[]), OvfOptions())
        self.assertEqual([], os.listdir(self.scratch))

    @ddt.data(
        ({"disk_format": "qcow2"}, "disks of the format 'qcow2', expected vhd or vmdk"),
        ({"digest": "md5"}, "the digest 'md5', expected sha256 or sha1 or sha512"),
        ({"chunk_size": 0}, "pieces of 0 bytes, expected one byte at least"),
    )
    def test_options(self, case: tuple[dict[str, Any], str]) -> None:
        with self.assertRaisesRegex(UsageError, case[1]):
            OvfOptions(**case[0])

    def test_keys(self) -> None:
        key, certificate = make_pair(self.scratch)
        (self.scratch / "other").mkdir()
        other, _ = make_pair(self.scratch / "other")
        locked = self.scratch / "locked.pem"
        self.run_tool("openssl", "pkey", "-in", key, "-aes128", "-passout", "pass:secret", "-out", locked)
        curve = self.scratch / "curve.pem"
        self.run_tool("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", curve)
        cases: tuple[tuple[tuple[pathlib.Path, pathlib.Path], type[XenimageError], str], ...] = (
            ((locked, certificate), UsageError, "the key has a password, expected one without"),
            ((curve, certificate), UnsupportedError, "the key is no RSA key, expected RSA"),
            ((other, certificate), UsageError, "belongs to another key"),
            ((certificate, certificate), UsageError, "is no private key, expected one in PEM"),
            ((key, key), UsageError, "is no certificate, expected one in PEM"),
            ((self.scratch / "none", certificate), UsageError, "cannot be read: no such file or directory"),
        )
        for pair, error, message in cases:
            with self.subTest(message), self.assertRaisesRegex(error, message):
                write_ovf(self.scratch / "out", new(), OvfOptions(sign=(str(pair[0]), str(pair[1]))))
        self.assertFalse((self.scratch / "out").exists())

    @ddt.data(
        ("web", "web"), ("a b/c", "a-b-c"), ("../../etc", "etc"), ("", "package"), ("日本", "package"),
        ("Zürich 1.0", "Zurich-1.0"), (".hidden", "hidden"), ("x" * 99, "x" * 60), ("a\0\n", "a"),
    )  # fmt: skip
    def test_names(self, case: tuple[str, str]) -> None:
        self.assertEqual(case[1], base_name(case[0]))

    def test_the_names_fit_a_tar_header(self) -> None:
        longest = f"{base_name('x' * 99)}-image99999.iso.gz.{0:0{newfile.DIGITS}}"
        self.assertLess(len(longest), 100)
