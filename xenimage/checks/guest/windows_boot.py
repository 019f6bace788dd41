"""Whether Windows starts: boot manager, boot configuration, loader, and drivers for the disk that it starts from.

Without PV drivers a BIOS machine of XenServer shows an IDE disk, a UEFI machine an NVMe disk.
Source: xapi-project/xen-api, xenopsd/xc/device.ml; XenBootFix of XCP-ng for StartOverride.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xenimage.checks.guest.windows_common import firmwares, has_drivers, read_system, start_of
from xenimage.model.check import Check
from xenimage.model.finding import Severity
from xenimage.model.kind import FindingKind, Mend, Wording, by_code

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.model.finding import Finding
    from xenimage.model.guest.facts import GuestFacts
    from xenimage.model.guest.windows import BootStore, WindowsFacts
    from xenimage.model.guest.xendrivers import Service
    from xenimage.model.profile import Profile

_EMULATED = {"bios": (("intelide", "pciide"), ("atapi",)), "uefi": (("stornvme",),)}
"""drivers that the emulated disk needs, of each group one"""
_DISKS = {"bios": "IDE", "uefi": "NVMe"}
_SUFFIXES = {"bios": ".exe", "uefi": ".efi"}
_REPAIR = "Repair the start of Windows from its installation medium: bcdboot C:\\{root} /f {firmware}."

KINDS = by_code(
    (
        FindingKind(
            code="windows.boot.store",
            title="No boot configuration",
            severity=Severity.ERROR,
            what="There is no boot configuration of Windows (BCD).",
            why="Windows does not start.",
            act="Give the disk that the guest starts from, if that is another one. If not: bcdboot C:\\{root}.",
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="windows.boot.manager",
            title="No boot manager",
            severity=Severity.ERROR,
            what="There is no {manager}, though there is a boot configuration beside it.",
            why="Windows does not start.",
            act=_REPAIR,
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="windows.boot.loader",
            title="Boot configuration that leads nowhere",
            severity=Severity.ERROR,
            what="The boot configuration starts {loader}, which is not there.",
            why="Windows does not start.",
            act=_REPAIR,
            mend=Mend.CHOICE,
            cases={
                "none": Wording(what="The boot configuration names no loader that it starts by itself."),
                "firmware": Wording(
                    what="The boot configuration for {firmware} starts {loader}, a loader for another firmware.",
                    why="Windows does not start; the disk was changed from BIOS to UEFI or back without it.",
                ),
            },
        ),
        FindingKind(
            code="windows.boot.emulated",
            title="No driver for the disk that it starts from",
            severity=Severity.ERROR,
            what="The driver {name} for {disk} disks is not started at boot, and no PV drivers are at work.",
            why="A {firmware} machine shows an emulated {disk} disk to a guest without PV drivers: Windows stops"
            " with INACCESSIBLE_BOOT_DEVICE.",
            act="Set Start to 0 in {key}, or install the PV drivers.",
            mend=Mend.CHOICE,
            cases={
                "override": Wording(
                    severity=Severity.WARNING,
                    what="The driver {name} for {disk} disks has an override of its start type, and no PV drivers are"
                    " at work.",
                    why="On hardware that it knows already Windows does not start the driver at boot; on a {firmware}"
                    " machine it may then stop with INACCESSIBLE_BOOT_DEVICE.",
                    act="Delete the key {key}\\StartOverride.",
                )
            },
        ),
    )
)


def judge(facts: GuestFacts, profile: Profile) -> Iterator[Finding]:
    """Judge the way from firmware to Windows."""
    del profile
    windows = facts.windows
    if windows is None:
        return
    # An early end or a damaged EFI system partition hides them; both are said elsewhere.
    if not windows.boot and not facts.stopped and not facts.unread:
        yield KINDS["windows.boot.store"].found(root=windows.root, evidence=(windows.place,))
    for store in windows.boot:
        yield from _store(store, windows)
    if read_system(facts) and not (has_drivers(windows.xen) and windows.xen.bound):
        for firmware in firmwares(facts):
            yield from _emulated(windows, firmware)


def _store(store: BootStore, windows: WindowsFacts) -> Iterator[Finding]:
    values: dict[str, Any] = {"root": windows.root, "firmware": store.firmware.upper(), "loader": store.loader}
    evidence = (f"{store.path}: {store.loader or 'no default'}",)
    if not store.manager_present:
        yield KINDS["windows.boot.manager"].found(manager=store.manager, evidence=(store.path,), **values)
    if not store.loader:
        yield KINDS["windows.boot.loader"].found("none", evidence=evidence, **values)
    elif not store.loader.lower().endswith(_SUFFIXES[store.firmware]):
        yield KINDS["windows.boot.loader"].found("firmware", evidence=evidence, **values)
    elif store.loader_present is False:
        yield KINDS["windows.boot.loader"].found(evidence=evidence, **values)


def _emulated(windows: WindowsFacts, firmware: str) -> Iterator[Finding]:
    services = {each.name: each for each in windows.emulated}
    for group in _EMULATED[firmware]:
        there = [services[name] for name in group if name in services]
        if any(each.start == 0 and not each.override for each in there):
            continue
        case = "override" if any(each.start == 0 for each in there) else ""
        key = there[0].key if there else f"SYSTEM\\{windows.control_set}\\Services\\{group[0]}"
        yield KINDS["windows.boot.emulated"].found(
            case,
            name=group[0],
            disk=_DISKS[firmware],
            firmware=firmware.upper(),
            key=key,
            evidence=tuple(map(_started, there)) or (f"{key}: not there",),
        )


def _started(service: Service) -> str:
    override = f", StartOverride 0={service.override}" if service.override is not None else ""
    return f"{start_of(service)}{override}"


CHECK = Check(
    name="windows.boot",
    title="The start of Windows, from its firmware to its disk",
    kinds=tuple(KINDS.values()),
    judge=judge,
)
