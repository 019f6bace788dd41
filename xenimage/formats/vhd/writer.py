"""A new VHD as blktap would have made it: where everything stands, and the bytes of its head and footer.

The layout is fixed by the virtual size alone: leading footer, header, BAT, batmap, then the stored blocks in order with
a stride of 4104 sectors, and the footer right behind the last. Every block begins at a sector congruent to 7 modulo 8,
the first at the lowest such place behind the head. tapdisk relies on it: beside a batmap it writes seven zero sectors
in front of a full block's bitmap, and anything that stood there would be lost.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from xenimage.formats.vhd import layout
from xenimage.formats.vhd.geometry import geometry
from xenimage.units import SECTOR, round_up

if TYPE_CHECKING:
    from collections.abc import Sequence

BITMAP = b"\xff" * SECTOR
"""of a stored block: every sector is present, those of zeros too, so readers that ignore bitmaps agree with the rest"""
GAP = 7 * SECTOR
"""unused bytes between the end of a block and the bitmap of the next"""
STRIDE = SECTOR + layout.BLOCK_SIZE + GAP


def first_block_offset(head_end: int) -> int:
    """Where blktap puts the first block of a disk whose head ends at *head_end*: its data then begins 4 KiB-aligned."""
    return round_up(head_end + SECTOR, 8 * SECTOR) - SECTOR


@dataclasses.dataclass(frozen=True, kw_only=True)
class NewVhd:
    """A dynamic VHD to be written. Sizes and offsets in bytes.

    :param virtual_size: a multiple of 2 MiB, at most ``layout.SIZE_MAX``.
    :param timestamp: Unix seconds, from 2000-01-01 on.
    """

    virtual_size: int
    timestamp: int

    def __post_init__(self) -> None:
        """Refuse what no VHD can express: the planner has rounded and bounded before."""
        if self.virtual_size % layout.BLOCK_SIZE or not 0 < self.virtual_size <= layout.SIZE_MAX:
            raise ValueError(f"no VHD can have {self.virtual_size} bytes")
        if not 0 <= self.timestamp - layout.EPOCH < 1 << 32:
            raise ValueError(f"no VHD can be of the time {self.timestamp}")

    @property
    def entries(self) -> int:
        """Entries of the BAT: exactly the blocks of the disk, since a resize would add to any surplus."""
        return self.virtual_size // layout.BLOCK_SIZE

    @property
    def _header(self) -> layout.Header:
        return layout.Header(max_entries=self.entries)

    @property
    def first_block(self) -> int:
        """Where the first stored block begins; from the end of the head up to it stand zeros."""
        return first_block_offset(self.head_size)

    @property
    def head_size(self) -> int:
        """Bytes of the head: all that stands in front of the blocks."""
        map_offset = self._header.batmap_offset + layout.BATMAP_HEADER_SIZE
        return map_offset + layout.batmap_sectors(self.entries) * SECTOR

    def footer_offset(self, stored: int) -> int:
        """Where the footer stands when *stored* blocks are: right behind the last, or behind the head."""
        return self.first_block + stored * STRIDE - GAP if stored else self.head_size

    def size(self, stored: int) -> int:
        """Bytes of the whole file with *stored* blocks."""
        return self.footer_offset(stored) + layout.FOOTER_SIZE

    def footer(self, uuid: bytes) -> bytes:
        """The footer, 512 bytes, the same at both places."""
        return layout.Footer(
            timestamp=self.timestamp - layout.EPOCH,
            original_size=self.virtual_size,
            current_size=self.virtual_size,
            geometry=geometry(self.virtual_size).packed,
            uuid=uuid,
        ).pack()

    def head(self, uuid: bytes, blocks: Sequence[int]) -> bytes:
        """All that stands in front of the blocks: leading footer, header, BAT, batmap.

        :param blocks: numbers of the stored blocks, in the order in which they are stored.
        """
        header = self._header
        first = self.first_block // SECTOR
        stride = STRIDE // SECTOR
        table = layout.pack_table(self.entries, ((block, first + k * stride) for k, block in enumerate(blocks)))
        return self.footer(uuid) + header.pack() + table + self._batmap(blocks)

    def _batmap(self, blocks: Sequence[int]) -> bytes:
        covered = layout.batmap_covered(self.virtual_size)
        size = layout.batmap_sectors(self.entries) * SECTOR
        bits = bytearray(size)
        for block in blocks:
            # Bits that the checksum does not cover stay 0: blktap rejects them, and a clear bit is always right.
            if block < covered * 8:
                bits[block >> 3] |= 0x80 >> (block & 7)
        header = layout.BatmapHeader(
            offset=self._header.batmap_offset + layout.BATMAP_HEADER_SIZE,
            sectors=size // SECTOR,
            checksum=layout.checksum(memoryview(bits)[:covered]),
        )
        return header.pack() + bits
