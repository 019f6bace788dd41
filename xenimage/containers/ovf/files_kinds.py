"""Kinds of findings about the disks of a package and the files that they are in."""

from __future__ import annotations

from xenimage.containers.ovf.words import ANEW, ERROR, EXPORT, INFO, WARNING, kind
from xenimage.model.kind import Mend, Wording

DISKS = (
    kind(
        WARNING,
        "disk.capacity",
        "Disk without a usable capacity",
        "The disk {disk!r} has the capacity {value!r} in the units {units!r}.",
        "The size of its content is taken.",
        EXPORT,
        cases={
            "property": Wording(
                severity=INFO,
                what="The disk {disk!r} has the capacity {value!r}, to be set by its owner.",
                why="The size of its content is taken, or the default.",
            ),
            "unset": Wording(
                what="The disk {disk!r} takes its capacity from {value!r}, a property that does not exist."
            ),
            "sectors": Wording(
                what="The disk {disk!r} has a capacity of {value} bytes, no whole number of sectors.",
                why="Importers round it up or down, or refuse it.",
            ),
        },
    ),
    kind(
        WARNING,
        "disk.populated",
        "More in use than there is",
        "The disk {disk!r} has {value} bytes in use, and a capacity of {capacity}.",
        "The number was passed over.",
        "Nothing.",
        mend=Mend.NONE,
    ),
    kind(
        ERROR,
        "disk.parent",
        "Delta disk without its parent",
        "The disk {disk!r} belongs over {parent!r}, which is not in the package.",
        "Alone it reads as garbage.",
        "Export the machine again, its snapshots merged.",
        mend=Mend.LOST,
        cases={
            "cycle": Wording(what="The disk {disk!r} belongs, by way of {parent!r}, over itself."),
            "order": Wording(
                severity=WARNING,
                what="The disk {disk!r} stands in front of {parent!r}, over which it belongs.",
                why="Some importers want the parent first.",
                act=ANEW,
            ),
        },
    ),
    kind(
        WARNING,
        "disk.unused",
        "Disk that no machine has",
        "No machine has the disk {disk!r}.",
        "It is not imported.",
        "Open its file alone, if it is wanted.",
    ),
    kind(
        WARNING,
        "disk.unattached",
        "Disk drive without a disk",
        "A disk drive of {machine!r} names no disk.",
        "It is left out; importers refuse it, or make an empty disk.",
        "Nothing, if the machine has all its disks.",
    ),
    kind(
        WARNING,
        "disk.size",
        "Two sizes",
        "The disk {disk!r} has {size} bytes, but the descriptor says {capacity}.",
        "Importers that believe the descriptor make a disk of another size.",
        "Check that the disk has the size that its guest expects.",
    ),
    kind(
        ERROR,
        "disk.content",
        "Disk that cannot be opened",
        "The disk {disk!r} cannot be opened: {error}.",
        "The machine cannot be imported with it.",
        "Export the machine again.",
        mend=Mend.LOST,
        cases={
            "locked": Wording(
                severity=WARNING,
                what="The disk {disk!r} was not opened, as it is encrypted.",
                why="What is in it is not known. The manifest covers the file as it is.",
                act="Give the password: --password-file FILE.",
            )
        },
    ),
)
FILES = (
    kind(
        ERROR,
        "file.name",
        "Name that leads out of the package",
        "The file {identifier!r}: {error}.",
        "It is never opened: a package must not reach what is beside it.",
        "Do not use the package, unless you know how it came to that name.",
        cases={
            "remote": Wording(
                severity=WARNING,
                why="Nothing is fetched from anywhere.",
                act="Fetch the file yourself, and name it in the descriptor by its bare name.",
            ),
        },
    ),
    kind(
        ERROR,
        "file.missing",
        "File that is missing",
        "The file {name!r} is not there.",
        "The disk in it is lost; every importer refuses the package, or imports the machine without it.",
        "Copy or export all files of the package again.",
        mend=Mend.LOST,
    ),
    kind(
        ERROR,
        "file.size",
        "File of another size",
        "The file {name!r} has {size} bytes, but the descriptor says {expected}.",
        "It was truncated or changed.",
        "Copy or export it again, and compare checksums.",
        cases={
            "citrix": Wording(
                severity=INFO,
                why="XenCenter writes down what the disk takes on its storage, not the length of the file.",
                act="Nothing.",
            ),
        },
    ),
    kind(
        WARNING,
        "file.twice",
        "One file under two ids",
        "The files {one!r} and {other!r} have one name, {name!r}.",
        "Strict importers refuse the package.",
        ANEW,
        mend=Mend.ANEW,
        refused_by=("ovftool",),
    ),
    kind(
        ERROR,
        "file.compression",
        "Compression that is not known",
        "The file {name!r} is compressed with {compression!r}.",
        "It cannot be read.",
        "Unpack it, and correct the descriptor.",
    ),
    kind(
        ERROR,
        "file.chunk",
        "Piece that is missing or has the wrong size",
        "The file {name!r}: {error}.",
        "What follows would stand at a wrong place.",
        "Copy or export the pieces again.",
        mend=Mend.LOST,
    ),
    kind(
        INFO,
        "file.large",
        "File of 8 GiB or more in an archive",
        "The file {name!r} is larger than a POSIX archive can say; its header has the form of GNU tar.",
        "VMware's and other importers read it; one that keeps to the standard does not.",
        "Write the package with smaller pieces (--chunk-size), or into a directory.",
        mend=Mend.ANEW,
    ),
)
