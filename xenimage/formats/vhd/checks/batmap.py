"""The batmap, and the sector bitmaps that it speaks of."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from xenimage.formats.vhd import layout
from xenimage.formats.vhd.checks.findings import bounded, found
from xenimage.units import SECTOR

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.formats.vhd.checks.tables import Tables
    from xenimage.model.finding import Finding

_VERSION_SIGNED = 0x00010001


def check_batmap(tables: Tables) -> Iterator[Finding]:
    """Judge the batmap's header, place, checksum and bits."""
    header, batmap, footer = tables.header, tables.batmap, tables.footer
    if header is None or footer is None:
        return
    at = header.batmap_offset
    if batmap is None:
        if tables.needs_batmap:
            offset = at if at < tables.size else None
            yield found("batmap.missing", offset=offset, place=at, creator=footer.creator_text)
        return
    if not tables.has_batmap:
        return
    if batmap.key_cookie:
        yield found("batmap.encrypted", offset=at + 29)
    yield from _check_place(tables, batmap, at)
    if batmap.version > layout.BATMAP_VERSION:
        yield found("batmap.version", offset=at + 20, version=batmap.version)
    if tables.bits is not None and batmap.sectors:
        yield from _check_bits(tables, batmap, tables.bits)


def _check_place(tables: Tables, batmap: layout.BatmapHeader, at: int) -> Iterator[Finding]:
    if tables.bits is None or batmap.offset < at + SECTOR or batmap.offset + batmap.sectors * SECTOR > tables.data_end:
        yield found(
            "batmap.offset",
            offset=at + 8,
            place=batmap.offset,
            sectors=batmap.sectors,
            expected=at + SECTOR,
            size=tables.size,
        )
    entries = tables.header.max_entries if tables.header else 0
    needed = layout.batmap_sectors(entries)
    if batmap.sectors < needed:
        case = "" if batmap.sectors else "zero"
        yield found("batmap.size", case, offset=at + 16, sectors=batmap.sectors, entries=entries, needed=needed)


def _check_bits(tables: Tables, batmap: layout.BatmapHeader, bits: bytes) -> Iterator[Finding]:
    size = tables.footer.current_size if tables.footer else 0
    covered = bits[: layout.batmap_covered(size)]
    expected = layout.checksum(covered)
    if batmap.version == _VERSION_SIGNED:
        # Version 1.1 added up signed characters.
        expected = (expected + 256 * sum(1 for byte in covered if byte > 127)) & 0xFFFFFFFF
    if batmap.checksum != expected:
        yield found("batmap.checksum", checksum=batmap.checksum, expected=expected, covered=layout.batmap_covered(size))
    if any(bits[len(covered) :]):
        yield found("batmap.uncovered", offset=batmap.offset + len(covered), covered=len(covered))
    yield from bounded(_word_unallocated, _unallocated(tables, bits))


def _set_bits(bits: bytes) -> Iterator[int]:
    for match in re.finditer(b"[^\0]", bits):
        byte = bits[match.start()]
        yield from (match.start() * 8 + bit for bit in range(8) if byte & 0x80 >> bit)


def _unallocated(tables: Tables, bits: bytes) -> Iterator[tuple[int]]:
    table = tables.bat
    if table is None:
        return
    for block in _set_bits(bits):
        if block >= len(table) or table[block] == layout.UNALLOCATED:
            yield (block,)


def _word_unallocated(block: int) -> Finding:
    return found("batmap.unallocated", block=block)
