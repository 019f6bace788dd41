"""Superblocks: where their fields stand, turned into what a volume says of itself.

Each function takes the first :data:`HEAD` bytes of a volume, zeros behind its end, and returns None where its magic, or
a number that has to be sane, says that something else stands there. Uuids are spelled as blkid prints them.

Sources: Linux, ``fs/ext4/ext4.h`` and ``Documentation/filesystems/ext4``, ``fs/xfs/libxfs/xfs_format.h``,
``include/uapi/linux/btrfs_tree.h``, ``include/linux/swap.h``, ``include/uapi/linux/raid/md_p.h``; the LVM2 source's
``lib/format_text/layout.h``; "LUKS2 On-Disk Format Specification" 1.1.2; "Microsoft FAT32 File System Specification"
1.03; "exFAT file system specification" 1.00; for NTFS, the documentation of libfsntfs.
"""

from __future__ import annotations

import itertools
import struct
import uuid
from typing import Any

from xenimage.model.guest.layout import Volume
from xenimage.units import KIB

HEAD = 72 * KIB
"""bytes in which all these superblocks stand, the one of btrfs being the last"""

# block count, free blocks, log2 of block and of cluster size less 10; magic, state; revision; features compatible,
# incompatible, read-only compatible; uuid, label; upper halves of block count and of free blocks
_EXT = struct.Struct("<4xI4xI8xII24xHH16xI12xIII16s16s200xI4xI")
_EXT_AT = 1024
_EXT_MAGIC = 0xEF53
_EXT_CLEAN, _EXT_ERRORS = 1, 2
_EXT_JOURNAL = 0x4
_EXT_RECOVER, _EXT_JOURNAL_DEVICE, _EXT_64BIT = 0x4, 0x8, 0x80
_EXT_BIGALLOC = 0x200
# What ext3 knows: file types, recovery, journal device, meta block groups; sparse superblocks, large files, B-trees.
_EXT3_INCOMPATIBLE, _EXT3_READ_ONLY = 0x1E, 0x7

# magic, block size, blocks, uuid, label, free blocks, incompatible features
_XFS = struct.Struct(">4sIQ16x16s60x12s24xQ64xI")
_XFS_MAGIC = b"XFSB"
_XFS_NEEDS_REPAIR = 0x10

# uuid, magic, bytes in all, bytes used, sector size, label
_BTRFS = struct.Struct("<32x16s16x8s40xQQ16xI151x256s")
_BTRFS_AT = 65536
_BTRFS_MAGIC = b"_BHRfS_M"

# bytes a sector, sectors a cluster, reserved sectors, FATs, entries of the root, sectors, media, sectors of a FAT,
# sectors where there are many, sectors of a FAT32
_FAT = struct.Struct("<11xHBHBHHBH8xII")
_FAT_12, _FAT_16 = 4085, 65525
"""clusters from which on it is a FAT16, a FAT32"""
_FAT_DIRTY = 1

# bytes a sector, sectors a cluster, sectors, serial
_NTFS = struct.Struct("<11xHB26xQ24xQ")
# sectors, serial, flags, log2 of bytes a sector, log2 of sectors a cluster
_EXFAT = struct.Struct("<72xQ20xI2xHBB")
_EXFAT_DIRTY = 2
_BITLOCKER_TO_GO = uuid.UUID("4967d63b-2e29-4ad8-8399-f6a339e3d001").bytes_le
_BITLOCKER_TO_GO_AT = 0x1A8

# version, last page; uuid, label
_SWAP = struct.Struct("<II4x16s16s")
_SWAP_AT = 1024
_SWAP_PAGES = (4096, 8192, 16384, 32768, 65536)
_SWAP_MAGICS = {b"SWAPSPACE2": "swap", b"SWAP-SPACE": "swap"}
_SUSPENDED = (b"S1SUSPEND\0", b"S2SUSPEND\0", b"ULSUSPEND\0", b"LINHIB0001")

# version, label, uuid
_LUKS = struct.Struct(">6xH16x48s96x40s")
_LUKS_MAGIC = b"LUKS\xba\xbe"
_MD_MAGIC = b"\xfc\x4e\x2b\xa9"
_LVM_LABEL = struct.Struct("<8sQII8s")
"""magic, own sector, CRC, offset of what follows the label, type"""
LVM_SECTORS = 4
"""sectors in the first of which a label of LVM may stand"""

assert _EXT.size == 0x15C
assert _XFS.size == 220
assert _BTRFS.size == 0x12B + 256


def ext(head: bytes) -> Volume | None:
    """ext2, ext3, ext4."""
    blocks, free, block_log, cluster_log, magic, state, revision, compatible, incompatible, read_only, *rest = (
        _EXT.unpack_from(head, _EXT_AT)
    )
    own, label, blocks_high, free_high = rest
    if magic != _EXT_MAGIC or block_log > 6 or revision > 1 or not blocks or incompatible & _EXT_JOURNAL_DEVICE:
        return None
    block_size = 1024 << block_log
    if incompatible & _EXT_64BIT:
        blocks |= blocks_high << 32
        free |= free_high << 32
    clusters = read_only & _EXT_BIGALLOC and cluster_log <= 20
    cluster_size = 1024 << cluster_log if clusters else block_size
    return Volume(
        kind=_ext_kind(compatible, incompatible, read_only),
        label=_text(label),
        uuid=_uuid(own),
        size=blocks * block_size,
        cluster_size=cluster_size,
        free=min(free, blocks) * block_size,
        dirty=not state & _EXT_CLEAN or bool(state & _EXT_ERRORS),
        needs_recovery=bool(incompatible & _EXT_RECOVER),
    )


def _ext_kind(compatible: int, incompatible: int, read_only: int) -> str:
    if incompatible & ~_EXT3_INCOMPATIBLE or read_only & ~_EXT3_READ_ONLY:
        return "ext4"
    return "ext3" if compatible & _EXT_JOURNAL else "ext2"


def xfs(head: bytes) -> Volume | None:
    """XFS. It has no flag for a clean end; its log may hold more than what is read."""
    if head[:4] != _XFS_MAGIC:
        return None
    _, block_size, blocks, own, label, free, incompatible = _XFS.unpack_from(head)
    if not 512 <= block_size <= 65536 or block_size & (block_size - 1):
        return None
    return Volume(
        kind="xfs",
        label=_text(label),
        uuid=_uuid(own),
        size=blocks * block_size,
        cluster_size=block_size,
        free=min(free, blocks) * block_size,
        dirty=bool(incompatible & _XFS_NEEDS_REPAIR),
    )


def btrfs(head: bytes) -> Volume | None:
    """The B-tree file system of Linux."""
    own, magic, total, used, sector, label = _BTRFS.unpack_from(head, _BTRFS_AT)
    if magic != _BTRFS_MAGIC:
        return None
    return Volume(
        kind="btrfs",
        label=_text(label),
        uuid=_uuid(own),
        size=total,
        cluster_size=sector,
        free=max(0, total - used),
    )


def ntfs(head: bytes) -> Volume | None:
    """NTFS; name, flag and free space stand deeper in it."""
    if head[3:11] != b"NTFS    ":
        return None
    sector, factor, sectors, serial = _NTFS.unpack_from(head)
    # Above 128 it is a power of two, negated.
    per_cluster = factor if factor <= 128 else 1 << min(256 - factor, 31)
    return Volume(kind="ntfs", uuid=f"{serial:016X}", size=sectors * sector, cluster_size=sector * per_cluster)


def exfat(head: bytes) -> Volume | None:
    """exFAT, which is not read."""
    if head[3:11] != b"EXFAT   ":
        return None
    sectors, serial, flags, sector_log, cluster_log = _EXFAT.unpack_from(head)
    if not 9 <= sector_log <= 12 or cluster_log > 25 - sector_log:
        return None
    return Volume(
        kind="exfat",
        uuid=_serial(serial),
        size=sectors << sector_log,
        cluster_size=1 << (sector_log + cluster_log),
        dirty=bool(flags & _EXFAT_DIRTY),
    )


def bitlocker(head: bytes) -> Volume | None:
    """BitLocker, on fixed disks and To Go."""
    to_go = head[3:11] == b"MSWIN4.1" and head[_BITLOCKER_TO_GO_AT:][:16] == _BITLOCKER_TO_GO
    return Volume(kind="bitlocker") if to_go or head[3:11] == b"-FVE-FS-" else None


def refs(head: bytes) -> Volume | None:
    """ReFS."""
    return Volume(kind="refs") if head[3:11] == b"ReFS\0\0\0\0" else None


def fat(head: bytes) -> Volume | None:
    """FAT12, FAT16 or FAT32; which of them is told by the number of clusters alone."""
    if head[510:512] != b"\x55\xaa" or not (head[54:57] == b"FAT" or head[82:85] == b"FAT"):
        return None
    sector, per_cluster, reserved, fats, root, small, media, fat_small, large, fat_large = _FAT.unpack_from(head)
    sane = sector in (512, 1024, 2048, 4096) and per_cluster and not per_cluster & (per_cluster - 1)
    if not sane or not reserved or not 1 <= fats <= 2 or media < 0xF0:
        return None
    sectors = small or large
    data = sectors - reserved - fats * (fat_small or fat_large) - -(-root * 32 // sector)
    clusters = data // per_cluster
    if clusters < 1:
        return None
    bits = 12 if clusters < _FAT_12 else 16 if clusters < _FAT_16 else 32
    entries = head[reserved * sector :][:8] if reserved * sector < len(head) else b""
    tail = 67 if bits == 32 else 39
    return Volume(
        kind=f"fat{bits}",
        uuid=_serial(int.from_bytes(head[tail : tail + 4], "little")),
        size=sectors * sector,
        cluster_size=sector * per_cluster,
        free=_fat_free(head, sector, per_cluster, clusters) if bits == 32 else None,
        dirty=bool(head[tail - 2] & _FAT_DIRTY) or _fat_open(entries, bits),
    )


def _fat_free(head: bytes, sector: int, per_cluster: int, clusters: int) -> int | None:
    """Bytes free by the information sector of a FAT32, which is a hint."""
    start = int.from_bytes(head[48:50], "little") * sector
    info = head[start : start + 512]
    count = int.from_bytes(info[488:492], "little")
    if info[:4] != b"RRaA" or info[484:488] != b"rrAa" or count > clusters:
        return None
    return count * per_cluster * sector


def _fat_open(entries: bytes, bits: int) -> bool:
    """Whether the bit for a clean end is cleared in the FAT's second entry."""
    if bits == 12 or len(entries) < 8:
        return False
    width = bits // 8
    second = int.from_bytes(entries[width : 2 * width], "little")
    return bool(second) and not second & (1 << (27 if bits == 32 else 15))


def swap(head: bytes) -> Volume | None:
    """Linux's swap space; ``swsuspend`` where a hibernated system lies in it."""
    for page in _SWAP_PAGES:
        magic = head[page - 10 : page]
        kind = "swsuspend" if magic in _SUSPENDED else _SWAP_MAGICS.get(magic, "")
        if kind:
            _, last, own, label = _SWAP.unpack_from(head, _SWAP_AT)
            return Volume(kind=kind, label=_text(label), uuid=_uuid(own), size=(last + 1) * page, cluster_size=page)
    return None


def luks(head: bytes) -> Volume | None:
    """LUKS 1 and 2."""
    if head[:6] != _LUKS_MAGIC:
        return None
    version, label, own = _LUKS.unpack_from(head)
    return Volume(kind="luks", label=_text(label) if version == 2 else "", uuid=_text(own))


def md(head: bytes) -> Volume | None:
    """A member of a software RAID whose superblock stands at the start: versions 1.1 and 1.2."""
    for start in (0, 4096):
        found = md_superblock(head[start : start + 256])
        if found:
            return found
    return None


def md_superblock(data: bytes) -> Volume | None:
    """A superblock of version 1, wherever it stood."""
    if data[:4] != _MD_MAGIC or data[4:8] != b"\x01\0\0\0" or len(data) < 64:
        return None
    return Volume(kind="md", label=_text(data[32:64]), uuid=_uuid(data[16:32]))


def md_old_superblock(data: bytes) -> Volume | None:
    """A superblock of version 0.90; its uuid stands in two places."""
    if data[:4] != _MD_MAGIC or data[4:8] != bytes(4) or len(data) < 64:
        return None
    words = struct.unpack("<IIII", data[20:24] + data[52:64])
    return Volume(kind="md", uuid=_uuid(struct.pack(">IIII", *words)))


def lvm2(head: bytes) -> Volume | None:
    """A physical volume of LVM2; the uuid in LVM's own spelling."""
    for start in range(0, LVM_SECTORS * 512, 512):
        label = lvm_label(head[start : start + 512])
        if label is not None and len(head) > start + label:
            own = head[start + label : start + label + 32]
            if own.isalnum() and len(own) == 32:
                return Volume(kind="lvm2", uuid=lvm_uuid(own.decode("ascii", "replace")))
    return None


def lvm_label(sector: bytes) -> int | None:
    """Where the header stands that the label of a physical volume leads to, counted from the label; None: no label."""
    if len(sector) < 512 or sector[:8] != b"LABELONE":
        return None
    _, _, _, offset, kind = _LVM_LABEL.unpack_from(sector)
    return offset if kind == b"LVM2 001" and _LVM_LABEL.size <= offset <= 512 - 40 else None


def lvm_uuid(text: str) -> str:
    """32 characters in groups, as LVM shows them."""
    cuts = (0, 6, 10, 14, 18, 22, 26, 32)
    return "-".join(text[start:stop] for start, stop in itertools.pairwise(cuts))


def iso(head: bytes) -> Volume | None:
    """ISO 9660."""
    return Volume(kind="iso9660", label=_text(head[32808:32840]).strip()) if head[32769:32774] == b"CD001" else None


def squashfs(head: bytes) -> Volume | None:
    """A packed, read-only file system of Linux."""
    return Volume(kind="squashfs") if head[:4] == b"hsqs" else None


READERS = (bitlocker, luks, md, lvm2, swap, ntfs, refs, exfat, xfs, btrfs, iso, squashfs, ext, fat)
"""in the order in which they are asked: containers before what may lie in them, strong magics before weak ones"""


def zfs(labels: bytes) -> Volume | None:
    """ZFS, by the uberblocks in the second half of a label of 256 KiB, in either byte order."""
    blocks = [labels[start : start + 8] for start in range(128 * KIB, len(labels), KIB)]
    if any(block in (b"\x0c\xb1\xba\0\0\0\0\0", b"\0\0\0\0\0\xba\xb1\x0c") for block in blocks):
        return Volume(kind="zfs")
    return None


def _uuid(data: Any) -> str:
    return str(uuid.UUID(bytes=bytes(data))) if any(data) else ""


def _serial(number: int) -> str:
    return f"{number >> 16:04X}-{number & 0xFFFF:04X}"


def _text(data: bytes) -> str:
    return data.split(b"\0", 1)[0].decode("utf-8", "replace")
