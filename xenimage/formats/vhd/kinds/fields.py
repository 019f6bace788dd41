"""Kinds: what the footer says, the creator, and the sizes."""

from __future__ import annotations

from xenimage.formats.vhd.kinds.words import (
    ATTACH,
    CHECK,
    IMPORT,
    NOT_OPENED,
    OPEN,
    QEMU,
    XAPI,
    XO,
    error,
    info,
    warning,
)
from xenimage.model.finding import Severity
from xenimage.model.kind import Mend, Wording

FOOTER = (
    error(
        "footer.uuid",
        "Null uuid",
        "the uuid is null",
        "vhd-util check refuses the disk until a repair gives it a new one, which no child then refers to",
        mend=Mend.SAFE,
        refused_by=(CHECK,),
    ),
    error(
        "footer.features",
        "Feature bits",
        "the features are {features:#x}, expected 0x2",
        "vhd-util check refuses the disk, and os-xenapi with it",
        mend=Mend.SAFE,
        refused_by=(CHECK, IMPORT),
    ),
    warning(
        "footer.temporary",
        "Temporary disk",
        "the features call the disk temporary",
        "Windows programs may delete it; blktap does not care",
        mend=Mend.SAFE,
    ),
    error(
        "footer.version",
        "Version of the footer",
        "the format version is {version:#010x}, expected 0x00010000",
        "vhd-util check and XAPI refuse the disk",
        mend=Mend.SAFE,
        refused_by=(CHECK, IMPORT, XAPI, XO),
    ),
    error(
        "footer.reserved",
        "Reserved bytes of the footer",
        "reserved bytes are set, the first at byte {byte}",
        "vhd-util check refuses the disk",
        mend=Mend.SAFE,
        refused_by=(CHECK, IMPORT),
        cases={"unseen": Wording(severity=Severity.WARNING, why="blktap never looks at this byte; other readers may")},
    ),
    error(
        "footer.type",
        "Unknown type of disk",
        "the disk type is {type}, expected 3 (dynamic) or 4 (differencing)",
        "tapdisk crashes on the first access",
        mend=Mend.CHOICE,
        refused_by=(CHECK, IMPORT, XAPI, XO),
    ),
    error(
        "footer.fixed",
        "Fixed disk",
        "the disk is of the fixed type",
        "import_vhds of os-xenapi ends in an IndexError, XAPI cannot import it, and it can never grow",
        "Convert it: xenimage bundle create makes a dynamic disk of it.",
        mend=Mend.ANEW,
        refused_by=(IMPORT, XAPI, XO),
    ),
    warning(
        "footer.data_offset",
        "Place of the header",
        "the header stands at {place:#x}, expected 0x200",
        "Xen Orchestra and XAPI's file reader look for it at 0x200 only",
        mend=Mend.ANEW,
        refused_by=(XAPI, XO),
        cases={
            "fixed": Wording(
                severity=Severity.ERROR,
                what="the data offset of a fixed disk is {place:#x}, expected all ones",
                why="vhd-util check refuses the disk",
            )
        },
    ),
    error(
        "footer.geometry",
        "Geometry too large",
        "the geometry {geometry} is larger than the disk's, {allowed}",
        "vhd-util check says 'geometry too large' and os-xenapi refuses the import; qemu-img with force_size"
        " writes such disks",
        "Set the geometry to {allowed} in both footers, or convert the disk with xenimage.",
        mend=Mend.SAFE,
        refused_by=(CHECK, IMPORT),
    ),
    warning(
        "footer.geometry_zero",
        "No geometry",
        "the geometry is 0/0/0",
        "readers that compute the size from the geometry see an empty disk",
        mend=Mend.SAFE,
    ),
    warning(
        "footer.geometry_short",
        "Geometry that makes qemu cut the disk",
        "the geometry {geometry} spans {span} bytes, the disk {size}",
        "qemu up to 9.2 believes the geometry of the creator {creator!r}: the last {lost} are lost on conversion",
        mend=Mend.ANEW,
    ),
    error(
        "footer.saved",
        "Saved state",
        "the saved state is {saved}, expected 0",
        "vhd-util check refuses the disk",
        mend=Mend.SAFE,
        refused_by=(CHECK, IMPORT),
        cases={
            "set": Wording(
                severity=Severity.WARNING,
                what="the disk calls itself part of a saved state",
                why="Virtual PC would resume it; XenServer ignores the flag",
            )
        },
    ),
    error(
        "footer.hidden",
        "Hidden byte",
        "the hidden byte is {hidden}, expected 0 or 1",
        "vhd-util check refuses the disk",
        mend=Mend.SAFE,
        refused_by=(CHECK, IMPORT),
    ),
    error(
        "footer.hidden_leaf",
        "Hidden leaf",
        "the disk is marked as hidden",
        "os-xenapi refuses it: 'marked as hidden without child'",
        "Run xenimage-vhd-util set -n FILE -f hidden -v 0.",
        mend=Mend.SAFE,
        refused_by=(IMPORT,),
        cases={
            "alone": Wording(
                severity=Severity.WARNING,
                what="the disk is marked as hidden, and no child of it was given",
                why="that is right below a child; as the leaf os-xenapi refuses it ('marked as hidden without child'),"
                " and the garbage collection of XenServer deletes it",
                act="Give its child too, or run xenimage-vhd-util set -n FILE -f hidden -v 0.",
            )
        },
    ),
    warning(
        "footer.unhidden",
        "Parent that is not hidden",
        "a disk below the leaf is not marked as hidden",
        "when the VM is deleted, the garbage collection of XenServer leaves it behind as an orphan",
        "Run xenimage-vhd-util set -n FILE -f hidden -v 1.",
        mend=Mend.SAFE,
    ),
    error(
        "footer.timestamp",
        "Made in the future",
        "the disk was made in the future, on {date} UTC",
        "vhd-util check says 'creation time in future' and os-xenapi refuses the import",
        "Set the clock of the machine that made it, and make it again.",
        mend=Mend.SAFE,
        refused_by=(CHECK, IMPORT),
        cases={
            "unix": Wording(
                what="the disk was made in the future, on {date} UTC, if its time does not count from 1970",
                act="The field counts from 1970, as Xen Orchestra writes it: subtract 946684800 from it in both"
                " footers.",
            )
        },
    ),
)
CREATOR = (
    error(
        "creator.foreign",
        "Creator that is not tap",
        "the creator is {creator!r}, expected 'tap 1.3'",
        "it boots, but will not grow: vhd-util resize says 'not created by xen; resize not supported', and a"
        " larger flavor fails wherever the image is not cloned from a cache",
        mend=Mend.ANEW,
    ),
    warning(
        "creator.space",
        "Creator with a space",
        "the creator is {raw!r}, expected b'tap\\x00' with a zero byte",
        "qemu up to 9.2 then computes the size from the geometry and cuts the end of the disk off, in Cinder too",
        "Set byte 31 of both footers to 0 and correct their checksums.",
        mend=Mend.SAFE,
    ),
    error(
        "creator.new",
        "Creator later than tap 1.3",
        "the creator is {creator!r}, later than tap 1.3",
        "vhd-util check refuses the disk and tapdisk does not attach it; patching 'tap' over qemu's version 5.3"
        " gives such disks",
        mend=Mend.ANEW,
        refused_by=(CHECK, ATTACH, IMPORT),
    ),
    error(
        "creator.old",
        "Creator tap 0.1",
        "the creator is {creator!r}",
        f"{NOT_OPENED} any more",
        mend=Mend.ANEW,
        refused_by=(OPEN, IMPORT),
    ),
    error(
        "creator.no_batmap",
        "Old tap without a batmap",
        "the creator is {creator!r} and there is no batmap",
        "vhd-util resize returns 0 and nothing grows",
        mend=Mend.ANEW,
    ),
)
SIZE = (
    error(
        "size.zero",
        "Empty disk",
        "the disk has 0 bytes",
        "no consumer accepts an empty disk",
        mend=Mend.LOST,
        refused_by=(CHECK, IMPORT),
    ),
    error(
        "size.max",
        "Larger than any VHD",
        "the disk has {size} bytes ({shown})",
        "XenServer, XAPI and qemu end at 2040 GiB",
        "Make the disk smaller in the guest and in its image.",
        mend=Mend.LOST,
        refused_by=(IMPORT, XAPI, QEMU),
    ),
    error(
        "size.sector",
        "No whole number of sectors",
        "the disk has {size} bytes, not whole sectors",
        "its end cannot be read",
        mend=Mend.CHOICE,
        cases={
            "read": Wording(
                severity=Severity.WARNING,
                what="The size is {size} bytes, which is no whole number of sectors.",
                why="Other programs may round it down; here the disk has {rounded} bytes.",
                act="Compare the size with the original's.",
            )
        },
    ),
    warning(
        "size.original",
        "Original size above the current one",
        "the original size, {original} bytes, is above the current, {size}",
        "Xen Orchestra refuses the disk",
        mend=Mend.SAFE,
        refused_by=(XO,),
    ),
    warning(
        "size.multiple",
        "No multiple of 2 MiB",
        "the disk has {size} bytes, no multiple of 2 MiB",
        "a resize on XenServer overshoots by up to 2 MiB, after which nova calls the disk larger than its flavor",
        mend=Mend.SAFE,
    ),
    info(
        "size.residue",
        "Size that blktap's batmap does not fit",
        "the disk has {blocks} blocks, {more} more than a multiple of 4096",
        "blktap's batmap checksum leaves the last blocks out, and vhd-util create makes broken files of such sizes",
        "Nothing; if the size can be chosen, 16 MiB more avoid it.",
    ),
    info(
        "size.chs",
        "Geometry below the size",
        "The size is {size} bytes, the product of the geometry {span}.",
        "{who} goes by the geometry for this creator and cuts {lost} bytes off the end.",
        "Nothing here, where the size counts; do not convert the file with that qemu.",
    ),
)

KINDS = (*FOOTER, *CREATOR, *SIZE)
"""all of these groups"""
