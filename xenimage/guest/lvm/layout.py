"""Where LVM2 keeps the text that describes a volume group: label, header and metadata areas of a physical volume.

Source: LVM2, ``lib/label/label.c``, ``lib/format_text/layout.h``, ``lib/misc/crc.c``. All little-endian.
"""

from __future__ import annotations

import binascii
import dataclasses
import struct
from typing import TYPE_CHECKING

from xenimage.exceptions import FormatError
from xenimage.guest.volumes.layout import LVM_SECTORS, lvm_label

if TYPE_CHECKING:
    from xenimage.guest.window import Readable
    from xenimage.limits import Limits

SECTOR = 512
_UUID = 32
_AREA = struct.Struct("<QQ")
"""offset and size of an area, in bytes"""
_AREAS = 16
"""areas that are followed; LVM makes two"""
# CRC, magic, version, own offset, size
_MDA = struct.Struct("<I16sIQQ")
_MDA_MAGIC = b" LVM2 x[5A%r0N*>"
# offset in the area, size, CRC, flags
_LOCATION = struct.Struct("<QQII")
_IGNORED = 1
_CRC_START = 0xF597A6CF


@dataclasses.dataclass(frozen=True, kw_only=True)
class PhysicalVolume:
    """What the head of a physical volume says."""

    identifier: str
    """32 characters"""
    metadata: tuple[int, ...]
    """offsets of the areas with the group's description"""


def read_physical_volume(source: Readable) -> PhysicalVolume:
    """Read the label and the header that it leads to.

    :raises FormatError: there is none.
    """
    for start in range(0, LVM_SECTORS * SECTOR, SECTOR):
        sector = source.read(start, SECTOR)
        header = lvm_label(sector)
        if header is not None:
            _, after = _area_list(sector, header + _UUID + 8)
            metadata, _ = _area_list(sector, after)
            return PhysicalVolume(
                identifier=sector[header : header + _UUID].decode("ascii", "replace"), metadata=metadata
            )
    raise FormatError("has no label of LVM2")


def read_metadata(source: Readable, offset: int, limits: Limits) -> str | None:
    """The text that is current in the metadata area at *offset*; None where the area is unused.

    :raises FormatError: it is damaged.
    :raises LimitError: it is larger than the limit descriptor_size.
    """
    sector = source.read(offset, SECTOR)
    if len(sector) < SECTOR or sector[4:20] != _MDA_MAGIC:
        raise FormatError(f"the metadata area at {offset:#x} has no header")
    if checksum(sector[4:]) != int.from_bytes(sector[:4], "little"):
        raise FormatError(f"the metadata area at {offset:#x} has a wrong checksum")
    _, _, _, own, length = _MDA.unpack_from(sector)
    at, text_size, crc, flags = _LOCATION.unpack_from(sector, _MDA.size)
    if not at or flags & _IGNORED:
        return None
    limits.require("descriptor_size", text_size, "the size of the description of a volume group")
    if own != offset or not SECTOR <= at < length or text_size > length - SECTOR:
        raise FormatError(f"the metadata area at {offset:#x} says that its text stands outside of it")
    # The area is a ring behind its header.
    text = source.read(offset + at, min(text_size, length - at))
    text += source.read(offset + SECTOR, text_size - len(text)) if len(text) < text_size else b""
    if checksum(text) != crc:
        raise FormatError(f"the description of the volume group at {offset + at:#x} has a wrong checksum")
    return text.decode("utf-8", "replace").rstrip("\0")


def checksum(data: bytes) -> int:
    """The CRC of LVM2: the usual polynomial with a start of its own, nothing inverted."""
    return binascii.crc32(data, _CRC_START ^ 0xFFFFFFFF) ^ 0xFFFFFFFF


def _area_list(sector: bytes, at: int) -> tuple[tuple[int, ...], int]:
    """The offsets of the areas in a list that ends with one of zeros, and where the next list begins."""
    found: list[int] = []
    while at + _AREA.size <= SECTOR and len(found) <= _AREAS:
        offset, _ = _AREA.unpack_from(sector, at)
        at += _AREA.size
        if not offset:
            break
        found.append(offset)
    return tuple(found), at
