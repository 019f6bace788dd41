"""What was seen in a guest."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xenimage.model.finding import Finding
    from xenimage.model.guest.facts import GuestFacts
    from xenimage.model.plan import Property
    from xenimage.model.profile import Profile
    from xenimage.model.report.common import Verdict


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
