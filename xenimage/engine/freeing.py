"""A disk without what its guest does not use: free blocks read as zeros, and are left out like all zeros."""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING

from xenimage.engine.mapper import bounded_extents
from xenimage.exceptions import NotReadyError
from xenimage.formats.blanked import Blanked
from xenimage.formats.overlay import flattened
from xenimage.guest.free.survey import survey
from xenimage.model.extent import Kind
from xenimage.model.guest.free import FreeSpace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from xenimage.guest.free.survey import Survey
    from xenimage.limits import Limits
    from xenimage.model.disk import Disk

LOG = logging.getLogger(__name__)


def without_free(disks: Sequence[Disk], limits: Limits, path: str) -> tuple[list[Disk], FreeSpace]:
    """Blank what is free in the disk that *disks* show together.

    :param disks: its layers, the leaf first. What is free in the leaf's eyes is blank in all: nobody else looks.
    :param path: what the user calls the disk, for messages.
    :raises NotReadyError: a volume of it was not closed, or is damaged.
    """
    whole = flattened(disks)
    extents = sum(1 for disk in disks for _ in bounded_extents(disk, limits))
    # Each range splits at most one extent in three, in each layer and in what is known of those below.
    most = max(0, limits.ranges - extents) // 4
    try:
        found = survey(whole, most, limits)
    except NotReadyError as error:
        raise error.within(path) from None
    space = _measured(found, disks, limits)
    for volume in space.volumes:
        LOG.info("%s: %s %s: %s", path, volume.place, volume.kind, volume.why or f"{volume.free_size} bytes are free")
    return [Blanked(disk, found.starts, found.stops) for disk in disks], space


def _measured(found: Survey, disks: Sequence[Disk], limits: Limits) -> FreeSpace:
    """Count what is stored in the ranges, for each volume."""
    dropped = [0] * len(found.volumes)
    for disk in disks:
        for owner, length in _stored(found, disk, limits):
            dropped[owner] += length
    return FreeSpace(
        volumes=tuple(
            dataclasses.replace(volume, dropped_size=size) for volume, size in zip(found.volumes, dropped, strict=True)
        )
    )


def _stored(found: Survey, disk: Disk, limits: Limits) -> Iterator[tuple[int, int]]:
    """Yield (volume, bytes) of the data of *disk* in the ranges: both are walked over once."""
    at = 0
    for extent in bounded_extents(disk, limits):
        if extent.kind is not Kind.DATA:
            continue
        while at < len(found.stops) and found.stops[at] <= extent.offset:
            at += 1
        place = at
        while place < len(found.starts) and found.starts[place] < extent.end:
            start, stop = max(found.starts[place], extent.offset), min(found.stops[place], extent.end)
            yield found.owners[place], stop - start
            place += 1
        at = max(at, place - 1)
