"""How Windows is started: boot manager, boot configuration, loader.

Source: Microsoft, BCD Elements; the numbers are those of the boot manager's default object and of an application path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.guest.hive import Hive
from xenimage.model.guest.windows import BootStore, Firmware
from xenimage.units import MIB

if TYPE_CHECKING:
    from xenimage.guest.notes import Notes
    from xenimage.guest.tree import Tree

EFI_STORE, EFI_MANAGER = "EFI/Microsoft/Boot/BCD", "EFI/Microsoft/Boot/bootmgfw.efi"
BIOS_STORE, BIOS_MANAGER = "Boot/BCD", "bootmgr"
_MANAGER = "{9dea862c-5cdd-4e70-acc1-f32b344d4795}"
_DEFAULT, _ORDER, _PATH = "23000003", "24000001", "12000002"
_STORE_MAX = 16 * MIB


def boot_stores(tree: Tree, place: str, notes: Notes, esp: Tree | None, system: Tree | None) -> tuple[BootStore, ...]:
    """Read the boot configurations that are there.

    :param tree: the volume of Windows, which holds the loader.
    :param esp: the EFI system partition.
    :param system: the active partition of an MBR, where it is another volume.
    """
    found = []
    if esp is not None:
        where = "the EFI system partition"
        found.append(_store(esp, where, notes, (EFI_STORE, EFI_MANAGER), "uefi"))
    for bios, where in ((system, "the active partition"), (tree, place)):
        if bios is not None:
            found.append(_store(bios, where, notes, (BIOS_STORE, BIOS_MANAGER), "bios"))
    return tuple(_with_loader(store, loader, tree, place, notes) for store, loader in filter(None, found))


def _store(tree: Tree, where: str, notes: Notes, paths: tuple[str, str], firmware: str) -> tuple[BootStore, str] | None:
    """The store, without what is known of its loader, and its loader's path."""
    path, manager = paths
    with notes.tried(f"{path} on {where}"):
        present = tree.entry(manager) is not None
        data = tree.read(path, _STORE_MAX)
        if data is None:
            return None
        store = BootStore(
            firmware=Firmware(firmware),
            path=f"{tree.spelled(path)} on {where}",
            manager=f"{tree.spelled(manager)} on {where}",
            manager_present=present,
        )
        loader = ""
        with notes.tried(f"{path} on {where}"):
            loader = _default_loader(Hive(data, "BCD"))
        return store, loader
    return None


def _default_loader(hive: Hive) -> str:
    """The path of the loader that is started without being asked for; empty where none is named."""
    manager = hive.key(f"Objects\\{_MANAGER}\\Elements")
    default = manager.key(_DEFAULT) if manager else None
    order = manager.key(_ORDER) if manager else None
    name = default.text("Element") if default else ""
    name = name or (order.text("Element") if order else "")
    path = hive.key(f"Objects\\{name}\\Elements\\{_PATH}") if name else None
    return path.text("Element") if path else ""


def _with_loader(store: BootStore, loader: str, tree: Tree, place: str, notes: Notes) -> BootStore:
    present: bool | None = None
    if loader:
        with notes.tried(f"{loader} on {place}"):
            present = tree.entry(loader.replace("\\", "/")) is not None
    return BootStore(
        firmware=store.firmware,
        path=store.path,
        manager=store.manager,
        manager_present=store.manager_present,
        loader=loader,
        loader_present=present,
    )
