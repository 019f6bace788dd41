"""A check of a guest: facts and a target in, findings out. What third parties add is of the same shape."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from xenimage.model.finding import Finding
    from xenimage.model.guest.facts import GuestFacts
    from xenimage.model.kind import FindingKind
    from xenimage.model.profile import Profile


@dataclasses.dataclass(frozen=True, kw_only=True)
class Check:
    """One group of rules. An entry point of the namespace ``xenimage.checks`` names one of these."""

    name: str
    """``windows.device-id``; the codes of its kinds begin with it and a dot"""
    title: str
    kinds: tuple[FindingKind, ...]
    """everything that it can find; the reference lists them"""
    judge: Callable[[GuestFacts, Profile], Iterable[Finding]]
    """pure: reads nothing but its arguments, and raises nothing"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Suggestion:
    """An image property that follows from what was found in the guest, or from what a package says of it."""

    name: str
    """as Glance's metadata definitions call it today: ``hw_firmware_type``; a profile may want a legacy name"""
    value: str
    """empty: the property must not be set"""
    reason: str
    """a sentence"""
    evidence: str = ""
    """where that was seen: a path, or a key with its value"""
    also: tuple[str, ...] = ()
    """other values that fit what was found as well: a disk that starts with either firmware"""
    claimed: bool = False
    """whether a package says so, and nobody saw it on the disk"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Readiness:
    """A guest as it was seen and judged for a target."""

    facts: GuestFacts
    findings: tuple[Finding, ...]
    """the errors first"""
    suggestions: tuple[Suggestion, ...]
