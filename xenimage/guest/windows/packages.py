"""Driver packages that accept a Xen PCI device, from the driver store's database or, before Windows 8, its directory.

Layout of the database: as seen in hives of Windows 8 and later; Microsoft does not document it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from xenimage.guest.windows import vendors
from xenimage.model.guest.xendrivers import DriverPackage

if TYPE_CHECKING:
    from xenimage.guest.windows.registry import Registry

_STORE = "System32/DriverStore/FileRepository"
_BUS_DIRECTORY = re.compile(r"xen(?:bus|evtchn|pci)\.inf_\w+", re.IGNORECASE)
_ENOUGH = 64
"""packages that are kept"""
# REG_BINARY of 48 bytes: from 32 on the version's four words, the lowest first.
_VERSION_SIZE, _VERSION_AT = 48, 32


def xen_packages(registry: Registry) -> tuple[DriverPackage, ...]:
    """Every package that accepts a device of vendor 5853."""
    accepted: dict[str, list[str]] = {}
    for device in registry.below(registry.system("DriverDatabase\\DeviceIds\\PCI")):
        if device.name.upper().startswith("VEN_5853&DEV_"):
            with registry.notes.tried(f"{device.path} on {registry.place}"):
                for value in device.values()[:_ENOUGH]:
                    accepted.setdefault(value.name.lower(), []).append(device.name)
    found = [_package(registry, inf, tuple(ids)) for inf, ids in list(accepted.items())[:_ENOUGH]]
    known = {each.name.lower() for each in found}
    unknown = (name for name in _directories(registry) if name.lower() not in known)
    return (*found, *(DriverPackage(name=name, inf="") for name in unknown))


def _package(registry: Registry, inf: str, ids: tuple[str, ...]) -> DriverPackage:
    row = registry.system(f"DriverDatabase\\DriverInfFiles\\{inf}")
    name = registry.text(row, "Active") or registry.text(row, "")
    key = registry.system(f"DriverDatabase\\DriverPackages\\{name}") if name else None
    provider = registry.text(key, "Provider")
    return DriverPackage(
        name=name,
        inf=inf,
        provider=provider,
        vendor=vendors.vendor(provider),
        version=_version(registry.data(key, "Version")),
        ids=ids,
        key=key.path if key is not None else "",
    )


def _version(data: bytes) -> str:
    if len(data) != _VERSION_SIZE:
        return ""
    words = (int.from_bytes(data[at : at + 2], "little") for at in range(_VERSION_AT, _VERSION_AT + 8, 2))
    return ".".join(str(word) for word in reversed(list(words)))


def _directories(registry: Registry) -> list[str]:
    path = f"{registry.root}/{_STORE}"
    with registry.notes.tried(f"{path} on {registry.place}"):
        return [name for name in registry.tree.names(path) if _BUS_DIRECTORY.fullmatch(name)][:_ENOUGH]
    return []
