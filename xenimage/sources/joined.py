"""Sources one behind the other as a single :class:`xenimage.model.disk.ByteSource`: a file that was cut into pieces."""

from __future__ import annotations

import bisect
import itertools
from typing import TYPE_CHECKING

from xenimage.exceptions import FormatError
from xenimage.streams.positioned import Positioned

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from xenimage.model.disk import ByteSource


class JoinedSource(Positioned):
    """The content of *pieces* in their order; they are closed with it."""

    def __init__(self, pieces: Sequence[ByteSource], name: str) -> None:
        self._pieces = pieces
        self._starts = list(itertools.accumulate((piece.size for piece in pieces), initial=0))
        self.size = self._starts.pop()
        self.name = name

    def _parts(self, offset: int, length: int) -> Iterator[tuple[ByteSource, int, int, int]]:
        """Yield (piece, its start, offset within it, length) for each piece that the range touches."""
        index = bisect.bisect_right(self._starts, offset) - 1
        while length:
            piece, start = self._pieces[index], self._starts[index]
            count = min(length, start + piece.size - offset)
            if count:
                yield piece, start, offset - start, count
            offset, length, index = offset + count, length - count, index + 1

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """See :meth:`xenimage.model.disk.ByteSource.read_into`."""
        if offset < 0 or offset + len(buffer) > self.size:
            raise FormatError(
                f"{len(buffer)} bytes at {offset:#x} lie outside the {self.size} bytes",
                expected="a range inside them",
                where=self.name,
            )
        for piece, start, at, count in self._parts(offset, len(buffer)):
            done = start + at - offset
            piece.read_into(at, buffer[done : done + count])

    def data(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        """See :meth:`xenimage.model.disk.ByteSource.data`."""
        length = max(0, min(length, self.size - offset))
        for piece, start, at, count in self._parts(offset, length):
            for found, covered in piece.data(at, count):
                yield start + found, covered

    def close(self) -> None:
        """Close every piece."""
        for piece in self._pieces:
            piece.close()
