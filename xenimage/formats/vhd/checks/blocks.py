"""The stored blocks themselves: their bitmaps, what is under cleared bits, and whether the last one is whole."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

from xenimage.formats.vhd import layout
from xenimage.formats.vhd.checks.filled import TAIL, Filled
from xenimage.formats.vhd.checks.findings import LISTED, bounded, found
from xenimage.units import SECTOR

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.formats.vhd.checks.tables import Tables
    from xenimage.model.finding import Finding

_FULL = b"\xff" * SECTOR
_EMPTY = bytes(SECTOR)
_ZEROS = bytes(layout.BLOCK_SIZE)
_SECTORS = layout.BLOCK_SIZE // SECTOR
_RUN = re.compile("0+")


def check_blocks(tables: Tables) -> Iterator[Finding]:
    """Judge the blocks in file order, each bitmap and the data of partial blocks read once; holes are not read.

    Blocks of other sizes than 2 MiB have a finding of their own, and no consumer whose view of them would matter.
    """
    if tables.header is None or tables.header.block_size != layout.BLOCK_SIZE or tables.first_stored is None:
        return
    filled = Filled(tables.source, tables.first_stored * SECTOR, max(tables.first_stored * SECTOR, tables.data_end))
    walk = _Walk(tables, filled)
    walk.go()
    rows = itertools.chain(walk.lying, itertools.repeat((), walk.lying_more))
    yield from bounded(_word_lie, rows)
    yield from walk.stale
    yield from _extended(tables, filled, walk)


class _Walk:
    """One pass over the blocks, and what it saw."""

    def __init__(self, tables: Tables, filled: Filled) -> None:
        self._tables = tables
        self._filled = filled
        self.lying: list[tuple[int, int, int]] = []
        """block, sector and number of set bits of the first that the batmap wrongly calls full"""
        self.lying_more = 0
        self.stale: list[Finding] = []
        self.empty = 0
        """blocks without a single sector at the end of the file, one behind the other"""
        self.empty_first = -1, 0
        """block and sector of the first of them"""
        self.last: tuple[int, int, bytes] | None = None
        """block, sector and bitmap of the last block in the file"""

    def go(self) -> None:
        """Walk."""
        tables, filled = self._tables, self._filled
        read, size = tables.source.read, tables.size
        bits = tables.bits if tables.has_batmap and tables.bits is not None else b""
        behind = 0
        bitmap, sector, block = _FULL, 0, -1
        for sector, block in tables.stored():
            # Overlapping blocks have findings of their own, and reading them again would read the source backwards.
            if sector < behind or (sector + 1 + _SECTORS) * SECTOR > size:
                continue
            behind = sector + 1 + _SECTORS
            place = sector * SECTOR
            stored = filled.any(place, behind * SECTOR)
            bitmap = read(place, SECTOR) if stored else _EMPTY
            if bitmap == _FULL:
                self.empty = 0
                continue
            self._note_empty(block, sector, bitmap)
            if block >> 3 < len(bits) and bits[block >> 3] & 0x80 >> (block & 7):
                self._note_lie(block, sector, bitmap)
            # Two MiB for each partial block, and none once enough is known.
            if stored and len(self.stale) < LISTED and filled.any(place + SECTOR, behind * SECTOR):
                self.stale += _stale(tables, block, sector, bitmap)
        if block >= 0:
            self.last = block, sector, bitmap

    def _note_empty(self, block: int, sector: int, bitmap: bytes) -> None:
        if bitmap != _EMPTY:
            self.empty = 0
            return
        if not self.empty:
            self.empty_first = block, sector
        self.empty += 1

    def _note_lie(self, block: int, sector: int, bitmap: bytes) -> None:
        if len(self.lying) < LISTED:
            self.lying.append((block, sector, int.from_bytes(bitmap, "big").bit_count()))
        else:
            self.lying_more += 1


def _word_lie(block: int, sector: int, present: int) -> Finding:
    place = sector * SECTOR
    return found("batmap.partial", offset=place, block=block, place=place, present=present, sectors=_SECTORS)


def _stale(tables: Tables, block: int, sector: int, bitmap: bytes) -> Iterator[Finding]:
    """The first run of cleared bits in a block under which data stands."""
    data = tables.source.read((sector + 1) * SECTOR, layout.BLOCK_SIZE)
    if data == _ZEROS:
        return
    flags = f"{int.from_bytes(bitmap, 'big'):04096b}"
    for run in _RUN.finditer(flags):
        start, end = run.start() * SECTOR, run.end() * SECTOR
        if not data.startswith(_ZEROS[: end - start], start):
            offset = (sector + 1) * SECTOR + start
            yield found("block.stale", offset=offset, block=block, first=run.start(), last=run.end() - 1)
            return


def _extended(tables: Tables, filled: Filled, walk: _Walk) -> Iterator[Finding]:
    """Judge whether the end of the file was cut off and put back as zeros, which vhd-util repair does unasked.

    Only where nothing else explains it. tapdisk sets a bit when it writes a sector, so a hole under a bit is strange
    unless the whole file was copied with holes for zeros. A block with all bits proves nothing: most programs, xenimage
    among them, set them all whatever they write.
    """
    if walk.last is None or tables.footer is None or not tables.footer.is_tap:
        return
    block, sector, bitmap = walk.last
    hole, before = filled.hole_at_end()
    place = sector * SECTOR
    first_empty, at = walk.empty_first
    # The cut leaves the rest of a unit of the file system as zeros that are no hole.
    if 0 < walk.empty < tables.allocated and before and hole <= at * SECTOR + TAIL:
        yield found("file.extended", "blocks", offset=hole, count=walk.empty, block=first_empty, hole=hole)
    elif bitmap != _FULL and before == 1 and place < hole < tables.data_end - SECTOR:
        first = -(-(hole - place - SECTOR) // SECTOR)
        bits = int.from_bytes(bitmap, "big") & ((1 << (_SECTORS - first)) - 1)
        if bits:
            yield found(
                "file.extended",
                offset=hole,
                block=block,
                first=first,
                last=_SECTORS - 1,
                hole=hole,
                missing=bits.bit_count(),
            )
