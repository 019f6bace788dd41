"""What a package says of its machine, held against what was found on the disk, which is believed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.checks.package.kinds import BY_CODE
from xenimage.profiles.machines import machine_suggestions
from xenimage.profiles.properties import named, same

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from xenimage.model.check import Readiness, Suggestion
    from xenimage.model.finding import Finding
    from xenimage.model.machine import Machine
    from xenimage.model.profile import Profile

_FIRMWARES = {"bios": "a BIOS", "uefi": "UEFI"}


def weigh(
    machine: Machine | None, guest: Readiness | None, profile: Profile
) -> tuple[tuple[Suggestion, ...], tuple[Finding, ...]]:
    """Bring together what follows from the guest and from the package; where they differ, the guest is believed.

    :param machine: as its package describes it; None for a disk that stands in none.
    :param guest: as it was found; None where nobody looked.
    :returns: each name once, the guest's first; and where the two differ, or the target has no such machine.
    """
    suggestions = guest.suggestions if guest else ()
    if machine is None:
        return suggestions, ()
    seen = named(profile, suggestions)
    said = named(profile, machine_suggestions(machine, profile))
    kept = tuple(each for name, each in said.items() if name not in seen)
    return (*suggestions, *kept), (*_contradictions(said, seen), *_firmware(machine, seen, profile))


def _contradictions(said: Mapping[str, Suggestion], seen: Mapping[str, Suggestion]) -> Iterator[Finding]:
    for name, claim in said.items():
        found = seen.get(name)
        if found is None or any(same(name, claim.value, each) for each in (found.value, *found.also)):
            continue
        yield BY_CODE["package.property.contradiction"].found(
            name=name,
            claim=claim.value,
            found=f"{name}={found.value}" if found.value else f"no {name}",
            reason=found.reason,
            where=f"property {name}",
            evidence=tuple(each.evidence for each in (claim, found) if each.evidence),
        )


def _firmware(machine: Machine, seen: Mapping[str, Suggestion], profile: Profile) -> Iterator[Finding]:
    """Doubt that the machine starts, where nothing on the disk says so or otherwise."""
    if machine.firmware in ("", *profile.firmwares) or "hw_firmware_type" in seen:
        return
    yield BY_CODE["package.firmware"].found(
        machine=machine.name,
        firmware=_FIRMWARES[machine.firmware],
        profile=profile.name,
        known=" or ".join(_FIRMWARES[each] for each in profile.firmwares),
    )
