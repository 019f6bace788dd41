"""Which boot loaders are installed, by the files that their installers leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.model.guest.linux import Bootloader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.guest.linux.root import Root
    from xenimage.guest.tree import Tree

_ON_DISK = (
    ("grub", "bios", ("boot/grub/i386-pc", "boot/grub2/i386-pc")),
    ("grub", "uefi", ("boot/grub/x86_64-efi", "boot/grub2/x86_64-efi", "boot/grub/arm64-efi", "boot/grub2/arm64-efi")),
    ("grub 1", "bios", ("boot/grub/stage2",)),
    ("extlinux", "bios", ("boot/extlinux/ldlinux.sys", "boot/ldlinux.sys", "boot/syslinux/ldlinux.sys")),
)
_ON_ESP = (("shim", "shim"), ("grub", "grub"), ("systemd-boot", "systemd-boot"), ("refind", "refind"), ("", "boot"))
"""boot loaders, and how their programs' names begin in lower case"""


def bootloaders(root: Root, esp: Tree | None) -> tuple[Bootloader, ...]:
    """What was installed, for a BIOS first."""
    return (*_on_disk(root), *(_on_esp(root, esp) if esp is not None else ()))


def _on_disk(root: Root) -> Iterator[Bootloader]:
    for name, firmware, paths in _ON_DISK:
        path = next((path for path in paths if root.entry(path) is not None), "")
        if path:
            yield Bootloader(name=name, firmware=firmware, path=f"/{path}")


def _on_esp(root: Root, esp: Tree) -> Iterator[Bootloader]:
    with root.notes.tried(f"the EFI system partition of {root.place}"):
        for folder in esp.names("EFI"):
            for program in esp.names(f"EFI/{folder}"):
                if folder.lower() == "linux" and program.lower().endswith(".efi"):
                    yield Bootloader(name="unified kernel image", firmware="uefi", path=f"/EFI/{folder}/{program}")
                for name, beginning in _ON_ESP:
                    if program.lower().startswith(beginning) and program.lower().endswith(".efi"):
                        path = f"/{esp.spelled(f'EFI/{folder}/{program}')}"
                        yield Bootloader(name=name or "fallback", firmware="uefi", path=path)
                        break
