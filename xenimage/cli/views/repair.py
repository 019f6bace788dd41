"""What a repair found, did, and could not save."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xenimage.cli.text import findings_section, section, size_text, table, visible, wrap
from xenimage.cli.views.common import finding_records
from xenimage.units import format_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from xenimage.cli.text import Style
    from xenimage.model.report import BundleRepairReport, LostRange, Mending, RebaseReport, RepairReport

_ROWS = 16
"""lost ranges that are listed for people"""


def repair_record(report: RepairReport) -> dict[str, Any]:
    """Return a repair for programs."""
    return {
        "source": report.source,
        "path": report.path,
        "written": report.written,
        "in_place": report.in_place,
        "backup": report.backup or None,
        "variant": report.variant,
        "uuid": report.uuid or None,
        "virtual_size": report.virtual_size,
        "data_size": report.data_size,
        "output_size": report.output_size,
        "seconds": round(report.seconds, 3),
        "findings_before": finding_records(report.before),
        "mendings": _mending_records(report.mendings),
        "notes": list(report.notes),
        "lost_size": report.lost_size,
        "lost": _lost_records(report.lost),
        "findings": finding_records(report.after),
    }


def _mending_records(mendings: Sequence[Mending]) -> list[dict[str, Any]]:
    return [{"code": each.code, "done": each.done, "mended": each.mended} for each in mendings]


def _lost_records(lost: Sequence[LostRange]) -> list[dict[str, Any]]:
    return [{"offset": each.offset, "length": each.length, "why": each.why} for each in lost]


def repair_lines(report: RepairReport, style: Style) -> Iterator[str]:
    """Yield a repair for people: what was wrong, what was done about it, what is lost, what remains."""
    yield from findings_section(report.before, style)
    yield from _mending_lines(report.mendings, style)
    yield from _note_lines(report.notes, style)
    yield from _lost_lines(report.lost, style)
    left = report.virtual_size - report.lost_size
    yield from section(
        "Repaired disk" if report.written else "Would be",
        [
            ("file", report.path),
            ("kind", report.variant),
            ("uuid", report.uuid or "made from the content"),
            ("virtual size", size_text(report.virtual_size)),
            ("data", size_text(report.data_size) if not report.in_place else ""),
            ("file size", size_text(report.output_size) if report.output_size else ""),
            ("sound", size_text(left) if report.lost else ""),
            ("replaced bytes", report.backup),
            ("time", f"{report.seconds:.2f} s" if report.written else ""),
        ],
        style,
    )
    if report.written:
        yield from findings_section(report.after, style)
        if report.backup:
            yield visible(f"To undo: xenimage disk repair {report.path} --undo {report.backup}")
    elif report.in_place and all(not each.mended for each in report.mendings):
        yield "Nothing is to be mended in place; nothing was written."
    else:
        yield "Nothing was written (--dry-run)."


def _mending_lines(mendings: Sequence[Mending], style: Style) -> Iterator[str]:
    if not mendings:
        return
    rows = [(each.code, "mended" if each.mended else "left", each.done) for each in mendings]
    yield from table(("finding", "", "what is done"), rows, style)
    yield ""


def _note_lines(notes: Sequence[str], style: Style) -> Iterator[str]:
    if not notes:
        return
    yield style.paint("Decided", "bold")
    for each in notes:
        yield from wrap(f"{each[:1].upper()}{each[1:]}.", style, "    ", "  - ")
    yield ""


def _lost_lines(lost: Sequence[LostRange], style: Style, title: str = "Lost or in doubt") -> Iterator[str]:
    if not lost:
        return
    yield style.paint(f"{title}: {size_text(sum(each.length for each in lost))}", "error")
    rows = [(f"{each.offset:#x}", f"{each.length:#x}", format_size(each.length), each.why) for each in lost[:_ROWS]]
    yield from table(("offset", "length", "size", "why"), rows, style, right=(0, 1, 2))
    if len(lost) > _ROWS:
        yield f"  {len(lost) - _ROWS} more of {len(lost)} ranges; -f json has all of them"
    yield ""


def undo_record(path: str, backup: str, size: int) -> dict[str, Any]:
    """Return an undone repair for programs."""
    return {"path": path, "backup": backup, "size": size}


def undo_lines(path: str, backup: str, style: Style) -> Iterator[str]:
    """Yield an undone repair for people."""
    yield f"{style.paint('Undone', 'good')}: {visible(path)} is as it was before the repair; {visible(backup)} is kept."


def rebase_record(report: RebaseReport) -> dict[str, Any]:
    """Return a new link for programs."""
    return {
        "path": report.path,
        "parent": report.parent,
        "stored_path": report.stored_path,
        "uuid": report.uuid or None,
        "old_uuid": report.old_uuid or None,
        "old_name": report.old_name,
        "proven": report.proven,
        "locators_created": report.created,
        "written": report.written,
        "findings": finding_records(report.findings),
    }


def rebase_lines(report: RebaseReport, style: Style) -> Iterator[str]:
    """Yield a new link for people."""
    yield from section(
        "Linked" if report.written else "Would be linked",
        [
            ("child", report.path),
            ("parent", f"{report.parent}, {report.uuid or 'raw'}"),
            ("as", f"{report.stored_path}, {'in new locators' if report.created else 'in its locators'}"),
            ("before", f"{report.old_name or 'no name'}, {report.old_uuid or 'raw'}"),
            ("proof", "the uuid that the child names" if report.proven else "none: forced"),
        ],
        style,
    )
    yield from findings_section(report.findings, style)
    if not report.written:
        yield "Nothing was written (--dry-run)."


def bundle_record(report: BundleRepairReport) -> dict[str, Any]:
    """Return a repaired bundle for programs."""
    plan, made = report.plan, report.made
    return {
        "source": plan.options.source.path,
        "path": plan.options.output,
        "profile": plan.profile.name,
        "written": made is not None,
        "verified": made is not None and made.verified,
        "virtual_size": plan.virtual_size,
        "min_disk": plan.min_disk,
        "size": made and made.receipt.size,
        "md5": made and (made.receipt.md5 or None),
        "sha256": made and (made.receipt.sha256 or None),
        "sha512": made and (made.receipt.sha512 or None),
        "members": [
            {
                "old_name": each.old_name,
                "name": each.name,
                "uuid": made and made.layers[number].uuid,
                "notes": list(each.notes),
                "lost": _lost_records(each.lost),
            }
            for number, each in enumerate(report.members)
        ],
        "dropped": list(report.dropped),
        "findings_before": finding_records(report.before),
        "mendings": _mending_records(report.mendings),
        "notes": list(report.notes),
        "lost_size": report.lost_size,
        "findings": finding_records(plan.findings),
    }


def bundle_lines(report: BundleRepairReport, style: Style) -> Iterator[str]:
    """Yield a repaired bundle for people."""
    plan, made = report.plan, report.made
    yield from findings_section(report.before, style)
    yield from _mending_lines(report.mendings, style)
    yield from _note_lines((*report.notes, *(note for each in report.members for note in each.notes)), style)
    for each in report.members:
        yield from _lost_lines(each.lost, style, f"{each.old_name}, lost or in doubt")
    yield from section(
        "Repaired bundle" if made else "Would be",
        [
            ("file", plan.options.output),
            ("for", f"{plan.profile.name} ({plan.profile.title})"),
            ("virtual size", size_text(plan.virtual_size)),
            ("size", size_text(made.receipt.size) if made else f"at most {size_text(plan.output_size_max)}"),
            ("members", ", ".join(f"{each.old_name} as {each.name}" for each in report.members)),
            ("left out", ", ".join(report.dropped)),
            ("md5", made.receipt.md5 if made else ""),
            ("sha256", made.receipt.sha256 if made else ""),
            ("sha512", made.receipt.sha512 if made else ""),
            ("time", f"{made.seconds:.2f} s" if made else ""),
            ("verified", "read back, checked and compared" if made and made.verified else ""),
        ],
        style,
    )
    yield from findings_section(plan.findings, style)
    if made is None:
        yield "Nothing was written (--dry-run)."
