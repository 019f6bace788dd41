"""``ova.xml`` of machines from anywhere. Nothing in it depends on the disks' content, which follows it."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import re
from typing import TYPE_CHECKING

from xenimage.containers.xva import records
from xenimage.containers.xva.layout import CHUNK, NULL
from xenimage.containers.xva.xmlrpc import Real, Value, dump
from xenimage.exceptions import UsageError
from xenimage.units import GIB, SECTOR, round_up

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from xenimage.containers.xva.records import Fields
    from xenimage.model.machine import Machine, MachineDisk, Network

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")
_DEFAULT_MEMORY = 1 * GIB
_PLATFORM = {"nx": "true", "acpi": "1", "apic": "true", "pae": "true", "stdvga": "0"}
"""what XenCenter gives a machine of which nothing is known"""
_BOOT_ORDER = "dc"
_TEXTS = (
    "PV_args", "PV_bootloader", "PV_bootloader_args", "PV_kernel", "PV_legacy_args", "PV_ramdisk",
    "hardware_platform_version", "recommendations", "reference_label", "order", "start_delay", "shutdown_delay",
)  # fmt: skip
_CD_DEVICE = 3
"""where XenServer's own templates have the CD drive"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stored:
    """A disk as it is to be stored."""

    reference: str
    identifier: str
    """the :class:`xenimage.model.machine.MachineDisk`'s"""
    size: int
    """bytes, whole sectors"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Description:
    """``ova.xml``, and the disks in the order in which they have to follow it."""

    xml: bytes
    disks: tuple[Stored, ...]


def compose(machines: Sequence[Machine], sizes: Mapping[str, int], networks: Sequence[Network] = ()) -> Description:
    """Describe *machines*.

    :param sizes: bytes of the disks to be stored, by their identifier; other disks are left out.
    :param networks: what is known of the networks beside their names.
    :raises UsageError: no machine, or two disks or machines of one identifier.
    """
    if not machines:
        raise UsageError("no machine", expected="one at least, for an XVA")
    return _Composer(machines, sizes, networks).description()


class _Composer:
    def __init__(self, machines: Sequence[Machine], sizes: Mapping[str, int], networks: Sequence[Network]) -> None:
        self._machines = machines
        self._sizes = {name: round_up(size, SECTOR) for name, size in sizes.items()}
        self._networks = {network.name: network.description for network in networks}
        seed = repr([sorted(self._sizes.items()), *map(_identity, machines)])
        self._seed = hashlib.sha256(b"xenimage xva" + seed.encode(errors="surrogateescape")).digest()
        self._counter = itertools.count(1)
        # Padded, so that the order of the text, in which xapi reads the disks, is that of the numbers.
        devices = sum(2 * len(each.disks) + 2 * len(each.nics) + len(each.cdroms) + 1 for each in machines) + 1
        self._width = max(3, len(str(devices + len(networks))))
        self._objects: list[Value] = []

    def description(self) -> Description:
        disks = self._references()
        storage = self._next()
        cards: dict[str, list[Value]] = {}
        networks: dict[str, str] = {}
        for machine in self._machines:
            self._machine(machine, disks, storage, networks, cards)
        for name, reference in networks.items():
            text = self._networks.get(name, "")
            self._add("network", reference, records.network(self._uuid(reference), name, text, cards[name]))
        repository = records.repository(self._uuid(storage), [each.reference for each in disks.values()])
        self._add("SR", storage, repository)
        xml = dump({"version": records.VERSION, "objects": self._objects})
        return Description(xml=xml.encode(errors="replace"), disks=tuple(disks.values()))

    def _references(self) -> dict[str, Stored]:
        """Give each disk its place: xapi takes the length of the very first chunk for that of all."""
        described = [disk for machine in self._machines for disk in machine.disks if disk.identifier in self._sizes]
        names = [disk.identifier for disk in described]
        if len(set(names)) < len(names):
            raise UsageError("two disks of one identifier", expected="one of its own for each")
        names.sort(key=lambda name: self._sizes[name] < CHUNK)
        return {name: Stored(reference=self._next(), identifier=name, size=self._sizes[name]) for name in names}

    def _next(self) -> str:
        return f"Ref:{next(self._counter):0{self._width}d}"

    def _uuid(self, what: str) -> str:
        """The same for the same machines: version 8 of RFC 9562, for values of one's own making."""
        value = bytearray(hashlib.sha256(self._seed + what.encode()).digest()[:16])
        value[6] = value[6] & 0x0F | 0x80
        value[8] = value[8] & 0x3F | 0x80
        text = value.hex()
        return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))

    def _add(self, cls: str, reference: str, fields: Fields) -> None:
        self._objects.append({"class": cls, "id": reference, "snapshot": fields})

    # Machines

    def _machine(
        self,
        machine: Machine,
        disks: Mapping[str, Stored],
        storage: str,
        networks: dict[str, str],
        cards: dict[str, list[Value]],
    ) -> None:
        reference = self._next()
        uuid = machine.uuid.lower() if _UUID.fullmatch(machine.uuid) else self._uuid(reference)
        vm = records.vm(uuid, machine.memory or _DEFAULT_MEMORY) | _said(machine)
        self._add("VM", reference, vm)
        vm["VBDs"] = [*self._disks(machine, reference, disks, storage)]
        vm["VIFs"] = [*self._nics(machine, reference, networks, cards)]

    def _disks(self, machine: Machine, vm: str, disks: Mapping[str, Stored], storage: str) -> Iterator[str]:
        present = [disk for disk in machine.disks if disk.identifier in disks]
        numbers = _userdevices(present, len(machine.cdroms))
        bootable = any(disk.bootable for disk in present)
        for place, disk in enumerate(present):
            stored, drive = disks[disk.identifier], self._next()
            vbd = records.vbd(self._uuid(drive), vm, stored.reference, next(numbers), "Disk")
            vbd["bootable"] = disk.bootable if bootable else place == 0
            vbd["mode"] = "RO" if disk.read_only else "RW"
            vdi = records.vdi(self._uuid(stored.reference), storage, drive, stored.size)
            vdi["name_label"] = disk.label or f"{machine.name} disk {place}"
            vdi["physical_utilisation"] = str(stored.size if disk.populated is None else disk.populated)
            vdi["type"] = "system" if place == 0 else "user"
            self._add("VBD", drive, vbd)
            self._add("VDI", stored.reference, vdi)
            yield drive
        for _ in machine.cdroms:
            drive = self._next()
            self._add("VBD", drive, records.vbd(self._uuid(drive), vm, NULL, next(numbers), "CD"))
            yield drive

    def _nics(
        self, machine: Machine, vm: str, networks: dict[str, str], cards: dict[str, list[Value]]
    ) -> Iterator[str]:
        for number, nic in enumerate(machine.nics):
            reference = self._next()
            if nic.network not in networks:
                networks[nic.network] = self._next()
                cards[nic.network] = []
            cards[nic.network].append(reference)
            mac = nic.mac.lower()
            vif = records.vif(self._uuid(reference), vm, networks[nic.network], str(number))
            # 02: one's own address, of no maker.
            vif["MAC"] = mac if _MAC.fullmatch(mac) else self._own_mac(reference)
            vif["MTU"] = str(nic.mtu or 1500)
            self._add("VIF", reference, vif)
            yield reference

    def _own_mac(self, reference: str) -> str:
        digest = hashlib.sha256(self._seed + b"mac" + reference.encode()).digest()
        return ":".join(f"{byte:02x}" for byte in (0x02, *digest[:5]))


def _identity(machine: Machine) -> list[object]:
    """What tells a machine from others."""
    cards = [(nic.network, nic.mac) for nic in machine.nics]
    return [machine.identifier, machine.name, [disk.identifier for disk in machine.disks], cards]


def _userdevices(disks: Sequence[MachineDisk], drives: int) -> Iterator[str]:
    """Numbers of the drives: those that disks of Xen have already, or else one after the other."""
    own = [disk.address[1] for disk in disks]
    if all(disk.bus == "xen" for disk in disks) and len(set(own)) == len(own):
        numbers = own
    else:
        free = (number for number in itertools.count() if number != _CD_DEVICE or not drives)
        numbers = [next(free) for _ in disks]
    yield from map(str, numbers)
    for number in itertools.count(_CD_DEVICE):
        if number not in numbers:
            yield str(number)


def _said(machine: Machine) -> Fields:
    """What is known of a machine itself."""
    settings = machine.settings
    cpus = machine.cpus or 1
    fields: Fields = {
        "name_label": machine.name,
        "name_description": machine.description or machine.annotation,
        "VCPUs_at_startup": str(cpus),
        "VCPUs_max": str(max(machine.cpus_max or 0, cpus)),
        "platform": {**_platform(machine)},
        "NVRAM": {**split_mapping(settings.get("NVRAM", ""))},
        "has_vendor_device": settings.get("has_vendor_device") == "true",
        **_boot(machine),
    }
    fields |= {name: settings[name] for name in _TEXTS if name in settings}
    if "HVM_shadow_multiplier" in settings:
        fields["HVM_shadow_multiplier"] = Real(settings["HVM_shadow_multiplier"])
    if machine.os_name:
        fields["other_config"] = {"base_template_name": machine.os_name}
    return fields


def _boot(machine: Machine) -> Fields:
    if machine.vm_mode == "xen":
        bootloader = {} if machine.settings.get("PV_kernel") else {"PV_bootloader": "pygrub"}
        return {"HVM_boot_policy": "", "HVM_boot_params": {}, "domain_type": "pv", **bootloader}
    params = split_mapping(machine.settings.get("HVM_boot_params", "")) or {"order": _BOOT_ORDER}
    if machine.firmware == "uefi":
        params["firmware"] = "uefi"
    elif machine.firmware == "bios":
        params.pop("firmware", None)
    policy = machine.settings.get("HVM_boot_policy") or "BIOS order"
    return {"HVM_boot_policy": policy, "HVM_boot_params": {**params}, "domain_type": "hvm"}


def _platform(machine: Machine) -> dict[str, str]:
    platform = split_mapping(machine.settings.get("platform", "")) or dict(_PLATFORM)
    if machine.secure_boot is not None:
        platform["secureboot"] = "true" if machine.secure_boot else "false"
    cores, cpus = machine.cores_per_socket, machine.cpus or 1
    # xapi refuses to start a machine whose last socket would not be full.
    if cores and cpus % cores == 0:
        platform["cores-per-socket"] = str(cores)
    else:
        platform.pop("cores-per-socket", None)
    return platform


def split_mapping(text: str) -> dict[str, str]:
    """Take ``nx=true;acpi=1`` apart. What has no ``=`` is left out; old writers put blanks behind the semicolon."""
    pairs = (each.strip().partition("=") for each in text.split(";"))
    return {key: value for key, found, value in pairs if found and key}
