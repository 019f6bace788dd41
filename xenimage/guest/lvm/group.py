"""Volume groups: which ranges of which physical volumes make a logical volume."""

from __future__ import annotations

import bisect
import dataclasses
from typing import TYPE_CHECKING, Any

from xenimage.exceptions import FormatError, UnsupportedError
from xenimage.guest.lvm.layout import SECTOR, read_metadata, read_physical_volume
from xenimage.guest.lvm.text import parse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from xenimage.guest.lvm.text import Section
    from xenimage.guest.notes import Notes
    from xenimage.guest.window import Readable
    from xenimage.limits import Limits

_VOLUMES = 256
"""logical volumes of one group that are described"""
_SEGMENTS = 65536
_SIZE = 1 << 62


@dataclasses.dataclass(frozen=True, kw_only=True)
class LogicalVolume:
    """A volume that is made of ranges of others."""

    name: str
    """``group/volume``"""
    size: int
    """bytes"""
    source: Readable | None
    """None where it cannot be read; the notes say why"""
    first: int
    """which of the physical volumes it begins on"""


class Mapped:
    """Ranges one behind the other as one thing to read."""

    def __init__(self, ranges: Sequence[tuple[Readable, int, int]]) -> None:
        """Take (source, offset, length) of each range, in order."""
        self._ranges = ranges
        self._starts = []
        self.size = 0
        for _, _, length in ranges:
            self._starts.append(self.size)
            self.size += length

    def read(self, offset: int, length: int) -> bytes:
        """See :meth:`xenimage.guest.window.Readable.read`."""
        end = min(offset + length, self.size)
        parts = []
        while 0 <= offset < end:
            index = bisect.bisect_right(self._starts, offset) - 1
            source, start, size = self._ranges[index]
            inside = offset - self._starts[index]
            wanted = min(end - offset, size - inside)
            data = source.read(start + inside, wanted)
            if len(data) < wanted:
                raise FormatError(f"the logical volume leaves its physical volume at {start + inside:#x}")
            parts.append(data)
            offset += wanted
        return b"".join(parts)


def logical_volumes(physical: Sequence[Readable], notes: Notes, limits: Limits) -> list[LogicalVolume]:
    """Find the logical volumes of all groups that the physical volumes belong to.

    :param notes: takes what cannot be read: damaged descriptions, kinds other than linear, missing parts.
    """
    indices: dict[str, int] = {}
    groups: dict[str, tuple[int, str, Section]] = {}
    for index, source in enumerate(physical):
        with notes.tried(f"physical volume {index} of LVM"):
            header = read_physical_volume(source)
            if indices.setdefault(header.identifier, index) != index:
                raise FormatError("is there twice")
            for offset in header.metadata:
                text = read_metadata(source, offset, limits)
                if text is not None:
                    _keep_newest(groups, text)
    found: list[LogicalVolume] = []
    for _, name, group in groups.values():
        with notes.tried(f"volume group {name}"):
            found += _Group(name, group, physical, indices).volumes(notes)
    return found


def _keep_newest(groups: dict[str, tuple[int, str, Section]], text: str) -> None:
    for name, group in parse(text).items():
        if isinstance(group, dict):
            number = _number(group, "seqno")
            identifier = str(group.get("id"))
            if number > groups.get(identifier, (-1, "", {}))[0]:
                groups[identifier] = (number, name, group)


class _Group:
    """A volume group whose description was read."""

    def __init__(self, name: str, group: Section, physical: Sequence[Readable], indices: Mapping[str, int]) -> None:
        self._name = name
        self._group = group
        self._physical = physical
        self._extent = _number(group, "extent_size") * SECTOR
        self._indices: dict[str, int | None] = {}
        self._starts: dict[str, int] = {}
        for key, one in _section(group, "physical_volumes").items():
            if isinstance(one, dict):
                self._indices[key] = indices.get(str(one.get("id")).replace("-", ""))
                self._starts[key] = _number(one, "pe_start") * SECTOR
        if not self._extent:
            raise FormatError("has extents of 0 bytes")

    def volumes(self, notes: Notes) -> list[LogicalVolume]:
        """The volumes that are meant to be seen."""
        found: list[LogicalVolume] = []
        for key, one in _section(self._group, "logical_volumes").items():
            if not isinstance(one, dict) or "VISIBLE" not in str(one.get("status")):
                continue
            name = f"{self._name}/{key}"
            if len(found) == _VOLUMES:
                notes.add(name, f"the group has more than {_VOLUMES} volumes")
                break
            with notes.tried(name):
                found.append(self._volume(name, one, notes))
        return found

    def _volume(self, name: str, one: Section, notes: Notes) -> LogicalVolume:
        segments = sorted(
            (value for key, value in one.items() if key.startswith("segment") and isinstance(value, dict)),
            key=lambda segment: _number(segment, "start_extent"),
        )
        if len(segments) > _SEGMENTS:
            raise FormatError(f"has {len(segments)} segments", expected=f"at most {_SEGMENTS}")
        size = sum(_number(segment, "extent_count") for segment in segments) * self._extent
        if not 0 < size < _SIZE:
            raise FormatError(f"has {size} bytes")
        source: Mapped | None = None
        first = 0
        with notes.tried(name):
            ranges = self._ranges(segments)
            first = ranges[0][0]
            source = Mapped([(self._physical[index], start, length) for index, start, length in ranges])
        return LogicalVolume(name=name, size=size, source=source, first=first)

    def _ranges(self, segments: Sequence[Section]) -> list[tuple[int, int, int]]:
        """(physical volume, offset, length) of each segment.

        :raises UnsupportedError: one is not linear, or its physical volume is missing.
        """
        found: list[tuple[int, int, int]] = []
        expected = 0
        for segment in segments:
            count = _number(segment, "extent_count")
            if _number(segment, "start_extent") != expected:
                raise FormatError(f"has a gap or an overlap at extent {expected}")
            expected += count
            key, extent = self._stripe(segment)
            index = self._indices.get(key)
            if index is None:
                raise UnsupportedError(f"lies on physical volume {key}, which is not among the disks")
            found.append((index, self._starts[key] + extent * self._extent, count * self._extent))
        return found

    @staticmethod
    def _stripe(segment: Section) -> tuple[str, int]:
        kind = str(segment.get("type"))
        stripes = segment.get("stripes")
        if kind != "striped":
            raise UnsupportedError(f"is of the kind {kind}", expected="linear")
        if _number(segment, "stripe_count") != 1 or not isinstance(stripes, list) or len(stripes) != 2:
            raise UnsupportedError(f"is striped over {_number(segment, 'stripe_count')} places", expected="linear")
        name, extent = stripes
        if not isinstance(name, str) or not isinstance(extent, int) or extent < 0:
            raise FormatError("has a segment that says nothing of its place")
        return name, extent


def _section(group: Section, name: str) -> Section:
    found: Any = group.get(name, {})
    return found if isinstance(found, dict) else {}


def _number(section: Section, name: str) -> int:
    found = section.get(name)
    if not isinstance(found, int) or not 0 <= found < _SIZE:
        raise FormatError(f"{name} is {found!r}"[:80], expected="a number")
    return found
