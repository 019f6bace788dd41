"""Whether two disks show the same to a guest."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from xenimage.engine.mapper import map_blocks
from xenimage.formats.base import clear
from xenimage.formats.vhd.layout import BLOCK_SIZE
from xenimage.model.report import Comparison

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from xenimage.limits import Limits
    from xenimage.model.disk import Disk
    from xenimage.model.transfer import Progress


def compare(first: Disk, second: Disk, limits: Limits, progress: Progress) -> Comparison:
    """Compare contents; behind the end of the shorter disk only zeros are equal.

    Reads, in ascending order, only blocks that one of the disks has data in.
    """
    maps = (map_blocks(first, limits), map_blocks(second, limits))
    blocks = list(_union(maps[0].ranges, maps[1].ranges))
    buffers = (bytearray(BLOCK_SIZE), bytearray(BLOCK_SIZE))
    difference = None
    compared = 0
    progress.start("compare", BLOCK_SIZE * sum(stop - start for start, stop in blocks))
    try:
        for number in (number for start, stop in blocks for number in range(start, stop)):
            for disk, buffer in zip((first, second), buffers, strict=True):
                _read(disk, number * BLOCK_SIZE, memoryview(buffer))
            compared += BLOCK_SIZE
            progress.advance(BLOCK_SIZE)
            if buffers[0] != buffers[1]:
                difference = number * BLOCK_SIZE + first_difference(*buffers)
                break
    finally:
        progress.stop()
    return Comparison(
        equal=difference is None,
        first_difference=difference,
        sizes=(first.facts.virtual_size, second.facts.virtual_size),
        compared=compared,
        findings=first.facts.findings + second.facts.findings,
    )


def first_difference(first: bytearray, second: bytearray) -> int:
    """Index of the first byte that differs in two buffers of one length that differ somewhere."""
    start, stop = 0, len(first)
    while stop - start > 1:
        middle = (start + stop) // 2
        if first[start:middle] != second[start:middle]:
            stop = middle
        else:
            start = middle
    return start


def _read(disk: Disk, offset: int, buffer: memoryview) -> None:
    there = max(0, min(len(buffer), disk.facts.virtual_size - offset))
    if there:
        disk.read_into(offset, buffer[:there])
    clear(buffer[there:])


def _union(first: Iterable[tuple[int, int]], second: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Ranges that cover both, ascending, none touching another."""
    start = stop = -1
    for low, high in heapq.merge(first, second):
        if low > stop:
            if stop > start:
                yield start, stop
            start = low
        stop = max(stop, high)
    if stop > start:
        yield start, stop
