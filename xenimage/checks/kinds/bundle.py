"""Kinds of findings about a bundle around its VHDs."""

from __future__ import annotations

from xenimage.checks.kinds.words import PACK, kind
from xenimage.model.finding import Severity
from xenimage.model.kind import Mend, Wording

_ERROR, _WARNING, _INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
_NOVA, _CINDER, _STREAM = "os-xenapi", "Cinder", "vdi_remote_stream"
_ANEW = "Make the bundle anew: xenimage bundle create."
_FLATTEN = "Flatten the chain: xenimage bundle create makes one VHD of it."
_MTIME = "Pack with --mtime=2000-01-01T00:00:00Z."

STREAM = (
    kind(
        _ERROR,
        "bundle.gzip.trailing",
        "Bytes behind the gzip stream",
        "{count} bytes follow the gzip stream",
        "gzip says 'trailing garbage ignored' and fails, and with it the import of os-xenapi",
        "Cut the file to {size} bytes.",
        mend=Mend.SAFE,
        refused_by=(_NOVA,),
    ),
    kind(
        _INFO,
        "bundle.gzip.members",
        "Several gzip members",
        "the gzip stream has {count} members",
        "GNU gzip reads them as one; some other readers stop after the first",
        "Repack it: gzip -dc BUNDLE | gzip > NEW.",
    ),
    kind(
        _WARNING,
        "bundle.tar.unended",
        "No end of the tar",
        "the tar has no end-of-archive blocks",
        "GNU tar accepts it; the file may nevertheless have lost something",
    ),
    kind(
        _WARNING,
        "bundle.tar.trailing",
        "Bytes behind the end of the tar",
        "{count} bytes follow the end of the tar",
        "that is more than the usual padding of 10 KiB; much more breaks the pipe of os-xenapi",
        refused_by=(_NOVA,),
        cases={
            "many": Wording(severity=_ERROR, why="tar stops reading there: the import of os-xenapi breaks with EPIPE")
        },
    ),
)

NAMES = (
    kind(
        _ERROR,
        "bundle.name.none",
        "No 0.vhd",
        "no VHD is called 0.vhd ({names})",
        "os-xenapi ends in 'Expected seq number: 0' or an UnboundLocalError, Cinder in an IndexError",
        refused_by=(_NOVA, _CINDER),
    ),
    kind(
        _ERROR,
        "bundle.name.sequence",
        "Numbers with a gap",
        "the sequence 0.vhd to {last}.vhd is broken by {names}",
        "os-xenapi says 'Corrupt image. Expected seq number: {expected}'",
        refused_by=(_NOVA,),
    ),
    kind(
        _ERROR,
        "bundle.name.many",
        "Too many VHDs",
        "the bundle holds {count} VHDs",
        "{profile} takes {most}",
        _FLATTEN,
        refused_by=(_NOVA,),
        cases={"nova": Wording(why="{profile} takes {most}: nova has 16 names for them")},
    ),
    kind(
        _ERROR,
        "bundle.name.overwritten",
        "Old names beside 0.vhd",
        "{names} stand beside 0.vhd",
        "os-xenapi renames the old names to numbers: it overwrites 0.vhd without a word",
    ),
    kind(
        _WARNING,
        "bundle.name.old",
        "Old names",
        "{names} must be renamed to numbers",
        "os-xenapi does so, older releases only for snap.vhd, image.vhd and base.vhd; Cinder knows numbers only",
        refused_by=(_CINDER,),
        cases={"numbered": Wording(severity=_ERROR)},
    ),
    kind(
        _ERROR,
        "bundle.name.appledouble",
        "AppleDouble file",
        "{name!r} is an AppleDouble file of macOS",
        "os-xenapi counts it as a VHD: 'Corrupt image. Expected seq number'",
        "Pack with COPYFILE_DISABLE=1, or without the attributes.",
        refused_by=(_NOVA,),
    ),
    kind(
        _ERROR,
        "bundle.name.subdirectory",
        "VHD in a directory",
        "{name!r} lies in a directory",
        "the consumers look for 0.vhd only",
        refused_by=(_NOVA, _CINDER),
    ),
    kind(
        _ERROR,
        "bundle.name.case",
        "Name in upper case",
        "{name!r} is not written in lower case",
        "the consumers compare it as it is",
        refused_by=(_NOVA, _CINDER),
    ),
    kind(
        _ERROR,
        "bundle.name.repeated",
        "Two members of one name",
        "{count} members are called {name!r}",
        "tar keeps the last, readers of the stream take the first",
    ),
    kind(
        _ERROR,
        "bundle.name.escape",
        "Name that leads out",
        "{name!r} leads out of the directory",
        "tar refuses it and the import fails",
        refused_by=(_NOVA, _CINDER),
    ),
    kind(
        _WARNING,
        "bundle.name.absolute",
        "Absolute name",
        "{name!r} is absolute",
        "GNU tar strips the slash; others may not",
    ),
)

MEMBERS = (
    kind(
        _INFO,
        "bundle.member.extra",
        "Member that is no VHD",
        "{name!r} ({kind}) is no VHD of the chain",
        "{profile} ignores it; vdi_remote_stream takes every member for a VHD and fails on it",
        refused_by=(_STREAM,),
        cases={
            "refused": Wording(severity=_ERROR, why="vdi_remote_stream takes every member for a VHD and fails on it")
        },
    ),
    kind(
        _ERROR,
        "bundle.member.sparse",
        "Sparse member",
        "{name!r} is stored as a sparse file",
        "GNU tar restores it, but readers of the stream see its pieces without the holes; it is not checked here",
        "Pack without --sparse.",
    ),
    *(
        kind(
            _ERROR,
            f"bundle.member.{each}",
            title,
            "{name!r} is a {kind}",
            "os-xenapi moves it into the storage repository as it is: it would lead to other files of the host",
            "Do not use the bundle, and ask where it comes from. " + PACK,
        )
        for each, title in (("link", "Link"), ("special", "Device, FIFO or the like"))
    ),
    kind(
        _ERROR,
        "bundle.member.data",
        "VHD without a footer",
        "{name!r} has no VHD footer",
        "every consumer refuses it",
        _ANEW,
        mend=Mend.LOST,
        refused_by=(_NOVA, _CINDER, _STREAM),
    ),
    kind(
        _INFO,
        "bundle.member.pax",
        "Pax header",
        "{name!r} has a pax header",
        "the tar of an old XenServer may print warnings about it",
    ),
    kind(
        _WARNING,
        "bundle.member.size",
        "Size beyond 8 GiB",
        "{name!r} has {size} in a {header} header",
        "8 GiB end it",
    ),
    kind(
        _WARNING,
        "bundle.member.mode",
        "Mode of a member",
        "{name!r} has the mode {mode:04o}",
        "tar runs as root in dom0 and restores it",
        "Pack with --mode=0644.",
    ),
    kind(
        _INFO,
        "bundle.member.owner",
        "Owner of a member",
        "{name!r} belongs to {owner}",
        "tar runs as root in dom0 and restores the owner in the storage repository",
        "Pack with --owner=0 --group=0.",
    ),
    kind(
        _INFO,
        "bundle.member.mtime",
        "Time of a member",
        "{name!r} was modified {when} ({mtime})",
        "harmless for this member",
        _MTIME,
        refused_by=(_NOVA,),
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
    kind(
        _ERROR,
        "bundle.size.max",
        "Larger than the target takes",
        "the disk has {size}, {profile} takes {most}",
        "{reason}",
        "Make the disk smaller before it becomes an image.",
        mend=Mend.LOST,
    ),
    kind(
        _ERROR,
        "bundle.chain.type",
        "Parent of a disk that has none",
        "{child!r} is {variant}, but {parent!r} follows as its parent",
        "vhd-util modify refuses to give it a parent; is the order reversed? 0.vhd is the leaf",
        "Number the members from the leaf, 0.vhd, down to the base.",
        refused_by=(_NOVA, _CINDER),
    ),
    kind(
        _WARNING,
        "bundle.chain.smaller",
        "Child smaller than its parent",
        "{child!r} has {upper} bytes, its parent {parent!r} {lower}",
        "Cinder resizes the parent to the child's size, and vhd-util cannot shrink: rc 38",
        _FLATTEN,
        refused_by=(_CINDER,),
        cases={"coalesced": Wording(severity=_ERROR)},
    ),
    kind(
        _WARNING,
        "bundle.chain.mib",
        "No whole MiB in a chain",
        "{child!r} or {parent!r} has no whole MiB",
        "vhd-util query drops the fraction, and Cinder then tries to shrink the parent: rc 38",
        _FLATTEN,
        refused_by=(_CINDER,),
        cases={"coalesced": Wording(severity=_ERROR)},
    ),
    kind(
        _INFO,
        "bundle.chain.uuid",
        "Child of another parent",
        "{child!r} names the parent {wanted}, {parent!r} is {uuid}",
        "os-xenapi and Cinder write the link anew; if the parent is the wrong one, the data is garbage",
        "Compare with the chain that the bundle was made from.",
        mend=Mend.CHOICE,
    ),
)
