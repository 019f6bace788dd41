"""From the number of a grain to the sector that it is stored in.

A grain directory points to grain tables, and those to grains. Tables are held as arrays of 32-bit numbers and are
looked at in runs, never entry by entry: a 2 TiB disk has 32 million entries, nearly all of them alike.
"""

from __future__ import annotations

import array
import bisect
import collections
import dataclasses
import itertools
import operator
import threading
from typing import TYPE_CHECKING, Protocol

from xenimage.exceptions import FormatError, LimitError
from xenimage.formats.base import require_stored
from xenimage.formats.vmdk.layout import ENTRY, LARGEST_ENTRY, ZEROED_GRAIN, Table, blank_table, from_disk
from xenimage.model.extent import Kind
from xenimage.units import SECTOR

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource

_SPAN_ENTRIES = 32 * 1024
_BLANK = memoryview(bytes(_SPAN_ENTRIES * ENTRY))
_CACHED_SPANS = 64  # of at most 128 KiB each


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shape:
    """How a sparse extent is divided, from a header that has been checked."""

    capacity: int
    """bytes that it shows"""
    grain: int
    """bytes of one grain"""
    per_table: int
    """entries of one grain table"""
    zeroed: bool
    """whether entry 1 means a grain of zeros"""
    compressed: bool
    """whether grains are deflated, each behind a header of its own"""
    floor: int
    """the first sector that can hold a grain: what is before belongs to the header and the descriptor"""

    @property
    def grains(self) -> int:
        """How many grains there are; the last may reach beyond the end."""
        return -(-self.capacity // self.grain)

    @property
    def tables(self) -> int:
        """How many entries the grain directory has."""
        return -(-self.grains // self.per_table)

    @property
    def table_sectors(self) -> int:
        """Sectors of one grain table."""
        return self.per_table * ENTRY // SECTOR

    @property
    def per_span(self) -> int:
        """Grains that are looked up together: those of whole tables."""
        tables = max(1, min(self.tables, _SPAN_ENTRIES // self.per_table))
        return tables * self.per_table


class GrainMap(Protocol):
    """Where grains are stored. The grains are numbered; ``per_span`` of them are looked up together."""

    @property
    def per_span(self) -> int:
        """Grains in a span."""

    def load(self, span: int) -> Table[int]:
        """The entries of a span; the last may have fewer than ``per_span``.

        :raises FormatError: a table lies outside the file, or its entries contradict each other.
        :raises TransferError: the source failed.
        """

    def next_used(self, span: int, stop: int) -> int:
        """The first span from *span* on that may hold a grain; *stop* if none before it does."""


def inside(source: ByteSource, offset: int, length: int, what: str) -> None:
    """Assert that a range of the file exists.

    :raises FormatError: it does not; *what* says what should stand there.
    """
    if offset + length > source.size:
        raise FormatError(
            f"{length} bytes at {offset:#x} lie outside the file of {source.size} bytes",
            expected="a range inside it",
            where=f"{source.name}: {what}",
            tip="The file may be truncated: compare its size with the original.",
        )


def bounded(limits: Limits, name: str, value: int, what: str, where: str) -> None:
    """Assert that *value* keeps the limit called *name*; see :meth:`xenimage.limits.Limits.require`.

    :raises LimitError: it does not; *where* says in which file.
    """
    try:
        limits.require(name, value, what)
    except LimitError as error:
        raise error.within(where) from None


def read_directory(source: ByteSource, sector: int, shape: Shape, what: str, limits: Limits) -> Table[int]:
    """Read a grain directory whose size has been compared with the limits.

    :raises FormatError: it or one of its tables lies outside the file, or the file is too small for all tables.
    :raises LimitError: too many of its tables are holes.
    """
    inside(source, sector * SECTOR, shape.tables * ENTRY, what)
    directory = blank_table(shape.tables)
    source.read_into(sector * SECTOR, memoryview(directory).cast("B"))
    from_disk(directory)
    table_bytes = shape.table_sectors * SECTOR
    highest = max(directory)
    if highest:
        inside(source, highest * SECTOR, table_bytes, f"{what}: grain table at {highest * SECTOR:#x}")
    used = shape.tables - directory.count(0)
    if used * table_bytes > source.size:
        raise FormatError(
            f"points to {used} grain tables in a file of {source.size} bytes",
            expected="a place of its own for each",
            where=f"{source.name}: {what}",
        )
    try:
        require_stored(source, _lookups(directory, shape, used), table_bytes, limits, "grain tables")
    except LimitError as error:
        raise error.within(f"{source.name}: {what}") from None
    return directory


def _lookups(directory: Table[int], shape: Shape, used: int) -> int:
    """How often a walk over all tables has to look at another place: those of a span that adjoin count as one."""
    per_span = shape.per_span // shape.per_table
    spans = -(-used // per_span)
    if used == spans:
        return used
    following = map(shape.table_sectors.__add__, directory)
    breaks: int = sum(map(operator.ne, itertools.islice(directory, 1, None), following))
    # An entry of 0 breaks twice what adjoins, and is no place itself.
    return max(spans, min(used, breaks))


class DirectoryMap:
    """Grains found through a grain directory."""

    def __init__(self, source: ByteSource, directory: Table[int], shape: Shape) -> None:
        self._source = source
        self._directory = directory
        self._shape = shape
        self.per_span = shape.per_span
        self._tables = self.per_span // shape.per_table

    def load(self, span: int) -> Table[int]:
        """See :meth:`GrainMap.load`. Tables that adjoin each other are read at once."""
        first = span * self._tables
        stop = min(first + self._tables, len(self._directory))
        table = blank_table((stop - first) * self._shape.per_table)
        view = memoryview(table).cast("B")
        size = self._shape.per_table * ENTRY
        index, stored = first, False
        while index < stop:
            sector = self._directory[index]
            count = run_length(self._directory, index, stop, self._shape.table_sectors if sector else 0)
            # Tools that write all tables at once leave the empty ones to a hole.
            if sector and next(self._source.data(sector * SECTOR, count * size), None) is not None:
                begin = (index - first) * size
                self._source.read_into(sector * SECTOR, view[begin : begin + count * size])
                stored = True
            index += count
        if stored and view != _BLANK[: len(view)]:
            self._check(from_disk(table), first)
        return table

    def _check(self, table: Table[int], first: int) -> None:
        """Refuse a grain that serves twice, which makes a small file an endless one."""
        sectors = set(table)
        sectors.discard(0)
        data = len(table) - table.count(0)
        if self._shape.zeroed:
            sectors.discard(ZEROED_GRAIN)
            data -= table.count(ZEROED_GRAIN)
        # The name of the first table that is there: which of them is wrong takes a search that nobody needs.
        place = next((entry for entry in self._directory[first:] if entry), 0)
        where = f"{self._source.name}: grain tables from {place * SECTOR:#x} on"
        if len(sectors) != data:
            raise FormatError("point to one grain twice", expected="a place of its own for each grain", where=where)
        if sectors and min(sectors) < self._shape.floor:
            raise FormatError(
                f"point to sector {min(sectors)}, inside the header or the descriptor",
                expected=f"sector {self._shape.floor} or later",
                where=where,
            )

    def next_used(self, span: int, stop: int) -> int:
        """See :meth:`GrainMap.next_used`."""
        first = span * self._tables
        last = min(stop * self._tables, len(self._directory))
        if first < last and self._directory[first] == 0:
            first += run_length(self._directory, first, last, 0)
            return stop if first >= last else first // self._tables
        return span


class ListedMap:
    """Grains found by walking through the file: their numbers in rising order and their sectors."""

    def __init__(self, grains: array.array[int], sectors: array.array[int], shape: Shape) -> None:
        self._grains = grains
        self._sectors = sectors
        self.per_span = shape.per_span
        self._count = shape.grains

    def load(self, span: int) -> Table[int]:
        """See :meth:`GrainMap.load`."""
        first = span * self.per_span
        low = bisect.bisect_left(self._grains, first)
        high = bisect.bisect_left(self._grains, first + self.per_span, low)
        table = blank_table(min(self.per_span, self._count - first))
        for grain, sector in zip(self._grains[low:high], self._sectors[low:high], strict=True):
            table[grain - first] = sector
        return table

    def next_used(self, span: int, stop: int) -> int:
        """See :meth:`GrainMap.next_used`."""
        place = bisect.bisect_left(self._grains, span * self.per_span)
        return min(self._grains[place] // self.per_span, stop) if place < len(self._grains) else stop


class CachedMap:
    """Keeps the spans that were used last. Safe to use from several threads."""

    def __init__(self, grains: GrainMap) -> None:
        self._grains = grains
        self.per_span = grains.per_span
        self._lock = threading.Lock()
        self._spans: collections.OrderedDict[int, Table[int]] = collections.OrderedDict()

    def load(self, span: int) -> Table[int]:
        """See :meth:`GrainMap.load`."""
        with self._lock:
            table = self._spans.get(span)
            if table is not None:
                self._spans.move_to_end(span)
                return table
        # Not under the lock: two threads may read the same tables once, but none waits for another's disk.
        table = self._grains.load(span)
        with self._lock:
            self._spans[span] = table
            if len(self._spans) > _CACHED_SPANS:
                self._spans.popitem(last=False)
        return table

    def next_used(self, span: int, stop: int) -> int:
        """See :meth:`GrainMap.next_used`."""
        return self._grains.next_used(span, stop)


def run_length(table: Table[int], start: int, stop: int, step: int) -> int:
    """How many entries from *start* on (at least 1, not reaching *stop*) rise by *step* each."""
    value = table[start]
    reach = stop - start
    if step:
        reach = min(reach, (LARGEST_ENTRY - value) // step + 1)
    done = size = 1
    if reach < 2 or table[start + 1] != value + step:
        return 1
    while done < reach:
        size = min(size * 2, reach - done)
        wanted = _progression(value + done * step, size, step)
        if table[start + done : start + done + size] != wanted:
            return done + _common(table[start + done : start + done + size], wanted)
        done += size
    return done


def _progression(value: int, size: int, step: int) -> Table[int]:
    if step == 0:
        return array.array("I", (value,)) * size
    return array.array("I", range(value, value + size * step, step))


def _common(one: Table[int], other: Table[int]) -> int:
    """How many entries two tables of one length, that differ somewhere, have in common at their start."""
    low, high = 0, len(one)
    while high - low > 1:
        middle = (low + high) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle
    return low


def kinds(table: Table[int], start: int, stop: int, *, zeroed: bool) -> Iterator[tuple[int, int, Kind]]:
    """Yield (index, count, kind) of the entries from *start* to *stop*, in order."""
    unallocated = zeros = -1
    while start < stop:
        entry = table[start]
        if entry == 0 or (zeroed and entry == ZEROED_GRAIN):
            count = run_length(table, start, stop, 0)
            yield start, count, Kind.ZERO if entry else Kind.ABSENT
        else:
            if unallocated < start:
                unallocated = _next(table, 0, start, stop)
            if zeros < start:
                zeros = _next(table, ZEROED_GRAIN, start, stop) if zeroed else stop
            count = min(unallocated, zeros) - start
            yield start, count, Kind.DATA
        start += count


def _next(table: Table[int], value: int, start: int, stop: int) -> int:
    try:
        return table.index(value, start, stop)
    except ValueError:
        return stop
