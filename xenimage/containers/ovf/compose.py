"""The descriptor of machines from anywhere: an envelope of OVF 1.1. Source: DSP0243 1.1, DSP8023 1.1.1.

VMware's and VirtualBox's importers, and XenCenter, were the measure where the standard leaves a choice. What only they
know stands where the schema lets foreign elements be, and says that nobody needs to understand it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lxml import etree

from xenimage.containers.ovf.build import attributes, child, ovf
from xenimage.containers.ovf.layout import CITRIX, CPUS_MAX, ENVELOPE, RASD, VMWARE, VSSD
from xenimage.containers.ovf.machines import UUID
from xenimage.containers.ovf.newhardware import Devices
from xenimage.containers.ovf.settle import NO_XML, PLAIN, settle
from xenimage.exceptions import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lxml.etree import _Element as Element

    from xenimage.model.machine import Machine, MachineDisk, Network, PackageFile, Product, ProductProperty

_SPACES = {
    None: ENVELOPE,
    "ovf": ENVELOPE,
    "rasd": RASD,
    "vssd": VSSD,
    "vmw": VMWARE,
    "xenovf": CITRIX,
    "xsi": "http://www.w3.org/2001/XMLSchema-instance",
}
_VERSION = "1.0"
"""DSP0243 1.x has no attribute for it, and VirtualBox, which made it up, knows this one for the namespace"""
_OS_TYPE = re.compile(r"[A-Za-z0-9_]{1,60}Guest(?:64)?")
"""VMware's names of guests; another one there is refused"""
_TEXTS = {
    "HVM_boot_params": "HVM Boot Parameters",
    "HVM_boot_policy": "Boot Order: CD/DVD - Network - Disk",
    "platform": "XenServer Platform Information",
    "NVRAM": "Non-Volatile Random-Access Memory",
}
"""what XenCenter says of its settings"""
_SETTING = "XenServer Specific Information"


def compose(
    machines: Sequence[Machine],
    files: Sequence[PackageFile] = (),
    networks: Sequence[Network] = (),
    name: str = "",
) -> bytes:
    """Describe *machines*. The same values give the same bytes.

    :param machines: they are settled first, see :func:`xenimage.containers.ovf.settle.settle`. Each disk says its
        capacity; one without a file comes without content.
    :param networks: what is known of networks beside their names.
    :param name: of the package, where it has several machines.
    :raises UsageError: no machine, a disk without a capacity, two machines or disks of one machine with one identifier.
    """
    if not machines:
        raise UsageError("no machine", expected="one at least, for an OVF")
    settled = [settle(machine) for machine in machines]
    root = etree.Element(ovf("Envelope"), nsmap=_SPACES)  # type: ignore[arg-type]
    attributes(root, version=_VERSION)
    _references(root, files)
    disks = _disks(settled)
    identifiers = _disk_section(root, disks)
    _network_section(root, settled, networks)
    content = root if len(settled) == 1 else _collection(root, name)
    for machine, identifier in zip(settled, _identifiers(settled, content), strict=True):
        _machine(content, machine, identifier, identifiers)
    etree.indent(root)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8") + b"\n"


def _references(root: Element, files: Iterable[PackageFile]) -> None:
    references = child(root, "References")
    for file in files:
        element = attributes(child(references, "File"), id=file.identifier, href=file.name, size=file.size)
        attributes(element, compression=file.compression or None, chunkSize=file.chunk_size)


# Disks and networks


def _disks(machines: Iterable[Machine]) -> dict[str, MachineDisk]:
    """All disks by their identifier; those that several machines share stand there once."""
    disks: dict[str, MachineDisk] = {}
    for disk in (disk for machine in machines for disk in machine.disks):
        if not disk.capacity:
            raise UsageError(f"the disk {disk.identifier!r} has no size", expected="the capacity of each disk")
        disks.setdefault(disk.identifier, disk)
    return disks


def _disk_section(root: Element, disks: Mapping[str, MachineDisk]) -> dict[str, str]:
    """Describe the disks; their ids by the identifier that they have here."""
    taken = {name for name in disks if PLAIN.fullmatch(name)}
    free = (name for number in range(1, 2 * len(disks) + 1) if (name := f"vmdisk{number}") not in taken)
    identifiers = {name: name if name in taken else next(free) for name in disks}
    if not disks:
        return identifiers
    section = child(root, "DiskSection")
    child(section, "Info", "Virtual disk information")
    # A parent stands in front of what belongs over it: ovftool wants it so.
    for disk in sorted(disks.values(), key=lambda disk: _depth(disk, disks)):
        element = attributes(
            child(section, "Disk"),
            diskId=identifiers[disk.identifier],
            fileRef=disk.file or None,
            capacity=disk.capacity,
            capacityAllocationUnits="byte",
            format=NO_XML.sub("\ufffd", disk.format) or None,
            populatedSize=disk.populated,
            parentRef=identifiers.get(disk.parent) if disk.parent else None,
        )
        if disk.bootable:
            element.set(f"{{{CITRIX}}}isBootable", "true")
    return identifiers


def _depth(disk: MachineDisk, disks: Mapping[str, MachineDisk]) -> int:
    depth = 0
    while disk.parent and disk.parent in disks and depth <= len(disks):
        disk, depth = disks[disk.parent], depth + 1
    if depth > len(disks):
        raise UsageError(f"the disk {disk.identifier!r} belongs over itself", expected="a chain with an end")
    return depth


def _network_section(root: Element, machines: Sequence[Machine], networks: Iterable[Network]) -> None:
    known = {NO_XML.sub("\ufffd", network.name).strip(): network.description for network in networks}
    known |= {nic.network: known.get(nic.network, "") for machine in machines for nic in machine.nics}
    known.pop("", None)
    if not known:
        return
    section = child(root, "NetworkSection")
    child(section, "Info", "The list of logical networks")
    for name, description in known.items():
        element = attributes(child(section, "Network"), name=name)
        child(element, "Description", NO_XML.sub("\ufffd", description))


# Machines


def _collection(root: Element, name: str) -> Element:
    collection = attributes(child(root, "VirtualSystemCollection"), id="collection")
    child(collection, "Info", "A collection of virtual machines")
    if name:
        child(collection, "Name", NO_XML.sub("\ufffd", name))
    return collection


def _identifiers(machines: Sequence[Machine], content: Element) -> list[str]:
    """Ids of machines: their own, where they are plain and nobody else has them."""
    own = [machine.identifier for machine in machines]
    if len(set(own)) < len(own):
        raise UsageError("two machines of one identifier", expected="one of its own for each")
    taken = {*own, content.get(ovf("id")) or ""}
    free = (name for number in range(1, 2 * len(own) + 2) if (name := f"vm{number}") not in taken)
    return [name if PLAIN.fullmatch(name) and name != content.get(ovf("id")) else next(free) for name in own]


def _machine(parent: Element, machine: Machine, identifier: str, disks: Mapping[str, str]) -> None:
    system = attributes(child(parent, "VirtualSystem"), id=identifier)
    child(system, "Info", "A virtual machine")
    child(system, "Name", machine.name)
    if machine.annotation:
        section = child(system, "AnnotationSection")
        child(section, "Info", "A human-readable annotation")
        child(section, "Annotation", machine.annotation)
    for product in machine.products:
        _product(system, product)
    for text in machine.eulas:
        section = child(system, "EulaSection")
        child(section, "Info", "License Agreement")
        child(section, "License", text)
    _operating_system(system, machine)
    _hardware(system, machine, identifier, disks)


def _product(system: Element, product: Product) -> None:
    section = child(system, "ProductSection")
    attributes(section, **{"class": product.key_class or None, "instance": product.key_instance or None})
    child(section, "Info", "Information about the installed software")
    for name, text in (("Product", product.name), ("Vendor", product.vendor), ("Version", product.version)):
        if text:
            child(section, name, text)
    if product.url:
        child(section, "ProductUrl", product.url)
    passwords = frozenset(product.passwords)
    for each in product.declared:
        _property(section, each, password=each.key in passwords)


def _property(section: Element, each: ProductProperty, *, password: bool) -> None:
    element = attributes(
        child(section, "Property"),
        key=each.key,
        type=each.type,
        value=each.value,
        qualifiers=each.qualifiers or None,
        userConfigurable=str(each.user_configurable).lower(),
        password="true" if password else None,
    )
    if each.label:
        child(element, "Label", each.label)
    if each.description:
        child(element, "Description", each.description)


def _operating_system(system: Element, machine: Machine) -> None:
    if machine.os_id is None:
        return
    section = attributes(child(system, "OperatingSystemSection"), id=machine.os_id)
    if _OS_TYPE.fullmatch(machine.os_name):
        section.set(f"{{{VMWARE}}}osType", machine.os_name)
    child(section, "Info", "The kind of installed guest operating system")
    if machine.os_name:
        child(section, "Description", machine.os_name)


def _hardware(system: Element, machine: Machine, identifier: str, disks: Mapping[str, str]) -> None:
    section = attributes(child(system, "VirtualHardwareSection"), transport=" ".join(machine.transport) or None)
    child(section, "Info", "Virtual hardware requirements")
    setting = child(section, "System")
    # VMware has the name of the machine here, and XO takes it for that.
    for name, text in (
        ("ElementName", "Virtual Hardware Family"),
        ("InstanceID", "0"),
        ("VirtualSystemIdentifier", machine.uuid or ("" if UUID.search(machine.name.lower()) else machine.name)),
        ("VirtualSystemType", " ".join(machine.virtual_system_types)),
    ):
        etree.SubElement(setting, f"{{{VSSD}}}{name}").text = text
    Devices(section, disks).add(machine)
    if machine.firmware:
        _config(section, "firmware", {"uefi": "efi"}.get(machine.firmware, machine.firmware))
    if machine.secure_boot is not None:
        _config(section, "bootOptions.efiSecureBootEnabled", str(machine.secure_boot).lower())
    _settings(section, machine, identifier)


def _config(section: Element, key: str, value: str) -> None:
    element = attributes(etree.SubElement(section, f"{{{VMWARE}}}Config"), required="false")
    element.set(f"{{{VMWARE}}}key", key)
    element.set(f"{{{VMWARE}}}value", value)


def _settings(section: Element, machine: Machine, identifier: str) -> None:
    """Xen's own settings, in the form that XenCenter reads."""
    settings = dict(machine.settings)
    if machine.cpus_max is not None:
        settings[CPUS_MAX] = str(machine.cpus_max)
    for number, (name, value) in enumerate(settings.items(), 1):
        element = etree.SubElement(section, f"{{{CITRIX}}}VirtualSystemOtherConfigurationData")
        attributes(element, required="false")
        element.set("Name", name)
        element.set("id", f"{identifier}-setting{number}")
        etree.SubElement(element, f"{{{CITRIX}}}Info").text = _TEXTS.get(name, _SETTING)
        etree.SubElement(element, f"{{{CITRIX}}}Value").text = value
