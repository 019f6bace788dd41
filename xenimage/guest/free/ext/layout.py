"""Superblock and group descriptors of ext2, ext3 and ext4, as the kernel's documentation (filesystems/ext4) has them.

Numbers are little-endian; offsets count from the start of the superblock, which stands 1024 bytes into the volume.
"""

from __future__ import annotations

import dataclasses
import struct

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

BLOCK_UNINIT = 0x2
"""flag of a group: its block bitmap was never written"""


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
