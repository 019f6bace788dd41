"""Disks that may fail: whose failure it was, and what of them can be read nevertheless."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from xenimage.exceptions import FormatError, TransferError, XenimageError
from xenimage.formats.base import DiskView, clear, merged, within
from xenimage.formats.vhd.layout import BLOCK_SIZE
from xenimage.model.extent import Extent, Kind
from xenimage.model.report import LostRange
from xenimage.units import GIB, KIB, MIB, round_up

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.model.disk import Disk, DiskFacts

_TRIES = 1 << 16
"""reads of a damaged disk that may fail before what fails is given up as a whole: a dying device takes seconds each"""
_LEAST = 4 * KIB
"""bytes: the sector of today's devices, and the page that the kernel reads"""
_STEP_MAX = 1 * GIB
"""bytes: how far the look for the next sound table goes at once"""
_COMPACT = 4096
"""ranges, after which neighbours are joined"""


class Guarded(DiskView):
    """*disk*, whose failure is remembered: whoever writes a package can tell it from that of the output."""

    def __init__(self, disk: Disk) -> None:
        super().__init__(disk)
        self.failure: XenimageError | None = None

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """See :meth:`xenimage.model.disk.Disk.read_into`."""
        try:
            self._disk.read_into(offset, buffer)
        except XenimageError as error:
            self.failure = error
            raise

    def extents(self, offset: int, length: int) -> Iterator[Extent]:
        """See :meth:`xenimage.model.disk.Disk.extents`."""
        try:
            yield from self._disk.extents(offset, length)
        except XenimageError as error:
            self.failure = error
            raise

    def lost(self) -> tuple[LostRange, ...]:
        """Nothing: what cannot be read ends the work."""
        return ()


class Salvaged(Guarded):
    """*disk*, with zeros where it cannot be read. Which ranges that are is known when all was read.

    A range that fails is halved, down to what the format allocates or 4 KiB; after :data:`_TRIES` failures it is given
    up as a whole. Where a disk stands in a deflated stream nothing behind damage can be read: it is not halved.
    """

    def __init__(self, disk: Disk) -> None:
        super().__init__(disk)
        self._lock = threading.Lock()
        self._ranges: dict[int, tuple[int, str]] = {}
        self._tries = 0

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """See :meth:`xenimage.model.disk.Disk.read_into`. Damage is no error, but for what limits refuse."""
        within(self.facts.virtual_size, offset, len(buffer))
        try:
            super().read_into(offset, buffer)
        except (FormatError, TransferError) as error:
            self.failure = None
            self._rescue(offset, buffer, error)

    def _rescue(self, offset: int, buffer: memoryview, error: XenimageError) -> None:
        """Read the halves of a range that failed. Not deeper than a block can be halved."""
        length = len(buffer)
        self._tries += 1
        if length <= self._unit(error) or self._tries > _TRIES:
            clear(buffer)
            self._lose(offset, length, str(error))
            return
        half = min(round_up(offset + length // 2, _LEAST) - offset, length - 1)
        for start, part in ((offset, buffer[:half]), (offset + half, buffer[half:])):
            try:
                self._disk.read_into(start, part)
            except (FormatError, TransferError) as again:
                self._rescue(start, part, again)

    def _unit(self, error: XenimageError) -> int:
        """Bytes that are not worth halving."""
        if self.facts.sequential:
            return BLOCK_SIZE
        # A compressed cluster is whole or lost; the block of a VHD is plain data, and may lie there in part.
        broken = isinstance(error, FormatError) and self.facts.granularity <= MIB
        return max(_LEAST, self.facts.granularity) if broken else _LEAST

    def extents(self, offset: int, length: int) -> Iterator[Extent]:
        """See :meth:`xenimage.model.disk.Disk.extents`. Where the tables are damaged it is data: reading will tell."""
        within(self.facts.virtual_size, offset, length)
        return merged(self._known(offset, offset + length))

    def _known(self, start: int, stop: int) -> Iterator[tuple[int, int, Kind]]:
        step = BLOCK_SIZE
        while start < stop:
            try:
                for extent in self._disk.extents(start, stop - start):
                    yield extent.offset, extent.length, extent.kind
                    start, step = extent.end, BLOCK_SIZE
                return
            except (FormatError, TransferError):
                end = min(stop, round_up(start + 1, step))
                yield start, end - start, Kind.DATA
                # A table says nothing of gibibytes: they are not asked for one block after the other.
                start, step = end, min(2 * step, _STEP_MAX)

    # What is lost

    def _lose(self, offset: int, length: int, why: str) -> None:
        with self._lock:
            known = self._ranges.get(offset)
            if known is None or known[0] < offset + length:
                self._ranges[offset] = offset + length, why
            if len(self._ranges) % _COMPACT == 0:
                self._ranges = _joined(self._ranges)

    def lost(self) -> tuple[LostRange, ...]:
        """What could not be read and was given as zeros, ascending; neighbours are one range."""
        with self._lock:
            self._ranges = _joined(self._ranges)
            found = sorted(self._ranges.items())
        return tuple(LostRange(offset=start, length=stop - start, why=why) for start, (stop, why) in found)


def _joined(ranges: dict[int, tuple[int, str]]) -> dict[int, tuple[int, str]]:
    """Join what touches; the first says why."""
    joined: dict[int, tuple[int, str]] = {}
    last = -1
    for start, (stop, why) in sorted(ranges.items()):
        if last >= 0 and start <= joined[last][0]:
            joined[last] = max(stop, joined[last][0]), joined[last][1]
        else:
            joined[start] = stop, why
            last = start
    return joined


class Blank:
    """See :class:`xenimage.model.disk.Disk`: a disk without content."""

    def __init__(self, facts: DiskFacts) -> None:
        self.facts = facts

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """See :meth:`xenimage.model.disk.Disk.read_into`."""
        within(self.facts.virtual_size, offset, len(buffer))
        clear(buffer)

    def extents(self, offset: int, length: int) -> Iterator[Extent]:
        """See :meth:`xenimage.model.disk.Disk.extents`."""
        within(self.facts.virtual_size, offset, length)
        if length:
            yield Extent(offset, length, Kind.ZERO)

    def unreadable(self) -> None:
        """It can always be read."""

    def close(self) -> None:
        """Nothing is open."""
