"""In which condition Windows was left when its disk was copied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.model.check import Check
from xenimage.model.finding import Severity
from xenimage.model.kind import FindingKind, Mend, by_code

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.model.finding import Finding
    from xenimage.model.guest.facts import GuestFacts
    from xenimage.model.profile import Profile

_OFF = "Start the VM once more, shut Windows down with: shutdown /s /t 0, and copy the disk again."
_HIVES = ("SYSTEM", "SOFTWARE")

KINDS = by_code(
    (
        FindingKind(
            code="windows.state.hive",
            title="Registry that cannot be read",
            severity=Severity.ERROR,
            what="The registry hive {name} cannot be read.",
            why="If Windows cannot read it either, it does not start; nothing that it says was judged.",
            act="Look at the disk with chkdsk in a VM, restore the hive, or take the disk from a backup.",
            mend=Mend.LOST,
        ),
        FindingKind(
            code="windows.state.dirty",
            title="Registry that was not closed",
            severity=Severity.WARNING,
            what="Windows was not shut down cleanly: {names} not closed.",
            why="The logs hold newer values than those that were judged; what is found here may not be current.",
            act=_OFF,
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="windows.state.volume",
            title="Volume that was not closed",
            severity=Severity.WARNING,
            what="The NTFS on {places} says that it was not closed.",
            why="Windows checks it at the first start of each server, which takes long; what was written last may be"
            " lost.",
            act=_OFF,
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="windows.state.hibernated",
            title="Windows that sleeps",
            severity=Severity.ERROR,
            what="Windows is hibernated, or was shut down with fast startup.",
            why="It would resume on other hardware and with memory that does not fit the disk: it crashes, or damages"
            " the file system.",
            act=_OFF,
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="windows.state.restart",
            title="Restart that is pending",
            severity=Severity.WARNING,
            what="Windows waits for a restart to complete an installation or an update.",
            why="The first start of each server completes it: it takes long, and may fail together with the set-up.",
            act="Restart Windows until nothing is pending, then run sysprep and copy the disk again.",
            mend=Mend.CHOICE,
        ),
    )
)


def judge(facts: GuestFacts, profile: Profile) -> Iterator[Finding]:
    """Judge how Windows was left."""
    del profile
    windows = facts.windows
    if windows is None:
        return
    read = {each.name for each in windows.hives}
    for name in _HIVES if not facts.stopped else ():
        if name not in read:
            path = f"{windows.root}/System32/config/{name}"
            evidence = tuple(f"{each.what}: {each.why}" for each in facts.unread if path in each.what)
            yield KINDS["windows.state.hive"].found(name=name, evidence=evidence or (path,))
    dirty = [each for each in windows.hives if each.dirty]
    if dirty:
        names = " and ".join(each.name for each in dirty) + (" was" if len(dirty) == 1 else " were")
        evidence = tuple(f"{each.path}: the sequence numbers of its header differ" for each in dirty)
        yield KINDS["windows.state.dirty"].found(names=names, evidence=evidence)
    volumes = list(_unclosed(facts))
    if volumes:
        evidence = tuple(f"{place}: $Volume has the flag dirty" for place in volumes)
        yield KINDS["windows.state.volume"].found(places=" and ".join(volumes), evidence=evidence)
    if windows.hibernation is not None and windows.hibernation.holds_system:
        evidence = (f"{windows.hibernation.path}: begins with {windows.hibernation.signature}",)
        yield KINDS["windows.state.hibernated"].found(evidence=evidence)
    if windows.reboot_pending:
        yield KINDS["windows.state.restart"].found(evidence=windows.reboot_pending)


def _unclosed(facts: GuestFacts) -> Iterator[str]:
    """Places of volumes that say so of themselves."""
    for disk in facts.disks:
        for partition in disk.partitions:
            if partition.volume is not None and partition.volume.kind == "ntfs" and partition.volume.dirty:
                yield f"disk {disk.index}" + (f", partition {partition.number}" if partition.number else "")


CHECK = Check(
    name="windows.state",
    title="The condition in which Windows was left",
    kinds=tuple(KINDS.values()),
    judge=judge,
)
