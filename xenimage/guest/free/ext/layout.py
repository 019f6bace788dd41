"""Superblock and group descriptors of ext2, ext3 and ext4, as the kernel's documentation (filesystems/ext4) has them.

Numbers are little-endian; offsets count from the start of the superblock, which stands 1024 bytes into the volume.
"""

from __future__ import annotations

import dataclasses
import struct
import sys

from xenimage.exceptions import FormatError
from xenimage.guest.free.crc import crc32c

SUPERBLOCK = 1024
"""bytes from the start of the volume, and bytes of it"""
MAGIC = b"\x53\xef"
MAGIC_AT = 0x38
_CHECKSUM_AT = 0x3FC

CLEAN = 1
"""the state of a file system that was closed, without errors (2) and without orphans being recovered (4)"""

# Compatible, incompatible and read-only compatible features.
HAS_JOURNAL, SPARSE_SUPER2 = 0x4, 0x200
RECOVER, META_BG, WIDE, CSUM_SEED = 0x4, 0x10, 0x80, 0x2000
SPARSE_SUPER, GDT_CSUM, BIGALLOC, METADATA_CSUM, ORPHAN_PRESENT = 0x1, 0x10, 0x200, 0x400, 0x10000

INODE_UNINIT, BLOCK_UNINIT = 0x1, 0x2
"""flags of a group: its bitmap and table of inodes, its bitmap of blocks were never written"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Superblock:
    """What matters of it. Blocks are numbered from the start of the volume."""

    inodes: int
    blocks: int
    first_data_block: int
    block_size: int
    cluster_size: int
    """bytes for each bit of a bitmap"""
    blocks_per_group: int
    clusters_per_group: int
    inodes_per_group: int
    inode_size: int
    state: int
    errors: int
    """how many were met since the last check"""
    last_orphan: int
    compat: int
    incompat: int
    ro_compat: int
    reserved_blocks: int
    """for more group descriptors, behind those of each copy"""
    descriptor_size: int
    first_meta_group: int
    """the first block of descriptors that stands in a group of its own"""
    backup_groups: tuple[int, int]
    """the groups with copies, where there are but two"""
    checksum_type: int
    checksum_good: bool
    seed: int
    """of the checksums"""
    uuid: bytes

    @property
    def groups(self) -> int:
        """How many there are; the last one may be shorter."""
        return -(-(self.blocks - self.first_data_block) // self.blocks_per_group)

    @property
    def ratio(self) -> int:
        """Blocks of a cluster."""
        return self.cluster_size // self.block_size

    @property
    def table_blocks(self) -> int:
        """Blocks of the inode table of a group."""
        return -(-self.inodes_per_group * self.inode_size // self.block_size)

    @classmethod
    def parse(cls, data: bytes) -> Superblock:
        """Read it.

        :raises FormatError: it is none, or its numbers contradict each other.
        """
        if data[MAGIC_AT : MAGIC_AT + 2] != MAGIC:
            raise FormatError("the magic of the superblock is missing")

        def short(at: int) -> int:
            return int.from_bytes(data[at : at + 2], "little")

        def word(at: int) -> int:
            return int.from_bytes(data[at : at + 4], "little")

        incompat, ro_compat = word(0x60), word(0x64)
        wide = bool(incompat & WIDE)
        if word(0x18) > 6 or (ro_compat & BIGALLOC and not word(0x18) <= word(0x1C) <= 20):
            raise FormatError(f"block and cluster sizes are 2^(10+{word(0x18)}) and 2^(10+{word(0x1C)})")
        block_size = 1024 << word(0x18)
        bigalloc = bool(ro_compat & BIGALLOC)
        uuid = data[0x68:0x78]
        return cls(
            inodes=word(0),
            blocks=word(4) | (word(0x150) << 32 if wide else 0),
            first_data_block=word(0x14),
            block_size=block_size,
            cluster_size=1024 << word(0x1C) if bigalloc else block_size,
            blocks_per_group=word(0x20),
            clusters_per_group=word(0x24) if bigalloc else word(0x20),
            inodes_per_group=word(0x28),
            inode_size=short(0x58) if word(0x4C) else 128,
            state=short(0x3A),
            errors=word(0x194),
            last_orphan=word(0xE8),
            compat=word(0x5C),
            incompat=incompat,
            ro_compat=ro_compat,
            reserved_blocks=short(0xCE),
            descriptor_size=short(0xFE) if wide else 32,
            first_meta_group=word(0x104),
            backup_groups=(word(0x24C), word(0x250)),
            checksum_type=data[0x175],
            checksum_good=crc32c(0xFFFFFFFF, data[:_CHECKSUM_AT]) == word(_CHECKSUM_AT),
            seed=word(0x270) if incompat & CSUM_SEED else crc32c(0xFFFFFFFF, uuid),
            uuid=uuid,
        )


_DESCRIPTOR = struct.Struct("<IIIHHHHIHHHH")
_UPPER = struct.Struct("<IIIHHHHIHH")
assert _DESCRIPTOR.size == 32
assert _UPPER.size == 28
CHECKSUM_FIELD = slice(0x1E, 0x20)


@dataclasses.dataclass(frozen=True, slots=True)
class Group:
    """A group's descriptor."""

    block_bitmap: int
    inode_bitmap: int
    inode_table: int
    free: int
    """clusters"""
    flags: int
    bitmap_checksum: int
    checksum: int

    @classmethod
    def parse(cls, data: bytes) -> Group:
        """Read 32 bytes, or 64 and more."""
        block_bitmap, inode_bitmap, table, free, _, _, flags, _, csum, _, _, checksum = _DESCRIPTOR.unpack_from(data)
        if len(data) >= 64:
            upper = _UPPER.unpack_from(data, 32)
            block_bitmap |= upper[0] << 32
            inode_bitmap |= upper[1] << 32
            table |= upper[2] << 32
            free |= upper[3] << 16
            csum |= upper[8] << 16
        return cls(block_bitmap, inode_bitmap, table, free, flags, csum, checksum)


SWAPPED = sys.byteorder == "big"
"""whether numbers of this machine have another order than those of the file system"""

EXTENTS, INLINE_DATA = 0x80000, 0x10000000
"""flags of an inode"""
_FILE, _DIRECTORY, _LINK = 0x8000, 0x4000, 0xA000
_SHORT_LINK = 60
"""bytes of a link's target that stand in the inode"""
_EXTENT_MAGIC = 0xF30A
_UNWRITTEN = 32768
"""lengths above this are those of extents that were allocated and never written"""


@dataclasses.dataclass(frozen=True, slots=True)
class Inode:
    """What tells where a file stands."""

    flags: int
    map: bytes
    """60 bytes"""
    attributes: int
    """block with extended attributes; 0 if there is none"""
    has_blocks: bool
    """whether :attr:`map` leads to blocks"""

    @classmethod
    def parse(cls, data: bytes) -> Inode:
        """Read 128 bytes or more."""
        mode, size = int.from_bytes(data[:2], "little") & 0xF000, int.from_bytes(data[4:8], "little")
        flags = int.from_bytes(data[0x20:0x24], "little")
        attributes = int.from_bytes(data[0x68:0x6C], "little") | int.from_bytes(data[0x76:0x78], "little") << 32
        short = mode == _LINK and size < _SHORT_LINK and not flags & EXTENTS
        mapped = mode in (_FILE, _DIRECTORY, _LINK) and not short and not flags & INLINE_DATA
        return cls(flags, data[0x28:0x64], attributes, mapped)


def extent_node(data: bytes) -> tuple[int, list[tuple[int, int]]]:
    """The depth of a node in a tree of extents, and its entries: first block, and how many; 1 for a node below.

    :raises FormatError: it is damaged.
    """
    magic, count, _, depth = struct.unpack_from("<HHHH", data)
    if magic != _EXTENT_MAGIC or 12 + 12 * count > len(data):
        raise FormatError("the map of a file is damaged")
    if depth:
        entries = struct.iter_unpack("<4xIH2x", data[12 : 12 + 12 * count])
        return depth, [(low | high << 32, 1) for low, high in entries]
    entries = struct.iter_unpack("<4xHHI", data[12 : 12 + 12 * count])
    return 0, [
        (high << 32 | low, length if length <= _UNWRITTEN else length - _UNWRITTEN) for length, high, low in entries
    ]
