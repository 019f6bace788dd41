"""Images in a cloud: planned, made, looked at, saved, and their properties."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xenimage.cli.text import counted, findings_section, section, size_text, visible, wrap
from xenimage.cli.views.common import (
    VERDICT_COLOURS,
    disk_section,
    finding_records,
    property_records,
    vhd_record,
)
from xenimage.cli.views.disk import convert_lines, convert_record
from xenimage.cli.views.free import free_record, free_section
from xenimage.cli.views.readiness import guest_record, guest_section, reason_lines
from xenimage.model.image import PROVENANCE, Action
from xenimage.units import format_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.cli.text import Style
    from xenimage.model.image import (
        ImageFacts,
        ImagePlan,
        ImageRecord,
        ImageReport,
        PropertyChange,
        RecordReport,
        SaveReport,
    )

_DONE = {Action.CREATED: "created", Action.SKIPPED: "there already, nothing was uploaded", Action.REPLACED: "replaced"}


def image_record(image: ImageRecord) -> dict[str, Any]:
    """Return what the cloud says of an image for programs."""
    return {
        "id": image.id,
        "name": image.name,
        "status": image.status,
        "disk_format": image.disk_format,
        "container_format": image.container_format,
        "size": image.size,
        "min_disk": image.min_disk,
        "visibility": image.visibility,
        "checksum": image.checksum or None,
        "os_hash_algo": image.hash_algorithm or None,
        "os_hash_value": image.hash_value or None,
        "properties": dict(sorted(image.properties.items())),
    }


def _image_section(title: str, image: ImageRecord, style: Style) -> Iterator[str]:
    return section(
        title,
        [
            ("id", image.id),
            ("name", image.name),
            ("status", image.status),
            ("formats", f"{image.disk_format}, in {image.container_format}"),
            ("size", "" if image.size is None else size_text(image.size)),
            ("min_disk", f"{image.min_disk} GiB"),
            ("visibility", image.visibility),
            ("md5", image.checksum),
            (image.hash_algorithm or "hash", image.hash_value),
        ],
        style,
    )


def plan_record(plan: ImagePlan) -> dict[str, Any]:
    """Return the plan of an image for programs."""
    options = plan.options
    return {
        "name": plan.name,
        "source": options.bundle.source.path,
        "source_sha256": plan.source_sha256 or None,
        "profile": options.bundle.profile,
        "disk_format": plan.disk_format,
        "container_format": plan.container_format,
        "virtual_size": plan.virtual_size,
        "min_disk": plan.min_disk,
        "size_max": plan.plan.output_size_max if plan.plan else None,
        "as_it_is": plan.plan is None,
        "import": options.staged,
        "existing": [each.id for each in plan.existing],
        "guest": guest_record(plan.guest),
        "free_space": free_record(plan.plan.free if plan.plan else None),
        "properties": property_records(plan.properties),
        "findings": finding_records(plan.findings),
    }


def plan_lines(plan: ImagePlan, style: Style) -> Iterator[str]:
    """Yield the plan of an image for people."""
    options = plan.options
    if plan.plan is not None:
        yield from disk_section("Source", options.bundle.source.path, plan.plan.source, style)
    yield from guest_section(plan.guest, style)
    yield from section(
        "Would store",
        [
            ("image", plan.name),
            ("source", f"{options.bundle.source.path}, a bundle, as it is" if plan.plan is None else ""),
            ("for", options.bundle.profile),
            ("formats", f"{plan.disk_format}, in {plan.container_format}"),
            ("virtual size", size_text(plan.virtual_size)),
            ("min_disk", f"{plan.min_disk} GiB"),
            ("size", f"at most {size_text(plan.plan.output_size_max)}" if plan.plan else ""),
            ("by", "stage and import" if options.staged else "upload"),
            ("there already", ", ".join(each.id for each in plan.existing)),
            ("source's sha256", plan.source_sha256),
        ],
        style,
    )
    yield from free_section(plan.plan.free if plan.plan else None, style)
    yield from _property_lines(plan, style)
    yield from findings_section(plan.findings, style)
    yield "Nothing was stored (--dry-run)."


def _property_lines(plan: ImagePlan, style: Style) -> Iterator[str]:
    yield style.paint("Image properties", "bold")
    for each in plan.properties:
        yield visible(f"  {each.name}={each.value}")
        if each.name not in PROVENANCE:
            yield from reason_lines(each, style)
    yield ""


def report_record(report: ImageReport) -> dict[str, Any]:
    """Return an image that was made for programs."""
    plan, bundle = report.plan, report.bundle
    return {
        "action": report.action.value,
        "image": image_record(report.image),
        "source": plan.options.bundle.source.path,
        "source_sha256": plan.source_sha256 or None,
        "profile": plan.options.bundle.profile,
        "virtual_size": plan.virtual_size,
        "sent": report.sent,
        "md5": report.md5 or None,
        "sha512": report.sha512 or None,
        "replaced": list(report.replaced),
        "attempts": report.attempts,
        "seconds": round(report.seconds, 3),
        "uuid": bundle.uuid if bundle else None,
        "data_size": bundle.data_size if bundle else None,
        "zero_size": bundle.zero_size if bundle else None,
        "compressor": bundle.compressor if bundle else None,
        "guest": guest_record(plan.guest),
        "free_space": free_record(plan.plan.free if plan.plan else None),
        "properties": property_records(plan.properties),
        "findings": finding_records(plan.findings),
    }


def report_lines(report: ImageReport, style: Style) -> Iterator[str]:
    """Yield an image that was made for people."""
    plan = report.plan
    if plan.plan is not None:
        yield from disk_section("Source", plan.options.bundle.source.path, plan.plan.source, style)
    yield from guest_section(plan.guest, style)
    yield from free_section(plan.plan.free if plan.plan else None, style)
    yield from _image_section("Image", report.image, style)
    rate = report.sent / report.seconds if report.seconds > 0 else 0
    if report.action is not Action.SKIPPED:
        yield from section(
            "Upload",
            [
                ("sent", f"{size_text(report.sent)}; the cloud has the same size and digests"),
                ("data", size_text(report.bundle.data_size) if report.bundle else ""),
                ("dropped zeros", size_text(report.bundle.zero_size) if report.bundle else ""),
                ("time", f"{report.seconds:.2f} s, {format_size(rate)}/s"),
                ("attempts", report.attempts if report.attempts > 1 else ""),
                ("deleted for it", ", ".join(report.replaced)),
            ],
            style,
        )
        yield from _property_lines(plan, style)
    yield from findings_section(plan.findings, style)
    yield f"image {report.image.id}: {_DONE[report.action]}"


def facts_record(facts: ImageFacts) -> dict[str, Any]:
    """Return what an image holds for programs."""
    return {
        "image": image_record(facts.image),
        "content": facts.content,
        "member": facts.member or None,
        "virtual_size": facts.virtual_size,
        "needs_min_disk": facts.min_disk,
        "vhd": facts.vhd and vhd_record(facts.vhd),
        "downloaded": facts.read,
    }


def facts_lines(facts: ImageFacts, style: Style) -> Iterator[str]:
    """Yield what an image holds for people."""
    yield from _image_section("Image", facts.image, style)
    vhd = facts.vhd
    yield from section(
        "Content",
        [
            ("kind", facts.content),
            ("virtual size", size_text(facts.virtual_size)),
            ("smallest flavor", f"{facts.min_disk} GiB"),
            ("first VHD", f"{facts.member}, {vhd.variant}, {vhd.creator}, uuid {vhd.uuid}" if vhd else facts.member),
            ("its parent", f"{vhd.parent_name} {vhd.parent_uuid}".strip() if vhd else ""),
            ("its size", size_text(vhd.file_size) if vhd else ""),
            ("downloaded", f"{format_size(facts.read)}, its head"),
        ],
        style,
    )
    if facts.image.properties:
        yield style.paint("Image properties", "bold")
        for name, value in sorted(facts.image.properties.items()):
            yield visible(f"  {name}={value}")


def save_plan_lines(facts: ImageFacts, output: str, kind: str, style: Style) -> Iterator[str]:
    """Yield what would be saved for people."""
    yield from facts_lines(facts, style)
    yield visible(f"Would write {output} ({kind}). Nothing was written (--dry-run).")


def save_record(report: SaveReport) -> dict[str, Any]:
    """Return an image that was saved for programs."""
    source = f"image {report.image.id}"
    return {
        "image": image_record(report.image),
        "path": report.path,
        "format": report.format,
        "size": report.size,
        "downloaded": report.downloaded,
        "proved": report.proved,
        "seconds": round(report.seconds, 3),
        "conversion": report.conversion and convert_record(source, report.conversion),
    }


def save_lines(report: SaveReport, style: Style) -> Iterator[str]:
    """Yield an image that was saved for people."""
    if report.conversion is not None:
        yield from convert_lines(f"image {report.image.id}", report.conversion, style)
    yield from section(
        "Download",
        [
            ("image", f"{report.image.id} {report.image.name}"),
            ("file", report.path if report.conversion is None else ""),
            ("came", size_text(report.downloaded)),
            (
                "compared",
                "it is what the cloud recorded" if report.proved else "the cloud recorded no digest to compare",
            ),
            ("time", f"{report.seconds:.2f} s"),
        ],
        style,
    )


def properties_record(report: RecordReport) -> dict[str, Any]:
    """Return what is wrong with a record for programs."""
    return {
        "image": image_record(report.image),
        "profile": report.profile,
        "verdict": report.verdict.value,
        "virtual_size": report.virtual_size,
        "fixed": report.fixed,
        "changes": [
            {"name": each.name, "before": each.before, "after": each.after, "reason": each.reason}
            for each in report.changes
        ],
        "findings": finding_records(report.findings),
    }


def properties_lines(report: RecordReport, style: Style) -> Iterator[str]:
    """Yield what is wrong with a record for people: the changes, then what is left, then the verdict."""
    if report.changes:
        yield style.paint("Changed" if report.fixed else "Would change (--fix)", "bold")
        for each in report.changes:
            yield visible(f"  {_change(each)}")
            yield from wrap(each.reason, style, "      ")
        yield ""
    yield from findings_section(report.findings, style)
    verdict = style.paint(report.verdict.value, VERDICT_COLOURS[report.verdict])
    yield f"image {visible(report.image.id)}: {verdict} for {report.profile} ({counted(report.findings)})"


def _change(change: PropertyChange) -> str:
    if change.after is None:
        return f"{change.name}={change.before} goes away"
    return f"{change.name}={change.after}" + ("" if change.before is None else f" (was {change.before})")
