"""A qcow2 image as a disk. The parent it names is never opened: what is not stored here is absent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.exceptions import FormatError
from xenimage.formats.base import clear, merged, split_holes, within
from xenimage.formats.qcow2.mapping import joined
from xenimage.formats.qcow2.packed import PackedReader
from xenimage.model.extent import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from xenimage.exceptions import XenimageError
    from xenimage.formats.qcow2.mapping import Mapping, Run
    from xenimage.formats.qcow2.snapshots import Snapshot
    from xenimage.model.disk import ByteSource, DiskFacts
    from xenimage.model.extent import Extent


class Qcow2Disk:
    """See :class:`xenimage.model.disk.Disk`.

    :param mapping: the tables, or the maker of the error that says why the data cannot be read.
    """

    def __init__(
        self,
        source: ByteSource,
        facts: DiskFacts,
        snapshots: tuple[Snapshot, ...],
        mapping: Mapping | Callable[[], XenimageError],
    ) -> None:
        self._source = source
        self._mapping: Mapping | None = None
        self._reason: Callable[[], XenimageError] | None = None
        if callable(mapping):
            self._reason = mapping
        else:
            self._mapping = mapping
            self._packed = PackedReader(source, mapping.header)
        self.facts = facts
        self.snapshots = snapshots

    def unreadable(self) -> XenimageError | None:
        """See :meth:`xenimage.model.disk.Disk.unreadable`: encrypted, external data file, unknown features."""
        return self._reason().within(self._source.name) if self._reason else None

    def _readable(self) -> Mapping:
        if self._mapping is None:
            raise self.unreadable() or AssertionError("a disk without tables says why")
        return self._mapping

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """See :meth:`xenimage.model.disk.Disk.read_into`."""
        mapping = self._readable()
        within(self.facts.virtual_size, offset, len(buffer))
        end = offset + len(buffer)
        try:
            for run in joined(mapping.runs(offset, len(buffer))):
                start = max(run.guest, offset)
                part = buffer[start - offset : min(run.guest + run.length, end) - offset]
                if run.kind is not Kind.DATA:
                    clear(part)
                elif run.packed is None:
                    self._read_plain(run.host + start - run.guest, part)
                else:
                    self._packed.read_into(run.guest, run.packed, start, part)
        except FormatError as error:
            raise error.within(self._source.name) from error.__cause__

    def _read_plain(self, host: int, buffer: memoryview) -> None:
        there = max(0, min(len(buffer), self._source.size - host))
        if there:
            self._source.read_into(host, buffer[:there])
        clear(buffer[there:])

    def runs(self, offset: int, length: int) -> Iterator[Run]:
        """Yield what the tables say of the range; the first and last run may pass its ends."""
        mapping = self._readable()
        try:
            yield from mapping.runs(offset, length)
        except FormatError as error:
            raise error.within(self._source.name) from error.__cause__

    def extents(self, offset: int, length: int) -> Iterator[Extent]:
        """See :meth:`xenimage.model.disk.Disk.extents`: plain and compressed clusters are both data."""
        mapping = self._readable()
        within(self.facts.virtual_size, offset, length)
        return merged(self._ranges(mapping, offset, length))

    def _ranges(self, mapping: Mapping, offset: int, length: int) -> Iterator[tuple[int, int, Kind]]:
        end = offset + length
        try:
            for run in mapping.runs(offset, length, scattered=True):
                start = max(run.guest, offset)
                length = min(run.guest + run.length, end) - start
                if run.kind is not Kind.DATA or run.packed is not None:
                    yield start, length, run.kind
                    continue
                if run.span:
                    stored = next(self._source.data(run.host, run.span), None) is not None
                    yield start, length, Kind.DATA if stored else Kind.ZERO
                    continue
                # Space that was only prepared (preallocation=metadata) is mapped as data is.
                for begin, size, kind in split_holes(self._source, run.host + start - run.guest, length):
                    yield start + begin, size, kind
        except FormatError as error:
            raise error.within(self._source.name) from error.__cause__

    def close(self) -> None:
        """Close the source."""
        self._source.close()
