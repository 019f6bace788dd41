"""What was found out about a package of machines."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xenimage.model.finding import Finding
    from xenimage.model.machine import Package
    from xenimage.model.report.common import Verdict


@dataclasses.dataclass(frozen=True, kw_only=True)
class PackageStep:
    """What makes an image of a disk of a package."""

    machine: str
    """its name"""
    number: int
    """of the disk, from 1"""
    identifier: str
    label: str
    capacity: int | None
    """bytes; None where the package does not say"""
    command: tuple[str, ...]
    """what to run, a word each"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PackageReport:
    """A package of machines was judged."""

    package: Package
    """with the proof as it was found, if it was looked for"""
    target: str
    """who shall take it; empty where it was judged as it is"""
    verdict: Verdict
    findings: tuple[Finding, ...]
    """the errors first"""
    steps: tuple[PackageStep, ...] = ()
    """where the target takes images: one for each disk that has content"""
