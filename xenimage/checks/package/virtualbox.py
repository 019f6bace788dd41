"""What VirtualBox makes of a package: ``VBoxManage import``.

Sources: Oracle, VirtualBox User Manual, "Importing and Exporting Virtual Machines"; issue 17 of owncloud and 347 of ros
(manifests).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xenimage.checks.package.formats import family
from xenimage.checks.package.words import (
    CONVERT,
    ERROR,
    INFO,
    OVF_KINDS,
    WARNING,
    disks,
    files,
    is_no_drive,
    kind,
    types_of,
)
from xenimage.model.kind import Wording, by_code

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.model.finding import Finding
    from xenimage.model.machine import Package

_BY = ("VirtualBox",)
_READ = frozenset({"", "vmdk", "vhd", "vdi"})
KINDS = (
    kind(
        ERROR,
        "virtualbox.kind",
        "Kind of package that VirtualBox does not import",
        "The package is of the kind {kind}.",
        "VirtualBox imports OVF and OVA alone.",
        CONVERT,
        refused_by=_BY,
        cases={"packed": Wording(what="The package is packed as a whole, with {kind}.", act="Unpack it first.")},
    ),
    kind(
        ERROR,
        "virtualbox.disk.type",
        "Disks that VirtualBox does not see",
        "Disks of the ResourceType {types} instead of 17: {disks}.",
        "VirtualBox looks for disk drives alone: the machine is imported without these disks, or not at all.",
        CONVERT,
    ),
    kind(
        ERROR,
        "virtualbox.disk.format",
        "Disks in a format that VirtualBox does not read",
        "Disks of which none is VMDK, VHD or VDI: {disks}.",
        "VirtualBox reads those three formats.",
        CONVERT,
        refused_by=_BY,
    ),
    kind(
        ERROR,
        "virtualbox.disk.delta",
        "Delta disks",
        "Disks that belong over others: {disks}.",
        "VirtualBox does not put them together.",
        CONVERT,
    ),
    kind(
        ERROR,
        "virtualbox.file.pieces",
        "Files in pieces",
        "Files that are in pieces: {names}.",
        "VirtualBox does not put them together.",
        CONVERT,
        refused_by=_BY,
        cases={
            "gzip": Wording(what="Files that are deflated: {names}.", why="VirtualBox does not inflate them."),
        },
    ),
    kind(
        INFO,
        "virtualbox.manifest",
        "Digest that not every VirtualBox takes",
        "The manifest has digests of the kind SHA-256.",
        "Old versions of VirtualBox know SHA-1 alone, and refuse the package.",
        "Nothing for today's versions.",
        cases={
            "sha512": Wording(
                severity=WARNING,
                what="The manifest has digests of the kind SHA-512.",
                why="VirtualBox knows SHA-1 and SHA-256.",
                act=CONVERT,
            ),
        },
    ),
)
_BY_CODE = by_code(KINDS)


def _found(code: str, case: str = "", **values: Any) -> Finding:
    return _BY_CODE[f"package.virtualbox.{code}"].found(case, **values)


def check(package: Package) -> Iterator[Finding]:
    """Find what VirtualBox would refuse, or do otherwise than the package says."""
    if package.kind not in OVF_KINDS:
        yield _found("kind", kind=package.kind.upper())
        return
    if package.compression:
        yield _found("kind", "packed", kind=package.compression)
    yield from _check_disks(package)
    pieces = files(package, lambda _compression, chunk_size: chunk_size is not None)
    if pieces:
        yield _found("file.pieces", names=pieces)
    deflated = files(package, lambda compression, _chunk_size: bool(compression))
    if deflated:
        yield _found("file.pieces", "gzip", names=deflated)
    if "sha512" in package.proof.algorithms:
        yield _found("manifest", "sha512")
    if "sha256" in package.proof.algorithms:
        yield _found("manifest")


def _check_disks(package: Package) -> Iterator[Finding]:
    passed = disks(package, is_no_drive)
    if passed:
        yield _found("disk.type", disks=passed, types=types_of(package))
    foreign = disks(package, lambda disk: family(disk.format) not in _READ)
    if foreign:
        yield _found("disk.format", disks=foreign)
    deltas = disks(package, lambda disk: bool(disk.parent))
    if deltas:
        yield _found("disk.delta", disks=deltas)
