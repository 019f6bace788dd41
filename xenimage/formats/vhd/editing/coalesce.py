"""Writing what a child holds into its parent. The child is only read, so it looks the same all the time."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Protocol

from xenimage.exceptions import UnsupportedError
from xenimage.formats.vhd import layout
from xenimage.formats.vhd.editing import bitmaps
from xenimage.formats.vhd.editing.blocks import BlockWriter
from xenimage.formats.vhd.reader import open_vhd
from xenimage.units import SECTOR

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.formats.vhd.editing.disk import EditableSource, EditableVhd
    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource


class _Target(Protocol):
    def write(self, offset: int, data: bytes) -> None:
        """Write whole sectors."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Child:
    """A differencing disk, proven. Sizes in bytes."""

    source: ByteSource
    size: int
    stored: tuple[tuple[int, int], ...]
    """(block, sector of its bitmap) in order of the blocks"""

    def runs(self) -> Iterator[tuple[int, int, int]]:
        """Yield (offset in the disk, offset in the file, length) of all that the child holds, at most a block each."""
        for block, sector in self.stored:
            bits = int.from_bytes(self.source.read(sector * SECTOR, SECTOR))
            for start, stop in bitmaps.present(bits):
                offset = block * layout.BLOCK_SIZE + start * SECTOR
                length = min((stop - start) * SECTOR, self.size - offset)
                if length > 0:
                    yield offset, (sector + 1 + start) * SECTOR, length


def open_child(source: ByteSource, limits: Limits) -> Child:
    """Take *source* as a differencing disk whose data can be read.

    :raises FormatError: its tables break the format's rules.
    :raises UnsupportedError: it is of another type, encrypted, or has blocks of another size.
    """
    disk = open_vhd(source, limits)
    error = disk.unreadable()
    if error is not None:
        raise error
    if disk.header is None or disk.footer.type != layout.DIFFERENCING:
        raise UnsupportedError("is no differencing disk", expected="a child", where=source.name)
    if disk.header.block_size != layout.BLOCK_SIZE:
        found = f"the blocks have {disk.header.block_size} bytes"
        raise UnsupportedError(found, expected="2 MiB, for blktap works with no others", where=source.name)
    stored = tuple((block, disk.table[block]) for block in disk.tables.stored)
    return Child(source=source, size=disk.facts.virtual_size, stored=stored)


def coalesce(child: Child, parent: EditableVhd) -> int:
    """Write all sectors of *child* into *parent*; their number.

    Ended anywhere it can be run again: the parent has some of the sectors, the child all of them.

    :raises UnsupportedError: the child holds sectors behind the parent's end, or the parent cannot be written.
    :raises TransferError: a file failed.
    """
    _require_inside(child, parent.footer.current_size, parent.file.name)
    if parent.header is None:
        return _coalesce_linear(child, parent.file)
    writer = BlockWriter(parent)
    done = _copy(child, writer)
    writer.finish()
    return done


def coalesce_raw(child: Child, parent: EditableSource) -> int:
    """The same for a raw parent, which is written in place."""
    _require_inside(child, parent.size, parent.name)
    return _coalesce_linear(child, parent)


def _coalesce_linear(child: Child, file: EditableSource) -> int:
    done = _copy(child, file)
    file.sync()
    return done


def _require_inside(child: Child, size: int, name: str) -> None:
    """Look before anything is written. Only the last block can reach behind the end with some of its sectors."""
    for block, sector in reversed(child.stored):
        end = (block + 1) * layout.BLOCK_SIZE
        if end <= size:
            return
        bits = int.from_bytes(child.source.read(sector * SECTOR, SECTOR))
        behind = [stop for _, stop in bitmaps.present(bits)]
        last = min(child.size, block * layout.BLOCK_SIZE + behind[-1] * SECTOR) if behind else 0
        if last > size:
            raise UnsupportedError(
                f"its child holds data up to {last:#x}",
                expected=f"none behind {size:#x}, where it ends",
                where=name,
                tip="Grow the parent first: xenimage-vhd-util resize.",
            )


def _copy(child: Child, target: _Target) -> int:
    done = 0
    for offset, place, length in child.runs():
        target.write(offset, child.source.read(place, length))
        done += length
    return done // SECTOR
