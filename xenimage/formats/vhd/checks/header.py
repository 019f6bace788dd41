"""The dynamic header, the creator, and the sizes that follow from both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.formats.vhd import layout
from xenimage.formats.vhd.checks.findings import found
from xenimage.formats.vhd.checks.tables import BATMAP_FROM, entries_max, is_block_size
from xenimage.units import SECTOR, format_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.formats.vhd.checks.tables import Tables
    from xenimage.limits import Limits
    from xenimage.model.finding import Finding

_FORMAT_0_1 = 0x00000001


def check_creator(tables: Tables) -> Iterator[Finding]:
    """Judge whether blktap takes the disk for its own, and what follows from that."""
    footer = tables.footer
    if footer is None or footer.type == layout.FIXED:
        return
    at, creator = tables.footer_at + 28, footer.creator_text
    if not footer.is_tap:
        yield found("creator.foreign", offset=at, creator=creator)
        return
    if footer.creator != layout.TAP:
        yield found("creator.space", offset=at, raw=footer.creator)
    if footer.creator_version > layout.TAP_VERSION:
        yield found("creator.new", offset=at, creator=creator)
    elif footer.creator_version <= _FORMAT_0_1:
        yield found("creator.old", offset=at, creator=creator)
    elif footer.creator_version < BATMAP_FROM and not tables.has_batmap:
        yield found("creator.no_batmap", offset=at, creator=creator)


def check_sizes(tables: Tables) -> Iterator[Finding]:
    """Judge the virtual size."""
    footer, at = tables.footer, tables.footer_at + 48
    if footer is None:
        return
    size = footer.current_size
    if size == 0:
        yield found("size.zero", offset=at)
    elif size > layout.SIZE_MAX:
        yield found("size.max", offset=at, size=size, shown=format_size(size))
    if size % SECTOR:
        yield found("size.sector", offset=at, size=size)
    if footer.type == layout.FIXED:
        needed = size + layout.FOOTER_SIZE
        if tables.size != needed:
            yield found("file.length", size=tables.size, disk=size, needed=needed)
        return
    if footer.original_size > size:
        yield found("size.original", offset=tables.footer_at + 40, original=footer.original_size, size=size)
    if size % layout.BLOCK_SIZE:
        yield found("size.multiple", offset=at, size=size)
    blocks = -(-size // layout.BLOCK_SIZE)
    if blocks > 4096 and 1 <= blocks % 4096 <= 7:
        # A batmap with bits or a length that such a size makes wrong is an error of its own.
        yield found("size.residue", offset=at, blocks=blocks, more=blocks % 4096)


def check_header(tables: Tables, limits: Limits) -> Iterator[Finding]:
    """Judge the dynamic header."""
    footer, header = tables.footer, tables.header
    if footer is None or footer.type == layout.FIXED:
        return
    at = footer.data_offset
    if header is None:
        yield found("header.missing", offset=at if at < tables.size else None, place=at)
        return
    if not header.sound:
        yield found("header.checksum", offset=at + 36, checksum=header.checksum)
    if header.data_offset != layout.NO_OFFSET:
        yield found("header.data_offset", offset=at + 8, place=header.data_offset)
    if header.version != layout.FORMAT_VERSION:
        yield found("header.version", offset=at + 24, version=header.version)
    if header.block_size != layout.BLOCK_SIZE:
        case = "" if is_block_size(header.block_size) else "refused"
        yield found("header.block_size", case, offset=at + 32, size=header.block_size)
    yield from _check_reserved(header, at)
    yield from _check_table(tables, header, at, limits)


def _check_reserved(header: layout.Header, at: int) -> Iterator[Finding]:
    if header.reserved1 or any(header.reserved2[1:]):
        yield found("header.reserved", offset=at + 60 if header.reserved1 else at + 768)
    elif header.reserved2[0]:
        yield found("header.reserved", "unseen", offset=at + 768)


def _check_table(tables: Tables, header: layout.Header, at: int, limits: Limits) -> Iterator[Finding]:
    start, end = header.table_offset, header.table_offset + header.bat_size
    entries, blocks = header.max_entries, tables.blocks
    if start % SECTOR or start < at + layout.HEADER_SIZE or end > tables.data_end:
        yield found("header.table_offset", offset=at + 16, start=start, end=end, size=tables.size)
    if entries > entries_max(limits):
        yield found("bat.limit", offset=at + 28, entries=entries, most=entries_max(limits))
    if entries < blocks:
        yield found("bat.short", offset=at + 28, entries=entries, blocks=blocks)
    elif entries > blocks:
        surplus = format_size((entries - blocks) * tables.block_size)
        yield found("bat.long", offset=at + 28, entries=entries, blocks=blocks, surplus=surplus)
