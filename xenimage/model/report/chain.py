"""What was seen of VHDs that belong together."""

from __future__ import annotations

import dataclasses
import enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xenimage.model.finding import Finding
    from xenimage.model.report.common import Verdict, VhdFacts


@dataclasses.dataclass(frozen=True, kw_only=True)
class ChainFile:
    """One file of a set of VHDs, and what it says of its parent."""

    path: str
    """as the user named it"""
    place: str
    """absolute and without links to follow, to compare what locators lead to; nothing is opened by it"""
    vhd: VhdFacts | None
    """None where it is no VHD that can be read"""
    locators: tuple[str, ...] = ()
    """paths of the parent as the locators hold them, with slashes"""
    parent_timestamp: int = 0
    """Unix seconds, when the parent was last modified as the disk remembers; 0 if it does not"""
    mtime: int = 0
    """Unix seconds, of the file"""
    problem: str = ""
    """why it cannot be read as a VHD"""


class LinkState(enum.Enum):
    """What is known of the parent of a VHD."""

    ROOT = "root"
    """it needs none"""
    LINKED = "linked"
    """its parent is there"""
    MISSING = "missing parent"
    """no file has the uuid of its parent"""
    WRONG_PARENT = "wrong parent"
    """a file of its parent's name is there and has another uuid"""
    RAW_PARENT = "raw parent"
    """it names no uuid, which means a raw parent"""
    CYCLE = "cycle"
    """it is its own ancestor"""
    UNREADABLE = "unreadable"
    """the file is no VHD that can be read"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ChainNode:
    """One file's place in the tree. Other files are known by their number in the list that it stands in."""

    file: ChainFile
    state: LinkState
    parent: int | None
    """the file of its parent; with ``WRONG_PARENT`` the one that only has the name"""
    children: tuple[int, ...]
    depth: int
    """disks from here down to the lowest that is there, this one included; 0 in a ring and above one"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ChainReport:
    """The tree of a set of VHDs, and what is wrong with its links."""

    nodes: tuple[ChainNode, ...]
    findings: tuple[Finding, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class CheckedDisk:
    """One disk that was checked."""

    path: str
    format: str
    """``vhd``, ``qcow2``, ``vmdk``, ``raw``; empty where it could not be told"""
    verdict: Verdict
    findings: tuple[Finding, ...]
    parent: str = ""
    """the file that was taken for its parent; empty where none was"""
    vhd: VhdFacts | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class DisksReport:
    """The findings of a check of disks, all of them."""

    profile: str
    verdict: Verdict
    """the worst of all"""
    disks: tuple[CheckedDisk, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Of all disks, in their order."""
        return tuple(finding for disk in self.disks for finding in disk.findings)
