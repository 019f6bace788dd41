"""Where the logical volumes of LVM2 stand on a disk: in groups of nothing but linear volumes.

A snapshot relies on blocks that are free in its origin, and a thin pool on all of them: a volume group that holds
segments of any other kind is left alone as a whole.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from xenimage.exceptions import FormatError, UnsupportedError
from xenimage.guest.free.area import Area, Piece
from xenimage.guest.lvm.layout import read_metadata, read_physical_volume
from xenimage.guest.lvm.text import parse
from xenimage.units import SECTOR

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from xenimage.guest.lvm.text import Section
    from xenimage.limits import Limits
    from xenimage.model.disk import Disk

_LINEAR = "striped"
"""what lvm2 calls it, with one stripe"""
_SEGMENTS = 1024
"""of one volume: each range that is found in it is held against them"""
_VOLUMES = 256


@dataclasses.dataclass(frozen=True)
class PhysicalVolume:
    """A partition that holds extents of logical volumes."""

    identifier: str
    piece: Piece
    name: str
    """of its group"""
    group: Section


@dataclasses.dataclass(frozen=True)
class LogicalVolume:
    """A volume of a group."""

    name: str
    """``group/volume``"""
    size: int
    area: Area
    why: str = ""
    """why it is left alone"""


def read_physical(area: Area, limits: Limits) -> PhysicalVolume:
    """Read what a physical volume says of its group.

    :raises FormatError: it is damaged, or says nothing.
    :raises LimitError: its metadata passes a limit.
    """
    header = read_physical_volume(area)
    newest: tuple[int, str, Section] | None = None
    for offset in header.metadata:
        text = read_metadata(area, offset, limits)
        for name, group in parse(text or "").items():
            if isinstance(group, dict) and (newest is None or _number(group, "seqno") > newest[0]):
                newest = _number(group, "seqno"), name, group
    if newest is None:
        raise FormatError("what describes its volume group stands on another disk")
    return PhysicalVolume(header.identifier, area.pieces[0], newest[1], newest[2])


def logical_volumes(disk: Disk, physical: Sequence[PhysicalVolume]) -> Iterator[LogicalVolume]:
    """Yield the logical volumes of all groups.

    :raises FormatError: the metadata contradicts itself.
    """
    groups: dict[str, PhysicalVolume] = {}
    for each in physical:
        known = groups.get(str(each.group.get("id")))
        if known is None or _number(known.group, "seqno") < _number(each.group, "seqno"):
            groups[str(each.group.get("id"))] = each
    for holder in groups.values():
        yield from _Group(disk, holder, physical).volumes()


class _Group:
    """A volume group by its metadata: everything in it is checked when it is used."""

    def __init__(self, disk: Disk, holder: PhysicalVolume, physical: Sequence[PhysicalVolume]) -> None:
        self._disk = disk
        self._name = holder.name
        self._extent = _number(holder.group, "extent_size") * SECTOR
        self._volumes = _sections(holder.group, "logical_volumes")
        self._physical: dict[str, tuple[Piece, int, int]] = {}
        for key, each in _sections(holder.group, "physical_volumes").items():
            found = [one for one in physical if one.identifier == str(each.get("id")).replace("-", "")]
            if len(found) == 1:
                start, count = _number(each, "pe_start") * SECTOR, _number(each, "pe_count")
                self._physical[key] = found[0].piece, start, count

    def volumes(self) -> Iterator[LogicalVolume]:
        """Yield the volumes in the order of the metadata."""
        if len(self._volumes) > _VOLUMES:
            raise FormatError(f"{self._name} has {len(self._volumes)} volumes", expected=f"at most {_VOLUMES}")
        segments = {name: self._segments(volume) for name, volume in self._volumes.items()}
        others = {str(each.get("type")) for listed in segments.values() for each in listed} - {_LINEAR}
        for key, listed in segments.items():
            name = f"{self._name}/{key}"
            size = sum(_number(each, "extent_count") for each in listed) * self._extent
            pieces: tuple[Piece, ...] = ()
            why = f"its volume group holds a volume of the kind {min(others)}" if others else ""
            try:
                pieces = () if why else self._pieces(listed)
            except UnsupportedError as error:
                why = error.found
            yield LogicalVolume(name, size, Area(self._disk, pieces), why)

    def _segments(self, volume: Section) -> list[Section]:
        """The segments of a volume in their order, without gaps."""
        found = [value for name, value in volume.items() if name.startswith("segment") and isinstance(value, dict)]
        found.sort(key=lambda each: _number(each, "start_extent"))
        extent = 0
        for each in found:
            if _number(each, "start_extent") != extent:
                raise FormatError(f"the segments of a volume in {self._name} have gaps, or overlap")
            extent += _number(each, "extent_count")
        return found

    def _pieces(self, segments: list[Section]) -> tuple[Piece, ...]:
        if len(segments) > _SEGMENTS:
            raise UnsupportedError(f"it is in more than {_SEGMENTS} pieces")
        return tuple(self._piece(each) for each in segments)

    def _piece(self, segment: Section) -> Piece:
        stripes: Any = segment.get("stripes")
        if segment.get("stripe_count") != 1:
            raise UnsupportedError("it is striped over several physical volumes")
        if not isinstance(stripes, list) or len(stripes) != 2 or not isinstance(stripes[1], int) or stripes[1] < 0:
            raise FormatError(f"a segment of a volume in {self._name} is damaged")
        if stripes[0] not in self._physical:
            raise UnsupportedError("a part of it lies on another disk")
        physical, start, extents = self._physical[stripes[0]]
        count = _number(segment, "extent_count")
        offset, length = start + stripes[1] * self._extent, count * self._extent
        if stripes[1] + count > extents or offset + length > physical.length:
            raise FormatError(f"a segment of a volume in {self._name} lies outside of its physical volume")
        return Piece(physical.offset + offset, length)


def _number(section: Section, name: str) -> int:
    value = section.get(name)
    if not isinstance(value, int) or not 0 <= value < 1 << 62:
        raise FormatError(f"{name} is no number in the metadata of a volume group")
    return value


def _sections(section: Section, name: str) -> dict[str, Section]:
    found = section.get(name, {})
    return {key: value for key, value in found.items() if isinstance(value, dict)} if isinstance(found, dict) else {}
