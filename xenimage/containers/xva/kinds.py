"""Kinds of findings about an XVA."""

from __future__ import annotations

from xenimage.model.finding import Severity
from xenimage.model.kind import FindingKind, Mend, by_code

SNAPSHOTS = FindingKind(
    code="xva.snapshots",
    title="The export holds snapshots",
    severity=Severity.INFO,
    what="The export holds {count} of {machine!r} beside the machine itself: {names}.",
    why="They are not shown as machines and not converted; the disks are those of the machine as it was exported.",
    act="Nothing, unless a snapshot is what you want: then revert to it, and export again.",
    mend=Mend.NONE,
)
TEMPLATE = FindingKind(
    code="xva.template",
    title="The machine is a template",
    severity=Severity.INFO,
    what="{machine!r} is a template.",
    why="XenServer makes machines of it rather than starting it.",
    act="Nothing.",
    mend=Mend.NONE,
)
ORDER = FindingKind(
    code="xva.disk.order",
    title="The disks are not in order",
    severity=Severity.WARNING,
    what="The chunks of {reference} stand in front of those of {other}, which comes first in the order of the text.",
    why="xapi reads the disks in the order of their references as text, and refuses another.",
    act="Write the package anew with xenimage package convert.",
    mend=Mend.ANEW,
    refused_by=("xapi",),
)
SMALL_FIRST = FindingKind(
    code="xva.disk.first",
    title="The first disk is smaller than a chunk",
    severity=Severity.WARNING,
    what="The first disk, {reference}, has {size} bytes, less than one chunk, and others follow it.",
    why="xapi takes the length of the first chunk for that of all, and puts what follows a hole of later disks to a"
    " wrong place.",
    act="Let the first disk have 1 MiB at least, or export the disks one by one.",
    mend=Mend.CHOICE,
)
LARGE = FindingKind(
    code="xva.disk.large",
    title="A disk is too large for a VHD",
    severity=Severity.WARNING,
    what="The disk {reference} has {size} bytes, more than the 2040 GiB of a VHD.",
    why="Storage repositories that keep VHDs cannot take it, and neither can a bundle.",
    act="Make the disk smaller in the guest, or import it where disks are raw or qcow2.",
    mend=Mend.CHOICE,
    refused_by=("xapi, on storage with VHDs",),
)
SUM = FindingKind(
    code="xva.chunk.sum",
    title="A chunk does not have its sum",
    severity=Severity.ERROR,
    what="The chunk {name} at {place:#x} has the {kind} {found}, but {expected} is recorded.",
    why="The mebibyte at {position:#x} of the disk {reference} is damaged. xapi refuses it, unless it is forced.",
    act="Transfer or export the file again.",
    mend=Mend.LOST,
    refused_by=("xapi",),
)
ARCHIVE = FindingKind(
    code="xva.archive",
    title="The archive breaks the rules of an XVA",
    severity=Severity.ERROR,
    what="{error}.",
    why="What stands behind that place is not read: it could belong anywhere.",
    act="{tip}",
    mend=Mend.LOST,
    refused_by=("xapi",),
)

KINDS = (SNAPSHOTS, TEMPLATE, ORDER, SMALL_FIRST, LARGE, SUM, ARCHIVE)
BY_CODE = by_code(KINDS)
