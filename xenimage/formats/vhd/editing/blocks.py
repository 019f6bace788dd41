"""Writing the guest's data into a VHD: missing blocks are made, and bitmaps, BAT and batmap follow the data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.formats.vhd import layout
from xenimage.formats.vhd.editing import bitmaps
from xenimage.formats.vhd.editing.disk import BLOCK_SPAN
from xenimage.units import SECTOR

if TYPE_CHECKING:
    from xenimage.formats.vhd.editing.disk import EditableVhd

_BATCH = 64
"""blocks between two times of waiting for the device"""


class BlockWriter:
    """Collects writes into a dynamic or differencing disk. :meth:`finish` makes them all count.

    Data goes to the file at once, its bitmaps and BAT entries only after it is on the device, the batmap at the end. A
    guest's sector that was there before is overwritten in place.
    """

    def __init__(self, disk: EditableVhd) -> None:
        """Begin.

        :raises UnsupportedError: the disk is fixed, or writing would help tapdisk to damage it.
        """
        disk.dynamic_header  # noqa: B018 refuses a fixed disk
        disk.require_room()
        self._disk = disk
        self._fresh: dict[int, int] = {}
        self._bits: dict[int, int] = {}
        self._filled = False
        self._end = disk.data_end

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Write whole sectors of the guest from *offset* on, within the disk."""
        view = memoryview(data)
        if offset % SECTOR or len(view) % SECTOR or offset + len(view) > self._disk.blocks * layout.BLOCK_SIZE:
            raise ValueError(f"{len(view)} bytes at {offset} are no sectors of the disk")
        while view:
            block, within = divmod(offset, layout.BLOCK_SIZE)
            part = view[: layout.BLOCK_SIZE - within]
            self._put(block, within, part)
            offset, view = offset + len(part), view[len(part) :]

    def _put(self, block: int, within: int, data: memoryview) -> None:
        if block not in self._bits and len(self._bits) >= _BATCH:
            self.commit()
        self._disk.file.write((self._place(block) + 1) * SECTOR + within, data)
        start = within // SECTOR
        self._bits[block] = self._bits.get(block, 0) | bitmaps.mask(start, start + len(data) // SECTOR)

    def _place(self, block: int) -> int:
        sector = self._disk.table[block]
        if sector == layout.UNALLOCATED:
            sector = self._fresh.get(block, layout.UNALLOCATED)
        if sector == layout.UNALLOCATED:
            sector = self._fresh[block] = self._disk.allocate(self._end)
            self._end = sector * SECTOR + BLOCK_SPAN
        return sector

    def commit(self) -> None:
        """Make what was written so far count, except in the batmap, which may say less than there is."""
        if not self._bits:
            return
        file = self._disk.file
        file.sync()
        for block, added in self._bits.items():
            at = self._place(block) * SECTOR
            before = 0 if block in self._fresh else int.from_bytes(file.read(at, SECTOR))
            after = before | added
            if after != before:
                file.write(at, after.to_bytes(SECTOR))
            if after == bitmaps.FULL:
                self._filled |= self._disk.set_full(block)
        if self._fresh:
            file.sync()
            self._disk.write_entries(self._fresh)
        self._bits, self._fresh = {}, {}

    def finish(self) -> None:
        """Make all count, and leave the file as blktap would close it."""
        self.commit()
        if self._filled:
            self._disk.write_batmap()
        self._disk.write_footers(self._disk.footer)
