"""Disks as layers of a chain: what each holds of its own, and the passes that take it.

A block of a child has a bitmap that marks exactly the sectors which the layer holds; a base is whole blocks.
"""

from __future__ import annotations

import dataclasses
import threading
from typing import TYPE_CHECKING, Generic, TypeVar

from xenimage.engine.passes import in_order, numbered, watched
from xenimage.formats.base import DiskView, clear, merged, within
from xenimage.formats.overlay import Overlay
from xenimage.formats.vhd.layout import BLOCK_SIZE
from xenimage.formats.vhd.writer import BITMAP
from xenimage.model.extent import Kind
from xenimage.streams.digest import fingerprint
from xenimage.units import SECTOR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from xenimage.model.disk import Disk
    from xenimage.model.extent import Extent
    from xenimage.model.transfer import Progress

Packed = TypeVar("Packed")

_SECTORS = BLOCK_SIZE // SECTOR
_FULL = (1 << _SECTORS) - 1


class Delta(DiskView):
    """*child* alone, its zeros absent where *below* has nothing to hide.

    Without it, a layer that calls terabytes of nothing zero would be stored as terabytes of zeros.
    """

    def __init__(self, child: Disk, below: Disk) -> None:
        super().__init__(child)
        self._below = below

    def extents(self, offset: int, length: int) -> Iterator[Extent]:
        """See :meth:`xenimage.model.disk.Disk.extents`."""
        within(self.facts.virtual_size, offset, length)
        return merged(self._ranges(offset, length))

    def _ranges(self, offset: int, length: int) -> Iterator[tuple[int, int, Kind]]:
        parent_end = self._below.facts.virtual_size
        for extent in self._disk.extents(offset, length):
            if extent.kind is not Kind.ZERO:
                yield extent.offset, extent.length, extent.kind
                continue
            stop = max(extent.offset, min(extent.end, parent_end))
            if extent.offset < stop:
                for below in self._below.extents(extent.offset, stop - extent.offset):
                    yield below.offset, below.length, Kind.ZERO if below.kind is Kind.DATA else Kind.ABSENT
            if stop < extent.end:
                yield stop, extent.end - stop, Kind.ABSENT


class Kept(DiskView):
    """*disk*, of which the last block is kept for the next who reads there.

    For one thread. Two who read a deflated stream in turn would else inflate it anew for each block.
    """

    def __init__(self, disk: Disk) -> None:
        super().__init__(disk)
        self._number = -1
        self._block = memoryview(bytearray(BLOCK_SIZE))

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """See :meth:`xenimage.model.disk.Disk.read_into`."""
        within(self.facts.virtual_size, offset, len(buffer))
        done = 0
        while done < len(buffer):
            number, start = divmod(offset + done, BLOCK_SIZE)
            if number != self._number:
                self._number = -1
                _read(self._disk, number * BLOCK_SIZE, self._block)
                self._number = number
            length = min(len(buffer) - done, BLOCK_SIZE - start)
            buffer[done : done + length] = self._block[start : start + length]
            done += length


@dataclasses.dataclass(frozen=True, kw_only=True)
class View:
    """A layer as it is read."""

    disk: Disk
    """what it holds of its own; all of it where nothing is below"""
    below: Disk | None
    """the layers below, in one view"""


@dataclasses.dataclass(frozen=True, slots=True)
class LayerBlock(Generic[Packed]):
    """A block that a layer stores."""

    number: int
    mark: bytes
    """fingerprint of its bitmap and data"""
    full: bool
    """whether the bitmap is all ones"""
    completed: int
    """bytes of it that come from below"""
    packed: Packed
    """what the pass made of it"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ChildPasses:
    """Passes over the blocks in which a child differs from what lies below it."""

    child: Disk
    below: Disk | None = None
    """all that lies below, in one view; only *dedup* and *whole* read it"""
    ranges: tuple[tuple[int, int], ...]
    """(first, behind the last) blocks that the child holds something of"""
    jobs: int
    progress: Progress
    dedup: bool = False
    """drop the sectors that are equal to the parent's: costs reading what lies below"""
    whole: bool = False
    """complete each block with what lies below, so that its bitmap is all ones"""
    _local: threading.local = dataclasses.field(default_factory=threading.local)

    def blocks(self, what: str, pack: Callable[[bytearray], Packed]) -> Iterator[LayerBlock[Packed]]:
        """Read the child; yield, in order, the blocks of which something is left.

        :param what: the stage, for the one who watches.
        :param pack: called in the threads with a block's bitmap and data, a buffer that is used again.
        """
        streams = any(disk is not None and disk.facts.sequential for disk in (self.child, self.below))
        jobs = 1 if streams else self.jobs
        found = in_order(lambda number: self._take(number, pack), numbered(self.ranges), jobs)
        return watched(found, self.ranges, what, self.progress)

    def _take(self, number: int, pack: Callable[[bytearray], Packed]) -> LayerBlock[Packed] | None:
        local = self._local
        if not hasattr(local, "buffer"):
            local.buffer = bytearray(len(BITMAP) + BLOCK_SIZE)
            local.data = memoryview(local.buffer)[len(BITMAP) :]
            local.other = memoryview(bytearray(BLOCK_SIZE))
        offset, data = number * BLOCK_SIZE, local.data
        runs = self._held(offset)
        if not runs:
            return None
        _read(self.child, offset, data)
        other = self._read_below(offset)
        if other is not None and self.dedup:
            runs = [part for run in runs for part in _different(data, other, *run)]
            if not runs:
                return None
        bits, completed = _bitmap(runs), 0
        if other is not None:
            for start, stop in _outside(runs):
                # What a bitmap calls absent must not show in readers that ignore bitmaps.
                data[start:stop] = other[start:stop] if self.whole else bytes(stop - start)
            if self.whole:
                completed = (_SECTORS - bits.bit_count()) * SECTOR
                bits = _FULL
        local.buffer[: len(BITMAP)] = bits.to_bytes(len(BITMAP), "big")
        return LayerBlock(number, fingerprint(local.buffer), bits == _FULL, completed, pack(local.buffer))

    def _read_below(self, offset: int) -> memoryview | None:
        """What lies below the block at *offset*, if it is wished to be known."""
        if self.below is None or not (self.dedup or self.whole):
            return None
        other: memoryview = self._local.other
        _read(self.below, offset, other)
        return other

    def _held(self, offset: int) -> list[tuple[int, int]]:
        """(first, behind the last) sectors of the block at *offset* that the child holds."""
        there = min(BLOCK_SIZE, self.child.facts.virtual_size - offset)
        return [
            ((each.offset - offset) // SECTOR, -(-(each.end - offset) // SECTOR))
            for each in self.child.extents(offset, there)
            if each.kind is not Kind.ABSENT
        ]


def layered(disks: Sequence[Disk]) -> list[View]:
    """The layers of a chain, the leaf first, each with what lies below it."""
    found: list[View] = []
    below: Disk | None = None
    for disk in reversed(disks):
        found.append(View(disk=disk if below is None else Delta(disk, below), below=below))
        below = disk if below is None else Overlay(disk, below)
    return found[::-1]


def _read(disk: Disk, offset: int, buffer: memoryview) -> None:
    there = max(0, min(len(buffer), disk.facts.virtual_size - offset))
    if there:
        disk.read_into(offset, buffer[:there])
    clear(buffer[there:])


def _bitmap(runs: list[tuple[int, int]]) -> int:
    """The runs of sectors as a bitmap, the first sector in the highest bit."""
    bits = 0
    for first, stop in runs:
        bits |= ((1 << stop - first) - 1) << _SECTORS - stop
    return bits


def _different(one: memoryview, other: memoryview, first: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield the runs of sectors in [first, stop) that differ.

    Halves what differs until it is a sector: equal parts, however large, cost one comparison.
    """
    place = slice(first * SECTOR, stop * SECTOR)
    # As bytes, because they are compared by memcmp and memory views item by item.
    if bytes(one[place]) == bytes(other[place]):
        return
    if stop - first == 1:
        yield first, stop
        return
    middle = (first + stop) // 2
    last: tuple[int, int] | None = None
    for half in ((first, middle), (middle, stop)):
        for run in _different(one, other, *half):
            if last is not None and last[1] == run[0]:
                last = (last[0], run[1])
                continue
            if last is not None:
                yield last
            last = run
    if last is not None:
        yield last


def _outside(runs: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of the bytes of a block that lie in none of the runs of sectors."""
    start = 0
    for first, stop in runs:
        if start < first * SECTOR:
            yield start, first * SECTOR
        start = stop * SECTOR
    if start < BLOCK_SIZE:
        yield start, BLOCK_SIZE
