"""A Windows system on a volume: what its registry and its files say, without opinions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.guest.windows import boot, cloudbase, condition, setup, version, xendrivers
from xenimage.guest.windows.registry import Registry
from xenimage.model.guest.windows import WindowsFacts

if TYPE_CHECKING:
    from xenimage.guest.notes import Notes
    from xenimage.guest.tree import Tree
    from xenimage.limits import Limits

ROOTS = ("Windows", "WINNT")
"""directories that Windows may stand in"""
_EMULATED = ("intelide", "atapi", "pciide", "storahci", "msahci", "stornvme")
_REMOTE_DESKTOP = "Control\\Terminal Server"


def look(
    tree: Tree, place: str, notes: Notes, esp: Tree | None, system: Tree | None, limits: Limits
) -> WindowsFacts | None:
    """Look for Windows on a volume, and at it; None if there is none. Damage is noted, and what it hides left empty.

    :param place: what the volume is called: ``disk 0, partition 2``.
    :param esp: the EFI system partition.
    :param system: the active partition of an MBR, where it is another volume.
    :raises Stopped: the inspection must end.
    """
    root = _root(tree, place, notes)
    if not root:
        return None
    registry = Registry(tree, root, place, notes, limits)
    current = registry.current
    programs = tuple(condition.programs(registry))
    architecture, architecture_where = version.architecture(registry)
    desktop = current(_REMOTE_DESKTOP)
    denied = registry.integer(desktop, "fDenyTSConnections")
    utc = registry.integer(current("Control\\TimeZoneInformation"), "RealTimeIsUniversal")
    power, memory = current("Control\\Session Manager\\Power"), current("Control\\Session Manager\\Memory Management")
    return WindowsFacts(
        place=place,
        root=root,
        version=version.windows_version(registry),
        architecture=architecture,
        architecture_where=architecture_where,
        control_set=registry.control_set,
        computer_name=registry.text(current("Control\\ComputerName\\ComputerName"), "ComputerName"),
        boot=boot.boot_stores(tree, place, notes, esp, system),
        xen=xendrivers.xen_drivers(registry),
        emulated=registry.services(_EMULATED),
        cloudbase=cloudbase.cloudbase_init(registry, programs),
        sysprep=setup.sysprep(registry),
        hives=tuple(registry.files),
        hibernation=condition.hibernation(registry),
        fast_startup=registry.integer(power, "HiberbootEnabled"),
        pagefile_size=condition.pagefile_size(registry),
        paging_files=registry.texts(memory, "PagingFiles"),
        reboot_pending=tuple(condition.reboot_pending(registry)),
        static_addresses=tuple(condition.static_addresses(registry)),
        autologon=condition.autologon(registry),
        remote_desktop_denied=None if denied is None else bool(denied),
        remote_desktop_key=desktop.path if desktop else "",
        driver_policies=tuple(condition.driver_policies(registry)),
        clock_is_utc=None if utc is None else bool(utc),
        programs=programs,
    )


def _root(tree: Tree, place: str, notes: Notes) -> str:
    """The directory of Windows, as it is spelled; empty if there is none."""
    for root in ROOTS:
        with notes.tried(f"{root} on {place}"):
            config = f"{root}/System32/config"
            if tree.entry(f"{config}/SYSTEM") and tree.entry(f"{config}/SOFTWARE"):
                return tree.spelled(root)
    return ""
