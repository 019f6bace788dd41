"""Formats of disks as descriptors name them. For display, and for what importers make of the name: never trusted."""

from __future__ import annotations

import re

_ADDRESS = re.compile(r"https?://\S*?/(vmdk|vhd|qcow|vdi|udf)[^\s/#]*(?:#([\w-]+))?", re.IGNORECASE)
_NAMES = {"udf": "iso", "qcow": "qcow2"}


def disk_format(said: str) -> str:
    """A short name: ``vmdk streamOptimized`` of VMware's address, ``vhd`` of Microsoft's; others as they are."""
    match = _ADDRESS.search(said)
    if match is None:
        return said
    name = match[1].lower()
    return " ".join(filter(None, (_NAMES.get(name, name), match[2])))


def family(said: str) -> str:
    """The first word of :func:`disk_format` in lower case; empty where nothing is said."""
    return disk_format(said).lower().partition(" ")[0]
