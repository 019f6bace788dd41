"""Kinds: the dynamic header, the BAT, the batmap and the blocks."""

from __future__ import annotations

from xenimage.formats.vhd.kinds.words import (
    ACCEPTED,
    ATTACH,
    CHECK,
    IMPORT,
    NO_ATTACH,
    NOT_OPENED,
    OPEN,
    QEMU,
    REBUILD,
    REFUSED,
    RESCUE,
    RETRANSFER,
    XAPI,
    XO,
    error,
    info,
    warning,
)
from xenimage.model.finding import Severity
from xenimage.model.kind import Mend, Wording

_NOT_ATTACHED = "Do not attach the disk for writing. Write it anew: xenimage disk repair FILE --output NEW."

HEADER = (
    error(
        "header.missing",
        "No header",
        "no header ('cxsparse') stands at {place:#x}, where the footer puts it",
        f"{NOT_OPENED}, nor does qemu",
        RESCUE,
        mend=Mend.LOST,
        refused_by=(OPEN, IMPORT, XAPI, XO, QEMU),
    ),
    error(
        "header.checksum",
        "Checksum of the header",
        "the header has the checksum {checksum:#010x}, which its bytes do not have",
        NOT_OPENED,
        RESCUE,
        mend=Mend.CHOICE,
        refused_by=(OPEN, IMPORT, XAPI, XO),
    ),
    error(
        "header.data_offset",
        "Data offset of the header",
        "the data offset is {place:#x}, expected all 64 bits set",
        NOT_OPENED,
        mend=Mend.SAFE,
        refused_by=(OPEN, IMPORT, XAPI, XO),
    ),
    error(
        "header.version",
        "Version of the header",
        "the header version is {version:#010x}, expected 0x00010000",
        NOT_OPENED,
        mend=Mend.SAFE,
        refused_by=(OPEN, IMPORT, XAPI, XO),
    ),
    error(
        "header.block_size",
        "Blocks that are not of 2 MiB",
        "the block size is {size} bytes, expected 2097152 (2 MiB)",
        "vhd-util check says valid, but blktap counts the blocks as 2 MiB: reads go to wrong places",
        mend=Mend.ANEW,
        cases={"refused": Wording(why=NOT_OPENED)},
    ),
    error(
        "header.reserved",
        "Reserved bytes of the header",
        "reserved bytes are set",
        REFUSED,
        mend=Mend.SAFE,
        refused_by=(CHECK, IMPORT),
        cases={
            "unseen": Wording(
                severity=Severity.WARNING,
                what="the reserved byte 768 of the header is set",
                why="blktap never looks at this byte; other readers may",
            )
        },
    ),
    error(
        "header.table_offset",
        "Place of the BAT",
        "the BAT stands at {start:#x} to {end:#x}, the file has {size:#x} bytes",
        f"expected whole sectors behind the header and in front of the footer: {NOT_OPENED}",
        RETRANSFER,
        mend=Mend.LOST,
        refused_by=(OPEN, IMPORT, XAPI, QEMU),
    ),
)
BAT = (
    error(
        "bat.limit",
        "BAT beyond every limit",
        "the BAT has {entries} entries, more than are read here (at most {most}, limit table_size)",
        "the largest disk of XenServer needs 1044480",
        mend=Mend.LOST,
    ),
    error(
        "bat.short",
        "BAT too short",
        "the BAT has {entries} entries, the disk needs {blocks}",
        "tapdisk does not attach the disk; os-xenapi accepts it all the same",
        mend=Mend.ANEW,
        refused_by=(CHECK, ATTACH, XO, QEMU),
    ),
    warning(
        "bat.long",
        "BAT too long",
        "the BAT has {entries} entries, the disk needs {blocks}",
        "a resize on XenServer adds to the larger number: the disk becomes {surplus} larger"
        " than asked, and nova calls it larger than its flavor",
        mend=Mend.ANEW,
    ),
    error(
        "bat.head",
        "Block inside the tables",
        "block {block} stands at {place:#x}, inside the tables, which end at {end:#x}",
        ACCEPTED,
        RESCUE,
        mend=Mend.CHOICE,
        refused_by=(CHECK, XAPI),
    ),
    error(
        "bat.end",
        "Block behind the end",
        "block {block} stands at {place:#x}, behind the end of the data at {end:#x}",
        f"{ACCEPTED}: its {{size}} are lost",
        RESCUE,
        mend=Mend.LOST,
        refused_by=(CHECK, XAPI, QEMU),
    ),
    error(
        "bat.truncated",
        "Block that is cut",
        "block {block} goes from {place:#x} to {block_end:#x}, the data ends at {end:#x}",
        "the file is truncated or the footer stands in the block: vhd-util repair and os-xenapi fill the rest"
        " with zeros",
        RESCUE,
        mend=Mend.LOST,
        refused_by=(CHECK, XAPI),
    ),
    error(
        "bat.duplicate",
        "Two blocks at one place",
        "blocks {first} and {second} stand at the same place, {place:#x}",
        f"{ACCEPTED}: a write to one changes the other, and XAPI loses one of them",
        RESCUE,
        mend=Mend.CHOICE,
        refused_by=(CHECK,),
    ),
    error(
        "bat.overlap",
        "Blocks that overlap",
        "block {second} at {place:#x} begins inside block {first} at {before:#x}",
        f"{ACCEPTED}: a write to one changes the other",
        RESCUE,
        mend=Mend.CHOICE,
        refused_by=(CHECK,),
    ),
    error(
        "lost",
        "Part of a damaged disk that is lost",
        "{length} bytes of the guest's from {start:#x} on: {reason}",
        "what is lost reads as zeros, in a differencing disk as the parent's older data",
        "Take the file from a backup, or go on without that part: --accept-loss.",
        mend=Mend.LOST,
    ),
    warning(
        "bat.surplus",
        "Block behind the disk's end",
        "block {block} is stored at {place:#x}, the disk ends before it",
        "nobody reads it now; after a resize old data appears in the guest",
        mend=Mend.SAFE,
    ),
)
BATMAP = (
    error(
        "batmap.missing",
        "No batmap",
        "no batmap ('tdbatmap') stands at {place:#x}, which the creator {creator!r} promises",
        f"{NO_ATTACH}; a resize fails with 'creating journal failed'",
        mend=Mend.SAFE,
        refused_by=(CHECK, ATTACH),
    ),
    error(
        "batmap.encrypted",
        "Encrypted disk",
        "the disk is encrypted: its batmap carries the hash of a key",
        "without the key its content is noise, in any consumer",
        "Decrypt it where the key is: copy the disk inside XenServer.",
        mend=Mend.LOST,
    ),
    error(
        "batmap.version",
        "Version of the batmap",
        "the batmap's version is {version:#010x}, expected 0x00010002",
        NO_ATTACH,
        mend=Mend.SAFE,
        refused_by=(CHECK, ATTACH),
    ),
    error(
        "batmap.offset",
        "Place of the batmap",
        "the map stands at {place:#x} with {sectors} sectors, expected {expected:#x} inside"
        " the file of {size:#x} bytes",
        NO_ATTACH,
        mend=Mend.SAFE,
        refused_by=(CHECK, ATTACH),
    ),
    error(
        "batmap.size",
        "Batmap too small",
        "the map has {sectors} sectors, {entries} blocks need {needed}",
        NO_ATTACH,
        mend=Mend.SAFE,
        refused_by=(CHECK, ATTACH),
        cases={"zero": Wording(why="vhd-util aborts, and tapdisk with it")},
    ),
    error(
        "batmap.checksum",
        "Checksum of the batmap",
        "the map has the checksum {checksum:#010x}, expected {expected:#010x}",
        f"{NO_ATTACH}; the checksum covers the first {{covered}} bytes only",
        mend=Mend.SAFE,
        refused_by=(CHECK, ATTACH),
    ),
    error(
        "batmap.uncovered",
        "Bits that no checksum covers",
        "bits are set behind the first {covered} bytes, which the checksum covers",
        "blktap refuses the map or reads past its buffer",
        mend=Mend.SAFE,
        refused_by=(CHECK, ATTACH),
    ),
    error(
        "batmap.unallocated",
        "Full block that is not stored",
        "the batmap calls block {block} full, which is not stored",
        "vhd-util check refuses the disk; os-xenapi accepts it, and tapdisk reads from a wrong place",
        mend=Mend.SAFE,
        refused_by=(CHECK,),
    ),
    error(
        "batmap.partial",
        "Full block that is not full",
        "the batmap calls block {block} full, its bitmap at {place:#x} has {present} of {sectors} sectors",
        "data of the parent is hidden or garbage exposed to the guest, and no check of any consumer sees it",
        "Clear the map and set its checksum to 0xffffffff, or write the VHD anew with xenimage.",
        mend=Mend.SAFE,
    ),
)
BLOCK = (
    error(
        "block.packed",
        "Packed blocks under a batmap",
        "{free} sectors are free in front of block {block} at {place:#x}, expected 7",
        "a guest write at the start of block {block} will destroy {lost} bytes of {before}, and no check of any"
        " consumer sees it",
        _NOT_ATTACHED,
        mend=Mend.ANEW,
    ),
    error(
        "block.unaligned",
        "Unaligned block under a batmap",
        "block {block} stands at {place:#x}: its data does not begin on 4 KiB",
        "with a batmap tapdisk writes whole pages of 4 KiB around the bitmap, over what stands there",
        _NOT_ATTACHED,
        mend=Mend.ANEW,
    ),
    info(
        "block.first",
        "Gap in front of the first block",
        "the first block stands at {place:#x}, blktap would put it at {expected:#x}",
        "a resize leaves such gaps; they are harmless",
        "Nothing.",
    ),
    warning(
        "block.stale",
        "Data under cleared bits",
        "block {block} holds data in sectors {first} to {last}, which its bitmap calls absent",
        "blktap does not show it to the guest; qemu, Xen Orchestra and Cinder do",
        f"Ask which program wrote it, and trust that one's view. {REBUILD}",
        mend=Mend.CHOICE,
    ),
)

KINDS = (*HEADER, *BAT, *BATMAP, *BLOCK)
"""all of these groups"""
