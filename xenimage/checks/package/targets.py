"""The targets that packages are checked for, and what each would make of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.checks.package import openstack, proxmox, virtualbox, vmware, xcpng

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from xenimage.model.finding import Finding
    from xenimage.model.machine import Package

OPENSTACK = "openstack-xenserver"
TARGETS: Mapping[str, Callable[[Package], Iterable[Finding]]] = {
    OPENSTACK: openstack.check,
    "vmware": vmware.check,
    "proxmox": proxmox.check,
    "virtualbox": virtualbox.check,
    "xcp-ng": xcpng.check,
}
