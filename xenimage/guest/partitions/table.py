"""What a disk is divided by: the one table that the guest will see, and what is odd about it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from xenimage.guest.partitions.gpt import has_gpt, read_gpt
from xenimage.guest.partitions.layout import EXTENDED, PROTECTIVE, SECTOR, BootRecord
from xenimage.guest.partitions.mbr import is_hybrid, read_mbr
from xenimage.guest.volumes.recognise import recognise
from xenimage.model.guest.layout import Layout, Partition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xenimage.guest.window import Readable

_EXTENDED = frozenset(f"0x{kind:02x}" for kind in EXTENDED)
_LOADERS = ((b"GRUB", "GRUB"), (b"LILO", "LILO"), (b"BOOTMGR", "Windows"), (b"Invalid partition table", "Windows"),
            (b"Missing operating system", "syslinux"))  # fmt: skip
"""texts in the code of well-known boot records"""


def read_layout(source: Readable, index: int, name: str) -> Layout:
    """Describe how *source* is divided; its volumes are not looked at.

    :param index: of the disk, from 0.
    :param name: of the disk, for display.
    :raises FormatError: the image is damaged where its table stands.
    """
    record = BootRecord.parse(source.read(0, SECTOR))
    used = record.plausible and any(entry.used for entry in record.entries)
    if used and any(entry.used and entry.type == PROTECTIVE for entry in record.entries):
        return _gpt(source, record, index, name)
    if used:
        return _mbr(source, record, index, name)
    if recognise(source).kind:
        return _bare(source, record, index, name)
    if has_gpt(source):
        return _gpt(source, record, index, name)
    return _empty(source, record, index, name)


def is_extended(partition: Partition) -> bool:
    """Whether the partition is but a frame for logical ones."""
    return partition.type in _EXTENDED


def _gpt(source: Readable, record: BootRecord, index: int, name: str) -> Layout:
    remarks: list[str] = []
    covered = (entry.start + entry.sectors - 1 for entry in record.entries if entry.type == PROTECTIVE)
    gpt = read_gpt(source, remarks, max(covered, default=0))
    if not record.signed:
        remarks.append("There is no protective MBR before the GPT: Linux and firmware look for one.")
    elif is_hybrid(record):
        remarks.append("The MBR names partitions beside the GPT (a hybrid table); the GPT was read.")
    if gpt is None:
        remarks.append("Both tables of the GPT are missing or damaged.")
    partitions = _ordered(gpt.partitions if gpt else ())
    return Layout(
        index=index,
        name=name,
        size=source.size,
        scheme="gpt",
        identifier=gpt.identifier if gpt else "",
        boot_code=_has_code(record),
        boot_loader=_loader(record),
        partitions=partitions,
        table_end=gpt.end if gpt else None,
        backup_table=gpt.backup if gpt else False,
        remarks=(*remarks, *_remarks(partitions, source.size)),
    )


def _mbr(source: Readable, record: BootRecord, index: int, name: str) -> Layout:
    remarks: list[str] = []
    partitions = _ordered(read_mbr(source, record, remarks))
    if has_gpt(source):
        remarks.append("An old GPT stands behind the MBR, which has no protective entry; it was not read.")
    return Layout(
        index=index,
        name=name,
        size=source.size,
        scheme="mbr",
        identifier=f"0x{record.identifier:08x}",
        boot_code=_has_code(record),
        boot_loader=_loader(record),
        partitions=partitions,
        table_end=max((partition.offset + partition.length for partition in partitions), default=None),
        remarks=(*remarks, *_remarks(partitions, source.size)),
    )


def _bare(source: Readable, record: BootRecord, index: int, name: str) -> Layout:
    """A disk that one volume fills."""
    whole = Partition(number=0, offset=0, length=source.size, type="")
    return Layout(
        index=index,
        name=name,
        size=source.size,
        scheme="none",
        boot_code=_has_code(record),
        boot_loader=_loader(record),
        partitions=(whole,),
    )


def _empty(source: Readable, record: BootRecord, index: int, name: str) -> Layout:
    """A disk on which nothing is known: a table without partitions, or nothing at all."""
    return Layout(
        index=index,
        name=name,
        size=source.size,
        scheme="mbr" if record.plausible else "",
        identifier=f"0x{record.identifier:08x}" if record.plausible else "",
        boot_code=_has_code(record),
        boot_loader=_loader(record),
    )


def _has_code(record: BootRecord) -> bool:
    return record.signed and any(record.code)


def _loader(record: BootRecord) -> str:
    if not record.signed:
        return ""
    return next((loader for text, loader in _LOADERS if text in record.code), "")


def _ordered(partitions: Sequence[Partition]) -> tuple[Partition, ...]:
    return tuple(sorted(partitions, key=lambda partition: (partition.offset, partition.number)))


def _remarks(partitions: Sequence[Partition], size: int) -> list[str]:
    """What is odd about where the partitions lie."""
    remarks = [
        f"Partition {partition.number} ends at {partition.offset + partition.length:#x}, behind the end of the disk at"
        f" {size:#x}."
        for partition in partitions
        if partition.offset + partition.length > size
    ]
    real = [partition for partition in partitions if not is_extended(partition)]
    remarks += [
        f"Partitions {one.number} and {other.number} overlap."
        for one, other in itertools.pairwise(real)
        if one.offset + one.length > other.offset
    ]
    return remarks
