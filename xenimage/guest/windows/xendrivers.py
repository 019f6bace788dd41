r"""The Xen PV drivers: services, devices, packages, filters, and which device they take for their own.

Source: xcp-ng/win-xenbus, src/xenbus/fdo.c, src/xenfilt/driver.c, src/xen/unplug.c; Microsoft, device and driver
installation. Hardware ids are ``PCI\VEN_5853&DEV_0002&...`` for the bus, ``XENBUS\VEN_XN0002&DEV_VBD&...`` below it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from xenimage.guest.windows import packages, vendors
from xenimage.model.guest.xendrivers import (
    ActiveDevice,
    BoundDriver,
    ChildDevice,
    ClassFilter,
    DriverPackage,
    PciDevice,
    Precedence,
    Service,
    Unplug,
    XenDrivers,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from xenimage.guest.windows.registry import Registry

LEGACY = ("xenevtchn", "xevtchn", "xenutil", "xenlite", "xennet6", "scsifilt")
"""services of XenServer 6.0.2 and older that later releases do not have"""
DRIVERS = (
    "xen", "xenbus", "xenfilt", "xenvbd", "xendisk", "xencrsh", "xenvif", "xennet", "xeniface", "xencons", "xenvkbd",
    "xenhid", *LEGACY,
)  # fmt: skip
AGENTS = (
    "xenbus_monitor", "xencons_monitor", "XenSvc", "InstallAgent", "xenagent", "xenplusXN", "XenInstall",
    "XenPVInstall",
)  # fmt: skip
FILTERS = ("xenfilt", "scsifilt")

_CLASSES = {
    "System": "{4d36e97d-e325-11ce-bfc1-08002be10318}",
    "hdc": "{4d36e96a-e325-11ce-bfc1-08002be10318}",
    "SCSIAdapter": "{4d36e97b-e325-11ce-bfc1-08002be10318}",
    "Net": "{4d36e972-e325-11ce-bfc1-08002be10318}",
    "DiskDrive": "{4d36e967-e325-11ce-bfc1-08002be10318}",
}
_INSTALLING = ("System", "SCSIAdapter", "Net")
"""classes of the devices that Xen's drivers are for"""
_FILTERING = ("System", "hdc")
"""classes that the bus driver filters once it was active"""

_DEVICE = re.compile(r"VEN_5853&DEV_([0-9A-F]{4})", re.IGNORECASE)
_CHILD = re.compile(r"VEN_(X[SNP]|XCPng|[A-Z]+?)([0-9A-F]{4})?&DEV_([A-Z0-9]+)", re.IGNORECASE)
_ENOUGH = 256
"""devices of one kind that are kept; a guest has a dozen"""


def xen_drivers(registry: Registry) -> XenDrivers:
    """Read everything that is known of the PV drivers."""
    services = registry.services(DRIVERS, versions=True)
    devices, children = tuple(_devices(registry)), tuple(_children(registry))
    bound, staged = tuple(_bound(registry)), packages.xen_packages(registry)
    version = _bus_version(bound, staged, services)
    active = _active(registry, devices, children)
    ranks, ranks_key = _precedence(registry)
    return XenDrivers(
        generation=_generation(services, version, active),
        version=version,
        vendors=tuple(sorted(_vendors(children, bound, staged))),
        services=services,
        agents=registry.services(AGENTS),
        active=active,
        precedence=ranks,
        precedence_key=ranks_key,
        devices=devices,
        children=children,
        drivers=bound,
        packages=staged,
        filters=tuple(_filters(registry)),
        unplug=_unplug(registry),
    )


def _devices(registry: Registry) -> Iterator[PciDevice]:
    for device in registry.below(registry.current("Enum\\PCI")):
        match = _DEVICE.match(device.name)
        if not match:
            continue
        for instance in registry.below(device)[:_ENOUGH]:
            yield PciDevice(
                device=match[1].upper(),
                id=device.name,
                key=instance.path,
                service=registry.text(instance, "Service"),
                driver=registry.text(instance, "Driver"),
                config_flags=registry.integer(instance, "ConfigFlags") or 0,
            )


def _children(registry: Registry) -> Iterator[ChildDevice]:
    for device in registry.below(registry.current("Enum\\XENBUS"))[:_ENOUGH]:
        for instance in registry.below(device)[:_ENOUGH]:
            ids = registry.texts(instance, "HardwareID")
            hardware_id = next((each for each in ids if (found := _CHILD.search(each)) and found[2]), device.name)
            match = _CHILD.search(hardware_id)
            if match:
                yield ChildDevice(
                    kind=match[3].upper(),
                    prefix=match[1].upper(),
                    parent=(match[2] or "").upper(),
                    hardware_id=hardware_id,
                    key=instance.path,
                    config_flags=registry.integer(instance, "ConfigFlags") or 0,
                )


def _bound(registry: Registry) -> Iterator[BoundDriver]:
    for name in _INSTALLING:
        for key in registry.below(registry.current(f"Control\\Class\\{_CLASSES[name]}")):
            if not key.name.isdigit():
                continue
            matching = registry.text(key, "MatchingDeviceId").lower()
            if matching.startswith(("pci\\ven_5853", "xenbus\\", "xenvif\\", "xen\\")):
                provider = registry.text(key, "ProviderName")
                yield BoundDriver(
                    matching_id=matching,
                    provider=provider,
                    vendor=vendors.vendor(provider),
                    version=registry.text(key, "DriverVersion"),
                    inf=registry.text(key, "InfPath"),
                    key=key.path,
                )


def _filters(registry: Registry) -> Iterator[ClassFilter]:
    for name, guid in _CLASSES.items():
        key = registry.current(f"Control\\Class\\{guid}")
        if key is None:
            continue
        filters = registry.texts(key, "UpperFilters")
        if name in _FILTERING or any(each.lower() in FILTERS for each in filters):
            yield ClassFilter(name=name, key=key.path, filters=filters)


def _active(registry: Registry, devices: Sequence[PciDevice], children: Sequence[ChildDevice]) -> ActiveDevice | None:
    """The device that is stored; else the one whose children were started, else the only one that was bound."""
    for service, value in (("XENFILT", "ActiveDeviceID"), ("XENBUS", "ActiveDeviceID"), ("XENBUS", "ActiveDevice")):
        key = registry.current(f"Services\\{service}\\Parameters")
        text = registry.text(key, value)
        if key is not None and text:
            match = _DEVICE.search(text)
            return ActiveDevice(
                device=match[1].upper() if match else "", id=text, where=f"{key.path}: {value}={text}", stored=True
            )
    started = {each.parent: each for each in children if each.parent}
    if len(started) == 1:
        ((device, child),) = started.items()
        where = f"{child.key}: HardwareID={child.hardware_id}"
        return ActiveDevice(device=device, id=child.hardware_id, where=where, stored=False)
    served = {each.device: each for each in devices if each.service.lower() == "xenbus"}
    if len(served) == 1:
        ((device, seen),) = served.items()
        return ActiveDevice(device=device, id=f"PCI\\{seen.id}", where=f"{seen.key}: Service=xenbus", stored=False)
    return None


def _precedence(registry: Registry) -> tuple[tuple[Precedence, ...], str]:
    key = registry.current("Services\\xenfilt\\Parameters\\Precedence")
    if key is None:
        return (), ""
    with registry.notes.tried(f"{key.path} on {registry.place}"):
        ranks = ((value.name, value.integer()) for value in key.values()[:_ENOUGH])
        return tuple(Precedence(id=name, rank=rank) for name, rank in ranks if rank is not None), key.path
    return (), key.path


def _unplug(registry: Registry) -> Unplug | None:
    for path, forced in (
        ("Services\\XEN\\ForceUnplug", True),
        ("Services\\XEN\\Unplug", False),
        ("Services\\xenfilt\\Unplug", False),
    ):
        key = registry.current(path)
        if key is not None:
            disks, nics = registry.integer(key, "DISKS"), registry.integer(key, "NICS")
            return Unplug(key=key.path, disks=disks, nics=nics, forced=forced)
    return None


def _bus_version(bound: Iterable[BoundDriver], staged: Iterable[DriverPackage], services: Iterable[Service]) -> str:
    """The version of the bus driver: of the one installed for the device, else of its package, else of its file."""
    candidates = [
        *(each.version for each in bound if each.matching_id.startswith("pci\\ven_5853")),
        *(each.version for each in staged),
        *(each.version for each in services if each.name == "xenbus"),
    ]
    return next(filter(None, candidates), "")


def _generation(services: Iterable[Service], version: str, active: ActiveDevice | None) -> str:
    names = {each.name for each in services}
    if "xenbus" not in names:
        return "legacy" if names & set(LEGACY) else ""
    if active is not None and active.stored and ": ActiveDevice=" in active.where:
        return "7"
    major = version.partition(".")[0]
    # The drivers of XenServer 6.1 and 6.2 work like those of 7.
    return {"6": "7", "7": "7", "8": "8", "9": "9"}.get(major, "")


def _vendors(
    children: Iterable[ChildDevice], bound: Iterable[BoundDriver], staged: Iterable[DriverPackage]
) -> set[str]:
    makers = (vendors.maker(each.prefix) for each in children)
    return set(filter(None, (*makers, *(each.vendor for each in bound), *(each.vendor for each in staged))))
