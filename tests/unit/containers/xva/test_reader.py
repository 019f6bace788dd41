"""Sound XVAs of every shape, and what they describe."""

from __future__ import annotations

import random
from typing import Any

import ddt

from tests.base import TestCase
from tests.builders import xva as build
from tests.builders.pattern import pattern
from tests.builders.vhd import MemorySource
from tests.faults.test_xva import piped
from xenimage.containers.xva.reader import XvaPackage, is_xva, open_xva
from xenimage.exceptions import FormatError, UnsupportedError
from xenimage.limits import STRICT
from xenimage.model.extent import Extent, Kind
from xenimage.model.machine import Machine, MachineDisk, Network, Nic, PackageFile
from xenimage.model.transfer import Silent
from xenimage.units import MIB

DISK = pattern(0, MIB) + bytes(2 * MIB) + pattern(3 * MIB, 2 * MIB) + bytes(3 * MIB) + pattern(8 * MIB, MIB + 1536)
SECOND = bytes(3 * MIB)

SHAPES: tuple[dict[str, Any], ...] = (
    {},
    {"sum": "sha1"},
    {"sum": "both"},
    {"keepalives": (0, 3, 8, 9), "sum": "sha1"},
    {"keepalives": (3, 4, 5)},
    {"pad_last": True, "ids": 3},
    {"no_sparse": True},
    {"tar": "ustar"},
    {"tar": "pax", "keepalives": (4,)},
    {"tar": "gnu"},
)


def opened(data: bytes) -> XvaPackage:
    return open_xva(MemorySource(data, "vm.xva"), STRICT)


def padded(shape: dict[str, Any], disk: bytes) -> bytes:
    return disk + bytes(-len(disk) % MIB) if shape.get("pad_last") else disk


@ddt.ddt
class ShapeTest(TestCase):
    @ddt.data(*((shape, compress) for shape in SHAPES for compress in ("", "gzip", "zstd")))
    @ddt.unpack
    def test_both_disks_by_an_index(self, shape: dict[str, Any], compress: str) -> None:
        package = opened(build.make(DISK, SECOND, compress=compress, **shape))
        self.assertEqual(compress, package.package.compression)
        contents = [padded(shape, each) for each in (DISK, SECOND)]
        for described, content in zip(package.package.machines[0].disks, contents, strict=True):
            disk = package.disk(described)
            self.assertIsNone(disk.unreadable())
            self.assertEqual(
                (len(content), "xva", bool(compress), bool(compress)),
                (disk.facts.virtual_size, disk.facts.format, disk.facts.sequential, disk.facts.compressed),
            )
            found = bytearray(len(content))
            disk.read_into(0, memoryview(found))
            self.assert_same_bytes(content, bytes(found))
            if not compress:
                self.assert_any_place(disk, content)
        proof, findings = package.prove(Silent())
        self.assertEqual(("verified", ()), (proof.manifest, findings))
        sums = {"sha1": ("sha1",), "both": ("sha1", "xxh64")}.get(shape.get("sum", ""), ("xxh64",))
        self.assertEqual(sums, proof.algorithms)

    def assert_any_place(self, disk: Any, content: bytes) -> None:
        places = random.Random(3)
        for _ in range(30):
            at = places.randrange(len(content))
            length = min(len(content) - at, places.choice([1, 512, MIB, 3 * MIB]))
            buffer = bytearray(b"x" * length)
            disk.read_into(at, memoryview(buffer))
            self.assert_same_bytes(content[at : at + length], bytes(buffer))
            covered = at
            for extent in disk.extents(at, length):
                self.assertEqual(covered, extent.offset)
                covered = extent.end
                if extent.kind is Kind.ZERO:
                    self.assertFalse(any(content[extent.offset : extent.end]))
            self.assertEqual(at + length, covered)

    @ddt.data(*((shape, compress) for shape in SHAPES for compress in ("", "gzip", "zstd")))
    @ddt.unpack
    def test_each_disk_as_it_passes(self, shape: dict[str, Any], compress: str) -> None:
        data = build.make(DISK, SECOND, compress=compress, **shape)
        for number, content in enumerate(padded(shape, each) for each in (DISK, SECOND)):
            package = open_xva(piped(self, data), STRICT)
            disk = package.forward(package.package.machines[0].disks[number])
            found = bytearray(b"x" * len(content))
            for at in range(0, len(content), 2 * MIB):
                disk.read_into(at, memoryview(found)[at : at + 2 * MIB])
            disk.finish()
            self.assert_same_bytes(content, bytes(found))
            self.assertEqual([Extent(0, len(content), Kind.DATA)], list(disk.extents(0, len(content))))

    def test_stored_chunks_are_the_data(self) -> None:
        package = opened(build.make(DISK))
        disk = package.disk(package.package.machines[0].disks[0])
        stored = [
            (extent.offset // MIB, extent.length) for extent in disk.extents(0, len(DISK)) if extent.kind is Kind.DATA
        ]
        self.assertEqual([(0, MIB), (3, 2 * MIB), (8, MIB + 1536)], stored)
        self.assertEqual(4 * MIB + 1536, disk.facts.stored_size)

    def test_a_passing_disk_knows_its_blocks_as_they_come(self) -> None:
        package = opened(build.make(SECOND, DISK, compress="zstd"))
        disk = package.forward(package.package.machines[0].disks[1])
        found = bytearray(len(DISK))
        numbers = []
        for number in disk.blocks(2 * MIB):
            numbers.append(number)
            part = memoryview(found)[number * 2 * MIB : (number + 1) * 2 * MIB]
            disk.read_into(number * 2 * MIB, part)
        disk.finish()
        self.assertEqual([0, 1, 2, 4], numbers)
        self.assert_same_bytes(DISK, bytes(found))

    def test_what_has_passed_is_gone(self) -> None:
        package = opened(build.make(pattern(0, 40 * MIB), compress="zstd"))
        disk = package.forward(package.package.machines[0].disks[0])
        disk.read_into(39 * MIB, memoryview(bytearray(MIB)))
        disk.read_into(30 * MIB, memoryview(bytearray(MIB)))
        with self.assertRaisesRegex(UnsupportedError, "^the bytes at 0x100000 of Ref:6 have passed, expected a plain"):
            disk.read_into(MIB, memoryview(bytearray(MIB)))

    @ddt.data("gzip", "zstd")
    def test_small_reads_of_a_packed_file_are_one_pass(self, compress: str) -> None:
        package = opened(build.make(DISK, compress=compress))
        disk = package.disk(package.package.machines[0].disks[0])
        found = bytearray(len(DISK))
        for at in range(0, len(DISK), 48 * 1024):
            disk.read_into(at, memoryview(found)[at : at + 48 * 1024])
        self.assert_same_bytes(DISK, bytes(found))
        self.assertLessEqual(package._content.bytes.passes, 2)  # type: ignore[attr-defined]

    def test_metadata_alone(self) -> None:
        for compress in ("", "gzip", "zstd"):
            archive = build.Xva(disks=[DISK])
            archive.put("ova.xml", archive.xml())
            package = opened(build.packed(bytes(archive.out) + bytes(1024), compress))
            (disk,) = package.package.machines[0].disks
            self.assertEqual((len(DISK), ""), (disk.capacity, disk.file))
            self.assertEqual(((), ""), (package.package.files, package.package.proof.manifest))
            self.assertEqual((package.package.proof, ()), package.prove(Silent()))
            for way in (package.disk, package.forward):
                with self.assertRaisesRegex(
                    UnsupportedError, "^vm.xva: the disk Ref:6 comes without content, expected an"
                ):
                    way(disk)

    def test_a_disk_without_chunks(self) -> None:
        archive = build.Xva(disks=[SECOND, DISK])
        archive.put("ova.xml", archive.xml())
        archive._put_disk("Ref:6", SECOND)
        package = opened(bytes(archive.out) + bytes(1024))
        message = "^vm.xva: has no chunk of Ref:8, expected the first chunk and the last, which are always there$"
        with self.assertRaisesRegex(FormatError, message):
            package.disk(package.package.machines[0].disks[1])
        with self.assertRaisesRegex(FormatError, message):
            disk = package.forward(package.package.machines[0].disks[1])
            disk.read_into(0, memoryview(bytearray(512)))
            disk.finish()
        self.assertEqual(["xva.archive"], [each.code for each in package.prove(Silent())[1]])

    def test_the_order_of_disks(self) -> None:
        archive = build.Xva(disks=[SECOND] * 3)
        self.assertEqual("Ref:10", archive.references()[2])
        archive.put("ova.xml", archive.xml())
        for reference in archive.references():
            archive._put_disk(reference, SECOND)
        package = opened(bytes(archive.out) + bytes(1024))
        _, findings = package.prove(Silent())
        self.assertEqual(["xva.disk.order"], [each.code for each in findings])
        self.assertIn("The chunks of Ref:8 stand in front of those of Ref:10", findings[0].what)
        self.assertEqual((), opened(build.make(SECOND, SECOND, SECOND)).prove(Silent())[1])

    def test_directories_and_empty_entries(self) -> None:
        """As GNU tar and xva-img put them in."""
        archive = build.Xva(disks=[SECOND])
        archive.put("ova.xml", archive.xml())
        archive.put("Ref:6/", b"", b"5")
        archive.put("Ref:6", b"")
        archive._put_disk("Ref:6", SECOND)
        package = opened(bytes(archive.out) + bytes(10240))
        self.assertEqual(("verified", ()), (package.prove(Silent())[0].manifest, package.prove(Silent())[1]))

    def test_export_of_version_1(self) -> None:
        archive = build.Xva(disks=[SECOND], export="1", sum="sha1")
        archive.put("ova.xml", archive.xml())
        archive._put_disk("Ref:6", SECOND)
        archive.put("checksum.xml", b"<value/>")
        package = opened(bytes(archive.out) + bytes(1024))
        self.assertEqual("export 1", package.package.version)
        self.assertEqual("verified", package.prove(Silent())[0].manifest)

    def test_what_an_xva_begins_with(self) -> None:
        for compress in ("", "gzip", "zstd"):
            self.assertTrue(is_xva(MemorySource(build.make(SECOND, compress=compress), "x"), STRICT))
        # Its parts in another order are an XVA still, which the reader refuses: no disk with odd bytes in front.
        self.assertTrue(is_xva(MemorySource(build.make(SECOND, fault="ovalast"), "x"), STRICT))
        for data in (b"", b"ova.xml", bytes(1024), build.packed(b"x", "gzip")):
            self.assertFalse(is_xva(MemorySource(data, "x"), STRICT))

    def test_parts(self) -> None:
        package = opened(build.make(SECOND[: MIB + 512]))
        expected = ["ova.xml", *(f"Ref:6/0000000{n}{end}" for n in (0, 1) for end in ("", ".xxhash"))]
        self.assertEqual(expected, list(package.parts()))


class MachineTest(TestCase):
    maxDiff = None

    def test_all_that_is_said(self) -> None:
        package = opened(build.make(SECOND, DISK)).package
        self.assertEqual(
            ("xva", "export 2", "XCP-ng 8.2.1", "Tëst <VM> & co", ""),
            (package.kind, package.version, package.producer, package.name, package.compression),
        )
        self.assertEqual((Network(name="Pool-wide network", description="eth0"),), package.networks)
        self.assertEqual(tuple(PackageFile(identifier=each, name=each) for each in ("Ref:6", "Ref:8")), package.files)
        common: dict[str, Any] = {"bus": "xen"}
        self.assertEqual(
            (
                Machine(
                    identifier=build.uuid(1),
                    name="Tëst <VM> & co",
                    description="made for a test",
                    uuid=build.uuid(1),
                    cpus=2,
                    cpus_max=4,
                    cores_per_socket=2,
                    memory=512 * MIB,
                    firmware="bios",
                    secure_boot=False,
                    vm_mode="hvm",
                    os_name="Other install media",
                    disks=(
                        MachineDisk(
                            identifier="Ref:6",
                            label="disk 0",
                            capacity=len(SECOND),
                            populated=len(SECOND),
                            file="Ref:6",
                            bootable=True,
                            **common,
                        ),
                        MachineDisk(
                            identifier="Ref:8",
                            label="disk 1",
                            capacity=len(DISK),
                            populated=len(DISK),
                            file="Ref:8",
                            address=(0, 1),
                            **common,
                        ),
                    ),
                    nics=(Nic(network="Pool-wide network", label="0", mac="02:16:3e:00:00:01", mtu=1500),),
                    virtual_system_types=("hvm-3.0-unknown",),
                    settings={
                        "HVM_boot_policy": "BIOS order",
                        "HVM_boot_params": "order=cd",
                        "platform": "nx=true;acpi=1;viridian=true;device_id=0002;secureboot=false;cores-per-socket=2",
                    },
                ),
            ),
            package.machines,
        )
        self.assertEqual((), package.findings)

    def machine(self, **options: Any) -> Machine:
        (machine,) = opened(build.make(SECOND, DISK, **options)).package.machines
        return machine

    def test_firmware_and_mode(self) -> None:
        machines = [self.machine(boot=boot) for boot in ("hvm", "uefi", "pv")]
        found = [(each.firmware, each.vm_mode) for each in machines]
        self.assertEqual([("bios", "hvm"), ("uefi", "hvm"), ("", "xen")], found)
        settings = self.machine(boot="pv").settings
        self.assertEqual(
            ("", "pygrub", "console=hvc0 root=/dev/xvda1"),
            (settings["HVM_boot_policy"], settings["PV_bootloader"], settings["PV_args"]),
        )

    def test_domain_types(self) -> None:
        for kind, policy, expected in (
            ("pv", "BIOS order", "xen"), ("pvh", "", "xen"), ("pv_in_pvh", "", "xen"), ("hvm", "", "hvm"),
            ("", "", "xen"), ("unspecified", "BIOS order", "hvm"),
        ):  # fmt: skip

            def edit(objects: list[dict[str, Any]], kind: str = kind, policy: str = policy) -> None:
                objects[0]["snapshot"].update(domain_type=kind, HVM_boot_policy=policy)

            self.assertEqual(expected, self.machine(edit=edit).vm_mode, (kind, policy))

    def test_secure_boot_and_tpm(self) -> None:
        for text, expected in (("true", True), ("auto", None), ("false", False)):

            def edit(objects: list[dict[str, Any]], text: str = text) -> None:
                objects[0]["snapshot"]["platform"]["secureboot"] = text
                objects[0]["snapshot"]["VTPMs"] = ["Ref:90"]

            machine = self.machine(edit=edit)
            self.assertEqual((expected, True), (machine.secure_boot, machine.tpm))

    def test_drives_and_devices(self) -> None:
        def edit(objects: list[dict[str, Any]]) -> None:
            objects[2]["snapshot"]["type"] = "suspend"
            objects[1]["snapshot"]["bootable"] = False
            objects += [
                build.record("SR", "Ref:50", {"content_type": "iso"}),
                build.record("VDI", "Ref:51", build.vdi_fields("tools.iso", "Ref:50", 0)),
                build.record("VBD", "Ref:52", build.vbd_fields("Ref:1", build.NULL, "3", kind="CD")),
                build.record("VBD", "Ref:53", build.vbd_fields("Ref:1", "Ref:51", "4", kind="CD")),
                build.record("VBD", "Ref:54", build.vbd_fields("Ref:1", build.NULL, "5", kind="Floppy")),
                build.record("VBD", "Ref:55", build.vbd_fields("Ref:1", build.NULL, "6")),
            ]
            objects[0]["snapshot"]["VGPUs"] = ["Ref:60"]

        machine = self.machine(edit=edit)
        self.assertEqual(["Ref:8"], [disk.identifier for disk in machine.disks])
        self.assertEqual(("", ""), machine.cdroms)
        self.assertEqual(
            ("suspend volume", "image 'tools.iso' in a CD drive", "floppy drive", "virtual GPU"), machine.ignored
        )

    def test_order_of_disks(self) -> None:
        def edit(objects: list[dict[str, Any]]) -> None:
            objects[1]["snapshot"].update(userdevice="xvdc", bootable=False, mode="RO")
            objects[3]["snapshot"].update(userdevice="7", bootable=True)

        disks = self.machine(edit=edit).disks
        self.assertEqual(
            [("Ref:8", (0, 7), True, False), ("Ref:6", (0, 2), False, True)],
            [(disk.identifier, disk.address, disk.bootable, disk.read_only) for disk in disks],
        )

    def test_several_machines_snapshots_and_templates(self) -> None:
        def edit(objects: list[dict[str, Any]]) -> None:
            other = build.vm_fields("other", "uefi", 2) | {"is_a_template": True}
            snapshot = build.vm_fields("before", "hvm", 3)
            snapshot |= {"is_a_template": True, "is_a_snapshot": True, "snapshot_of": "Ref:1"}
            domain_0 = build.vm_fields("Control domain", "pv", 4) | {"is_control_domain": True}
            objects[3]["snapshot"]["VM"] = "Ref:70"
            objects += [
                build.record("VM", "Ref:70", other),
                build.record("VM", "Ref:71", snapshot),
                build.record("VM", "Ref:72", domain_0),
            ]

        package = opened(build.make(SECOND, DISK, edit=edit))
        described = package.package
        self.assertEqual(["Tëst <VM> & co", "other"], [machine.name for machine in described.machines])
        self.assertEqual(
            [["Ref:6"], ["Ref:8"]], [[disk.identifier for disk in each.disks] for each in described.machines]
        )
        self.assertEqual(["xva.snapshots", "xva.template"], [each.code for each in described.findings])
        self.assertIn(
            "holds one snapshot of 'Tëst <VM> & co' beside the machine itself: before.", described.findings[0].what
        )
        disk = package.disk(described.machines[1].disks[0])
        buffer = bytearray(MIB)
        disk.read_into(0, memoryview(buffer))
        self.assert_same_bytes(DISK[:MIB], bytes(buffer))

    def test_what_others_do_not_take(self) -> None:
        def edit(objects: list[dict[str, Any]]) -> None:
            objects[4]["snapshot"]["virtual_size"] = str(2041 << 30)

        findings = opened(build.make(bytes(512), DISK, edit=edit)).package.findings
        self.assertEqual(["xva.disk.first", "xva.disk.large"], [each.code for each in findings])
        self.assertIn("Ref:6, has 512 bytes", findings[0].what)
