"""What was done with disks, and what was seen in them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xenimage.model.extent import Extent
    from xenimage.model.finding import Finding
    from xenimage.model.guest.free import FreeSpace
    from xenimage.model.plan import GuestNeed
    from xenimage.model.report.common import LostRange


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
class DiskMap:
    """Where a disk holds data."""

    extents: tuple[Extent, ...]
    """ordered, gapless"""
    findings: tuple[Finding, ...] = ()
    """of the disk and its parents"""
