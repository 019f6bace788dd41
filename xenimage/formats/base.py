"""What the readers of all formats share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.model.extent import Extent, Kind
from xenimage.units import MIB

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from xenimage.exceptions import XenimageError
    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource, Disk, DiskFacts

_ZEROS = memoryview(bytes(2 * MIB))


def clear(buffer: memoryview) -> None:
    """Fill *buffer* (bytes) with zeros, without allocating as much as it is long."""
    for start in range(0, len(buffer), len(_ZEROS)):
        part = buffer[start : start + len(_ZEROS)]
        part[:] = _ZEROS[: len(part)]


def merged(ranges: Iterable[tuple[int, int, Kind]]) -> Iterator[Extent]:
    """Turn ordered, adjacent (offset, length, kind) into extents, joining neighbours of one kind."""
    start = stop = 0
    present: Kind | None = None
    for offset, length, kind in ranges:
        if kind is not present:
            if present is not None:
                yield Extent(start, stop - start, present)
            start, present = offset, kind
        stop = offset + length
    if present is not None:
        yield Extent(start, stop - start, present)


class DiskView:
    """See :class:`xenimage.model.disk.Disk`: another disk, seen in another way. What a view does not say is the disk's.

    :param facts: where they differ from those of *disk*.
    """

    def __init__(self, disk: Disk, facts: DiskFacts | None = None) -> None:
        self._disk = disk
        self.facts: DiskFacts = disk.facts if facts is None else facts

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """See :meth:`xenimage.model.disk.Disk.read_into`."""
        self._disk.read_into(offset, buffer)

    def extents(self, offset: int, length: int) -> Iterator[Extent]:
        """See :meth:`xenimage.model.disk.Disk.extents`."""
        return self._disk.extents(offset, length)

    def unreadable(self) -> XenimageError | None:
        """See :meth:`xenimage.model.disk.Disk.unreadable`."""
        return self._disk.unreadable()

    def close(self) -> None:
        """Close the disk."""
        self._disk.close()


def within(disk_size: int, offset: int, length: int) -> None:
    """Assert that a caller asks for a range inside the disk: anything else is a bug of the caller, not of a file."""
    if offset < 0 or length < 0 or offset + length > disk_size:
        raise ValueError(f"range {offset:#x}+{length:#x} lies outside the disk of {disk_size:#x} bytes")


def occupied(source: ByteSource) -> int:
    """Bytes of *source* that are no holes. The size of a file proves nothing: its holes cost their maker nothing."""
    return sum(length for _, length in source.data(0, source.size))


def require_stored(source: ByteSource, tables: int, size: int, limits: Limits, what: str) -> None:
    """Refuse *tables* of *size* bytes, all of them apart, where too many of them must stand in holes of the file.

    :param what: what they are called, for the message.
    :raises LimitError: they would keep us busy for nothing.
    """
    if tables <= limits.holes:
        return
    holes = tables - occupied(source) // size
    limits.require("holes", holes, f"the number of {what} in holes of the file")


def split_holes(source: ByteSource, host: int, length: int) -> Iterator[tuple[int, int, Kind]]:
    """Yield (distance from *host*, length, kind) of stored data: where the file has a hole it is zero."""
    done = 0
    for start, size in source.data(host, length):
        if start - host > done:
            yield done, start - host - done, Kind.ZERO
        yield start - host, size, Kind.DATA
        done = start - host + size
    if done < length:
        yield done, length - done, Kind.ZERO
