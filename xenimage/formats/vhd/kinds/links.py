"""Kinds: what a VHD says of its parent."""

from __future__ import annotations

from xenimage.formats.vhd.kinds.words import (
    ATTACH,
    CHECK,
    FLATTEN,
    IMPORT,
    MODIFIED,
    OPEN,
    REFUSED,
    RELINK,
    error,
    warning,
)
from xenimage.model.kind import Mend, Wording

PARENT = (
    error(
        "parent.absent",
        "Parent that is not in the bundle",
        "the disk needs its parent, {name!r}, which is not in the bundle",
        "vhd-util check cannot find it: os-xenapi refuses the import, or links it to a foreign disk",
        "Add the parent as the next member, or flatten the chain with xenimage.",
        mend=Mend.CHOICE,
        refused_by=(CHECK, ATTACH, IMPORT),
    ),
    warning(
        "parent.uuid",
        "Null uuid of the parent",
        "the parent's uuid is null",
        "blktap takes the parent for a raw image; os-xenapi and Cinder write the uuid during an import",
        RELINK,
        mend=Mend.SAFE,
    ),
    warning(
        "parent.forced",
        "Parent without proof",
        "the disk was made on {wanted}, and was linked to {parent}, which is {uuid}",
        "nothing in the two files tells whether they belong together; over another parent a disk reads as garbage",
        "Compare what the guest sees with what you expect before you rely on it.",
        mend=Mend.CHOICE,
    ),
    warning(
        "parent.larger",
        "Parent that is larger",
        "the disk has {size} bytes, its parent {parent} {parent_size}",
        "the guest sees only the first part of the parent",
        "Make sure that the disk was smaller when it was made.",
        mend=Mend.CHOICE,
    ),
    warning(
        "parent.timestamp",
        "Parent of the future",
        "the parent's timestamp lies in the future",
        MODIFIED,
        RELINK,
        mend=Mend.SAFE,
        refused_by=(CHECK,),
    ),
    warning(
        "parent.name",
        "Name of the parent",
        "the parent is called {name!r}, expected a plain ASCII name",
        MODIFIED,
        RELINK,
        mend=Mend.SAFE,
        refused_by=(CHECK,),
    ),
)
LOCATOR = (
    error(
        "locator.missing",
        "No parent locator",
        "there is no parent locator of the kinds MacX, W2ku and W2ru",
        "vhd-util modify cannot make one: the parent is never found, and os-xenapi says 'breaks the VDI chain'",
        FLATTEN,
        mend=Mend.ANEW,
        refused_by=(CHECK, ATTACH, IMPORT),
    ),
    error(
        "locator.code",
        "Unknown parent locator",
        "locator {index} has the unknown code {found:#010x}",
        "blktap does not open the disk, not even to write the locator anew",
        FLATTEN,
        mend=Mend.SAFE,
        refused_by=(OPEN, IMPORT),
    ),
    error(
        "locator.duplicate",
        "Parent locator twice",
        "locator {index} has the code {found:#010x} for the second time",
        "vhd-util check refuses the disk; os-xenapi accepts it, and garbage collection then fails",
        FLATTEN,
        mend=Mend.SAFE,
        refused_by=(CHECK,),
    ),
    error(
        "locator.none",
        "Unused locator that is not empty",
        "locator {index} is unused but not empty",
        REFUSED,
        FLATTEN,
        mend=Mend.SAFE,
        refused_by=(CHECK, IMPORT),
    ),
    error(
        "locator.offset",
        "Parent locator outside the file",
        "locator {index} points to {place:#x}, the file has {size:#x} bytes",
        "os-xenapi's relinking writes there: the file grows to that offset, or a block is overwritten",
        FLATTEN,
        mend=Mend.SAFE,
        refused_by=(CHECK,),
    ),
    warning(
        "locator.space",
        "Room of a parent locator",
        "locator {index} has room for {space} bytes, expected a multiple of 512",
        MODIFIED,
        RELINK,
        mend=Mend.SAFE,
        refused_by=(CHECK,),
    ),
    warning(
        "locator.length",
        "Length of a parent locator",
        "locator {index} has {length} bytes, expected 1 to {space}",
        MODIFIED,
        RELINK,
        mend=Mend.SAFE,
        refused_by=(CHECK,),
    ),
    warning(
        "locator.reserved",
        "Reserved bytes of a parent locator",
        "locator {index} has reserved bytes set",
        MODIFIED,
        RELINK,
        mend=Mend.SAFE,
        refused_by=(CHECK,),
    ),
    warning(
        "locator.name",
        "Parent locator that contradicts the header",
        "locator {index} leads to {found!r}, the header calls the parent {name!r}",
        MODIFIED,
        RELINK,
        mend=Mend.SAFE,
        refused_by=(CHECK,),
    ),
)
DYNAMIC = (
    *(
        error(
            f"dynamic.parent_{field}",
            f"Dynamic disk with a parent's {field}",
            f"a dynamic disk has a parent's {field}",
            REFUSED,
            mend=Mend.SAFE,
            refused_by=(CHECK, IMPORT),
        )
        for field in ("uuid", "timestamp", "name")
    ),
    error(
        "dynamic.locator",
        "Dynamic disk with a parent locator",
        "a dynamic disk has a parent locator in slot {index}",
        REFUSED,
        mend=Mend.SAFE,
        refused_by=(CHECK, IMPORT),
        cases={
            "first": Wording(
                why="blktap looks past slot 0, but counts its data as tables: blocks collide with it",
            )
        },
    ),
)

KINDS = (*PARENT, *LOCATOR, *DYNAMIC)
"""all of these groups"""
