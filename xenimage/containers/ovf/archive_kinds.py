"""Kinds of findings about an OVA: how the files of a package stand in its archive."""

from __future__ import annotations

from xenimage.containers.ovf.words import ANEW, ERROR, INFO, WARNING, kind
from xenimage.model.kind import Mend, Wording

ARCHIVE = (
    kind(
        WARNING,
        "archive.first",
        "Descriptor that is not the first file",
        "The descriptor {name!r} stands behind {other!r}.",
        "The standard wants it first: importers that look at nothing else take the archive for no package.",
        ANEW,
        mend=Mend.ANEW,
        refused_by=("ovftool", "vCenter's content library", "COT before 1.8.2"),
    ),
    kind(
        INFO,
        "archive.order",
        "File at another place than the standard wants it",
        "The file {name!r} stands behind {other!r}.",
        "Its place is in front of that: importers that read the archive as it comes may not find it in time.",
        ANEW,
        mend=Mend.ANEW,
    ),
    kind(
        WARNING,
        "archive.directory",
        "Package in a directory of the archive",
        "The descriptor lies in the directory {directory!r} of the archive, with its files beside it.",
        "Most importers look at the top of the archive alone.",
        ANEW,
        mend=Mend.ANEW,
        refused_by=("ovftool",),
    ),
    kind(
        WARNING,
        "archive.name",
        "Manifest or certificate of another name",
        "{name!r} is not called as the descriptor, {descriptor!r}.",
        "It was taken for the package's own, as there is no other. Strict importers do not find it.",
        ANEW,
        mend=Mend.ANEW,
    ),
    kind(
        INFO,
        "archive.unused",
        "File that nothing refers to",
        "The archive holds {name!r}, to which the descriptor does not refer.",
        "It is not imported; XenCenter refuses the package, unless the manifest lists the file.",
        "Nothing, if the machine has all that it needs.",
        mend=Mend.NONE,
    ),
    kind(
        WARNING,
        "archive.end",
        "Archive without its proper end",
        "One block of zeros ends the archive at {place:#x}, where two belong.",
        "It may have been cut short behind its last file; GNU tar warns of it.",
        "Compare its size or checksum with the original's.",
        cases={
            "cut": Wording(
                severity=ERROR,
                what="The archive is cut or damaged: {error}.",
                why="Files behind that place are missing, and the one that it lies in is whole in part at best.",
            ),
            "more": Wording(
                what="Something follows the archive's end, at {place:#x}.",
                why="Most programs pass over it, and some read on: not all see the same package.",
            ),
            "packed": Wording(
                what="Something follows the packed stream, whose content ends at {place:#x}.",
                why="gzip and its like report an error, although the content is whole.",
            ),
        },
    ),
)
