"""Disks that were checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xenimage.cli.text import counted, findings_section, visible
from xenimage.cli.views.common import VERDICT_COLOURS, finding_records, vhd_record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.cli.text import Style
    from xenimage.model.report import DisksReport


def record(report: DisksReport) -> dict[str, Any]:
    """Return the result of a check for programs."""
    return {
        "profile": report.profile,
        "verdict": report.verdict.value,
        "disks": [
            {
                "path": disk.path,
                "format": disk.format,
                "verdict": disk.verdict.value,
                "parent": disk.parent,
                "vhd": disk.vhd and vhd_record(disk.vhd),
            }
            for disk in report.disks
        ],
        "findings": finding_records(report.findings),
    }


def lines(report: DisksReport, style: Style) -> Iterator[str]:
    """Yield the result of a check for people: the findings, then a verdict for each disk."""
    yield from findings_section(report.findings, style)
    for disk in report.disks:
        verdict = style.paint(disk.verdict.value, VERDICT_COLOURS[disk.verdict])
        parent = f", over {visible(disk.parent)}" if disk.parent else ""
        yield f"{visible(disk.path)}: {verdict} for {report.profile} ({counted(disk.findings)}{parent})"
