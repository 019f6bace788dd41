"""The tables of volumes: what is mounted, swapped to and decrypted at boot; and mounting here what the system needs."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

from xenimage.model.guest.linux import Mount, Setting

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from xenimage.guest.filesystems.base import FileSystem
    from xenimage.guest.linux.root import Root
    from xenimage.guest.tree import Tree

FSTAB = "etc/fstab"
CRYPTTAB = "etc/crypttab"
OWN = ("usr", "var", "boot", "boot/efi", "efi", "var/lib", "opt", "home", "root")
"""directories that are looked into, and may be volumes of their own; outer ones first"""

_ROWS_MAX = 200
_ESPS = ("boot/efi", "efi")
_NO_DISK = ("tmpfs", "nfs", "nfs4", "cifs", "autofs", "overlay")
_TAGS = ("UUID=", "LABEL=", "PARTUUID=", "PARTLABEL=")
_BY = "/dev/disk/by-"
_ESCAPED = re.compile(r"\\([0-7]{3})")


def mounts(root: Root) -> tuple[Mount, ...]:
    """The lines of fstab that have their fields."""
    return tuple(itertools.islice(_fstab(root), _ROWS_MAX))


def _fstab(root: Root) -> Iterator[Mount]:
    for line in root.lines(FSTAB):
        fields = [_unescaped(field) for field in line.split()]
        if len(fields) >= 2:
            device, path, kind, options = [*fields[:4], *("", "", "", "")][:4]
            yield Mount(
                device=device.replace('"', ""),
                path=path,
                type=kind,
                options=tuple(options.split(",")) if options else (),
                where=f"/{FSTAB}",
                line=line,
            )


def crypts(root: Root) -> tuple[Mount, ...]:
    """The lines of crypttab: the mapped name, and the device below it."""
    found = []
    for line in itertools.islice(root.lines(CRYPTTAB), _ROWS_MAX):
        name, device, key, options = [*line.split()[:4], "", "", "", ""][:4]
        if device:
            found.append(
                Mount(
                    device=device.replace('"', ""),
                    path=name,
                    type=key,
                    options=tuple(options.split(",")) if options else (),
                    where=f"/{CRYPTTAB}",
                    line=line,
                )
            )
    return tuple(found)


def resume(root: Root) -> tuple[Setting, ...]:
    """What initramfs-tools writes into each initrd as the device to wake up from."""
    found = []
    for path in ("etc/initramfs-tools/initramfs.conf", *root.matching("etc/initramfs-tools/conf.d", "*")):
        for line in root.lines(path):
            name, _, value = line.partition("=")
            if name == "RESUME" and value.strip("\"'") not in ("", "auto", "none"):
                found.append(Setting(value=value.strip("\"'"), where=f"/{path}", line=line))
    return tuple(found[-1:])


def _unescaped(field: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)), field)


def mount_own(
    root: Root, found: tuple[Mount, ...], volumes: Mapping[str, FileSystem], esp: Tree | None
) -> tuple[tuple[str, ...], tuple[Mount, ...]]:
    """Mount into the tree of *root* what fstab puts at directories that are looked into.

    :param volumes: by ``UUID=...``, ``LABEL=...``, ``PARTUUID=...``, ``/dev/group/volume``.
    :param esp: mounted where nothing else is, as there are systems that mount it by themselves.
    :return: what was mounted, and what was not found.
    """
    folded = {name.casefold(): volume for name, volume in volumes.items()}
    places = {each.path.strip("/"): each for each in found}
    mounted, missing = {}, []
    for path in OWN:
        each = places.get(path)
        volume = folded.get(tagged(each.device).casefold()) if each else None
        if each is not None and volume is not None:
            _mount(root, path, volume)
            mounted[path] = each.device
        elif each is not None and not (path in _ESPS and esp is not None) and _wanted(each):
            missing.append(each)
    if esp is not None and not mounted.keys() & set(_ESPS):
        path = next((path for path in _ESPS if path in places), _ESPS[0])
        _mount(root, path, esp.root)
        mounted[path] = "EFI system partition"
    return tuple(f"/{path}: {device}" for path, device in mounted.items()), tuple(missing)


def _mount(root: Root, path: str, volume: FileSystem) -> None:
    with root.notes.tried(root.called(path)):
        root.tree.mount(path, volume)


def _wanted(mount: Mount) -> bool:
    """Whether what it holds belongs to the system, and is on a disk."""
    return "noauto" not in mount.options and mount.type not in _NO_DISK


def tagged(device: str) -> str:
    """A device as ``UUID=...`` and the like where udev's link says the same."""
    for tag in _TAGS:
        link = f"{_BY}{tag[:-1].lower()}/"
        if device.startswith(link):
            return tag + device.removeprefix(link)
    return device
