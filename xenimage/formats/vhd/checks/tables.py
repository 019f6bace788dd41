"""All tables of a VHD, read as far as they can be: what is missing or senseless is None, and its check says so."""

from __future__ import annotations

import array
import dataclasses
import functools
import itertools
import operator
from typing import TYPE_CHECKING

from xenimage.exceptions import FormatError
from xenimage.formats.vhd import layout
from xenimage.units import KIB, SECTOR

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource

TAIL = 64 * KIB
"""bytes at the end of the file in which a footer is looked for"""
BATMAP_FROM = 0x00010002
"""the creator version of tap from which on blktap demands a batmap"""
_BATMAP_PROBED = 0x00000001
ENTRIES_MAX = 1 << 22
"""entries of a BAT that are read: 2040 GiB in blocks of 512 KiB, the smallest that a program writes, need fewer"""
_POWERS = frozenset(SECTOR << k for k in range(13))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tables:
    """What could be read. Offsets and sizes in bytes."""

    source: ByteSource
    end_raw: bytes
    """the sector where the footer belongs: the last 512 bytes of the file, or 511 of them"""
    end: layout.Footer | None
    """the footer in it"""
    behind: int
    """bytes that follow a sound footer which is not at the end of the file; 0 where none was found"""
    front_raw: bytes
    front: layout.Footer | None
    footer: layout.Footer | None
    """the one that counts, chosen as blktap does"""
    footer_at: int
    """where it stands"""
    header: layout.Header | None = None
    bat: array.array[int] | None = None
    """all entries; None where the table is not in the file or too large"""
    batmap: layout.BatmapHeader | None = None
    batmap_end: int = 0
    """end of the batmap, or 0 where there is none"""
    bits: bytes | None = None
    """the batmap's bits, as many sectors as it says; None where they cannot be read"""

    @property
    def size(self) -> int:
        """Of the file."""
        return self.source.size

    @property
    def data_end(self) -> int:
        """First byte that no block may touch: where the last footer stands or belongs."""
        odd = self.size % SECTOR
        return self.size - self.behind - (odd if odd == SECTOR - 1 and not self.behind else SECTOR)

    @property
    def blocks(self) -> int:
        """Blocks that the virtual size needs; 0 without a footer."""
        return -(-self.footer.current_size // self.block_size) if self.footer else 0

    @property
    def block_size(self) -> int:
        """Bytes of a block, where the header has a size that can be one."""
        return self.header.block_size if self.header and is_block_size(self.header.block_size) else layout.BLOCK_SIZE

    @property
    def bitmap_sectors(self) -> int:
        """Sectors of the bitmap in front of each block."""
        return -(-self.block_size // SECTOR // 8 // SECTOR) or 1

    @property
    def block_sectors(self) -> int:
        """Sectors of a block with its bitmap."""
        return self.bitmap_sectors + self.block_size // SECTOR

    @property
    def needs_batmap(self) -> bool:
        """Whether blktap refuses to attach the disk for writing without a batmap."""
        return self.footer is not None and self.footer.is_tap and self.footer.creator_version >= BATMAP_FROM

    @property
    def has_batmap(self) -> bool:
        """Whether blktap uses a batmap: then the alignment of blocks is a matter of life and death."""
        if self.footer is None or not self.footer.is_tap or self.footer.creator_version <= _BATMAP_PROBED:
            return False
        return self.batmap is not None and (self.needs_batmap or self.batmap.version <= layout.BATMAP_VERSION)

    @property
    def head_end(self) -> int:
        """End of all tables, as blktap computes it."""
        ends = [layout.FOOTER_SIZE]
        if self.header and self.footer:
            ends = [self.footer.data_offset + layout.HEADER_SIZE, self.header.batmap_offset]
            if self.footer.type == layout.DIFFERENCING:
                places = (each.data_offset + each.space for each in self.header.locators if each.code)
                # One that points outside the file has a finding of its own; it must not make a finding of each block.
                ends += [end for end in places if end <= self.data_end]
            if self.has_batmap:
                ends.append(self.batmap_end)
        return max(ends)

    @functools.cached_property
    def _ordered(self) -> array.array[int]:
        # Sector and block in one number: an eighth of the memory that pairs take, and order without a key.
        table = self.bat[: self.blocks] if self.bat is not None else ()
        return array.array(
            "Q", sorted(sector << 32 | block for block, sector in enumerate(table) if sector != layout.UNALLOCATED)
        )

    @functools.cached_property
    def allocated(self) -> int:
        """Number of the stored blocks that the virtual size covers."""
        table = self.bat[: self.blocks] if self.bat is not None else array.array("I")
        return len(table) - table.count(layout.UNALLOCATED)

    def stored(self) -> Iterator[tuple[int, int]]:
        """(sector of its bitmap, number) of the stored blocks that the virtual size covers, in file order."""
        return ((each >> 32, each & 0xFFFFFFFF) for each in self._ordered)

    def stored_backwards(self) -> Iterator[tuple[int, int]]:
        """As :meth:`stored`, from the end of the file on."""
        return ((each >> 32, each & 0xFFFFFFFF) for each in reversed(self._ordered))

    @property
    def first_stored(self) -> int | None:
        """Sector of the first block in the file; None where no block is stored."""
        return self._ordered[0] >> 32 if self._ordered else None

    @functools.cached_property
    def closest(self) -> int:
        """Sectors from the start of a stored block to the next in the file, where they are fewest."""
        gaps = map(operator.sub, itertools.islice(self._ordered, 1, None), self._ordered)
        # The blocks' numbers, in the lower half, can only disturb what is below a sector.
        return (min(gaps, default=1 << 64) + (1 << 31)) >> 32

    @functools.cached_property
    def all_aligned(self) -> bool:
        """Whether the data of every stored block begins on 4 KiB: its bitmap's sector ends in three ones."""
        return functools.reduce(operator.and_, self._ordered, -1) >> 32 & 7 == 7

    def is_full(self, block: int) -> bool:
        """Whether the batmap calls *block* full."""
        if not self.has_batmap or self.bits is None or block >> 3 >= len(self.bits):
            return False
        return bool(self.bits[block >> 3] & 0x80 >> (block & 7))


def read_tables(source: ByteSource, limits: Limits) -> Tables:
    """Read the tables of a VHD, whatever state it is in. A few small reads, from the start of the file on."""
    tables = _read_footers(source)
    footer = tables.footer
    if footer is None or footer.type == layout.FIXED:
        return tables
    raw = _read(source, footer.data_offset, layout.HEADER_SIZE)
    header = _parse_header(raw)
    if header is None:
        return tables
    tables = dataclasses.replace(tables, header=header)
    if header.max_entries > entries_max(limits) or header.table_offset % SECTOR:
        return tables
    raw = _read(source, header.table_offset, 4 * header.max_entries)
    if raw is not None:
        tables = dataclasses.replace(tables, bat=layout.read_table(raw))
    return _with_batmap(tables, header, limits)


def _read(source: ByteSource, offset: int, length: int) -> bytes | None:
    return source.read(offset, length) if offset + length <= source.size else None


def _parse_footer(data: bytes) -> layout.Footer | None:
    try:
        return layout.Footer.parse(data) if len(data) >= SECTOR - 1 else None
    except FormatError:
        return None


def _parse_header(data: bytes | None) -> layout.Header | None:
    try:
        return layout.Header.parse(data) if data else None
    except FormatError:
        return None


def _read_footers(source: ByteSource) -> Tables:
    front_raw = source.read(0, min(source.size, SECTOR))
    front = _parse_footer(front_raw)
    tail = source.read(max(0, source.size - TAIL), min(source.size, TAIL))
    end_raw = tail[-SECTOR:]
    end = _parse_footer(end_raw)
    if end is None and source.size % SECTOR == SECTOR - 1 and tail[1 - SECTOR :][:8] == layout.FOOTER_COOKIE:
        end_raw = tail[1 - SECTOR :]
        end = _parse_footer(end_raw)
    behind = 0
    if end is None and (found := _find_footer(tail, front)):
        behind = len(tail) - found - SECTOR
        end_raw = tail[found:][:SECTOR]
        end = _parse_footer(end_raw)
    chosen, at = _choose(end, front, source.size - behind - len(end_raw))
    return Tables(
        source=source,
        end_raw=end_raw,
        end=end,
        behind=behind,
        front_raw=front_raw,
        front=front,
        footer=chosen,
        footer_at=at,
    )


def _find_footer(tail: bytes, front: layout.Footer | None) -> int:
    """Where a sound footer of the same disk stands in the last bytes of the file; 0 if nowhere."""
    stop = len(tail)
    while (at := tail.rfind(layout.FOOTER_COOKIE, 0, stop)) > 0:
        footer = _parse_footer(tail[at : at + SECTOR])
        # The uuid, because a guest's own data may hold a VHD.
        if footer and footer.sound and (front is None or not front.sound or footer.uuid == front.uuid):
            return at
        stop = at
    return 0


def _choose(end: layout.Footer | None, front: layout.Footer | None, end_at: int) -> tuple[layout.Footer | None, int]:
    if end and end.sound:
        return end, end_at
    if front and front.sound:
        return front, 0
    return (front, 0) if front else (end, end_at)


def _with_batmap(tables: Tables, header: layout.Header, limits: Limits) -> Tables:
    raw = _read(tables.source, header.batmap_offset, layout.BATMAP_HEADER_SIZE)
    try:
        batmap = layout.BatmapHeader.parse(raw) if raw else None
    except FormatError:
        batmap = None
    if batmap is None:
        return tables
    size = batmap.sectors * SECTOR
    bits = None
    if batmap.offset % SECTOR == 0 and batmap.offset > 0 and size <= limits.table_size:
        bits = _read(tables.source, batmap.offset, size)
    return dataclasses.replace(
        tables,
        batmap=batmap,
        batmap_end=max(header.batmap_offset + layout.BATMAP_HEADER_SIZE, 0 if bits is None else batmap.offset + size),
        bits=bits,
    )


def entries_max(limits: Limits) -> int:
    """Entries of a BAT that are read."""
    return min(limits.table_size // 4, ENTRIES_MAX)


def is_block_size(size: int) -> bool:
    """Whether blktap opens a disk with blocks of *size* bytes: a power of two of sectors, at most 2 MiB."""
    return size in _POWERS
