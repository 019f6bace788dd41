"""Programs on the volume: whether they are there, for which processor they are, and their version.

Source: Microsoft, PE Format; VS_FIXEDFILEINFO structure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.units import MIB

if TYPE_CHECKING:
    from xenimage.guest.notes import Notes
    from xenimage.guest.tree import Tree

_HEAD = 4096
_MACHINES = {0x8664: "x86_64", 0x14C: "i686", 0xAA64: "aarch64"}
_VERSION_MAX = 4 * MIB
"""bytes of a program that are looked through for its version; drivers have a few hundred KiB"""
_FIXED_INFO = (0xFEEF04BD).to_bytes(4, "little")


def is_there(tree: Tree, path: str, place: str, notes: Notes) -> bool | None:
    """Whether there is a file at *path*; None where that cannot be told, which is noted."""
    with notes.tried(f"{path} on {place}"):
        return tree.entry(path) is not None
    return None


def machine(tree: Tree, path: str, place: str, notes: Notes) -> str:
    """For which processor the program at *path* is: ``x86_64``; empty where that cannot be told."""
    with notes.tried(f"{path} on {place}"):
        head = tree.head(path, _HEAD) or b""
        at = _u32(head, 60)
        if head[:2] == b"MZ" and head[at : at + 4] == b"PE\0\0":
            return _MACHINES.get(_u16(head, at + 4), "")
    return ""


def version(tree: Tree, path: str, place: str, notes: Notes) -> str:
    """The version of the program at *path*, ``9.1.200.0``; empty where it has none, or is larger than drivers are."""
    with notes.tried(f"{path} on {place}"):
        entry = tree.entry(path)
        if entry is None or entry.size > _VERSION_MAX:
            return ""
        data = tree.read(path, _VERSION_MAX) or b""
        at = data.find(_FIXED_INFO)
        if at >= 0:
            high, low = _u32(data, at + 8), _u32(data, at + 12)
            return f"{high >> 16}.{high & 0xFFFF}.{low >> 16}.{low & 0xFFFF}"
    return ""


def _u16(data: bytes, offset: int) -> int:
    return int.from_bytes(data[offset : offset + 2], "little")


def _u32(data: bytes, offset: int) -> int:
    return int.from_bytes(data[offset : offset + 4], "little")
