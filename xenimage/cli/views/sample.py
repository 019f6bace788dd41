"""The kit of sample images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xenimage.cli.text import size_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from xenimage.cli.text import Style
    from xenimage.model.kit import KitImage, KitReport


def planned_record(directory: str, images: Sequence[KitImage]) -> dict[str, Any]:
    """Return what would be written for programs."""
    return {"directory": directory, "written": False, "manifest": None, "size": None, "images": _rows(images)}


def record(report: KitReport) -> dict[str, Any]:
    """Return what was written for programs."""
    return {
        "directory": report.directory,
        "written": True,
        "manifest": report.manifest,
        "size": report.size,
        "images": _rows(report.images),
    }


def _rows(images: Sequence[KitImage]) -> list[dict[str, Any]]:
    return [
        {
            "name": each.name,
            "filename": each.filename,
            "format": each.format,
            "container_format": each.container,
            "usable": each.usable,
            "about": each.about,
        }
        for each in images
    ]


def planned_lines(images: Sequence[KitImage], style: Style) -> Iterator[str]:
    """Yield what would be written for people."""
    yield from _list(images, style)
    yield ""
    yield "Nothing was written (--dry-run)."


def lines(report: KitReport, style: Style) -> Iterator[str]:
    """Yield what was written for people."""
    yield from _list(report.images, style)
    yield ""
    yield f"wrote {style.paint(report.manifest, 'bold')} and {len(report.images)} images, {size_text(report.size)}"


def _list(images: Sequence[KitImage], style: Style) -> Iterator[str]:
    width = max(len(each.filename) for each in images)
    for title, usable in (("To be taken", True), ("To be refused", False)):
        yield style.paint(title, "bold")
        for each in images:
            if each.usable is usable:
                yield f"  {each.filename:<{width}}  {each.format:<5} {each.container:<4}  {each.about}"
