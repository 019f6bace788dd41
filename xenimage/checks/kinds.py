"""Every kind of finding about a bundle around its VHDs, about a chain of VHDs, and about a disk of another format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.model.finding import Severity
from xenimage.model.kind import FindingKind, Mend, Wording, by_code

if TYPE_CHECKING:
    from collections.abc import Mapping

_ERROR, _WARNING, _INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
_ANEW = "Make the bundle anew: xenimage bundle create."
_PACK = "Pack the VHDs alone: tar -czf BUNDLE --owner=0 --group=0 --mode=0644 0.vhd ..."
_FLATTEN = "Flatten the chain: xenimage bundle create makes one VHD of it."
_MTIME = "Pack with --mtime=2000-01-01T00:00:00Z."
_RELINK = "Run xenimage disk rebase CHILD --parent PARENT, or flatten the chain: xenimage bundle create."
_NOVA, _CINDER, _STREAM, _CHECK = "os-xenapi", "Cinder", "vdi_remote_stream", "vhd-util check"


def _kind(
    severity: Severity,
    code: str,
    title: str,
    *texts: str,
    mend: Mend = Mend.ANEW,
    by: tuple[str, ...] = (),
    cases: Mapping[str, Wording] | None = None,
) -> FindingKind:
    """*texts*: what, why and act; without the last: pack it again."""
    what, why, act = (*texts, _PACK)[:3]
    return FindingKind(
        code=code,
        title=title,
        severity=severity,
        what=what,
        why=why,
        act=act,
        mend=mend,
        refused_by=by,
        cases=cases or {},
    )


STREAM = (
    _kind(
        _ERROR,
        "bundle.gzip.trailing",
        "Bytes behind the gzip stream",
        "{count} bytes follow the gzip stream",
        "gzip says 'trailing garbage ignored' and fails, and with it the import of os-xenapi",
        "Cut the file to {size} bytes.",
        mend=Mend.SAFE,
        by=(_NOVA,),
    ),
    _kind(
        _INFO,
        "bundle.gzip.members",
        "Several gzip members",
        "the gzip stream has {count} members",
        "GNU gzip reads them as one; some other readers stop after the first",
        "Repack it: gzip -dc BUNDLE | gzip > NEW.",
    ),
    _kind(
        _WARNING,
        "bundle.tar.unended",
        "No end of the tar",
        "the tar has no end-of-archive blocks",
        "GNU tar accepts it; the file may nevertheless have lost something",
    ),
    _kind(
        _WARNING,
        "bundle.tar.trailing",
        "Bytes behind the end of the tar",
        "{count} bytes follow the end of the tar",
        "that is more than the usual padding of 10 KiB; much more breaks the pipe of os-xenapi",
        by=(_NOVA,),
        cases={
            "many": Wording(severity=_ERROR, why="tar stops reading there: the import of os-xenapi breaks with EPIPE")
        },
    ),
)
NAMES = (
    _kind(
        _ERROR,
        "bundle.name.none",
        "No 0.vhd",
        "no VHD is called 0.vhd ({names})",
        "os-xenapi ends in 'Expected seq number: 0' or an UnboundLocalError, Cinder in an IndexError",
        by=(_NOVA, _CINDER),
    ),
    _kind(
        _ERROR,
        "bundle.name.sequence",
        "Numbers with a gap",
        "the sequence 0.vhd to {last}.vhd is broken by {names}",
        "os-xenapi says 'Corrupt image. Expected seq number: {expected}'",
        by=(_NOVA,),
    ),
    _kind(
        _ERROR,
        "bundle.name.many",
        "Too many VHDs",
        "the bundle holds {count} VHDs",
        "{profile} takes {most}",
        _FLATTEN,
        by=(_NOVA,),
        cases={"nova": Wording(why="{profile} takes {most}: nova has 16 names for them")},
    ),
    _kind(
        _ERROR,
        "bundle.name.overwritten",
        "Old names beside 0.vhd",
        "{names} stand beside 0.vhd",
        "os-xenapi renames the old names to numbers: it overwrites 0.vhd without a word",
    ),
    _kind(
        _WARNING,
        "bundle.name.old",
        "Old names",
        "{names} must be renamed to numbers",
        "os-xenapi does so, older releases only for snap.vhd, image.vhd and base.vhd; Cinder knows numbers only",
        by=(_CINDER,),
        cases={"numbered": Wording(severity=_ERROR)},
    ),
    _kind(
        _ERROR,
        "bundle.name.appledouble",
        "AppleDouble file",
        "{name!r} is an AppleDouble file of macOS",
        "os-xenapi counts it as a VHD: 'Corrupt image. Expected seq number'",
        "Pack with COPYFILE_DISABLE=1, or without the attributes.",
        by=(_NOVA,),
    ),
    _kind(
        _ERROR,
        "bundle.name.subdirectory",
        "VHD in a directory",
        "{name!r} lies in a directory",
        "the consumers look for 0.vhd only",
        by=(_NOVA, _CINDER),
    ),
    _kind(
        _ERROR,
        "bundle.name.case",
        "Name in upper case",
        "{name!r} is not written in lower case",
        "the consumers compare it as it is",
        by=(_NOVA, _CINDER),
    ),
    _kind(
        _ERROR,
        "bundle.name.repeated",
        "Two members of one name",
        "{count} members are called {name!r}",
        "tar keeps the last, readers of the stream take the first",
    ),
    _kind(
        _ERROR,
        "bundle.name.escape",
        "Name that leads out",
        "{name!r} leads out of the directory",
        "tar refuses it and the import fails",
        by=(_NOVA, _CINDER),
    ),
    _kind(
        _WARNING,
        "bundle.name.absolute",
        "Absolute name",
        "{name!r} is absolute",
        "GNU tar strips the slash; others may not",
    ),
)
MEMBERS = (
    _kind(
        _INFO,
        "bundle.member.extra",
        "Member that is no VHD",
        "{name!r} ({kind}) is no VHD of the chain",
        "{profile} ignores it; vdi_remote_stream takes every member for a VHD and fails on it",
        by=(_STREAM,),
        cases={
            "refused": Wording(severity=_ERROR, why="vdi_remote_stream takes every member for a VHD and fails on it")
        },
    ),
    _kind(
        _ERROR,
        "bundle.member.sparse",
        "Sparse member",
        "{name!r} is stored as a sparse file",
        "GNU tar restores it, but readers of the stream see its pieces without the holes; it is not checked here",
        "Pack without --sparse.",
    ),
    *(
        _kind(
            _ERROR,
            f"bundle.member.{each}",
            title,
            "{name!r} is a {kind}",
            "os-xenapi moves it into the storage repository as it is: it would lead to other files of the host",
            "Do not use the bundle, and ask where it comes from. " + _PACK,
        )
        for each, title in (("link", "Link"), ("special", "Device, FIFO or the like"))
    ),
    _kind(
        _ERROR,
        "bundle.member.data",
        "VHD without a footer",
        "{name!r} has no VHD footer",
        "every consumer refuses it",
        _ANEW,
        mend=Mend.LOST,
        by=(_NOVA, _CINDER, _STREAM),
    ),
    _kind(
        _INFO,
        "bundle.member.pax",
        "Pax header",
        "{name!r} has a pax header",
        "the tar of an old XenServer may print warnings about it",
    ),
    _kind(
        _WARNING,
        "bundle.member.size",
        "Size beyond 8 GiB",
        "{name!r} has {size} in a {header} header",
        "8 GiB end it",
    ),
    _kind(
        _WARNING,
        "bundle.member.mode",
        "Mode of a member",
        "{name!r} has the mode {mode:04o}",
        "tar runs as root in dom0 and restores it",
        "Pack with --mode=0644.",
    ),
    _kind(
        _INFO,
        "bundle.member.owner",
        "Owner of a member",
        "{name!r} belongs to {owner}",
        "tar runs as root in dom0 and restores the owner in the storage repository",
        "Pack with --owner=0 --group=0.",
    ),
    _kind(
        _INFO,
        "bundle.member.mtime",
        "Time of a member",
        "{name!r} was modified {when} ({mtime})",
        "harmless for this member",
        _MTIME,
        by=(_NOVA,),
        cases={
            "base": Wording(
                severity=_ERROR,
                why="os-xenapi writes the time of a parent's file into its child, where vhd-util check refuses it:"
                " 'parent creation time in future'",
            )
        },
    ),
)
CHAIN_OF_BUNDLE = (
    _kind(
        _ERROR,
        "bundle.size.max",
        "Larger than the target takes",
        "the disk has {size}, {profile} takes {most}",
        "{reason}",
        "Make the disk smaller before it becomes an image.",
        mend=Mend.LOST,
    ),
    _kind(
        _ERROR,
        "bundle.chain.type",
        "Parent of a disk that has none",
        "{child!r} is {variant}, but {parent!r} follows as its parent",
        "vhd-util modify refuses to give it a parent; is the order reversed? 0.vhd is the leaf",
        "Number the members from the leaf, 0.vhd, down to the base.",
        by=(_NOVA, _CINDER),
    ),
    _kind(
        _WARNING,
        "bundle.chain.smaller",
        "Child smaller than its parent",
        "{child!r} has {upper} bytes, its parent {parent!r} {lower}",
        "Cinder resizes the parent to the child's size, and vhd-util cannot shrink: rc 38",
        _FLATTEN,
        by=(_CINDER,),
        cases={"coalesced": Wording(severity=_ERROR)},
    ),
    _kind(
        _WARNING,
        "bundle.chain.mib",
        "No whole MiB in a chain",
        "{child!r} or {parent!r} has no whole MiB",
        "vhd-util query drops the fraction, and Cinder then tries to shrink the parent: rc 38",
        _FLATTEN,
        by=(_CINDER,),
        cases={"coalesced": Wording(severity=_ERROR)},
    ),
    _kind(
        _INFO,
        "bundle.chain.uuid",
        "Child of another parent",
        "{child!r} names the parent {wanted}, {parent!r} is {uuid}",
        "os-xenapi and Cinder write the link anew; if the parent is the wrong one, the data is garbage",
        "Compare with the chain that the bundle was made from.",
        mend=Mend.CHOICE,
    ),
)
CHAIN = (
    _kind(
        _ERROR,
        "chain.missing",
        "Missing parent",
        "the disk needs its parent {name!r} with the uuid {uuid}, and no VHD {place} has it",
        "tapdisk does not attach the disk, and vhd-util check says 'could not find parent': what the parent holds is"
        " missing",
        "Put the parent beside it, or take the whole chain from where the disk came.",
        mend=Mend.CHOICE,
        by=(_CHECK, "tapdisk"),
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
    _kind(
        _ERROR,
        "chain.uuid",
        "Parent of another uuid",
        "the parent is called {name!r} and has the uuid {uuid}; {parent!r} has the uuid {found}",
        "tapdisk says 'parent uuid has changed since snapshot' and does not attach the disk; over another parent its"
        " data is garbage",
        "Look for the right parent. Relink only with proof that the parent is the same disk.",
        mend=Mend.CHOICE,
        by=(_CHECK, "tapdisk"),
    ),
    _kind(
        _WARNING,
        "chain.name",
        "Parent under another name",
        "the parent's uuid is that of {parent!r}, but the disk leads to {names}",
        "vhd-util and tapdisk go by the locators, Xen Orchestra by the name in the header: they do not find the parent",
        _RELINK,
        mend=Mend.SAFE,
        by=(_CHECK, "tapdisk", "Xen Orchestra"),
    ),
    _kind(
        _ERROR,
        "chain.self",
        "Disk that is its own parent",
        "the disk's parent has the disk's own uuid, {uuid}",
        "vhd-util query, check -p and every read of it go on for ever",
        "Take the disk from a backup, or relink it to its right parent.",
        mend=Mend.CHOICE,
    ),
    _kind(
        _ERROR,
        "chain.cycle",
        "Ring of parents",
        "the parents of the disk lead back to it: {names}",
        "vhd-util query, check -p and every read of them go on for ever; vhd-util scan crashes",
        "Relink the one whose parent is wrong, or take the chain from a backup.",
        mend=Mend.CHOICE,
    ),
    _kind(
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
    _kind(
        _WARNING,
        "chain.smaller",
        "Child smaller than its parent",
        "the disk has {upper} bytes, its parent {parent!r} {lower}",
        "the guest sees the shorter disk; vhd-util snapshot never makes one, and Cinder cannot merge it",
        _FLATTEN,
        mend=Mend.CHOICE,
        by=(_CINDER,),
    ),
    _kind(
        _INFO,
        "chain.modified",
        "Parent that changed after its snapshot",
        "the parent {parent!r} was modified on {mtime}, after the {timestamp} that the disk remembers",
        "a copy has a new time, and so has a disk that was hidden after the snapshot; but if its data was written to,"
        " the child shows garbage",
        "If you do not know that it was copied, compare the parent with a backup.",
        mend=Mend.NONE,
    ),
    _kind(
        _INFO,
        "chain.children",
        "Several children",
        "{count} disks have this one as their parent: {names}",
        "that is right for the base of several snapshots or clones; it must not be written to, and is not merged",
        "Nothing.",
        mend=Mend.NONE,
    ),
    _kind(
        _WARNING,
        "chain.depth",
        "Long chain",
        "the chain below the disk has {depth} disks",
        "the storage manager of XenServer ends at 30; each disk more slows every read down",
        "Coalesce the chain, or flatten it: xenimage bundle create makes one VHD of it.",
    ),
    _kind(
        _WARNING,
        "chain.orphan",
        "Hidden disk without children",
        "the disk is marked as hidden, and no disk has it as its parent",
        "nothing shows it; the garbage collection of XenServer deletes it",
        "If it is needed, run xenimage-vhd-util set -n FILE -f hidden -v 0.",
        mend=Mend.CHOICE,
    ),
    _kind(
        _WARNING,
        "chain.unreadable",
        "File that is no readable VHD",
        "the file cannot be read as a VHD: {reason}",
        "its place in the tree is not known; a storage repository that holds it may fail to scan",
        "Run: xenimage disk check FILE.",
        mend=Mend.LOST,
    ),
)
DISK = (
    _kind(
        _INFO,
        "disk.rules",
        "Rules of another format",
        "the disk is {format}: it was opened, and {extents} ranges of it were mapped without an error",
        "that proves its header and tables; reference counts, checksums and data were not read",
        "Nothing. To have a VHD that can be checked for its target, convert it: xenimage disk convert.",
        mend=Mend.NONE,
    ),
    _kind(
        _INFO,
        "disk.raw",
        "Raw disk",
        "the disk is raw: it has no tables that could be checked",
        "whatever its bytes are, they are the disk",
        "Nothing. If it should be of another format, say which: --source-format.",
        mend=Mend.NONE,
    ),
    _kind(
        _ERROR,
        "disk.format",
        "Format that is broken",
        "{reason}",
        "the disk breaks the rules of its format and cannot be read",
        "{tip}",
        mend=Mend.LOST,
    ),
    _kind(
        _ERROR,
        "disk.unread",
        "Disk that is not read here",
        "{reason}",
        "nothing can be said of what the disk holds",
        "{tip}",
        mend=Mend.ANEW,
    ),
)

KINDS = by_code(STREAM, NAMES, MEMBERS, CHAIN_OF_BUNDLE, CHAIN, DISK)
