"""A disk, its map, its conversion, and the comparison of two."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from xenimage.cli.text import findings_section, section, size_text, table, visible
from xenimage.cli.views.common import disk_record, disk_section, finding_records
from xenimage.cli.views.free import free_record, free_section
from xenimage.model.extent import Kind
from xenimage.model.report import LayersReport
from xenimage.units import format_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from xenimage.cli.text import Style
    from xenimage.model.disk import DiskFacts
    from xenimage.model.extent import Extent
    from xenimage.model.plan import ConvertPlan, GuestNeed
    from xenimage.model.report import Comparison, ConvertReport, DiskMap, LayersPlan

CELLS = 64
"""of the picture of a map"""
ROWS_MAX = 40
"""extents that are listed for people unless they ask for more"""


def show_record(path: str, facts: DiskFacts) -> dict[str, Any]:
    """Return a disk for programs."""
    return {"path": path, **disk_record(facts), "findings": finding_records(facts.findings)}


def show_lines(path: str, facts: DiskFacts, style: Style) -> Iterator[str]:
    """Yield a disk for people."""
    yield from disk_section("Disk", path, facts, style)
    yield from findings_section(facts.findings, style)


def extent_rows(extents: Sequence[Extent]) -> list[dict[str, Any]]:
    """Return a map for programs: offset and length in bytes."""
    return [{"offset": each.offset, "length": each.length, "kind": each.kind.value} for each in extents]


def map_lines(path: str, found: DiskMap, limit: int, style: Style) -> Iterator[str]:
    """Yield a map for people: a picture, the sums, the findings, and the first *limit* extents."""
    extents = found.extents
    size = extents[-1].end if extents else 0
    yield style.paint(f"{path}: {size_text(size)}", "bold")
    yield ""
    if size:
        yield f"  [{picture(extents, unicode=style.unicode)}]"
        shades = "░▒▓█" if style.unicode else ".:*#"
        yield f"   one cell is {format_size(-(-size // CELLS))}: no data, then {shades} the more of it is data"
        yield ""
    sums = [(kind, sum(e.length for e in extents if e.kind is kind)) for kind in Kind]
    yield from section(
        "Sums", [(kind.value, f"{size_text(n)}, {100 * n / size:.1f} %") for kind, n in sums if n], style
    )
    yield from findings_section(found.findings, style)
    shown = extents[:limit]
    rows = [(f"{each.offset:#x}", f"{each.length:#x}", format_size(each.length), each.kind.value) for each in shown]
    yield from table(("offset", "length", "size", "kind"), rows, style, right=(0, 1, 2))
    if len(extents) > limit:
        yield f"  {len(extents) - limit} more of {len(extents)} extents; --limit shows more, -f json all of them"


def picture(extents: Sequence[Extent], *, unicode: bool, cells: int = CELLS) -> str:
    """Return one character for each of *cells* equal parts of the disk: how much of the part is data."""
    size = extents[-1].end
    filled = [0] * cells
    for extent in extents:
        if extent.kind is Kind.DATA:
            _fill(filled, extent, size)
    shades = " ░▒▓█" if unicode else " .:*#"
    # A cell's share is known in units of size / cells: any data at all shows, and only a full cell looks full.
    return "".join(shades[0 if not n else 4 if n >= size else 1 + min(2, 3 * n // size)] for n in filled)


def _fill(filled: list[int], extent: Extent, size: int) -> None:
    """Add an extent to the cells that it touches, in bytes times the number of cells so that nothing is rounded."""
    cells = len(filled)
    first, last = extent.offset * cells // size, (extent.end * cells - 1) // size
    for cell in range(first, last + 1):
        start, stop = max(extent.offset * cells, cell * size), min(extent.end * cells, (cell + 1) * size)
        filled[cell] += stop - start


def plan_record(plan: ConvertPlan) -> dict[str, Any]:
    """Return what would be written, for programs."""
    return {
        "source": {"path": plan.options.source.path, **disk_record(plan.source)},
        "path": plan.options.output,
        "format": plan.options.format,
        "subformat": plan.subformat or None,
        "compression": plan.compression or None,
        "cluster_size": plan.cluster_size or None,
        "virtual_size": plan.virtual_size,
        "chs_size": plan.chs_size,
        "source_size": plan.source.virtual_size,
        "source_chs_size": plan.source.chs_size,
        "data_size_max": plan.data_size,
        "size_max": plan.output_size_max,
        "jobs": plan.jobs,
        "guest": need_records(plan.needs),
        "free_space": free_record(plan.free),
        "findings": finding_records(plan.findings),
    }


def plan_lines(plan: ConvertPlan, style: Style) -> Iterator[str]:
    """Yield what would be written, for people."""
    yield from disk_section("Source", plan.options.source.path, plan.source, style)
    yield from section(
        "Would write",
        [
            ("file", plan.options.output),
            ("format", format_text(plan.options.format, plan)),
            *sizes(plan.virtual_size, plan.chs_size, plan.source.virtual_size, plan.source.chs_size),
            ("data", f"at most {size_text(plan.data_size)}"),
            ("file size", f"at most {size_text(plan.output_size_max)}"),
            ("threads", plan.jobs),
        ],
        style,
    )
    yield from free_section(plan.free, style)
    yield from need_section(plan.needs, style)
    yield from findings_section(plan.findings, style)
    yield "Nothing was written (--dry-run)."


def convert_record(source: str, report: ConvertReport) -> dict[str, Any]:
    """Return a conversion for programs."""
    return {
        "source": source,
        "path": report.path,
        "format": report.format,
        "subformat": report.subformat or None,
        "compression": report.compression or None,
        "cluster_size": report.cluster_size or None,
        "virtual_size": report.virtual_size,
        "chs_size": report.chs_size,
        "source_size": report.source_size,
        "source_chs_size": report.source_chs_size,
        "data_size": report.data_size,
        "output_size": report.output_size,
        "seconds": round(report.seconds, 3),
        "guest": need_records(report.needs),
        "free_space": free_record(report.free),
        "findings": finding_records(report.findings),
    }


def convert_lines(source: str, report: ConvertReport, style: Style) -> Iterator[str]:
    """Yield a conversion for people."""
    yield from section(
        "Written",
        [
            ("file", report.path),
            ("from", source),
            ("format", format_text(report.format, report)),
            *sizes(report.virtual_size, report.chs_size, report.source_size, report.source_chs_size),
            ("data", size_text(report.data_size)),
            ("file size", size_text(report.output_size)),
            ("time", f"{report.seconds:.2f} s"),
        ],
        style,
    )
    yield from free_section(report.free, style)
    yield from need_section(report.needs, style)
    yield from findings_section(report.findings, style)


def format_text(name: str, kind: ConvertPlan | ConvertReport) -> str:
    """Return a format with its kind: ``qcow2, clusters of 64 KiB, zlib``."""
    details = [kind.subformat]
    if kind.cluster_size:
        details = [f"clusters of {format_size(kind.cluster_size)}", f"compression {kind.compression}"]
    return ", ".join(filter(None, (name, *details)))


def sizes(size: int, chs: int | None, source: int | None, source_chs: int | None) -> Iterator[tuple[str, str]]:
    """Yield the size that a guest sees, and what differs from it: the source's, and products of geometries."""
    yield "virtual size", size_text(size)
    if chs not in (None, size):
        yield "by geometry", f"{chs} bytes; the size above counts"
    if source not in (None, size):
        yield "source's size", f"{source} bytes"
    if source_chs not in (None, source):
        yield "source's geometry", f"{source_chs} bytes; its size counts, and nothing is cut"


def need_records(needs: Sequence[GuestNeed]) -> list[dict[str, Any]]:
    """Return what the guest will need, for programs: null is not known."""
    return [{"name": each.name, "value": each.value, "reason": each.reason} for each in needs]


def need_section(needs: Sequence[GuestNeed], style: Style) -> Iterator[str]:
    """Yield what the guest will need where the disk goes, for people."""
    rows = [(each.name, f"{each.value or 'not known'}: {each.reason}") for each in needs]
    return section("The guest will need, as image properties", rows, style)


def layers_record(chain: LayersPlan | LayersReport) -> dict[str, Any]:
    """Return a chain that was or would be written anew, for programs."""
    record: dict[str, Any] = {
        "directory": chain.directory,
        "layers": [dataclasses.asdict(layer) for layer in chain.layers],
    }
    if isinstance(chain, LayersReport):
        record["seconds"] = round(chain.seconds, 3)
    return record


def layers_plan_lines(plan: LayersPlan, style: Style) -> Iterator[str]:
    """Yield a chain that would be written, for people."""
    rows = [(each.path, each.source, each.virtual_size, each.data_size) for each in plan.layers]
    yield from table(("file", "from", "virtual bytes", "data at most"), rows, style, right=(2, 3))
    yield "Nothing was written (--dry-run)."


def layers_lines(report: LayersReport, style: Style) -> Iterator[str]:
    """Yield a chain that was written, for people."""
    rows = [(each.path, each.source, each.virtual_size, each.data_size, each.output_size) for each in report.layers]
    yield from table(("file", "from", "virtual bytes", "data", "bytes"), rows, style, right=(2, 3, 4))
    yield f"{len(rows)} layers in {report.seconds:.2f} s; the first is the disk, each lies over the next."


def compare_record(first: str, second: str, result: Comparison) -> dict[str, Any]:
    """Return a comparison for programs."""
    return {
        "first": first,
        "second": second,
        "equal": result.equal,
        "first_difference": result.first_difference,
        "first_size": result.sizes[0],
        "second_size": result.sizes[1],
        "compared": result.compared,
        "findings": finding_records(result.findings),
    }


def compare_lines(first: str, second: str, result: Comparison, style: Style) -> Iterator[str]:
    """Yield a comparison for people, what is wrong with the disks before it."""
    yield from findings_section(result.findings, style)
    first, second = visible(first), visible(second)
    if result.equal:
        yield f"{style.paint('Equal', 'good')}: {first} and {second} show the same to a guest."
    else:
        yield f"{style.paint('Different', 'error')}: {first} and {second}"
    if result.first_difference is not None:
        yield f"  first difference at byte {result.first_difference:#x} ({result.first_difference})"
    if result.sizes[0] != result.sizes[1]:
        yield f"  sizes: {size_text(result.sizes[0])} and {size_text(result.sizes[1])}"
    yield f"  {size_text(result.compared)} compared"
