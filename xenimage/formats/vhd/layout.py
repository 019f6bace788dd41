"""Where the bytes of a VHD stand: footer, dynamic header, parent locators, BAT, batmap header. All big-endian.

Sources: Microsoft's "Virtual Hard Disk Image Format Specification" 1.0 for footer, header, locators and BAT; blktap's
``include/vhd.h`` for the hidden byte and the batmap. Offsets and sizes in bytes unless "sector" is said.
"""

from __future__ import annotations

import array
import dataclasses
import struct
import sys
from typing import TYPE_CHECKING, Self

from xenimage.exceptions import FormatError
from xenimage.units import MIB, SECTOR, round_up

if TYPE_CHECKING:
    from collections.abc import Iterable

FOOTER_SIZE = 512
HEADER_SIZE = 1024
BATMAP_HEADER_SIZE = 512
FOOTER_COOKIE = b"conectix"
POISON_COOKIE = b"v_poison"
"""blktap puts it in place of the footer's cookie while it moves blocks for a resize"""
HEADER_COOKIE = b"cxsparse"
BATMAP_COOKIE = b"tdbatmap"

FIXED, DYNAMIC, DIFFERENCING = 2, 3, 4
TYPE_NAMES = {FIXED: "fixed", DYNAMIC: "dynamic", DIFFERENCING: "differencing"}
TAP = b"tap\0"
TAP_VERSION = 0x00010003
FORMAT_VERSION = 0x00010000
BATMAP_VERSION = 0x00010002
NO_OFFSET = 0xFFFFFFFFFFFFFFFF
UNALLOCATED = 0xFFFFFFFF
"""a BAT entry of a block that is not stored"""
EPOCH = 946684800
"""2000-01-01T00:00:00Z in Unix seconds: where VHD timestamps begin"""
BLOCK_SIZE = 2 * MIB
"""the only block size that blktap really works with"""
FEATURES_RESERVED = 0x00000002
FEATURES_TEMPORARY = 0x00000001
LOCATORS = 8
SIZE_MAX = 2040 * 1024 * MIB
"""the largest disk that blktap's storage manager, qemu and XAPI take as a VHD"""

_FOOTER = struct.Struct(">8sIIQI4sIIQQIII16sBB426s")
_HEADER = struct.Struct(">8sQQIIII16sII512s192s256s")
_LOCATOR = struct.Struct(">IIIIQ")
_BATMAP = struct.Struct(">8sQIIIBB64s418s")
assert _FOOTER.size == FOOTER_SIZE
assert _HEADER.size == HEADER_SIZE
assert _LOCATOR.size * LOCATORS == 192
assert _BATMAP.size == BATMAP_HEADER_SIZE

_CHECKSUM = struct.Struct(">I")
_FOOTER_CHECKSUM = 64
_HEADER_CHECKSUM = 36


def checksum(data: bytes | bytearray | memoryview) -> int:
    """One's complement of the sum of all bytes, 32 bits."""
    return ~sum(data) & 0xFFFFFFFF


def _sealed(packed: bytes, at: int) -> bytes:
    """*packed* with its checksum put in at *at*, where zeros stand."""
    return packed[:at] + _CHECKSUM.pack(checksum(packed)) + packed[at + 4 :]


def _unsealed(data: bytes, at: int) -> int:
    """The checksum that *data* should carry at *at*."""
    return checksum(data[:at] + bytes(4) + data[at + 4 :])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Footer:
    """The footer, and its copy at the start of dynamic and differencing disks."""

    cookie: bytes = FOOTER_COOKIE
    features: int = FEATURES_RESERVED
    format_version: int = FORMAT_VERSION
    data_offset: int = FOOTER_SIZE
    """of the header; NO_OFFSET in fixed disks"""
    timestamp: int = 0
    """seconds since 2000-01-01T00:00:00Z"""
    creator: bytes = TAP
    creator_version: int = TAP_VERSION
    creator_os: int = 0
    original_size: int
    current_size: int
    """what the guest sees"""
    geometry: int
    """packed: see geometry.unpack"""
    type: int = DYNAMIC
    checksum: int = 0
    """as stored; ignored by pack"""
    uuid: bytes
    saved: int = 0
    hidden: int = 0
    reserved: bytes = bytes(426)
    sound: bool = True
    """whether the stored checksum is right"""

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read 512 bytes, or the 511 of old Virtual PC, whose last one is taken as 0.

        :raises FormatError: the cookie is neither ``conectix`` nor ``v_poison``. A wrong checksum is only noted.
        """
        data = data.ljust(FOOTER_SIZE, b"\0")
        cookie = data[:8]
        if cookie not in (FOOTER_COOKIE, POISON_COOKIE):
            raise FormatError(f"the VHD footer begins with {cookie!r}", expected="'conectix'")
        fields = _FOOTER.unpack(data)
        names = [field.name for field in dataclasses.fields(cls)][:-1]
        return cls(**dict(zip(names, fields, strict=True)), sound=fields[12] == _unsealed(data, _FOOTER_CHECKSUM))

    def pack(self) -> bytes:
        """512 bytes, the checksum computed."""
        return _sealed(
            _FOOTER.pack(
                self.cookie,
                self.features,
                self.format_version,
                self.data_offset,
                self.timestamp,
                self.creator,
                self.creator_version,
                self.creator_os,
                self.original_size,
                self.current_size,
                self.geometry,
                self.type,
                0,
                self.uuid,
                self.saved,
                self.hidden,
                self.reserved,
            ),
            _FOOTER_CHECKSUM,
        )

    @property
    def is_tap(self) -> bool:
        """Whether blktap takes the disk for one of its own: it compares three bytes only."""
        return self.creator[:3] == TAP[:3]

    @property
    def creator_text(self) -> str:
        """Application and version for people: ``tap 1.3``."""
        name = self.creator.decode("latin-1").rstrip("\0 ")
        shown = name if name.isprintable() and name else self.creator.hex()
        return f"{shown} {self.creator_version >> 16}.{self.creator_version & 0xFFFF}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Locator:
    """One of the eight places where a parent's path may stand."""

    code: int = 0
    data_space: int = 0
    """bytes, or sectors where the value is below 512"""
    data_length: int = 0
    reserved: int = 0
    data_offset: int = 0

    @property
    def space(self) -> int:
        """Bytes that the locator's data may take, by the reading rule of blktap."""
        return self.data_space * SECTOR if self.data_space < SECTOR else self.data_space

    def pack(self) -> bytes:
        """24 bytes."""
        return _LOCATOR.pack(self.code, self.data_space, self.data_length, self.reserved, self.data_offset)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Header:
    """The dynamic header of dynamic and differencing disks."""

    cookie: bytes = HEADER_COOKIE
    data_offset: int = NO_OFFSET
    table_offset: int = FOOTER_SIZE + HEADER_SIZE
    version: int = FORMAT_VERSION
    max_entries: int
    """entries of the BAT"""
    block_size: int = BLOCK_SIZE
    checksum: int = 0
    """as stored; ignored by pack"""
    parent_uuid: bytes = bytes(16)
    parent_timestamp: int = 0
    reserved1: int = 0
    parent_name: bytes = bytes(512)
    """UTF-16BE, zero padded"""
    locators: tuple[Locator, ...] = (Locator(),) * LOCATORS
    reserved2: bytes = bytes(256)
    sound: bool = True
    """whether the stored checksum is right"""

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read 1024 bytes.

        :raises FormatError: the cookie is not ``cxsparse``. A wrong checksum is only noted.
        """
        if data[:8] != HEADER_COOKIE:
            raise FormatError(f"the VHD header begins with {data[:8]!r}", expected="'cxsparse'")
        names = [field.name for field in dataclasses.fields(cls)][:-1]
        fields = dict(zip(names, _HEADER.unpack(data), strict=True))
        keys = ("code", "data_space", "data_length", "reserved", "data_offset")
        fields["locators"] = tuple(
            Locator(**dict(zip(keys, values, strict=True))) for values in _LOCATOR.iter_unpack(fields["locators"])
        )
        return cls(**fields, sound=fields["checksum"] == _unsealed(data, _HEADER_CHECKSUM))

    def pack(self) -> bytes:
        """1024 bytes, the checksum computed."""
        return _sealed(
            _HEADER.pack(
                self.cookie,
                self.data_offset,
                self.table_offset,
                self.version,
                self.max_entries,
                self.block_size,
                0,
                self.parent_uuid,
                self.parent_timestamp,
                self.reserved1,
                self.parent_name,
                b"".join(locator.pack() for locator in self.locators),
                self.reserved2,
            ),
            _HEADER_CHECKSUM,
        )

    @property
    def bat_size(self) -> int:
        """Bytes of the BAT, padded to sectors."""
        return round_up(4 * self.max_entries, SECTOR)

    @property
    def batmap_offset(self) -> int:
        """Where the batmap's header stands if there is one."""
        return self.table_offset + self.bat_size

    @property
    def bitmap_size(self) -> int:
        """Bytes of the sector bitmap in front of each block."""
        return round_up(self.block_size // SECTOR // 8, SECTOR)

    @property
    def parent_name_text(self) -> str:
        """The parent's name, decoded for display."""
        return self.parent_name.decode("utf-16-be", "replace").split("\0", 1)[0]


@dataclasses.dataclass(frozen=True, kw_only=True)
class BatmapHeader:
    """Header of blktap's batmap: one bit for each block whose sectors are all present."""

    cookie: bytes = BATMAP_COOKIE
    offset: int
    """of the map"""
    sectors: int
    """of the map"""
    version: int = BATMAP_VERSION
    checksum: int
    """over the part of the map that :func:`batmap_covered` names"""
    marker: int = 0
    key_cookie: int = 0
    """1: the disk is encrypted, a nonce and a hash of the key follow"""
    key_hash: bytes = bytes(64)
    reserved: bytes = bytes(418)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read 512 bytes.

        :raises FormatError: the cookie is not ``tdbatmap``.
        """
        if data[:8] != BATMAP_COOKIE:
            raise FormatError(f"the batmap begins with {data[:8]!r}", expected="'tdbatmap'")
        names = [field.name for field in dataclasses.fields(cls)]
        return cls(**dict(zip(names, _BATMAP.unpack(data), strict=True)))

    def pack(self) -> bytes:
        """512 bytes."""
        return _BATMAP.pack(
            self.cookie,
            self.offset,
            self.sectors,
            self.version,
            self.checksum,
            self.marker,
            self.key_cookie,
            self.key_hash,
            self.reserved,
        )


def batmap_sectors(entries: int) -> int:
    """Sectors of the map for a BAT of *entries*."""
    return max(1, round_up(entries, 8 * SECTOR) // (8 * SECTOR))


def batmap_covered(current_size: int) -> int:
    """Bytes of the map that its checksum covers.

    blktap rounds this down, so for block counts 1 to 7 above a multiple of 4096 the last bits lie outside; they must
    stay 0.
    """
    return SECTOR * max(1, -(-(current_size >> 24) // SECTOR))


def read_table(data: bytes) -> array.array[int]:
    """Take a BAT, or a part of one, as an array of sector numbers."""
    table = array.array("I", data)
    if sys.byteorder == "little":
        table.byteswap()
    return table


def pack_table(entries: int, allocated: Iterable[tuple[int, int]]) -> bytes:
    """A BAT of *entries*, padded to sectors with zeros as blktap does.

    :param allocated: (block, sector of its bitmap) of the blocks that are stored.
    """
    table = array.array("I", [UNALLOCATED]) * entries
    for block, sector in allocated:
        table[block] = sector
    if sys.byteorder == "little":
        table.byteswap()
    return table.tobytes().ljust(round_up(4 * entries, SECTOR), b"\0")
