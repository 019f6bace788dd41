"""Whether the Xen PV drivers of a Windows guest will work: started at boot, there, of one vendor, and not too old.

Source: xcp-ng/win-xenbus, src/xenbus.inf, src/xenbus/driver.c; xcp-ng/win-pv-drivers, docs/coexistence.md; XSA-468.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.checks.guest.windows_common import has_drivers, read_system, start_of
from xenimage.model.check import Check
from xenimage.model.finding import Severity
from xenimage.model.kind import FindingKind, Mend, Wording, by_code

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from xenimage.model.finding import Finding
    from xenimage.model.guest.facts import GuestFacts
    from xenimage.model.guest.windows import WindowsFacts
    from xenimage.model.guest.xendrivers import BoundDriver, XenDrivers
    from xenimage.model.profile import Profile

_DISK = ("xenbus", "xenfilt", "xenvbd", "xendisk")
"""what must run for the PV disk; xendisk is not in every release"""
_NETWORK = ("xenvif", "xennet")
_FILTERS = ("xenfilt", "scsifilt")
_FILTERED = ("System", "hdc")
_NO_DISK = "The PV disk does not start: Windows stops with INACCESSIBLE_BOOT_DEVICE, or runs slowly on emulated disks."
_AGAIN = "Install the PV drivers anew in a VM with this disk."

# The first versions without XSA-468, by vendor, of the bus, the interface and the console.
_FIXED: dict[str, dict[str, tuple[int, ...]]] = {
    "XenServer": {"bus": (9, 1, 11, 115), "iface": (9, 1, 12, 94)},
    "XCP-ng": {"bus": (9, 0, 9065), "iface": (9, 0, 9065), "cons": (9, 0, 9065)},
    "Xen Project": {"bus": (9, 1, 0, 2)},
}

KINDS = by_code(
    (
        FindingKind(
            code="windows.pv-drivers.none",
            title="No Xen PV drivers",
            severity=Severity.WARNING,
            what="Windows has no Xen PV drivers.",
            why="It runs on emulated disks and network cards: slowly, and without live migration, suspend or hot-plug.",
            act="Install the tools of XenServer or XCP-ng in it before sysprep.",
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="windows.pv-drivers.legacy",
            title="PV drivers of XenServer 6.0.2 or older",
            severity=Severity.WARNING,
            what="The Xen PV drivers are those of XenServer 6.0.2 or older.",
            why="Nobody supports them any more, and they know the platform device 0001 alone.",
            act="Uninstall them and install current tools, in a VM with this disk.",
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="windows.pv-drivers.incomplete",
            title="PV drivers of which a part is missing",
            severity=Severity.WARNING,
            what="The Xen PV drivers are incomplete: there is no service {missing}.",
            why="Disks and network cards stay emulated, or the disk is lost at the start.",
            act=_AGAIN,
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="windows.pv-drivers.start",
            title="PV disk driver that is not started at boot",
            severity=Severity.ERROR,
            what="The driver {name} is not started at boot.",
            why=_NO_DISK,
            act="Set its Start to 0 in the registry, if XenBootFix or somebody disabled it on purpose; else: " + _AGAIN,
            mend=Mend.CHOICE,
            cases={
                "network": Wording(
                    severity=Severity.WARNING,
                    what="The driver {name} is disabled.",
                    why="The PV network card does not start; the guest may be without a network.",
                    act="Set its Start to 3 in the registry, or install the PV drivers anew.",
                )
            },
        ),
        FindingKind(
            code="windows.pv-drivers.file",
            title="PV disk driver without its file",
            severity=Severity.ERROR,
            what="The driver {name} has no file {file}.",
            why=_NO_DISK,
            act=_AGAIN,
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="windows.pv-drivers.filter",
            title="Class of devices without the filter of the PV drivers",
            severity=Severity.ERROR,
            what="XENFILT is not among the upper filters of the class {name}.",
            why=_NO_DISK,
            act=_AGAIN,
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="windows.pv-drivers.orphan",
            title="Filter without its driver",
            severity=Severity.ERROR,
            what="The class {name} has the filter {filter}, for which there is no driver.",
            why="No device of that class starts, the boot disk's among them: Windows does not start.",
            act="Take the filter out of the registry, as XenBootFix does; or install the PV drivers anew.",
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="windows.pv-drivers.disabled",
            title="Disabled PV device",
            severity=Severity.ERROR,
            what="The device {id} is disabled.",
            why=_NO_DISK,
            act="Enable it in the device manager of a VM with this disk.",
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="windows.pv-drivers.mixed",
            title="PV drivers of two vendors",
            severity=Severity.ERROR,
            what="There are Xen PV drivers of {vendors}.",
            why="They do not get along: after an update or a new start the disk or the network may be lost.",
            act="Remove all of them with XenClean of XCP-ng's tools, and install those of one vendor.",
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="windows.pv-drivers.old",
            title="PV drivers with a known vulnerability",
            severity=Severity.WARNING,
            what="The PV drivers of {vendor} are older than the correction of XSA-468.",
            why="Any user of the guest can get the rights of its system.",
            act="Update the tools of XenServer or XCP-ng.",
            mend=Mend.CHOICE,
        ),
    )
)


def judge(facts: GuestFacts, profile: Profile) -> Iterator[Finding]:
    """Judge the drivers by what the registry says of them."""
    del profile
    windows = facts.windows
    if windows is None or not read_system(facts):
        return
    yield from _orphans(windows.xen)
    if not has_drivers(windows.xen):
        nowhere = f"SYSTEM\\{windows.control_set}\\Services: neither xenbus nor xenvbd"
        yield KINDS["windows.pv-drivers.none"].found(evidence=(nowhere,))
        return
    yield from _vendors(windows.xen)
    if windows.xen.generation == "legacy":
        evidence = tuple(start_of(each) for each in windows.xen.services)
        yield KINDS["windows.pv-drivers.legacy"].found(evidence=evidence)
        return
    yield from _services(windows)
    yield from _bindings(windows.xen)
    yield from _old(windows.xen)


def _orphans(xen: XenDrivers) -> Iterator[Finding]:
    there = {each.name.lower() for each in xen.services}
    for each in xen.filters:
        for name in each.filters:
            if name.lower() in _FILTERS and name.lower() not in there:
                evidence = (f"{each.key}: UpperFilters={', '.join(each.filters)}",)
                yield KINDS["windows.pv-drivers.orphan"].found(name=each.name, filter=name, evidence=evidence)


def _vendors(xen: XenDrivers) -> Iterator[Finding]:
    if len(xen.vendors) < 2:
        return
    evidence = (
        *(f"{each.key}: ProviderName={each.provider}" for each in xen.drivers),
        *(f"{each.key or each.name}: Provider={each.provider}" for each in xen.packages if each.vendor),
        *(f"{each.key}: {each.hardware_id}" for each in xen.children),
    )
    yield KINDS["windows.pv-drivers.mixed"].found(vendors=" and ".join(xen.vendors), evidence=evidence)


def _services(windows: WindowsFacts) -> Iterator[Finding]:
    """Judge the services that are there; a package that was only staged has none yet."""
    xen = windows.xen
    missing = [name for name in ("xenbus", "xenvbd") if xen.service(name) is None]
    if len(missing) == 1:
        evidence = tuple(start_of(each) for each in xen.services)
        yield KINDS["windows.pv-drivers.incomplete"].found(missing=missing[0], evidence=evidence)
    for service in xen.services:
        if service.name in _DISK and service.start != 0:
            yield KINDS["windows.pv-drivers.start"].found(name=service.name, evidence=(start_of(service),))
        if service.name in _DISK and service.present is False:
            evidence = (f"{service.key}: ImagePath={service.image_path}",)
            yield KINDS["windows.pv-drivers.file"].found(name=service.name, file=service.file, evidence=evidence)
        if service.name in _NETWORK and service.start == 4:
            yield KINDS["windows.pv-drivers.start"].found("network", name=service.name, evidence=(start_of(service),))


def _bindings(xen: XenDrivers) -> Iterator[Finding]:
    """Judge what is so once the drivers were active: before, the filters need not be there."""
    if not xen.bound:
        return
    if xen.service("xenfilt") is not None:
        for each in xen.filters:
            if each.name in _FILTERED and "xenfilt" not in {name.lower() for name in each.filters}:
                evidence = (f"{each.key}: UpperFilters={', '.join(each.filters) or 'none'}",)
                yield KINDS["windows.pv-drivers.filter"].found(name=each.name, evidence=evidence)
    active = xen.active.device if xen.active else ""
    for device in xen.devices:
        if device.config_flags & 1 and device.device == (active or device.device):
            evidence = (f"{device.key}: ConfigFlags={device.config_flags:#x}",)
            yield KINDS["windows.pv-drivers.disabled"].found(id=device.id, evidence=evidence)
    for child in xen.children:
        if child.config_flags & 1 and child.kind == "VBD":
            evidence = (f"{child.key}: ConfigFlags={child.config_flags:#x}",)
            yield KINDS["windows.pv-drivers.disabled"].found(id=child.hardware_id, evidence=evidence)


def _old(xen: XenDrivers) -> Iterator[Finding]:
    if len(xen.vendors) != 1 or xen.vendors[0] not in _FIXED:
        return
    evidence = tuple(_vulnerable(xen.drivers, xen.vendors[0]))
    if not xen.drivers:
        fixed = _FIXED[xen.vendors[0]]["bus"]
        packages = (each for each in xen.packages if each.version and _number(each.version) < fixed)
        evidence = tuple(f"{each.key}: Version={each.version}" for each in packages)
    if evidence:
        yield KINDS["windows.pv-drivers.old"].found(vendor=xen.vendors[0], evidence=evidence)


def _vulnerable(drivers: Sequence[BoundDriver], vendor: str) -> Iterator[str]:
    for each in drivers:
        fixed = _FIXED[vendor].get(_part(each.matching_id))
        if fixed and each.version and _number(each.version) < fixed:
            yield f"{each.key}: DriverVersion={each.version}"


def _part(matching_id: str) -> str:
    """Which driver it is, by the id that it was chosen by."""
    if matching_id.startswith("pci\\"):
        return "bus"
    return next((name for name in ("iface", "cons") if f"&dev_{name}" in matching_id), "")


def _number(version: str) -> tuple[int, ...]:
    parts = version.split(".")
    return tuple(int(part) if part.isascii() and part.isdigit() else 0 for part in parts)


CHECK = Check(
    name="windows.pv-drivers",
    title="Xen PV drivers in Windows",
    kinds=tuple(KINDS.values()),
    judge=judge,
)
