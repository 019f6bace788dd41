"""Mending what can be mended without guessing: the two footers, a null uuid, a batmap that nobody can use.

Never a truncated file: blktap's repair makes it longer, and what was lost reads as zeros from then on.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from xenimage.exceptions import FormatError
from xenimage.formats.vhd import layout
from xenimage.formats.vhd.editing.disk import EditableVhd, head_end, open_editable, read_batmap
from xenimage.formats.vhd.metadata import add_body, find_footer
from xenimage.units import SECTOR

if TYPE_CHECKING:
    from xenimage.formats.vhd.editing.disk import EditableSource
    from xenimage.limits import Limits

_BATMAP_FROM = 0x00010002


def repair(file: EditableSource, limits: Limits, new_uuid: bytes) -> None:
    """Write both footers anew from the one that counts, the last one right behind the data.

    :param new_uuid: taken if the disk has none.
    :raises FormatError: there is no sound footer, the tables are damaged, or the file is truncated.
    :raises UnsupportedError: a resize was interrupted that only its journal can undo, and the like.
    """
    _mend_batmap(file, limits)
    disk = open_editable(file, limits)
    footer = disk.footer
    if not any(footer.uuid):
        footer = dataclasses.replace(footer, uuid=new_uuid)
    if disk.header is None:
        _require_whole(disk)
    disk.write_footers(footer)


def _require_whole(disk: EditableVhd) -> None:
    if disk.file.size < disk.data_end + layout.FOOTER_SIZE - 1:
        raise FormatError("the fixed disk is truncated", expected=f"{disk.data_end} bytes of data")


def _mend_batmap(file: EditableSource, limits: Limits) -> None:
    """Where the batmap that the creator promises is unsound, and its place is free, write one of zeros.

    A map of zeros is always right: it says nothing. Bits come back as blocks are filled.
    """
    tables = find_footer(file)
    if tables.refusal is not None or tables.footer.type == layout.FIXED:
        return
    footer, tables = tables.footer, add_body(file, tables, limits)
    header = tables.header
    if tables.refusal is not None or header is None or not footer.is_tap or footer.creator_version < _BATMAP_FROM:
        return
    if read_batmap(file, footer, header, limits) is not None:
        return
    limits.require("table_size", 4 * header.max_entries, "the size of the BAT in bytes")
    sectors = layout.batmap_sectors(header.max_entries)
    at, map_at = header.batmap_offset, header.batmap_offset + layout.BATMAP_HEADER_SIZE
    end = map_at + sectors * SECTOR
    blocks = layout.read_table(file.read(header.table_offset, 4 * header.max_entries))
    lowest = min((sector * SECTOR for sector in blocks if sector != layout.UNALLOCATED), default=tables.data_end)
    slots = [each.data_offset for each in header.locators if each.code and each.data_offset + each.space > at]
    if end > min([lowest, tables.data_end, *slots]) or head_end(footer, header, None) > file.size:
        raise FormatError(
            "the batmap is missing or damaged", expected=f"room for a new one from {at:#x} to {end:#x}", where=file.name
        )
    old = tables.batmap
    batmap = layout.BatmapHeader(
        offset=map_at,
        sectors=sectors,
        checksum=layout.checksum(bytes(SECTOR)),
        marker=old.marker if old else 0,
    )
    file.write(map_at, bytes(sectors * SECTOR))
    file.sync()
    file.write(at, batmap.pack())
    file.sync()
