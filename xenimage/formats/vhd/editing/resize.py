"""Growing a VHD. No journal: every step leaves a sound disk, of the old size up to the last step.

The tables of a larger disk need more room. blktap moves blocks away and shifts everything behind the BAT, for which it
has to disable the disk and keep a journal. Here the new BAT and batmap are written beside the old ones, behind the
head, and one write of the header leads to them: before it the disk has its old tables, after it the new ones.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from xenimage.exceptions import UnsupportedError
from xenimage.formats.vhd import layout
from xenimage.formats.vhd.editing import bitmaps
from xenimage.formats.vhd.geometry import geometry
from xenimage.units import SECTOR, format_size, round_up

if TYPE_CHECKING:
    from xenimage.formats.vhd.editing.disk import EditableVhd


def grow(disk: EditableVhd, size: int) -> None:
    """Give the guest *size* bytes, rounded up to 2 MiB. The new part reads as zeros, or as the parent.

    :raises UnsupportedError: the disk is fixed, larger already, or would become too large; or it cannot be written.
    :raises TransferError: the file could not be written; the disk has its old size.
    """
    header = disk.dynamic_header
    size = round_up(size, layout.BLOCK_SIZE)
    if size < disk.footer.current_size:
        raise UnsupportedError(
            f"the disk has {format_size(disk.footer.current_size)}",
            expected=f"{format_size(size)} or less to grow from",
        )
    if size > layout.SIZE_MAX:
        raise UnsupportedError(f"{format_size(size)} are asked for", expected="2040 GiB at most")
    disk.require_room()
    if size == disk.footer.current_size:
        return
    _clear_behind(disk)
    if size // layout.BLOCK_SIZE > header.max_entries:
        _grow_tables(disk, size // layout.BLOCK_SIZE)
    disk.write_footers(dataclasses.replace(disk.footer, current_size=size, geometry=geometry(size).packed))


def _clear_behind(disk: EditableVhd) -> None:
    """Clear what is stored behind the disk's end, where nobody sees it yet: the guest would find old data there."""
    surplus = [block for block in range(disk.blocks, len(disk.table)) if disk.table[block] != layout.UNALLOCATED]
    known = [block for block in surplus if disk.clear_full(block)]
    if known:
        disk.write_batmap()
    disk.write_entries(dict.fromkeys(surplus, layout.UNALLOCATED))
    rest = -(-(disk.footer.current_size % layout.BLOCK_SIZE) // SECTOR)
    place = disk.table[disk.blocks - 1] if rest else layout.UNALLOCATED
    if place != layout.UNALLOCATED:
        zeros = bytes((bitmaps.SECTORS - rest) * SECTOR)
        disk.file.write((place + 1 + rest) * SECTOR, zeros)


def _grow_tables(disk: EditableVhd, entries: int) -> None:
    header = disk.dynamic_header
    larger = dataclasses.replace(header, max_entries=entries)
    if larger.bat_size == header.bat_size and _map_suffices(disk, entries):
        added = entries - header.max_entries
        disk.file.write(header.table_offset + 4 * header.max_entries, b"\xff" * (4 * added))
        disk.table.extend([layout.UNALLOCATED] * added)
        disk.write_header(larger)
        return
    _write_anew(disk, larger)


def _map_suffices(disk: EditableVhd, entries: int) -> bool:
    """Whether the batmap has room for *entries*, and nothing but zeros for those that are new."""
    if disk.batmap is None:
        return True
    if layout.batmap_sectors(entries) > disk.batmap.sectors:
        return False
    # Bits that the checksum does not cover now may be covered when the disk is larger.
    known = min(len(disk.table), 8 * layout.batmap_covered(disk.footer.current_size))
    return disk.bits[known >> 3 :] == _cut(disk.bits, known)[known >> 3 :]


def _cut(bits: bytearray, known: int) -> bytearray:
    """The batmap *bits* with nothing behind the first *known* of them."""
    cut = bytearray(bits[: -(-known // 8)])
    if known & 7:
        cut[known >> 3] &= 0xFF00 >> (known & 7) & 0xFF
    return cut.ljust(len(bits), b"\0")


def _write_anew(disk: EditableVhd, larger: layout.Header) -> None:
    """Write BAT and batmap for *larger* at another place, then the header that leads there."""
    sectors = layout.batmap_sectors(larger.max_entries) if disk.batmap else 0
    need = larger.bat_size + (layout.BATMAP_HEADER_SIZE + sectors * SECTOR if disk.batmap else 0)
    at = _place(disk, need)
    disk.reserve_head(max(disk.head_end, at + need))
    larger = dataclasses.replace(larger, table_offset=at)
    added = larger.max_entries - len(disk.table)
    table = disk.table + type(disk.table)("I", [layout.UNALLOCATED]) * added
    packed = layout.pack_table(larger.max_entries, ((k, sector) for k, sector in enumerate(table)))
    disk.file.write(at, packed)
    if disk.batmap is not None:
        known = min(len(disk.table), 8 * layout.batmap_covered(disk.footer.current_size))
        disk.bits = _cut(disk.bits, known)[: sectors * SECTOR].ljust(sectors * SECTOR, b"\0")
        disk.batmap = dataclasses.replace(
            disk.batmap, offset=larger.batmap_offset + layout.BATMAP_HEADER_SIZE, sectors=sectors
        )
        _write_batmap_at(disk, larger)
    disk.table = table
    disk.write_header(larger)


def _write_batmap_at(disk: EditableVhd, larger: layout.Header) -> None:
    if disk.batmap is None:
        return
    covered = memoryview(disk.bits)[: layout.batmap_covered(disk.footer.current_size)]
    disk.batmap = dataclasses.replace(disk.batmap, version=layout.BATMAP_VERSION, checksum=layout.checksum(covered))
    disk.file.write(larger.batmap_offset, disk.batmap.pack() + disk.bits)


def _place(disk: EditableVhd, need: int) -> int:
    """Where *need* bytes of tables go: in front of the present ones if an earlier growth left room, else behind."""
    header = disk.dynamic_header
    taken = [header.table_offset, *(each.data_offset for each in header.locators if each.code)]
    if disk.batmap is not None:
        taken.append(disk.batmap.offset)
    start = disk.footer.data_offset + layout.HEADER_SIZE
    return start if start + need <= min(taken) else disk.head_end
