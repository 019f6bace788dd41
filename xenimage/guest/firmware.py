"""What can start a disk: a BIOS, UEFI firmware, or both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.guest.partitions.layout import BIOS_BOOT
from xenimage.model.guest.facts import FirmwareFacts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.guest.tree import Tree
    from xenimage.model.guest.layout import Layout

_FALLBACK = "EFI/BOOT/BOOTX64.EFI"
"""what firmware without boot entries starts on x86-64 (UEFI Specification 2.10, 3.5.1.1)"""
_DIRECTORIES = 32
"""directories below ``EFI`` that are looked into"""
_LOADERS = 64
"""programs that are named"""
_ANYWHERE = frozenset({"GRUB", "LILO"})
"""loaders that know by themselves where they go on, and need no active partition"""


def starts_bios(layout: Layout) -> bool:
    """Whether a BIOS starts the disk: there is code, and it will find a partition to go on with."""
    finds = any(partition.active or partition.type == BIOS_BOOT for partition in layout.partitions)
    return layout.boot_code and (finds or layout.boot_loader in _ANYWHERE)


def firmware_facts(first: Layout | None, esp: Tree | None) -> FirmwareFacts:
    """Say what starts the guest.

    :param first: the disk that a BIOS starts from.
    :param esp: the EFI system partition.
    :raises FormatError: the EFI system partition is damaged.
    """
    bios = first is not None and starts_bios(first)
    if esp is None:
        return FirmwareFacts(bios=bios)
    loaders = tuple(_loaders(esp))
    return FirmwareFacts(bios=bios, uefi=bool(loaders), fallback=esp.entry(_FALLBACK) is not None, loaders=loaders)


def _loaders(esp: Tree) -> Iterator[str]:
    """Yield the programs in the directories below ``EFI``; Windows has its own one directory deeper."""
    left = _LOADERS
    for vendor in list(esp.names("EFI"))[:_DIRECTORIES]:
        folders = [f"EFI/{vendor}"]
        folders += [f"EFI/{vendor}/{name}" for name in esp.names(folders[0]) if name.lower() == "boot"]
        for folder in folders:
            for name in esp.names(folder):
                if name.lower().endswith(".efi") and left:
                    left -= 1
                    yield f"{folder}/{name}"
