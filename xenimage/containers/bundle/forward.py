"""A bundle read forward, once: for pipes, and wherever a second pass over gigabytes would be a waste.

The leaf stands first, as xenimage writes it: each VHD is dealt with as it comes, and what follows it are its parents.
All that can be known of a VHD beforehand stands in its head; the footer behind its blocks is compared once it passed.
"""

from __future__ import annotations

import bisect
import dataclasses
import functools
import itertools
from typing import TYPE_CHECKING

from xenimage.checks.naming import SUFFIX, bare_name, counted
from xenimage.containers.archive import PACKED, Archive, members
from xenimage.containers.bundle.reader import is_gzip, keep
from xenimage.exceptions import FormatError, UnsupportedError, XenimageError
from xenimage.formats.base import merged, within
from xenimage.formats.vhd import layout
from xenimage.formats.vhd.metadata import front_tables
from xenimage.formats.vhd.reader import VhdDisk
from xenimage.model.extent import Kind
from xenimage.streams.gunzip import GunzipSource
from xenimage.units import SECTOR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from xenimage.containers.bundle.reader import MemberSource
    from xenimage.formats.vhd.metadata import Tables
    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource
    from xenimage.model.extent import Extent
    from xenimage.model.report import Member


class NotForwardError(Exception):
    """The bundle is in an order that cannot be read in one pass; a file can be read in another way."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ForwardVhd:
    """A VHD at the place where the stream stands."""

    member: Member
    source: MemberSource
    tables: Tables

    @property
    def block_size(self) -> int:
        """Bytes."""
        return self.tables.header.block_size if self.tables.header else layout.BLOCK_SIZE

    @property
    def differencing(self) -> bool:
        """Whether a parent must follow."""
        return self.tables.footer.type == layout.DIFFERENCING

    def in_file_order(self) -> list[tuple[int, int]]:
        """(sector of its bitmap, number) of the stored blocks as they stand in the file."""
        return sorted((self.tables.table[block], block) for block in self.tables.stored)

    @functools.cached_property
    def ascending(self) -> bool:
        """Whether the blocks stand in the order of the disk."""
        sectors = (self.tables.table[block] for block in self.tables.stored)
        return all(one < other for one, other in itertools.pairwise(sectors))

    def ranges(self, start: int, end: int) -> Iterator[tuple[int, int, Kind]]:
        """Yield (offset, length, kind) of the range by the BAT alone: stored blocks, and what is between them."""
        size = self.block_size
        missing = Kind.ABSENT if self.differencing else Kind.ZERO
        stored = self.tables.stored
        for index in range(bisect.bisect_left(stored, start // size), len(stored)):
            low, high = max(start, stored[index] * size), min(end, (stored[index] + 1) * size)
            if low >= end:
                break
            if start < low:
                yield start, low - start, missing
            yield low, high - low, Kind.DATA
            start = high
        if start < end:
            yield start, end - start, missing


class Forward:
    """A bundle, opened as far as the head of its leaf.

    :raises NotForwardError: from here on, at any time: the members are not in order, or a VHD needs its end to be read.
    :raises FormatError: not gzip, not tar, damaged, or no bundle.
    """

    def __init__(self, source: ByteSource, limits: Limits, advance: Callable[[int], None] | None = None) -> None:
        self._limits = limits
        self.content = GunzipSource(source, limits, advance)
        self._archive = Archive()
        self._members = members(self.content, limits, self._archive)
        self._room = limits.table_size
        self._names: list[str] = []
        first = self._next()
        if first is None:
            raise FormatError("no member is called 0.vhd", expected="a VHD bundle", where=source.name, tip=PACKED)
        self.leaf = first

    @property
    def single(self) -> bool:
        """Whether the leaf is all there is, and can be read as a disk, from its start to its end."""
        return not self.leaf.differencing and self.leaf.ascending

    def layers(self) -> Iterator[ForwardVhd]:
        """Yield the VHDs from the leaf down to the base; each must be dealt with before the next is asked for."""
        layer: ForwardVhd | None = self.leaf
        while layer is not None:
            yield layer
            self._check_end(layer)
            following = self._next()
            if following is not None and not layer.differencing:
                raise self._error(
                    f"the member {layer.member.name!r} has no parent, but others follow it",
                    "differencing disks above the last",
                )
            if following is None and layer.differencing:
                raise self._error(
                    f"the member {layer.member.name!r} has a parent, but none follows it", "its parent as the next VHD"
                )
            layer = following
        self.content.scan()

    def _next(self) -> ForwardVhd | None:
        """Go on to the next VHD; None at the end of the tar."""
        for member in self._members:
            name = bare_name(member.name)
            if not counted([name]):
                continue
            if name != f"{len(self._names)}{SUFFIX}" or member.kind != "file":
                raise NotForwardError
            self._names.append(name)
            self._limits.require("chain_depth", len(self._names), "the number of VHDs in the bundle")
            return self._open(member)
        return None

    def _open(self, member: Member) -> ForwardVhd:
        source = keep(self.content, member, self._room, tail=False)
        self._room -= source.kept
        try:
            tables = front_tables(source, self._limits)
        except XenimageError as error:
            raise NotForwardError from error
        if tables is None or tables.refusal is not None:
            raise NotForwardError
        return ForwardVhd(member=member, source=source, tables=tables)

    def _check_end(self, layer: ForwardVhd) -> None:
        """Compare the footer behind the blocks with its copy in front, by which the disk was read."""
        member = layer.member
        raw = self.content.read_some(member.offset + member.size - SECTOR, SECTOR)
        if len(raw) < SECTOR:
            raise self._error(f"the tar ends inside the member {member.name!r}", f"{member.size} bytes of it")
        if raw != layer.tables.footer.pack():
            raise NotForwardError

    def _error(self, found: str, expected: str) -> FormatError:
        return FormatError(found, expected=expected, where=self.content.name)


class ForwardDisk(VhdDisk):
    """The leaf of a bundle as a disk that is read once, in ascending order; see :meth:`finish`."""

    def __init__(self, forward: Forward) -> None:
        super().__init__(forward.leaf.source, forward.leaf.tables)
        self.facts = dataclasses.replace(self.facts, sequential=True)
        self._forward = forward

    def extents(self, offset: int, length: int) -> Iterator[Extent]:
        """See :meth:`xenimage.model.disk.Disk.extents`: whole blocks, since a look at their bitmaps is a pass."""
        within(self.facts.virtual_size, offset, length)
        return merged(self._forward.leaf.ranges(offset, offset + length))

    def finish(self) -> None:
        """Read to the end of the stream: only then is it known that it has one, and that all sums are right.

        :raises FormatError: it is damaged, or the disk has a parent, or is not the only VHD.
        :raises NotForwardError: the end of the VHD contradicts its start.
        """
        for _ in self._forward.layers():
            pass


def open_forward(source: ByteSource, limits: Limits) -> Forward:
    """Begin to read a bundle forward.

    :raises FormatError: it is no gzip stream. Else as :class:`Forward`.
    """
    if not is_gzip(source):
        raise UnsupportedError(
            "is not in gzip format",
            expected="a bundle",
            where=source.name,
            tip="Save another disk image to a file first.",
        )
    return Forward(source, limits)
