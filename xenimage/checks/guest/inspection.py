"""What is to be said of the inspection itself: how much of the guest was seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.model.check import Check
from xenimage.model.finding import Severity
from xenimage.model.kind import FindingKind, Mend, Wording, by_code

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.model.finding import Finding
    from xenimage.model.guest.facts import GuestFacts
    from xenimage.model.profile import Profile

NOTHING = "guest.inspection.nothing"
"""what is said of disks for data, too: nothing to say of what is made of them"""
_SHOWN = 20
"""places that are listed of those which could not be read"""

KINDS = by_code(
    (
        FindingKind(
            code="guest.inspection.nothing",
            title="No operating system was recognised",
            severity=Severity.INFO,
            what="No operating system was recognised on {disks}.",
            why="Nothing can be said of whether it boots; a disk for data needs none.",
            act="Nothing, if it is a disk for data. If not, give os_type and vm_mode yourself.",
            mend=Mend.NONE,
            cases={
                "unread": Wording(
                    why="There may be one in what could not be read. A disk for data needs none.",
                    act="Nothing, if it is a disk for data. If not, see to what could not be read first.",
                )
            },
        ),
        FindingKind(
            code="guest.inspection.others",
            title="More than one operating system",
            severity=Severity.WARNING,
            what="{count} operating systems were found, and only one was judged: {judged}.",
            why="What the others need is neither among the findings nor among the properties.",
            act="If the disks belong to several guests, check those of one guest at a time.",
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="guest.inspection.stopped",
            title="Inspection that ended early",
            severity=Severity.WARNING,
            what="The inspection of the guest ended early: it {reason}.",
            why="What had not been looked at by then may keep the guest from starting, and is not among the findings.",
            act="Raise that limit in the [limits] section of the configuration, if you trust the image.",
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="guest.inspection.unread",
            title="Parts of the guest that could not be read",
            severity=Severity.WARNING,
            what="{count} could not be read.",
            why="What was not read was not judged: the guest may be better or worse than the findings say.",
            act="Check the file systems in the guest, and shut it down cleanly before its disk is copied.",
            mend=Mend.CHOICE,
        ),
    )
)


def judge(facts: GuestFacts, profile: Profile) -> Iterator[Finding]:
    """Tell what was not seen."""
    del profile
    if facts.stopped:
        yield KINDS["guest.inspection.stopped"].found(reason=facts.stopped)
    if facts.unread:
        count = len(facts.unread)
        shown = tuple(f"{each.what}: {each.why}" for each in facts.unread[:_SHOWN])
        more = (f"and {count - _SHOWN} more",) if count > _SHOWN else ()
        yield KINDS["guest.inspection.unread"].found(
            count="One part of the guest" if count == 1 else f"{count} parts of the guest", evidence=(*shown, *more)
        )
    judged, *others = facts.systems or ("",)
    if others:
        yield KINDS["guest.inspection.others"].found(
            count=len(facts.systems), judged=judged, evidence=tuple(others[:_SHOWN])
        )
    if facts.windows is None and facts.linux is None and not facts.stopped:
        disks = "the disk" if len(facts.disks) == 1 else f"the {len(facts.disks)} disks"
        yield KINDS["guest.inspection.nothing"].found("unread" if facts.unread else "", disks=disks)


CHECK = Check(
    name="guest.inspection",
    title="How much of the guest was seen",
    kinds=tuple(KINDS.values()),
    judge=judge,
)
