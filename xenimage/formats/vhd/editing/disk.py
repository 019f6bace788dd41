"""A VHD that may be changed: its tables, proven like those of a disk that is read, and how each of them is written.

What each method leaves when it is ended anywhere is a disk that reads as before or as after it. The order is blktap's,
data before what leads to it, with one difference: the footer goes to the new end of the file before anything else does,
so the file always ends in a sound footer.
"""

from __future__ import annotations

import array
import dataclasses
import errno
import os
from typing import TYPE_CHECKING, Protocol

from xenimage.exceptions import FormatError, UnsupportedError
from xenimage.formats.vhd import layout
from xenimage.formats.vhd.metadata import add_body, find_footer
from xenimage.formats.vhd.writer import first_block_offset
from xenimage.model.disk import ByteSource
from xenimage.units import MIB, SECTOR, round_up

if TYPE_CHECKING:
    from xenimage.limits import Limits

BLOCK_SPAN = SECTOR + layout.BLOCK_SIZE
"""bytes of a stored block, its bitmap included"""
GAP = 7
"""sectors in front of a block's bitmap that tapdisk may overwrite where there is a batmap"""
_BATMAP_FROM = 0x00010002
_BATMAP_SIGNED = 0x00010001
_ZEROS = bytes(MIB)


class EditableSource(ByteSource, Protocol):
    """A :class:`~xenimage.model.disk.ByteSource` that can be written; each raises TransferError when it fails."""

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Write *data* at *offset*, behind the end too."""

    def resize(self, size: int) -> None:
        """Give the file *size* bytes."""

    def sync(self) -> None:
        """Return when all that was written is on the device."""


class EditableVhd:
    """An open VHD, its tables in memory as they stand in the file. Offsets in bytes, block places in sectors."""

    def __init__(self, file: EditableSource, footer: layout.Footer, header: layout.Header | None) -> None:
        self.file = file
        self.footer = footer
        self.header = header
        self.table: array.array[int] = array.array("I")
        """all entries of the BAT, those behind the disk's end too"""
        self.batmap: layout.BatmapHeader | None = None
        self.bits = bytearray()
        """the batmap"""

    @property
    def dynamic_header(self) -> layout.Header:
        """The header of a disk that has one.

        :raises UnsupportedError: it is a fixed disk.
        """
        if self.header is None:
            raise UnsupportedError("the disk is fixed", expected="a dynamic or differencing one", where=self.file.name)
        return self.header

    @property
    def blocks(self) -> int:
        """Blocks that the virtual size needs."""
        return -(-self.footer.current_size // layout.BLOCK_SIZE)

    @property
    def head_end(self) -> int:
        """End of all tables and locators, as blktap computes it."""
        return head_end(self.footer, self.dynamic_header, self.batmap)

    @property
    def data_end(self) -> int:
        """Where the last block ends, or the tables do: the footer's place."""
        if self.header is None:
            return round_up(self.footer.current_size, SECTOR)
        places = [sector for sector in self.table if sector != layout.UNALLOCATED]
        return max(self.head_end, max(places, default=0) * SECTOR + BLOCK_SPAN if places else 0)

    def write_footers(self, footer: layout.Footer) -> None:
        """Put *footer* behind the data, cut off what follows, and put its copy at the start."""
        self.file.sync()
        self._put_end(footer)
        self.file.sync()
        if footer.type != layout.FIXED:
            self.file.write(0, footer.pack())
            self.file.sync()
        self.footer = footer

    def _put_end(self, footer: layout.Footer) -> None:
        end = self.data_end
        self.file.write(end, footer.pack())
        if self.file.size != end + layout.FOOTER_SIZE:
            self.file.resize(end + layout.FOOTER_SIZE)

    def write_header(self, header: layout.Header) -> None:
        """Put *header* in place of the present one, after all that was written before it is safe."""
        self.file.sync()
        self.file.write(self.footer.data_offset, header.pack())
        self.file.sync()
        self.header = header

    def write_entries(self, entries: dict[int, int]) -> None:
        """Change entries of the BAT: {block: sector}. Each one is written as a whole or not at all."""
        at = self.dynamic_header.table_offset
        for block, sector in sorted(entries.items()):
            self.file.write(at + 4 * block, sector.to_bytes(4))
            self.table[block] = sector

    def allocate(self, end: int) -> int:
        """Make room for a block, all zeros, with the footer behind it; its sector.

        The caller enters it into the BAT when its content is written.

        :param end: what stands in the file, blocks that are not yet in the BAT included, ends here.
        :raises UnsupportedError: the file would become larger than the BAT can say; the cause is an OSError.
        """
        start = first_block_offset(end)
        if (start + BLOCK_SPAN) // SECTOR >= layout.UNALLOCATED:
            raise UnsupportedError(
                f"no room for a block at {start:#x}", expected="a file below 2 TiB", where=self.file.name
            ) from OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        before = self.file.size
        self.file.write(start + BLOCK_SPAN, self.footer.pack())
        self._clear(end, min(before, start + BLOCK_SPAN))
        return start // SECTOR

    def reserve_head(self, end: int) -> None:
        """Make room for tables up to *end*: no block stands there or too near behind, and the footer is beyond."""
        first = first_block_offset(end)
        crowded = [
            (sector, block)
            for block, sector in enumerate(self.table)
            if sector != layout.UNALLOCATED and sector * SECTOR < (first if self.batmap else end)
        ]
        for _, block in sorted(crowded):
            self._move(block, max(self.data_end, end))
        if self.data_end < end:
            self.file.write(end, self.footer.pack())
            self.file.sync()

    def _clear(self, start: int, stop: int) -> None:
        for at in range(start, stop, len(_ZEROS)):
            self.file.write(at, memoryview(_ZEROS)[: min(stop, at + len(_ZEROS)) - at])

    def _move(self, block: int, end: int) -> None:
        """Put a stored block behind *end*."""
        place = self.allocate(end)
        old = self.table[block] * SECTOR
        for at in range(0, BLOCK_SPAN, MIB):
            part = self.file.read(old + at, min(MIB, BLOCK_SPAN - at))
            self.file.write(place * SECTOR + at, part)
        self.file.sync()
        self.write_entries({block: place})
        self.file.sync()

    def write_batmap(self) -> None:
        """Write the batmap as it is in :attr:`bits`."""
        if self.batmap is None:
            return
        covered = memoryview(self.bits)[: layout.batmap_covered(self.footer.current_size)]
        self.batmap = dataclasses.replace(self.batmap, version=layout.BATMAP_VERSION, checksum=layout.checksum(covered))
        self.file.sync()
        self.file.write(self.batmap.offset, self.bits)
        self.file.write(self.dynamic_header.batmap_offset, self.batmap.pack())
        self.file.sync()

    def set_full(self, block: int) -> bool:
        """Note in :attr:`bits` that all sectors of *block* are present; whether that changes the batmap."""
        at, bit = block >> 3, 0x80 >> (block & 7)
        if self.batmap is None or at >= layout.batmap_covered(self.footer.current_size) or self.bits[at] & bit:
            return False
        self.bits[at] |= bit
        return True

    def clear_full(self, block: int) -> bool:
        """Note in :attr:`bits` that sectors of *block* are missing; whether that changes the batmap."""
        at, bit = block >> 3, 0x80 >> (block & 7)
        if self.batmap is None or at >= len(self.bits) or not self.bits[at] & bit:
            return False
        self.bits[at] &= ~bit & 0xFF
        return True

    def require_room(self) -> None:
        """Refuse a disk whose blocks tapdisk would damage: with a batmap it writes in front of a full block's bitmap.

        :raises UnsupportedError: blocks are packed or not aligned, and there is a batmap.
        """
        crowded = None if self.batmap is None else crowded_block(self.table, self.head_end)
        if crowded is not None:
            raise UnsupportedError(
                f"block {crowded} stands at {self.table[crowded] * SECTOR:#x}, too near to what is in front of it",
                expected="7 free sectors before each block, and its data on 4 KiB, since the disk has a batmap",
                where=self.file.name,
                tip="Write the disk anew: xenimage disk convert OLD.vhd NEW.vhd --format vhd.",
            )

    def close(self) -> None:
        """Close the file."""
        self.file.close()


def head_end(footer: layout.Footer, header: layout.Header, batmap: layout.BatmapHeader | None) -> int:
    """End of all that stands in front of the blocks, as blktap computes it; *batmap* only if blktap would use it."""
    ends = [footer.data_offset + layout.HEADER_SIZE, header.table_offset + header.bat_size]
    ends += [each.data_offset + each.space for each in header.locators if each.code]
    if batmap is not None:
        ends += [header.batmap_offset + layout.BATMAP_HEADER_SIZE, batmap.offset + batmap.sectors * SECTOR]
    return round_up(max(ends), SECTOR)


def crowded_block(table: array.array[int], end_of_head: int) -> int | None:
    """A block beside which tapdisk would overwrite something if there is a batmap; None where all is well.

    Full blocks get a page written in front of their bitmap, except the one at the first place behind the head.
    """
    first, free_from = first_block_offset(end_of_head) // SECTOR, end_of_head // SECTOR
    ordered = sorted(sector << 32 | block for block, sector in enumerate(table) if sector != layout.UNALLOCATED)
    for item in ordered:
        sector = item >> 32
        if (sector + 1) % 8 or (sector != first and sector - free_from < GAP):
            return item & 0xFFFFFFFF
        free_from = sector + BLOCK_SPAN // SECTOR
    return None


def open_editable(file: EditableSource, limits: Limits) -> EditableVhd:
    """Take *file* as a VHD that may be changed. The caller closes *file* if this raises.

    :raises FormatError: its tables break the rules of the format or of blktap.
    :raises UnsupportedError: encrypted, poisoned, of a kind that is not written here.
    :raises LimitError: a number passes its limit.
    """
    tables = find_footer(file)
    limits.require("virtual_size", tables.virtual_size, "the virtual size of the VHD")
    if tables.refusal is None:
        tables = add_body(file, tables, limits)
    if tables.refusal is not None:
        raise tables.refusal()
    disk = EditableVhd(file, tables.footer, tables.header)
    if tables.header is not None:
        _add_tables(disk, tables.header, limits)
    return disk


def _add_tables(disk: EditableVhd, header: layout.Header, limits: Limits) -> None:
    if header.block_size != layout.BLOCK_SIZE:
        raise UnsupportedError(
            f"the blocks have {header.block_size} bytes", expected="2 MiB, for blktap works with no others"
        )
    limits.require("table_size", 4 * header.max_entries, "the size of the BAT in bytes")
    disk.table = layout.read_table(disk.file.read(header.table_offset, 4 * header.max_entries))
    _add_batmap(disk, header, limits)
    end = disk.file.size
    if disk.head_end > end or disk.data_end > end:
        raise FormatError(
            f"tables or blocks go up to {max(disk.head_end, disk.data_end):#x}",
            expected=f"their end within the file of {end} bytes",
            tip="The file is incomplete: fetch it again.",
        )
    lowest = min((sector for sector in disk.table if sector != layout.UNALLOCATED), default=disk.head_end // SECTOR)
    if lowest * SECTOR < disk.head_end:
        raise FormatError(
            f"a block stands at {lowest * SECTOR:#x}",
            expected=f"none in front of {disk.head_end:#x}, where the tables and locators end",
        )


def _add_batmap(disk: EditableVhd, header: layout.Header, limits: Limits) -> None:
    footer = disk.footer
    if not footer.is_tap:
        return
    needed = footer.creator_version >= _BATMAP_FROM
    found = read_batmap(disk.file, footer, header, limits)
    if found is None and needed:
        raise FormatError(
            "the batmap is missing or damaged",
            expected=f"a sound one, which the creator {footer.creator_text!r} promises",
            tip="Mend it: xenimage-vhd-util repair -n FILE.",
        )
    if found is not None:
        disk.batmap, disk.bits = found


def read_batmap(
    source: ByteSource, footer: layout.Footer, header: layout.Header, limits: Limits
) -> tuple[layout.BatmapHeader, bytearray] | None:
    """The batmap and its bits; None where blktap would refuse it."""
    at = header.batmap_offset
    if at + layout.BATMAP_HEADER_SIZE > source.size:
        return None
    try:
        batmap = layout.BatmapHeader.parse(source.read(at, layout.BATMAP_HEADER_SIZE))
    except FormatError:
        return None
    covered, size = layout.batmap_covered(footer.current_size), batmap.sectors * SECTOR
    placed = batmap.offset >= at + SECTOR and batmap.offset % SECTOR == 0 and batmap.offset + size <= source.size
    if not placed or size > limits.table_size or size < covered or size * 8 < header.max_entries:
        return None
    if batmap.version > layout.BATMAP_VERSION:
        return None
    bits = bytearray(source.read(batmap.offset, size))
    return (batmap, bits) if batmap.checksum == batmap_checksum(batmap.version, bits[:covered]) else None


def batmap_checksum(version: int, covered: bytes | bytearray) -> int:
    """The checksum over the part of the map that counts; version 1.1 added up signed characters."""
    total = layout.checksum(covered)
    if version == _BATMAP_SIGNED:
        total += 256 * len(covered.translate(None, bytes(range(128))))
    return total & 0xFFFFFFFF
