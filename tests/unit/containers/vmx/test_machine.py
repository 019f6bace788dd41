"""The machine that a VMX describes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ddt

from tests.base import TestCase
from tests.builders import vmx as build
from xenimage.containers.vmx.package import open_vmx
from xenimage.limits import STRICT
from xenimage.model.finding import Severity
from xenimage.model.machine import MachineDisk, Network, Nic, PackageFile

if TYPE_CHECKING:
    from xenimage.model.machine import Machine, Package

DRIVES = {
    "ide0:0.present": "TRUE",
    "ide0:0.fileName": "c.vmdk",
    "scsi0:10.present": "TRUE",
    "scsi0:10.fileName": "b.vmdk",
    "scsi0:2.present": "TRUE",
    "scsi0:2.fileName": "a.vmdk",
}


class Case(TestCase):
    def package(self, keys: dict[str, str | None] | None = None, *stems: str) -> Package:
        """The package with other *keys*, and empty files for its disks: only opening them would look inside."""
        disks = dict.fromkeys(("web", *stems), b"")
        package = open_vmx(build.write(self.scratch, keys, **disks), STRICT)
        self.addCleanup(package.close)
        return package.package

    def machine(self, keys: dict[str, str | None] | None = None, *stems: str) -> Machine:
        return self.package(keys, *stems).machines[0]

    def assert_found(self, package: Package, *codes: str) -> None:
        self.assertEqual(list(codes), [finding.code for finding in package.findings])


@ddt.ddt
class MachineTestCase(Case):
    def test_all_of_a_machine(self) -> None:
        package = self.package()
        self.assertEqual(
            ("vmx", "8", "VMware", "Web server"), (package.kind, package.version, package.producer, package.name)
        )
        self.assertEqual((PackageFile(identifier="web.vmdk", name="web.vmdk"),), package.files)
        self.assertEqual((Network(name="VM Network"),), package.networks)
        self.assert_found(package)
        machine = package.machines[0]
        self.assertEqual(("web", "Web server"), (machine.identifier, machine.name))
        self.assertEqual('First line\n"quoted"', machine.annotation)
        self.assertEqual("564dee3c-5206-a3de-be4a-739ccc99151f", machine.uuid)
        self.assertEqual((4, 2, 2048 << 20), (machine.cpus, machine.cores_per_socket, machine.memory))
        self.assertEqual(("uefi", True, False), (machine.firmware, machine.secure_boot, machine.tpm))
        self.assertEqual(("hvm", "debian11-64"), (machine.vm_mode, machine.os_name))
        self.assertEqual(("vmx-19",), machine.virtual_system_types)
        self.assertEqual(("",), machine.cdroms)
        disk = MachineDisk(
            identifier="web.vmdk", label="scsi0:0", file="web.vmdk", format="vmdk", bus="scsi", bus_model="pvscsi",
            bootable=True,
        )  # fmt: skip
        self.assertEqual((disk,), machine.disks)
        card = Nic(network="VM Network", label="ethernet0", mac="00:0c:29:99:15:1f", model="vmxnet3")
        self.assertEqual((card,), machine.nics)
        self.assertEqual({}, machine.settings)

    def test_a_machine_of_which_little_is_said(self) -> None:
        (self.scratch / "tiny.vmx").write_bytes(b'config.version = "8"\nvirtualHW.version = "4"\nguestOS = "other"\n')
        package = open_vmx(self.scratch / "tiny.vmx", STRICT).package
        machine = package.machines[0]
        self.assertEqual(("tiny", 1, 32 << 20, "bios"), (machine.name, machine.cpus, machine.memory, machine.firmware))
        self.assertEqual(
            (None, None, "", ()), (machine.secure_boot, machine.cores_per_socket, machine.uuid, machine.nics)
        )
        self.assertEqual(("vmx-04",), machine.virtual_system_types)
        self.assert_found(package, "vmx.memory", "vmx.disk.none")

    @ddt.data(
        ({"memsize": "9999999999999999999"}, "memory", None, "vmx.memory"),
        ({"memsize": "-4"}, "memory", None, "vmx.memory"),
        ({"memsize": "255"}, "memory", 255 << 20, "vmx.memory"),
        ({"numvcpus": "many"}, "cpus", None, "vmx.cpu"),
        ({"numvcpus": "0"}, "cpus", None, "vmx.cpu"),
        ({"cpuid.coresPerSocket": "3"}, "cores_per_socket", None, "vmx.cpu"),
        ({"firmware": "coreboot"}, "firmware", "", "vmx.firmware"),
        ({"virtualHW.version": None}, "virtual_system_types", (), "vmx.version"),
        ({"virtualHW.version": "x"}, "virtual_system_types", (), "vmx.version"),
        ({"checkpoint.vmState": "web.vmss"}, "name", "Web server", "vmx.suspended"),
        ({"ethernet10.present": "TRUE"}, "name", "Web server", "vmx.device"),
        ({"ethernet00.present": "TRUE"}, "name", "Web server", "vmx.device"),
        ({"uuid.bios": "56 4d"}, "uuid", "", None),
        ({"cpuid.coresPerSocket": "0"}, "cores_per_socket", None, None),
        ({"vtpm.present": "TRUE"}, "tpm", True, None),
        ({"managedvm.autoAddVTPM": "software"}, "tpm", True, None),
        ({"uefi.secureBoot.enabled": "FALSE"}, "secure_boot", False, None),
        ({"displayName": "a%2fb%25c%20d"}, "name", "a/b%c%20d", None),
        ({"displayName": None}, "name", "web", None),
        ({"bios.bootOrder": "ethernet2, cdrom,hdd,floppy"}, "settings", {"HVM_boot_params": "order=ndc"}, None),
        ({"bios.bootOrder": "floppy"}, "settings", {}, None),
    )
    def test_values(self, case: tuple[dict[str, str | None], str, object, str | None]) -> None:
        keys, field, value, code = case
        package = self.package(keys)
        self.assertEqual(value, getattr(package.machines[0], field))
        self.assert_found(package, *([code] if code else []))

    def test_a_lock_is_told(self) -> None:
        (self.scratch / "web.vmx.lck").mkdir()
        self.assert_found(self.package(), "vmx.locked")

    def test_what_has_no_place_is_listed(self) -> None:
        keys = [
            "floppy0", "floppy1", "serial0", "parallel0", "usb", "ehci", "sound", "sharedFolder3", "pciPassthru0",
        ]  # fmt: skip
        machine = self.machine({f"{key}.present": "TRUE" for key in keys} | {"serial1.present": "FALSE"})
        expected = (
            "floppy drive", "serial port", "parallel port", "USB controller", "sound card", "shared folder",
            "PCI device of the host",
        )  # fmt: skip
        self.assertEqual(expected, machine.ignored)


@ddt.ddt
class CardTestCase(Case):
    @ddt.data(
        ({}, "VM Network"),
        ({"networkName": None}, "bridged"),
        ({"networkName": None, "connectionType": "nat"}, "nat"),
        ({"networkName": None, "connectionType": "custom", "vnet": "VMnet8"}, "VMnet8"),
        ({"networkName": None, "dvs.portgroupId": "dvportgroup-12"}, "dvportgroup-12"),
    )
    def test_networks(self, case: tuple[dict[str, str | None], str]) -> None:
        keys, network = case
        machine = self.machine({f"ethernet0.{key}": value for key, value in keys.items()})
        self.assertEqual(network, machine.nics[0].network)

    @ddt.data(
        ({"addressType": "static", "address": "00:50:56:00:00:01"}, "00:50:56:00:00:01", False),
        ({"addressType": "vpx", "address": "00:50:56:00:00:01"}, "00:0c:29:99:15:1f", False),
        ({"addressType": None, "generatedAddress": None}, "", False),
        ({"generatedAddress": "00-0c-29-99-15-1f"}, "00:0c:29:99:15:1f", False),
        ({"generatedAddress": "00:0c:29:99:15"}, "", True),
        ({"generatedAddress": "x" * 5000}, "", True),
    )
    def test_addresses(self, case: tuple[dict[str, str | None], str, bool]) -> None:
        keys, mac, told = case
        package = self.package({f"ethernet0.{key}": value for key, value in keys.items()})
        self.assertEqual(mac, package.machines[0].nics[0].mac)
        self.assert_found(package, *(["vmx.card.mac"] if told else []))

    def test_cards_are_ordered_and_those_that_are_absent_left_out(self) -> None:
        keys = {"ethernet9.present": "1", "ethernet2.present": "1", "ethernet3.present": "FALSE", "ethernet4.vnet": "x"}
        machine = self.machine(keys)
        self.assertEqual(["ethernet0", "ethernet2", "ethernet9"], [nic.label for nic in machine.nics])


@ddt.ddt
class DriveTestCase(Case):
    def names(self, package: Package) -> list[str]:
        disks = package.machines[0].disks
        self.assertEqual([disk is disks[0] for disk in disks], [disk.bootable for disk in disks])
        return [disk.identifier for disk in disks]

    def test_disks_are_ordered_by_address(self) -> None:
        package = self.package(DRIVES, "a", "b", "c")
        self.assertEqual(["c.vmdk", "web.vmdk", "a.vmdk", "b.vmdk"], self.names(package))
        self.assertEqual((0, 10), package.machines[0].disks[3].address)
        self.assert_found(package, "vmx.disk.order")

    @ddt.data(("scsi0:2,ide0:0", "acwb"), (" SCSI0:10 , scsi0:99, scsi0:10", "bcwa"))
    def test_the_order_that_is_said_counts(self, case: tuple[str, str]) -> None:
        said, expected = case
        package = self.package({**DRIVES, "bios.hddOrder": said}, "a", "b", "c")
        self.assertEqual(expected, "".join(name[0] for name in self.names(package)))
        self.assert_found(package)

    def test_drives_that_are_absent_are_left_out(self) -> None:
        package = self.package({"scsi0:1.present": "FALSE", "scsi0:1.fileName": "gone.vmdk", "scsi0:2.fileName": "x"})
        self.assertEqual(["web.vmdk"], self.names(package))
        self.assert_found(package)

    @ddt.data(
        ({"fileName": None}, 0, "vmx.disk.unattached"),
        ({"fileName": "gone.vmdk"}, 1, "vmx.file.missing"),
        ({"mode": "independent-nonpersistent"}, 1, "vmx.disk.mode"),
        ({"mode": "independent-persistent", "writeThrough": "TRUE"}, 1, None),
        ({"deviceType": "rawDisk"}, 1, "vmx.disk.raw"),
        ({"deviceType": "scsi-hardDisk"}, 1, None),
        ({"deviceType": "disk"}, 1, None),
    )
    def test_disks(self, case: tuple[dict[str, str | None], int, str | None]) -> None:
        keys, count, code = case
        package = self.package({f"scsi0:0.{key}": value for key, value in keys.items()})
        self.assertEqual(count, len(package.machines[0].disks))
        self.assert_found(package, *([code] if code else []), *([] if count else ["vmx.disk.none"]))

    def test_a_device_of_the_host_is_no_disk(self) -> None:
        machine = self.machine(
            {"scsi0:3.present": "TRUE", "scsi0:3.deviceType": "scsi-passthru", "scsi0:3.fileName": "/x"}
        )
        self.assertEqual(1, len(machine.disks))
        self.assertEqual(("SCSI device of the host",), machine.ignored)

    def test_a_disk_without_its_controller_is_told(self) -> None:
        package = self.package({"scsi0.present": None})
        self.assertEqual(1, len(package.machines[0].disks))
        self.assert_found(package, "vmx.disk.controller")

    def test_a_disk_in_two_drives_is_told(self) -> None:
        package = self.package({"scsi0:1.present": "TRUE", "scsi0:1.fileName": "./web.vmdk"})
        self.assertEqual(["web.vmdk", "web.vmdk"], [disk.identifier for disk in package.machines[0].disks])
        self.assert_found(package, "vmx.disk.twice")

    @ddt.data("scsi4:0", "scsi0:65", "ide0:2", "sata0:30", "nvme4:0", "scsi00:1", "scsi0:01", "scsi0:999999999")
    def test_addresses_that_do_not_exist_are_told(self, device: str) -> None:
        package = self.package({f"{device}.present": "TRUE", f"{device}.fileName": "web.vmdk"})
        self.assertEqual(1, len(package.machines[0].disks))
        self.assert_found(package, "vmx.device")

    @ddt.data(
        ("cdrom-image", "disc.iso", ("disc.iso",), None),
        ("cdrom-image", "gone.iso", ("",), "vmx.file.missing"),
        ("cdrom-image", "/usr/lib/vmware/isoimages/linux.iso", ("",), "vmx.file.name"),
        ("cdrom-image", "C:\\isos\\windows.iso", ("",), "vmx.file.name"),
        ("cdrom-image", "", ("",), None),
        ("atapi-cdrom", "/dev/sr0", ("",), None),
        (None, "disc.iso", ("disc.iso",), None),
        (None, "auto detect", ("",), None),
    )
    def test_discs(self, case: tuple[str | None, str, tuple[str, ...], str | None]) -> None:
        kind, name, expected, code = case
        (self.scratch / "disc.iso").write_bytes(b"disc")
        package = self.package({"ide1:0.deviceType": kind, "ide1:0.fileName": name})
        self.assertEqual(expected, package.machines[0].cdroms)
        self.assert_found(package, *([code] if code else []))
        self.assertTrue(all(finding.severity is Severity.INFO for finding in package.findings))
        self.assertEqual("disc.iso" in expected, any(file.name == "disc.iso" for file in package.files))
