"""A disk of an XVA, by an index of its chunks: random access, and each chunk's sum checked when it is first read."""

from __future__ import annotations

import array
import bisect
import copy
from typing import TYPE_CHECKING

from xenimage.containers.xva.chunks import wrong_sum
from xenimage.containers.xva.layout import CHUNK
from xenimage.exceptions import FormatError
from xenimage.formats.base import clear, merged, within
from xenimage.model.disk import DiskFacts
from xenimage.model.extent import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.containers.xva.chunks import Chunk
    from xenimage.containers.xva.layout import Sum
    from xenimage.exceptions import XenimageError
    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource
    from xenimage.model.extent import Extent
    from xenimage.model.finding import Finding


class Index:
    """Where the chunks of one disk are. Some 36 bytes for each.

    :param size: bytes of the disk.
    """

    def __init__(self, reference: str, size: int) -> None:
        self.reference = reference
        self.size = size
        self.places = array.array("L")
        """mebibyte of the disk, ascending"""
        self.numbers = array.array("L")
        """in the names; larger where keep-alives came before"""
        self.offsets = array.array("Q")
        """in the archive"""
        self.sums = bytearray()
        self.kind: Sum | None = None
        """of all sums"""
        self.last = 0
        """bytes of the last chunk"""
        self.damage: XenimageError | None = None
        """why there are no chunks behind :attr:`end`, where there should be"""

    def add(self, chunk: Chunk, limits: Limits) -> None:
        """Take the next chunk; keep-alives say nothing.

        :raises FormatError: it has another kind of sum than those before.
        :raises LimitError: the index becomes too large.
        """
        if not chunk.size:
            return
        kind, value = chunk.sums[0]
        if self.kind not in (None, kind):
            raise FormatError(
                f"the chunk {chunk.name!r} at {chunk.offset:#x} has a {kind.name}",
                expected="one kind of sum for a disk",
            )
        self.kind = kind
        self.places.append(chunk.position // CHUNK)
        self.numbers.append(chunk.number)
        self.offsets.append(chunk.offset)
        self.sums += value
        self.last = chunk.size
        each = self.places.itemsize + self.numbers.itemsize + self.offsets.itemsize + len(value)
        limits.require("table_size", len(self.places) * each, f"the bytes of the index of {self.reference}")

    @property
    def stored(self) -> int:
        """Bytes of all chunks."""
        return (len(self.places) - 1) * CHUNK + self.last if self.places else 0

    @property
    def end(self) -> int:
        """Bytes of the disk up to the end of the last chunk."""
        return self.places[-1] * CHUNK + self.last if self.places else 0

    def chunk_size(self, entry: int) -> int:
        """Bytes of a chunk as it is stored."""
        return self.last if entry == len(self.places) - 1 else CHUNK

    def sum(self, entry: int) -> bytes:
        """A chunk's sum."""
        assert self.kind is not None
        length = self.kind.digits // 2
        return bytes(self.sums[entry * length : (entry + 1) * length])

    def ranges(self, start: int, end: int) -> Iterator[tuple[int, int, Kind]]:
        """Yield (offset, length, kind) of what stands in the range."""
        for entry in range(bisect.bisect_left(self.places, start // CHUNK), len(self.places)):
            place = self.places[entry] * CHUNK
            low, high = max(start, place), min(end, place + CHUNK)
            if low >= end:
                break
            if start < low:
                yield start, low - start, Kind.ZERO
            yield low, high - low, Kind.DATA
            start = high
        if start < end:
            # What is missing may have been data: reading it will tell.
            missing = self.damage is not None and start >= self.end
            yield start, end - start, Kind.DATA if missing else Kind.ZERO


class XvaDisk:
    """See :class:`xenimage.model.disk.Disk`.

    :param content: the tar.
    :param stored: bytes of the file, where it is compressed: then steps back are dear.
    :param findings: about the archive.
    """

    def __init__(
        self, content: ByteSource, index: Index, stored: int | None = None, findings: tuple[Finding, ...] = ()
    ) -> None:
        self._content = content
        self._index = index
        self._proved = bytearray(len(index.places))
        """1 for each chunk whose sum was found right; threads may set one twice, to the same"""
        self._packed = stored is not None
        self._kept: tuple[int, bytes] = (-1, b"")
        """the latest chunk of a packed file: a step back in it would be a new pass"""
        kind = index.kind
        self.facts = DiskFacts(
            format="xva",
            virtual_size=index.size,
            granularity=CHUNK,
            stored_size=index.stored if stored is None else stored,
            compressed=stored is not None,
            sequential=stored is not None,
            details=(
                ("reference", index.reference),
                ("chunks", str(len(index.places))),
                ("sums", kind.name if kind else ""),
            ),
            findings=findings,
        )

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """See :meth:`xenimage.model.disk.Disk.read_into`.

        :raises FormatError: a chunk has not the sum that is recorded, or is missing in a damaged archive.
        """
        end = offset + len(buffer)
        within(self._index.size, offset, len(buffer))
        if self._index.damage is not None and end > self._index.end:
            # Each time its own error: a traceback grows with each raise.
            raise copy.copy(self._index.damage).with_traceback(None)
        entry = bisect.bisect_left(self._index.places, offset // CHUNK)
        while offset < end:
            place = self._index.places[entry] * CHUNK if entry < len(self._index.places) else end
            if offset < place:
                gap = min(place, end) - offset
                clear(buffer[:gap])
            else:
                gap = min(place + CHUNK, end) - offset
                self._read_chunk(entry, offset - place, buffer[:gap])
                entry += 1
            buffer, offset = buffer[gap:], offset + gap

    def _read_chunk(self, entry: int, start: int, buffer: memoryview) -> None:
        """Fill *buffer* from the byte *start* of a chunk on. What a short last one has not is behind the disk's end."""
        at, size = self._index.offsets[entry], self._index.chunk_size(entry)
        if self._packed:
            kept = self._kept
            if kept[0] != entry:
                kept = entry, self._content.read(at, size)
                self._prove(entry, memoryview(kept[1]))
                self._kept = kept
            buffer[:] = kept[1][start : start + len(buffer)]
        elif self._proved[entry]:
            self._content.read_into(at + start, buffer)
        elif start == 0 and len(buffer) == size:
            self._content.read_into(at, buffer)
            self._prove(entry, buffer)
        else:
            whole = memoryview(self._content.read(at, size))
            self._prove(entry, whole)
            buffer[:] = whole[start : start + len(buffer)]

    def _prove(self, entry: int, data: memoryview) -> None:
        kind, expected = self._index.kind, self._index.sum(entry)
        assert kind is not None
        found = kind.digest(data)
        if found != expected:
            number, offset = self._index.numbers[entry], self._index.offsets[entry]
            error = wrong_sum(self._index.reference, number, offset, (kind, found, expected))
            raise error.within(self._content.name)
        self._proved[entry] = 1

    def extents(self, offset: int, length: int) -> Iterator[Extent]:
        """See :meth:`xenimage.model.disk.Disk.extents`."""
        within(self._index.size, offset, length)
        return merged(self._index.ranges(offset, offset + length))

    def unreadable(self) -> XenimageError | None:
        """See :meth:`xenimage.model.disk.Disk.unreadable`."""
        return None

    def close(self) -> None:
        """Nothing is held: the file belongs to the package."""
