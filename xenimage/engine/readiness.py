"""Whether a guest is ready for its target: facts of its disks, held against the checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.checks.guest import registry
from xenimage.model.check import Readiness

if TYPE_CHECKING:
    from xenimage.model.guest.facts import GuestFacts
    from xenimage.model.profile import Profile


def judge(facts: GuestFacts, profile: Profile) -> Readiness:
    """Judge a guest as *profile* weighs what is found.

    :raises ExtensionError: an installed check cannot be used.
    """
    return Readiness(facts=facts, findings=registry.judge(facts, profile), suggestions=registry.suggest(facts, profile))
