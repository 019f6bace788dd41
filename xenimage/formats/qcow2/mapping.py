"""From guest offsets to what stands behind them: runs of clusters of one kind.

Reference: QEMU, docs/interop/qcow2.rst, sections "Cluster mapping", "L2 table entry", "Extended L2 Entries".
"""

from __future__ import annotations

import dataclasses
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

    def runs(self, offset: int, length: int) -> Iterator[Run]:
        """Yield the runs that cover the range, in order and without gaps. The first and last may pass its ends.

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
                yield from self._standard(table, start, first, last)
            else:
                for run in self._extended(table, table.bitmaps, start, first, last):
                    if offset < run.guest + run.length and run.guest < end:
                        yield run
            offset = start + reach

    def _standard(self, table: L2Table, start: int, first: int, last: int) -> Iterator[Run]:
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
                if kind is Kind.DATA:
                    stop = self._plain_end(table, first, last)
                yield Run(guest, (stop - first) * size, kind, entry & layout.OFFSET)
            first = stop

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
        mask = (1 << packed_offset_bits(self.header.cluster_bits)) - 1
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


def packed_offset_bits(cluster_bits: int) -> int:
    """Bits of a compressed cluster's L2 entry that hold its offset; the length in units follows up to bit 61."""
    return 62 - (cluster_bits - 8)
