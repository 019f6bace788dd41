"""The hardware of a machine: processors, memory, disks, cards. Source: DSP0243 1.1, 8; DSP1041; XenCenter's source."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from xenimage.containers.ovf import layout
from xenimage.containers.ovf.envelope import attribute, children, is_ovf, local
from xenimage.containers.ovf.kinds import found
from xenimage.containers.ovf.references import applies
from xenimage.containers.ovf.units import factor, number
from xenimage.model.machine import MachineDisk, Nic
from xenimage.units import MIB

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lxml.etree import _Element as Element

    from xenimage.containers.ovf.envelope import Envelope
    from xenimage.containers.ovf.references import Files
    from xenimage.model.machine import Network

ITEMS = ("Item", "StorageItem", "EthernetPortItem")
_RESOURCE = re.compile(r"(?:ovf:)?/{1,2}(disk|file)/(.{1,1024})")
_DEVICE = re.compile(r"device=([0-9]{1,3})\b", re.ASCII)
_NETWORK = re.compile(r"(?:Xen)?network=", re.IGNORECASE)
_MAC = re.compile(r"[0-9a-f]{12}")
_NO_DISK = ("COM", "FLOPPY", "ISO", "DISPLAY")
"""in the caption of a storage extent that is none, as XenCenter has it"""
_NO_LIMIT = 1 << 62
_SMALL = 16 * MIB
"""a number below this is no memory in bytes"""
_DRIVES = frozenset({layout.DISK, layout.EXTENT, layout.LOGICAL_DISK, layout.VOLUME})
_BUSES = {layout.IDE: "ide", layout.SCSI: "scsi"}


class Item:
    """One item: its fields by their names in lower case, for drafts and versions differ in them."""

    def __init__(self, envelope: Envelope, element: Element) -> None:
        self.element = element
        self.fields: dict[str, str] = {}
        self.connections: list[str] = []
        for each in element:
            name = local(each).lower()
            text = envelope.text(each)
            if name == "connection":
                self.connections.append(text)
            else:
                self.fields.setdefault(name, text)
        self.instance = self.fields.get("instanceid", "")
        self.type = self._type()
        self.label = self.fields.get("elementname") or self.fields.get("caption", "")

    def _type(self) -> int | None:
        said = self.fields.get("resourcetype", "")
        if not said and local(self.element) != "Item":
            return layout.VOLUME if local(self.element) == "StorageItem" else layout.ETHERNET
        value = number(said)
        return value if value is not None and value < 1 << 16 else None

    def number(self, name: str) -> int | None:
        """A number among the fields; None where it is absent or none."""
        value = number(self.fields.get(name, ""))
        return value if value is not None and value < _NO_LIMIT else None

    @property
    def is_disk(self) -> bool:
        """Whether it is a disk: VMware says 17, Citrix 19, and its converter for Hyper-V 21."""
        caption = self.fields.get("caption", "").upper()
        if self.type == layout.SERIAL:
            return "HARD DISK IMAGE" in caption
        if self.type == layout.EXTENT and any(word in caption for word in _NO_DISK):
            return False
        return self.type in _DRIVES


@dataclasses.dataclass(kw_only=True)
class Hardware:
    """What a machine has."""

    cpus: int | None = None
    cores_per_socket: int | None = None
    memory: int | None = None
    memory_number: int | None = None
    tpm: bool = False
    disks: tuple[MachineDisk, ...] = ()
    nics: tuple[Nic, ...] = ()
    cdroms: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


class HardwareReader:
    """Reads the items of one VirtualHardwareSection.

    :param machine: its name, for findings.
    """

    def __init__(
        self,
        envelope: Envelope,
        machine: str,
        files: Files,
        disks: Mapping[str, MachineDisk],
        networks: Mapping[str, Network],
    ) -> None:
        self._envelope = envelope
        self._notes = envelope.notes
        self._machine = machine
        self._files = files
        self._disks = disks
        self._networks = networks

    def read(self, section: Element, deployment: str) -> Hardware:
        """Read what is there in the deployment that was chosen."""
        items = self._items(section, deployment)
        controllers = {item.instance: item for item in items if item.type in (layout.IDE, layout.SCSI, 20)}
        ignored = [name for item in items if (name := self._ignored(item))]
        return Hardware(
            cpus=self._cpus(items),
            cores_per_socket=self._cores(items),
            memory=self._memory(items),
            memory_number=_only([item.number("virtualquantity") for item in items if item.type == layout.MEMORY]),
            tpm=any("vtpm" in item.fields.get("resourcesubtype", "").lower() for item in items),
            disks=self._drives(items, controllers),
            nics=tuple(self._nic(item) for item in items if item.type == layout.ETHERNET),
            cdroms=tuple(self._image(item) for item in items if item.type in (layout.CD, layout.DVD)),
            ignored=tuple(dict.fromkeys(ignored)),
        )

    def _items(self, section: Element, deployment: str) -> list[Item]:
        """The items that apply. One for the deployment stands in for one of the same id that is for all."""
        chosen: dict[str, Item] = {}
        plain: set[str] = set()
        ranges: dict[int | None, list[str]] = {}
        for count, element in enumerate(children(section, *ITEMS)):
            item = Item(self._envelope, element)
            bound = attribute(element, "bound") or "normal"
            if bound != "normal":
                ranges.setdefault(item.type, []).append(bound)
                self._judge_range(item)
                continue
            if not applies(element, deployment):
                continue
            key = item.instance or f" {count}"
            special = bool(attribute(element, "configuration"))
            if key in chosen and special == (key not in plain):
                self._notes.add(found("identifier", "instance", identifier=item.instance, element="Item"))
                key = f"{key} {count}"
            elif key in chosen and not special:
                continue
            if not special:
                plain.add(key)
            chosen[key] = item
        self._judge_ranges(ranges, {item.type for item in chosen.values()})
        return list(chosen.values())

    def _judge_range(self, item: Item) -> None:
        if item.number("virtualquantity") is None:
            self._notes.add(found("item", "bound", machine=self._machine, type=item.type))

    def _judge_ranges(self, ranges: Mapping[int | None, list[str]], normal: set[int | None]) -> None:
        for kind, bounds in ranges.items():
            if len(bounds) != len(set(bounds)) or kind not in normal:
                self._notes.add(found("item", "bound", machine=self._machine, type=kind))

    def _ignored(self, item: Item) -> str:
        """How it is called if it is left out; empty if it is not."""
        self._judge_unknown(item)
        if item.type is None:
            said = item.fields.get("resourcetype", "")
            self._notes.add(found("item", "type", machine=self._machine, type=said))
            return "device of no type"
        if item.is_disk or item.type in (layout.CPU, layout.MEMORY, layout.IDE, layout.SCSI, layout.ETHERNET):
            return ""
        if item.type in (layout.CD, layout.DVD, layout.OTHER_STORAGE, layout.EXTENT):
            return ""
        if item.type == 1 and "vtpm" in item.fields.get("resourcesubtype", "").lower():
            return ""
        known = layout.HARDWARE.get(item.type)
        if known is None and (attribute(item.element, "required") or "true").lower() in ("true", "1"):
            self._notes.add(found("item", machine=self._machine, type=item.type))
        return known or f"device of the type {item.type}"

    def _judge_unknown(self, item: Item) -> None:
        for each in item.element:
            if not is_ovf(each) and (attribute(each, "required") or "").lower() in ("true", "1"):
                self._notes.add(found("structure", "unknown", parent="Item", element=local(each)))

    # Processors and memory

    def _cpus(self, items: list[Item]) -> int | None:
        found_ones = [item for item in items if item.type == layout.CPU]
        amounts = [item.number("virtualquantity") for item in found_ones]
        total = sum(amount or 0 for amount in amounts)
        if not total or None in amounts or total > 1 << 16:
            value = ", ".join(item.fields.get("virtualquantity", "") for item in found_ones)
            self._notes.add(found("cpu", machine=self._machine, value=value))
            return None
        return total

    def _cores(self, items: list[Item]) -> int | None:
        for item in items:
            if item.type == layout.CPU and item.number("corespersocket"):
                return item.number("corespersocket")
        return None

    def _memory(self, items: list[Item]) -> int | None:
        total = 0
        for item in items:
            if item.type != layout.MEMORY:
                continue
            amount, units = item.number("virtualquantity"), item.fields.get("allocationunits", "")
            unit = factor(units) if units else MIB if (amount or 0) < _SMALL else 1
            if not amount or unit is None:
                value = item.fields.get("virtualquantity", "")
                self._notes.add(found("memory", machine=self._machine, value=value, units=units))
                return None
            if not units:
                self._notes.add(found("memory", "units", machine=self._machine, value=amount, units=""))
            total += amount * unit
        if not 0 < total < _NO_LIMIT:
            self._notes.add(found("memory", machine=self._machine, value="", units=""))
            return None
        return total

    # Disks

    def _drives(self, items: list[Item], controllers: Mapping[str, Item]) -> tuple[MachineDisk, ...]:
        drives = [disk for item in items if item.is_disk and (disk := self._disk(item, controllers))]
        return tuple(sorted(drives, key=lambda disk: (not disk.bootable, disk.address)))

    def _disk(self, item: Item, controllers: Mapping[str, Item]) -> MachineDisk | None:
        connection = item.connections[0] if item.connections else ""
        disk = self._named(item, connection)
        if disk is None:
            return None
        controller = controllers.get(item.fields.get("parent", ""))
        device = _DEVICE.search(connection)
        unit = item.number("addressonparent")
        return dataclasses.replace(
            disk,
            label=item.label,
            bus=_bus(controller) if controller else "",
            bus_model=controller.fields.get("resourcesubtype", "") if controller else "",
            address=(_address(controller), min(int(device[1]) if device else unit or 0, 1 << 16)),
            resource_type=item.type,
            bootable=disk.bootable or "bootable=true" in connection.lower(),
            read_only="mode=r," in f"{connection},",
        )

    def _named(self, item: Item, connection: str) -> MachineDisk | None:
        """The disk that an item is for: by its HostResource, or, as Citrix has it, by its Connection."""
        said = item.fields.get("hostresource", "")
        match = _RESOURCE.fullmatch(said)
        if match and match[1] == "file":
            identifier = _known(match[2], self._files.files, self._files.refused)
            if identifier:
                return MachineDisk(identifier=identifier, file=identifier)
        candidates = [match[2]] if match else []
        candidates += [connection.partition(",")[0], item.instance] if not said else []
        for candidate in candidates:
            identifier = _known(candidate, self._disks)
            if identifier:
                return self._disks[identifier]
        if said:
            element = f"the disk drive {item.label or item.instance!r}"
            self._notes.add(found("reference", attribute="HostResource", element=element, target=said))
        else:
            self._notes.add(found("disk.unattached", machine=self._machine))
        return None

    def _image(self, item: Item) -> str:
        """Id of the file in a CD drive; empty for none."""
        match = _RESOURCE.fullmatch(item.fields.get("hostresource", ""))
        if match is None:
            return ""
        if match[1] == "file":
            return _known(match[2], self._files.files)
        identifier = _known(match[2], self._disks)
        return self._disks[identifier].file if identifier else ""

    # Cards

    def _nic(self, item: Item) -> Nic:
        network = item.connections[0] if item.connections else ""
        if network not in self._networks:
            prefix = _NETWORK.match(network)
            network = network[prefix.end() :] if prefix else network
        if network and network not in self._networks:
            self._notes.add(found("network", machine=self._machine, name=network))
        mac = re.sub(r"[:.\-\s]", "", item.fields.get("address", "").lower())
        return Nic(
            network=network,
            label=item.label,
            mac=":".join(mac[at : at + 2] for at in range(0, 12, 2)) if _MAC.fullmatch(mac) else "",
            model=item.fields.get("resourcesubtype", ""),
        )


def _known(said: str, *tables: Mapping[str, object]) -> str:
    """The id as it stands in one of *tables*, literally or decoded; empty if it is in none."""
    for spelling in (said, unquote(said)):
        if spelling and any(spelling in table for table in tables):
            return spelling
    return ""


def _only(numbers: list[int | None]) -> int | None:
    return numbers[0] if len(numbers) == 1 else None


def _bus(controller: Item) -> str:
    if controller.type in _BUSES:
        model = controller.fields.get("resourcesubtype", "").lower()
        return "virtio" if "virtio" in model else _BUSES[controller.type]
    return "nvme" if "nvme" in controller.fields.get("resourcesubtype", "").lower() else "sata"


def _address(controller: Item | None) -> int:
    if controller is None:
        return 0
    address = controller.number("address")
    return min(address if address is not None else controller.number("busnumber") or 0, 1 << 16)
