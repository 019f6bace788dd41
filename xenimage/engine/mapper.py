"""Which blocks of a disk may hold data: known from its tables, before any data is read."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from xenimage.exceptions import LimitError
from xenimage.formats.vhd.layout import BLOCK_SIZE
from xenimage.model.extent import Kind
from xenimage.units import GIB

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.limits import Limits
    from xenimage.model.disk import Disk, DiskFacts
    from xenimage.model.extent import Extent

_LITTLE = 4 * GIB
"""bytes of compressed data that are done in seconds, however small the file is that claims to hold them"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class BlockMap:
    """What the tables of a disk say."""

    ranges: tuple[tuple[int, int], ...]
    """(first, behind the last) blocks, ascending, neither touching nor overlapping"""
    blocks: int
    """blocks in all ranges"""
    data_size: int
    """bytes that the disk calls data"""


def map_blocks(disk: Disk, limits: Limits, *, child: bool = False) -> BlockMap:
    """Find the 2 MiB blocks that may hold data.

    :param child: whether there is a parent, so that zeros of the disk hide something.
    :raises LimitError: the tables promise more data than the stored bytes could hold: an image made to exhaust us.
    """
    facts = disk.facts
    ceiling, stored, limit = _most_data(facts, limits)
    ranges: list[list[int]] = []
    data_size = 0
    for extent in bounded_extents(disk, limits):
        if extent.kind is Kind.ABSENT or (extent.kind is Kind.ZERO and not child):
            continue
        data_size += extent.length if extent.kind is Kind.DATA else 0
        if data_size > ceiling:
            raise LimitError(
                f"the image's tables promise more than {ceiling} bytes of data",
                expected=f"at most that much in {stored} stored bytes (limit {limit})",
                tip=f"If you trust the file, raise {limit} in the [limits] section of the configuration.",
            )
        first, stop = extent.offset // BLOCK_SIZE, -(-extent.end // BLOCK_SIZE)
        if ranges and first <= ranges[-1][1]:
            ranges[-1][1] = max(stop, ranges[-1][1])
        else:
            ranges.append([first, stop])
    return BlockMap(
        ranges=tuple((first, stop) for first, stop in ranges),
        blocks=sum(stop - first for first, stop in ranges),
        data_size=data_size,
    )


def bounded_extents(disk: Disk, limits: Limits) -> Iterator[Extent]:
    """Yield all extents of *disk*.

    :raises LimitError: there are more than the limit ranges: tables made to keep us busy, not to hold a disk.
    """
    for count, extent in enumerate(disk.extents(0, disk.facts.virtual_size), 1):
        if count > limits.ranges:
            limits.require("ranges", count, "the number of ranges so far")
        yield extent


def _most_data(facts: DiskFacts, limits: Limits) -> tuple[int, int, str]:
    """Bytes of data that there can be, those of the file that they stand in, and the limit that says so.

    Plain data is stored byte for byte; deflated data can be at most ``expansion`` times as large. No disk of any size
    comes near that, so what takes more than seconds is held to ``inflation``, and to the bytes that are no holes.
    """
    if not facts.compressed:
        return facts.stored_size + BLOCK_SIZE, facts.stored_size, "expansion"
    stored = facts.stored_size if facts.occupied is None else facts.occupied
    most, least = facts.stored_size * limits.expansion, max(_LITTLE, stored * limits.inflation)
    return (most, facts.stored_size, "expansion") if most <= least else (least, stored, "inflation")
