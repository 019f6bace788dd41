"""Parts of a disk without tables: flat extents, whose bytes stand in a file as the guest sees them, and zeros."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.formats.base import clear
from xenimage.formats.vmdk.tables import inside
from xenimage.model.extent import Kind
from xenimage.units import SECTOR

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.model.disk import ByteSource


class FlatPart:
    """A range of a file.

    :param start: bytes from the start of *source*.
    :param size: bytes.
    :raises FormatError: the range does not lie within *source*.
    """

    granularity = SECTOR
    compressed = False

    def __init__(self, source: ByteSource, start: int, size: int) -> None:
        inside(source, start, size, "flat extent")
        self._source = source
        self._start = start
        self.size = size

    def ranges(self, offset: int, length: int) -> Iterator[tuple[int, int, Kind]]:
        """Yield (offset, length, kind) of the range, in order and without gaps; holes of the file are zeros."""
        end = offset + length
        for place, size in self._source.data(self._start + offset, length):
            start = place - self._start
            if start > offset:
                yield offset, start - offset, Kind.ZERO
            yield start, size, Kind.DATA
            offset = start + size
        if offset < end:
            yield offset, end - offset, Kind.ZERO

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill *buffer* with the content from *offset* on.

        :raises TransferError: the source failed.
        """
        self._source.read_into(self._start + offset, buffer)


class ZeroPart:
    """*size* bytes of zeros that no file holds."""

    granularity = SECTOR
    compressed = False

    def __init__(self, size: int) -> None:
        self.size = size

    def ranges(self, offset: int, length: int) -> Iterator[tuple[int, int, Kind]]:
        """Yield the range as zeros."""
        yield offset, length, Kind.ZERO

    def read_into(self, offset: int, buffer: memoryview) -> None:  # noqa: ARG002 - all offsets are alike
        """Fill *buffer* with zeros."""
        clear(buffer)
