"""What Proxmox VE makes of a package.

Source: pve-storage, PVE/GuestImport/OVF.pm. It looks for disk drives (``ResourceType`` 17) one by one, wants each on a
controller, takes the names of all machines for one and every amount of memory for MiB, and refuses files with other
names than it knows.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from xenimage.checks.package.words import (
    CONVERT,
    ERROR,
    OVF_KINDS,
    WARNING,
    disks,
    is_loose,
    is_no_drive,
    kind,
    listed,
    types_of,
)
from xenimage.model.kind import by_code
from xenimage.units import MIB, format_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.model.finding import Finding
    from xenimage.model.machine import Package

_BY = ("Proxmox",)
_NAME = re.compile(r"[A-Za-z0-9_.+ /-]+")
KINDS = (
    kind(
        ERROR,
        "proxmox.kind",
        "Kind of package that Proxmox does not import",
        "The package is of the kind {kind}.",
        "Proxmox imports packages of OVF alone.",
        CONVERT,
        refused_by=_BY,
    ),
    kind(
        ERROR,
        "proxmox.disk.type",
        "Disks that Proxmox does not find",
        "Disks of the ResourceType {types} instead of 17: {disks}.",
        "Proxmox looks for disk drives alone: it finds no other disks, and imports the machine without them.",
        CONVERT,
    ),
    kind(
        ERROR,
        "proxmox.disk.controller",
        "Disks without a controller",
        "Disks that belong to no controller: {disks}.",
        "Proxmox passes such disks over with a warning, and imports the machine without them.",
        CONVERT,
    ),
    kind(
        WARNING,
        "proxmox.machines",
        "Several machines",
        "The package has {count} machines.",
        "Proxmox imports one machine, whose name is those of all in one.",
        "Divide the package with xenimage package split, and import each machine.",
    ),
    kind(
        WARNING,
        "proxmox.memory",
        "Memory in other units than MiB",
        "The descriptor gives the memory of {machines} in other units than MiB.",
        "Proxmox takes the number for MiB, whatever the units: the machine gets another amount.",
        "Set the memory after the import, or write the package anew with xenimage package convert.",
    ),
    kind(
        ERROR,
        "proxmox.name",
        "Names that Proxmox refuses",
        "Names of files with other characters than letters and digits of ASCII, blank, plus, minus, dot and"
        " underscore: {names}.",
        "Proxmox refuses to open such a file.",
        CONVERT,
        refused_by=_BY,
    ),
)
_BY_CODE = by_code(KINDS)


def _found(code: str, case: str = "", **values: Any) -> Finding:
    return _BY_CODE[f"package.proxmox.{code}"].found(case, **values)


def check(package: Package) -> Iterator[Finding]:
    """Find what Proxmox would refuse, or import otherwise than the package says."""
    if package.kind not in OVF_KINDS:
        yield _found("kind", kind=package.kind.upper())
        return
    passed = disks(package, is_no_drive)
    if passed:
        yield _found("disk.type", disks=passed, types=types_of(package))
    loose = disks(package, is_loose)
    if loose:
        yield _found("disk.controller", disks=loose)
    if len(package.machines) > 1:
        yield _found("machines", count=len(package.machines))
    units = [
        f"{each.name!r} ({format_size(each.memory)} as {each.memory_number})"
        for each in package.machines
        if each.memory and each.memory_number and each.memory != each.memory_number * MIB
    ]
    if units:
        yield _found("memory", machines=listed(units))
    names = [repr(each.name) for each in package.files if not _NAME.fullmatch(each.name)]
    if names:
        yield _found("name", names=listed(names))
