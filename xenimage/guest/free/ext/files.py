"""The blocks that the files of ext2, ext3 and ext4 stand in, by their inodes: for file systems without checksums."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from xenimage.exceptions import FormatError
from xenimage.guest.free.ext import layout
from xenimage.guest.free.ext.layout import Inode
from xenimage.guest.free.ranges import set_runs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from xenimage.guest.free.area import Area
    from xenimage.guest.free.ext.layout import Group, Superblock

_DEPTH = 5
"""levels of a tree of extents; more is not possible"""
_PIECE = 4096
"""inodes that are read together"""
_DIRECT = 12


def used_blocks(area: Area, superblock: Superblock, groups: Sequence[Group]) -> Iterator[tuple[int, int]]:
    """Yield (first, behind the last) blocks of everything that an inode leads to.

    :raises FormatError: an inode is damaged.
    """
    return _Files(area, superblock).blocks(groups)


class _Files:
    def __init__(self, area: Area, superblock: Superblock) -> None:
        self._area = area
        self._super = superblock
        self._left = superblock.blocks
        """blocks of tables that may still be read: each belongs to one file"""

    def blocks(self, groups: Sequence[Group]) -> Iterator[tuple[int, int]]:
        """See :func:`used_blocks`."""
        size, block_size = self._super.inode_size, self._super.block_size
        for group in groups:
            bitmap = self._area.read(group.inode_bitmap * block_size, block_size)
            for first, last in set_runs(bitmap, self._super.inodes_per_group):
                for start in range(first, last, _PIECE):
                    count = min(_PIECE, last - start)
                    data = self._area.read(group.inode_table * block_size + start * size, count * size)
                    for at in range(0, len(data), size):
                        yield from self._inode(data[at : at + size])

    def _inode(self, data: bytes) -> Iterator[tuple[int, int]]:
        inode = Inode.parse(data)
        if inode.attributes:
            yield inode.attributes, inode.attributes + 1
        if not inode.has_blocks:
            return
        if inode.flags & layout.EXTENTS:
            yield from self._extents(inode.map, _DEPTH + 1)
            return
        pointers = _pointers(inode.map)
        yield from _runs(pointers[:_DIRECT])
        for level, pointer in enumerate(pointers[_DIRECT:]):
            if pointer:
                yield from self._indirect(pointer, level)

    def _table(self, number: int) -> bytes:
        """A block that leads to others."""
        self._left -= 1
        if self._left < 0 or not 0 < number < self._super.blocks:
            raise FormatError(f"the map of a file leads to block {number}")
        return self._area.read(number * self._super.block_size, self._super.block_size)

    def _extents(self, node: bytes, above: int) -> Iterator[tuple[int, int]]:
        depth, entries = layout.extent_node(node)
        if depth >= above:
            raise FormatError("the map of a file is nested too deeply")
        for start, count in entries:
            yield start, start + count
            if depth:
                yield from self._extents(self._table(start), depth)

    def _indirect(self, number: int, level: int) -> Iterator[tuple[int, int]]:
        yield number, number + 1
        pointers = _pointers(self._table(number))
        if not level:
            yield from _runs(pointers)
            return
        for pointer in pointers:
            if pointer:
                yield from self._indirect(pointer, level - 1)


def _pointers(data: bytes) -> array[int]:
    found = array("I", data)
    if layout.SWAPPED:
        found.byteswap()
    return found


def _runs(pointers: array[int]) -> Iterator[tuple[int, int]]:
    """Yield ranges of blocks that follow each other; 0 is a hole."""
    if not pointers:
        return
    first, count = pointers[0], len(pointers)
    # Most files lie in one piece: one comparison then.
    if first and first + count <= 1 << 32 and pointers == array("I", range(first, first + count)):
        yield first, first + count
        return
    start = stop = 0
    for pointer in pointers:
        if pointer == stop and pointer:
            stop += 1
            continue
        if stop > start:
            yield start, stop
        start, stop = (pointer, pointer + 1) if pointer else (0, 0)
    if stop > start:
        yield start, stop
