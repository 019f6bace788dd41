"""The bytes of partition tables. All little-endian; sectors are the disk's logical ones.

Sources: UEFI Specification 2.10, chapter 5 ("GUID Partition Table Disk Layout", with the legacy MBR in 5.2); for
extended partitions, what Linux does in ``block/partitions/msdos.c``.
"""

from __future__ import annotations

import binascii
import dataclasses
import struct
import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SECTOR = 512
"""bytes of a boot record, whatever the disk's sectors are"""
SIGNATURE = b"\x55\xaa"
SIGNATURE_AT = 510
BOOT_CODE = 440
"""bytes of a boot record that hold code"""
ACTIVE = 0x80
EMPTY = 0x00
PROTECTIVE = 0xEE
EXTENDED = frozenset({0x05, 0x0F, 0x85})

GPT_MAGIC = b"EFI PART"
GPT_HEADER = 92
"""bytes of a GPT header that have a meaning"""
GPT_ENTRY = 128
"""bytes of the smallest entry"""
LEGACY_BOOT = 1 << 2
"""attribute of a GPT entry: a BIOS boots from it"""

_IDENTIFIER = struct.Struct("<I")
_IDENTIFIER_AT = 440
_ENTRIES_AT = 446
# status, CHS of the first sector, type, CHS of the last sector, first sector, sectors
_ENTRY = struct.Struct("<B3sB3sII")
# magic, revision, header size, its CRC, reserved, own sector, the other header's, first and last usable sector, disk
# GUID, first sector of the entries, their number, size of one, CRC of them all
_HEADER = struct.Struct("<8sIIIIQQQQ16sQIII")
# type GUID, own GUID, first sector, last sector, attributes, name
_GPT_ENTRY = struct.Struct("<16s16sQQQ72s")
_CRC_AT = 16
assert _HEADER.size == GPT_HEADER
assert _GPT_ENTRY.size == GPT_ENTRY
assert _ENTRIES_AT + 4 * _ENTRY.size == SIGNATURE_AT

MBR_TYPES = {
    0x01: "FAT12",
    0x04: "FAT16",
    0x05: "extended",
    0x06: "FAT16",
    0x07: "NTFS or exFAT",
    0x0B: "FAT32",
    0x0C: "FAT32",
    0x0E: "FAT16",
    0x0F: "extended",
    0x27: "Windows recovery",
    0x42: "Windows dynamic disk",
    0x82: "Linux swap",
    0x83: "Linux",
    0x85: "Linux extended",
    0x8E: "Linux LVM",
    0xA5: "FreeBSD",
    0xEE: "GPT protective",
    0xEF: "EFI system",
    0xFD: "Linux RAID",
}
ESP = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
BIOS_BOOT = "21686148-6449-6E6F-744E-656564454649"
STORAGE_SPACES = "E75CAF8F-F680-4CEE-AFA3-B001E56EFC2D"
GPT_TYPES = {
    ESP: "EFI system",
    BIOS_BOOT: "BIOS boot",
    "E3C9E316-0B5C-4DB8-817D-F92DF00215AE": "Microsoft reserved",
    "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7": "Microsoft basic data",
    "DE94BBA4-06D1-4D40-A16A-BFD50179D6AC": "Windows recovery",
    "5808C8AA-7E8F-42E0-85D2-E1E90434CFB3": "Windows dynamic disk metadata",
    "AF9B60A0-1431-4F62-BC68-3311714A69AD": "Windows dynamic disk data",
    STORAGE_SPACES: "Windows Storage Spaces",
    "0FC63DAF-8483-4772-8E79-3D69D8477DE4": "Linux",
    "E6D6D379-F507-44C2-A23C-238F2A3DF928": "Linux LVM",
    "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F": "Linux swap",
    "A19D880F-05FC-4D3B-A006-743F0F84911E": "Linux RAID",
    "933AC7E1-2EB4-4F13-B844-0E14E2AEF915": "Linux home",
    "BC13C2FF-59E6-4262-A352-B275FD6F7172": "Linux extended boot",
    "44479540-F297-41B2-9AF7-D131D5F0458A": "Linux root (x86)",
    "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709": "Linux root (x86-64)",
    "B921B045-1DF0-41C3-AF44-4C6F280D3FAE": "Linux root (ARM64)",
    "CA7D7CCB-63ED-4C53-861C-1742536059CC": "Linux LUKS",
    "9E1A2D38-C612-4316-AA26-8B49521E5A8B": "PowerPC PReP boot",
    "6A898CC3-1DD2-11B2-99A6-080020736631": "ZFS",
    "516E7CB4-6ECF-11D6-8FF8-00022D09712B": "FreeBSD",
}
LDM_TYPES = frozenset(
    {"0x42", "5808C8AA-7E8F-42E0-85D2-E1E90434CFB3", "AF9B60A0-1431-4F62-BC68-3311714A69AD"},
)
"""partitions of Windows' dynamic disks"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class BootEntry:
    """One of the four rows of a boot record."""

    status: int
    type: int
    start: int
    """sectors, counted from where the kind of record says"""
    sectors: int

    @property
    def used(self) -> bool:
        """Whether it describes something."""
        return self.sectors > 0 and self.type != EMPTY


@dataclasses.dataclass(frozen=True, kw_only=True)
class BootRecord:
    """A master boot record, or one in front of a logical partition."""

    code: bytes
    identifier: int
    entries: tuple[BootEntry, ...]
    signed: bool
    """whether it ends in 55 AA; without that the rest means nothing"""

    @classmethod
    def parse(cls, data: bytes) -> BootRecord:
        """Read 512 bytes; fewer count as zeros."""
        data = data.ljust(SECTOR, b"\0")
        rows = _ENTRY.iter_unpack(data[_ENTRIES_AT:SIGNATURE_AT])
        return cls(
            code=data[:BOOT_CODE],
            identifier=_IDENTIFIER.unpack_from(data, _IDENTIFIER_AT)[0],
            entries=tuple(
                BootEntry(status=status, type=kind, start=start, sectors=sectors)
                for status, _, kind, _, start, sectors in rows
            ),
            signed=data[SIGNATURE_AT:SECTOR] == SIGNATURE,
        )

    @property
    def plausible(self) -> bool:
        """Whether the rows can be a table: the boot sector of a file system has code or text there."""
        return self.signed and all(entry.status in (EMPTY, ACTIVE) for entry in self.entries)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GptHeader:
    """One of a GPT's two headers."""

    size: int
    """bytes that the CRC covers"""
    own: int
    """sector where it says it stands"""
    other: int
    """sector of the other header"""
    first_usable: int
    last_usable: int
    disk: uuid.UUID
    entries_at: int
    """sector"""
    count: int
    entry_size: int
    """bytes"""
    entries_crc: int
    sound: bool
    """whether the stored CRC is right"""

    @classmethod
    def parse(cls, data: bytes) -> GptHeader | None:
        """Read one sector; None if no header stands there."""
        if data[: len(GPT_MAGIC)] != GPT_MAGIC or len(data) < SECTOR:
            return None
        _, _, size, crc, _, own, other, first, last, disk, at, count, entry_size, entries_crc = _HEADER.unpack_from(
            data
        )
        covered = data[:_CRC_AT] + bytes(4) + data[_CRC_AT + 4 : size]
        return cls(
            size=size,
            own=own,
            other=other,
            first_usable=first,
            last_usable=last,
            disk=uuid.UUID(bytes_le=disk),
            entries_at=at,
            count=count,
            entry_size=entry_size,
            entries_crc=entries_crc,
            sound=GPT_HEADER <= size <= len(data) and binascii.crc32(covered) == crc,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class GptEntry:
    """A row of a GPT that describes something."""

    number: int
    type: str
    uuid: str
    first: int
    last: int
    """sectors, both belong to it"""
    attributes: int
    name: str


def gpt_entries(data: bytes, entry_size: int) -> Iterator[GptEntry]:
    """Yield the used rows of a table."""
    for number, start in enumerate(range(0, len(data) - entry_size + 1, entry_size), start=1):
        kind, own, first, last, attributes, name = _GPT_ENTRY.unpack_from(data, start)
        if any(kind):
            yield GptEntry(
                number=number,
                type=str(uuid.UUID(bytes_le=kind)).upper(),
                uuid=str(uuid.UUID(bytes_le=own)),
                first=first,
                last=last,
                attributes=attributes,
                name=name.decode("utf-16-le", "replace").split("\0", 1)[0],
            )
