"""The partitions of a master boot record, the logical ones in its extended partitions too."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from xenimage.guest.partitions.layout import ACTIVE, EXTENDED, MBR_TYPES, PROTECTIVE, SECTOR, BootRecord
from xenimage.model.guest.layout import Partition

if TYPE_CHECKING:
    from xenimage.guest.partitions.layout import BootEntry
    from xenimage.guest.window import Readable

_LOGICAL = 124
"""logical partitions that are followed: twice as many as Linux ever numbered"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Extended:
    """An extended partition. Sectors."""

    start: int
    sectors: int

    def holds(self, start: int, sectors: int) -> bool:
        """Whether the range lies in it."""
        return self.start <= start and start + sectors <= self.start + self.sectors


def read_mbr(source: Readable, record: BootRecord, remarks: list[str]) -> list[Partition]:
    """Return the partitions of *record*, by number.

    :param remarks: what is odd is added to it.
    """
    partitions: list[Partition] = []
    extended: list[_Extended] = []
    for number, entry in enumerate(record.entries, start=1):
        if not entry.used:
            continue
        partitions.append(_partition(number, entry, entry.start, record.identifier))
        if entry.type in EXTENDED:
            extended.append(_Extended(start=entry.start, sectors=entry.sectors))
    number = 5
    for frame in extended:
        found = _logical(source, frame, remarks)
        partitions += [
            _partition(number + index, entry, start, record.identifier) for index, (entry, start) in enumerate(found)
        ]
        number += len(found)
    return partitions


def is_hybrid(record: BootRecord) -> bool:
    """Whether the record of a GPT names partitions of its own."""
    return any(entry.used and entry.type != PROTECTIVE for entry in record.entries)


def _logical(source: Readable, frame: _Extended, remarks: list[str]) -> list[tuple[BootEntry, int]]:
    """Follow the chain of records in an extended partition: (entry, first sector) of each logical partition."""
    found: list[tuple[BootEntry, int]] = []
    seen: set[int] = set()
    at: int | None = frame.start
    while at is not None:
        record = BootRecord.parse(source.read(at * SECTOR, SECTOR))
        if not record.signed:
            remarks.append(f"The record of logical partition {5 + len(found)}, at sector {at}, is damaged.")
            break
        seen.add(at)
        found += _rows(record, at, frame)
        following = next((entry for entry in record.entries if entry.used and entry.type in EXTENDED), None)
        at = None if following is None else frame.start + following.start
        if at is not None and (at in seen or len(seen) >= _LOGICAL):
            remarks.append("The chain of logical partitions does not end.")
            break
        if at is not None and not frame.holds(at, 1):
            remarks.append(f"The chain of logical partitions leads to sector {at}, outside of the extended partition.")
            break
    return found


def _rows(record: BootRecord, at: int, frame: _Extended) -> list[tuple[BootEntry, int]]:
    """The logical partitions of one record: one in all tables that are not odd. Linux looks at all four rows, too."""
    rows = [(entry, at + entry.start) for entry in record.entries if entry.used and entry.type not in EXTENDED]
    return [
        (entry, start) for index, (entry, start) in enumerate(rows) if not index or frame.holds(start, entry.sectors)
    ]


def _partition(number: int, entry: BootEntry, start: int, identifier: int) -> Partition:
    return Partition(
        number=number,
        offset=start * SECTOR,
        length=entry.sectors * SECTOR,
        type=f"0x{entry.type:02x}",
        type_name=MBR_TYPES.get(entry.type, ""),
        uuid=f"{identifier:08x}-{number:02x}",
        active=entry.status == ACTIVE,
    )
