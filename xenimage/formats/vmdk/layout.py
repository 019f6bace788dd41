"""The bytes of VMDK structures and nothing else: fields, offsets, units. All numbers are little endian.

References: VMware, "Virtual Disk Format 5.0" (2011), sections "Hosted Sparse Extents", "ESX Server Sparse Extents" and
"Stream-Optimized Compressed Sparse Extents"; for seSparse the constants of qemu's ``block/vmdk.c``.
"""

from __future__ import annotations

import array
import dataclasses
import struct
import sys
from typing import ClassVar, Self

from xenimage.exceptions import FormatError
from xenimage.units import SECTOR

Table = array.array  # of typecode I: sector numbers

KDMV = b"KDMV"
COWD = b"COWD"
SE_SPARSE = struct.pack("<Q", 0xCAFEBABE)

GD_AT_END = 0xFFFF_FFFF_FFFF_FFFF
"""the value of gdOffset that sends the reader to the footer"""

FLAG_NEWLINE_TEST = 1 << 0
FLAG_REDUNDANT = 1 << 1
FLAG_ZEROED_GRAINS = 1 << 2
FLAG_COMPRESSED = 1 << 16
FLAG_MARKERS = 1 << 17

DEFLATE = 1
"""compressAlgorithm: each grain is a zlib stream (RFC 1950)"""

MARKER_EOS = 0
MARKER_GRAIN_TABLE = 1
MARKER_GRAIN_DIRECTORY = 2
MARKER_FOOTER = 3
MARKER_PROGRESS = 4

ENTRY = 4
"""bytes of an entry of a grain directory or grain table"""
LARGEST_ENTRY = 0xFFFF_FFFF
ZEROED_GRAIN = 1
"""the grain table entry of a grain that reads as zeros, where FLAG_ZEROED_GRAINS is set"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SparseHeader:
    """The header of a hosted sparse extent, and the footer of a stream-optimized one. Sizes in sectors."""

    FORMAT: ClassVar[struct.Struct] = struct.Struct("<4sIIQQQQIQQQB4sH433x")
    NEWLINES: ClassVar[bytes] = b"\n \r\n"

    version: int
    flags: int
    capacity: int
    grain_size: int
    descriptor_offset: int
    descriptor_size: int
    entries_per_table: int
    rgd_offset: int
    gd_offset: int
    overhead: int
    unclean: int
    newlines: bytes
    algorithm: int

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read 512 bytes; no value is judged.

        :raises FormatError: the magic is not there.
        """
        magic, *values = cls.FORMAT.unpack(raw)
        if magic != KDMV:
            raise FormatError(f"starts with {magic!r}", expected=repr(KDMV))
        return cls(**dict(zip((field.name for field in dataclasses.fields(cls)), values, strict=True)))

    def pack(self) -> bytes:
        """The 512 bytes."""
        return self.FORMAT.pack(KDMV, *(getattr(self, field.name) for field in dataclasses.fields(self)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class CowdHeader:
    """The header of an ESX copy-on-write extent (vmfsSparse). Sizes in sectors."""

    FORMAT: ClassVar[struct.Struct] = struct.Struct("<4sIIIIIII")
    ENTRIES_PER_TABLE: ClassVar[int] = 4096

    version: int
    flags: int
    capacity: int
    grain_size: int
    gd_offset: int
    gd_entries: int
    free_sector: int

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read 32 bytes; no value is judged.

        :raises FormatError: the magic is not there.
        """
        magic, *values = cls.FORMAT.unpack(raw)
        if magic != COWD:
            raise FormatError(f"starts with {magic!r}", expected=repr(COWD))
        return cls(**dict(zip((field.name for field in dataclasses.fields(cls)), values, strict=True)))

    def pack(self) -> bytes:
        """The 32 bytes."""
        return self.FORMAT.pack(COWD, *(getattr(self, field.name) for field in dataclasses.fields(self)))


@dataclasses.dataclass(frozen=True, slots=True)
class Marker:
    """What stands in front of a compressed grain (size > 0) or of a table, the footer, the end (size 0)."""

    FORMAT: ClassVar[struct.Struct] = struct.Struct("<QII")
    GRAIN: ClassVar[struct.Struct] = struct.Struct("<QI")

    value: int
    """of a grain its first sector on the disk, else the sectors that follow the marker"""
    size: int
    """bytes of deflated data right behind the 12 bytes of value and size"""
    type: int
    """one of MARKER_*, if size is 0"""

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read 16 bytes."""
        return cls(*cls.FORMAT.unpack(raw))

    def pack(self) -> bytes:
        """The 16 bytes."""
        return self.FORMAT.pack(self.value, self.size, self.type)


SE_SPARSE_HEADER = struct.Struct("<QQQ")
"""magic, version, capacity in sectors"""

assert SparseHeader.FORMAT.size == SECTOR
assert CowdHeader.FORMAT.size == 32
assert Marker.FORMAT.size == 16 and Marker.GRAIN.size == 12


def se_sparse_capacity(raw: bytes) -> int:
    """Sectors of the disk, from the first 24 bytes of an seSparse extent."""
    capacity: int = SE_SPARSE_HEADER.unpack(raw)[2]
    return capacity


def blank_table(count: int) -> Table[int]:
    """A table of *count* entries, all unallocated."""
    return array.array("I", bytes(count * ENTRY))


def from_disk(table: Table[int]) -> Table[int]:
    """Put a table whose bytes were just read into the order of this machine, in place."""
    if sys.byteorder == "big":
        table.byteswap()
    return table


def to_disk(table: Table[int]) -> bytes:
    """The bytes of a table; the table itself stays as it is."""
    if sys.byteorder == "little":
        return table.tobytes()
    swapped = table[:]
    swapped.byteswap()
    return swapped.tobytes()
