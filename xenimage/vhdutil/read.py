"""``read``: tables as text, and the guest's data through the chain."""

from __future__ import annotations

import errno
import sys
from typing import TYPE_CHECKING

from xenimage.formats.overlay import Overlay
from xenimage.formats.raw import RawDisk
from xenimage.formats.vhd import layout
from xenimage.formats.vhd.editing import bitmaps
from xenimage.formats.vhd.reader import open_vhd
from xenimage.limits import STRICT
from xenimage.sources.file import open_file
from xenimage.units import MIB, SECTOR
from xenimage.vhdutil.dump import decimal, table_lines
from xenimage.vhdutil.image import ancestors, open_image
from xenimage.vhdutil.terminal import Options, UtilError, warn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from xenimage.model.disk import Disk
    from xenimage.vhdutil.image import Image

USAGE = """\
options:
-h          help
-n          name
-p          print VHD headers
-t sec      translate logical sector to VHD location
-b blk      print bat entry
-m blk      print bitmap
-i sec      test bitmap for logical sector
-e sec      output extent list of allocated logical sectors
-a          print batmap
-j blk      test batmap for block
-d blk      print data
-c num      num units
-r sec      read num sectors at sec
-R byte     read num bytes at byte
-x          print in hex"""
_COUNT_MAX = 1 << 32


class _Reading:
    """One call: the open disk, how many units, and how numbers are printed."""

    def __init__(self, image: Image, options: Options) -> None:
        self.image = image
        self.count = options.number("c", 1)
        self.convert: Callable[[int], str] = hex if "x" in options else decimal
        if self.count > _COUNT_MAX:
            raise UtilError("", errno.ERANGE)

    def blocks(self, first: int) -> range:
        """The numbers of the blocks from *first* on.

        :raises UtilError: they do not exist.
        """
        if first + self.count > len(self.image.table()):
            warn(f"block {self.convert(first + self.count)} past end of file")
            raise UtilError("", errno.ERANGE)
        return range(first, first + self.count)

    def sectors(self, first: int) -> range:
        """The same for sectors of the guest."""
        if (first + self.count) * SECTOR > self.image.footer.current_size:
            warn(f"sector {self.convert(first + self.count)} past end of file")
            raise UtilError("", errno.ERANGE)
        return range(first, first + self.count)

    def place(self, block: int) -> int:
        """The sector of a block's bitmap, or UNALLOCATED."""
        return self.image.table()[block]

    def bits(self, block: int) -> int:
        """The bitmap of a block as a number: none of a block that is not stored."""
        sector = self.place(block)
        return 0 if sector == layout.UNALLOCATED else int.from_bytes(self._raw(sector, SECTOR))

    def _raw(self, sector: int, length: int) -> bytes:
        return self.image.tables.source.read(sector * SECTOR, length)

    def print_bat(self, first: int) -> None:
        """-b."""
        for block in self.blocks(first):
            sector = self.place(block)
            offset = "not allocated" if sector == layout.UNALLOCATED else self.convert(sector * SECTOR)
            print(f"block: {self.convert(block)}: offset: {offset}")

    def print_places(self, first: int) -> None:
        """-t."""
        for sector in self.sectors(first):
            block, within = divmod(sector, bitmaps.SECTORS)
            start = self.place(block)
            offset = "not allocated" if start == layout.UNALLOCATED else self.convert((start + 1 + within) * SECTOR)
            print(
                f"logical sector {self.convert(sector)}: block number: {self.convert(block)}, "
                f"sector offset: {self.convert(within)}, file offset: {offset}"
            )

    def print_bits(self, first: int) -> None:
        """-i."""
        for sector in self.sectors(first):
            block, within = divmod(sector, bitmaps.SECTORS)
            bit = self.bits(block) >> (bitmaps.SECTORS - 1 - within) & 1
            print(f"block {self.convert(block)}: sec: {self.convert(within)}: {bit}")

    def print_extents(self, first: int) -> None:
        """-e."""
        wanted = self.sectors(first)
        start = stop = wanted.start
        for block in range(wanted.start // bitmaps.SECTORS, -(-wanted.stop // bitmaps.SECTORS)):
            for low, high in bitmaps.present(self.bits(block)):
                begin = max(wanted.start, block * bitmaps.SECTORS + low)
                end = min(wanted.stop, block * bitmaps.SECTORS + high)
                if begin >= end:
                    continue
                if begin > stop:
                    self._print_extent(start, stop)
                    start = begin
                stop = end
        self._print_extent(start, stop)

    def _print_extent(self, start: int, stop: int) -> None:
        if stop > start:
            print(f"{self.convert(start)} {self.convert(stop - start)}")

    def print_batmap_bits(self, first: int) -> None:
        """-j."""
        _, bits = self.image.batmap()
        for block in self.blocks(first):
            bit = bits[block >> 3] >> (7 - (block & 7)) & 1
            print(f"batmap for block {self.convert(block)}: {bit}")

    def dump_bitmaps(self, first: int) -> None:
        """-m: the bytes themselves."""
        self._dump(first, lambda sector: self._raw(sector, SECTOR))

    def dump_blocks(self, first: int) -> None:
        """-d: the bytes themselves."""
        self._dump(first, lambda sector: self._raw(sector + 1, layout.BLOCK_SIZE))

    def _dump(self, first: int, fetch: Callable[[int], bytes]) -> None:
        for block in self.blocks(first):
            sector = self.place(block)
            if sector == layout.UNALLOCATED:
                print(f"block {self.convert(block)} not allocated")
            else:
                _write(fetch(sector))

    def dump_sectors(self, first: int) -> None:
        """-r: what the guest sees, through the chain."""
        self._dump_data(first * SECTOR, self.count * SECTOR)

    def dump_bytes(self, first: int) -> None:
        """-R: the same, counted in bytes."""
        self._dump_data(first, self.count)

    def _dump_data(self, offset: int, length: int) -> None:
        if offset + length > self.image.footer.current_size:
            raise UtilError("", errno.ERANGE)
        disk = open_chain(self.image.name)
        try:
            for at in range(offset, offset + length, 2 * MIB):
                buffer = bytearray(min(2 * MIB, offset + length - at))
                disk.read_into(at, memoryview(buffer))
                _write(bytes(buffer))
        finally:
            disk.close()


def _write(data: bytes) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(data)


def open_chain(name: str) -> Disk:
    """The disk *name* with all of its ancestors, as the guest sees it.

    :raises UtilError: a parent is not found; without a line.
    :raises XenimageError: a disk cannot be read.
    """
    below = list(ancestors(name))
    disk: Disk | None = None
    for path, raw in [*reversed(below), (name, False)]:
        source = open_file(path)
        layer: Disk = RawDisk(source) if raw else open_vhd(source, STRICT)
        error = layer.unreadable()
        if error is not None:
            raise error
        disk = layer if disk is None else Overlay(layer, disk)
    assert disk is not None
    return disk


def print_tables(name: str, convert: Callable[[int], str] = decimal) -> None:
    """-p; whatever goes wrong is told in its place."""
    try:
        with open_image(name) as image:
            for line in table_lines(image, convert):
                print(line)
    except UtilError as error:
        print(f"Failed to read {name}: -{error.status}")


def read(words: Sequence[str]) -> int:
    """Run the sub-command."""
    options = Options(words, "n:pt:b:m:i:e:aj:d:c:r:R:x", USAGE)
    name = options.name()
    try:
        image = open_image(name)
    except UtilError as error:
        raise UtilError(f"Failed to open {name}: -{error.status}", error.status) from error
    with image:
        _answer(_Reading(image, options), options)
    return 0


def _answer(reading: _Reading, options: Options) -> None:
    image = reading.image
    if "p" in options:
        for line in table_lines(image, reading.convert):
            print(line)
    acts: dict[str, Callable[[int], None]] = {
        "t": reading.print_places,
        "b": reading.print_bat,
        "m": reading.dump_bitmaps,
        "i": reading.print_bits,
        "e": reading.print_extents,
        "j": reading.print_batmap_bits,
        "d": reading.dump_blocks,
        "r": reading.dump_sectors,
        "R": reading.dump_bytes,
    }
    for letter, act in acts.items():
        if letter in options:
            act(options.number(letter))
    if "a" in options:
        _write(bytes(image.batmap()[1]))
