"""All volumes of a disk, and what may be left out of each."""

from __future__ import annotations

import dataclasses
from array import array
from typing import TYPE_CHECKING

from xenimage.exceptions import FormatError, LimitError, NotReadyError, UnsupportedError
from xenimage.guest.free import lvm, swap
from xenimage.guest.free.area import Area, Piece, whole_sectors
from xenimage.guest.free.ext import reader as ext
from xenimage.guest.free.ntfs import reader as ntfs
from xenimage.guest.free.signatures import EXT, LVM, NTFS, SWAP, kinds
from xenimage.guest.partitions.layout import LDM_TYPES, PROTECTIVE, BootRecord
from xenimage.guest.partitions.mbr import is_hybrid, read_mbr
from xenimage.guest.partitions.table import is_extended, read_layout
from xenimage.model.guest.free import FreeVolume
from xenimage.units import SECTOR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from xenimage.exceptions import XenimageError
    from xenimage.guest.free.ranges import Ranges
    from xenimage.limits import Limits
    from xenimage.model.disk import Disk
    from xenimage.model.guest.layout import Layout, Partition

_READERS: dict[str, Callable[[Area, int], Ranges]] = {
    EXT: ext.free_ranges,
    NTFS: ntfs.free_ranges,
    SWAP: swap.free_ranges,
}
_CLOSE = "Start the guest and shut it down (Windows: shutdown /s /t 0), or leave out --drop-free-space."
_MEND = "Check the file system in the guest (fsck, chkdsk), or leave out --drop-free-space."


@dataclasses.dataclass(frozen=True, kw_only=True)
class Survey:
    """What is free on a disk."""

    volumes: tuple[FreeVolume, ...]
    starts: array[int]
    """bytes on the disk: whole sectors, ascending, apart"""
    stops: array[int]
    owners: array[int]
    """the volume that each range is free in"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Place:
    """Where a volume may stand."""

    name: str
    area: Area
    why: str = ""
    """why it cannot be looked at"""
    size: int | None = None
    """where the area does not tell it"""


class _Whole:
    """The disk as the reader of partition tables wants it: shorter at its end."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self.size = disk.facts.virtual_size

    def read(self, offset: int, length: int) -> bytes:
        """Return the bytes that are there."""
        data = bytearray(max(0, min(length, self.size - offset)))
        if data:
            self._disk.read_into(offset, memoryview(data))
        return bytes(data)


def survey(disk: Disk, most: int, limits: Limits) -> Survey:
    """Find what is free on *disk*.

    :param most: ranges that are kept: where there are more, the smallest are given up.
    :raises NotReadyError: a volume was not closed, or is damaged: nobody knows what it uses.
    :raises FormatError: the disk image is damaged.
    """
    places = _places(disk, limits)
    volumes: list[FreeVolume] = []
    found: list[tuple[int, int, int]] = []
    for number, place in enumerate(places):
        volume, ranges = _look(place, most)
        volumes.append(volume)
        found = _largest([*found, *_on_disk(place.area, ranges, number)], most)
    free = [0] * len(volumes)
    for start, stop, number in found:
        free[number] += stop - start
    return Survey(
        volumes=tuple(dataclasses.replace(volume, free_size=size) for volume, size in zip(volumes, free, strict=True)),
        starts=array("Q", (start for start, _, _ in found)),
        stops=array("Q", (stop for _, stop, _ in found)),
        owners=array("H", (number for _, _, number in found)),
    )


def _on_disk(area: Area, ranges: Iterable[tuple[int, int]], number: int) -> Iterator[tuple[int, int, int]]:
    """Yield the whole sectors of a volume's ranges at their places on the disk, with the number of the volume."""
    for start, stop in ranges:
        for piece in area.on_disk(start, stop):
            first, last = whole_sectors(*piece)
            if first < last:
                yield first, last, number


def _largest(found: list[tuple[int, int, int]], most: int) -> list[tuple[int, int, int]]:
    """At most *most* of the ranges, the largest, in the order of the disk."""
    if len(found) > most:
        found = sorted(found, key=lambda each: (each[0] - each[1], each[0]))[:most]
    return sorted(found)


def _places(disk: Disk, limits: Limits) -> list[_Place]:
    """The places of all volumes: partitions, then the logical volumes in them. None lies over another."""
    source = _Whole(disk)
    layout = read_layout(source, 0, "")
    whole = Area(disk, (Piece(0, disk.facts.virtual_size),))
    places = [_partition(disk, partition) for partition in layout.partitions if not is_extended(partition)]
    if not layout.partitions and disk.facts.virtual_size:
        places.append(_Place(name="the whole disk", area=whole))
    if layout.scheme == "gpt" and _contradicted(source, layout):
        return [dataclasses.replace(place, why="the MBR and the GPT of its disk disagree") for place in places]
    physical: dict[int, lvm.PhysicalVolume] = {}
    for number, place in enumerate(places):
        if not place.why and _kinds(place) == [LVM]:
            try:
                physical[number] = lvm.read_physical(place.area, limits)
            except (FormatError, LimitError) as error:
                places[number] = dataclasses.replace(place, why=str(error))
    try:
        for volume in lvm.logical_volumes(disk, tuple(physical.values())):
            name = f"logical volume {volume.name}"
            places.append(_Place(name=name, area=volume.area, why=volume.why, size=volume.size))
    except FormatError as error:
        raise _refused("a volume group of LVM", "is damaged", error, _MEND) from error
    return _apart(places, set(physical))


def _contradicted(source: _Whole, layout: Layout) -> bool:
    """Whether the MBR before a GPT names partitions that are none of that: some systems follow the one, some the other.

    A hybrid table whose rows are the GPT's divides the disk for all in the same way.
    """
    record = BootRecord.parse(source.read(0, SECTOR))
    if not record.signed or not is_hybrid(record):
        return False
    ranges = {(partition.offset, partition.length) for partition in layout.partitions}
    return any(
        (partition.offset, partition.length) not in ranges
        for partition in read_mbr(source, record, [])
        if partition.type != f"0x{PROTECTIVE:02x}"
    )


def _partition(disk: Disk, partition: Partition) -> _Place:
    name = f"partition {partition.number}" if partition.number else "the whole disk"
    if not 0 <= partition.offset <= partition.offset + partition.length <= disk.facts.virtual_size:
        return _Place(
            name=name,
            area=Area(disk, ()),
            why="it lies outside of the disk, in part or as a whole",
            size=partition.length,
        )
    why = "it belongs to a dynamic disk" if partition.type in LDM_TYPES else ""
    return _Place(name=name, area=Area(disk, (Piece(partition.offset, partition.length),)), why=why)


def _apart(places: Sequence[_Place], physical: set[int]) -> list[_Place]:
    """*places*, those marked that share bytes with others.

    :param physical: the numbers of those in which logical volumes lie.
    """
    pieces = sorted(
        (piece.offset, piece.offset + piece.length, number)
        for number, place in enumerate(places)
        if number not in physical
        for piece in place.area.pieces
    )
    shared: set[int] = set()
    end, owner = 0, -1
    for start, stop, number in pieces:
        if start < end:
            shared |= {owner, number}
        if stop > end:
            end, owner = stop, number
    return [
        dataclasses.replace(place, why="it shares a part of the disk with another volume")
        if number in shared
        else place
        for number, place in enumerate(places)
    ]


def _kinds(place: _Place) -> list[str]:
    try:
        return kinds(place.area)
    except FormatError as error:
        raise error.within(place.name) from None


def _look(place: _Place, most: int) -> tuple[FreeVolume, Iterable[tuple[int, int]]]:
    """Look at one volume."""
    size = place.area.size if place.size is None else place.size
    found = _kinds(place) if not place.why else []
    kind = found[0] if len(found) == 1 else ""
    volume = FreeVolume(place=place.name, kind=kind, size=size, why=place.why or _why_not(found))
    if volume.why:
        return volume, ()
    if kind == EXT:
        volume = dataclasses.replace(volume, kind=ext.kind(place.area))
    what = f"{volume.kind} on {place.name}"
    try:
        return volume, _READERS[kind](place.area, most)
    except UnsupportedError as error:
        return dataclasses.replace(volume, why=error.found), ()
    except NotReadyError as error:
        raise _refused(what, "is not clean", error, _CLOSE) from error
    except (FormatError, LimitError) as error:
        raise _refused(what, "is damaged", error, _MEND) from error


def _why_not(found: list[str]) -> str:
    """Why a volume of these kinds is left alone."""
    if not found:
        return "nothing is known of what it holds"
    if len(found) > 1:
        return f"it looks like {' and '.join(found)}"
    if found == [LVM]:
        return "its logical volumes are looked at one by one"
    return "" if found[0] in _READERS else f"the free space of {found[0]} is not read"


def _refused(what: str, how: str, error: XenimageError, tip: str) -> NotReadyError:
    return NotReadyError(f"{what} {how}: {error}", expected="sound volumes that were closed", tip=tip)
