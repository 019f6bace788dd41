"""Whether a guest is ready for its target: its disks are looked at, and what is seen is held against the checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.checks.bundle import judge as verdict_of
from xenimage.checks.guest import registry
from xenimage.engine import inspecting
from xenimage.engine.claims import weigh
from xenimage.engine.usage import measure
from xenimage.guest.sandbox import parent
from xenimage.model.check import Readiness
from xenimage.model.finding import Severity
from xenimage.model.plan import BundleOptions
from xenimage.model.report import GuestReport
from xenimage.profiles.properties import decide
from xenimage.units import GIB

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xenimage.limits import Limits
    from xenimage.model.disk import Disk
    from xenimage.model.guest.facts import GuestFacts
    from xenimage.model.plan import GuestOptions
    from xenimage.model.profile import Profile

_ORDER = tuple(Severity)


def judge(facts: GuestFacts, profile: Profile) -> Readiness:
    """Judge a guest as *profile* weighs what is found.

    :raises ExtensionError: an installed check cannot be used.
    """
    return Readiness(facts=facts, findings=registry.judge(facts, profile), suggestions=registry.suggest(facts, profile))


def look(disks: Sequence[Disk], names: Sequence[str], profile: Profile, limits: Limits) -> Readiness:
    """Look at a guest's disks, and judge it.

    :param names: of the disks, one each, as people know them.
    :raises ExtensionError: an installed check cannot be used.
    :raises TransferError: a disk cannot be read.
    """
    return judge(parent.inspect(disks, limits, names), profile)


def check(options: GuestOptions, profile: Profile, limits: Limits) -> GuestReport:
    """Look at the guest that the user names; all findings, and what its image would be told.

    :raises XenimageError: as :func:`xenimage.engine.inspecting.opened`.
    """
    with inspecting.opened(options.sources, limits) as found:
        ready = look(found.disks, found.names, profile, limits)
        usage = tuple(measure(disk, name, limits) for disk, name in zip(found.disks, found.names, strict=True))
        told = [finding for disk in found.disks for finding in disk.facts.findings]
    suggestions, doubts = weigh(found.origin.machine if found.origin else None, ready, profile)
    wishes = BundleOptions(source=options.sources[0], output="", profile=profile.name, properties=options.properties)
    properties, of_properties = decide(profile, wishes, suggestions)
    findings = sorted([*told, *ready.findings, *of_properties, *doubts], key=lambda each: _ORDER.index(each.severity))
    return GuestReport(
        profile=profile,
        verdict=verdict_of(findings),
        facts=ready.facts,
        findings=tuple(findings),
        properties=properties,
        min_disk=-(-usage[0].size // GIB),
        usage=usage,
    )
