"""The block allocation table: where blocks stand, whether they meet, and whether tapdisk can write beside them."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from xenimage.formats.vhd import layout
from xenimage.formats.vhd.checks.findings import RETRANSFER, bounded, error, info, warning
from xenimage.formats.vhd.writer import first_block_offset
from xenimage.units import SECTOR

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.formats.vhd.checks.tables import Tables
    from xenimage.model.finding import Finding

_BLOCK = 1 + layout.BLOCK_SIZE // SECTOR
_PAGE = 7
"""sectors in front of a full block's bitmap that tapdisk overwrites with zeros"""
_ACCEPTED = "vhd-util check refuses the disk; os-xenapi accepts it all the same, and the data is wrong"


def check_bat(tables: Tables) -> Iterator[Finding]:
    """Judge the entries: each in the file, behind the tables, and apart from all others."""
    if tables.header is None or tables.bat is None:
        return
    for check in (_in_head, _past_end, _duplicates, _overlaps, _surplus):
        yield from bounded(check(tables))


def _in_head(tables: Tables) -> Iterator[Finding]:
    head_end = tables.head_end
    for sector, block in tables.stored:
        if sector * SECTOR >= head_end:
            return
        yield error(
            "bat.head",
            f"block {block} stands at {sector * SECTOR:#x}, inside the tables, which end at {head_end:#x}",
            _ACCEPTED,
            RETRANSFER,
            sector * SECTOR,
        )


def _past_end(tables: Tables) -> Iterator[Finding]:
    for sector, block in reversed(tables.stored):
        start, end = sector * SECTOR, (sector + _BLOCK) * SECTOR
        if end <= tables.data_end:
            return
        if start >= tables.data_end:
            yield error(
                "bat.end",
                f"block {block} stands at {start:#x}, behind the end of the data at {tables.data_end:#x}",
                f"{_ACCEPTED}: its {layout.BLOCK_SIZE >> 20} MiB are lost",
                RETRANSFER,
                start if start < tables.size else None,
            )
        else:
            yield error(
                "bat.truncated",
                f"block {block} goes from {start:#x} to {end:#x}, the data ends at {tables.data_end:#x}",
                "the file is truncated or the footer stands in the block: vhd-util repair and os-xenapi fill the rest"
                " with zeros",
                RETRANSFER,
                start,
            )


def _duplicates(tables: Tables) -> Iterator[Finding]:
    for (sector, block), (next_sector, next_block) in pairwise(tables.stored):
        if sector == next_sector:
            yield error(
                "bat.duplicate",
                f"blocks {block} and {next_block} stand at the same place, {sector * SECTOR:#x}",
                f"{_ACCEPTED}: a write to one changes the other, and XAPI loses one of them",
                RETRANSFER,
                sector * SECTOR,
            )


def _overlaps(tables: Tables) -> Iterator[Finding]:
    for (sector, block), (next_sector, next_block) in pairwise(tables.stored):
        if sector < next_sector < sector + _BLOCK:
            yield error(
                "bat.overlap",
                f"block {next_block} at {next_sector * SECTOR:#x} begins inside block {block} at {sector * SECTOR:#x}",
                f"{_ACCEPTED}: a write to one changes the other",
                RETRANSFER,
                next_sector * SECTOR,
            )


def _surplus(tables: Tables) -> Iterator[Finding]:
    for block, sector in enumerate(tables.bat or ()):
        if block >= tables.blocks and sector != layout.UNALLOCATED:
            yield warning(
                "bat.surplus",
                f"block {block} is stored at {sector * SECTOR:#x}, the disk ends before it",
                "nobody reads it now; after a resize old data appears in the guest",
            )


def check_alignment(tables: Tables) -> Iterator[Finding]:
    """Judge the room in front of each block, where a batmap makes tapdisk write into it."""
    if tables.header is None or not tables.has_batmap:
        return
    yield from bounded(_packed(tables))
    yield from bounded(_unaligned(tables))
    stored = tables.stored
    first = first_block_offset(tables.head_end)
    if stored and stored[0][0] * SECTOR > first and (stored[0][0] + 1) % 8 == 0:
        yield info(
            "block.first",
            f"the first block stands at {stored[0][0] * SECTOR:#x}, blktap would put it at {first:#x}",
            "a resize leaves such gaps; they are harmless",
            offset=stored[0][0] * SECTOR,
        )


def _packed(tables: Tables) -> Iterator[Finding]:
    """Blocks with fewer than seven free sectors in front; the first may stand at its own place, which is known."""
    first = first_block_offset(tables.head_end) // SECTOR
    before_end, before = -(-tables.head_end // SECTOR), "the BAT or batmap"
    for sector, block in tables.stored:
        free = sector - before_end
        if 0 <= free < _PAGE and sector != first:
            yield error(
                "block.packed",
                f"{free} sectors are free in front of block {block} at {sector * SECTOR:#x}, expected 7",
                f"a guest write at the start of block {block} will destroy {(_PAGE - free) * SECTOR} bytes of"
                f" {before}, and no check of any consumer sees it",
                "Do not attach the disk for writing. Write it anew: convert it with xenimage.",
                sector * SECTOR,
            )
        before_end, before = sector + _BLOCK, f"block {block}"


def _unaligned(tables: Tables) -> Iterator[Finding]:
    for sector, block in tables.stored:
        if (sector + 1) % 8:
            yield error(
                "block.unaligned",
                f"block {block} stands at {sector * SECTOR:#x}: its data does not begin on 4 KiB",
                "with a batmap tapdisk writes whole pages of 4 KiB around the bitmap, over what stands there",
                "Do not attach the disk for writing. Write it anew: convert it with xenimage.",
                sector * SECTOR,
            )
