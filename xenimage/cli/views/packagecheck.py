"""A package of machines that was judged."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from xenimage.cli.text import counted, findings_section, section, size_text, visible
from xenimage.cli.views.common import VERDICT_COLOURS, finding_records
from xenimage.cli.views.package import package_pairs, proof_record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.cli.text import Style
    from xenimage.model.report import PackageReport, PackageStep


def record(report: PackageReport) -> dict[str, Any]:
    """Return the result of a check for programs."""
    package = report.package
    return {
        "path": package.path,
        "kind": package.kind,
        "version": package.version,
        "target": report.target or None,
        "verdict": report.verdict.value,
        "proof": proof_record(package),
        "machines": [
            {"number": number, "id": each.identifier, "name": each.name}
            for number, each in enumerate(package.machines, 1)
        ],
        "steps": [
            {
                "machine": each.machine,
                "disk": each.number,
                "id": each.identifier,
                "label": each.label,
                "capacity": each.capacity,
                "command": list(each.command),
            }
            for each in report.steps
        ],
        "findings": finding_records(report.findings),
    }


def lines(report: PackageReport, style: Style) -> Iterator[str]:
    """Yield the result of a check for people: the package, the findings, what to run, then the verdict."""
    package = report.package
    yield from section("Package", package_pairs(package), style)
    yield from findings_section(report.findings, style)
    if report.steps:
        yield style.paint("Make images of it with", "bold")
        for step in report.steps:
            yield visible(f"  {_title(step)}")
            yield visible(f"      {shlex.join(step.command)}")
        yield ""
    verdict = style.paint(report.verdict.value, VERDICT_COLOURS[report.verdict])
    target = f" for {report.target}" if report.target else ""
    yield f"{visible(package.path)}: {verdict}{target} ({counted(report.findings)})"


def _title(step: PackageStep) -> str:
    """``disk 1 of web (Hard disk 1), 40 GiB``."""
    label = f" ({step.label})" if step.label else ""
    size = f", {size_text(step.capacity)}" if step.capacity is not None else ""
    return f"disk {step.number} of {step.machine}{label}{size}"
