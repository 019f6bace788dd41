"""What a machine becomes when it is written as OVF: importers want things said that other packages leave open.

A machine that was read from what we wrote is equal to the one that was settled, and settling that one changes nothing.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from typing import TYPE_CHECKING

from xenimage.containers.ovf.layout import CPUS_MAX, DISK
from xenimage.containers.ovf.machines import UUID, mode, pairs
from xenimage.exceptions import UsageError
from xenimage.model.machine import ProductProperty
from xenimage.units import GIB, MIB

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from xenimage.model.machine import Machine, MachineDisk, Nic, Product

NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""what cannot stand in a document of XML 1.0, escaped or not"""
PLAIN = re.compile(r"[A-Za-z0-9_.:-]{1,80}")
"""an identifier that every reader takes as it is"""
_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")
_DEFAULT_MEMORY = 1 * GIB
_DEFAULT_CARD = "E1000"
"""without a word VMware chooses a card that few systems still have a driver for"""
_DEFAULT_NETWORK = "VM Network"
_OTHER = 1
"""CIM_OperatingSystem.OSType of a system that has no number"""
_LARGEST_OS = 0xFFFF
MODELS = {"ide": "PIIX4", "scsi": "lsilogic", "sata": "vmware.sata.ahci", "nvme": "vmware.nvme.controller",
          "virtio": "virtio-scsi"}  # fmt: skip
"""buses that are written, with the model of a controller where none is said"""
DEFAULT_BUS = "scsi"
"""for a disk without one, or on Xen's own: what has no controller is passed over by most importers"""
_UNITS = {"ide": range(2), "scsi": (*range(7), *range(8, 16)), "sata": range(30), "nvme": range(15),
          "virtio": (*range(7), *range(8, 16))}  # fmt: skip
"""places on a controller; 7 is the SCSI controller's own"""
_BOOT_POLICIES = {"hvm": "BIOS order", "xen": ""}
_XEN_TYPES = {"hvm": "hvm-3.0-unknown", "xen": "xen-3.0-unknown"}


def cleaned(text: str) -> str:
    """*text* with what XML cannot hold replaced by U+FFFD, and without blanks around it."""
    return NO_XML.sub("\ufffd", text).strip()


def settle(machine: Machine) -> Machine:
    """Fill in what is left open, and leave out what has no place in an OVF: other hardware, the MTU of a card.

    :raises UsageError: two disks of one identifier.
    """
    settings = _settings(machine)
    disks = _disks(machine.disks)
    text = cleaned(machine.annotation) or cleaned(machine.description)
    types = _types(machine, settings, disks)
    return dataclasses.replace(
        machine,
        name=cleaned(machine.name) or cleaned(machine.identifier) or "machine",
        description=text,
        annotation=text,
        uuid=machine.uuid.lower() if UUID.fullmatch(machine.uuid.lower()) else "",
        cpus=machine.cpus or 1,
        cpus_max=machine.cpus_max if (machine.cpus_max or 0) > (machine.cpus or 1) else None,
        cores_per_socket=machine.cores_per_socket or None,
        memory=max(MIB, (machine.memory or _DEFAULT_MEMORY) // MIB * MIB),
        firmware=machine.firmware or _firmware(settings),
        secure_boot=_secure_boot(machine, settings),
        vm_mode=mode(types, settings),
        os_id=_os_id(machine),
        os_name=cleaned(machine.os_name),
        disks=disks,
        nics=tuple(_nic(number, nic) for number, nic in enumerate(machine.nics, 1)),
        products=tuple(_products(machine.products)),
        eulas=tuple(text for each in machine.eulas if (text := cleaned(each))),
        virtual_system_types=types,
        transport=tuple(" ".join(map(cleaned, machine.transport)).replace(",", " ").split()),
        settings=settings,
        ignored=(),
    )


def lost(machine: Machine) -> int:
    """How many characters of its texts XML cannot hold."""
    texts: list[str] = [machine.name, machine.description, machine.annotation, machine.os_name, *machine.eulas]
    texts += [text for each in machine.products for text in (each.name, each.vendor, each.version, each.url)]
    texts += [text for each in machine.products for pair in each.properties for text in pair]
    declared = [each for product in machine.products for each in product.declared]
    texts += [text for each in declared for text in (each.label, each.description)]
    texts += [text for pair in machine.settings.items() for text in pair]
    texts += [text for each in machine.nics for text in (each.network, each.label, each.model)]
    texts += [disk.label for disk in machine.disks]
    return sum(len(NO_XML.findall(text)) for text in texts)


# The machine itself


def _settings(machine: Machine) -> dict[str, str]:
    settings: dict[str, str] = {}
    for name, value in machine.settings.items():
        key = cleaned(name).replace("-", "_")
        if key and key != CPUS_MAX:
            settings.setdefault(key, cleaned(value))
    if machine.vm_mode and "HVM_boot_policy" in settings and mode((), settings) != machine.vm_mode:
        settings["HVM_boot_policy"] = _BOOT_POLICIES.get(machine.vm_mode, "")
    return settings


def _types(machine: Machine, settings: Mapping[str, str], disks: Iterable[MachineDisk]) -> tuple[str, ...]:
    """What hypervisors it is for. VMware takes it if one of them is its own, and nobody minds the others."""
    types = " ".join(cleaned(each) for each in machine.virtual_system_types).replace(",", " ").split()
    wanted = machine.vm_mode or mode((), settings)
    if wanted and mode(tuple(types), {}) != wanted:
        types = [_XEN_TYPES[wanted], *types]
    if mode(tuple(types), settings) != "xen" and not any(each.startswith("vmx-") for each in types):
        types.append(_vmware(machine, disks))
    return tuple(types)


def _vmware(machine: Machine, disks: Iterable[MachineDisk]) -> str:
    """The oldest of VMware's that has what the machine needs; 10 is that of ESXi 5.5, the first with SATA."""
    if machine.tpm:
        return "vmx-14"
    return "vmx-13" if machine.secure_boot or any(disk.bus == "nvme" for disk in disks) else "vmx-10"


def _firmware(settings: Mapping[str, str]) -> str:
    said = pairs(settings.get("HVM_boot_params", "")).get("firmware", "").lower()
    return {"uefi": "uefi", "efi": "uefi", "bios": "bios"}.get(said, "")


def _secure_boot(machine: Machine, settings: Mapping[str, str]) -> bool | None:
    if machine.secure_boot is not None:
        return machine.secure_boot
    said = pairs(settings.get("platform", "")).get("secureboot", "")
    return said.lower() in ("true", "1", "yes", "on") if said else None


def _os_id(machine: Machine) -> int | None:
    if machine.os_id is not None and 0 <= machine.os_id <= _LARGEST_OS:
        return machine.os_id
    return _OTHER if cleaned(machine.os_name) or machine.os_id is not None else None


def _products(products: Iterable[Product]) -> Iterator[Product]:
    """Tell each from the others: no two may have one class and instance."""
    known: set[tuple[str, str]] = set()
    for number, product in enumerate(products, 1):
        kind, instance = cleaned(product.key_class), cleaned(product.key_instance)
        if (kind, instance) in known:
            instance = next(each for count in itertools.count(number) if (kind, each := str(count)) not in known)
        known.add((kind, instance))
        declared = _declared(product)
        yield dataclasses.replace(
            product,
            name=cleaned(product.name),
            vendor=cleaned(product.vendor),
            version=cleaned(product.version),
            url=cleaned(product.url),
            key_class=kind,
            key_instance=instance,
            properties=tuple((each.key, each.value) for each in declared),
            passwords=tuple(_passwords(declared, product)),
            declared=declared,
        )


def _passwords(declared: Iterable[ProductProperty], product: Product) -> Iterator[str]:
    keys = {NO_XML.sub("\ufffd", key) for key in product.passwords}
    return (each.key for each in declared if each.key in keys or each.type.lower().startswith("password"))


def _declared(product: Product) -> tuple[ProductProperty, ...]:
    """All properties in full, with the values that they have, each once."""
    known = {each.key: each for each in product.declared}
    properties: dict[str, ProductProperty] = {}
    for name, value in product.properties:
        key = NO_XML.sub("\ufffd", name)
        plain = known.get(name) or ProductProperty(key=key, user_configurable=True)
        if key and key not in properties:
            properties[key] = dataclasses.replace(
                plain,
                key=key,
                value=NO_XML.sub("\ufffd", value),
                type=cleaned(plain.type) or "string",
                qualifiers=NO_XML.sub("\ufffd", plain.qualifiers),
                label=cleaned(plain.label),
                description=cleaned(plain.description),
            )
    return tuple(properties.values())


# Devices


def _nic(number: int, nic: Nic) -> Nic:
    mac = nic.mac.lower()
    return dataclasses.replace(
        nic,
        network=cleaned(nic.network) or _DEFAULT_NETWORK,
        # XenServer calls its cards 0, 1 and so on.
        label=cleaned(nic.label if not nic.label.isdecimal() else "") or f"Network adapter {number}",
        mac=mac if _MAC.fullmatch(mac) else "",
        model=cleaned(nic.model) or _DEFAULT_CARD,
        mtu=None,
    )


def _disks(disks: tuple[MachineDisk, ...]) -> tuple[MachineDisk, ...]:
    """Give each a controller and a place of its own there, and keep the first one first."""
    if len({disk.identifier for disk in disks}) < len(disks):
        raise UsageError("two disks of one identifier", expected="one of its own for each")
    taken: set[tuple[str, int, int]] = set()
    placed: dict[int, MachineDisk] = {}
    # Those that say where they are come first: the others get what is left.
    for place, disk in sorted(enumerate(disks), key=lambda pair: pair[1].bus not in MODELS):
        placed[place] = _placed(place + 1, disk, taken)
    settled = [placed[place] for place in range(len(disks))]
    ordered = sorted(settled, key=_order)
    if ordered[:1] != settled[:1]:
        first = dataclasses.replace(settled[0], bootable=True)
        others = (dataclasses.replace(each, bootable=False) for each in settled[1:])
        ordered = [first, *sorted(others, key=_order)]
    return tuple(ordered)


def _order(disk: MachineDisk) -> tuple[bool, tuple[int, int]]:
    """The order in which a descriptor's disks are read."""
    return not disk.bootable, disk.address


def _placed(number: int, disk: MachineDisk, taken: set[tuple[str, int, int]]) -> MachineDisk:
    bus = disk.bus if disk.bus in MODELS else DEFAULT_BUS
    address = disk.address if disk.bus in MODELS else (0, 0)
    if disk.bus not in MODELS or (bus, *address) in taken or address[1] not in _UNITS[bus]:
        address = next(free for free in _places(bus, address[0]) if (bus, *free) not in taken)
    taken.add((bus, *address))
    return dataclasses.replace(
        disk,
        label=cleaned(disk.label) or f"Hard disk {number}",
        resource_type=DISK,
        bus=bus,
        bus_model=_model(bus, cleaned(disk.bus_model)) if disk.bus == bus else MODELS[bus],
        address=address,
    )


def _places(bus: str, first: int) -> Iterator[tuple[int, int]]:
    return ((controller, unit) for controller in itertools.count(first) for unit in _UNITS[bus])


def _model(bus: str, said: str) -> str:
    """The model of a controller, unless it would be read as one of another bus."""
    lower = said.lower()
    fits = {
        "virtio": "virtio" in lower,
        "nvme": "nvme" in lower,
        "sata": "nvme" not in lower,
    }.get(bus, "virtio" not in lower)
    return said if said and fits else MODELS[bus]
