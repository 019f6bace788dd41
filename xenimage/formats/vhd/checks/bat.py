"""The block allocation table: where blocks stand, whether they meet, and whether tapdisk can write beside them."""

from __future__ import annotations

import functools
from itertools import pairwise
from typing import TYPE_CHECKING

from xenimage.formats.vhd import layout
from xenimage.formats.vhd.checks.findings import bounded, found
from xenimage.formats.vhd.writer import first_block_offset
from xenimage.units import SECTOR, format_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.formats.vhd.checks.tables import Tables
    from xenimage.model.finding import Finding

_PAGE = 7
"""sectors in front of a full block's bitmap that tapdisk overwrites with zeros"""


def check_bat(tables: Tables) -> Iterator[Finding]:
    """Judge the entries: each in the file, behind the tables, and apart from all others. Once over them for each."""
    if tables.header is None or tables.bat is None:
        return
    yield from bounded(functools.partial(_word_head, tables), _in_head(tables))
    yield from bounded(functools.partial(_word_end, tables), _past_end(tables, whole=True))
    yield from bounded(functools.partial(_word_end, tables), _past_end(tables, whole=False))
    yield from bounded(_word_pair, _meeting(tables, apart=False))
    yield from bounded(_word_pair, _meeting(tables, apart=True))
    yield from bounded(_word_surplus, _surplus(tables))


def _in_head(tables: Tables) -> Iterator[tuple[int, int]]:
    head_end = tables.head_end
    for sector, block in tables.stored():
        if sector * SECTOR >= head_end:
            return
        yield sector, block


def _word_head(tables: Tables, sector: int, block: int) -> Finding:
    place = sector * SECTOR
    return found("bat.head", offset=place, block=block, place=place, end=tables.head_end)


def _past_end(tables: Tables, *, whole: bool) -> Iterator[tuple[int, int]]:
    """Blocks that lie behind the end of the data as a *whole*, or those that only reach over it."""
    span, end = tables.block_sectors, tables.data_end
    for sector, block in tables.stored_backwards():
        if (sector + span) * SECTOR <= end:
            return
        if (sector * SECTOR >= end) is whole:
            yield sector, block


def _word_end(tables: Tables, sector: int, block: int) -> Finding:
    place, end = sector * SECTOR, tables.data_end
    if place >= end:
        offset = place if place < tables.size else None
        size = format_size(tables.block_size)
        return found("bat.end", offset=offset, block=block, place=place, end=end, size=size)
    block_end = place + tables.block_sectors * SECTOR
    return found("bat.truncated", offset=place, block=block, place=place, block_end=block_end, end=end)


def _meeting(tables: Tables, *, apart: bool) -> Iterator[tuple[int, int, int, int]]:
    """Neighbours in the file that share sectors: all of them, or where they begin *apart* from each other a part."""
    span = tables.block_sectors
    if tables.closest >= span:
        return
    for (sector, block), (next_sector, next_block) in pairwise(tables.stored()):
        if next_sector < sector + span and (next_sector != sector) is apart:
            yield sector, block, next_sector, next_block


def _word_pair(sector: int, block: int, next_sector: int, next_block: int) -> Finding:
    place, before = next_sector * SECTOR, sector * SECTOR
    if place == before:
        return found("bat.duplicate", offset=place, first=block, second=next_block, place=place)
    return found("bat.overlap", offset=place, first=block, second=next_block, place=place, before=before)


def _surplus(tables: Tables) -> Iterator[tuple[int, int]]:
    table = tables.bat if tables.bat is not None else ()
    for block in range(tables.blocks, len(table)):
        if table[block] != layout.UNALLOCATED:
            yield table[block], block


def _word_surplus(sector: int, block: int) -> Finding:
    return found("bat.surplus", block=block, place=sector * SECTOR)


def check_alignment(tables: Tables) -> Iterator[Finding]:
    """Judge the room in front of each block, where a batmap makes tapdisk write into it."""
    if tables.header is None or not tables.has_batmap:
        return
    yield from bounded(_word_packed, _packed(tables))
    if not tables.all_aligned:
        yield from bounded(_word_unaligned, (each for each in tables.stored() if (each[0] + 1) % 8))
    expected, first = first_block_offset(tables.head_end), tables.first_stored
    if first is not None and first * SECTOR > expected and (first + 1) % 8 == 0:
        yield found("block.first", offset=first * SECTOR, place=first * SECTOR, expected=expected)


def _packed(tables: Tables) -> Iterator[tuple[int, int, int, int]]:
    """Blocks with fewer than seven free sectors in front; the first may stand at its own place, which is known.

    Yields sector, block, the free sectors, and the block in front, -1 for the tables.
    """
    first, span = first_block_offset(tables.head_end) // SECTOR, tables.block_sectors
    before_end, before = -(-tables.head_end // SECTOR), -1
    for sector, block in tables.stored():
        free = sector - before_end
        if 0 <= free < _PAGE and sector != first:
            yield sector, block, free, before
        if tables.closest >= span + _PAGE:
            return
        before_end, before = sector + span, block


def _word_packed(sector: int, block: int, free: int, before: int) -> Finding:
    place, lost = sector * SECTOR, (_PAGE - free) * SECTOR
    neighbour = "the BAT or batmap" if before < 0 else f"block {before}"
    return found("block.packed", offset=place, block=block, place=place, free=free, lost=lost, before=neighbour)


def _word_unaligned(sector: int, block: int) -> Finding:
    return found("block.unaligned", offset=sector * SECTOR, block=block, place=sector * SECTOR)
