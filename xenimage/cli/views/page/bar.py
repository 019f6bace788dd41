"""A disk as a bar: its partitions, how full their file systems are, and what of it is stored."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from xenimage.cli.views.page.markup import element, joined

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.cli.views.page.markup import Markup
    from xenimage.model.guest.layout import Layout, Partition
    from xenimage.model.report import DiskUsage

_LABEL_FROM = 3.0
"""percents of the width that a partition needs for its number"""
_STEP = 25
"""percents of a part that is stored, in so coarse steps: neighbours that look the same are one shape"""


def bar(layout: Layout | None, usage: DiskUsage, number: int) -> Markup:
    """Draw a disk. What it shows stands in a table and in words as well.

    :param layout: None where nothing is known of its partitions.
    """
    partitions = [each for each in layout.partitions if each.number or each.type != "lvm"] if layout else []
    rows = [
        ("Partitions", 28, _partition_row(partitions, usage.size)),
        ("File systems: used and free", 14, _volume_row(partitions, usage.size)),
        ("Image: stored and zeros", 14, _data_row(usage)),
    ]
    shapes: list[Markup] = []
    top = 0
    for title, height, row in rows if partitions else rows[2:]:
        shapes.append(element("text", title, class_="row-text", x="0", y=str(top + 12)))
        shapes.append(element("svg", *row, y=str(top + 18), width="100%", height=str(height + 1)))
        top += height + 28
    name = f"bar-{number}"
    return element(
        "svg",
        element("title", f"Where disk {number} holds what", id=name),
        *shapes,
        class_="bar",
        role="img",
        aria_labelledby=name,
        height=str(top),
    )


def legend() -> Markup:
    """Say what the patterns of a bar mean; the one that is no plain colour is defined here."""
    line = element("line", class_="hatch-line", x1="0", y1="0", x2="0", y2="6")
    hatch = element(
        "pattern",
        line,
        id="hatch",
        width="6",
        height="6",
        patternUnits="userSpaceOnUse",
        patternTransform="rotate(45)",
    )
    meanings = (("used", "used by the file system"), ("free", "free in it"), ("data", "stored"), ("frame", "zeros"))
    items = [element("li", element("svg", _box(0, 100, kind, 14), aria_hidden="true"), text) for kind, text in meanings]
    defined = element("svg", element("defs", hatch), class_="hidden", aria_hidden="true", width="0", height="0")
    return joined(defined, element("ul", *items, class_="legend"))


def _box(start: float, width: float, kind: str, height: int, **more: str) -> Markup:
    return element("rect", class_=kind, x=f"{start:.3f}%", width=f"{width:.3f}%", y="0", height=str(height), **more)


def _share(partition: Partition, size: int) -> tuple[float, float]:
    """Where a partition starts and how wide it is, in percents; what lies behind the end is cut off."""
    start = min(partition.offset, size)
    stop = min(partition.offset + partition.length, size)
    return (100 * start / size, 100 * (stop - start) / size) if size else (0.0, 0.0)


def _partition_row(partitions: list[Partition], size: int) -> Iterator[Markup]:
    yield _box(0, 100, "frame", 28)
    for each in partitions:
        start, width = _share(each, size)
        yield _box(start, width, "part", 28)
        if width >= _LABEL_FROM:
            yield element(
                "text",
                str(each.number or ""),
                class_="part-text",
                x=f"{start + width / 2:.3f}%",
                y="19",
                text_anchor="middle",
            )


def _volume_row(partitions: list[Partition], size: int) -> Iterator[Markup]:
    for each in partitions:
        volume = each.volume
        if volume is None or volume.free is None or not volume.size:
            continue
        start, width = _share(each, size)
        used = width * max(0.0, min(1.0, 1 - volume.free / volume.size))
        yield _box(start, width, "free", 14)
        yield _box(start, used, "used", 14)


def _data_row(usage: DiskUsage) -> Iterator[Markup]:
    yield _box(0, 100, "frame", 14)
    each = 100 / len(usage.cells) if usage.cells else 0.0
    start = 0
    for level, run in itertools.groupby(-(-share // _STEP) for share in usage.cells):
        count = sum(1 for _ in run)
        if level:
            height = 14 * level * _STEP // 100
            yield element(
                "rect",
                class_="data",
                x=f"{start * each:.3f}%",
                width=f"{count * each:.3f}%",
                y=str(14 - height),
                height=str(height),
            )
        start += count
