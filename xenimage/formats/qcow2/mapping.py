"""From guest offsets to what stands behind them: runs of clusters of one kind.

Reference: QEMU, docs/interop/qcow2.rst, sections "Cluster mapping", "L2 table entry", "Extended L2 Entries".
"""

from __future__ import annotations

import dataclasses
import functools
import operator
from typing import TYPE_CHECKING, NamedTuple

from xenimage.exceptions import FormatError
from xenimage.formats.qcow2 import layout
from xenimage.formats.qcow2.tables import L2Table, Tables, zeros_end
from xenimage.model.extent import Kind

if TYPE_CHECKING:
    import array
    from collections.abc import Iterator

    from xenimage.formats.qcow2.layout import Header

_NOT_PLAIN = layout.COMPRESSED | layout.READS_AS_ZERO
_FEW = 16
"""clusters that follow each other in the file: below it, joining what does not is faster"""


class Run(NamedTuple):
    """Neighbouring clusters (or subclusters) of one kind."""

    guest: int
    """bytes from the start of the disk, a multiple of the granularity"""
    length: int
    """bytes, a multiple of the granularity; may pass the end of the disk"""
    kind: Kind
    host: int = 0
    """plain data: bytes from the start of the file"""
    packed: array.array[int] | None = None
    """compressed data: the L2 entries, one a cluster"""
    span: int = 0
    """scattered data: bytes from *host* on that hold all of it; 0 where *length* bytes do, in order"""


def joined(runs: Iterator[Run]) -> Iterator[Run]:
    """Join neighbours that one read can serve: L2 tables end, and flags differ, where the file goes on."""
    last: Run | None = None
    for run in runs:
        if last is None:
            last = run
        elif run.kind is not last.kind or (run.packed is None) != (last.packed is None):
            yield last
            last = run
        elif run.packed is not None and last.packed is not None:
            last = last._replace(length=last.length + run.length, packed=last.packed + run.packed)
        elif run.kind is not Kind.DATA or run.host == last.host + last.length:
            last = last._replace(length=last.length + run.length)
        else:
            yield last
            last = run
    if last is not None:
        yield last


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mapping:
    """The two levels of tables of one disk, active or a snapshot's."""

    header: Header
    tables: Tables
    file_size: int
    """bytes"""

    def runs(self, offset: int, length: int, *, scattered: bool = False) -> Iterator[Run]:
        """Yield the runs that cover the range, in order and without gaps. The first and last may pass its ends.

        :param scattered: join plain clusters also where they do not follow each other in the file; for standard tables.
        :raises FormatError: a table breaks the format's rules.
        """
        reach, size = self.header.table_reach, self.header.cluster_size
        end = offset + length
        while offset < end:
            index = offset // reach
            start = index * reach
            table = self.tables.find(index)
            if table is None:
                last = -(-end // reach)
                stop = zeros_end(self.tables.l1, index + 1, min(last, len(self.tables.l1))) * reach
                yield Run(start, stop - start, Kind.ABSENT)
                offset = stop
                continue
            first = (offset - start) // size
            last = -(-(min(end, start + reach) - start) // size)
            if table.bitmaps is None:
                yield from self._standard(table, start, first, last, scattered=scattered)
            else:
                for run in self._extended(table, table.bitmaps, start, first, last):
                    if offset < run.guest + run.length and run.guest < end:
                        yield run
            offset = start + reach

    def _standard(self, table: L2Table, start: int, first: int, last: int, *, scattered: bool) -> Iterator[Run]:
        entries, size = table.entries, self.header.cluster_size
        while first < last:
            entry = entries[first]
            guest = start + first * size
            if not entry:
                stop = zeros_end(entries, first, last)
                yield Run(guest, (stop - first) * size, Kind.ABSENT)
            elif entry & layout.COMPRESSED:
                stop = self._compressed_end(table, first, last)
                yield Run(guest, (stop - first) * size, Kind.DATA, packed=entries[first:stop])
            elif entry & layout.READS_AS_ZERO:
                stop = self._zero_end(table, first, last)
                yield Run(guest, (stop - first) * size, Kind.ZERO)
            else:
                stop = first + 1
                # COPIED alone marks nothing (it belongs to external data files).
                kind = Kind.DATA if self._host(table, first) else Kind.ABSENT
                host, span = entry & layout.OFFSET, 0
                if kind is Kind.DATA:
                    stop = self._plain_end(table, first, last)
                    if scattered and stop - first < _FEW and stop < last and entries[stop] & layout.OFFSET:
                        stop, host, span = self._scattered(entries, first, stop, last)
                yield Run(guest, (stop - first) * size, kind, host, span=span)
            first = stop

    def _scattered(self, entries: array.array[int], first: int, stop: int, last: int) -> tuple[int, int, int]:
        """Where the plain clusters from *first* on end that may stand anywhere, and (offset, length) of what has them.

        Compares more and more of them at a time: in an old disk few follow each other.
        """
        low = entries[first] & layout.OFFSET
        high = entries[stop - 1] & layout.OFFSET
        size, growing = 1, True
        while size and stop < last:
            part = entries[stop : min(stop + size, last)]
            span = self._plain_span(part)
            if span is None:
                size, growing = size // 2, False
                continue
            low, high = min(low, span[0]), max(high, span[1])
            stop += len(part)
            size = size * 2 if growing else size
        return stop, low, high + self.header.cluster_size - low

    def _plain_span(self, entries: array.array[int]) -> tuple[int, int] | None:
        """The lowest and the highest offset of *entries*; None if one is not sound, or not of a plain cluster."""
        wrong = layout.L2_RESERVED | _NOT_PLAIN | (self.header.cluster_size - 1) & layout.OFFSET
        if functools.reduce(operator.or_, entries) & wrong:
            return None
        low, high = min(entries), max(entries)
        if (low ^ high) & layout.COPIED:
            # The highest bit: where lowest and highest agree on it, so do all.
            low, high = (choose(map(layout.OFFSET.__and__, entries)) for choose in (min, max))
        low, high = low & layout.OFFSET, high & layout.OFFSET
        return (low, high) if low and high < self.file_size else None

    def _host(self, table: L2Table, index: int) -> int:
        """Where the plain cluster of an entry stands, 0 for none; the entry's bits are checked."""
        entry = table.entries[index]
        if entry & layout.L2_RESERVED:
            raise self._error(table, index, f"is {entry:#018x}", "reserved bits 1-8 and 56-61 clear")
        host = entry & layout.OFFSET
        if host % self.header.cluster_size:
            raise self._error(
                table, index, f"points to {host:#x}", f"a multiple of the cluster size {self.header.cluster_size:#x}"
            )
        return host

    def _plain_end(self, table: L2Table, first: int, last: int) -> int:
        """Index behind the clusters that stand one behind the other in the file, from *first* on."""
        entries, size = table.entries, self.header.cluster_size
        stop = first + 1
        following = entries[first] + size
        while stop < last and entries[stop] == following:
            stop += 1
            following += size
        host = entries[first] & layout.OFFSET
        # The last cluster of a file may be cut: its missing part reads as zeros, as in QEMU.
        if host + (stop - first - 1) * size >= self.file_size:
            bad = max(first, first + -(-(self.file_size - host) // size))
            raise self._outside(table, bad, host + (bad - first) * size)
        return stop

    def _zero_end(self, table: L2Table, first: int, last: int) -> int:
        if self.header.version < 3:
            raise self._error(table, first, f"is {table.entries[first]:#018x}", "bit 0 clear in version 2")
        entries = table.entries
        stop = first
        while stop < last and entries[stop] & _NOT_PLAIN == layout.READS_AS_ZERO:
            self._host(table, stop)
            stop += 1
        return stop

    def _compressed_end(self, table: L2Table, first: int, last: int) -> int:
        entries, size = table.entries, self.file_size
        mask = (1 << layout.packed_offset_bits(self.header.cluster_bits)) - 1
        stop = first
        while stop < last and entries[stop] & layout.COMPRESSED:
            if entries[stop] & mask >= size:
                raise self._outside(table, stop, entries[stop] & mask)
            stop += 1
        return stop

    def _extended(self, table: L2Table, bitmaps: array.array[int], start: int, first: int, last: int) -> Iterator[Run]:
        entries, size = table.entries, self.header.cluster_size
        while first < last:
            guest = start + first * size
            entry, bitmap = entries[first], bitmaps[first]
            stop = first + 1
            if not entry and not bitmap:
                stop = min(zeros_end(entries, first, last), zeros_end(bitmaps, first, last))
                yield Run(guest, (stop - first) * size, Kind.ABSENT)
            elif entry & layout.COMPRESSED:
                self._compressed_end(table, first, stop)
                if bitmap:
                    raise self._error(table, first, f"is compressed with the bitmap {bitmap:#018x}", "no bitmap")
                yield Run(guest, size, Kind.DATA, packed=entries[first:stop])
            else:
                host = self._subclustered_host(table, first, bitmap)
                if bitmap == layout.ALL_SUBCLUSTERS:
                    yield Run(guest, size, Kind.DATA, host)
                else:
                    yield from self._subclusters(guest, host, bitmap)
            first = stop

    def _subclustered_host(self, table: L2Table, index: int, bitmap: int) -> int:
        host = self._host(table, index)
        allocated, zero = bitmap & layout.ALL_SUBCLUSTERS, bitmap >> layout.SUBCLUSTERS
        if table.entries[index] & layout.READS_AS_ZERO:
            raise self._error(table, index, "has bit 0 set", "bit 0 clear in an extended entry")
        if allocated & zero:
            raise self._error(table, index, f"has the bitmap {bitmap:#018x}", "no subcluster both stored and zero")
        if allocated and not host:
            raise self._error(table, index, f"stores subclusters {allocated:#010x} nowhere", "an offset")
        if allocated and host >= self.file_size:
            raise self._outside(table, index, host)
        return host

    def _subclusters(self, guest: int, host: int, bitmap: int) -> Iterator[Run]:
        size = self.header.granularity
        for number in range(layout.SUBCLUSTERS):
            if bitmap >> number & 1:
                yield Run(guest + number * size, size, Kind.DATA, host + number * size)
            else:
                kind = Kind.ZERO if bitmap >> (layout.SUBCLUSTERS + number) & 1 else Kind.ABSENT
                yield Run(guest + number * size, size, kind)

    def _outside(self, table: L2Table, index: int, host: int) -> FormatError:
        return self._error(
            table, index, f"points to {host:#x}", f"an offset within the file of {self.file_size:#x} bytes"
        )

    def _error(self, table: L2Table, index: int, found: str, expected: str) -> FormatError:
        return FormatError(found, expected=expected, where=f"L2 table at {table.offset:#x}, entry {index}")
