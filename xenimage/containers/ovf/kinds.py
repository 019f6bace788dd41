"""Kinds of findings about an OVF package, and the list that they are collected in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xenimage.exceptions import LimitError
from xenimage.model.finding import Severity
from xenimage.model.kind import FindingKind, Mend, Wording, by_code

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xenimage.model.finding import Finding

_ERROR, _WARNING, _INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
_ANEW = "Write the package anew with xenimage package convert."
_EXPORT = "Export the machine again, or correct the descriptor by hand."


def _kind(
    severity: Severity,
    code: str,
    title: str,
    *texts: str,
    mend: Mend = Mend.CHOICE,
    refused_by: tuple[str, ...] = (),
    cases: Mapping[str, Wording] | None = None,
) -> FindingKind:
    """*texts*: what, why, act."""
    what, why, act = texts
    return FindingKind(
        code=f"ovf.{code}",
        title=title,
        severity=severity,
        what=what,
        why=why,
        act=act,
        mend=mend,
        refused_by=refused_by,
        cases=cases or {},
    )


ENVELOPE = (
    _kind(
        _WARNING,
        "xml",
        "Faulty XML that was read all the same",
        "{repair}.",
        "Strict readers of XML refuse the descriptor.",
        _ANEW,
        mend=Mend.ANEW,
        refused_by=("programs that read XML strictly",),
    ),
    _kind(
        _WARNING,
        "version",
        "Version that is not known",
        "The envelope says that it has the version {version!r}.",
        "What that version means is not known; it was read as the namespace says.",
        "Nothing, if what is shown is right.",
        mend=Mend.NONE,
        cases={
            "mixed": Wording(what="An envelope of the version {version} has elements of version 2."),
            "unset": Wording(severity=_INFO, what="The envelope does not say its version; its namespace: {version}."),
        },
    ),
    _kind(
        _WARNING,
        "structure",
        "Element that is missing, or stands in the wrong place",
        "{element} stands within {parent}, where it has no place.",
        "It was passed over, or read where it stands; strict importers refuse the package.",
        _ANEW,
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
    _kind(
        _ERROR,
        "identifier",
        "Identifier that is not unique",
        "The id {identifier!r} of a {element} stands twice.",
        "What refers to it is ambiguous: the first one is taken, another program may take the second.",
        _EXPORT,
        refused_by=("ovftool",),
        cases={
            "missing": Wording(what="A {element} has no id.", why="Nothing can refer to it."),
            "instance": Wording(severity=_WARNING, what="The InstanceID {identifier!r} of an {element} stands twice."),
        },
    ),
    _kind(
        _ERROR,
        "reference",
        "Reference that leads nowhere",
        "The {attribute} of {element} names {target!r}, which is not in the package.",
        "What it stands for cannot be found.",
        _EXPORT,
        mend=Mend.LOST,
        refused_by=("ovftool", "VirtualBox"),
        cases={"texts": Wording(severity=_WARNING, why="Texts of the package are lost, and nothing else.")},
    ),
    _kind(
        _WARNING,
        "number",
        "Number that is none",
        "The {attribute} of {element} is {value!r}.",
        "It was passed over; strict importers refuse the package.",
        _EXPORT,
        refused_by=("ovftool",),
    ),
    _kind(
        _INFO,
        "encrypted",
        "Encrypted files",
        "{count} of the files are encrypted in Citrix's way.",
        "They can be read with the password. The scheme has no salt and no proof against changes.",
        "Give the password; write the package anew without encryption, and protect it in another way.",
        mend=Mend.ANEW,
    ),
)
MACHINES = (
    _kind(
        _ERROR,
        "machine.none",
        "No machine",
        "The descriptor describes no machine.",
        "There is nothing to import.",
        _EXPORT,
        mend=Mend.LOST,
        refused_by=("every importer",),
    ),
    _kind(
        _WARNING,
        "machine.hardware",
        "Machine without hardware",
        "The machine {machine!r} has no hardware.",
        "Importers refuse it, or make up a processor, memory and disks.",
        _EXPORT,
        refused_by=("ovftool",),
        cases={
            "several": Wording(
                severity=_INFO,
                what="The machine {machine!r} describes its hardware more than once; one of them was chosen.",
                why="They are for different hypervisors.",
                act="Nothing.",
            ),
        },
    ),
    _kind(
        _WARNING,
        "cpu",
        "No usable number of processors",
        "The machine {machine!r} has the number of processors {value!r}.",
        "Importers refuse it, or take one.",
        "Say how many it is to have when it is imported.",
    ),
    _kind(
        _WARNING,
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
    _kind(
        _WARNING,
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
    _kind(
        _WARNING,
        "configuration",
        "Deployment option that does not exist",
        "{element} is for the configuration {identifier!r}, which the package does not have.",
        "It never applies.",
        _EXPORT,
    ),
    _kind(
        _WARNING,
        "property",
        "Faulty property",
        "A property of {machine!r} has no key.",
        "It cannot be set.",
        _EXPORT,
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
    _kind(
        _INFO,
        "eula",
        "Licence to be accepted",
        "{machine!r} comes with {count} licence agreements.",
        "Importers show them and ask.",
        "Read them: xenimage package show prints them.",
        mend=Mend.NONE,
    ),
    _kind(
        _WARNING,
        "network",
        "Network that is not described",
        "A card of {machine!r} belongs to the network {name!r}, which the package does not describe.",
        "Strict importers refuse the package; others ask where to connect it.",
        "Say where to connect it when the package is imported.",
        refused_by=("ovftool",),
    ),
)
DISKS = (
    _kind(
        _WARNING,
        "disk.capacity",
        "Disk without a usable capacity",
        "The disk {disk!r} has the capacity {value!r} in the units {units!r}.",
        "The size of its content is taken.",
        _EXPORT,
        cases={
            "property": Wording(
                severity=_INFO,
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
    _kind(
        _WARNING,
        "disk.populated",
        "More in use than there is",
        "The disk {disk!r} has {value} bytes in use, and a capacity of {capacity}.",
        "The number was passed over.",
        "Nothing.",
        mend=Mend.NONE,
    ),
    _kind(
        _ERROR,
        "disk.parent",
        "Delta disk without its parent",
        "The disk {disk!r} belongs over {parent!r}, which is not in the package.",
        "Alone it reads as garbage.",
        "Export the machine again, its snapshots merged.",
        mend=Mend.LOST,
        cases={
            "cycle": Wording(what="The disk {disk!r} belongs, by way of {parent!r}, over itself."),
            "order": Wording(
                severity=_WARNING,
                what="The disk {disk!r} stands in front of {parent!r}, over which it belongs.",
                why="Some importers want the parent first.",
                act=_ANEW,
            ),
        },
    ),
    _kind(
        _WARNING,
        "disk.unused",
        "Disk that no machine has",
        "No machine has the disk {disk!r}.",
        "It is not imported.",
        "Open its file alone, if it is wanted.",
    ),
    _kind(
        _WARNING,
        "disk.unattached",
        "Disk drive without a disk",
        "A disk drive of {machine!r} names no disk.",
        "It is left out; importers refuse it, or make an empty disk.",
        "Nothing, if the machine has all its disks.",
    ),
    _kind(
        _WARNING,
        "disk.size",
        "Two sizes",
        "The disk {disk!r} has {size} bytes, but the descriptor says {capacity}.",
        "Importers that believe the descriptor make a disk of another size.",
        "Check that the disk has the size that its guest expects.",
    ),
    _kind(
        _ERROR,
        "disk.content",
        "Disk that cannot be opened",
        "The disk {disk!r} cannot be opened: {error}.",
        "The machine cannot be imported with it.",
        "Export the machine again.",
        mend=Mend.LOST,
    ),
)
FILES = (
    _kind(
        _ERROR,
        "file.name",
        "Name that leads out of the package",
        "The file {identifier!r}: {error}.",
        "It is never opened: a package must not reach what is beside it.",
        "Do not use the package, unless you know how it came to that name.",
        cases={
            "remote": Wording(
                severity=_WARNING,
                why="Nothing is fetched from anywhere.",
                act="Fetch the file yourself, and name it in the descriptor by its bare name.",
            ),
        },
    ),
    _kind(
        _ERROR,
        "file.missing",
        "File that is missing",
        "The file {name!r} is not there.",
        "The disk in it is lost; every importer refuses the package, or imports the machine without it.",
        "Copy or export all files of the package again.",
        mend=Mend.LOST,
    ),
    _kind(
        _ERROR,
        "file.size",
        "File of another size",
        "The file {name!r} has {size} bytes, but the descriptor says {expected}.",
        "It was truncated or changed.",
        "Copy or export it again, and compare checksums.",
        cases={
            "citrix": Wording(
                severity=_INFO,
                why="XenCenter writes down what the disk takes on its storage, not the length of the file.",
                act="Nothing.",
            ),
        },
    ),
    _kind(
        _WARNING,
        "file.twice",
        "One file under two ids",
        "The files {one!r} and {other!r} have one name, {name!r}.",
        "Strict importers refuse the package.",
        _ANEW,
        mend=Mend.ANEW,
        refused_by=("ovftool",),
    ),
    _kind(
        _ERROR,
        "file.compression",
        "Compression that is not known",
        "The file {name!r} is compressed with {compression!r}.",
        "It cannot be read.",
        "Unpack it, and correct the descriptor.",
    ),
    _kind(
        _ERROR,
        "file.chunk",
        "Piece that is missing or has the wrong size",
        "The file {name!r}: {error}.",
        "What follows would stand at a wrong place.",
        "Copy or export the pieces again.",
        mend=Mend.LOST,
    ),
)
PROOF = (
    _kind(
        _WARNING,
        "manifest.absent",
        "No manifest",
        "The package has no manifest.",
        "Nothing tells whether its files are whole.",
        "Compare the files with the original in another way.",
        mend=Mend.NONE,
    ),
    _kind(
        _ERROR,
        "manifest.line",
        "Line that cannot be read",
        "Line {line} of the manifest is no digest of a file.",
        "The file that it is for is not proved.",
        _ANEW,
        mend=Mend.ANEW,
        cases={
            "digest": Wording(what="The digest of {name!r} has {count} characters, where {expected} digits belong."),
            "twice": Wording(what="The file {name!r} stands on line {line} of the manifest for the second time."),
        },
    ),
    _kind(
        _ERROR,
        "manifest.algorithm",
        "Unknown digest",
        "The manifest has a {algorithm} for {name!r}.",
        "It is not known: the file is not proved.",
        _ANEW,
        mend=Mend.ANEW,
    ),
    _kind(
        _WARNING,
        "manifest.mixed",
        "Digests of several kinds",
        "The manifest has digests of several kinds: {algorithms}.",
        "Some importers take the first for that of all lines.",
        _ANEW,
        mend=Mend.ANEW,
    ),
    _kind(
        _WARNING,
        "manifest.descriptor",
        "Descriptor that is not in the manifest",
        "The manifest does not list the descriptor, {name!r}.",
        "A change of the descriptor shows nowhere.",
        _ANEW,
        mend=Mend.ANEW,
    ),
    _kind(
        _WARNING,
        "manifest.unlisted",
        "File that is not in the manifest",
        "The manifest does not list {name!r}.",
        "Whether it is whole is not known; XenCenter refuses the package.",
        _ANEW,
        mend=Mend.ANEW,
        refused_by=("XenCenter",),
    ),
    _kind(
        _WARNING,
        "manifest.missing",
        "Listed file that is missing",
        "The manifest lists {name!r}, which is not there.",
        "A file may have been lost; XenCenter refuses the package.",
        "Copy or export all files of the package again.",
        refused_by=("XenCenter",),
    ),
    _kind(
        _ERROR,
        "manifest.mismatch",
        "File that does not have its digest",
        "The file {name!r} has the {algorithm} {actual}, but the manifest says {expected}.",
        "It was damaged on the way, or changed after the manifest was made.",
        "Copy or export it again; if you changed it yourself, write the package anew.",
        mend=Mend.LOST,
        refused_by=("every importer that reads manifests",),
    ),
    _kind(
        _ERROR,
        "certificate.damaged",
        "Certificate that cannot be read",
        "The certificate cannot be used: {error}.",
        "Who signed the package is not known.",
        "Ask whoever made the package for another copy.",
        mend=Mend.LOST,
    ),
    _kind(
        _ERROR,
        "certificate.mismatch",
        "Signature that does not fit",
        "The signature of {signer} is not that of the manifest.",
        "The manifest was changed after it was signed, or the signature belongs to another one.",
        "Do not trust the package; ask for another copy.",
        mend=Mend.LOST,
        refused_by=("every importer that reads signatures",),
    ),
    _kind(
        _INFO,
        "certificate.citrix",
        "Signature in Citrix's way",
        "{signer} signed the digest of the manifest's digest.",
        "XenCenter does so; other programs take the signature for a wrong one.",
        "Nothing.",
        mend=Mend.NONE,
    ),
    _kind(
        _WARNING,
        "certificate.expired",
        "Certificate out of its time",
        "The certificate of {signer} is valid from {start} to {stop}.",
        "Importers refuse it or ask.",
        "Ask whoever made the package, if the signature matters.",
    ),
    _kind(
        _INFO,
        "certificate.trust",
        "Trust that is yours to give",
        "{signer} signed the package, and {issuer} vouches for that.",
        "Whether the two are who they say was not checked.",
        "Compare the certificate with what you know of its maker.",
        mend=Mend.NONE,
    ),
)
KINDS = ENVELOPE + MACHINES + DISKS + FILES + PROOF
BY_CODE = by_code(KINDS)


def found(code: str, case: str = "", *, where: str = "", **values: Any) -> Finding:
    """Make the finding of the kind ``ovf.CODE``."""
    return BY_CODE[f"ovf.{code}"].found(case, where=where, **values)


class Notes:
    """Findings as they are made. Of each code only some are kept: a hostile file may give rise to any number."""

    _MOST = 50
    _TOO_MANY = 10_000

    def __init__(self) -> None:
        self._found: list[Finding] = []
        self._counts: dict[str, int] = {}

    def add(self, finding: Finding) -> None:
        """Keep *finding*, unless there are many of its code.

        :raises LimitError: there are so many that the file can only be meant to keep us busy.
        """
        count = self._counts[finding.code] = self._counts.get(finding.code, 0) + 1
        if count > self._TOO_MANY:
            raise LimitError(
                f"has more than {self._TOO_MANY} faults of one kind ({finding.code})", expected="a package with fewer"
            )
        if count <= self._MOST and finding not in self._found:
            self._found.append(finding)

    def all(self) -> tuple[Finding, ...]:
        """What was kept, in order."""
        return tuple(self._found)
