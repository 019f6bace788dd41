"""A damaged VHD as a disk that can be read, and the list of what is not there any more.

What is lost reads as zeros, or in a differencing disk as the parent's older data. The strict reader
(:mod:`xenimage.formats.vhd.reader`) refuses such files; this one is for repair alone.
"""

from __future__ import annotations

import array
import dataclasses
import re
from typing import TYPE_CHECKING

from xenimage.exceptions import FormatError, XenimageError
from xenimage.formats.vhd import describe, layout
from xenimage.formats.vhd.bodies import Blocks
from xenimage.formats.vhd.checks.tables import read_tables
from xenimage.formats.vhd.metadata import Tables, encryption_error, read_batmap, shown_blocks
from xenimage.formats.vhd.reader import VhdDisk
from xenimage.formats.vhd.salvage.blocks import judge_blocks
from xenimage.formats.vhd.salvage.footers import choose_footer
from xenimage.formats.vhd.salvage.headers import find_header
from xenimage.model.extent import Kind
from xenimage.model.report import LostRange
from xenimage.units import SECTOR, round_up

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.formats.vhd.checks.tables import Tables as Found
    from xenimage.formats.vhd.salvage.blocks import Blocks as Judged
    from xenimage.formats.vhd.salvage.footers import Chosen
    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource

CUT = "the file ends before it"
_LIVE = b"\xc7" * SECTOR
_PRESENT = re.compile("1+")


class _CutBlocks(Blocks):
    """Blocks of which the file's end may cut some: a sector behind it does not exist."""

    def __init__(self, source: ByteSource, header: layout.Header, tables: Tables, missing: Kind) -> None:
        super().__init__(source, header, tables, missing)
        self._data_end = tables.data_end

    def _read_bits(self, block: int) -> str:
        bits = super()._read_bits(block)
        return bits if self._there(block) >= self._sectors else bits[: self._there(block)].ljust(self._sectors, "0")

    def _there(self, block: int) -> int:
        """Sectors of the block's data in front of the file's end."""
        return (self._data_end - self._table[block] * SECTOR - self._bitmap_size) // SECTOR

    def cut_off(self, block: int) -> Iterator[tuple[int, int]]:
        """Yield (offset, length) of the guest's ranges whose sectors exist by the bitmap, but not in the file."""
        start = block * self._block_size
        for run in _PRESENT.finditer(super()._read_bits(block), self._there(block)):
            yield start + run.start() * SECTOR, (run.end() - run.start()) * SECTOR


class SalvagedDisk(VhdDisk):
    """See :class:`xenimage.model.disk.Disk`. What was lost, and what had to be decided, is known without reading."""

    def __init__(self, source: ByteSource, tables: Tables, notes: tuple[str, ...], judged: Judged | None) -> None:
        super().__init__(source, tables)
        self.notes = notes
        """what had to be decided about it, a sentence each"""
        self.lost: tuple[LostRange, ...] = ()
        """what is missing or in doubt, in order"""
        size = tables.virtual_size
        if tables.header is None or judged is None:
            if tables.data_end < size:
                self.lost = (LostRange(offset=tables.data_end, length=size - tables.data_end, why=CUT),)
            return
        missing = Kind.ABSENT if tables.footer.type == layout.DIFFERENCING else Kind.ZERO
        self._body = body = _CutBlocks(source, tables.header, tables, missing)
        span = tables.header.block_size
        found = [(block * span, span, why) for block, why in judged.lost]
        found += [(offset, length, CUT) for block in judged.cut for offset, length in body.cut_off(block)]
        self.lost = tuple(_merged(sorted(found), size))


def _merged(found: list[tuple[int, int, str]], size: int) -> Iterator[LostRange]:
    """Put neighbours of one reason together, and cut what stands behind the disk's end."""
    last: LostRange | None = None
    for offset, whole, why in found:
        length = min(whole, size - offset)
        if last is not None and (last.offset + last.length, last.why) == (offset, why):
            last = dataclasses.replace(last, length=last.length + length)
            continue
        if last is not None:
            yield last
        last = LostRange(offset=offset, length=length, why=why) if length > 0 else None
    if last is not None:
        yield last


def open_salvaged(source: ByteSource, limits: Limits, *, size: int | None = None) -> SalvagedDisk:
    """Take *source* as a VHD, whatever state it is in; reads its tables, never its data.

    :param size: bytes that the disk shall have, where the footers are not to be believed.
    :raises FormatError: too little is left of it to say what it was.
    :raises UnsupportedError: a resize was interrupted, it is encrypted, or of tap 0.1.
    :raises LimitError: the size or the BAT passes its limit.
    """
    try:
        return _open(source, limits, size)
    except XenimageError as error:
        raise error if error.where.startswith(source.name) else error.within(source.name) from error.__cause__


def _open(source: ByteSource, limits: Limits, size: int | None) -> SalvagedDisk:
    tables = read_tables(source, limits)
    fixed = tables.footer is not None and tables.footer.sound and tables.footer.type == layout.FIXED
    found = None if fixed else find_header(source, tables.footer.data_offset if tables.footer else None, limits)
    chosen = choose_footer(tables, found.header if found else None, found.offset if found else 0, size)
    footer = chosen.footer
    known = Tables(footer=footer, footer_offset=chosen.offset or 0, data_end=_data_end(tables, chosen), findings=())
    limits.require("virtual_size", known.virtual_size, "the virtual size of the VHD")
    if footer.type == layout.FIXED:
        return SalvagedDisk(source, known, chosen.notes, None)
    judged = (
        None
        if found is None
        else judge_blocks(source, found, known.virtual_size, known.data_end, limits, tables.is_full)
    )
    if found is None or judged is None:
        raise FormatError(
            "no header and BAT were found that fit each other",
            expected="'cxsparse' where the footer says or at 0x200, and a BAT whose blocks lie in the file",
            tip="Without them nobody knows where the blocks belong: take the file from a backup.",
        )
    header = judged.header
    # Where the header was found counts for the size of the tables, not where the footer says.
    footer = dataclasses.replace(footer, data_offset=found.offset)
    batmap = read_batmap(source, footer, header)
    if batmap is not None and batmap.key_cookie == 1:
        raise encryption_error()
    known = dataclasses.replace(
        known,
        footer=footer,
        header=header,
        table=judged.table,
        stored=array.array("I", sorted(each & 0xFFFFFFFF for each in judged.ordered)),
        shown=shown_blocks(source, header, judged.ordered),
        batmap=batmap,
        parent=describe.parent(source, header) if footer.type == layout.DIFFERENCING else None,
    )
    return SalvagedDisk(source, known, (*found.notes, *judged.notes, *chosen.notes), judged)


def _data_end(tables: Found, chosen: Chosen) -> int:
    """Where the last block may end: in front of what is a footer, sound or not, else at the end of the file."""
    size = tables.size
    if tables.end is not None or is_live(tables):
        return size - tables.behind - len(tables.end_raw)
    if chosen.footer.type == layout.FIXED:
        return size - SECTOR
    return size


def is_live(tables: Found) -> bool:
    """Whether the end looks as tapdisk leaves it while a host has the disk attached."""
    return tables.end_raw == _LIVE


def whole_size(disk: SalvagedDisk) -> int:
    """Bytes that the file needs so that no block is cut, the footer not counted."""
    tables = disk.tables
    if tables.header is None:
        return round_up(tables.virtual_size, SECTOR)
    head = max(tables.footer.data_offset + layout.HEADER_SIZE, tables.header.batmap_offset)
    span = tables.header.bitmap_size + tables.header.block_size
    return max([head, *(tables.table[block] * SECTOR + span for block in tables.stored)])
