"""What was done and what was seen, for people and programs."""

from __future__ import annotations

import dataclasses
import enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xenimage.model.extent import Extent
    from xenimage.model.finding import Finding
    from xenimage.model.guest.facts import GuestFacts
    from xenimage.model.guest.free import FreeSpace
    from xenimage.model.plan import GuestNeed, Plan, Property
    from xenimage.model.profile import Profile
    from xenimage.model.transfer import Receipt


class Verdict(enum.Enum):
    """The sum of a check's findings."""

    SOUND = "sound"
    """nothing above information"""
    USABLE = "usable"
    """warnings only"""
    NOT_READY = "not ready"
    """at least one error"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayerReport:
    """A VHD of a bundle was made. Sizes in bytes."""

    name: str
    uuid: str
    vhd_size: int
    data_size: int
    """guest bytes that the VHD holds, in blocks of 2 MiB"""
    left_out_size: int
    """guest bytes in blocks that the source stores, and of which nothing had to be kept"""
    partial: int
    """blocks of which only some sectors are present"""
    completed_size: int = 0
    """guest bytes that were copied from the layers below, to make blocks whole"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class BundleReport:
    """A bundle was made. Sizes in bytes."""

    plan: Plan
    receipt: Receipt
    layers: tuple[LayerReport, ...]
    """the leaf first"""
    seconds: float
    compressor: str
    """library and level that deflated it"""
    verified: bool

    @property
    def uuid(self) -> str:
        """Of the leaf."""
        return self.layers[0].uuid

    @property
    def vhd_size(self) -> int:
        """Of all VHDs."""
        return sum(layer.vhd_size for layer in self.layers)

    @property
    def data_size(self) -> int:
        """Guest bytes that the VHDs hold."""
        return sum(layer.data_size for layer in self.layers)

    @property
    def zero_size(self) -> int:
        """Guest bytes that were stored in the source and left out."""
        return sum(layer.left_out_size for layer in self.layers)


@dataclasses.dataclass(frozen=True, kw_only=True)
class VhdFacts:
    """One VHD as its own tables tell it. Sizes in bytes."""

    variant: str
    """``fixed``, ``dynamic``, ``differencing``"""
    creator: str
    """application and version: ``tap 1.3``"""
    uuid: str
    virtual_size: int
    original_size: int
    geometry: str
    """cylinders/heads/sectors"""
    timestamp: str
    """ISO 8601, UTC"""
    hidden: int
    saved: int
    features: int
    block_size: int
    blocks: int
    """entries of the BAT"""
    allocated: int
    """blocks that are stored"""
    batmap: str
    """``none``, or version and how many blocks it calls full"""
    parent_uuid: str
    parent_name: str
    file_size: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Member:
    """One member of a bundle."""

    name: str
    kind: str
    """``file``, ``directory``, ``link`` …"""
    size: int
    mode: int
    owner: str
    """uid:gid"""
    mtime: int
    """Unix seconds"""
    vhd: VhdFacts | None = None
    header: str = "ustar"
    """the kind of its tar header: ``v7``, ``ustar``, ``gnu``, ``pax``"""
    offset: int = 0
    """of its data, in the inflated bundle"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class BundleFacts:
    """What a bundle holds. Sizes in bytes."""

    path: str
    size: int
    inflated_size: int
    members: tuple[Member, ...]
    chain: tuple[str, ...]
    """member names, the leaf first"""
    virtual_size: int
    min_disk: int
    """GiB"""
    gzip_members: int = 1
    gzip_trailing: int = 0
    """bytes behind the gzip stream that are no padding"""
    tar_ended: bool = True
    """whether the two blocks of zeros that end a tar are there"""
    tar_trailing: int = 0
    """bytes behind them"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CheckReport:
    """The findings of a check, all of them."""

    path: str
    profile: str
    verdict: Verdict
    findings: tuple[Finding, ...]
    facts: BundleFacts | None = None


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


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiskUsage:
    """How much of a disk is stored, and whereabouts. Sizes in bytes."""

    path: str
    """as the user named it"""
    size: int
    """what the guest sees"""
    data: int
    """bytes that the disk or its parents store; the others read as zeros"""
    cells: tuple[int, ...]
    """the disk in equal parts: percents of each that are stored, rounded up"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class GuestReport:
    """A guest was looked at and judged."""

    profile: Profile
    verdict: Verdict
    facts: GuestFacts
    findings: tuple[Finding, ...]
    """the errors first"""
    properties: tuple[Property, ...]
    """that an image of it shall have"""
    min_disk: int
    """GiB: the smallest flavor that its first disk fits"""
    usage: tuple[DiskUsage, ...]
    """of each disk"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvertReport:
    """A disk was written anew. Sizes in bytes."""

    path: str
    format: str
    virtual_size: int
    data_size: int
    output_size: int
    seconds: float
    findings: tuple[Finding, ...] = ()
    """of the source, and of what was written"""
    subformat: str = ""
    """empty where the format has but one"""
    compression: str = ""
    """empty where the format leaves no choice"""
    cluster_size: int = 0
    """0 where the format has none"""
    chs_size: int | None = None
    """what the geometry of a VHD that was written multiplies to; None where it says nothing of the size"""
    source_size: int | None = None
    """what the source shows to its guest"""
    source_chs_size: int | None = None
    """what the geometry of a VHD that was read multiplies to; None where it says nothing of the size"""
    needs: tuple[GuestNeed, ...] = ()
    """what the guest will need where the disk goes"""
    free: FreeSpace | None = None
    """what was left out because nobody uses it; None where nobody looked"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Extracted:
    """A VHD that was taken out of a bundle."""

    path: str
    size: int
    """bytes"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExtractReport:
    """The VHDs of a bundle were written as files."""

    path: str
    directory: str
    files: tuple[Extracted, ...]
    """in the order of the tar"""
    skipped: tuple[str, ...]
    """names of members that are no part of the disk"""
    seconds: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlannedLayer:
    """A disk of a chain would be written anew. Sizes in bytes."""

    path: str
    source: str
    virtual_size: int
    data_size: int
    """at most so many guest bytes would be stored"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayersPlan:
    """A chain would be written anew as a chain."""

    directory: str
    layers: tuple[PlannedLayer, ...]
    """the leaf first"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class WrittenLayer:
    """A disk of a chain was written anew. Sizes in bytes."""

    path: str
    source: str
    virtual_size: int
    data_size: int
    """guest bytes that it stores"""
    output_size: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayersReport:
    """A chain was written anew as a chain."""

    directory: str
    layers: tuple[WrittenLayer, ...]
    """the leaf first"""
    seconds: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class LostRange:
    """A part of a damaged disk that is not there any more, or may not be what it was. Bytes of the guest."""

    offset: int
    length: int
    why: str
    """one phrase"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mending:
    """What became of one finding of a damaged disk."""

    code: str
    """of the finding"""
    done: str
    """one phrase"""
    mended: bool
    """whether the check does not find it any more"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RepairReport:
    """A VHD was repaired, or would be. Sizes in bytes."""

    source: str
    path: str
    """of the repaired disk: the source itself where it was mended in place"""
    written: bool
    """whether anything was: not in a dry run, nor where nothing in place was to be mended"""
    in_place: bool
    variant: str
    """``dynamic``, ``differencing`` or, in place, ``fixed``"""
    uuid: str
    """empty where it is made from data that a dry run does not read"""
    virtual_size: int
    data_size: int
    """guest bytes in the blocks of the new file; in a dry run at most"""
    output_size: int
    """0 in a dry run"""
    seconds: float
    before: tuple[Finding, ...]
    mendings: tuple[Mending, ...]
    """one for each code of :attr:`before`"""
    notes: tuple[str, ...]
    """what had to be decided, a sentence each"""
    lost: tuple[LostRange, ...]
    after: tuple[Finding, ...]
    """of the repaired disk; in a dry run nothing"""
    backup: str = ""
    """file with the bytes that were replaced in place"""

    @property
    def lost_size(self) -> int:
        """Bytes of the guest that are missing or in doubt."""
        return sum(each.length for each in self.lost)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MemberRepair:
    """A VHD of a bundle that was made anew."""

    old_name: str
    name: str
    notes: tuple[str, ...]
    lost: tuple[LostRange, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class BundleRepairReport:
    """A bundle made by others was made anew, or would be."""

    plan: Plan
    made: BundleReport | None
    """nothing in a dry run"""
    members: tuple[MemberRepair, ...]
    """the leaf first"""
    dropped: tuple[str, ...]
    """names of members that are no part of the disk"""
    before: tuple[Finding, ...]
    mendings: tuple[Mending, ...]
    notes: tuple[str, ...]

    @property
    def lost_size(self) -> int:
        """Bytes of all disks that are missing or in doubt."""
        return sum(each.length for member in self.members for each in member.lost)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RebaseReport:
    """A differencing VHD was linked to a parent, or would be."""

    path: str
    parent: str
    stored_path: str
    """of the parent, as it stands in the locators"""
    uuid: str
    """of the parent; empty where it is raw"""
    old_uuid: str
    """of the parent before; empty where the link said that it was raw"""
    old_name: str
    proven: bool
    """whether the child named the parent's uuid before"""
    created: bool
    """whether the locators had to be created"""
    written: bool
    findings: tuple[Finding, ...]
    """of the child afterwards; in a dry run of what is to be said about the link"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two disks were compared."""

    equal: bool
    first_difference: int | None
    """bytes from the start; None where they are equal"""
    sizes: tuple[int, int]
    compared: int
    """bytes that were read on either side"""
    findings: tuple[Finding, ...] = ()
    """of the first disk, then of the second"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiskMap:
    """Where a disk holds data."""

    extents: tuple[Extent, ...]
    """ordered, gapless"""
    findings: tuple[Finding, ...] = ()
    """of the disk and its parents"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """One thing that ``doctor`` looked at."""

    what: str
    good: bool
    found: str
    act: str = ""
    """the one command that mends it"""
