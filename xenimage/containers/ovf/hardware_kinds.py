"""Kinds of findings about the machines of a package and their hardware."""

from __future__ import annotations

from xenimage.containers.ovf.words import ERROR, EXPORT, INFO, WARNING, kind
from xenimage.model.kind import Mend, Wording

MACHINES = (
    kind(
        ERROR,
        "machine.none",
        "No machine",
        "The descriptor describes no machine.",
        "There is nothing to import.",
        EXPORT,
        mend=Mend.LOST,
        refused_by=("every importer",),
    ),
    kind(
        WARNING,
        "machine.hardware",
        "Machine without hardware",
        "The machine {machine!r} has no hardware.",
        "Importers refuse it, or make up a processor, memory and disks.",
        EXPORT,
        refused_by=("ovftool",),
        cases={
            "several": Wording(
                severity=INFO,
                what="The machine {machine!r} describes its hardware more than once; one of them was chosen.",
                why="They are for different hypervisors.",
                act="Nothing.",
            ),
        },
    ),
    kind(
        WARNING,
        "cpu",
        "No usable number of processors",
        "The machine {machine!r} has the number of processors {value!r}.",
        "Importers refuse it, or take one.",
        "Say how many it is to have when it is imported.",
    ),
    kind(
        WARNING,
        "memory",
        "No usable amount of memory",
        "The machine {machine!r} has the memory {value!r} in the units {units!r}.",
        "Importers refuse it, or take a default.",
        "Say how much it is to have when it is imported.",
        cases={
            "units": Wording(
                what="The machine {machine!r} gives its memory, {value!r}, without units; it was read as MiB.",
                why="The standard says bytes, and all who leave the units out mean MiB.",
            ),
        },
    ),
    kind(
        WARNING,
        "item",
        "Hardware that is not understood",
        "The machine {machine!r} requires hardware of the type {type!r}, which is not known.",
        "It is left out; the guest may need it.",
        "Look whether the guest starts without it.",
        mend=Mend.NONE,
        cases={
            "type": Wording(what="An item of {machine!r} has no type of hardware: {type!r}."),
            "bound": Wording(
                what="An item of {machine!r} bounds a range of the type {type!r} that is not whole or not numeric.",
                why="Strict importers refuse the package.",
            ),
        },
    ),
    kind(
        WARNING,
        "configuration",
        "Deployment option that does not exist",
        "{element} is for the configuration {identifier!r}, which the package does not have.",
        "It never applies.",
        EXPORT,
    ),
    kind(
        WARNING,
        "property",
        "Faulty property",
        "A property of {machine!r} has no key.",
        "It cannot be set.",
        EXPORT,
        refused_by=("ovftool",),
        cases={
            "type": Wording(
                what="The property {key!r} of {machine!r} has the type {type!r}.",
                why="The standard knows no such type; strict importers refuse the package.",
            ),
            "twice": Wording(
                what="The property {key!r} of {machine!r} stands twice.", why="Which of the two counts is not said."
            ),
            "product": Wording(
                what="{machine!r} has two products of one class and instance, {key!r}.",
                why="Their properties cannot be told apart.",
            ),
        },
    ),
    kind(
        INFO,
        "eula",
        "Licence to be accepted",
        "Licences that {machine!r} comes with: {count}.",
        "Importers show them and ask.",
        "Read them: xenimage package show FILE --eula.",
        mend=Mend.NONE,
    ),
    kind(
        WARNING,
        "network",
        "Network that is not described",
        "A card of {machine!r} belongs to the network {name!r}, which the package does not describe.",
        "Strict importers refuse the package; others ask where to connect it.",
        "Say where to connect it when the package is imported.",
        refused_by=("ovftool",),
    ),
)
