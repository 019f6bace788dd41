"""What is to be said of a package that was written: which disks are not in it as they were."""

from __future__ import annotations

from xenimage.checks.package.words import ERROR, INFO, WARNING, kind
from xenimage.model.kind import Mend, Wording

KINDS = (
    kind(
        ERROR,
        "disk.lost",
        "Disk with parts that could not be read",
        "Of the disk {disk} {size} bytes in {count} ranges could not be read; they are zeros in what was written.",
        "What the guest kept there is gone: its file systems may be damaged, its programs may fail.",
        "Check the guest's file systems, and restore its data from a backup. A list of the ranges lies beside it.",
        mend=Mend.LOST,
        cases={
            "manifest": Wording(
                severity=WARNING,
                what="The disk {disk} is not what the manifest says: {error}.",
                why="Bytes of it differ from what was exported, and nothing tells which ones.",
                act="Check the guest's file systems, and restore its data from a backup.",
            )
        },
    ),
    kind(
        WARNING,
        "disk.skipped",
        "Disk that is left out",
        "The disk {disk} is left out: {why}.",
        "The machine has no such disk any more: it may not start, or miss its data.",
        "Put a sound copy in its place with --replace-disk, or attach one to the imported machine.",
        mend=Mend.LOST,
    ),
    kind(
        INFO,
        "disk.replaced",
        "Disk that was replaced",
        "In place of the disk {disk} is the image {path}, of {size} bytes.",
        "What was written holds what you gave, not what the source held.",
        "Nothing, if that was meant.",
        mend=Mend.NONE,
        cases={
            "smaller": Wording(
                severity=WARNING,
                what="In place of the disk {disk} is the image {path}, of {size} bytes instead of {capacity}.",
                why="The partitions of the guest may not fit into the smaller disk.",
                act="Make sure that the image is whole.",
            )
        },
    ),
    kind(
        WARNING,
        "disk.empty",
        "Disk without content",
        "The disk {disk} has no content in the source, and gets none.",
        "The source describes it and holds nothing of it: the guest finds zeros there.",
        "If it shall not be empty, export the machine with its disks, or use --replace-disk.",
        mend=Mend.LOST,
        cases={
            "described": Wording(
                severity=INFO,
                what="The content of the disk {disk} is left out, as was asked for (--metadata-only).",
                why="Who imports the package gets an empty disk, or has to bring the content by other ways.",
                act="Nothing, if that was meant.",
            )
        },
    ),
    kind(
        WARNING,
        "words.left-out",
        "Licence or product that is left out",
        "Licences or products of {machine} are not in what was written.",
        "An XVA has no place for them: who imports it does not see them.",
        "Pass them on in another way, or write an OVF or OVA.",
        mend=Mend.NONE,
    ),
    kind(
        INFO,
        "cdrom.left-out",
        "Drive that becomes empty",
        "A CD drive of {machine} held an image; in what was written it is empty.",
        "Images in drives are not carried over.",
        "Insert the image where the machine is imported, if it is still wanted.",
        mend=Mend.NONE,
    ),
)
