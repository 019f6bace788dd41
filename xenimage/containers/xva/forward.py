"""The disks of an XVA as they pass, once: for pipes and packed files, where an index would cost a pass of its own."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING

from xenimage.containers.xva.chunks import mismatch, wrong_sum
from xenimage.containers.xva.layout import CHUNK
from xenimage.exceptions import FormatError, UnsupportedError, XenimageError
from xenimage.formats.base import clear, merged, within
from xenimage.model.disk import DiskFacts
from xenimage.model.extent import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from xenimage.containers.xva.chunks import Chunk, Walk
    from xenimage.model.extent import Extent

_KEPT = 16
"""chunks behind the reader that can be read again"""


class Passing:
    """All chunks of an XVA, in their order, their sums checked.

    :param walk: keeps the data.
    :param name: of the file, for messages.
    :param end: called when all has passed, to judge what follows.
    """

    def __init__(self, walk: Walk, name: str, end: Callable[[], None]) -> None:
        self._chunks = walk.chunks()
        self.name = name
        self._end = end
        self._next: Chunk | None = None
        self._began = False
        self.passed: dict[str, None] = {}
        """references of the disks whose chunks began to pass"""

    def peek(self) -> Chunk | None:
        """The next chunk; None behind the last.

        :raises FormatError: the archive breaks a rule, or a chunk has not its sum.
        """
        if not self._began:
            self._began = True
            self.take()
        return self._next

    def take(self) -> None:
        """Go on to the next chunk."""
        try:
            self._next = next(self._chunks, None)
            if self._next is None:
                self._end()
            else:
                _prove(self._next)
        except XenimageError as error:
            raise error if error.where else error.within(self.name) from error.__cause__
        if self._next is not None:
            self.passed[self._next.reference] = None

    def finish(self) -> None:
        """Let everything that is left pass: only then is it known that the archive is whole."""
        while self.peek() is not None:
            self.take()


def _prove(chunk: Chunk) -> None:
    wrong = mismatch(chunk, chunk.data)
    if wrong is not None:
        kind, expected = wrong
        raise wrong_sum(chunk.reference, chunk.number, chunk.offset, (kind, kind.digest(chunk.data), expected))


class PassingDisk:
    """A disk that is read once, in ascending order; see :meth:`finish`.

    What it holds is known only as it passes: :meth:`extents` calls everything data, :meth:`blocks` tells more.

    :param stored: bytes of the file.
    """

    def __init__(self, passing: Passing, reference: str, size: int, stored: int) -> None:
        self._passing = passing
        self._reference = reference
        self._kept: collections.deque[Chunk] = collections.deque(maxlen=_KEPT)
        self._lost = 0
        """bytes of the disk in front of this have passed"""
        self.facts = DiskFacts(
            format="xva",
            virtual_size=size,
            granularity=CHUNK,
            stored_size=stored,
            compressed=True,
            sequential=True,
            details=(("reference", reference),),
        )

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """See :meth:`xenimage.model.disk.Disk.read_into`.

        :raises UnsupportedError: what is asked for has passed.
        """
        end = offset + len(buffer)
        within(self.facts.virtual_size, offset, len(buffer))
        if offset < self._lost:
            raise UnsupportedError(
                f"the bytes at {offset:#x} of {self._reference} have passed",
                expected="a plain file, for what cannot be read forward",
                tip="Unpack the file first: gzip -d, zstd -d.",
            )
        self._advance(end)
        for chunk in self._kept:
            low, high = max(offset, chunk.position), min(end, chunk.position + chunk.size)
            if low < high:
                clear(buffer[: low - offset])
                data = memoryview(chunk.data)
                buffer[low - offset : high - offset] = data[low - chunk.position : high - chunk.position]
                buffer, offset = buffer[high - offset :], high
        clear(buffer)

    def _advance(self, end: int) -> bool:
        """Let chunks pass up to the byte *end* of the disk; whether the disk goes on there."""
        while True:
            chunk = self._passing.peek()
            if chunk is None or (chunk.reference != self._reference and self._reference in self._passing.passed):
                return False
            if chunk.reference == self._reference:
                if chunk.position >= end:
                    return True
                if len(self._kept) == _KEPT:
                    self._lost = self._kept[0].position + self._kept[0].size
                if chunk.size:
                    self._kept.append(chunk)
            self._passing.take()

    def blocks(self, size: int) -> Iterator[int]:
        """Yield the numbers of those blocks that hold chunks, in ascending order, as they pass.

        At most 8 MiB may be asked for ahead of what is read.

        :param size: bytes of a block, whole chunks or a part of one.
        """
        known = -1
        while self._advance(0 if known < 0 else (known + 1) * size):
            chunk = self._passing.peek()
            assert chunk is not None
            first = max(known + 1, chunk.position // size)
            for known in range(first, -(-min(chunk.position + CHUNK, self.facts.virtual_size) // size)):
                yield known

    def extents(self, offset: int, length: int) -> Iterator[Extent]:
        """See :meth:`xenimage.model.disk.Disk.extents`."""
        within(self.facts.virtual_size, offset, length)
        return merged([(offset, length, Kind.DATA)] if length else [])

    def unreadable(self) -> XenimageError | None:
        """See :meth:`xenimage.model.disk.Disk.unreadable`."""
        return None

    def finish(self) -> None:
        """Let everything pass that is left.

        :raises FormatError: it is damaged, or the disk was not there.
        """
        self._passing.finish()
        if self._reference not in self._passing.passed:
            raise FormatError(
                f"has no chunk of {self._reference}",
                expected="the first chunk and the last, which are always there",
                where=self._passing.name,
            )

    def close(self) -> None:
        """Nothing is held: the file belongs to the package."""
