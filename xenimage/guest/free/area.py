"""The part of a disk that a volume lies on: one range in a partition, several in a logical volume."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from xenimage.exceptions import FormatError
from xenimage.units import SECTOR

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.model.disk import Disk


@dataclasses.dataclass(frozen=True)
class Piece:
    """A range of the disk. Bytes."""

    offset: int
    """on the disk"""
    length: int


@dataclasses.dataclass(frozen=True)
class Area:
    """The bytes of a volume, and where on the disk they stand. Every piece lies within the disk."""

    disk: Disk
    pieces: tuple[Piece, ...]
    """in the order of the volume"""

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(piece.length for piece in self.pieces)

    def read(self, offset: int, length: int) -> bytes:
        """Return a range of the volume. Bound *length* before the call.

        :raises FormatError: it does not lie within the volume, or the disk is damaged there.
        """
        if offset < 0 or length < 0 or offset + length > self.size:
            raise FormatError(f"{length} bytes at {offset:#x} lie outside", expected="a range inside")
        data = bytearray(length)
        view, done = memoryview(data), 0
        for start, stop in self.on_disk(offset, offset + length):
            self.disk.read_into(start, view[done : done + stop - start])
            done += stop - start
        return bytes(data)

    def on_disk(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Yield the ranges (start, behind the end) of the disk that [start, stop) of the volume stands on."""
        before = 0
        for piece in self.pieces:
            first, last = max(start, before), min(stop, before + piece.length)
            if first < last:
                yield piece.offset + first - before, piece.offset + last - before
            before += piece.length


def whole_sectors(start: int, stop: int) -> tuple[int, int]:
    """The whole sectors in a range of the disk; empty where the first number is not below the second."""
    return -(-start // SECTOR) * SECTOR, stop // SECTOR * SECTOR
