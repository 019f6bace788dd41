"""How much of a disk is stored, and whereabouts: known from its tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.engine.mapper import bounded_extents
from xenimage.model.extent import Kind
from xenimage.model.report import DiskUsage

if TYPE_CHECKING:
    from xenimage.limits import Limits
    from xenimage.model.disk import Disk

CELLS = 400
"""parts that a disk is divided into: a pixel or two of a page each"""


def measure(disk: Disk, path: str, limits: Limits) -> DiskUsage:
    """Sum up the disk's extents.

    :raises LimitError: there are more of them than the limits allow.
    """
    size = disk.facts.virtual_size
    cells = [0] * CELLS
    data = 0
    for extent in bounded_extents(disk, limits):
        if extent.kind is not Kind.DATA:
            continue
        data += extent.length
        first, last = extent.offset * CELLS // size, (extent.end - 1) * CELLS // size
        for number in range(first, last + 1):
            start, stop = number * size // CELLS, (number + 1) * size // CELLS
            cells[number] += max(0, min(extent.end, stop) - max(extent.offset, start))
    widths = [(number + 1) * size // CELLS - number * size // CELLS for number in range(CELLS)]
    shares = tuple(
        min(100, -(-100 * found // width)) if width else 0 for found, width in zip(cells, widths, strict=True)
    )
    return DiskUsage(path=path, size=size, data=data, cells=shares)
