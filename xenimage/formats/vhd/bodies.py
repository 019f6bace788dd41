"""The data of a VHD: linear in a fixed disk, in blocks with a bitmap each in the others."""

from __future__ import annotations

import bisect
import functools
import re
from typing import TYPE_CHECKING, Protocol

from xenimage.formats.base import clear, split_holes
from xenimage.model.extent import Kind
from xenimage.units import SECTOR

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.formats.vhd import layout
    from xenimage.formats.vhd.metadata import Tables
    from xenimage.model.disk import ByteSource

_BITMAPS = 1024
"""bitmaps kept, as text of one character a sector: 4 KiB each with blocks of 2 MiB"""
_RUNS = re.compile("0+|1+")


class Body(Protocol):
    """What both kinds of disks can do. Ranges lie within the disk."""

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill *buffer* with the guest's bytes from *offset* on; what is not stored are zeros."""

    def ranges(self, offset: int, length: int) -> Iterator[tuple[int, int, Kind]]:
        """Yield (offset, length, kind) for all of the range, in order."""


class Linear:
    """The data of a fixed disk: it begins the file. *size* bytes of it are there."""

    def __init__(self, source: ByteSource, size: int) -> None:
        self._source = source
        self._size = size

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """See :class:`Body`."""
        there = max(0, min(len(buffer), self._size - offset))
        if there:
            self._source.read_into(offset, buffer[:there])
        clear(buffer[there:])

    def ranges(self, offset: int, length: int) -> Iterator[tuple[int, int, Kind]]:
        """See :class:`Body`."""
        end = offset + length
        for start, size in self._source.data(offset, max(0, min(length, self._size - offset))):
            if start > offset:
                yield offset, start - offset, Kind.ZERO
            yield start, size, Kind.DATA
            offset = start + size
        if offset < end:
            yield offset, end - offset, Kind.ZERO


class Blocks:
    """The data of a dynamic or differencing disk; what is not stored is of the kind *missing*."""

    def __init__(self, source: ByteSource, header: layout.Header, tables: Tables, missing: Kind) -> None:
        self._source = source
        self._table = tables.table
        self._stored = tables.shown
        self._missing = missing
        self._block_size = header.block_size
        self._bitmap_size = header.bitmap_size
        self._sectors = header.block_size // SECTOR
        self._full = "1" * self._sectors
        self._ones = b"\xff" * header.bitmap_size
        # The cache locks itself; two threads may at worst read one bitmap twice.
        self._bits = functools.lru_cache(_BITMAPS)(self._read_bits)

    def _read_bits(self, block: int) -> str:
        """The block's bitmap: "1" for each sector that exists, "0" for the others."""
        bitmap = self._source.read(self._table[block] * SECTOR, self._bitmap_size)
        if bitmap == self._ones:
            return self._full
        bits = f"{int.from_bytes(bitmap):0{8 * len(bitmap)}b}"[: self._sectors]
        return self._full if bits == self._full else bits

    def _runs(self, offset: int, length: int) -> Iterator[tuple[int, int, int | None]]:
        """Yield (offset, length, place in the file or None) for all of the range, in order."""
        end = offset + length
        for index in range(bisect.bisect_left(self._stored, offset // self._block_size), len(self._stored)):
            start = self._stored[index] * self._block_size
            if max(start, offset) >= end:
                break
            if offset < start:
                yield offset, start - offset, None
                offset = start
            stop = min(end, start + self._block_size)
            yield from self._block_runs(self._stored[index], offset, stop)
            offset = stop
        if offset < end:
            yield offset, end - offset, None

    def _block_runs(self, block: int, offset: int, stop: int) -> Iterator[tuple[int, int, int | None]]:
        start = block * self._block_size
        place = self._table[block] * SECTOR + self._bitmap_size - start
        bits = self._bits(block)
        for run in _RUNS.finditer(bits, (offset - start) // SECTOR, -(-(stop - start) // SECTOR)):
            first = max(offset, start + run.start() * SECTOR)
            last = min(stop, start + run.end() * SECTOR)
            yield first, last - first, place + first if bits[run.start()] == "1" else None

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """See :class:`Body`."""
        for start, length, place in self._runs(offset, len(buffer)):
            part = buffer[start - offset : start - offset + length]
            if place is None:
                clear(part)
            else:
                self._source.read_into(place, part)

    def ranges(self, offset: int, length: int) -> Iterator[tuple[int, int, Kind]]:
        """See :class:`Body`."""
        for start, size, place in self._runs(offset, length):
            if place is None:
                yield start, size, self._missing
                continue
            for begin, part, kind in split_holes(self._source, place, size):
                yield start + begin, part, kind
