"""Kinds: where the footers stand, whether they are whole, and whether they agree."""

from __future__ import annotations

from xenimage.formats.vhd.kinds.words import (
    CHECK,
    IMPORT,
    OPEN,
    QEMU,
    REPAIR,
    RESCUE,
    RETRANSFER,
    XAPI,
    XO,
    error,
    warning,
)
from xenimage.model.kind import Mend, Wording

KINDS = (
    error(
        "footer.missing",
        "No footer at the end",
        "no footer stands at the end of the file",
        "vhd-util check refuses the disk; the repair that os-xenapi then tries fills a truncated disk with zeros",
        RESCUE,
        mend=Mend.SAFE,
        refused_by=(CHECK, XO),
    ),
    error(
        "footer.live",
        "Footer of a disk in use",
        "the footer at the end is filled with 0xC7",
        "tapdisk does that while a disk is attached: the file was copied from a running VM or after a crash",
        "Shut the VM down and copy again; if the host crashed: xenimage disk repair FILE --output NEW.",
        mend=Mend.SAFE,
        refused_by=(CHECK, XO),
    ),
    error(
        "footer.poison",
        "Interrupted resize",
        "the footer at the end begins with 'v_poison': a resize was interrupted",
        "blktap refuses the disk, and qemu takes it for raw",
        "Run vhd-util revert with the journal of that resize; without it take the disk from a backup.",
        mend=Mend.LOST,
        refused_by=(OPEN, IMPORT, XO),
    ),
    error(
        "footer.checksum",
        "Checksum of the footer",
        "the footer at the end has the checksum {checksum:#010x}, which its bytes do not have",
        "vhd-util check refuses the disk",
        REPAIR,
        mend=Mend.SAFE,
        refused_by=(CHECK, XO),
    ),
    error(
        "copy.missing",
        "No copy of the footer",
        "no footer stands at the start of the file",
        "XAPI and Xen Orchestra read the copy at the start first and refuse the disk, qemu takes it for raw",
        REPAIR,
        mend=Mend.SAFE,
        refused_by=(CHECK, XAPI, XO, QEMU),
    ),
    error(
        "copy.poison",
        "Interrupted resize, in the copy",
        "the footer at the start begins with 'v_poison': a resize was interrupted",
        "blktap refuses the disk, and qemu takes it for raw",
        "Run vhd-util revert with the journal of that resize; without it take the disk from a backup.",
        mend=Mend.LOST,
        refused_by=(OPEN, IMPORT, XAPI, XO, QEMU),
    ),
    error(
        "copy.checksum",
        "Checksum of the footer's copy",
        "the footer at the start has the checksum {checksum:#010x}, which its bytes do not have",
        "vhd-util check refuses the disk, and qemu does not open it",
        REPAIR,
        mend=Mend.SAFE,
        refused_by=(CHECK, XAPI, XO, QEMU),
    ),
    error(
        "footer.differ",
        "Footer and copy differ",
        "the footer and its copy at the start differ in {fields}",
        "vhd-util check refuses the disk, Xen Orchestra too, and qemu believes the copy",
        REPAIR,
        mend=Mend.CHOICE,
        refused_by=(CHECK, XO),
    ),
    warning(
        "footer.end",
        "The copy was read in place of the footer",
        "The footer at the end is {state}; its copy was used.",
        "The file may be truncated, or was copied while a host had it open: its newest blocks may be missing.",
        "Compare its size with the original; if that is all right: xenimage disk repair FILE --in-place.",
        mend=Mend.SAFE,
        refused_by=(CHECK, XO),
    ),
    warning(
        "footer.copy",
        "The copy of the footer cannot be trusted",
        "The copy of the footer at the start is {state}.",
        "qemu, XAPI and a fast scan of the storage manager read only the copy and refuse the file.",
        REPAIR,
        mend=Mend.SAFE,
        refused_by=(CHECK, XO),
        cases={
            "differs": Wording(
                what="The footer and its copy at the start differ; the one at the end was used.",
                why="Programs that read only the copy, such as qemu, may see another disk; vhd-util check refuses it.",
            )
        },
    ),
    warning(
        "footer.short",
        "Footer of 511 bytes",
        "the footer has 511 bytes, as old Virtual PC wrote it",
        "blktap and qemu read it, Xen Orchestra does not",
        "Append one zero byte.",
        mend=Mend.SAFE,
        refused_by=(XO,),
    ),
    error(
        "file.trailing",
        "Bytes behind the footer",
        "{count} bytes stand behind the footer, which ends at {end:#x}",
        "vhd-util check finds no footer at the end of the file; os-xenapi accepts it only after a repair, or not",
        "Run truncate -s {end} FILE, or xenimage disk repair FILE --in-place.",
        mend=Mend.SAFE,
        refused_by=(CHECK, XO),
    ),
    error(
        "file.unaligned",
        "No whole number of sectors",
        "the file has {size} bytes, {odd} more than whole sectors of 512",
        "blktap cannot read the footer; os-xenapi accepts the file all the same, and the storage repository that"
        " holds it fails to scan",
        RESCUE,
        mend=Mend.LOST,
        refused_by=(CHECK, XO),
    ),
    error(
        "file.length",
        "Length of a fixed disk",
        "the file has {size} bytes, a fixed disk of {disk} bytes needs {needed}",
        "vhd-util check does not notice; the guest reads errors or zeros",
        RETRANSFER,
        mend=Mend.LOST,
    ),
    warning(
        "fixed.length",
        "Bytes behind a fixed disk",
        "{count} bytes stand between the disk's end and the footer.",
        "They are no part of the disk, and are not read.",
        "Make sure that the disk was not made smaller by mistake.",
        mend=Mend.CHOICE,
    ),
    warning(
        "file.extended",
        "A truncated file that was made longer",
        "block {block}, the last in the file, has sectors {first} to {last} in a hole that goes from {hole:#x} to the"
        " footer, and its bitmap calls {missing} of them present",
        "vhd-util repair makes a truncated file longer with zeros and calls it valid: what stood there may be lost,"
        " and the guest reads zeros",
        "Compare it with its original (xenimage disk compare). A copy made with holes (cp --sparse) looks the same.",
        mend=Mend.LOST,
        cases={
            "blocks": Wording(
                what="the last {count} blocks of the file, from block {block} on, have no sector present, and stand in"
                " a hole that goes from {hole:#x} to the footer",
                why="nobody stores blocks without a sector; vhd-util repair makes a truncated file longer with zeros"
                " and calls it valid: what stood there may be lost, and the guest reads zeros",
            )
        },
    ),
    warning(
        "file.merge",
        "Interrupted merge of Xen Orchestra",
        "{state!r} stands beside the file: Xen Orchestra was merging into it",
        "until the merge is through the end of the file may hold a block in place of the footer, and the batmap is"
        " out of date",
        "Let Xen Orchestra end the merge before anything else is mended.",
        mend=Mend.CHOICE,
        refused_by=(XO,),
    ),
)
"""all of this group"""
