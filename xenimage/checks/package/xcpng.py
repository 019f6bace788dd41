"""What XCP-ng and XenServer make of a package: XCP-ng Center and XenCenter, Xen Orchestra, and xapi for an XVA.

Sources: xenadmin, XenOvfApi (Import.cs, Validation.cs, Messages.resx); xen-orchestra, packages/xo-vmdk-to-vhd
(ova-read.js); xen-api, ocaml/xapi/import.ml.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from xenimage.checks.package.formats import family
from xenimage.checks.package.words import CONVERT, ERROR, INFO, OVF_KINDS, WARNING, disks, files, kind, listed
from xenimage.model.kind import Mend, Wording, by_code
from xenimage.units import GIB

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.model.finding import Finding
    from xenimage.model.machine import Package

_VHD_LARGEST = 2040 * GIB
_DISKS_MOST = 15
"""XenCenter numbers disks 0, 1, and 3 to 15; 2 is for the CD"""
_VERSIONS = frozenset({"0.9", "1", "1.0", "1.0.0", "1.0.0a", "1.0.0.b", "1.0.0c", "1.0.0d", "1.0.0e", "1.0.1"})
_EXTENSIONS = frozenset(
    {".vhd", ".pvp", ".vmdk", ".mf", ".cert", ".xva", ".ovf", ".wim", ".vdi", ".sdi", ".iso", ".gz"}
)
_READ = frozenset({"", "vhd", "vmdk", "vdi", "raw", "iso"})
_BOTH = ("XenCenter", "Xen Orchestra")
KINDS = (
    kind(
        ERROR,
        "xcp-ng.kind",
        "Kind of package that XCP-ng does not import",
        "The package is of the kind {kind}.",
        "XCP-ng imports XVA, OVF and OVA.",
        CONVERT,
        refused_by=_BOTH,
    ),
    kind(
        ERROR,
        "xcp-ng.compression",
        "Packed in a way that is not unpacked",
        "The package is packed with {compression}.",
        "xapi unpacks an XVA that is packed with gzip, or zstd since version 8.",
        CONVERT,
        refused_by=("xapi",),
        cases={
            "zstd": Wording(severity=INFO, act="Nothing for XenServer 8 and XCP-ng 8; else write the package anew."),
            "ovf": Wording(why="XenCenter unpacks an OVA that is packed with gzip, and none that is packed otherwise."),
        },
    ),
    kind(
        WARNING,
        "xcp-ng.old",
        "Export of the time before XenServer 4",
        "The package is an export of the version {version}.",
        "XenCenter of 2013 was the last of today's tools that read it.",
        CONVERT,
    ),
    kind(
        ERROR,
        "xcp-ng.file.pieces",
        "Files in pieces",
        "Files that are in pieces: {names}.",
        "Neither XenCenter nor Xen Orchestra puts them together.",
        CONVERT,
        refused_by=_BOTH,
    ),
    kind(
        WARNING,
        "xcp-ng.file.extension",
        "Files with a suffix that XenCenter does not know",
        "Files with other suffixes than XenCenter knows: {names}.",
        "XenCenter warns, and its user has to go on in spite of that.",
        "Nothing, or write the package anew with xenimage package convert.",
    ),
    kind(
        ERROR,
        "xcp-ng.disk.format",
        "Disks in a format that is not read",
        "Disks of which none is VHD, VMDK, VDI or raw: {disks}.",
        "XenCenter reads those formats, Xen Orchestra the first two.",
        CONVERT,
        refused_by=_BOTH,
    ),
    kind(
        ERROR,
        "xcp-ng.disk.delta",
        "Delta disks",
        "Disks that belong over others: {disks}.",
        "Neither XenCenter nor Xen Orchestra puts them together: each is taken for a whole disk.",
        CONVERT,
    ),
    kind(
        WARNING,
        "xcp-ng.disk.size",
        "Disks too large for a VHD",
        "Disks larger than 2040 GiB: {disks}.",
        "Storage repositories that keep VHDs cannot take them.",
        "Make them smaller in the guest, or import them where disks are raw or qcow2.",
        mend=Mend.CHOICE,
        refused_by=("xapi, on storage with VHDs",),
    ),
    kind(
        ERROR,
        "xcp-ng.disk.many",
        "More disks than XenCenter attaches",
        "Machines with more than 15 disks: {machines}.",
        "XenCenter gives them the numbers up to 15, 2 being for the CD, and then says that the device number is greater"
        " than 15.",
        "Import some of the disks alone.",
        mend=Mend.CHOICE,
        refused_by=("XenCenter",),
    ),
    kind(
        INFO,
        "xcp-ng.version",
        "Version that XenCenter does not know",
        "The descriptor is of the version {version}.",
        "XenCenter knows 0.9 and 1.0; it warns, and reads 1.1 all the same.",
        "Nothing.",
        mend=Mend.NONE,
        cases={
            "two": Wording(
                severity=WARNING,
                why="XenCenter knows 0.9 and 1.0, and does not read 2; Xen Orchestra reads some of it.",
                act=CONVERT,
            ),
        },
    ),
    kind(
        WARNING,
        "xcp-ng.machines",
        "Several machines",
        "The package has {count} machines.",
        "XenCenter imports them all, Xen Orchestra no package with a collection of machines.",
        "For Xen Orchestra: divide the package with xenimage package split.",
    ),
    kind(
        WARNING,
        "xcp-ng.firmware",
        "Firmware that may be lost",
        "Machines with UEFI: {machines}.",
        "Xen Orchestra loses what the package says of the firmware; with a BIOS such a guest may not start.",
        "Set the firmware to UEFI after the import, or import with XenCenter.",
        mend=Mend.CHOICE,
    ),
)
_BY_CODE = by_code(KINDS)


def _found(code: str, case: str = "", **values: Any) -> Finding:
    return _BY_CODE[f"package.xcp-ng.{code}"].found(case, **values)


def check(package: Package) -> Iterator[Finding]:
    """Find what XCP-ng would refuse, or import otherwise than the package says."""
    if package.kind == "xva":
        yield from _check_xva(package)
    elif package.kind in OVF_KINDS:
        yield from _check_package(package)
        yield from _check_files(package)
        yield from _check_disks(package)
        yield from _check_machines(package)
    else:
        yield _found("kind", kind=package.kind.upper())


def _check_xva(package: Package) -> Iterator[Finding]:
    if package.compression not in ("", "gzip"):
        case = "zstd" if package.compression == "zstd" else ""
        yield _found("compression", case, compression=package.compression)
    if package.version == "0.1":
        yield _found("old", version=package.version)


def _check_package(package: Package) -> Iterator[Finding]:
    if package.compression not in ("", "gzip"):
        yield _found("compression", "ovf", compression=package.compression)
    if package.version not in _VERSIONS:
        yield _found("version", "two" if package.version.startswith("2") else "", version=package.version)


def _check_files(package: Package) -> Iterator[Finding]:
    pieces = files(package, lambda _compression, chunk_size: chunk_size is not None)
    if pieces:
        yield _found("file.pieces", names=pieces)
    names = [each.name for each in package.files]
    unknown = [repr(name) for name in names if os.path.splitext(name)[1].lower() not in _EXTENSIONS]
    if unknown:
        yield _found("file.extension", names=listed(unknown))


def _check_disks(package: Package) -> Iterator[Finding]:
    foreign = disks(package, lambda disk: family(disk.format) not in _READ)
    if foreign:
        yield _found("disk.format", disks=foreign)
    deltas = disks(package, lambda disk: bool(disk.parent))
    if deltas:
        yield _found("disk.delta", disks=deltas)
    large = disks(package, lambda disk: (disk.capacity or 0) > _VHD_LARGEST)
    if large:
        yield _found("disk.size", disks=large)


def _check_machines(package: Package) -> Iterator[Finding]:
    many = [repr(each.name) for each in package.machines if len(each.disks) > _DISKS_MOST]
    if many:
        yield _found("disk.many", machines=listed(many))
    if len(package.machines) > 1:
        yield _found("machines", count=len(package.machines))
    uefi = [repr(each.name) for each in package.machines if each.firmware == "uefi"]
    if uefi:
        yield _found("firmware", machines=listed(uefi))
