"""Reference counts of a qcow2 image that is being written: only the blocks that can still change are in memory.

Reference: QEMU, docs/interop/qcow2.rst, section "Host cluster management".
"""

from __future__ import annotations

import array

from xenimage.formats.qcow2 import layout


class Refcounts:
    """Counts of 16 bits, in blocks of *per_block*, of clusters that are taken in ascending order."""

    def __init__(self, per_block: int) -> None:
        self._per_block = per_block
        self._blocks: list[array.array[int]] = []
        """those that are not written yet"""
        self._places: list[int] = []
        """bytes from the start of the file, of those that are written"""

    def touch(self, first: int, stop: int) -> None:
        """Count one more reference to the clusters from *first* up to *stop*, none of which lies in a written block."""
        while first < stop:
            number, start = divmod(first, self._per_block)
            counts = self._block(number - len(self._places))
            some = min(stop - first, self._per_block - start)
            if some > 2 and not any(counts[start : start + some]):
                counts[start : start + some] = array.array("H", [1]) * some
            else:
                for index in range(start, start + some):
                    counts[index] += 1
            first += some

    def _block(self, number: int) -> array.array[int]:
        while len(self._blocks) <= number:
            self._blocks.append(array.array("H", bytes(2 * self._per_block)))
        return self._blocks[number]

    def full(self, used: int) -> bool:
        """Whether all clusters of the first block in memory lie among the *used* ones."""
        return used >= (len(self._places) + 1) * self._per_block

    def take(self, place: int) -> bytes:
        """Give the first block in memory out of hand, to be written at *place*, which is counted already."""
        counts = self._block(0)
        del self._blocks[0]
        self._places.append(place)
        return layout.big_endian(counts)

    def total(self, used: int) -> int:
        """Blocks that *used* clusters need."""
        return -(-used // self._per_block)

    def left(self, used: int) -> int:
        """Those of them that are not written yet."""
        return self.total(used) - len(self._places)

    def table(self) -> bytes:
        """The refcount table: where each block stands."""
        return layout.big_endian(array.array("Q", self._places))
