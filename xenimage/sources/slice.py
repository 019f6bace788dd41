"""A range of a source as a :class:`xenimage.model.disk.ByteSource` of its own: a member of an archive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.exceptions import FormatError
from xenimage.streams.positioned import Positioned

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.model.disk import ByteSource


class SliceSource(Positioned):
    """*size* bytes from *offset* on. Closing it leaves the source open, which others may have slices of."""

    def __init__(self, source: ByteSource, offset: int, size: int, name: str) -> None:
        self._source = source
        self._offset = offset
        self.size = size
        self.name = name

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """See :meth:`xenimage.model.disk.ByteSource.read_into`."""
        if offset < 0 or offset + len(buffer) > self.size:
            raise FormatError(
                f"{len(buffer)} bytes at {offset:#x} lie outside the {self.size} bytes",
                expected="a range inside them",
                where=self.name,
            )
        self._source.read_into(self._offset + offset, buffer)

    def data(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        """See :meth:`xenimage.model.disk.ByteSource.data`."""
        length = min(length, self.size - offset)
        if length > 0:
            for start, count in self._source.data(self._offset + offset, length):
                yield start - self._offset, count

    def close(self) -> None:
        """Do nothing: the source is its opener's."""
