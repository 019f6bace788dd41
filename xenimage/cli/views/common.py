"""Records that several results share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xenimage.cli.text import section, size_text
from xenimage.model.report import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from xenimage.cli.text import Style
    from xenimage.model.disk import DiskFacts
    from xenimage.model.finding import Finding
    from xenimage.model.plan import Property
    from xenimage.model.report import VhdFacts


VERDICT_COLOURS = {Verdict.SOUND: "good", Verdict.USABLE: "warning", Verdict.NOT_READY: "error"}


def vhd_record(vhd: VhdFacts) -> dict[str, Any]:
    """Return what a VHD says of itself for programs."""
    return {name: getattr(vhd, name) for name in vhd.__dataclass_fields__}


def finding_record(finding: Finding) -> dict[str, Any]:
    """Return a finding for programs; the offset is a number of bytes."""
    return {
        "code": finding.code,
        "severity": finding.severity.value,
        "where": finding.where,
        "offset": finding.offset,
        "what": finding.what,
        "why": finding.why,
        "act": finding.act,
        "evidence": list(finding.evidence),
    }


def finding_records(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Return findings for programs."""
    return [finding_record(each) for each in findings]


def property_records(properties: Sequence[Property]) -> list[dict[str, str]]:
    """Return image properties for programs."""
    return [
        {"name": each.name, "value": each.value, "reason": each.reason, "evidence": each.evidence}
        for each in properties
    ]


def disk_record(facts: DiskFacts) -> dict[str, Any]:
    """Return what is known of a disk for programs."""
    parent = facts.parent
    return {
        "format": facts.format,
        "variant": facts.variant,
        "virtual_size": facts.virtual_size,
        "stored_size": facts.stored_size,
        "granularity": facts.granularity,
        "compressed": facts.compressed,
        "parent": parent and {"name": parent.name, "identity": parent.identity, "format": parent.format},
        "details": dict(facts.details),
    }


def disk_section(title: str, path: str, facts: DiskFacts, style: Style) -> Iterator[str]:
    """Yield what is known of a disk for people."""
    parent = facts.parent
    kind = f"{facts.format} {facts.variant}".strip()
    pairs: list[tuple[str, object]] = [
        ("file", path),
        ("format", kind),
        ("virtual size", size_text(facts.virtual_size)),
        ("stored", size_text(facts.stored_size)),
    ]
    if parent is not None:
        described = ", ".join(part for part in (parent.format, parent.identity) if part)
        pairs.append(("parent", f"{parent.name} ({described})" if described else parent.name))
    return section(title, [*pairs, *facts.details], style)
