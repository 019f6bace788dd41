"""The partitions of a GPT: from its primary table, or from the backup where that is broken."""

from __future__ import annotations

import binascii
import dataclasses
from typing import TYPE_CHECKING

from xenimage.guest.partitions.layout import GPT_ENTRY, GPT_MAGIC, GPT_TYPES, LEGACY_BOOT, GptHeader, gpt_entries
from xenimage.model.guest.layout import Partition
from xenimage.units import MIB

if TYPE_CHECKING:
    from collections.abc import Iterable

    from xenimage.guest.partitions.layout import GptEntry
    from xenimage.guest.window import Readable

SECTOR_SIZES = (512, 4096)
"""bytes that a disk's logical sectors may have; the header stands in the second one"""
_TABLE = MIB
"""bytes of a table; the usual one has 16 KiB"""
_PARTITIONS = 256
"""partitions that are described; Linux numbers as many"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gpt:
    """What a GPT says."""

    sector: int
    """bytes"""
    identifier: str
    partitions: tuple[Partition, ...]
    end: int | None
    """first byte behind what it claims of the disk"""
    backup: bool
    """whether the backup is there and agrees"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Table:
    """A header that was proven, and its rows."""

    header: GptHeader
    data: bytes


def has_gpt(source: Readable) -> bool:
    """Whether a primary header stands where it belongs, sound or not."""
    return any(source.read(sector, len(GPT_MAGIC)) == GPT_MAGIC for sector in SECTOR_SIZES)


def read_gpt(source: Readable, remarks: list[str], protected: int) -> Gpt | None:
    """Read the table of *source*; None if neither of the two can be used.

    :param remarks: what is odd is added to it.
    :param protected: last sector that the protective MBR covers. The backup stands there if the disk has grown since.
    """
    for sector in SECTOR_SIZES:
        primary = _table(source, sector, sector)
        last = source.size // sector - 1
        if primary is not None:
            other = primary.header.other
            backup = _table(source, sector, other * sector)
            agrees = backup is not None and _agree(primary.header, backup.header)
            _judge_backup(primary.header, last, agrees=agrees, present=backup is not None, remarks=remarks)
            return _described(primary, sector, other, agrees=agrees, remarks=remarks)
        for end in dict.fromkeys((last, protected)):
            backup = _table(source, sector, end * sector)
            if backup is not None:
                remarks.append(f"The primary GPT is damaged; its backup at sector {end} was read instead.")
                return _described(backup, sector, end, agrees=False, remarks=remarks)
    return None


def _table(source: Readable, sector: int, offset: int) -> _Table | None:
    """The table whose header stands at *offset*; None if a checksum or a bound says that it is none."""
    if not 0 < offset <= source.size - sector:
        return None
    header = GptHeader.parse(source.read(offset, sector))
    if header is None or not header.sound or header.own * sector != offset:
        return None
    size = header.count * header.entry_size
    if header.entry_size < GPT_ENTRY or header.entry_size % 8 or not 0 < size <= _TABLE:
        return None
    data = source.read(header.entries_at * sector, size)
    return _Table(header=header, data=data) if binascii.crc32(data) == header.entries_crc else None


def _agree(primary: GptHeader, backup: GptHeader) -> bool:
    """Whether the two describe the same disk in the same way."""
    return (backup.other, backup.disk, backup.entries_crc) == (primary.own, primary.disk, primary.entries_crc)


def _judge_backup(primary: GptHeader, last: int, *, agrees: bool, present: bool, remarks: list[str]) -> None:
    if primary.other > last:
        remarks.append(
            f"The GPT ends at sector {primary.other}, the disk at sector {last}: it was cut off, or the table is that"
            " of a larger disk."
        )
    elif not present:
        remarks.append(f"The backup of the GPT, at sector {primary.other}, is missing or damaged.")
    elif not agrees:
        remarks.append("The backup of the GPT says something else than the primary one.")
    if primary.other < last:
        remarks.append(f"The GPT ends at sector {primary.other} of {last + 1}: the disk has grown since it was made.")


def _described(table: _Table, sector: int, end: int, *, agrees: bool, remarks: list[str]) -> Gpt:
    if sector != SECTOR_SIZES[0]:
        remarks.append(f"The GPT counts sectors of {sector} bytes: where a disk shows 512, nobody finds it.")
    return Gpt(
        sector=sector,
        identifier=str(table.header.disk),
        partitions=tuple(_partitions(gpt_entries(table.data, table.header.entry_size), sector, remarks)),
        end=(end + 1) * sector,
        backup=agrees,
    )


def _partitions(entries: Iterable[GptEntry], sector: int, remarks: list[str]) -> list[Partition]:
    found: list[Partition] = []
    for entry in entries:
        if len(found) == _PARTITIONS:
            remarks.append(f"The GPT has more than {_PARTITIONS} partitions; the rest of them is left out.")
            break
        if entry.last < entry.first:
            remarks.append(f"Partition {entry.number} ends before it begins.")
            continue
        found.append(
            Partition(
                number=entry.number,
                offset=entry.first * sector,
                length=(entry.last - entry.first + 1) * sector,
                type=entry.type,
                type_name=GPT_TYPES.get(entry.type, ""),
                uuid=entry.uuid,
                name=entry.name,
                active=bool(entry.attributes & LEGACY_BOOT),
            )
        )
    return found
