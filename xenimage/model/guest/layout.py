"""What a guest's disks are divided into."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Volume:
    """What stands in a partition, a logical volume, or on a disk without partitions. Sizes in bytes."""

    kind: str
    """``ntfs``, ``fat12|16|32``, ``ext2|3|4``, ``xfs``; ``btrfs``, ``exfat``, ``swap``, ``swsuspend`` (a system that
    hibernated into its swap), ``lvm2``, ``luks``, ``md``, ``zfs``, ``bitlocker``, ``refs``, ``ldm``,
    ``storage-spaces``, ``iso9660``, ``squashfs``, which are recognised and not read; empty where nothing is known"""
    label: str = ""
    uuid: str = ""
    """as Linux spells it for this kind; empty where it has none"""
    size: int = 0
    """bytes that the file system says it has, 0 where that is not known"""
    cluster_size: int = 0
    """bytes it allocates at a time, 0 where that is not known"""
    free: int | None = None
    """bytes that it does not use"""
    dirty: bool = False
    """whether it says of itself that it was not closed: NTFS's flag, ext's state, a FAT's bit"""
    needs_recovery: bool = False
    """whether a journal has to be replayed before what is read is current: ext's flag"""
    readable: bool = False
    """whether files were looked for in it"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Partition:
    """A row of a partition table, or a logical volume. Sizes in bytes."""

    number: int
    """as Linux counts: logical partitions of an MBR from 5; 0 for a logical volume"""
    offset: int
    """from the start of the disk; 0 for a logical volume, which may lie anywhere"""
    length: int
    type: str
    """``0x07`` in an MBR, an upper-case GUID in a GPT, ``lvm`` for a logical volume"""
    type_name: str = ""
    """what the type is called: ``EFI system``, ``BIOS boot``, ``Microsoft reserved``"""
    uuid: str = ""
    """of the partition, as ``PARTUUID=`` in Linux has it"""
    name: str = ""
    """the name in a GPT; ``group/volume`` of a logical volume"""
    active: bool = False
    """an MBR's flag, or a GPT's attribute legacy BIOS bootable"""
    volume: Volume | None = None
    """None where it lies outside of the disk"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layout:
    """One disk of a guest. Sizes in bytes."""

    index: int
    """from 0, in the order in which they were given"""
    name: str
    size: int
    scheme: str
    """``mbr``, ``gpt``, ``none`` for a volume without a table, empty where nothing was recognised"""
    identifier: str = ""
    """an MBR's signature (``0x12345678``), a GPT's disk GUID"""
    boot_code: bool = False
    """whether something stands where a BIOS starts"""
    boot_loader: str = ""
    """whose boot code that is: ``GRUB``, ``LILO``, ``syslinux``, ``Windows``; empty where it is not known"""
    partitions: tuple[Partition, ...] = ()
    """ordered by offset, logical volumes last; one without number where there is no table"""
    table_end: int | None = None
    """first byte behind what the table claims of the disk; beyond :attr:`size` where the disk was cut off"""
    backup_table: bool | None = None
    """whether a GPT's backup is there and agrees; None for others"""
    remarks: tuple[str, ...] = ()
    """what is odd about the table, a sentence each"""
