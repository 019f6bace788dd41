"""What a volume may hold, by all the magic numbers that are found in it: where two are, neither is believed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.guest.free import swap
from xenimage.guest.free.ext import layout as ext_layout
from xenimage.guest.free.ntfs import layout as ntfs_layout
from xenimage.guest.partitions.layout import SECTOR, BootRecord
from xenimage.units import KIB

if TYPE_CHECKING:
    from xenimage.guest.free.area import Area

EXT, NTFS, SWAP, LVM = "ext", "ntfs", "swap", "lvm2"
_MAGICS = (
    (ntfs_layout.SIGNATURE_AT, ntfs_layout.SIGNATURE, NTFS),
    (ext_layout.SUPERBLOCK + ext_layout.MAGIC_AT, ext_layout.MAGIC, EXT),
    (536, b"LVM2 001", LVM),
    (3, b"-FVE-FS-", "bitlocker"),
    (3, b"ReFS\0\0\0\0", "refs"),
    (3, b"EXFAT   ", "exfat"),
    (54, b"FAT12   ", "fat12"),
    (54, b"FAT16   ", "fat16"),
    (82, b"FAT32   ", "fat32"),
    (0, b"XFSB", "xfs"),
    (0, b"LUKS\xba\xbe", "luks"),
    (0, b"\xfc\x4e\x2b\xa9", "md"),
    (4 * KIB, b"\xfc\x4e\x2b\xa9", "md"),
    (4 * KIB + 24, bytes.fromhex("c68573f64e1a45ca8265f57f48ba6d81"), "bcache"),
    (4 * KIB + 24, bytes.fromhex("c68573f666ce90a9d96a60cf803df7ef"), "bcachefs"),
    (32, b"ORCLDISK", "oracleasm"),
    # OpenZFS, include/sys/vdev_impl.h: its label begins with 16 KiB in which what was there before stays as it is. Then
    # a packed list: XDR, the order of bytes of the machine, version 0, unique names.
    (16 * KIB, bytes.fromhex("010100000000000000000001"), "zfs"),
    (16 * KIB, bytes.fromhex("010000000000000000000001"), "zfs"),
    (1024, b"\x10\x20\xf5\xf2", "f2fs"),
    (32 * KIB, b"JFS1", "jfs"),
    (32 * KIB + 1, b"CD001", "iso9660"),
    (64 * KIB + 52, b"ReIsEr", "reiserfs"),
    (64 * KIB + 64, b"_BHRfS_M", "btrfs"),
)
"""offset, magic, what it is"""


def kinds(area: Area) -> list[str]:
    """Everything that the volume looks like; nothing if it is not known.

    :raises FormatError: the disk is damaged there.
    """
    found = [
        kind
        for offset, magic, kind in _MAGICS
        if offset + len(magic) <= area.size and area.read(offset, len(magic)) == magic
    ]
    if swap.page_size(area):
        found.append(SWAP)
    if any(0 <= place <= area.size - 4 and area.read(place, 4) == b"\xfc\x4e\x2b\xa9" for place in _md_ends(area.size)):
        found.append("md")
    # As on the disk of a guest inside the guest, whose table leaves an older superblock behind it as it was.
    record = BootRecord.parse(area.read(0, min(SECTOR, area.size)))
    if found and record.plausible and any(entry.used for entry in record.entries):
        found.append("mbr")
    return found


def _md_ends(size: int) -> tuple[int, int]:
    """Where the superblocks of the versions 1.0 and 0.90 stand: md(4)."""
    return (size - 8 * KIB) // (4 * KIB) * (4 * KIB), (size - 64 * KIB) // (64 * KIB) * (64 * KIB)
