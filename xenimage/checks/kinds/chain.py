"""Kinds of findings about a chain of VHDs."""

from __future__ import annotations

from xenimage.checks.kinds.words import kind
from xenimage.model.finding import Severity
from xenimage.model.kind import Mend, Wording

_ERROR, _WARNING, _INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
_CINDER, _CHECK = "Cinder", "vhd-util check"
_FLATTEN = "Flatten the chain: xenimage bundle create makes one VHD of it."
_RELINK = "Run xenimage disk rebase CHILD --parent PARENT, or flatten the chain: xenimage bundle create."

CHAIN = (
    kind(
        _ERROR,
        "chain.missing",
        "Missing parent",
        "the disk needs its parent {name!r} with the uuid {uuid}, and no VHD {place} has it",
        "tapdisk does not attach the disk, and vhd-util check says 'could not find parent': what the parent holds is"
        " missing",
        "Put the parent beside it, or take the whole chain from where the disk came.",
        mend=Mend.CHOICE,
        refused_by=(_CHECK, "tapdisk"),
        cases={
            "unknown": Wording(
                severity=_WARNING,
                what="the disk needs its parent {name!r} with the uuid {uuid}, which was not given",
                why="alone it holds only what differs from the parent; whether the link is right was not checked",
                act="Give the parent too, or its directory with --directory.",
            ),
            "raw": Wording(
                severity=_WARNING,
                what="the disk needs a raw parent, {name!r}, for its parent's uuid is null",
                why="nothing proves which file that is: no check can tell whether the link is right",
                act="If the parent is a VHD, run xenimage disk rebase CHILD --parent PARENT --force.",
            ),
        },
    ),
    kind(
        _ERROR,
        "chain.uuid",
        "Parent of another uuid",
        "the parent is called {name!r} and has the uuid {uuid}; {parent!r} has the uuid {found}",
        "tapdisk says 'parent uuid has changed since snapshot' and does not attach the disk; over another parent its"
        " data is garbage",
        "Look for the right parent. Relink only with proof that the parent is the same disk.",
        mend=Mend.CHOICE,
        refused_by=(_CHECK, "tapdisk"),
    ),
    kind(
        _WARNING,
        "chain.name",
        "Parent under another name",
        "the parent's uuid is that of {parent!r}, but the disk leads to {names}",
        "vhd-util and tapdisk go by the locators, Xen Orchestra by the name in the header: they do not find the parent",
        _RELINK,
        mend=Mend.SAFE,
        refused_by=(_CHECK, "tapdisk", "Xen Orchestra"),
    ),
    kind(
        _ERROR,
        "chain.self",
        "Disk that is its own parent",
        "the disk's parent has the disk's own uuid, {uuid}",
        "vhd-util query, check -p and every read of it go on for ever",
        "Take the disk from a backup, or relink it to its right parent.",
        mend=Mend.CHOICE,
    ),
    kind(
        _ERROR,
        "chain.cycle",
        "Ring of parents",
        "the parents of the disk lead back to it: {names}",
        "vhd-util query, check -p and every read of them go on for ever; vhd-util scan crashes",
        "Relink the one whose parent is wrong, or take the chain from a backup.",
        mend=Mend.CHOICE,
    ),
    kind(
        _WARNING,
        "chain.duplicate",
        "Two disks with one uuid",
        "{count} files have the uuid {uuid}: {names}",
        "the storage manager goes by file names, but links between disks go by uuid",
        "Give the copies a new uuid, or remove them; one that has children keeps its uuid.",
        mend=Mend.CHOICE,
        cases={
            "parent": Wording(
                severity=_ERROR,
                why="a child of it cannot tell which of them is its parent: over the wrong one its data is garbage",
            )
        },
    ),
    kind(
        _WARNING,
        "chain.smaller",
        "Child smaller than its parent",
        "the disk has {upper} bytes, its parent {parent!r} {lower}",
        "the guest sees the shorter disk; vhd-util snapshot never makes one, and Cinder cannot merge it",
        _FLATTEN,
        mend=Mend.CHOICE,
        refused_by=(_CINDER,),
    ),
    kind(
        _INFO,
        "chain.modified",
        "Parent that changed after its snapshot",
        "the parent {parent!r} was modified on {mtime}, after the {timestamp} that the disk remembers",
        "a copy has a new time, and so has a disk that was hidden after the snapshot; but if its data was written to,"
        " the child shows garbage",
        "If you do not know that it was copied, compare the parent with a backup.",
        mend=Mend.NONE,
    ),
    kind(
        _INFO,
        "chain.children",
        "Several children",
        "{count} disks have this one as their parent: {names}",
        "that is right for the base of several snapshots or clones; it must not be written to, and is not merged",
        "Nothing.",
        mend=Mend.NONE,
    ),
    kind(
        _WARNING,
        "chain.depth",
        "Long chain",
        "the chain below the disk has {depth} disks",
        "the storage manager of XenServer ends at 30; each disk more slows every read down",
        "Coalesce the chain, or flatten it: xenimage bundle create makes one VHD of it.",
    ),
    kind(
        _WARNING,
        "chain.orphan",
        "Hidden disk without children",
        "the disk is marked as hidden, and no disk has it as its parent",
        "nothing shows it; the garbage collection of XenServer deletes it",
        "If it is needed, run xenimage-vhd-util set -n FILE -f hidden -v 0.",
        mend=Mend.CHOICE,
    ),
    kind(
        _WARNING,
        "chain.unreadable",
        "File that is no readable VHD",
        "the file cannot be read as a VHD: {reason}",
        "its place in the tree is not known; a storage repository that holds it may fail to scan",
        "Run: xenimage disk check FILE.",
        mend=Mend.LOST,
    ),
)
