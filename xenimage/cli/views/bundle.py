"""A bundle that was made, is planned, was looked at or checked."""

from __future__ import annotations

import dataclasses
import datetime
from typing import TYPE_CHECKING, Any

from xenimage.cli.text import counted, findings_section, section, size_text, table, visible
from xenimage.cli.views.common import (
    VERDICT_COLOURS,
    disk_record,
    disk_section,
    finding_records,
    property_records,
    vhd_record,
)
from xenimage.cli.views.free import free_record, free_section
from xenimage.cli.views.readiness import guest_record, guest_section, property_lines
from xenimage.cli.views.upload import command_lines, upload_section
from xenimage.units import GIB, format_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.cli.text import Style
    from xenimage.model.plan import Layer, Plan
    from xenimage.model.report import BundleFacts, BundleReport, CheckReport, ExtractReport, Member, VhdFacts


def plan_record(plan: Plan) -> dict[str, Any]:
    """Return a plan for programs."""
    return {
        "path": plan.options.output,
        "profile": plan.profile.name,
        "disk_format": plan.profile.disk_format,
        "container_format": plan.profile.container_format,
        "virtual_size": plan.virtual_size,
        "min_disk": plan.min_disk,
        "data_size_max": plan.data_size,
        "size_max": plan.output_size_max,
        "compression": plan.options.compression.value,
        "jobs": plan.jobs,
        "timestamp": plan.timestamp,
        "source": {"path": plan.options.source.path, **disk_record(plan.source)},
        "layers": [_layer_record(layer) for layer in plan.layers],
        "guest": guest_record(plan.guest),
        "properties": property_records(plan.properties),
        "findings": finding_records(plan.findings),
        "free_space": free_record(plan.free),
        "upload_commands": command_lines(plan),
    }


def _layer_record(layer: Layer) -> dict[str, Any]:
    return {
        "name": layer.name,
        "path": layer.path,
        "format": layer.source.format,
        "virtual_size": layer.virtual_size,
        "data_size_max": layer.data_size,
    }


def report_record(report: BundleReport) -> dict[str, Any]:
    """Return a finished bundle for programs: the plan's fields with what came of it."""
    record = plan_record(report.plan)
    del record["data_size_max"], record["size_max"]
    return record | {
        "size": report.receipt.size,
        "md5": report.receipt.md5 or None,
        "sha256": report.receipt.sha256 or None,
        "sha512": report.receipt.sha512 or None,
        "uuid": report.uuid,
        "layers": [
            {**_layer_record(layer), **dataclasses.asdict(made)}
            for layer, made in zip(report.plan.layers, report.layers, strict=True)
        ],
        "vhd_size": report.vhd_size,
        "data_size": report.data_size,
        "zero_size": report.zero_size,
        "ratio": _ratio(report),
        "seconds": round(report.seconds, 3),
        "compressor": report.compressor,
        "verified": report.verified,
    }


def _ratio(report: BundleReport) -> float:
    """Bytes of guest data for each byte of the bundle."""
    return round(report.data_size / report.receipt.size, 2) if report.receipt.size else 0.0


def plan_lines(plan: Plan, style: Style) -> Iterator[str]:
    """Yield a plan for people."""
    yield from disk_section("Source", plan.options.source.path, plan.source, style)
    yield from guest_section(plan.guest, style)
    yield from section(
        "Would write",
        [
            ("bundle", plan.options.output),
            ("for", f"{plan.profile.name} ({plan.profile.title})"),
            ("virtual size", size_text(plan.virtual_size)),
            ("smallest flavor", f"{plan.min_disk} GiB"),
            ("layers", _chain_text(plan, style)),
            ("data", f"at most {size_text(plan.data_size)}"),
            ("file", f"at most {size_text(plan.output_size_max)}"),
            ("compression", f"{plan.options.compression.value}, {_threads(plan.jobs)}"),
            ("timestamp", _moment(plan.timestamp)),
        ],
        style,
    )
    if len(plan.layers) > 1:
        rows = [(each.name, each.path, each.source.format, each.virtual_size, each.data_size) for each in plan.layers]
        yield from table(("layer", "source", "format", "virtual bytes", "data at most"), rows, style, right=(3, 4))
        yield ""
    yield from free_section(plan.free, style)
    yield from property_lines(plan.properties, style)
    yield from findings_section(plan.findings, style)
    yield "Nothing was written (--dry-run)."


def _chain_text(plan: Plan, style: Style) -> str:
    """Name the VHDs from the leaf to the base; nothing for a single one."""
    if len(plan.layers) == 1:
        return ""
    arrow = " → " if style.unicode else " -> "
    return arrow.join(layer.name for layer in plan.layers)


def report_lines(report: BundleReport, style: Style) -> Iterator[str]:
    """Yield a finished bundle for people."""
    plan, receipt = report.plan, report.receipt
    yield from disk_section("Source", plan.options.source.path, plan.source, style)
    yield from guest_section(plan.guest, style)
    yield from section(
        "Bundle",
        [
            ("file", "(standard output)" if receipt.path == "-" else receipt.path),
            ("for", f"{plan.profile.name} ({plan.profile.title})"),
            ("size", f"{size_text(receipt.size)}, {_ratio(report):.2f} : 1"),
            ("virtual size", size_text(plan.virtual_size)),
            ("smallest flavor", f"{plan.min_disk} GiB"),
            ("VHD", f"0.vhd, {size_text(report.layers[0].vhd_size)}, uuid {report.uuid}"),
            ("layers", _chain_text(plan, style)),
            ("data", size_text(report.data_size)),
            ("dropped zeros" if len(plan.layers) == 1 else "left out", size_text(report.zero_size)),
            ("copied from below", _completed_text(report)),
            ("md5", receipt.md5),
            ("sha256", receipt.sha256),
            ("sha512", receipt.sha512),
            ("made with", f"{report.compressor}, {_threads(plan.jobs)}"),
            ("time", f"{report.seconds:.2f} s, {_speed(report)}"),
            ("verified", "read back, checked and compared with the source" if report.verified else ""),
        ],
        style,
    )
    if len(report.layers) > 1:
        yield from _layer_table(report, style)
        yield ""
    yield from free_section(plan.free, style)
    yield from property_lines(plan.properties, style)
    yield from findings_section(plan.findings, style)
    yield from upload_section(plan, style)


def _layer_table(report: BundleReport, style: Style) -> Iterator[str]:
    rows = [
        (made.name, layer.path, layer.source.format, made.data_size, made.partial, made.uuid)
        for layer, made in zip(report.plan.layers, report.layers, strict=True)
    ]
    yield from table(("layer", "source", "format", "data", "partial blocks", "uuid"), rows, style, right=(3, 4))


def _completed_text(report: BundleReport) -> str:
    size = sum(layer.completed_size for layer in report.layers)
    return f"{size_text(size)}, to make blocks whole (--whole-blocks)" if size else ""


def _speed(report: BundleReport) -> str:
    rate = report.data_size / report.seconds if report.seconds > 0 else 0
    return f"{format_size(rate)}/s of guest data"


def _threads(number: int) -> str:
    return f"{number} thread{'' if number == 1 else 's'}"


def _moment(seconds: int) -> str:
    return f"{datetime.datetime.fromtimestamp(seconds, datetime.UTC):%Y-%m-%d %H:%M:%S} UTC"


def facts_record(facts: BundleFacts) -> dict[str, Any]:
    """Return what a bundle holds for programs."""
    return {
        "path": facts.path,
        "size": facts.size,
        "inflated_size": facts.inflated_size,
        "virtual_size": facts.virtual_size,
        "min_disk": facts.min_disk,
        "chain": list(facts.chain),
        "members": [_member_record(member) for member in facts.members],
    }


def _member_record(member: Member) -> dict[str, Any]:
    return {
        "name": member.name,
        "kind": member.kind,
        "size": member.size,
        "mode": f"{member.mode:04o}",
        "owner": member.owner,
        "mtime": member.mtime,
        "vhd": member.vhd and vhd_record(member.vhd),
    }


def facts_lines(facts: BundleFacts, style: Style) -> Iterator[str]:
    """Yield what a bundle holds for people."""
    yield from section(
        "Bundle",
        [
            ("file", facts.path),
            ("size", size_text(facts.size)),
            ("inflated", size_text(facts.inflated_size)),
            ("virtual size", size_text(facts.virtual_size)),
            ("smallest flavor", f"{facts.min_disk} GiB"),
            ("chain", " → ".join(facts.chain) if style.unicode else " -> ".join(facts.chain)),
        ],
        style,
    )
    rows = [
        (each.name, each.kind, each.size, f"{each.mode:04o}", each.owner, _stamp(each.mtime)) for each in facts.members
    ]
    yield from table(("member", "kind", "bytes", "mode", "owner", "modified"), rows, style, right=(2,))
    yield ""
    for member in facts.members:
        if member.vhd is not None:
            yield from _vhd_section(member.name, member.vhd, style)


def _stamp(seconds: int) -> str:
    """Write a moment that a file claims; a number where no calendar has it."""
    try:
        return _moment(seconds)
    except (OverflowError, ValueError, OSError):
        return str(seconds)


def _vhd_section(name: str, vhd: VhdFacts, style: Style) -> Iterator[str]:
    parent = f"{vhd.parent_name} {vhd.parent_uuid}".strip() if vhd.variant == "differencing" else ""
    original = size_text(vhd.original_size) if vhd.original_size != vhd.virtual_size else ""
    return section(
        name,
        [
            ("kind", vhd.variant),
            ("creator", vhd.creator),
            ("uuid", vhd.uuid),
            ("virtual size", size_text(vhd.virtual_size)),
            ("original size", original),
            ("geometry", f"{vhd.geometry} (cylinders/heads/sectors)"),
            ("created", vhd.timestamp),
            ("blocks", f"{vhd.allocated} of {vhd.blocks} stored, {format_size(vhd.block_size)} each"),
            ("batmap", vhd.batmap),
            ("hidden, saved", f"{vhd.hidden}, {vhd.saved}"),
            ("features", f"{vhd.features:#x}"),
            ("parent", parent),
            ("file size", size_text(vhd.file_size)),
        ],
        style,
    )


def extract_record(report: ExtractReport) -> dict[str, Any]:
    """Return the files that were taken out of a bundle for programs."""
    return {
        "path": report.path,
        "directory": report.directory,
        "files": [{"path": each.path, "size": each.size} for each in report.files],
        "skipped": list(report.skipped),
        "seconds": round(report.seconds, 3),
    }


def extract_lines(report: ExtractReport, style: Style) -> Iterator[str]:
    """Yield the files that were taken out of a bundle for people."""
    yield from table(("file", "bytes"), [(each.path, each.size) for each in report.files], style, right=(1,))
    for name in report.skipped:
        yield visible(f"left out: {name}")


def check_record(report: CheckReport) -> dict[str, Any]:
    """Return the result of a check for programs."""
    return {
        "path": report.path,
        "profile": report.profile,
        "verdict": report.verdict.value,
        "findings": finding_records(report.findings),
        "bundle": report.facts and facts_record(report.facts),
    }


def check_lines(report: CheckReport, style: Style) -> Iterator[str]:
    """Yield the result of a check for people: the findings, then the verdict."""
    yield from findings_section(report.findings, style)
    if report.facts is not None:
        flavor = f"a flavor needs {report.facts.min_disk} GiB" if report.facts.virtual_size < 2040 * GIB else ""
        yield f"{size_text(report.facts.virtual_size)} as the guest sees it; {flavor}".rstrip("; ")
    verdict = style.paint(report.verdict.value, VERDICT_COLOURS[report.verdict])
    yield f"{visible(report.path)}: {verdict} for {report.profile} ({counted(report.findings)})"
