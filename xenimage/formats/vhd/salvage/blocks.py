"""The BAT of a damaged VHD: which entries lead to a block, and which blocks are lost.

An entry counts if its block lies in the file, over no table and over no other block. Of two blocks that overlap one is
kept: the aligned one in a file of aligned blocks, the one that the batmap calls full, else the lower number; both are
listed.
"""

from __future__ import annotations

import array
import dataclasses
from typing import TYPE_CHECKING

from xenimage.formats.vhd import layout
from xenimage.units import SECTOR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from xenimage.formats.vhd.salvage.headers import Found
    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource

BEHIND = "its BAT entry points behind the end of the file"
INSIDE = "its BAT entry points into the tables"
TAKEN = "its BAT entry names the place of another block"
SHARED = "kept, but the BAT entry of another block names the same place: it may be that one's data"
MISSING = "the BAT has no entry for it"
_ALIGNED = 7


@dataclasses.dataclass(frozen=True, kw_only=True)
class Blocks:
    """What the BAT says, as far as it can be believed."""

    header: layout.Header
    """with the place of the BAT and the size of blocks that were found to be right"""
    table: array.array[int]
    """the sector of each block's bitmap, or UNALLOCATED; as many as the size needs"""
    ordered: Sequence[int]
    """sector and block of all that count, in one number each, in file order"""
    lost: tuple[tuple[int, str], ...]
    """(block, why), ascending"""
    cut: tuple[int, ...]
    """blocks that the file's end cuts: the part in front of it counts"""
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Room:
    """Where blocks may stand."""

    source: ByteSource
    found: Found
    size: int
    data_end: int
    limits: Limits
    full: Callable[[int], bool]


def judge_blocks(
    source: ByteSource, found: Found, size: int, data_end: int, limits: Limits, full: Callable[[int], bool]
) -> Blocks | None:
    """Read the BAT and sort out its entries; None where there is no BAT that could be read.

    :param size: bytes of the disk.
    :param data_end: behind the last byte that a block may have.
    :param full: whether the batmap calls a block full; a hint.
    :raises LimitError: the BAT passes its limit.
    """
    room = _Room(source=source, found=found, size=size, data_end=data_end, limits=limits, full=full)
    stated = _judge(room, found.header)
    if stated is not None and not stated.lost and not stated.cut:
        return stated
    # Only a reading without any fault may replace what the header says.
    for header, note in _others(room, misplaced=stated is None):
        other = _judge(room, header)
        if other is not None and not other.lost and not other.cut:
            return dataclasses.replace(other, notes=(note,))
    return stated if found.exact or (stated is not None and not stated.lost) else None


def _others(room: _Room, *, misplaced: bool) -> Iterator[tuple[layout.Header, str]]:
    """Yield other readings of the header, with what is to be said of them."""
    header = room.found.header
    if misplaced:
        end = room.found.offset + layout.HEADER_SIZE
        for at in (end, end + SECTOR):
            note = f"the header puts the BAT at {header.table_offset:#x}; it was found at {at:#x}"
            yield dataclasses.replace(header, table_offset=at), note
    if header.block_size != layout.BLOCK_SIZE and header.max_entries == -(-room.size // layout.BLOCK_SIZE):
        note = f"the header says blocks of {header.block_size} bytes; the BAT is one of blocks of 2 MiB"
        yield dataclasses.replace(header, block_size=layout.BLOCK_SIZE), note


def _judge(room: _Room, header: layout.Header) -> Blocks | None:
    entries = _entries(room, header)
    if entries is None:
        return None
    places = sorted(sector << 32 | block for block, sector in enumerate(entries) if sector != layout.UNALLOCATED)
    room.limits.require("blocks", len(places), "the number of stored blocks")
    kept, lost = _sort_out(room, header, places, _tables(room, header, len(entries)))
    # What stands behind the end of a BAT is no entry unless it leads somewhere.
    lost = {block: why for block, why in lost.items() if block < header.max_entries}
    lost.update(dict.fromkeys(range(header.bat_size // 4, len(entries)), MISSING))
    table = array.array("I", [layout.UNALLOCATED]) * len(entries)
    for each in kept:
        table[each & 0xFFFFFFFF] = each >> 32
    span = header.bitmap_size + header.block_size
    cut = tuple(each & 0xFFFFFFFF for each in kept if (each >> 32) * SECTOR + span > room.data_end)
    return Blocks(header=header, table=table, ordered=kept, lost=tuple(sorted(lost.items())), cut=cut)


def _tables(room: _Room, header: layout.Header, entries: int) -> tuple[tuple[int, int], ...]:
    """(offset, length) of what no block may lie over."""
    return (
        (0, layout.FOOTER_SIZE),
        (room.found.offset, layout.HEADER_SIZE),
        (header.table_offset, 4 * entries),
    )


def _sort_out(
    room: _Room, header: layout.Header, places: Sequence[int], tables: tuple[tuple[int, int], ...]
) -> tuple[list[int], dict[int, str]]:
    """What counts of *places*, sector and block in one number each, in file order; and which blocks are lost, why."""
    span = header.bitmap_size + header.block_size
    inside = max(start + length for start, length in tables)
    aligned = 2 * sum((each >> 32) % 8 == _ALIGNED for each in places) > len(places)
    kept: list[int] = []
    lost: dict[int, str] = {}
    for each in places:
        block, start = each & 0xFFFFFFFF, (each >> 32) * SECTOR
        if start + header.bitmap_size + SECTOR > room.data_end:
            lost[block] = BEHIND
        elif start < inside and any(start < at + length and at < start + span for at, length in tables):
            lost[block] = INSIDE
        elif kept and start < (kept[-1] >> 32) * SECTOR + span:
            _settle(room, kept, each, lost, aligned=aligned)
        else:
            kept.append(each)
    return kept, lost


def _settle(room: _Room, kept: list[int], new: int, lost: dict[int, str], *, aligned: bool) -> None:
    """Decide which of two overlapping blocks is kept, the last one or the new one."""
    old = kept[-1]

    def rank(each: int) -> tuple[bool, bool, int]:
        block = each & 0xFFFFFFFF
        return (aligned and (each >> 32) % 8 != _ALIGNED, not room.full(block), block)

    winner, loser = (old, new) if rank(old) < rank(new) else (new, old)
    kept[-1] = winner
    lost[loser & 0xFFFFFFFF] = TAKEN
    lost[winner & 0xFFFFFFFF] = SHARED


def _entries(room: _Room, header: layout.Header) -> array.array[int] | None:
    """The entries that the size needs; those behind the end of the BAT that its padding has no room for are missing."""
    size, at = header.block_size, header.table_offset
    if size < SECTOR or size & (size - 1) or size > room.limits.cluster_size:
        return None
    needed = -(-room.size // size)
    room.limits.require("table_size", 4 * needed, "the size of the BAT in bytes")
    there = min(needed, header.bat_size // 4)
    header_at = room.found.offset
    apart = at >= header_at + layout.HEADER_SIZE or at + 4 * there <= header_at
    if at % SECTOR or at < SECTOR or at + 4 * there > room.source.size or not apart:
        return None
    table = layout.read_table(room.source.read(at, 4 * there))
    return table + array.array("I", [layout.UNALLOCATED]) * (needed - there)
