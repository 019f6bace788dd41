"""Checking a bundle against a consumer: the stream, the names, and each VHD."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.checks.bundle import check_facts, judge
from xenimage.checks.consumers import weighed
from xenimage.formats.vhd.check import check_vhd
from xenimage.model.report import CheckReport

if TYPE_CHECKING:
    from xenimage.containers.bundle.reader import Bundle
    from xenimage.formats.vhd.check import Role
    from xenimage.limits import Limits
    from xenimage.model.finding import Finding
    from xenimage.model.profile import Profile


def check_bundle(bundle: Bundle, profile: Profile, limits: Limits, now: int) -> CheckReport:
    """Find all faults of a bundle. The VHDs are read in their order in the tar: one more pass for all of them.

    :param now: Unix seconds that timestamps are compared with.
    :raises TransferError: the source failed.
    """
    facts = bundle.facts()
    chain = bundle.chain()
    findings: list[Finding] = check_facts(facts, profile, now)
    # A chain longer than the limit is refused by its number already; its disks might cost a pass each.
    for member in sorted(chain[: limits.chain_depth], key=lambda each: each.offset):
        if member.vhd is not None:
            role = _role(chain.index(member), len(chain))
            findings += weighed(check_vhd(bundle.member_source(member), limits, now=now, role=role), profile)
    return CheckReport(
        path=facts.path, profile=profile.name, verdict=judge(findings), findings=tuple(findings), facts=facts
    )


def _role(number: int, count: int) -> Role:
    if count == 1:
        return "only"
    if number == 0:
        return "leaf"
    return "base" if number == count - 1 else "middle"
