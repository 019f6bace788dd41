"""A source as it would be with some bytes replaced and another end: for judging a change before it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.exceptions import FormatError
from xenimage.streams.positioned import Positioned

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from xenimage.model.disk import ByteSource


class PatchedSource(Positioned):
    """See :class:`xenimage.model.disk.ByteSource`. Every byte lies in *source* or in one of *patches*.

    :param patches: (offset, bytes), none over another.
    :param size: bytes of the whole.
    """

    def __init__(self, source: ByteSource, patches: Sequence[tuple[int, bytes]], size: int) -> None:
        self._source = source
        self._patches = patches
        self.name = source.name
        self.size = size

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """See :meth:`xenimage.model.disk.ByteSource.read_into`."""
        end = offset + len(buffer)
        if offset < 0 or end > self.size:
            raise FormatError(
                f"{len(buffer)} bytes at {offset:#x} lie outside", expected="a range inside", where=self.name
            )
        there = max(0, min(end, self._source.size) - offset)
        if there:
            self._source.read_into(offset, buffer[:there])
        for at, data in self._patches:
            start, stop = max(at, offset), min(at + len(data), end)
            if start < stop:
                buffer[start - offset : stop - offset] = data[start - at : stop - at]

    def data(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        """See :meth:`xenimage.model.disk.ByteSource.data`: holes are those of the source, patches may lie in them."""
        end = min(offset + length, self.size)
        yield from self._source.data(offset, max(0, min(end, self._source.size) - offset))

    def close(self) -> None:
        """Do nothing: the source is not ours."""
