"""L1 and L2 tables in memory: arrays of numbers, read in one piece and checked for where they stand."""

from __future__ import annotations

import array
import collections
import dataclasses
import sys
import threading
from typing import TYPE_CHECKING, Generic, TypeVar

from xenimage.exceptions import FormatError
from xenimage.formats.base import require_stored
from xenimage.formats.qcow2 import layout
from xenimage.units import MIB

if TYPE_CHECKING:
    from xenimage.formats.qcow2.layout import Header
    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource

V = TypeVar("V")

_CACHED_TABLES = 8 * MIB
# What an entry of a cache costs beside its content, roughly: it bounds the number of small ones.
_OVERHEAD = 256

_COMPARED = 1 << 20
"""entries of an L1 table that are compared at a time: a set takes ten times their size"""
_STRIDE = 512
_NEAR = 8
_ZERO_STRIDE = bytes(_STRIDE * layout.ENTRY)


_NOWHERE = (0, layout.READS_AS_ZERO, layout.COPIED, layout.COPIED | layout.READS_AS_ZERO)
"""entries that point to no cluster"""


class Cache(Generic[V]):
    """The values used last, as long as they fit. Safe to use from several threads.

    :param size: bytes that the values may take together. One value that is larger is kept alone.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._used = 0
        self._values: collections.OrderedDict[int, tuple[V, int]] = collections.OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: int) -> V | None:
        """The value, if it is still there."""
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key][0]

    def put(self, key: int, value: V, size: int) -> None:
        """Keep *value*, which takes *size* bytes, and drop what was not used for longest."""
        with self._lock:
            if key in self._values:
                return
            self._values[key] = (value, size + _OVERHEAD)
            self._used += size + _OVERHEAD
            while self._used > self._size and len(self._values) > 1:
                self._used -= self._values.popitem(last=False)[1][1]


@dataclasses.dataclass(frozen=True, slots=True)
class L2Table:
    """One L2 table."""

    offset: int
    """bytes from the start of the file, for messages"""
    entries: array.array[int]
    bitmaps: array.array[int] | None
    """of the extended form: a bitmap for each entry"""


def zeros_end(entries: array.array[int], first: int, last: int) -> int:
    """Index of the first entry from *first* on that is not zero, or *last*. Compares blocks, not entries."""
    for index in range(first, min(first + _NEAR, last)):
        if entries[index]:
            return index
    with memoryview(entries) as view, view.cast("B") as raw:
        while first + _STRIDE <= last:
            # As bytes, because they are compared by memcmp and memory views item by item.
            if raw[first * layout.ENTRY : (first + _STRIDE) * layout.ENTRY].tobytes() != _ZERO_STRIDE:
                break
            first += _STRIDE
    while first < last and not entries[first]:
        first += 1
    return first


def read_entries(source: ByteSource, offset: int, count: int) -> array.array[int]:
    """Read *count* big-endian numbers of 8 bytes. The caller has checked both against the file and the limits."""
    entries = array.array("Q", bytes(count * layout.ENTRY))
    with memoryview(entries) as view, view.cast("B") as raw:
        source.read_into(offset, raw)
    if sys.byteorder == "little":
        entries.byteswap()
    return entries


def require_table(source: ByteSource, header: Header, offset: int, length: int) -> None:
    """Check that a table of *length* bytes at *offset* is aligned to a cluster and lies within the file.

    :raises FormatError: it does not.
    """
    if not offset or offset % header.cluster_size:
        raise FormatError(f"stands at {offset:#x}", expected=f"a multiple of the cluster size {header.cluster_size:#x}")
    if offset + length > source.size:
        raise FormatError(
            f"ends at {offset + length:#x}", expected=f"a table within the file of {source.size:#x} bytes"
        )


def read_l1(
    source: ByteSource, header: Header, limits: Limits, *, offset: int, entries: int, virtual_size: int
) -> array.array[int]:
    """Read the part of an L1 table that a disk of *virtual_size* bytes needs.

    :raises FormatError: the table is too short for the disk, misplaced, or not within the file.
    :raises LimitError: it is longer than the limit table_size, or too many of its tables are holes.
    """
    limits.require("table_size", entries * layout.ENTRY, "the length of the L1 table in bytes")
    needed = -(-virtual_size // header.table_reach)
    if entries < needed:
        raise FormatError(
            f"has {entries} entries", expected=f"{needed} or more for {virtual_size} bytes", where="L1 table"
        )
    if not entries:
        return array.array("Q")
    try:
        require_table(source, header, offset, entries * layout.ENTRY)
    except FormatError as error:
        raise error.within("L1 table") from None
    l1 = read_entries(source, offset, needed)
    _require_distinct(source, header, l1, limits)
    return l1


def _require_distinct(source: ByteSource, header: Header, l1: array.array[int], limits: Limits) -> None:
    """Refuse an L2 table that stands in for several parts of the disk, and tables that are hardly there.

    No sound image has one, and by it a small file could make the walk over a huge disk endless.
    """
    tables = len(l1) - l1.count(0)
    size = header.cluster_size
    parts = -(-tables // _COMPARED)
    repeated = tables * size > source.size
    if not repeated:
        require_stored(source, tables, size, limits, "L2 tables")
    for part in range(0 if repeated else parts):
        # The flag COPIED makes no other table of it.
        offsets = [each for each in map(layout.OFFSET.__and__, l1) if each and each // size % parts == part]
        repeated = repeated or len(set(offsets)) != len(offsets)
    if repeated:
        raise FormatError("several entries point to one L2 table", expected="a table for each entry", where="L1 table")


class Tables:
    """The L2 tables of an image, read when they are first asked for. Safe to use from several threads."""

    def __init__(self, source: ByteSource, header: Header, l1: array.array[int]) -> None:
        self._source = source
        self._header = header
        self._cache: Cache[L2Table | bool] = Cache(_CACHED_TABLES)
        self.l1 = l1

    def find(self, index: int) -> L2Table | None:
        """The L2 table that entry *index* of the L1 table points to; None if it maps nothing.

        :raises FormatError: the entry has reserved bits, or points to what can be no table.
        """
        entry = self.l1[index]
        if entry & layout.L1_RESERVED:
            raise FormatError(
                f"is {entry:#018x}", expected="reserved bits 0-8 and 56-62 clear", where=f"L1 table, entry {index}"
            )
        offset = entry & layout.OFFSET
        if not offset:
            return None
        known = self._cache.get(offset)
        if known is None:
            known = self._read(offset, index)
            # A table of zeros is common where space was only prepared; it needs no memory.
            self._cache.put(offset, known, self._header.cluster_size if known else 0)
        return known if isinstance(known, L2Table) else None

    def _read(self, offset: int, index: int) -> L2Table | bool:
        try:
            require_table(self._source, self._header, offset, self._header.cluster_size)
        except FormatError as error:
            raise error.within(f"L2 table of L1 entry {index}") from None
        if next(self._source.data(offset, self._header.cluster_size), None) is None:
            return False
        entries = read_entries(self._source, offset, self._header.cluster_size // layout.ENTRY)
        if zeros_end(entries, 0, len(entries)) == len(entries):
            return False
        if self._header.extended_l2:
            table = L2Table(offset, entries[0::2], entries[1::2])
        else:
            table = L2Table(offset, entries, None)
        _require_once(table)
        return table


def _require_once(table: L2Table) -> None:
    """Refuse a table that shows one cluster, plain or compressed, at several places of the disk.

    By it a small file could show more than any disk holds.
    """
    clusters = set(table.entries)
    if len(clusters) == len(table.entries):
        return
    clusters.difference_update(_NOWHERE)
    if len(clusters) + sum(map(table.entries.count, _NOWHERE)) != len(table.entries):
        raise FormatError(
            "several entries point to one cluster",
            expected="a cluster for each entry",
            where=f"L2 table at {table.offset:#x}",
        )
