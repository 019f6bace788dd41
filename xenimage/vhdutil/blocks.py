"""What ``check`` asks of the BAT, the batmap and the blocks.

Upstream compares each block with each other one, and stops before a last partial block; here the blocks are sorted,
and all are looked at. It never asks whether tapdisk has room beside the blocks, nor whether the batmap says more than
the bitmaps do: both lose data later, and both are faults here.
"""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING

from xenimage.formats.vhd import layout
from xenimage.formats.vhd.editing import bitmaps
from xenimage.formats.vhd.editing.disk import BLOCK_SPAN, batmap_checksum, crowded_block
from xenimage.units import SECTOR, round_up
from xenimage.vhdutil import rules
from xenimage.vhdutil.terminal import INVALID, UtilError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.vhdutil.image import Image

_SPAN = BLOCK_SPAN // SECTOR
_ZEROS = bytes(layout.BLOCK_SIZE)


def check_table(image: Image, *, overlaps: bool) -> None:
    """Check where the blocks stand.

    :raises UtilError: the first fault, in the order of the blocks.
    """
    size = image.tables.size
    if size % SECTOR not in (0, SECTOR - 1):
        raise UtilError(f"invalid file size: 0x{size:x}")
    try:
        stored = image.stored()
    except UtilError as error:
        raise UtilError(f"error reading bat: -{error.status}", error.status) from None
    head = _head_end(image) // SECTOR
    end = (round_up(size, SECTOR) - layout.FOOTER_SIZE) // SECTOR
    places = sorted(sector for _, sector in stored) if overlaps else []
    for block, sector in stored:
        if sector < head:
            raise UtilError(f"block {block} (offset 0x{sector:x}) clobbers headers")
        if sector + _SPAN > end:
            raise UtilError(f"block {block} (offset 0x{sector:x}) clobbers footer")
        if overlaps:
            _require_alone(block, sector, places, stored)


def _head_end(image: Image) -> int:
    batmap = image.tables.batmap
    if image.wants_batmap and batmap is not None and image.header is not None:
        # Of the two that upstream aborts on or writes itself, the name says more than a number does.
        covered = layout.batmap_covered(image.footer.current_size)
        fault = rules.batmap_fault(batmap, image.header.max_entries, covered, image.tables.size)
        if fault in ("invalid size zero", "invalid batmap size"):
            raise UtilError(f"batmap is invalid: {fault}")
    try:
        return image.head_end()
    except UtilError as error:
        raise UtilError(f"error calculating end of metadata: -{error.status}", error.status) from None


def _require_alone(block: int, sector: int, places: list[int], stored: list[tuple[int, int]]) -> None:
    index = bisect.bisect_left(places, sector)
    near = places[max(0, index - 1) : index + 2]
    if sum(abs(other - sector) < _SPAN for other in near) < 2:  # itself is one of them
        return
    for other, place in stored:
        if other != block and abs(place - sector) < _SPAN:
            raise UtilError(f"block {block} (offset 0x{sector:x}) clobbers block {other} (offset 0x{place:x})")


def check_batmap(image: Image) -> None:
    """Check the batmap, and what tapdisk will do because of it.

    :raises UtilError: the first fault.
    """
    batmap, bits = image.batmap()
    header = image.header
    if header is None:
        return
    covered = layout.batmap_covered(image.footer.current_size)
    fault = rules.batmap_fault(batmap, header.max_entries, covered, image.tables.size)
    if not fault and batmap.checksum != batmap_checksum(batmap.version, bits[:covered]):
        fault = "invalid checksum"
    if fault:
        raise UtilError(f"batmap is invalid: {fault}")
    table = image.table()
    for block, sector in enumerate(table):
        if _is_set(bits, block) and sector == layout.UNALLOCATED:
            raise UtilError(f"batmap shows unallocated block {block} full")
    for block, sector, found in _bitmaps(image):
        if _is_set(bits, block) and found != bitmaps.FULL:
            raise UtilError(f"batmap is invalid: block {block} (offset 0x{sector:x}) is not full")
    _check_room(image)


def _check_room(image: Image) -> None:
    bat = image.tables.bat
    crowded = None if bat is None else crowded_block(bat[: image.tables.blocks], image.head_end())
    if bat is not None and crowded is not None:
        place = f"block {crowded} (offset 0x{bat[crowded]:x})"
        raise UtilError(f"alignment is invalid: with a batmap, writes to {place} destroy what stands before it")


def _is_set(bits: bytearray, block: int) -> bool:
    return block >> 3 < len(bits) and bool(bits[block >> 3] & 0x80 >> (block & 7))


def _bitmaps(image: Image) -> Iterator[tuple[int, int, int]]:
    """Yield (block, sector, bitmap as a number) in file order."""
    source = image.tables.source
    for block, sector in sorted(image.stored(), key=lambda item: item[1]):
        yield block, sector, int.from_bytes(source.read(sector * SECTOR, SECTOR))


def check_cleared(image: Image) -> None:
    """Look for data where the bitmap says that there is none: programs that ignore bitmaps would show it.

    :raises UtilError: the first such sector.
    """
    for block, sector, bits in _bitmaps(image):
        if bits == bitmaps.FULL:
            continue
        data = image.tables.source.read((sector + 1) * SECTOR, layout.BLOCK_SIZE)
        for start, stop in bitmaps.absent(bits):
            part = data[start * SECTOR : stop * SECTOR]
            if part != _ZEROS[: len(part)]:
                bad = start + (len(part) - len(part.lstrip(b"\0"))) // SECTOR
                raise UtilError(f"sector 0x{bad:x} of block 0x{block:x} has data where bitmap is clear", INVALID)


def statistics(image: Image) -> str:
    """How much is allocated, and how much of it was written."""
    counts = [bits.bit_count() for _, _, bits in _bitmaps(image)]
    allocated, written = len(counts) * bitmaps.SECTORS, sum(counts)
    share = 100 * written / allocated if allocated else 0.0
    return f"{image.name}: secs allocated: 0x{allocated:x} secs written: 0x{written:x} ({share:.2f}%)"
