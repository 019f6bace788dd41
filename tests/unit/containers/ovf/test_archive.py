"""Packages in one file: plain and packed, in every order that writers leave their members in."""

from __future__ import annotations

import dataclasses
import gzip
import pathlib
import random
import tarfile
from typing import TYPE_CHECKING

import ddt

from tests.base import TestCase
from tests.builders import ova as build
from tests.builders import ovf
from tests.builders.bundle import Entry, tar
from tests.builders.ova import CERTIFICATE, DATA, DESCRIPTOR, DISK, MANIFEST
from tests.builders.pattern import pattern
from tests.builders.vhd import MemorySource
from xenimage.containers.ovf.archive import is_ova, open_ova
from xenimage.exceptions import FormatError, UsageError
from xenimage.limits import STRICT
from xenimage.model.transfer import Silent
from xenimage.units import MIB

if TYPE_CHECKING:
    from xenimage.containers.ovf.package import OvfPackage

GOLDEN = pathlib.Path(__file__).resolve().parents[3] / "golden"


def opened(data: bytes) -> OvfPackage:
    return open_ova(MemorySource(data, "web.ova"), STRICT)


def content(package: OvfPackage, index: int = 0) -> bytes:
    disk = package.disk(package.package.machines[0].disks[index])
    buffer = bytearray(disk.facts.virtual_size)
    disk.read_into(0, memoryview(buffer))
    disk.close()
    return bytes(buffer)


def codes(package: OvfPackage) -> list[str]:
    return [each.code.removeprefix("ovf.") for each in package.package.findings]


def renamed(entry: Entry, name: str) -> Entry:
    return dataclasses.replace(entry, name=name)


@ddt.ddt
class PackingTest(TestCase):
    @ddt.data(*build.PACKINGS)
    def test_whole(self, compression: str) -> None:
        package = opened(build.ova(compression=compression))
        self.assertEqual(
            ("web.ova", "ova", compression, "web", ()),
            (
                package.package.path,
                package.package.kind,
                package.package.compression,
                package.package.name,
                package.package.findings,
            ),
        )
        self.assertEqual("not verified", package.package.proof.manifest)
        self.assertEqual(["web.ovf", "web.mf", "disk.raw"], list(package.parts()))
        self.assert_same_bytes(DATA, content(package))
        self.assert_same_bytes(DATA, package.file("file1").read(0, len(DATA)))
        facts = package.disk(package.package.machines[0].disks[0]).facts
        self.assertEqual((bool(compression), bool(compression)), (facts.sequential, facts.compressed))
        proof, findings = package.prove(Silent())
        self.assertEqual(("verified", ("sha256",), ()), (proof.manifest, proof.algorithms, findings))

    @ddt.data(*build.PACKINGS)
    def test_any_place_of_several_disks(self, compression: str) -> None:
        disks = [pattern(7 * number, 3 * MIB + 512 * number) for number in range(6)]
        files = "".join(f'<File ovf:id="f{n}" ovf:href="{n}.raw" ovf:size="{len(d)}"/>' for n, d in enumerate(disks))
        described = "".join(
            f'<Disk ovf:diskId="d{n}" ovf:fileRef="f{n}" ovf:capacity="{len(data)}"/>' for n, data in enumerate(disks)
        )
        items = ovf.CPU + ovf.MEMORY + ovf.SCSI
        for number in range(6):
            items += ovf.item(17, f"9{number}", HostResource=f"ovf:/disk/d{number}", Parent=3, AddressOnParent=number)
        descriptor = ovf.envelope(ovf.machine(items), files=files, disks=described)
        entries = [Entry("web.ovf", descriptor), *(Entry(f"{n}.raw", data) for n, data in enumerate(disks))]
        package = opened(build.ova(*entries, compression=compression))
        opened_disks = [package.disk(disk) for disk in package.package.machines[0].disks]
        places = random.Random(5)
        for _ in range(20):
            number = places.randrange(6)
            at = places.randrange(len(disks[number]))
            length = min(len(disks[number]) - at, places.choice([1, 512, MIB]))
            buffer = bytearray(length)
            opened_disks[number].read_into(at, memoryview(buffer))
            self.assert_same_bytes(disks[number][at : at + length], bytes(buffer))

    def test_several_gzip_members(self) -> None:
        data = build.ova()
        package = opened(gzip.compress(data[:700]) + gzip.compress(b"") + gzip.compress(data[700:]))
        self.assertEqual(((), "gzip"), (package.package.findings, package.package.compression))
        self.assert_same_bytes(DATA, content(package))

    def test_a_plain_one_is_opened_by_its_headers(self) -> None:
        disk = pattern(0, 40 * MIB)
        file = ovf.FILE.replace("4096", str(len(disk)))
        source = MemorySource(build.ova(Entry("web.ovf", ovf.envelope(files=file)), Entry("disk.raw", disk)), "web.ova")
        package = open_ova(source, STRICT)
        self.assertEqual([], codes(package))
        self.assertGreater(64 * 1024, source.read_bytes)
        package.close()
        self.assertTrue(source.closed)

    @ddt.data("gzip", "xz", "zstd")
    def test_a_packed_one_is_read_through_once(self, compression: str) -> None:
        data = build.ova(
            DESCRIPTOR, MANIFEST, Entry("disk.raw", random.Random(1).randbytes(MIB)), compression=compression
        )
        source = MemorySource(data, "web.ova")
        open_ova(source, STRICT)
        self.assertGreater(len(data) + 64 * 1024 + 600_000, source.read_bytes)

    def test_a_package_of_virtualbox(self) -> None:
        names = ("ovf/ubuntu.2.0.ovf", "ovf/ubuntu.2.0.mf", "vmdk/ubuntu.2.0-disk1.vmdk")
        entries = [Entry(name.split("/")[1], (GOLDEN / name).read_bytes()) for name in names]
        for compression in build.PACKINGS:
            package = opened(build.ova(*entries, compression=compression))
            self.assertEqual("VirtualBox", package.package.producer)
            self.assertEqual([], codes(package))
            proof, findings = package.prove(Silent())
            self.assertEqual(("verified", ()), (proof.manifest, findings))


@ddt.ddt
class OrderTest(TestCase):
    @ddt.data(
        ((DESCRIPTOR, MANIFEST, DISK), []),
        ((DESCRIPTOR, DISK), []),
        ((DESCRIPTOR, DISK, MANIFEST), []),
        ((DESCRIPTOR, MANIFEST, CERTIFICATE, DISK), []),
        ((DESCRIPTOR, DISK, MANIFEST, CERTIFICATE), []),
        ((DESCRIPTOR, CERTIFICATE, MANIFEST, DISK), ["archive.order"]),
        ((DESCRIPTOR, MANIFEST, DISK, CERTIFICATE), ["archive.order"]),
        ((DISK, DESCRIPTOR), ["archive.first"]),
        ((MANIFEST, DESCRIPTOR, DISK), ["archive.first"]),
        ((DESCRIPTOR, DISK, Entry("nvram")), ["archive.unused"]),
        ((DESCRIPTOR, renamed(MANIFEST, "other.mf"), DISK), ["archive.name"]),
        ((DESCRIPTOR, renamed(MANIFEST, "WEB.MF"), DISK), []),
        ((DESCRIPTOR, renamed(MANIFEST, "a.mf"), renamed(MANIFEST, "b.mf"), DISK), ["archive.unused"] * 2),
        ((renamed(DESCRIPTOR, "Web.Ovf"), DISK), []),
        ((Entry("./", type=tarfile.DIRTYPE), renamed(DESCRIPTOR, "./web.ovf"), renamed(DISK, "./disk.raw")), []),
        ((Entry("._web.ovf"), DESCRIPTOR, Entry("._disk.raw"), DISK), ["archive.first", *["archive.unused"] * 2]),
        (
            (Entry("a/b", type=tarfile.DIRTYPE), renamed(DESCRIPTOR, "a/b/web.ovf"), renamed(DISK, "a/b/disk.raw")),
            ["archive.directory"],
        ),
        (
            (renamed(DESCRIPTOR, "a/web.ovf"), Entry("README"), renamed(DISK, "a/disk.raw")),
            ["archive.directory", "archive.unused"],
        ),
        ((renamed(DESCRIPTOR, "a/web.ovf"), DISK), ["file.missing", "archive.directory", "archive.unused"]),
    )  # fmt: skip
    @ddt.unpack
    def test_orders(self, entries: tuple[Entry, ...], expected: list[str]) -> None:
        for compression in ("", "gzip"):
            data = build.ova(*entries, compression=compression)
            self.assertTrue(is_ova(MemorySource(data, "x"), STRICT))
            package = opened(data)
            self.assertEqual(expected, codes(package))
            if "file.missing" not in expected:
                self.assert_same_bytes(DATA, content(package))

    def test_disks_in_another_order(self) -> None:
        files = ovf.FILE + ovf.FILE.replace("file1", "file2").replace("disk.raw", "other.raw")
        descriptor = Entry("web.ovf", ovf.envelope(files=files))
        package = opened(build.ova(descriptor, renamed(DISK, "other.raw"), DISK))
        self.assertEqual(["archive.order"], codes(package))
        self.assertIn("'disk.raw' stands behind 'other.raw'", package.package.findings[0].what)

    @ddt.data("WEB.MF", "other.mf")
    def test_a_manifest_of_another_name_is_held_against_the_files(self, name: str) -> None:
        for data, expected in ((DATA, "verified"), (bytes(4096), "not verified")):
            package = opened(build.ova(DESCRIPTOR, renamed(MANIFEST, name), Entry("disk.raw", data)))
            self.assertEqual(expected, package.prove(Silent())[0].manifest)

    def test_pieces(self) -> None:
        file = ovf.FILE.replace("/>", ' ovf:chunkSize="1500"/>')
        pieces = [Entry(f"disk.raw.{n:09}", DATA[1500 * n : 1500 * (n + 1)]) for n in range(3)]
        descriptor = Entry("web.ovf", ovf.envelope(files=file))
        for compression in build.PACKINGS:
            package = opened(build.ova(descriptor, *pieces, compression=compression))
            self.assertEqual([], codes(package))
            self.assert_same_bytes(DATA, content(package))

    def test_a_disk_deflated_by_itself(self) -> None:
        packed = gzip.compress(DATA)
        file = ovf.FILE.replace("4096", str(len(packed))).replace("/>", ' ovf:compression="Gzip"/>')
        for compression in build.PACKINGS:
            data = build.ova(
                Entry("web.ovf", ovf.envelope(files=file)), Entry("disk.raw", packed), compression=compression
            )
            self.assert_same_bytes(DATA, content(opened(data)))

    def test_what_is_missing_or_short(self) -> None:
        package = opened(build.ova(DESCRIPTOR))
        self.assertEqual(["file.missing"], codes(package))
        with self.assertRaisesRegex(FormatError, "^web.ova: the file 'disk.raw' is missing, expected every file"):
            content(package)
        self.assertEqual(["file.size"], codes(opened(build.ova(DESCRIPTOR, Entry("disk.raw", b"x")))))

    def test_deployment(self) -> None:
        with self.assertRaisesRegex(UsageError, "^web.ova: web.ovf: the package has no deployment option 'small'"):
            open_ova(MemorySource(build.ova(), "web.ova"), STRICT, deployment="small")


@ddt.ddt
class EndTest(TestCase):
    """What follows the members."""

    def setUp(self) -> None:
        super().setUp()
        self.bare = tar((DESCRIPTOR, DISK), ended=False)

    def whats(self, data: bytes) -> list[str]:
        return [each.what for each in opened(data).package.findings if each.code == "ovf.archive.end"]

    @ddt.data("", "gzip", "xz", "zstd")
    def test_ends(self, compression: str) -> None:
        pack = build.PACKINGS[compression]
        size = len(self.bare)
        one = f"One block of zeros ends the archive at {size:#x}, where two belong."
        more = f"Something follows the archive's end, at {size + 1024:#x}."
        for behind, expected in (
            (bytes(1024), []),
            (bytes(10240), []),
            (bytes(MIB), []),
            (bytes(512), [one]),
            (bytes(1024) + b"x", [more]),
            (bytes(1024) + self.bare + bytes(1024), [more]),
        ):
            self.assertEqual(expected, self.whats(pack(self.bare + behind)))

    @ddt.data("gzip", "xz", "zstd")
    def test_behind_the_packing(self, compression: str) -> None:
        data = build.PACKINGS[compression](self.bare + bytes(1024))
        self.assertEqual([], self.whats(data + bytes(512)))
        expected = f"Something follows the packed stream, whose content ends at {len(self.bare) + 1024:#x}."
        self.assertEqual([expected], self.whats(data + b"garbage"))


class TellingTest(TestCase):
    def test_what_is_one_and_what_is_none(self) -> None:
        filler = Entry("disk.raw", bytes(17 * MIB))
        for compression in build.PACKINGS:
            for entries, expected in (
                ((DESCRIPTOR, DISK), True),
                ((DISK, DESCRIPTOR), True),
                ((Entry("sub", type=tarfile.DIRTYPE), renamed(DESCRIPTOR, "sub/A.OVF")), True),
                ((DISK,), False),
                ((Entry("x.ovf", type=tarfile.SYMTYPE, target="/"), DISK), False),
                ((Entry("._x.ovf"), Entry("ova.xml"), DISK), False),
                # A bundle of a terabyte is not unpacked to look for a descriptor at its end.
                ((filler, DESCRIPTOR), not compression),
            ):
                data = build.ova(*entries, compression=compression)
                self.assertEqual(expected, is_ova(MemorySource(data, "x"), STRICT), (compression, entries))
        for data in (b"", b"web.ovf", bytes(10240), b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\x89LZO" + bytes(600)):
            self.assertFalse(is_ova(MemorySource(data, "x"), STRICT))
