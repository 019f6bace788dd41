"""What the checks of packages have in common: a short way to write a kind of finding down, and names of disks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.model.finding import Severity
from xenimage.model.kind import Describe, Mend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from xenimage.model.machine import MachineDisk, Package

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
OVF_KINDS = ("ovf", "ova")
DISK_DRIVE = 17
"""ResourceType of CIM"""
CONVERT = "Write the package anew with xenimage package convert."
_SHOWN = 5
"""names that a message lists"""
kind = Describe(group="package", mend=Mend.ANEW)


def listed(names: Iterable[str]) -> str:
    """``a, b and 3 more``: the first names, each once."""
    names = list(dict.fromkeys(names))
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def disks(package: Package, wanted: Callable[[MachineDisk], bool]) -> str:
    """Those disks by the numbers that ``--disk`` takes: ``disk 1, disk 2``; empty if there are none.

    Where the package has several machines each is named, too.
    """
    several = len(package.machines) > 1
    return listed(
        f"disk {number} of {machine.name!r}" if several else f"disk {number}"
        for machine in package.machines
        for number, disk in enumerate(machine.disks, 1)
        if wanted(disk)
    )


def files(package: Package, wanted: Callable[[str, int | None], bool]) -> str:
    """Names of the files for which *wanted* says so, given their compression and the size of their pieces."""
    return listed(repr(each.name) for each in package.files if wanted(each.compression, each.chunk_size))


def is_no_drive(disk: MachineDisk) -> bool:
    """Whether importers that look for disk drives pass it over: Citrix calls its disks storage extents, 19."""
    return disk.resource_type is not None and disk.resource_type != DISK_DRIVE


def types_of(package: Package) -> str:
    """Their types: ``19``."""
    return listed(
        str(disk.resource_type) for machine in package.machines for disk in machine.disks if is_no_drive(disk)
    )


def is_loose(disk: MachineDisk) -> bool:
    """Whether it is a disk drive that belongs to no controller."""
    return disk.resource_type == DISK_DRIVE and not disk.bus
