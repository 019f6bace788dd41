"""Which drivers a kernel has: by its configuration, or by the lists of its modules where that is not there."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

from xenimage.guest.linux.initrd import module_name
from xenimage.model.guest.linux import Driver, Presence
from xenimage.units import MIB

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.guest.linux.root import Root

_LIST_MAX = 16 * MIB


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Known:
    """A driver that matters here."""

    name: str
    option: str
    folder: str
    """of the module's file, below ``kernel``; empty for what is never a module"""


BLKFRONT, NETFRONT, NVME, ATA, PVHVM = "xen-blkfront", "xen-netfront", "nvme", "ata-piix", "xen-pvhvm"
KNOWN = (
    _Known(name=BLKFRONT, option="CONFIG_XEN_BLKDEV_FRONTEND", folder="drivers/block"),
    _Known(name=NETFRONT, option="CONFIG_XEN_NETDEV_FRONTEND", folder="drivers/net"),
    _Known(name=NVME, option="CONFIG_BLK_DEV_NVME", folder="drivers/nvme/host"),
    _Known(name=ATA, option="CONFIG_ATA_PIIX", folder="drivers/ata"),
    _Known(name=PVHVM, option="CONFIG_XEN_PVHVM", folder=""),
)
MODULES = frozenset(each.name for each in KNOWN if each.folder)
"""what an initrd is searched for"""


def drivers(root: Root, version: str) -> tuple[Driver, ...]:
    """What the kernel *version* has of the drivers that matter."""
    modules = f"lib/modules/{version}"
    path = root.first(f"boot/config-{version}", f"{modules}/config", f"usr/{modules}/config")
    found = _by_config(root, path) if path else _by_lists(root, modules)
    return tuple(
        dataclasses.replace(each, path=_file(root, modules, known)) if known.folder else each
        for each, known in zip(found, KNOWN, strict=True)
    )


def _by_config(root: Root, path: str) -> Iterator[Driver]:
    text = root.text(path)
    for each in KNOWN:
        match = re.search(rf"^(?:{each.option}=([ym])|# {each.option} is not set)$", text, re.MULTILINE)
        presence = {"y": Presence.BUILTIN, "m": Presence.MODULE}.get(
            (match[1] or "") if match else "", Presence.ABSENT if text else Presence.UNKNOWN
        )
        line = match[0] if match else f"no {each.option}"
        yield Driver(name=each.name, presence=presence, evidence=f"/{path}: {line}")


def _by_lists(root: Root, modules: str) -> Iterator[Driver]:
    lists = {
        Presence.BUILTIN: f"{modules}/modules.builtin",
        Presence.MODULE: f"{modules}/modules.dep",
    }
    paths: dict[str, tuple[Presence, str]] = {}
    there = []
    for presence, path in lists.items():
        text = root.text(path, _LIST_MAX)
        if text:
            there.append(path)
        for each in KNOWN:
            # One search of the C library for each, and no loop over thousands of lines.
            match = re.search(rf"^[^\n:]*/{_spelled(each.name)}\.ko[^\n:]*", text, re.MULTILINE)
            if match and each.folder:
                paths.setdefault(each.name, (presence, f"/{path}: {match[0]}"))
    for each in KNOWN:
        complete = len(there) == len(lists) and each.folder
        unseen = (Presence.ABSENT, f"not in /{modules}/modules.dep") if complete else (Presence.UNKNOWN, "")
        presence, evidence = paths.get(each.name, unseen)
        yield Driver(name=each.name, presence=presence, evidence=evidence)


def _spelled(name: str) -> str:
    return name.replace("-", "[-_]")


def _file(root: Root, modules: str, known: _Known) -> str:
    """The module's file; empty where there is none."""
    for top in ("kernel", "updates", "extra"):
        folder = f"{modules}/{top}/{known.folder}"
        for name in root.names(folder):
            if module_name(name) == known.name:
                return f"/{folder}/{name}"
    return ""
