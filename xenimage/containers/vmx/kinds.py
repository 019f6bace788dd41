"""Kinds of findings about a VMX."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xenimage.model.finding import Severity
from xenimage.model.kind import Describe, Mend, Wording, by_code

if TYPE_CHECKING:
    from collections.abc import Iterable

    from xenimage.model.finding import Finding

_ERROR, _WARNING, _INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
_MOST = 50
"""findings of a code that are told"""
_CORRECT = "Correct the VMX with an editor while the machine is off, or let VMware write it anew."
_kind = Describe(group="vmx")


TEXT = (
    _kind(
        _WARNING,
        "encoding",
        "Text in a doubtful encoding",
        "The VMX says that it is written in {encoding!r}, which is not known.",
        "Names that are not plain ASCII may be read wrongly; files with such names are not found.",
        _CORRECT,
        cases={
            "bytes": Wording(what="The VMX says that it is written in {encoding!r}, but has bytes that are not."),
        },
    ),
    _kind(
        _WARNING,
        "line",
        "Lines that cannot be read",
        '{count} lines of the VMX are not of the form key = "value"; the first is line {line}.',
        "They were passed over: what they say is lost.",
        _CORRECT,
    ),
    _kind(
        _WARNING,
        "twice",
        "Keys that stand more than once",
        "{count} keys of the VMX stand more than once, such as {key!r}; the last of each counts.",
        "Which one other programs take is not said anywhere; some refuse the file.",
        _CORRECT,
        refused_by=("VMware Workstation",),
    ),
    _kind(
        _WARNING,
        "version",
        "No version",
        "The VMX does not say {key}.",
        "VMware does not start the machine without it.",
        _CORRECT,
        refused_by=("VMware",),
    ),
)
MACHINE = (
    _kind(
        _WARNING,
        "memory",
        "No usable amount of memory",
        "The VMX has the memory {value!r}, in MiB.",
        "It was passed over; importers take a default.",
        "Say how much it is to have when it is imported.",
        cases={
            "unset": Wording(
                what="The VMX does not say how much memory the machine has.",
                why="VMware gives it 32 MiB then, and so it is taken here.",
            ),
            "odd": Wording(
                what="The machine has {value} MiB of memory, no multiple of 4.",
                why="VMware does not start it.",
            ),
        },
    ),
    _kind(
        _WARNING,
        "cpu",
        "No usable number of processors",
        "The VMX has the number of processors {value!r}.",
        "It was passed over; importers take one.",
        "Say how many it is to have when it is imported.",
        cases={
            "cores": Wording(
                what="The VMX puts {value!r} cores into each socket, and the machine has {cpus} processors.",
                why="The one is no multiple of the other; the sockets were passed over.",
            ),
        },
    ),
    _kind(
        _WARNING,
        "firmware",
        "Firmware that is not known",
        "The VMX has the firmware {value!r}.",
        "Whether the guest starts with BIOS or UEFI is not known.",
        "Say it when the machine is imported.",
    ),
    _kind(
        _WARNING,
        "suspended",
        "Machine that is suspended",
        "The machine is suspended: its memory is in {name!r}.",
        "The memory is not read. Without it the disks are as after a power cut, and what was not written yet is lost.",
        "Resume the machine in VMware, shut it down, and copy the folder again.",
        mend=Mend.LOST,
    ),
    _kind(
        _WARNING,
        "locked",
        "Machine that is in use",
        "There is {name!r}, a lock: VMware uses the machine now, or was interrupted.",
        "Disks that are written while they are read come out damaged.",
        "Shut the machine down; if no VMware runs it, remove the lock.",
    ),
    _kind(
        _WARNING,
        "device",
        "Device for which there is no place",
        "The VMX has {count} devices at addresses that VMware does not have, such as {device}.",
        "They are left out.",
        _CORRECT,
        refused_by=("VMware",),
    ),
    _kind(
        _WARNING,
        "card.mac",
        "Address that is none",
        "The network card {device} has the address {value!r}.",
        "It was passed over: the card gets another address, and the guest may take it for a new card.",
        _CORRECT,
    ),
)
DISKS = (
    _kind(
        _WARNING,
        "disk.none",
        "Machine without a disk",
        "The VMX names no disk.",
        "There is nothing to start from.",
        "Nothing, if the machine is to start from the network.",
    ),
    _kind(
        _WARNING,
        "disk.unattached",
        "Disk drive without a disk",
        "The disk drive {device} names no file.",
        "It is left out.",
        "Nothing, if the machine has all its disks.",
    ),
    _kind(
        _WARNING,
        "disk.controller",
        "Disk at a controller that is not there",
        "The disk {disk!r} is at {device}, but the VMX has no {controller}.",
        "VMware does not show it to the guest; it is taken here.",
        "Leave the disk out, if the guest did not have it.",
    ),
    _kind(
        _INFO,
        "disk.mode",
        "Disk that forgets",
        "The disk {disk!r} has the mode {mode!r}.",
        "In VMware what the guest writes is dropped when it is switched off, or when its owner says so; elsewhere it"
        " stays.",
        "Nothing, unless the guest relies on it.",
        mend=Mend.NONE,
    ),
    _kind(
        _WARNING,
        "disk.raw",
        "Disk of the host",
        "The disk {disk!r} is a device of the host that ran the machine.",
        "Its content is not in the folder, and no device is opened on the word of a file.",
        "Copy the device into a disk image on that host.",
        mend=Mend.LOST,
    ),
    _kind(
        _WARNING,
        "disk.twice",
        "Disk in two drives",
        "The disk {disk!r} is at {device} and {other}.",
        "VMware opens it once only, and does not start the machine.",
        _CORRECT,
        refused_by=("VMware",),
    ),
    _kind(
        _INFO,
        "disk.order",
        "Boot disk that is not said",
        "The machine has disks at {buses}, and the VMX does not say from which it starts; {disk!r} was taken.",
        "The order may be in the memory of its firmware, which is not read.",
        "Choose the boot disk yourself, if the guest does not start.",
        mend=Mend.NONE,
    ),
    _kind(
        _ERROR,
        "disk.content",
        "Disk that cannot be opened",
        "The disk {disk!r} cannot be opened: {error}.",
        "The machine cannot be imported with it.",
        "Copy the folder again, or export the machine as an OVF in VMware.",
        mend=Mend.LOST,
    ),
    _kind(
        _INFO,
        "disk.snapshots",
        "Disk that stands on snapshots",
        "The disk {disk!r} stands on {count} others.",
        "It is read as it is now; the states of its snapshots are not shown.",
        "Nothing, unless a snapshot is what you want: then revert to it in VMware.",
        mend=Mend.NONE,
    ),
)
FILES = (
    _kind(
        _ERROR,
        "file.name",
        "Name that leads out of the folder",
        "The drive {device}: {error}.",
        "It is never opened: a package must not reach what is beside it.",
        "If you trust it, put that file beside the VMX, and write its bare name into the VMX.",
        cases={
            "cdrom": Wording(
                severity=_INFO,
                why="It is not opened; the drive is taken for empty.",
                act="Nothing, unless the guest needs the disc.",
            ),
        },
    ),
    _kind(
        _ERROR,
        "file.missing",
        "File that is missing",
        "The file {name!r} of the drive {device} is not there, or cannot be read.",
        "The disk in it is lost; VMware does not start the machine.",
        "Copy all files of the folder again.",
        mend=Mend.LOST,
        cases={
            "cdrom": Wording(
                severity=_INFO,
                why="The drive is taken for empty.",
                act="Nothing, unless the guest needs the disc.",
            ),
        },
    ),
)
KINDS = TEXT + MACHINE + DISKS + FILES
BY_CODE = by_code(KINDS)


def found(code: str, case: str = "", *, evidence: tuple[str, ...] = (), **values: Any) -> Finding:
    """Make the finding of the kind ``vmx.CODE``."""
    return BY_CODE[f"vmx.{code}"].found(case, evidence=evidence, **values)


def few(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Keep the first of each code, in order: a hostile file may give rise to hundreds."""
    counts: dict[str, int] = {}
    kept = []
    for finding in findings:
        counts[finding.code] = counts.get(finding.code, 0) + 1
        if counts[finding.code] <= _MOST:
            kept.append(finding)
    return tuple(kept)
