"""What several reports say: a verdict, a member of an archive, a VHD."""

from __future__ import annotations

import dataclasses
import enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xenimage.model.finding import Finding


class Verdict(enum.Enum):
    """The sum of a check's findings."""

    SOUND = "sound"
    """nothing above information"""
    USABLE = "usable"
    """warnings only"""
    NOT_READY = "not ready"
    """at least one error"""


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
class LostRange:
    """A part of a damaged disk that is not there any more, or may not be what it was. Bytes of the guest."""

    offset: int
    length: int
    why: str
    """one phrase"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Extracted:
    """A VHD that was taken out of a bundle."""

    path: str
    size: int
    """bytes"""


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
class Diagnosis:
    """One thing that ``doctor`` looked at."""

    what: str
    good: bool
    found: str
    act: str = ""
    """the one command that mends it"""
