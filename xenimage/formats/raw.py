"""A raw disk: every byte stands where the guest sees it. Files with holes and block devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.formats.base import clear, merged, within
from xenimage.model.disk import DiskFacts
from xenimage.model.extent import Kind
from xenimage.units import SECTOR, round_up

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.exceptions import XenimageError
    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource
    from xenimage.model.extent import Extent


class RawDisk:
    """The bytes of a source. A size that is no whole sector is rounded up; the missing bytes read as zeros."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self.facts = DiskFacts(
            format="raw",
            virtual_size=round_up(source.size, SECTOR),
            granularity=SECTOR,
            stored_size=source.size,
        )

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """See :meth:`xenimage.model.disk.Disk.read_into`."""
        within(self.facts.virtual_size, offset, len(buffer))
        there = max(0, min(len(buffer), self._source.size - offset))
        if there:
            self._source.read_into(offset, buffer[:there])
        clear(buffer[there:])

    def extents(self, offset: int, length: int) -> Iterator[Extent]:
        """See :meth:`xenimage.model.disk.Disk.extents`: holes are zeros."""
        within(self.facts.virtual_size, offset, length)
        return merged(self._ranges(offset, length))

    def _ranges(self, offset: int, length: int) -> Iterator[tuple[int, int, Kind]]:
        end = offset + length
        for start, size in self._source.data(offset, length):
            if start > offset:
                yield offset, start - offset, Kind.ZERO
            yield start, size, Kind.DATA
            offset = start + size
        if offset < end:
            yield offset, end - offset, Kind.ZERO

    def unreadable(self) -> XenimageError | None:
        """A raw disk can always be read."""
        return None

    def close(self) -> None:
        """Close the source."""
        self._source.close()


def open_raw(source: ByteSource, limits: Limits) -> RawDisk:
    """Take *source* as a raw disk.

    :raises LimitError: it is larger than the limit virtual_size.
    """
    limits.require("virtual_size", source.size, "the size of the raw disk")
    return RawDisk(source)
