"""Cylinders, heads and sectors of a disk, by the floor formula of the VHD specification's appendix."""

from __future__ import annotations

from typing import NamedTuple

from xenimage.units import SECTOR

_SECTORS_MAX = 65535 * 16 * 255
_SECTORS_LARGE = 65535 * 16 * 63


class Geometry(NamedTuple):
    """As in the footer: u16 cylinders, u8 heads, u8 sectors per track."""

    cylinders: int
    heads: int
    sectors: int

    @property
    def packed(self) -> int:
        """The footer's 32-bit word; blktap compares two geometries by it."""
        return self.cylinders << 16 | self.heads << 8 | self.sectors

    @property
    def size(self) -> int:
        """Bytes that the geometry spans: never more than the size that it was made for."""
        return self.cylinders * self.heads * self.sectors * SECTOR

    def __str__(self) -> str:
        return f"{self.cylinders}/{self.heads}/{self.sectors}"


_LARGEST = Geometry(65535, 16, 255)
"""of all disks from 136 899 993 600 bytes on"""


def chs_size(geometry: Geometry) -> int | None:
    """Bytes that the geometry spans; None for the largest, which says nothing of the size."""
    return None if geometry == _LARGEST else geometry.size


def unpack(word: int) -> Geometry:
    """Take the footer's 32-bit word apart."""
    return Geometry(word >> 16, word >> 8 & 0xFF, word & 0xFF)


def geometry(size: int) -> Geometry:
    """The geometry of a disk of *size* bytes: the largest that blktap's check accepts.

    Sizes from 65535/16/255 on (136 899 993 600 bytes) all get that geometry.
    """
    total = min(max(1, -(-size // SECTOR)), _SECTORS_MAX)
    if total >= _SECTORS_LARGE:
        return Geometry(total // 255 // 16, 16, 255)
    tracks = total // 17
    heads = max(4, -(-tracks // 1024))
    sectors = 17
    if tracks >= heads * 1024 or heads > 16:
        sectors, heads = 31, 16
        tracks = total // sectors
    if tracks >= heads * 1024:
        sectors, heads = 63, 16
        tracks = total // sectors
    return Geometry(tracks // heads, heads, sectors)
