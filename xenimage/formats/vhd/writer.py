"""A new VHD as blktap would have made it: where everything stands, and the bytes of its head and footer.

The layout is fixed by kind and virtual size alone: leading footer, header, BAT, batmap, in a differencing disk three
parent locators, then the stored blocks in order with a stride of 4104 sectors, and the footer right behind the last.
Every block begins at a sector congruent to 7 modulo 8, the first at the lowest such place behind the head. tapdisk
relies on it: beside a batmap it writes seven zero sectors in front of a full block's bitmap, and anything that stood
there would be lost.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from xenimage.formats.vhd import layout, locators
from xenimage.formats.vhd.geometry import geometry
from xenimage.units import SECTOR, round_up

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

BITMAP = b"\xff" * SECTOR
"""of a stored block: every sector is present, those of zeros too, so readers that ignore bitmaps agree with the rest"""
GAP = 7 * SECTOR
"""unused bytes between the end of a block and the bitmap of the next"""
STRIDE = SECTOR + layout.BLOCK_SIZE + GAP
_LOCATORS = len(locators.WRITTEN) * SECTOR


def first_block_offset(head_end: int) -> int:
    """Where blktap puts the first block of a disk whose head ends at *head_end*: its data then begins 4 KiB-aligned."""
    return round_up(head_end + SECTOR, 8 * SECTOR) - SECTOR


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parent:
    """Where a differencing disk says that its parent is."""

    name: str
    """bare file name, ASCII"""
    timestamp: int
    """Unix seconds: when the parent's file was last modified"""
    path: str = ""
    """with slashes, from the child's directory, where the parent does not lie in it"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class NewVhd:
    """A dynamic VHD to be written, or with a *parent* a differencing one. Sizes and offsets in bytes.

    :param virtual_size: a multiple of 2 MiB, at most ``layout.SIZE_MAX``.
    :param timestamp: Unix seconds, from 2000-01-01 on.
    :param hidden: whether the disk is no leaf: XenServer then shows it to nobody, and collects it with its last child.
    """

    virtual_size: int
    timestamp: int
    parent: Parent | None = None
    hidden: bool = False

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
    def _tables_end(self) -> int:
        """First byte behind the batmap: where the locators' data stands."""
        map_offset = self._header.batmap_offset + layout.BATMAP_HEADER_SIZE
        return map_offset + layout.batmap_sectors(self.entries) * SECTOR

    @property
    def first_block(self) -> int:
        """Where the first stored block begins; from the end of the head up to it stand zeros."""
        return first_block_offset(self.head_size)

    @property
    def head_size(self) -> int:
        """Bytes of the head: all that stands in front of the blocks."""
        return self._tables_end + (_LOCATORS if self.parent else 0)

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
            type=layout.DIFFERENCING if self.parent else layout.DYNAMIC,
            uuid=uuid,
            hidden=int(self.hidden),
        ).pack()

    def head(
        self, uuid: bytes, blocks: Sequence[int], *, partial: Collection[int] = (), parent_uuid: bytes = bytes(16)
    ) -> bytes:
        """All that stands in front of the blocks: leading footer, header, BAT, batmap, locators.

        :param blocks: numbers of the stored blocks, in the order in which they are stored.
        :param partial: those of them whose bitmap is not all ones.
        :param parent_uuid: of the parent, in a differencing disk.
        """
        first = self.first_block // SECTOR
        stride = STRIDE // SECTOR
        table = layout.pack_table(self.entries, ((block, first + k * stride) for k, block in enumerate(blocks)))
        header, paths = self._header, b""
        if self.parent:
            slots, paths = locators.encode_locators(self.parent.path or self.parent.name, self._tables_end)
            header = dataclasses.replace(
                header,
                parent_uuid=parent_uuid,
                parent_timestamp=self.parent.timestamp - layout.EPOCH,
                parent_name=locators.encode_name(self.parent.name),
                locators=slots,
            )
        return self.footer(uuid) + header.pack() + table + self._batmap(blocks, partial) + paths

    def _batmap(self, blocks: Sequence[int], partial: Collection[int]) -> bytes:
        covered = layout.batmap_covered(self.virtual_size)
        size = layout.batmap_sectors(self.entries) * SECTOR
        bits = bytearray(size)
        for block in blocks:
            # Bits that the checksum does not cover stay 0: blktap rejects them, and a clear bit is always right.
            if block < covered * 8:
                bits[block >> 3] |= 0x80 >> (block & 7)
        for block in partial:
            bits[block >> 3] &= ~(0x80 >> (block & 7))
        header = layout.BatmapHeader(
            offset=self._header.batmap_offset + layout.BATMAP_HEADER_SIZE,
            sectors=size // SECTOR,
            checksum=layout.checksum(memoryview(bits)[:covered]),
        )
        return header.pack() + bits
