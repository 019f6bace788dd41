"""A chain that passes by once, flattened: the leaf comes first, so the first copy of a sector counts."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import re
from typing import TYPE_CHECKING

from xenimage.containers.bundle.forward import NotForwardError
from xenimage.engine.passes import in_order
from xenimage.units import SECTOR

if TYPE_CHECKING:
    from collections.abc import Callable

    from xenimage.containers.bundle.forward import Forward, ForwardVhd
    from xenimage.model.transfer import Progress

    Put = Callable[[int, bytearray, int, int], int]

_RUN = re.compile("1+")


@dataclasses.dataclass(kw_only=True)
class _Claims:
    """Which sectors were seen already: a number for each block that was seen in part, a name for each seen whole."""

    sectors: int
    """of a block"""
    whole: set[int] = dataclasses.field(default_factory=set)
    partial: dict[int, int] = dataclasses.field(default_factory=dict)

    def take(self, block: int, bits: int) -> int:
        """Claim sectors of a block, the first in the highest bit; return those that nobody had."""
        if block in self.whole:
            return 0
        before = self.partial.pop(block, 0)
        after = before | bits
        if after == (1 << self.sectors) - 1:
            self.whole.add(block)
        else:
            self.partial[block] = after
        return bits & ~before


def flatten(forward: Forward, size: int, jobs: int, progress: Progress, put: Put) -> int:
    """Hand all data of a bundle over, in the order in which it is stored; return the sum of what *put* returned.

    :param size: bytes of the disk; what lies behind it is left out.
    :param put: called in several threads with an offset, a buffer, and the range of the data in it, never twice for one
        sector; what it is not called for is zero.
    :raises NotForwardError: the bundle cannot be read in one pass.
    :raises FormatError: it is damaged.
    """
    block_size = forward.leaf.block_size
    claims = _Claims(sectors=block_size // SECTOR)
    stored = 0
    for layer in forward.layers():
        if layer.block_size != block_size:
            raise NotForwardError
        # Behind the end of a layer its child reads zeros: neither it nor those below it have anything to say there.
        size = min(size, layer.tables.virtual_size)
        stored += _Layer(layer, claims, size, put).pass_by(jobs, progress)
    return stored


class _Layer:
    """One VHD on its way past."""

    def __init__(self, vhd: ForwardVhd, claims: _Claims, size: int, put: Put) -> None:
        assert vhd.tables.header is not None
        self._vhd = vhd
        self._bitmap_size = vhd.tables.header.bitmap_size
        self._claims = claims
        self._size = size
        self._put = put
        self._buffers: collections.deque[bytearray] = collections.deque()

    def pass_by(self, jobs: int, progress: Progress) -> int:
        """Read all blocks in one thread, hand them over in others; bytes that were written."""
        blocks = self._vhd.in_file_order()
        block_size = self._vhd.block_size
        progress.start(self._vhd.member.name, block_size * len(blocks))
        stored = 0
        try:
            with (
                contextlib.closing(in_order(self._read, blocks, 1)) as read,
                contextlib.closing(in_order(self._hand_over, read, jobs)) as done,
            ):
                for count in done:
                    stored += count
                    progress.advance(block_size)
        finally:
            progress.stop()
        return stored

    def _read(self, place: tuple[int, int]) -> tuple[int, int, bytearray]:
        """Number, sectors to write, bitmap and data of the block at *place*."""
        sector, block = place
        try:
            buffer = self._buffers.pop()
        except IndexError:
            buffer = bytearray(self._bitmap_size + self._vhd.block_size)
        self._vhd.source.read_into(sector * SECTOR, memoryview(buffer))
        unused = 8 * self._bitmap_size - self._claims.sectors
        bits = int.from_bytes(memoryview(buffer)[: self._bitmap_size]) >> unused
        return block, self._claims.take(block, bits), buffer

    def _hand_over(self, item: tuple[int, int, bytearray]) -> int:
        block, bits, buffer = item
        start = block * self._vhd.block_size
        written = 0
        for run in _RUN.finditer(f"{bits:0{self._claims.sectors}b}"):
            low, high = run.start() * SECTOR, min(run.end() * SECTOR, self._size - start)
            if low < high:
                written += self._put(start + low, buffer, self._bitmap_size + low, self._bitmap_size + high)
        self._buffers.append(buffer)
        return written
