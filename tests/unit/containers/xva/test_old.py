"""XVAs of version 0.1: directories with gzipped pieces."""

from __future__ import annotations

import gzip
import unittest.mock

import ddt

from tests.base import TestCase
from tests.builders.pattern import pattern
from tests.builders.vhd import MemorySource
from xenimage.containers.xva import old
from xenimage.containers.xva.old import OldPackage, directory_opener, open_old_xva
from xenimage.exceptions import FormatError, LimitError, UnsafeError, UnsupportedError, UsageError, XenimageError
from xenimage.limits import STRICT
from xenimage.model.transfer import Silent

PIECE = 10_000
DISK = pattern(0, 25_088)
XML = """<?xml version="1.0"?>
<appliance version="0.1">
  <vm name="vm"><label>My vm</label><shortdesc>old</shortdesc><config mem_set="268435456" vcpus="2"/>
    <hacks is_hvm="false" kernel_boot_cmdline="root=/dev/sda1 ro"/>
    <vbd device="sda" function="root" mode="w" vdi="vdi_sda"/><vbd device="sdb" mode="r" vdi="vdi_sdb"/></vm>
  <vdi name="vdi_sda" size="25088" source="file://sda" type="dir-gzipped-chunks" variety="system"/>
  <vdi name="vdi_sdb" size="512" source="file://sdb" type="dir-gzipped-chunks"/>
</appliance>"""


def pieces(disk: bytes, directory: str) -> dict[str, bytes]:
    starts = range(0, len(disk), PIECE)
    return {
        f"{directory}/chunk-{number:09d}.gz": gzip.compress(disk[start : start + PIECE])
        for number, start in enumerate(starts)
    }


@ddt.ddt
class OldTest(TestCase):
    def setUp(self) -> None:
        super().setUp()
        patcher = unittest.mock.patch.object(old, "PIECE", PIECE)
        patcher.start()
        self.addCleanup(patcher.stop)
        self.files = {"ova.xml": XML.encode(), **pieces(DISK, "sda"), **pieces(bytes(512), "sdb")}
        self.opened: list[MemorySource] = []

    def open_file(self, name: str) -> MemorySource:
        if name not in self.files:
            raise UsageError("cannot be opened: No such file or directory", where=name)
        return MemorySource(self.files[name], name)

    def package(self) -> OldPackage:
        return open_old_xva("old", self.open_file, STRICT)

    def read(self, step: int = 700) -> bytes:
        package = self.package()
        disk = package.disk(package.package.machines[0].disks[0])
        found = bytearray(len(DISK))
        for at in range(0, len(DISK), step):
            disk.read_into(at, memoryview(found)[at : at + step])
        disk.close()
        return bytes(found)

    def test_machine(self) -> None:
        package = self.package().package
        (machine,) = package.machines
        self.assertEqual(("xva", "0.1", "My vm"), (package.kind, package.version, package.name))
        self.assertEqual(
            ("vm", "old", 2, 1 << 28, "xen", {"PV_args": "root=/dev/sda1 ro"}),
            (machine.identifier, machine.description, machine.cpus, machine.memory, machine.vm_mode, machine.settings),
        )
        self.assertEqual(
            [("vdi_sda", "sda", 25088, True, False), ("vdi_sdb", "sdb", 512, False, True)],
            [(each.identifier, each.label, each.capacity, each.bootable, each.read_only) for each in machine.disks],
        )

    @ddt.data(1, 512, 700, 10_000, 25_088)
    def test_content(self, step: int) -> None:
        self.assert_same_bytes(DISK, self.read(step * 7 if step == 1 else step))

    def test_to_and_fro(self) -> None:
        package = self.package()
        disk = package.disk(package.package.machines[0].disks[0])
        for at in (24_000, 100, 15_000, 9_999, 0):
            buffer = bytearray(1000)
            disk.read_into(at, memoryview(buffer))
            self.assert_same_bytes(DISK[at : at + 1000], bytes(buffer))

    def test_a_real_directory(self) -> None:
        for name, data in self.files.items():
            path = self.scratch / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
        package = open_old_xva(str(self.scratch), directory_opener(str(self.scratch)), STRICT)
        first, second = package.package.machines[0].disks
        disk = package.disk(first)
        found = bytearray(len(DISK))
        disk.read_into(0, memoryview(found))
        disk.close()
        self.assert_same_bytes(DISK, bytes(found))
        (self.scratch / "sdb").rename(self.scratch / "other")
        (self.scratch / "sdb").symlink_to("other")
        with self.assertRaisesRegex(UnsafeError, "^names 'sdb', a symbolic link"):
            package.disk(second).read_into(0, memoryview(bytearray(512)))
        (self.scratch / "sdb").unlink()
        with self.assertRaisesRegex(FormatError, "the piece 0 of vdi_sdb is missing"):
            package.disk(second).read_into(0, memoryview(bytearray(512)))

    def test_parts_and_proof(self) -> None:
        package = self.package()
        self.assertEqual(sorted(self.files), sorted(package.parts()))
        self.assertEqual((), package.prove(Silent())[1])
        with self.assertRaisesRegex(UnsupportedError, "^old: vdi_sda is no file"):
            package.file("vdi_sda")
        package.close()

    def test_a_missing_piece(self) -> None:
        del self.files["sda/chunk-000000001.gz"]
        with self.assertRaisesRegex(FormatError, r"^sda/chunk-000000001\.gz: the piece 1 of vdi_sda is missing \(ca"):
            self.read()

    @ddt.data(
        ("short", DISK[:99], "has 99 bytes, expected 10000"), ("long", DISK, "has more than 10000 bytes, expected")
    )
    @ddt.unpack
    def test_a_piece_of_another_length(self, _name: str, data: bytes, text: str) -> None:
        self.files["sda/chunk-000000000.gz"] = gzip.compress(data)
        with self.assertRaisesRegex(FormatError, rf"^sda/chunk-000000000\.gz: {text}"):
            self.read(PIECE)

    def test_a_damaged_piece(self) -> None:
        name = "sda/chunk-000000002.gz"
        self.files[name] = self.files[name][:-8] + bytes(8)
        with self.assertRaisesRegex(FormatError, rf"^{name}: the content has the CRC"):
            self.read()

    @ddt.data(
        (
            '"file://sda"',
            '"file://../sda"',
            UnsafeError,
            "a vdi has the source 'file://../sda', expected a directory",
        ),
        ('"file://sda"', '"file:///etc"', UnsafeError, "a vdi has the source 'file:///etc', expected a directory of"),
        ('"file://sda"', '"file://.."', UnsafeError, "a vdi has the source 'file://..', expected a directory of"),
        ('"file://sda"', '"http://x/sda"', UnsafeError, "a vdi has the source 'http://x/sda', expected a directory"),
        ('"25088"', '"25000"', FormatError, "the vdi 'vdi_sda' has the size '25000', expected whole sectors"),
        ('"25088"', '""', FormatError, "the vdi 'vdi_sda' has the size '', expected whole sectors"),
        (
            '"25088"',
            '"99999999999999488"',
            LimitError,
            "the size of the vdi 'vdi_sda' is 99999999999999488, exp",
        ),
        ('vdi="vdi_sda"', 'vdi="x"', FormatError, "a vbd refers to the vdi 'x', which is not there, expected"),
        ('type="dir-gzipped-chunks" v', 'type="file" v', UnsupportedError, "the vdi 'vdi_sda' is of the type 'file'"),
        ('vdi name="vdi_sda"', "vdi", FormatError, "a vdi has no name, expected one to refer to it"),
        ('version="0.1"', 'version="0.2"', UnsupportedError, "has the version '0.2', expected appliance 0.1"),
        ("appliance", "other", FormatError, "has the element 'other', expected appliance"),
    )
    @ddt.unpack
    def test_descriptions(self, old_text: str, new: str, kind: type[XenimageError], text: str) -> None:
        self.files["ova.xml"] = XML.replace(old_text, new).encode()
        with self.assertRaisesRegex(kind, f"^old: (ova.xml: )?{text}"):
            self.package()
