"""Tell what stands in a volume by the magic numbers of what may stand there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.model.guest.layout import Volume

if TYPE_CHECKING:
    from xenimage.guest.window import Readable

_MAGICS = (
    (3, b"NTFS    ", "ntfs"),
    (3, b"-FVE-FS-", "bitlocker"),
    (3, b"ReFS\0\0\0\0", "refs"),
    (3, b"EXFAT   ", "exfat"),
    (0, b"XFSB", "xfs"),
    (0, b"LUKS\xba\xbe", "luks"),
    (536, b"LVM2 001", "lvm2"),
    (82, b"FAT32   ", "fat32"),
    (54, b"FAT16   ", "fat16"),
    (54, b"FAT12   ", "fat12"),
    (1080, b"\x53\xef", "ext"),
    (65600, b"_BHRfS_M", "btrfs"),
    (4086, b"SWAPSPACE2", "swap"),
)


def recognise(source: Readable) -> Volume:
    """Describe what stands in *source*; a volume of kind "" where nothing is known of it.

    :raises FormatError: the image is damaged there.
    """
    for offset, magic, kind in _MAGICS:
        if source.read(offset, len(magic)) == magic:
            return Volume(kind=kind, size=source.size)
    return Volume(kind="")
