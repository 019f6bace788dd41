"""Free blocks of ext2, ext3 and ext4, by their block bitmaps: proved as far as the file system allows it.

Every bitmap has to agree with the number of free blocks that its group's descriptor tells, and with its checksum, or
where there is none with all files; no block of any group's tables may be free, and none may be claimed twice. A group
whose bitmap was never written has all blocks free but those tables. A clean file system that fails in one of these is
damaged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.exceptions import FormatError, NotReadyError, UnsupportedError
from xenimage.guest.free.crc import crc16, crc32c
from xenimage.guest.free.ext import layout
from xenimage.guest.free.ext.files import used_blocks
from xenimage.guest.free.ext.layout import Group, Superblock
from xenimage.guest.free.ranges import Ranges, clear_count, clear_runs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from xenimage.guest.free.area import Area

# What is known here of the features; an unknown one may change what a bitmap means.
_COMPAT = 0x2 | 0x4 | 0x8 | 0x10 | 0x20 | 0x200 | 0x400 | 0x800 | 0x1000
_INCOMPAT = 0x2 | layout.RECOVER | 0x10 | 0x40 | 0x80 | 0x200 | 0x400 | 0x2000 | 0x4000 | 0x8000 | 0x10000 | 0x20000
_RO_COMPAT = (
    0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x20 | 0x40 | 0x100 | 0x200 | 0x400 | 0x2000 | 0x8000 | layout.ORPHAN_PRESENT
)
_OLD_INCOMPAT, _OLD_RO_COMPAT = 0x2 | layout.RECOVER | layout.META_BG, 0x1 | 0x2 | 0x4
"""of ext2 and ext3"""
_NAMES = {
    "compatible": {0x1: "dir_prealloc", 0x40: "lazy_bg", 0x80: "snapshots", 0x100: "exclude_bitmap"},
    "incompatible": {0x1: "compression", 0x8: "journal_dev", 0x100: "mmp", 0x1000: "dirdata"},
    "read-only compatible": {0x80: "snapshots", 0x800: "replica", 0x1000: "readonly", 0x4000: "shared_blocks"},
}
_GROUPS_MAX = 1 << 17
"""16 TiB in groups of the usual size: each costs a read and a checksum"""
_COPIES = (3, 5, 7)
"""groups whose number is a power of these, besides 0 and 1, have a copy of the superblock"""


def free_ranges(area: Area, most: int) -> Ranges:
    """Find the free bytes of the file system in *area*.

    :param most: ranges that are kept.
    :raises NotReadyError: it was not unmounted, or holds errors that wait for a check.
    :raises UnsupportedError: it uses what is not known here.
    :raises FormatError: it is damaged.
    """
    superblock = Superblock.parse(area.read(layout.SUPERBLOCK, layout.SUPERBLOCK))
    _require_known(superblock)
    _require_sound(superblock, area.size)
    _require_clean(superblock)
    if superblock.groups > _GROUPS_MAX:
        raise UnsupportedError(f"it has {superblock.groups} groups, more than {_GROUPS_MAX}")
    return _Volume(area, superblock).free_ranges(most)


def kind(area: Area) -> str:
    """What the file system is called, by what it uses: ``ext2``, ``ext3``, ``ext4``; ``ext`` where it is damaged."""
    try:
        superblock = Superblock.parse(area.read(layout.SUPERBLOCK, layout.SUPERBLOCK))
    except FormatError:
        return "ext"
    if superblock.incompat & ~_OLD_INCOMPAT or superblock.ro_compat & ~_OLD_RO_COMPAT:
        return "ext4"
    return "ext3" if superblock.compat & layout.HAS_JOURNAL else "ext2"


def _require_known(superblock: Superblock) -> None:
    for what, found, known in (
        ("compatible", superblock.compat, _COMPAT),
        ("incompatible", superblock.incompat, _INCOMPAT),
        ("read-only compatible", superblock.ro_compat, _RO_COMPAT),
    ):
        for bit in (1 << place for place in range(32)):
            if found & ~known & bit:
                raise UnsupportedError(f"it uses the feature {_NAMES[what].get(bit) or f'{what} {bit:#x}'}")
    if superblock.ro_compat & layout.METADATA_CSUM and superblock.checksum_type != 1:
        raise UnsupportedError(f"its checksums are of the unknown type {superblock.checksum_type}")


def _require_clean(superblock: Superblock) -> None:
    if superblock.incompat & layout.RECOVER:
        raise NotReadyError("its journal has to be replayed: it was not unmounted")
    if superblock.state != layout.CLEAN:
        told = "holds errors that wait for a check" if superblock.state & 2 else "was not unmounted"
        raise NotReadyError(f"it {told} (state {superblock.state})")
    if superblock.errors:
        raise NotReadyError(f"it met {superblock.errors} errors since its last check")
    if superblock.last_orphan or superblock.ro_compat & layout.ORPHAN_PRESENT:
        raise NotReadyError("deleted files wait for their blocks to be freed: it was not unmounted")


def _require_sound(superblock: Superblock, size: int) -> None:
    """Hold the numbers of the superblock against each other and against the volume."""
    if superblock.ro_compat & layout.METADATA_CSUM and not superblock.checksum_good:
        raise FormatError("the checksum of its superblock is wrong")
    numbers = superblock
    good = (
        numbers.blocks * numbers.block_size <= size
        and numbers.first_data_block == (numbers.block_size == numbers.cluster_size == layout.SUPERBLOCK)
        and numbers.first_data_block < numbers.blocks
        and 0 < numbers.clusters_per_group <= 8 * numbers.block_size
        and numbers.clusters_per_group % 8 == 0
        and numbers.blocks_per_group == numbers.clusters_per_group * numbers.ratio
        and 0 < numbers.inodes_per_group <= 8 * numbers.block_size
        and numbers.inode_size in (128 << shift for shift in range(10))
        and numbers.inode_size <= numbers.block_size
        and numbers.descriptor_size in (32 << shift for shift in range(6))
        and (numbers.descriptor_size >= 64 or not numbers.incompat & layout.WIDE)
        and numbers.descriptor_size <= numbers.block_size
        and numbers.inodes == numbers.groups * numbers.inodes_per_group
    )
    if not good:
        raise FormatError("the numbers in its superblock contradict each other or the size of the volume")


class _Volume:
    """A file system whose superblock is sound."""

    def __init__(self, area: Area, superblock: Superblock) -> None:
        self._area = area
        self._super = superblock
        self._per_block = superblock.block_size // superblock.descriptor_size
        self._descriptor_blocks = -(-superblock.groups // self._per_block)
        self._checked = bool(superblock.ro_compat & layout.METADATA_CSUM)
        self._flagged = self._checked or bool(superblock.ro_compat & layout.GDT_CSUM)

    def free_ranges(self, most: int) -> Ranges:
        """Find the free ranges, in bytes."""
        groups = list(self._groups())
        tables = self._tables(groups)
        found, block_size = Ranges(most), self._super.block_size
        for number, group in enumerate(groups):
            for start, stop in self._free_blocks(number, group, tables):
                found.add(start * block_size, stop * block_size)
        if not self._checked:
            self._hold_against_files(found, groups)
        return found

    def _hold_against_files(self, found: Ranges, groups: Sequence[Group]) -> None:
        """Make up for bitmaps without checksums.

        :raises FormatError: a block of a file is free in them.
        """
        size = self._super.block_size
        written = [group for group in groups if not (self._flagged and group.flags & layout.INODE_UNINIT)]
        for start, stop in used_blocks(self._area, self._super, written):
            if next(found.touching(start * size, stop * size), None):
                raise FormatError(f"its bitmaps call blocks free that belong to a file, between {start} and {stop}")

    def _block(self, number: int, count: int = 1) -> bytes:
        return self._area.read(number * self._super.block_size, count * self._super.block_size)

    def _span(self, number: int) -> tuple[int, int]:
        """The blocks of a group."""
        first = self._super.first_data_block + number * self._super.blocks_per_group
        return first, min(first + self._super.blocks_per_group, self._super.blocks)

    # Descriptors

    def _groups(self) -> Iterator[Group]:
        size, left = self._super.descriptor_size, self._super.groups
        for number in range(self._descriptor_blocks):
            data = self._block(self._descriptor_place(number))
            first = number * self._per_block
            for place in range(min(self._per_block, left)):
                yield self._group(first + place, data[place * size : (place + 1) * size])
            left -= self._per_block

    def _descriptor_place(self, number: int) -> int:
        """The block that holds the descriptors *number*."""
        if number and self._super.incompat & layout.META_BG and number >= self._super.first_meta_group:
            group = number * self._per_block
            return self._span(group)[0] + self._has_copy(group)
        return layout.SUPERBLOCK // self._super.block_size + 1 + number

    def _group(self, number: int, data: bytes) -> Group:
        group = Group.parse(data)
        if self._flagged and self._descriptor_checksum(number, data) != group.checksum:
            raise FormatError(f"the checksum of the descriptor of group {number} is wrong")
        return group

    def _descriptor_checksum(self, number: int, data: bytes) -> int:
        """The checksum that a group's descriptor should have: 16 bits."""
        place = number.to_bytes(4, "little")
        before, behind = data[: layout.CHECKSUM_FIELD.start], data[layout.CHECKSUM_FIELD.stop :]
        if self._checked:
            return crc32c(self._super.seed, place + before + bytes(2) + behind) & 0xFFFF
        return crc16(0xFFFF, self._super.uuid + place + before + behind)

    # Tables

    def _has_copy(self, number: int) -> bool:
        """Whether a group begins with a superblock."""
        if number == 0:
            return True
        if self._super.compat & layout.SPARSE_SUPER2:
            return number in self._super.backup_groups
        if number == 1 or not self._super.ro_compat & layout.SPARSE_SUPER:
            return True
        return any(_is_power(number, base) for base in _COPIES)

    def _head(self, number: int) -> int:
        """Blocks at the start of a group that hold superblock, descriptors and room for more of these."""
        copy = int(self._has_copy(number))
        block = number // self._per_block
        if self._super.incompat & layout.META_BG and block >= self._super.first_meta_group:
            own = number % self._per_block in (0, 1, self._per_block - 1)
            return copy + own
        if not copy:
            return 0
        apart = self._super.incompat & layout.META_BG
        return 1 + (self._super.first_meta_group if apart else self._descriptor_blocks) + self._super.reserved_blocks

    def _tables(self, groups: Sequence[Group]) -> Ranges:
        """The blocks of all tables, none of which may be free."""
        claims = []
        for number, group in enumerate(groups):
            first, _ = self._span(number)
            head = self._head(number)
            if number == 0:
                head += layout.SUPERBLOCK // self._super.block_size - first
            claims += [(first, first + head)] if head else []
            claims.append((group.block_bitmap, group.block_bitmap + 1))
            claims.append((group.inode_bitmap, group.inode_bitmap + 1))
            claims.append((group.inode_table, group.inode_table + self._super.table_blocks))
        claims.sort()
        if claims[0][0] < self._super.first_data_block or claims[-1][1] > self._super.blocks:
            raise FormatError("tables of a group lie outside of the volume")
        tables = Ranges(len(claims))
        for start, stop in claims:
            if tables.stops and start < tables.stops[-1]:
                raise FormatError(f"two tables stand in block {start}")
            tables.add(start, stop)
        return tables

    # Bitmaps

    def _free_blocks(self, number: int, group: Group, tables: Ranges) -> Iterator[tuple[int, int]]:
        """Yield the runs of free blocks of a group.

        :raises FormatError: they are not what its descriptor tells, or hold tables.
        """
        first, stop = self._span(number)
        ratio = self._super.ratio
        clusters = -(-(stop - first) // ratio)
        if self._flagged and group.flags & layout.BLOCK_UNINIT:
            runs = list(self._unwritten(first, clusters, tables))
            free = sum(last - start for start, last in runs)
        else:
            bitmap = self._bitmap(number, group)
            runs, free = list(clear_runs(bitmap, clusters)), clear_count(bitmap, clusters)
        if free != group.free:
            raise FormatError(f"group {number} has {free} free clusters, but its descriptor tells of {group.free}")
        for start, last in runs:
            blocks = first + start * ratio, min(first + last * ratio, stop)
            if next(tables.touching(*blocks), None):
                raise FormatError(f"blocks of its own tables are free in group {number}")
            yield blocks

    def _unwritten(self, first: int, clusters: int, tables: Ranges) -> Iterator[tuple[int, int]]:
        """Yield the free clusters of a group whose bitmap was never written."""
        ratio = self._super.ratio
        for start, stop in tables.outside(first, first + clusters * ratio):
            # A cluster is free if all of it is.
            cluster, behind = -(-(start - first) // ratio), (stop - first) // ratio
            if cluster < behind:
                yield cluster, behind

    def _bitmap(self, number: int, group: Group) -> bytes:
        data = self._block(group.block_bitmap)
        if self._checked:
            found = crc32c(self._super.seed, data[: self._super.clusters_per_group // 8])
            if self._super.descriptor_size < 64:
                found &= 0xFFFF
            if found != group.bitmap_checksum:
                raise FormatError(f"the checksum of the block bitmap of group {number} is wrong")
        return data


def _is_power(number: int, base: int) -> bool:
    while number % base == 0:
        number //= base
    return number == 1
