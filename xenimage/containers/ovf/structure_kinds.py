"""Kinds of findings about the descriptor of a package as such: its XML, version, elements and references."""

from __future__ import annotations

from xenimage.containers.ovf.words import ANEW, ERROR, EXPORT, INFO, WARNING, kind
from xenimage.model.kind import Mend, Wording

ENVELOPE = (
    kind(
        WARNING,
        "xml",
        "Faulty XML that was read all the same",
        "{repair}.",
        "Strict readers of XML refuse the descriptor.",
        ANEW,
        mend=Mend.ANEW,
        refused_by=("programs that read XML strictly",),
    ),
    kind(
        WARNING,
        "version",
        "Version that is not known",
        "The envelope says that it has the version {version!r}.",
        "What that version means is not known; it was read as the namespace says.",
        "Nothing, if what is shown is right.",
        mend=Mend.NONE,
        cases={
            "mixed": Wording(what="An envelope of the version {version} has elements of version 2."),
            "unset": Wording(severity=INFO, what="The envelope does not say its version; its namespace: {version}."),
        },
    ),
    kind(
        WARNING,
        "structure",
        "Element that is missing, or stands in the wrong place",
        "{element} stands within {parent}, where it has no place.",
        "It was passed over, or read where it stands; strict importers refuse the package.",
        ANEW,
        mend=Mend.ANEW,
        refused_by=("ovftool",),
        cases={
            "missing": Wording(what="{parent} has no {element}."),
            "twice": Wording(what="{parent} has more than one {element}."),
            "unknown": Wording(
                what="{parent} has the element {element}, which is required to be understood and is not known.",
                why="The machine may need what it says.",
            ),
        },
    ),
    kind(
        ERROR,
        "identifier",
        "Identifier that is not unique",
        "The id {identifier!r} of a {element} stands twice.",
        "What refers to it is ambiguous: the first one is taken, another program may take the second.",
        EXPORT,
        refused_by=("ovftool",),
        cases={
            "missing": Wording(what="A {element} has no id.", why="Nothing can refer to it."),
            "instance": Wording(severity=WARNING, what="The InstanceID {identifier!r} of an {element} stands twice."),
        },
    ),
    kind(
        ERROR,
        "reference",
        "Reference that leads nowhere",
        "The {attribute} of {element} names {target!r}, which is not in the package.",
        "What it stands for cannot be found.",
        EXPORT,
        mend=Mend.LOST,
        refused_by=("ovftool", "VirtualBox"),
        cases={"texts": Wording(severity=WARNING, why="Texts of the package are lost, and nothing else.")},
    ),
    kind(
        WARNING,
        "number",
        "Number that is none",
        "The {attribute} of {element} is {value!r}.",
        "It was passed over; strict importers refuse the package.",
        EXPORT,
        refused_by=("ovftool",),
    ),
    kind(
        INFO,
        "encrypted",
        "Encrypted files",
        "{count} of the files are encrypted in Citrix's way.",
        "They can be read with the password. The scheme has no salt and no proof against changes.",
        "Give the password; write the package anew without encryption, and protect it in another way.",
        mend=Mend.ANEW,
    ),
    kind(
        WARNING,
        "text",
        "Characters that XML cannot hold",
        "{count} characters in the texts of {machine!r} cannot stand in XML; U+FFFD stands for each.",
        "What they meant is not in the package: mostly nothing, for they are control characters.",
        "Look at the names and the description of the machine.",
        mend=Mend.NONE,
    ),
)
