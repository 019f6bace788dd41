"""What several checks of Windows guests ask of the facts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.model.profile import Rule

if TYPE_CHECKING:
    from xenimage.model.guest.facts import GuestFacts
    from xenimage.model.guest.xendrivers import Service, XenDrivers
    from xenimage.model.profile import Profile

DEVICE_ID = "xenapi_device_id"
_STARTS = {0: "boot", 1: "system", 2: "automatic", 3: "on demand", 4: "disabled"}


def reads_device_id(profile: Profile) -> bool:
    """Whether the target is Nova's XenAPI driver, which makes machines by image properties and not from templates."""
    return any(rule.name == DEVICE_ID and rule.rule is not Rule.FORBID for rule in profile.properties)


def start_of(service: Service) -> str:
    """The key of *service* and how it is started, as evidence."""
    if service.start is None:
        return f"{service.key}: no Start"
    return f"{service.key}: Start={service.start} ({_STARTS.get(service.start, 'unknown')})"


def has_drivers(xen: XenDrivers) -> bool:
    """Whether there is any PV driver for disks or the bus below it, installed or staged."""
    return any(each.name in ("xenbus", "xenvbd", "xenevtchn", "xevtchn") for each in xen.services) or bool(xen.packages)


def firmwares(facts: GuestFacts) -> tuple[str, ...]:
    """Which firmware starts Windows, as far as disk and boot configuration agree: ``bios``, ``uefi``, both or none."""
    starts = {name for name, there in (("bios", facts.firmware.bios), ("uefi", facts.firmware.uefi)) if there}
    stores = {store.firmware for store in (facts.windows.boot if facts.windows else ())}
    return tuple(sorted(starts & stores or stores or starts))


def read_system(facts: GuestFacts) -> bool:
    """Whether the hive SYSTEM of a Windows was read: without it nothing is known of drivers and services."""
    return facts.windows is not None and bool(facts.windows.control_set)
