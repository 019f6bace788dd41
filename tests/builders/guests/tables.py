"""Partition tables from nothing but numbers, also such as no tool would write; bytes as the inspection reads them."""

from __future__ import annotations

import binascii
import dataclasses
import struct
import uuid

SECTOR = 512
DISK_ID = uuid.UUID("4159f95a-df07-4689-9e6b-ccb9a2ff61e0")
LINUX = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")


class Area:
    """Bytes as a Readable: what lies behind the end is not there. Only what is not zero takes memory."""

    def __init__(self, data: bytes | bytearray | dict[int, bytes], size: int | None = None) -> None:
        self.parts = dict(data) if isinstance(data, dict) else {0: bytes(data)}
        self.size = max(at + len(part) for at, part in self.parts.items()) if size is None else size
        self.reads = 0

    def read(self, offset: int, length: int) -> bytes:
        assert offset >= 0, f"a read at {offset}"
        assert length >= 0, f"a read of {length} bytes"
        self.reads += 1
        found = bytearray(max(0, min(length, self.size - offset)))
        for at, part in self.parts.items():
            start, end = max(at, offset), min(at + len(part), offset + len(found))
            if start < end:
                found[start - offset : end - offset] = part[start - at : end - at]
        return bytes(found)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """A row of a boot record."""

    type: int = 0x83
    start: int = 0
    sectors: int = 0
    status: int = 0

    def pack(self) -> bytes:
        return struct.pack("<B3sB3sII", self.status, b"\0\2\0", self.type, b"\xfe\xff\xff", self.start, self.sectors)


def boot_record(*rows: Row, code: bytes = b"", identifier: int = 0x12345678, signature: bytes = b"\x55\xaa") -> bytes:
    """512 bytes: a master boot record, or that of a logical partition."""
    head = code.ljust(440, b"\0") + struct.pack("<IH", identifier, 0)
    return head + b"".join(row.pack() for row in rows).ljust(64, b"\0") + signature


@dataclasses.dataclass(kw_only=True)
class GptRow:
    """A row of a GPT. Sectors."""

    first: int
    last: int
    type: uuid.UUID = LINUX
    own: uuid.UUID = DISK_ID
    attributes: int = 0
    name: str = ""

    def pack(self, size: int = 128) -> bytes:
        name = self.name.encode("utf-16-le").ljust(72, b"\0")
        numbers = struct.pack("<QQQ", self.first, self.last, self.attributes)
        return (self.type.bytes_le + self.own.bytes_le + numbers + name).ljust(size, b"\0")


def gpt_header(own: int, other: int, table: int, rows: bytes, **changes: int) -> bytes:
    """A header with right checksums over whatever it says.

    :param changes: fields that say something else: ``size``, ``says``, ``other``, ``at``, ``count``, ``entry``,
        ``entries_crc``, ``crc``.
    """
    field = {"size": 92, "says": own, "other": other, "at": table, "entry": 128} | changes
    count = field.get("count", len(rows) // field["entry"])
    entries_crc = field.get("entries_crc", binascii.crc32(rows))
    tail = struct.pack("<QIII", field["at"], count, field["entry"], entries_crc)
    places = struct.pack("<QQQQ", field["says"], field["other"], 34, max(own, other) - 34)

    def header(crc: int) -> bytes:
        head = b"EFI PART" + struct.pack("<IIII", 0x10000, field["size"], crc, 0)
        return (head + places + DISK_ID.bytes_le + tail).ljust(SECTOR, b"\0")

    return header(field.get("crc", binascii.crc32(header(0)[: field["size"]])))


def gpt(
    *rows: GptRow, sectors: int, size: int | None = None, sector: int = SECTOR, mbr: bytes | None = None
) -> dict[int, bytes]:
    """The parts of a disk of *sectors* with a table and its backup, by offset.

    :param size: bytes of an entry.
    """
    entry = size or 128
    table = b"".join(row.pack(entry) for row in rows).ljust(128 * entry, b"\0")
    length = -(-len(table) // sector)
    last = sectors - 1
    protective = boot_record(Row(type=0xEE, start=1, sectors=min(last, 0xFFFFFFFF)), identifier=0)
    return {
        0: protective if mbr is None else mbr,
        sector: gpt_header(1, last, 2, table, entry=entry),
        2 * sector: table,
        (last - length) * sector: table,
        last * sector: gpt_header(last, 1, last - length, table, entry=entry),
    }
