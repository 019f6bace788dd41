"""On which platform device the PV drivers of a Windows guest are active, and whether the target can show it.

Source: xcp-ng/win-xenbus, src/xenbus/fdo.c: FdoSetActive; xapi-project/xen-api, xenopsd/xc/device.ml: xen_platform;
nova, virt/xenapi/vm_utils.py: get_vm_device_id.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from xenimage.checks.guest.windows_common import DEVICE_ID, firmwares, has_drivers, read_system, reads_device_id
from xenimage.model.check import Check, Suggestion
from xenimage.model.finding import Severity
from xenimage.model.kind import FindingKind, Mend, Wording, by_code

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.model.finding import Finding
    from xenimage.model.guest.facts import GuestFacts
    from xenimage.model.guest.xendrivers import ActiveDevice, XenDrivers
    from xenimage.model.profile import Profile

_PLAIN = ("0001", "0002")
"""platform devices that a machine can have by its device_id alone"""
_FORM = re.compile(r"SUBSYS_([0-9A-F]{8})&REV_([0-9A-F]{2})", re.IGNORECASE)

KINDS = by_code(
    (
        FindingKind(
            code="windows.device-id.vendor",
            title="Drivers bound to the vendor device",
            severity=Severity.WARNING,
            what="The PV drivers are active on the vendor device {device}, which a machine only has beside 0002.",
            why="Without it they find no disk: Windows stops with INACCESSIBLE_BOOT_DEVICE.",
            act="Give the VM device_id 0002 and has_vendor_device=true; or remove that device from a VM with this disk"
            " (xe vm-param-set has-vendor-device=false), install the drivers there anew, and copy the disk again.",
            mend=Mend.CHOICE,
            cases={
                "unset": Wording(
                    severity=Severity.ERROR,
                    why="Nova has no property for it, so the machine will not have it, and Windows stops with"
                    " INACCESSIBLE_BOOT_DEVICE.",
                    act="Take that device from a VM with this disk (xe vm-param-set has-vendor-device=false), install"
                    " the drivers there anew, so that they bind to 0002 or 0001, and copy the disk again.",
                )
            },
        ),
        FindingKind(
            code="windows.device-id.trap",
            title="Device id that newer hosts refuse",
            severity=Severity.WARNING,
            what="The PV drivers need the platform device 0002, and {profile} sets no xenapi_device_id.",
            why="Without the property Windows stops with INACCESSIBLE_BOOT_DEVICE, as the machine has the device 0001;"
            " with it no server starts on XenServer 7 and later, whose version Nova's driver takes for too old.",
            act="If all hosts run XenServer 6.1 to 6.5, choose the profile nova-xenapi-6, which sets it. If not, let"
            " the drivers bind to 0001: install them in a VM with platform:device_id=0001, and copy the disk again.",
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="windows.device-id.firmware",
            title="Drivers bound under another firmware",
            severity=Severity.WARNING,
            what="The PV drivers are active on {id}, which a machine with {firmware} does not show.",
            why="The drivers compare the whole id: they may find no disk until they are bound anew. It was so made that"
            " BIOS and UEFI machines differ in it.",
            act="Start the disk once in a VM with {firmware} and the emulated disk, let Windows bind the drivers anew,"
            " and copy the disk again.",
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="windows.device-id.unknown",
            title="Active device of an unknown form",
            severity=Severity.WARNING,
            what="The PV drivers are active on {id}, which is no id of a Xen device.",
            why="Which platform device a machine must have for them is not known; without it they find no disk.",
            act="Look at the key in the evidence; deleting the value makes the drivers choose at the next start.",
            mend=Mend.CHOICE,
        ),
    )
)


def judge(facts: GuestFacts, profile: Profile) -> Iterator[Finding]:
    """Hold the active device against what the target's machines show."""
    xen = _chosen(facts)
    if xen is None or xen.active is None:
        return
    active = xen.active
    evidence = (active.where,)
    nova = reads_device_id(profile)
    if not active.device:
        yield KINDS["windows.device-id.unknown"].found(id=active.id, evidence=evidence)
    elif active.device not in _PLAIN:
        yield KINDS["windows.device-id.vendor"].found("unset" if nova else "", device=active.device, evidence=evidence)
    elif active.device == "0002" and nova and not profile.takes_device_id:
        yield KINDS["windows.device-id.trap"].found(profile=profile.name, evidence=evidence)
    names = firmwares(facts)
    if names and not any(_fits(active, each) for each in names):
        firmware = " or ".join({"bios": "a BIOS", "uefi": "UEFI"}[each] for each in names)
        yield KINDS["windows.device-id.firmware"].found(id=active.id, firmware=firmware, evidence=evidence)


def _chosen(facts: GuestFacts) -> XenDrivers | None:
    """The drivers, where a device id matters to them: not to the oldest, nor to those that take any device."""
    if facts.windows is None or not read_system(facts) or facts.windows.xen.generation == "legacy":
        return None
    return None if facts.windows.xen.precedence else facts.windows.xen


def _fits(active: ActiveDevice, firmware: str) -> bool:
    """Whether a machine with that firmware shows the device by the very id; what says too little fits."""
    match = _FORM.search(active.id)
    if not match or not active.stored or active.device not in _PLAIN:
        return True
    found = (match[1].upper(), match[2])
    # A device_id that is set makes a BIOS machine's revision 2; QEMU's own subsystem and revision are 0001 and 1.
    unset = firmware == "uefi" or active.device == "0001"
    return (firmware == "bios" and found == (f"{active.device}5853", "02")) or (unset and found == ("00015853", "01"))


def suggest(facts: GuestFacts, profile: Profile) -> Iterator[Suggestion]:
    """Say which device_id the drivers need. Whether the target may be given one is the profile's to say."""
    del profile
    windows = facts.windows
    if windows is None or not read_system(facts) or not has_drivers(windows.xen):
        return
    xen = windows.xen
    if xen.generation == "legacy":
        legacy = next(each for each in xen.services if each.name != "xenvbd")
        yield _id("", "Drivers of XenServer 6.0.2 and older know the platform device 0001 alone.", legacy.key, "1")
    elif xen.precedence:
        yield _id(
            "2", "The PV drivers take either device; 0002 is what Windows templates have.", xen.precedence_key, "1"
        )
    elif xen.active is None:
        seen = (*(each.key or each.name for each in xen.packages), *(each.key for each in xen.services))
        where = seen[0]
        yield _id(
            "2", "The PV drivers will bind to whatever they find; 0002 is what Windows templates have.", where, "1"
        )
    elif xen.active.device == "0001":
        yield _oldest(facts, xen.active)
    elif xen.active.device:
        reason = "The PV drivers are bound to the platform device 0002, and find no disk without it."
        if xen.active.device != "0002":
            reason = "The vendor device that the PV drivers are bound to goes with the platform device 0002."
        yield _id("2", reason, xen.active.where)


def _oldest(facts: GuestFacts, active: ActiveDevice) -> Suggestion:
    """0001 is what a machine has by itself; a BIOS machine that is told so shows another revision."""
    if firmwares(facts) == ("bios",) and active.stored and active.id.upper().endswith("REV_01"):
        reason = "The PV drivers are bound to the platform device of a machine without a device id."
        return _id("", reason, active.where, "1")
    return _id("1", "The PV drivers are bound to the platform device 0001.", active.where)


def _id(value: str, reason: str, evidence: str, *also: str) -> Suggestion:
    return Suggestion(name=DEVICE_ID, value=value, reason=reason, evidence=evidence, also=also)


CHECK = Check(
    name="windows.device-id",
    title="The platform device that Windows' PV drivers are bound to",
    kinds=tuple(KINDS.values()),
    judge=judge,
)
