"""VHDs of every kind and creator, made from the specification alone: nothing here comes from xenimage.

Content is :func:`tests.builders.pattern.pattern` of the guest's offset wherever a sector is present.
"""

from __future__ import annotations

import dataclasses
import struct
from typing import TYPE_CHECKING

from tests.builders.pattern import pattern

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SECTOR = 512
MIB = 1 << 20
FIXED, DYNAMIC, DIFFERENCING = 2, 3, 4
NONE = 0xFFFFFFFF
NO_OFFSET = (1 << 64) - 1

FOOTER = {
    "cookie": (0, "8s"),
    "features": (8, ">I"),
    "ff_version": (12, ">I"),
    "data_offset": (16, ">Q"),
    "timestamp": (24, ">I"),
    "crtr_app": (28, "4s"),
    "crtr_ver": (32, ">I"),
    "crtr_os": (36, "4s"),
    "orig_size": (40, ">Q"),
    "curr_size": (48, ">Q"),
    "geometry": (56, ">I"),
    "type": (60, ">I"),
    "checksum": (64, ">I"),
    "uuid": (68, "16s"),
    "saved": (84, "B"),
    "hidden": (85, "B"),
    "reserved": (86, "B"),
    "reserved_end": (511, "B"),
}
HEADER = {
    "cookie": (0, "8s"),
    "data_offset": (8, ">Q"),
    "table_offset": (16, ">Q"),
    "hdr_ver": (24, ">I"),
    "max_bat_size": (28, ">I"),
    "block_size": (32, ">I"),
    "checksum": (36, ">I"),
    "prt_uuid": (40, "16s"),
    "prt_ts": (56, ">I"),
    "res1": (60, ">I"),
    "prt_name": (64, "512s"),
    "res2": (768, "B"),
}
LOCATOR = {
    "code": (0, ">I"),
    "data_space": (4, ">I"),
    "data_len": (8, ">I"),
    "res": (12, ">I"),
    "data_offset": (16, ">Q"),
}
BATMAP = {
    "cookie": (0, "8s"),
    "offset": (8, ">Q"),
    "size": (16, ">I"),
    "version": (20, ">I"),
    "checksum": (24, ">I"),
    "marker": (28, "B"),
    "key_cookie": (29, "B"),
    "reserved": (94, "B"),
}


@dataclasses.dataclass(frozen=True)
class Creator:
    """How one program writes VHDs."""

    app: bytes
    version: int
    os: bytes = b"Wi2k"
    aligned: bool = False
    batmap: bool = False
    table_offset: int = 1536
    padding: bytes = b"\xff"


CREATORS = {
    "qemu": Creator(b"qemu", 0x00050003),
    "qem2": Creator(b"qem2", 0x00050003),
    "vbox": Creator(b"vbox", 0x00070000),
    "win": Creator(b"win ", 0x000A0000, aligned=True),
    "vpc": Creator(b"vpc ", 0x00050000),
    "tap": Creator(b"tap\0", 0x00010003, bytes(4), aligned=True, batmap=True, padding=b"\0"),
    "xo": Creator(b"xo  ", 0),
    "caml": Creator(b"caml", 1, bytes(4), table_offset=2048),
}


def summed(data: bytes | bytearray) -> int:
    """The checksum of the format."""
    return ~sum(data) & 0xFFFFFFFF


def up(number: int, multiple: int = SECTOR) -> int:
    return -(-number // multiple) * multiple


def floor_geometry(size: int) -> int:
    """Packed geometry that never spans more than *size*; good for small disks."""
    total = max(1, size // SECTOR)
    heads, sectors = (4, 17) if total < 1024 * 4 * 17 else (16, 63)
    return min(65535, total // sectors // heads) << 16 | heads << 8 | sectors


@dataclasses.dataclass
class Image:
    """A finished file that can be tampered with. :attr:`present` has the sectors of each stored block."""

    data: bytearray = dataclasses.field(repr=False)
    size: int
    block_size: int
    present: Mapping[int, Sequence[int]]
    seed: int
    table_offset: int = 0
    batmap_offset: int = 0
    footer_offset: int = 0
    fixed: bool = False

    def content(self, parent: bytes = b"") -> bytes:
        """What the guest sees, over *parent*."""
        size = up(self.size)
        if self.fixed:
            return pattern(0, self.size, self.seed).ljust(size, b"\0")
        content = bytearray(parent[:size].ljust(size, b"\0"))
        for start, length in self.ranges():
            content[start : start + length] = pattern(start, length, self.seed)
        return bytes(content)

    def ranges(self) -> Iterator[tuple[int, int]]:
        """The (offset, length) of every sector that the file holds."""
        for block in sorted(self.present):
            for sector in self.present[block]:
                start = block * self.block_size + sector * SECTOR
                if start < self.size:
                    yield start, SECTOR

    def _put(self, start: int, field: tuple[int, str], value: int | bytes) -> None:
        struct.pack_into(field[1], self.data, start + field[0], value)

    def _seal(self, start: int, length: int, at: int) -> None:
        struct.pack_into(">I", self.data, start + at, 0)
        struct.pack_into(">I", self.data, start + at, summed(self.data[start : start + length]))

    def footer(self, name: str, value: int | bytes, *, front: bool = True, end: bool = True, seal: bool = True) -> None:
        """Set a field of the footer, of its copy, or of both."""
        for wanted, start in ((front and not self.fixed, 0), (end, self.footer_offset)):
            if wanted:
                self._put(start, FOOTER[name], value)
                if seal and name != "checksum":
                    self._seal(start, 512, 64)

    def header(self, name: str, value: int | bytes, *, seal: bool = True) -> None:
        """Set a field of the header."""
        self._put(512, HEADER[name], value)
        if seal and name != "checksum":
            self._seal(512, 1024, 36)

    def locator(self, slot: int, name: str, value: int) -> None:
        """Set a field of a parent locator."""
        self._put(512 + 576 + 24 * slot, LOCATOR[name], value)
        self._seal(512, 1024, 36)

    def batmap(self, name: str, value: int | bytes) -> None:
        """Set a field of the batmap's header."""
        self._put(self.batmap_offset, BATMAP[name], value)

    def table(self, block: int, sector: int) -> None:
        """Set an entry of the BAT."""
        struct.pack_into(">I", self.data, self.table_offset + 4 * block, sector)

    def entry(self, block: int) -> int:
        """An entry of the BAT."""
        value: int = struct.unpack_from(">I", self.data, self.table_offset + 4 * block)[0]
        return value


@dataclasses.dataclass(kw_only=True)
class Vhd:
    """A VHD to be made. *blocks*: block number to the sectors that are present, in the order in which they stand."""

    size: int
    kind: int = DYNAMIC
    block_size: int = 2 * MIB
    blocks: Mapping[int, Sequence[int]] = dataclasses.field(default_factory=dict)
    creator: Creator = CREATORS["tap"]
    seed: int = 0
    junk: bytes = b"\0"
    """what stands under cleared bits"""
    short_footer: bool = False
    geometry: int | None = None
    identity: bytes = b"\x01" * 16
    """uuid of the disk"""
    parent: bytes = bytes(16)
    """uuid of the parent"""
    parent_name: str = "base.vhd"
    locators: Sequence[tuple[bytes, bytes]] = ()
    """(code, data)"""

    def build(self) -> Image:
        if self.kind == FIXED:
            return self._fixed()
        return self._sparse()

    def _footer(self, data_offset: int) -> bytes:
        geometry = floor_geometry(self.size) if self.geometry is None else self.geometry
        footer = struct.pack(
            ">8sIIQI4sI4sQQIII16s",
            b"conectix",
            2,
            0x00010000,
            data_offset,
            86400,
            self.creator.app,
            self.creator.version,
            self.creator.os,
            self.size,
            self.size,
            geometry,
            self.kind,
            0,
            self.identity,
        ).ljust(512, b"\0")
        return footer[:64] + struct.pack(">I", summed(footer)) + footer[68:]

    def _fixed(self) -> Image:
        footer = self._footer(NO_OFFSET)[: 511 if self.short_footer else 512]
        data = bytearray(pattern(0, self.size, self.seed) + footer)
        return Image(data, self.size, self.block_size, {}, self.seed, footer_offset=self.size, fixed=True)

    def _sparse(self) -> Image:
        entries = up(self.size, self.block_size) // self.block_size
        table_offset = self.creator.table_offset
        batmap_offset = table_offset + up(4 * entries)
        bits = bytearray(max(SECTOR, up(up(entries, 8) // 8)))
        position = batmap_offset + (SECTOR + len(bits) if self.creator.batmap else 0)
        locators, slots = b"", bytearray(192)
        for slot, (code, text) in enumerate(self.locators):
            struct.pack_into(">4sIIIQ", slots, 24 * slot, code, 512, len(text), 0, position + len(locators))
            locators += text.ljust(SECTOR, b"\0")
        position += len(locators)
        table = [NONE] * entries
        stored = b""
        sectors = self.block_size // SECTOR
        bitmap_size = up(up(sectors, 8) // 8)
        for block, present in self.blocks.items():
            start = up(position + bitmap_size, 4096) - bitmap_size if self.creator.aligned else position
            table[block] = start // SECTOR
            bitmap = bytearray(bitmap_size)
            data = bytearray((self.junk * self.block_size)[: self.block_size])
            for sector in present:
                bitmap[sector >> 3] |= 0x80 >> (sector & 7)
                data[sector * SECTOR : (sector + 1) * SECTOR] = pattern(
                    block * self.block_size + sector * SECTOR, SECTOR, self.seed
                )
            if len(present) == sectors:
                bits[block >> 3] |= 0x80 >> (block & 7)
            stored += bytes(start - position) + bytes(bitmap) + bytes(data)
            position = start + bitmap_size + self.block_size
        footer = self._footer(512)
        packed = struct.pack(f">{entries}I", *table)
        head = footer + self._header(entries, bytes(slots)).ljust(table_offset - 512, b"\0")
        head += packed.ljust(up(len(packed)), self.creator.padding)
        if self.creator.batmap:
            covered = SECTOR * max(1, -(-(self.size >> 24) // SECTOR))
            fields = (b"tdbatmap", batmap_offset + SECTOR, len(bits) // SECTOR, 0x00010002, summed(bits[:covered]))
            head += struct.pack(">8sQIII", *fields).ljust(SECTOR, b"\0") + bits
        data = bytearray(head + locators + stored + footer[: 511 if self.short_footer else 512])
        return Image(data, self.size, self.block_size, self.blocks, self.seed, table_offset, batmap_offset, position)

    def _header(self, entries: int, slots: bytes) -> bytes:
        differs = self.kind == DIFFERENCING
        name = self.parent_name.encode("utf-16-be") if differs else b""
        fields = (NO_OFFSET, self.creator.table_offset, 0x00010000, entries, self.block_size, 0, self.parent, 0, 0)
        header = struct.pack(">8sQQIIII16sII512s192s256s", b"cxsparse", *fields, name, slots, b"")
        return header[:36] + struct.pack(">I", summed(header)) + header[40:]


def blktap_locators(path: str) -> list[tuple[bytes, bytes]]:
    """The three locators that blktap writes for a parent at the relative *path*."""
    windows = (".\\" + path.replace("/", "\\")).encode("utf-16-le")
    return [(b"MacX", f"file://./{path}".encode()), (b"W2ku", windows), (b"W2ru", windows)]


class MemorySource:
    """A ByteSource of bytes that counts what is read."""

    def __init__(self, data: bytes | bytearray, name: str = "disk.vhd") -> None:
        self._data = memoryview(data)
        self.name = name
        self.size = len(data)
        self.read_bytes = 0
        self.closed = False

    def read_into(self, offset: int, buffer: memoryview) -> None:
        assert 0 <= offset <= offset + len(buffer) <= self.size, f"a reader left the file: {offset}+{len(buffer)}"
        self.read_bytes += len(buffer)
        buffer[:] = self._data[offset : offset + len(buffer)]

    def read(self, offset: int, length: int) -> bytes:
        buffer = bytearray(length)
        self.read_into(offset, memoryview(buffer))
        return bytes(buffer)

    def data(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        end = min(offset + length, self.size)
        if offset < end:
            yield offset, end - offset

    def close(self) -> None:
        self.closed = True
