"""What VMware makes of a package: ovftool, vCenter and ESXi.

Sources: xcp-ng/xenadmin issue 202 (packages of XenCenter); librenms issue 31 (of VirtualBox); nextcloud issues 910 and
2607 (manifests); VMware, OVF Tool User's Guide.
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
    is_loose,
    is_no_drive,
    kind,
    listed,
    types_of,
)
from xenimage.model.kind import Wording, by_code

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.model.finding import Finding
    from xenimage.model.machine import Package

_BY = ("VMware",)
_STARTUP = "Envelope/StartupSection"
_FOREIGN = "VirtualSystemOtherConfigurationData"
_SEVERAL = "ovf.machine.hardware"
_COMMON = frozenset({"sha1", "sha256", "sha512"})
_SOUND = frozenset({"vendor's device", "sound card"})
KINDS = (
    kind(
        ERROR,
        "vmware.kind",
        "Kind of package that VMware does not read",
        "The package is of the kind {kind}.",
        "VMware's importers read OVF and OVA; ovftool a VMX, too.",
        CONVERT,
        refused_by=_BY,
    ),
    kind(
        ERROR,
        "vmware.foreign",
        "Elements that VMware refuses",
        "The descriptor has {elements}, as XenCenter writes it.",
        "VMware says 'Unsupported section' or 'Unsupported element', and refuses the package.",
        CONVERT,
        refused_by=_BY,
    ),
    kind(
        ERROR,
        "vmware.disk.type",
        "Disks that VMware does not see",
        "Disks of the ResourceType {types} instead of 17: {disks}.",
        "VMware looks for disk drives alone: the machine is imported without these disks, or not at all.",
        CONVERT,
    ),
    kind(
        ERROR,
        "vmware.disk.controller",
        "Disks without a controller",
        "Disks that belong to no controller: {disks}.",
        "VMware attaches a disk to the controller that the descriptor names, and has none to attach it to.",
        CONVERT,
        refused_by=_BY,
    ),
    kind(
        ERROR,
        "vmware.disk.format",
        "Disks that are no VMDK",
        "Disks of the format {formats}: {disks}.",
        "VMware reads VMDK alone.",
        CONVERT,
        refused_by=_BY,
        cases={
            "unsaid": Wording(
                severity=WARNING,
                what="Disks whose format the descriptor does not say: {disks}.",
                why="ovftool wants the address of VMware's specification there, and refuses the package unless it is"
                " told to be lax.",
            ),
        },
    ),
    kind(
        ERROR,
        "vmware.hardware",
        "Hardware of another hypervisor",
        "The machine asks for hardware of the type {types}.",
        "VMware knows vmx-7 and others of that form, and says that the hardware family is not supported; ovftool goes"
        " on with --lax.",
        CONVERT,
        refused_by=_BY,
    ),
    kind(
        ERROR,
        "vmware.device",
        "Devices as VirtualBox calls them",
        "The machine has an AHCI controller in VirtualBox's words: {disks}.",
        "VMware calls it vmware.sata.ahci, and does not know this one; ovftool goes on with --lax.",
        CONVERT,
        refused_by=_BY,
        cases={
            "sound": Wording(
                what="The machine has VirtualBox's sound card.",
                why="VMware does not know it; ovftool goes on with --lax.",
            ),
        },
    ),
    kind(
        WARNING,
        "vmware.version",
        "Version 2 of OVF",
        "The descriptor is of the version {version}.",
        "VMware reads version 1, and of 2 only some.",
        CONVERT,
    ),
    kind(
        INFO,
        "vmware.manifest",
        "Digest that not every VMware takes",
        "The manifest has digests of the kind SHA-256.",
        "vSphere 5.5 and earlier refuse them.",
        "Nothing for vSphere 6 and later; else write the package anew, with --digest sha1.",
        cases={
            "sha1": Wording(
                severity=WARNING,
                what="The manifest has digests of the kind SHA-1.",
                why="vSphere 7 and later are reported to refuse them.",
                act=CONVERT,
            ),
            "odd": Wording(
                severity=WARNING,
                what="The manifest has digests of the kind {algorithms}.",
                why="vSphere 7 and 8 refuse what they do not know.",
                act=CONVERT,
            ),
        },
    ),
)
_BY_CODE = by_code(KINDS)


def _found(code: str, case: str = "", **values: Any) -> Finding:
    return _BY_CODE[f"package.vmware.{code}"].found(case, **values)


def check(package: Package) -> Iterator[Finding]:
    """Find what VMware would refuse, or do otherwise than the package says."""
    if package.kind in OVF_KINDS:
        yield from _check_elements(package)
        yield from _check_disks(package)
        yield from _check_hardware(package)
        yield from _check_manifest(package)
    elif package.kind != "vmx":
        yield _found("kind", kind=package.kind.upper())


def _check_elements(package: Package) -> Iterator[Finding]:
    elements = ["StartupSection"] if any(each.where == _STARTUP for each in package.findings) else []
    needed = any(each.settings and not each.settings_optional for each in package.machines)
    elements += [_FOREIGN] if needed else []
    if elements:
        yield _found("foreign", elements=" and ".join(elements))
    if package.version.startswith("2"):
        yield _found("version", version=package.version)


def _check_disks(package: Package) -> Iterator[Finding]:
    passed = disks(package, is_no_drive)
    if passed:
        yield _found("disk.type", disks=passed, types=types_of(package))
    loose = disks(package, is_loose)
    if loose:
        yield _found("disk.controller", disks=loose)
    foreign = disks(package, lambda disk: family(disk.format) not in ("", "vmdk"))
    if foreign:
        formats = listed(
            family(disk.format).upper()
            for machine in package.machines
            for disk in machine.disks
            if family(disk.format) not in ("", "vmdk")
        )
        yield _found("disk.format", formats=formats, disks=foreign)
    unsaid = disks(package, lambda disk: bool(disk.file and not disk.format))
    if unsaid:
        yield _found("disk.format", "unsaid", disks=unsaid, formats="")


def _check_hardware(package: Package) -> Iterator[Finding]:
    # Of several descriptions VMware takes its own, and another one was read.
    alone = not any(each.code == _SEVERAL for each in package.findings)
    foreign = [
        kind
        for machine in package.machines
        if alone
        for kind in machine.virtual_system_types
        if not any(each.lower().startswith("vmx-") for each in machine.virtual_system_types)
    ]
    if foreign:
        yield _found("hardware", types=listed(map(repr, foreign)))
    ahci = disks(package, lambda disk: disk.bus_model.lower() == "ahci")
    if ahci:
        yield _found("device", disks=ahci)
    theirs = (each for each in package.machines if any("virtualbox" in kind for kind in each.virtual_system_types))
    if any(_SOUND & set(each.ignored) for each in theirs):
        yield _found("device", "sound", disks="")


def _check_manifest(package: Package) -> Iterator[Finding]:
    algorithms = package.proof.algorithms
    odd = [each for each in algorithms if each.lower() not in _COMMON]
    if odd:
        yield _found("manifest", "odd", algorithms=listed(odd))
    if "sha1" in algorithms:
        yield _found("manifest", "sha1", algorithms="")
    if "sha256" in algorithms:
        yield _found("manifest", algorithms="")
