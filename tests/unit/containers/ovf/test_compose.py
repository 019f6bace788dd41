"""Descriptors that we write: what importers want said is said, where they look for it."""

from __future__ import annotations

import dataclasses
from typing import Any

from lxml import etree

from tests.base import TestCase
from xenimage.containers.ovf.compose import compose
from xenimage.containers.ovf.descriptor import read_descriptor
from xenimage.containers.ovf.settle import lost, settle
from xenimage.exceptions import UsageError
from xenimage.limits import STRICT
from xenimage.model.machine import Machine, MachineDisk, Nic, PackageFile, Product
from xenimage.units import GIB, MIB

SPACES = {
    "ovf": "http://schemas.dmtf.org/ovf/envelope/1",
    "rasd": "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData",
    "vssd": "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData",
    "vmw": "http://www.vmware.com/schema/ovf",
    "xen": "http://schemas.citrix.com/ovf/envelope/1",
}
BARE = Machine(identifier="m", name="web", disks=(MachineDisk(identifier="d", capacity=GIB),))


def xen(**changes: Any) -> Machine:
    """As an XVA has it."""
    disks = (
        MachineDisk(identifier="Ref:1", capacity=GIB, bus="xen", address=(0, 0), bootable=True, file="f1"),
        MachineDisk(identifier="Ref:2", capacity=2 * GIB, bus="xen", address=(0, 1)),
    )
    machine = Machine(
        identifier="ada0b2c4-0000-4000-8000-000000000001",
        name="web",
        uuid="ada0b2c4-0000-4000-8000-000000000001",
        cpus=4,
        cpus_max=8,
        cores_per_socket=2,
        memory=2 * GIB + 5,
        firmware="uefi",
        secure_boot=True,
        vm_mode="hvm",
        os_id=96,
        os_name="debian12_64Guest",
        disks=disks,
        nics=(Nic(network="LAN", mac="00:16:3E:01:02:03", mtu=9000),),
        cdroms=("",),
        settings={"platform": "nx=true;secureboot=true", "HVM_boot_params": "order=dc;firmware=uefi"},
    )
    return dataclasses.replace(machine, **changes)


class ComposeTestCase(TestCase):
    def at(self, data: bytes, path: str) -> list[str]:
        """What an XPath finds: attributes and texts."""
        found = etree.fromstring(data).xpath(path, namespaces=SPACES)
        assert isinstance(found, list)
        return [str(each) for each in found]

    def item(self, data: bytes, kind: int, field: str) -> list[str]:
        return self.at(data, f"//ovf:Item[rasd:ResourceType={kind}]/rasd:{field}/text()")

    def test_what_vmware_and_virtualbox_look_at(self) -> None:
        data = compose([xen()], [PackageFile(identifier="f1", name="web-disk1.vmdk", size=9)])
        self.assertEqual(["2048"], self.item(data, 4, "VirtualQuantity"))
        self.assertEqual(["byte * 2^20"], self.item(data, 4, "AllocationUnits"))
        self.assertEqual(["4"], self.item(data, 3, "VirtualQuantity"))
        self.assertEqual(["2"], self.at(data, "//vmw:CoresPerSocket/text()"))
        self.assertEqual([], self.item(data, 3, "Limit"))
        self.assertEqual(["ovf:/disk/Ref:1", "ovf:/disk/Ref:2"], self.item(data, 17, "HostResource"))
        self.assertEqual(self.item(data, 6, "InstanceID") * 2, self.item(data, 17, "Parent"))
        self.assertEqual(["0", "1"], self.item(data, 17, "AddressOnParent"))
        self.assertEqual(["lsilogic"], self.item(data, 6, "ResourceSubType"))
        self.assertEqual(self.item(data, 5, "InstanceID"), self.item(data, 15, "Parent"))
        self.assertEqual(["LAN"], self.item(data, 10, "Connection"))
        self.assertEqual(["true"], self.item(data, 10, "AutomaticAllocation"))
        self.assertEqual(["00:16:3e:01:02:03"], self.item(data, 10, "Address"))
        self.assertEqual(["LAN"], self.at(data, "//ovf:Network/@ovf:name"))
        self.assertEqual(["hvm-3.0-unknown vmx-13"], self.at(data, "//vssd:VirtualSystemType/text()"))
        self.assertEqual(["efi"], self.at(data, "//vmw:Config[@vmw:key='firmware']/@vmw:value"))
        self.assertEqual(
            ["true"], self.at(data, "//vmw:Config[@vmw:key='bootOptions.efiSecureBootEnabled']/@vmw:value")
        )
        self.assertEqual(["debian12_64Guest"], self.at(data, "//ovf:OperatingSystemSection/@vmw:osType"))
        self.assertEqual(["byte"] * 2, self.at(data, "//ovf:Disk/@ovf:capacityAllocationUnits"))
        self.assertEqual(["f1"], self.at(data, "//ovf:Disk/@ovf:fileRef"))
        self.assertEqual(set(), {*self.at(data, "//*[vmw:* or xen:*]/*/@ovf:required")} - {"false"})

    def test_what_xen_has_of_its_own_comes_back(self) -> None:
        (found,) = read_descriptor(compose([xen()]), STRICT).machines
        self.assertEqual(xen().settings, found.settings)
        self.assertEqual((8, "hvm", True, "uefi"), (found.cpus_max, found.vm_mode, found.secure_boot, found.firmware))
        self.assertEqual([True, False], [disk.bootable for disk in found.disks])

    def test_a_paravirtualised_machine_is_nothing_for_vmware(self) -> None:
        data = compose([xen(vm_mode="xen", secure_boot=None, settings={"HVM_boot_policy": "BIOS order"})])
        self.assertEqual(["xen-3.0-unknown"], self.at(data, "//vssd:VirtualSystemType/text()"))
        self.assertEqual("xen", read_descriptor(data, STRICT).machines[0].vm_mode)

    def test_defaults(self) -> None:
        settled = settle(BARE)
        self.assertEqual((1, GIB, ("vmx-10",)), (settled.cpus, settled.memory, settled.virtual_system_types))
        (disk,) = settled.disks
        self.assertEqual(("scsi", "lsilogic", (0, 0), "Hard disk 1"),
                         (disk.bus, disk.bus_model, disk.address, disk.label))  # fmt: skip

    def test_a_place_of_its_own_for_each_disk(self) -> None:
        disks = tuple(MachineDisk(identifier=f"d{n}", capacity=MIB) for n in range(17))
        settled = settle(dataclasses.replace(BARE, disks=disks))
        units = [*range(7), *range(8, 16)]
        expected = [(0, unit) for unit in units] + [(1, 0), (1, 1)]
        self.assertEqual(expected, [disk.address for disk in settled.disks])
        self.assertEqual([f"d{n}" for n in range(17)], [disk.identifier for disk in settled.disks])

    def test_a_disk_without_a_bus_gets_what_the_others_leave(self) -> None:
        disks = (
            MachineDisk(identifier="a", capacity=MIB),
            MachineDisk(identifier="b", capacity=MIB, bus="scsi", bus_model="buslogic", address=(0, 0)),
        )
        settled = settle(dataclasses.replace(BARE, disks=disks))
        self.assertEqual(
            [("a", (0, 1), True), ("b", (0, 0), False)], [(d.identifier, d.address, d.bootable) for d in settled.disks]
        )

    def test_drives_keep_clear_of_disks(self) -> None:
        disks = tuple(
            MachineDisk(identifier=f"d{n}", capacity=MIB, bus="ide", bus_model="ICH6", address=place)
            for n, place in enumerate([(0, 0), (1, 0)])
        )
        data = compose([dataclasses.replace(BARE, disks=disks, cdroms=("", "f1", "", ""))])
        ids = self.item(data, 5, "InstanceID")
        self.assertEqual(["ICH6", "ICH6"], self.item(data, 5, "ResourceSubType"))
        self.assertEqual([ids[1], ids[0]], self.item(data, 15, "Parent"))
        self.assertEqual(["ovf:/file/f1"], self.item(data, 15, "HostResource"))
        self.assertEqual(4, len(self.item(data, 15, "InstanceID")))

    def test_products_of_one_class_are_told_apart(self) -> None:
        data = compose([dataclasses.replace(BARE, products=(Product(name="a"), Product(name="b")))])
        self.assertEqual(["2"], self.at(data, "//ovf:ProductSection/@ovf:instance"))
        self.assertEqual((), read_descriptor(data, STRICT).findings)

    def test_parents_stand_in_front(self) -> None:
        disks = (
            MachineDisk(identifier="leaf", capacity=MIB, parent="base"),
            MachineDisk(identifier="base", capacity=MIB),
        )
        data = compose([dataclasses.replace(BARE, disks=disks)])
        self.assertEqual(["base", "leaf"], self.at(data, "//ovf:Disk/@ovf:diskId"))
        cycle = (dataclasses.replace(disks[0], parent="leaf"),)
        with self.assertRaisesRegex(UsageError, "belongs over itself"):
            compose([dataclasses.replace(BARE, disks=cycle)])

    def test_text_that_xml_cannot_hold(self) -> None:
        odd = dataclasses.replace(BARE, name="a\0b\ud800", annotation="<&>\"'\r\n\u20ac")
        self.assertEqual(2, lost(odd))
        self.assertEqual(0, lost(BARE))
        (found,) = read_descriptor(compose([odd]), STRICT).machines
        self.assertEqual(("a\ufffdb\ufffd", "<&>\"'\r\n\u20ac"), (found.name, found.annotation))

    def test_identifiers_that_are_not_plain(self) -> None:
        disks = (MachineDisk(identifier="a b/c.vmdk", capacity=MIB), MachineDisk(identifier="vmdisk1", capacity=MIB))
        machines = [dataclasses.replace(BARE, identifier=name, disks=disks) for name in ("a b", "vm1")]
        data = compose(machines, name="both")
        self.assertEqual(["vm2", "vm1"], self.at(data, "//ovf:VirtualSystem/@ovf:id"))
        self.assertEqual(["vmdisk2", "vmdisk1"], self.at(data, "//ovf:Disk/@ovf:diskId"))
        self.assertEqual("both", read_descriptor(data, STRICT).name)

    def test_refusals(self) -> None:
        with self.assertRaisesRegex(UsageError, "no machine, expected one at least"):
            compose([])
        with self.assertRaisesRegex(UsageError, "two machines of one identifier"):
            compose([BARE, BARE])
        with self.assertRaisesRegex(UsageError, "two disks of one identifier"):
            compose([dataclasses.replace(BARE, disks=BARE.disks * 2)])
        with self.assertRaisesRegex(UsageError, "the disk 'd' has no size"):
            compose([dataclasses.replace(BARE, disks=(MachineDisk(identifier="d"),))])
