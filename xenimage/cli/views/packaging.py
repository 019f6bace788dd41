"""Packages that were written, or would be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xenimage.cli.text import findings_section, section, size_text, table, visible
from xenimage.cli.views import bundle as bundle_views
from xenimage.cli.views.common import finding_records
from xenimage.units import format_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.cli.text import Style
    from xenimage.model.machine import Machine
    from xenimage.model.packaging import PackagedDiskReport, PackagingReport, SplitReport

_ROWS = 16
"""lost ranges of a disk that are listed for people"""


def record(report: PackagingReport) -> dict[str, Any]:
    """Return a package that was written, for programs."""
    return {
        "sources": list(report.sources),
        "path": report.path,
        "kind": report.kind,
        "written": report.written,
        "machines": [_machine_record(each) for each in report.machines],
        "disks": [_disk_record(each) for each in report.disks],
        "files": [{"path": each.path, "size": each.size, "digest": each.digest or None} for each in report.files],
        "details": dict(report.details),
        "lost_size": report.lost_size,
        "lost_list": report.lost_list or None,
        "bundles": [bundle_views.report_record(each) for each in report.bundles],
        "seconds": round(report.seconds, 3),
        "findings": finding_records(report.findings),
    }


def _machine_record(machine: Machine) -> dict[str, Any]:
    return {
        "id": machine.identifier,
        "name": machine.name,
        "cpus": machine.cpus,
        "memory": machine.memory,
        "firmware": machine.firmware or None,
        "disks": [each.identifier for each in machine.disks],
        "nics": [{"network": each.network, "mac": each.mac or None, "model": each.model} for each in machine.nics],
    }


def _disk_record(disk: PackagedDiskReport) -> dict[str, Any]:
    return {
        "number": disk.number,
        "machine": disk.machine,
        "id": disk.identifier,
        "label": disk.label,
        "state": disk.state.value,
        "source": disk.source,
        "virtual_size": disk.virtual_size,
        "why": disk.why or None,
        "lost_size": disk.lost_size,
        "lost": [{"offset": each.offset, "length": each.length, "why": each.why} for each in disk.lost],
    }


def lines(report: PackagingReport, style: Style) -> Iterator[str]:
    """Yield a package that was written, for people."""
    for machine in report.machines:
        yield from _machine_lines(machine, style)
    yield from _disk_lines(report, style)
    pairs: list[tuple[str, object]] = [("output", report.path), ("kind", report.kind), *report.details]
    if report.written:
        pairs.append(("lost ranges", report.lost_list))
        pairs.append(("time", f"{report.seconds:.2f} s"))
    yield from section("Written" if report.written else "Would write", pairs, style)
    if report.files:
        yield from table(
            ("bytes", "file"), [(each.size, each.path) for each in report.files], style,
            right=(0,),
        )  # fmt: skip
        yield ""
    yield from findings_section(report.findings, style)
    for bundle in report.bundles:
        yield from bundle_views.report_lines(bundle, style)
    if not report.written:
        yield "Nothing was written (--dry-run)."


def _machine_lines(machine: Machine, style: Style) -> Iterator[str]:
    networks = ", ".join(each.network for each in machine.nics)
    yield from section(
        "Machine",
        [
            ("name", machine.name),
            ("processors", machine.cpus),
            ("memory", size_text(machine.memory) if machine.memory else ""),
            ("firmware", machine.firmware),
            ("networks", networks),
        ],
        style,
    )


def _disk_lines(report: PackagingReport, style: Style) -> Iterator[str]:
    if not report.disks:
        return
    yield style.paint("Disks", "bold")
    rows = [
        (each.number, each.label or each.identifier, _fate(each), _size(each), each.why or each.source)
        for each in report.disks
    ]
    yield from table(("number", "disk", "fate", "size", "from, or why not"), rows, style, right=(0, 3))
    yield ""
    for disk in report.disks:
        yield from _lost_lines(disk, style)


def _fate(disk: PackagedDiskReport) -> str:
    return f"{disk.state.value} in part" if disk.lost else disk.state.value


def _size(disk: PackagedDiskReport) -> str:
    return format_size(disk.virtual_size) if disk.virtual_size else "unknown"


def _lost_lines(disk: PackagedDiskReport, style: Style) -> Iterator[str]:
    if not disk.lost:
        return
    yield style.paint(f"Lost of disk {disk.number}: {size_text(disk.lost_size)}", "error")
    shown = disk.lost[:_ROWS]
    rows = [(f"{each.offset:#x}", f"{each.length:#x}", format_size(each.length), each.why) for each in shown]
    yield from table(("offset", "length", "size", "why"), rows, style, right=(0, 1, 2))
    if len(disk.lost) > _ROWS:
        yield f"  {len(disk.lost) - _ROWS} more of {len(disk.lost)} ranges; -f json has all of them"
    yield ""


def split_record(report: SplitReport) -> dict[str, Any]:
    """Return a package that was taken apart, for programs."""
    return {
        "source": report.source,
        "directory": report.directory,
        "packages": [record(each) for each in report.packages],
    }


def split_lines(report: SplitReport, style: Style) -> Iterator[str]:
    """Yield a package that was taken apart, for people."""
    for package in report.packages:
        yield from lines(package, style)
    count = len(report.packages)
    packages = "1 package" if count == 1 else f"{count} packages"
    written = "in" if any(each.written for each in report.packages) else "would be in"
    yield f"{visible(report.source)}: {packages} {written} {visible(report.directory)}"
