"""The items of a machine that is written: processors, memory, controllers, drives, cards. Source: DSP0243 1.1, 8."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lxml import etree

from xenimage.containers.ovf import layout
from xenimage.containers.ovf.build import attributes, child
from xenimage.containers.ovf.layout import RASD, VMWARE
from xenimage.containers.ovf.settle import MODELS
from xenimage.units import MIB

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lxml.etree import _Element as Element

    from xenimage.model.machine import Machine, MachineDisk

_ORDER = (
    "Address", "AddressOnParent", "AllocationUnits", "AutomaticAllocation", "Caption", "Connection", "Description",
    "ElementName", "HostResource", "InstanceID", "Parent", "ResourceSubType", "ResourceType", "VirtualQuantity",
)  # fmt: skip
"""of the fields, as the schema wants it"""
_CONTROLLERS = {
    "ide": (layout.IDE, "IDE"),
    "scsi": (layout.SCSI, "SCSI"),
    "virtio": (layout.SCSI, "SCSI"),
    "sata": (layout.OTHER_STORAGE, "SATA"),
    "nvme": (layout.OTHER_STORAGE, "NVMe"),
}
_IDE = "ide"
_CD_PLACES = ((1, 0), (1, 1), (0, 1), (0, 0))
"""controller and unit of drives for CDs, the usual one first"""
_CD, _EMPTY_CD = "vmware.cdrom.iso", "vmware.cdrom.remotepassthrough"


class Devices:
    """Adds items to a VirtualHardwareSection.

    :param disks: ids of the disks, by the identifier that they have here.
    """

    def __init__(self, section: Element, disks: Mapping[str, str]) -> None:
        self._section = section
        self._disks = disks
        self._count = 0
        self._controllers: dict[tuple[str, str, int], int] = {}

    def add(self, machine: Machine) -> None:
        """Add all that *machine*, which is settled, has."""
        self._processors(machine)
        megabytes = (machine.memory or 0) // MIB
        self._item(
            layout.MEMORY,
            AllocationUnits="byte * 2^20",
            Description="Memory Size",
            ElementName=f"{megabytes}MB of memory",
            VirtualQuantity=megabytes,
        )
        for disk in machine.disks:
            self._controller(disk.bus, disk.bus_model, disk.address[0])
        places = self._cd_places(machine)
        for disk in machine.disks:
            self._disk(disk)
        for place, image in zip(places, machine.cdroms, strict=True):
            self._cdrom(place, image)
        for nic in machine.nics:
            self._item(
                layout.ETHERNET,
                Address=nic.mac or None,
                AutomaticAllocation="true",
                Connection=nic.network,
                ElementName=nic.label,
                ResourceSubType=nic.model or None,
            )
        if machine.tpm:
            self._item(
                layout.OTHER_DEVICE,
                required=False,
                AutomaticAllocation="false",
                ElementName="Virtual TPM",
                ResourceSubType="vmware.vtpm",
            )

    def _item(self, kind: int, *, required: bool = True, **fields: str | int | None) -> Element:
        self._count += 1
        fields |= {"InstanceID": self._count, "ResourceType": kind}
        item = child(self._section, "Item")
        attributes(item, required=None if required else "false")
        for name in _ORDER:
            if fields.get(name) is not None:
                etree.SubElement(item, f"{{{RASD}}}{name}").text = str(fields[name])
        return item

    def _processors(self, machine: Machine) -> None:
        item = self._item(
            layout.CPU,
            AllocationUnits="hertz * 10^6",
            Description="Number of Virtual CPUs",
            ElementName=f"{machine.cpus} virtual CPU(s)",
            VirtualQuantity=machine.cpus,
        )
        if machine.cores_per_socket:
            element = attributes(etree.SubElement(item, f"{{{VMWARE}}}CoresPerSocket"), required="false")
            element.text = str(machine.cores_per_socket)

    def _controller(self, bus: str, model: str, number: int) -> int:
        """The InstanceID of a controller, which is added if it is not there."""
        key = (bus, model, number)
        if key not in self._controllers:
            kind, name = _CONTROLLERS[bus]
            self._item(
                kind,
                Address=number,
                Description=f"{name} Controller",
                ElementName=f"{name} Controller {number}",
                ResourceSubType=model,
            )
            self._controllers[key] = self._count
        return self._controllers[key]

    def _disk(self, disk: MachineDisk) -> None:
        self._item(
            layout.DISK,
            AddressOnParent=disk.address[1],
            # XenCenter's way to say that it cannot be written.
            Connection="mode=r" if disk.read_only else None,
            ElementName=disk.label,
            HostResource=f"ovf:/disk/{self._disks[disk.identifier]}",
            Parent=self._controller(disk.bus, disk.bus_model, disk.address[0]),
        )

    def _cd_places(self, machine: Machine) -> list[tuple[int | None, int]]:
        """InstanceID of the controller and unit of each drive; None where IDE has no more room."""
        taken = {disk.address for disk in machine.disks if disk.bus == _IDE}
        free = [place for place in _CD_PLACES if place not in taken][: len(machine.cdroms)]
        models = {disk.address[0]: disk.bus_model for disk in machine.disks if disk.bus == _IDE}
        places: list[tuple[int | None, int]] = [
            (self._controller(_IDE, models.get(number, MODELS[_IDE]), number), unit) for number, unit in free
        ]
        return [*places, *([(None, 0)] * (len(machine.cdroms) - len(places)))]

    def _cdrom(self, place: tuple[int | None, int], image: str) -> None:
        controller, unit = place
        self._item(
            layout.CD,
            required=False,
            AddressOnParent=unit if controller is not None else None,
            AutomaticAllocation="false",
            ElementName="CD/DVD drive",
            HostResource=f"ovf:/file/{image}" if image else None,
            Parent=controller,
            ResourceSubType=_CD if image else _EMPTY_CD,
        )
