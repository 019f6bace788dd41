"""The batmap, and the sector bitmaps that it speaks of."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from xenimage.formats.vhd import layout
from xenimage.formats.vhd.checks.findings import LISTED, bounded, error, warning
from xenimage.units import SECTOR

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.formats.vhd.checks.tables import Tables
    from xenimage.model.finding import Finding

_VERSION_SIGNED = 0x00010001
_BITMAP = b"\xff" * SECTOR
_ZEROS = bytes(layout.BLOCK_SIZE)
_RUN = re.compile("0+")
_NO_ATTACH = "vhd-util check fails and the read-write attach fails (-22); os-xenapi accepts the disk all the same"


def check_batmap(tables: Tables) -> Iterator[Finding]:
    """Judge the batmap's header, place, checksum and bits."""
    header, batmap, footer = tables.header, tables.batmap, tables.footer
    if header is None or footer is None:
        return
    at = header.batmap_offset
    if batmap is None:
        if tables.needs_batmap:
            yield error(
                "batmap.missing",
                f"no batmap ('tdbatmap') stands at {at:#x}, which the creator {footer.creator_text!r} promises",
                f"{_NO_ATTACH}; a resize fails with 'creating journal failed'",
                offset=at if at < tables.size else None,
            )
        return
    if not tables.has_batmap:
        return
    if batmap.key_cookie:
        yield error(
            "batmap.encrypted",
            "the disk is encrypted: its batmap carries the hash of a key",
            "without the key its content is noise, in any consumer",
            "Decrypt it where the key is: copy the disk inside XenServer.",
            at + 29,
        )
    yield from _check_place(tables, batmap, at)
    if batmap.version > layout.BATMAP_VERSION:
        yield error(
            "batmap.version",
            f"the batmap's version is {batmap.version:#010x}, expected {layout.BATMAP_VERSION:#010x}",
            _NO_ATTACH,
            offset=at + 20,
        )
    if tables.bits is not None and batmap.sectors:
        yield from _check_bits(tables, batmap, tables.bits)


def _check_place(tables: Tables, batmap: layout.BatmapHeader, at: int) -> Iterator[Finding]:
    if tables.bits is None or batmap.offset < at + SECTOR or batmap.offset + batmap.sectors * SECTOR > tables.data_end:
        yield error(
            "batmap.offset",
            f"the map stands at {batmap.offset:#x} with {batmap.sectors} sectors, expected {at + SECTOR:#x} inside"
            f" the file of {tables.size:#x} bytes",
            _NO_ATTACH,
            offset=at + 8,
        )
    entries = tables.header.max_entries if tables.header else 0
    needed = layout.batmap_sectors(entries)
    if batmap.sectors < needed:
        yield error(
            "batmap.size",
            f"the map has {batmap.sectors} sectors, {entries} blocks need {needed}",
            _NO_ATTACH if batmap.sectors else "vhd-util aborts, and tapdisk with it",
            offset=at + 16,
        )


def _check_bits(tables: Tables, batmap: layout.BatmapHeader, bits: bytes) -> Iterator[Finding]:
    size = tables.footer.current_size if tables.footer else 0
    covered = bits[: layout.batmap_covered(size)]
    expected = layout.checksum(covered)
    if batmap.version == _VERSION_SIGNED:
        # Version 1.1 added up signed characters.
        expected = (expected + 256 * sum(1 for byte in covered if byte > 127)) & 0xFFFFFFFF
    if batmap.checksum != expected:
        yield error(
            "batmap.checksum",
            f"the map has the checksum {batmap.checksum:#010x}, expected {expected:#010x}",
            f"{_NO_ATTACH}; the checksum covers the first {layout.batmap_covered(size)} bytes only",
        )
    if any(bits[len(covered) :]):
        yield error(
            "batmap.uncovered",
            f"bits are set behind the first {len(covered)} bytes, which the checksum covers",
            "blktap refuses the map or reads past its buffer",
            offset=batmap.offset + len(covered),
        )
    yield from bounded(_unallocated(tables, bits))


def _set_bits(bits: bytes) -> Iterator[int]:
    for match in re.finditer(b"[^\0]", bits):
        byte = bits[match.start()]
        yield from (match.start() * 8 + bit for bit in range(8) if byte & 0x80 >> bit)


def _unallocated(tables: Tables, bits: bytes) -> Iterator[Finding]:
    table = tables.bat
    if table is None:
        return
    for block in _set_bits(bits):
        if block >= len(table) or table[block] == layout.UNALLOCATED:
            yield error(
                "batmap.unallocated",
                f"the batmap calls block {block} full, which is not stored",
                "vhd-util check refuses the disk; os-xenapi accepts it, and tapdisk reads from a wrong place",
            )


def check_blocks(tables: Tables) -> Iterator[Finding]:
    """Judge the bitmaps of the stored blocks, read in file order, and the data of the partial ones."""
    header = tables.header
    if header is None or header.block_size != layout.BLOCK_SIZE:
        return
    lying: list[tuple[int, int, int]] = []
    stale: list[Finding] = []
    behind = 0
    for sector, block in tables.stored:
        # Overlapping blocks have findings of their own, and reading them again would read the source backwards.
        if sector < behind or not tables.inside(sector):
            continue
        behind = sector + 1 + layout.BLOCK_SIZE // SECTOR
        bitmap = tables.source.read(sector * SECTOR, SECTOR)
        if bitmap == _BITMAP:
            continue
        if tables.is_full(block):
            lying.append((block, sector, int.from_bytes(bitmap, "big").bit_count()))
        # Two MiB for each partial block, and none once enough is known.
        if len(stale) < LISTED and (found := _stale(tables, block, sector, bitmap)):
            stale.append(found)
    yield from bounded(_lie(*each) for each in lying)
    yield from stale


def _lie(block: int, sector: int, present: int) -> Finding:
    return error(
        "batmap.partial",
        f"the batmap calls block {block} full, its bitmap at {sector * SECTOR:#x} has {present} of 4096 sectors",
        "data of the parent is hidden or garbage exposed to the guest, and no check of any consumer sees it",
        "Clear the map and set its checksum to 0xffffffff, or write the VHD anew with xenimage.",
        sector * SECTOR,
    )


def _stale(tables: Tables, block: int, sector: int, bitmap: bytes) -> Finding | None:
    data = tables.source.read((sector + 1) * SECTOR, layout.BLOCK_SIZE)
    if data == _ZEROS:
        return None
    flags = f"{int.from_bytes(bitmap, 'big'):04096b}"
    for run in _RUN.finditer(flags):
        start, end = run.start() * SECTOR, run.end() * SECTOR
        if not data.startswith(_ZEROS[: end - start], start):
            return warning(
                "block.stale",
                f"block {block} holds data in sectors {run.start()} to {run.end() - 1}, which its bitmap calls absent",
                "blktap does not show it to the guest; qemu, Xen Orchestra and Cinder do",
                offset=(sector + 1) * SECTOR + start,
            )
    return None
