"""A guest that was judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xenimage.cli.text import counted, findings_section, section, size_text, visible, wrap
from xenimage.cli.views.common import VERDICT_COLOURS, finding_records, property_records

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from xenimage.cli.text import Style
    from xenimage.model.check import Readiness
    from xenimage.model.guest.facts import GuestFacts
    from xenimage.model.plan import Property
    from xenimage.model.report import GuestReport


def system_pairs(facts: GuestFacts) -> list[tuple[str, str]]:
    """Return what the guest is in a few words: names and values, which may be empty."""
    name, architecture, place = _system(facts)
    return [
        ("System", name or "none that is known"),
        ("Architecture", architecture),
        ("Found on", place),
        ("Starts with", " or ".join(_firmware(facts))),
        ("Other systems", ", ".join(facts.systems[1:])),
    ]


def _system(facts: GuestFacts) -> tuple[str, str, str]:
    """Name, architecture and place of the system that was judged; empty where nothing is known of it."""
    if facts.windows is not None:
        version = facts.windows.version
        edition = f"{version.edition}, " if version.edition else ""
        name = f"{version.product or 'Windows'} ({edition}build {version.build})" if version.build else "Windows"
        return name, facts.windows.architecture, facts.windows.place
    if facts.linux is not None:
        known = facts.linux.distribution
        named = known.name or known.id or "Linux"
        name = named if not known.version or known.version in named else f"{named} {known.version}"
        return name, facts.linux.architecture, facts.linux.place
    return "", "", ""


def _firmware(facts: GuestFacts) -> list[str]:
    return [name for name, there in (("BIOS", facts.firmware.bios), ("UEFI", facts.firmware.uefi)) if there]


def record(report: GuestReport) -> dict[str, Any]:
    """Return a guest that was judged for programs."""
    return {
        "profile": report.profile.name,
        "verdict": report.verdict.value,
        **facts_record(report.facts),
        "min_disk": report.min_disk,
        "disks": [{"path": each.path, "virtual_size": each.size, "data_size": each.data} for each in report.usage],
        "properties": property_records(report.properties),
        "findings": finding_records(report.findings),
    }


def facts_record(facts: GuestFacts) -> dict[str, Any]:
    """Return what was recognised for programs, and what was not seen."""
    name, architecture, place = _system(facts)
    return {
        "system": name or None,
        "architecture": architecture or None,
        "place": place or None,
        "firmware": [each.lower() for each in _firmware(facts)],
        "systems": list(facts.systems),
        "unread": [{"what": each.what, "why": each.why} for each in facts.unread],
        "stopped": facts.stopped or None,
    }


def guest_record(guest: Readiness | None) -> dict[str, Any] | None:
    """Return what is known of the guest of a bundle; None where nobody looked."""
    return facts_record(guest.facts) if guest else None


def guest_section(guest: Readiness | None, style: Style) -> Iterator[str]:
    """Yield what the guest of a bundle is for people; nothing where nobody looked."""
    if guest is not None:
        yield from section("Guest", [(name.lower(), value) for name, value in system_pairs(guest.facts)], style)


def lines(report: GuestReport, style: Style) -> Iterator[str]:
    """Yield a guest that was judged for people: what it is, its properties and findings, then the verdict."""
    disks = [("disk", f"{each.path}, {size_text(each.size)}") for each in report.usage]
    flavor = [("smallest flavor", f"{report.min_disk} GiB")]
    systems = [(name.lower(), value) for name, value in system_pairs(report.facts)]
    yield from section("Guest", [*disks, *systems, *flavor], style)
    yield from property_lines(report.properties, style)
    yield from findings_section(report.findings, style)
    verdict = style.paint(report.verdict.value, VERDICT_COLOURS[report.verdict])
    name = visible(report.usage[0].path) if report.usage else "guest"
    yield f"{name}: {verdict} for {report.profile.name} ({counted(report.findings)})"


def property_lines(properties: Sequence[Property], style: Style) -> Iterator[str]:
    """Yield image properties, each with its reason and where it was seen."""
    if not properties:
        return
    yield style.paint("Image properties", "bold")
    for each in properties:
        yield visible(f"  {each.name}={each.value}")
        yield from reason_lines(each, style)
    yield ""


def reason_lines(each: Property, style: Style) -> Iterator[str]:
    """Yield why an image property has its value, and where that was seen."""
    yield from wrap(each.reason, style, "      ")
    if each.evidence:
        yield from wrap(each.evidence, style, " " * 12, "      seen: ")
