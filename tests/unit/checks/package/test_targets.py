"""What each target makes of packages: a sound one, and what differs from it one by one."""

from __future__ import annotations

import dataclasses
from typing import Any

import ddt

from tests.base import TestCase
from xenimage.checks.package.targets import TARGETS
from xenimage.checks.package.words import listed
from xenimage.model.finding import Finding, Severity
from xenimage.model.machine import Machine, MachineDisk, Nic, Package, PackageFile, Product, Proof

GIB = 1 << 30
VMDK = "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"
VHD = "http://www.microsoft.com/technet/virtualserver/downloads/vhdspec.mspx"
DISK = MachineDisk(
    identifier="d1", capacity=GIB, file="f1", format=VMDK, bus="scsi", bus_model="lsilogic", resource_type=17
)
MACHINE = Machine(identifier="m", name="web", disks=(DISK,), virtual_system_types=("vmx-19",))
FILE = PackageFile(identifier="f1", name="disk one.vmdk")
PACKAGE = Package(path="p.ova", kind="ova", version="1.0", machines=(MACHINE,), files=(FILE,))
STRUCTURE = Finding(
    code="ovf.structure", severity=Severity.WARNING, what="", why="", act="", where="Envelope/StartupSection"
)


def disk(**changes: Any) -> dict[str, Any]:
    """The package with another disk."""
    return machine(disks=(dataclasses.replace(DISK, **changes),))


def machine(**changes: Any) -> dict[str, Any]:
    """The package with another machine."""
    return {"machines": (dataclasses.replace(MACHINE, **changes),)}


def file(**changes: Any) -> dict[str, Any]:
    """The package with another file."""
    return {"files": (dataclasses.replace(FILE, **changes),)}


def digests(*algorithms: str) -> dict[str, Any]:
    """The package with a manifest."""
    return {"proof": Proof(manifest="verified", algorithms=algorithms)}


TWO = {"machines": (MACHINE, dataclasses.replace(MACHINE, identifier="n", name="db"))}
CITRIX = disk(resource_type=19, bus="", bus_model="", format=VHD)
OPENSTACK = "openstack-xenserver"
TABLE: tuple[tuple[str, dict[str, Any], str, str, str], ...] = (
    # target, what differs, code, severity, what the message says
    ("vmware", {"kind": "xva"}, "kind", "error", "of the kind XVA."),
    ("vmware", machine(settings={"platform": "nx=1"}), "foreign", "error", "has VirtualSystemOtherConfigurationData,"),
    ("vmware", {"findings": (STRUCTURE,)}, "foreign", "error", "has StartupSection,"),
    ("vmware", disk(resource_type=19), "disk.type", "error", "of the ResourceType 19 instead of 17: disk 1."),
    ("vmware", disk(bus="", bus_model=""), "disk.controller", "error", "no controller: disk 1."),
    ("vmware", disk(format=VHD), "disk.format", "error", "Disks of the format VHD: disk 1."),
    ("vmware", disk(format=""), "disk.format", "warning", "does not say: disk 1."),
    ("vmware", machine(virtual_system_types=("hvm-3.0-unknown",)), "hardware", "error", "'hvm-3.0-unknown'"),
    ("vmware", machine(virtual_system_types=("virtualbox-2.2",)), "hardware", "error", "'virtualbox-2.2'"),
    ("vmware", disk(bus="sata", bus_model="AHCI"), "device", "error", "in VirtualBox's words: disk 1."),
    ("vmware", {"version": "2.0"}, "version", "warning", "of the version 2.0."),
    ("vmware", digests("sha1"), "manifest", "warning", "SHA-1"),
    ("vmware", digests("sha256"), "manifest", "info", "SHA-256"),
    ("vmware", digests("md5"), "manifest", "warning", "of the kind md5."),
    ("proxmox", {"kind": "xva"}, "kind", "error", "of the kind XVA."),
    ("proxmox", {"kind": "vmx"}, "kind", "error", "of the kind VMX."),
    ("proxmox", disk(resource_type=19), "disk.type", "error", "of the ResourceType 19 instead of 17: disk 1."),
    ("proxmox", disk(bus="", bus_model=""), "disk.controller", "error", "no controller: disk 1."),
    ("proxmox", TWO, "machines", "warning", "has 2 machines."),
    ("proxmox", machine(memory=4 * GIB, memory_number=4), "memory", "warning", "memory of 'web' (4 GiB as 4) in"),
    ("proxmox", file(name="плата.vmdk"), "name", "error", "'плата.vmdk'."),
    ("virtualbox", {"kind": "xva"}, "kind", "error", "of the kind XVA."),
    ("virtualbox", {"compression": "gzip"}, "kind", "error", "packed as a whole, with gzip."),
    ("virtualbox", disk(resource_type=19), "disk.type", "error", "of the ResourceType 19 instead of 17: disk 1."),
    ("virtualbox", disk(format="qcow2"), "disk.format", "error", ": disk 1."),
    ("virtualbox", disk(parent="d0"), "disk.delta", "error", ": disk 1."),
    ("virtualbox", file(chunk_size=1 << 20), "file.pieces", "error", "in pieces: 'disk one.vmdk'."),
    ("virtualbox", file(compression="gzip"), "file.pieces", "error", "deflated: 'disk one.vmdk'."),
    ("virtualbox", digests("sha256"), "manifest", "info", "SHA-256"),
    ("virtualbox", digests("sha512"), "manifest", "warning", "SHA-512"),
    ("xcp-ng", {"kind": "vmx"}, "kind", "error", "of the kind VMX."),
    ("xcp-ng", {"compression": "xz"}, "compression", "error", "packed with xz."),
    ("xcp-ng", {"kind": "xva", "compression": "xz"}, "compression", "error", "packed with xz."),
    ("xcp-ng", {"kind": "xva", "compression": "zstd"}, "compression", "info", "packed with zstd."),
    ("xcp-ng", {"kind": "xva", "version": "0.1"}, "old", "warning", "of the version 0.1."),
    ("xcp-ng", file(chunk_size=1 << 20), "file.pieces", "error", "in pieces: 'disk one.vmdk'."),
    ("xcp-ng", file(name="disk.img"), "file.extension", "warning", "'disk.img'."),
    ("xcp-ng", disk(format="qcow2"), "disk.format", "error", ": disk 1."),
    ("xcp-ng", disk(parent="d0"), "disk.delta", "error", ": disk 1."),
    ("xcp-ng", disk(capacity=2040 * GIB + 512), "disk.size", "warning", ": disk 1."),
    ("xcp-ng", machine(disks=(DISK,) * 16), "disk.many", "error", "'web'."),
    ("xcp-ng", {"version": "1.1"}, "version", "info", "of the version 1.1."),
    ("xcp-ng", {"version": "2.0"}, "version", "warning", "of the version 2.0."),
    ("xcp-ng", TWO, "machines", "warning", "has 2 machines."),
    ("xcp-ng", machine(firmware="uefi"), "firmware", "warning", "'web'."),
    (OPENSTACK, machine(disks=()), "disk.none", "error", "'web'."),
    (OPENSTACK, machine(disks=(DISK, DISK)), "disk.several", "warning", "'web'."),
    (OPENSTACK, machine(disks=(DISK, MachineDisk(identifier="e"))), "disk.empty", "info", ": disk 2."),
    (OPENSTACK, disk(capacity=2040 * GIB + 512), "disk.size", "error", ": disk 1."),
    (OPENSTACK, TWO, "machines", "info", "has 2 machines."),
    (OPENSTACK, machine(firmware="uefi"), "firmware", "warning", "'web'."),
    (OPENSTACK, machine(secure_boot=True), "secure-boot", "warning", "'web'."),
    (OPENSTACK, machine(tpm=True), "tpm", "warning", "'web'."),
    (OPENSTACK, machine(settings={"NVRAM": "a=b"}), "nvram", "info", "'web'."),
    (OPENSTACK, machine(settings={"PV_kernel": "/boot/x"}), "kernel", "warning", "'web'."),
    (OPENSTACK, machine(eulas=("no",)), "eula", "info", "'web'."),
    (OPENSTACK, machine(products=(Product(properties=(("a", ""),)),)), "properties", "warning", "'web'."),
    (OPENSTACK, machine(nics=(Nic(network="LAN"), Nic(network="LAN"))), "nics", "info", ": 'LAN'."),
    (OPENSTACK, machine(cdroms=("iso",)), "cdrom", "info", "'web'."),
    (OPENSTACK, machine(cpus=2, memory=GIB + 1), "flavor", "info", "'web' with 2 VCPUs and 1.00 GiB of RAM."),
    (OPENSTACK, machine(cpus=1), "flavor", "info", "'web' with 1 VCPU."),
)


@ddt.ddt
class TargetTest(TestCase):
    def test_every_target_is_here(self) -> None:
        self.assertEqual(set(TARGETS), {row[0] for row in TABLE})

    @ddt.data(*TARGETS)
    def test_a_package_that_all_take(self, target: str) -> None:
        self.assertEqual([], list(TARGETS[target](PACKAGE)))

    @ddt.data(*TABLE)
    @ddt.unpack
    def test_one_thing_that_differs(
        self, target: str, changes: dict[str, Any], code: str, severity: str, said: str
    ) -> None:
        found = list(TARGETS[target](dataclasses.replace(PACKAGE, **changes)))
        self.assertEqual([f"package.{target}.{code}"], [each.code for each in found], found)
        self.assertEqual(severity, found[0].severity.value)
        self.assertIn(said, found[0].what)

    def test_vmware_passes_over_what_it_need_not_understand(self) -> None:
        package = dataclasses.replace(PACKAGE, **machine(settings={"platform": "nx=1"}, settings_optional=True))
        self.assertNotIn("package.vmware.foreign", [each.code for each in TARGETS["vmware"](package)])

    def test_what_vmware_takes_at_its_limits(self) -> None:
        for changes in (
            {"kind": "vmx", **disk(format="", resource_type=None)},
            machine(virtual_system_types=("vmx-08", "Cisco:Internal:VMCloud-01")),
            machine(virtual_system_types=()),
            digests("sha512"),
            disk(bus="sata", bus_model="vmware.sata.ahci"),
        ):
            self.assertEqual([], list(TARGETS["vmware"](dataclasses.replace(PACKAGE, **changes))), changes)

    def test_vmware_has_its_own_of_several_descriptions_of_hardware(self) -> None:
        several = dataclasses.replace(STRUCTURE, code="ovf.machine.hardware", where="")
        changes = {"findings": (several,), **machine(virtual_system_types=("xen3",))}
        self.assertEqual([], list(TARGETS["vmware"](dataclasses.replace(PACKAGE, **changes))))

    def test_sound_of_virtualbox(self) -> None:
        changes = machine(virtual_system_types=("virtualbox-2.2",), ignored=("vendor's device",))
        found = list(TARGETS["vmware"](dataclasses.replace(PACKAGE, **changes)))
        self.assertEqual(["package.vmware.hardware", "package.vmware.device"], [each.code for each in found])

    def test_sizes_at_their_limits(self) -> None:
        for target in (OPENSTACK, "xcp-ng"):
            self.assertEqual([], list(TARGETS[target](dataclasses.replace(PACKAGE, **disk(capacity=2040 * GIB)))))
        fifteen = dataclasses.replace(PACKAGE, **machine(disks=(DISK,) * 15))
        self.assertEqual([], list(TARGETS["xcp-ng"](fifteen)))

    def test_a_package_of_xencenter_at_proxmox(self) -> None:
        """Where it is known for 'no disks found'."""
        found = list(TARGETS["proxmox"](dataclasses.replace(PACKAGE, **CITRIX)))
        self.assertEqual(["package.proxmox.disk.type"], [each.code for each in found])

    def test_disks_of_several_machines_are_told_apart(self) -> None:
        other = dataclasses.replace(MACHINE, name="db", disks=(DISK, dataclasses.replace(DISK, parent="d0")))
        found = list(TARGETS["virtualbox"](dataclasses.replace(PACKAGE, machines=(MACHINE, other))))
        self.assertEqual(["Disks that belong over others: disk 2 of 'db'."], [each.what for each in found])

    def test_many_names_make_a_short_message(self) -> None:
        self.assertEqual("0, 1, 2, 3, 4 and 5 more", listed(str(each % 10) for each in range(1000)))
