"""What was done with bundles, and what was seen in them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xenimage.model.finding import Finding
    from xenimage.model.plan import Plan
    from xenimage.model.report.common import Extracted, LostRange, Member, Verdict
    from xenimage.model.report.disk import Mending
    from xenimage.model.transfer import Receipt


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
