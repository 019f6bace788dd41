"""A new qcow2 image of version 3, written in one pass: data first, each table as soon as it is full, the header last.

Clusters come in ascending order, so that one L2 table and one block of reference counts are open at a time: memory does
not grow with the disk. Everything is appended but the header and the L1 table, whose place at the start is kept free.
Compressed clusters follow each other byte by byte, as QEMU packs them. Reference: QEMU, docs/interop/qcow2.rst.
"""

from __future__ import annotations

import array
import dataclasses
from typing import TYPE_CHECKING, NamedTuple

from xenimage.exceptions import UnsupportedError, UsageError
from xenimage.formats.qcow2 import layout
from xenimage.formats.qcow2.refcounts import Refcounts
from xenimage.streams.compress import deflate_raw, zstd
from xenimage.streams.zeros import data_units
from xenimage.units import KIB, SECTOR, format_size, round_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from xenimage.model.transfer import PatchSink

CLUSTER = 64 * KIB
"""bytes, where nobody asks for others: QEMU's own choice"""
CLUSTER_SIZES = tuple(1 << bits for bits in range(12, 22))
"""bytes: 4 KiB to 2 MiB. Smaller ones are legal, but one L2 table would not reach over a block of 2 MiB."""
PACKERS: dict[str, Callable[[memoryview], bytes] | None] = {"none": None, "zlib": deflate_raw, "zstd": zstd}
"""ways to store clusters by name"""
_COMPRESSION_TYPES = {name: number for number, name in layout.COMPRESSION_TYPES.items()}
_WORTH = 16
"""a cluster is stored compressed if that saves at least one part in so many: less is not worth inflating it"""


class Run(NamedTuple):
    """Neighbouring clusters that are stored alike."""

    first: int
    """number of the cluster on the disk"""
    data: bytes
    """whole clusters; or the compressed bytes of one"""
    packed: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class NewQcow2:
    """A qcow2 image to be written. Sizes in bytes.

    :param virtual_size: whole sectors.
    :param compression: a key of :data:`PACKERS`.
    :param backing_name: of the parent, as it is to stand in the image; empty for none.
    :raises UsageError: no size of a cluster, no known compression, no whole sectors, a backing file that is half told.
    :raises UnsupportedError: larger than QEMU reads with clusters of that size.
    """

    virtual_size: int
    cluster_size: int = CLUSTER
    compression: str = "none"
    backing_name: str = ""
    backing_format: str = ""

    def __post_init__(self) -> None:
        """Refuse what the format or QEMU cannot express."""
        if self.cluster_size not in CLUSTER_SIZES:
            raise UsageError(f"clusters of {self.cluster_size} bytes", expected="a power of two from 4 KiB to 2 MiB")
        if self.compression not in PACKERS:
            raise UsageError(f"compression {self.compression!r}", expected=f"one of {', '.join(PACKERS)}")
        if self.virtual_size % SECTOR or self.virtual_size <= 0:
            raise UsageError(f"a disk of {self.virtual_size} bytes", expected="whole sectors of 512 bytes")
        if bool(self.backing_name) != bool(self.backing_format):
            raise UsageError("a backing file without its format", expected="both, or neither")
        if len(self.backing_name.encode()) > layout.MAX_BACKING_NAME:
            raise UsageError("the backing file's name is too long", expected=f"{layout.MAX_BACKING_NAME} bytes at most")
        if self.virtual_size > self._largest:
            raise UnsupportedError(
                f"a disk of {format_size(self.virtual_size)} in clusters of {format_size(self.cluster_size)}",
                expected=f"at most {format_size(self._largest)}, for which QEMU takes the tables",
                tip="Use larger clusters: --cluster-size 64k.",
            )

    @property
    def _largest(self) -> int:
        """Half of what L1 table and refcount table can describe: tables need some clusters too."""
        reach = self.cluster_size // layout.ENTRY * self.cluster_size
        return layout.L1_MAX // layout.ENTRY * reach // 2

    @property
    def cluster_bits(self) -> int:
        """log2 of the cluster size."""
        return self.cluster_size.bit_length() - 1

    @property
    def per_table(self) -> int:
        """Clusters that one L2 table describes."""
        return self.cluster_size // layout.ENTRY

    @property
    def l1_entries(self) -> int:
        """Entries of the L1 table."""
        return -(-self.virtual_size // (self.per_table * self.cluster_size))

    def size_bound(self, data_size: int) -> int:
        """Bytes that the file takes at most with *data_size* bytes of data in whole clusters."""
        size = self.cluster_size
        l1 = round_up(self.l1_entries * layout.ENTRY, size)
        data = data_size // size
        # An L2 table for each L1 entry that can have data; a compressed run may leave part of a cluster behind.
        used = data + min(self.l1_entries, data) + l1 // size + 1
        counts = used // (size // 2) + 2
        return (used + 2 * counts + -(-counts * layout.ENTRY // size) + 1) * size

    def pack(self, buffer: bytearray, start: int, offset: int) -> list[Run]:
        """Turn a part of the disk into what :meth:`Qcow2Writer.add` takes. For several threads at once.

        :param buffer: from *start* on the content of the disk from *offset* on, whole clusters.
        """
        packer = PACKERS[self.compression]
        first = offset // self.cluster_size
        view = memoryview(buffer)[start:]
        runs = []
        for low, high in data_units(buffer, start, self.cluster_size):
            if packer is None:
                runs.append(Run(first + low, bytes(view[low * self.cluster_size : high * self.cluster_size])))
            else:
                runs += self._packed(packer, view, first, low, high)
        return runs

    def _packed(
        self, packer: Callable[[memoryview], bytes], view: memoryview, first: int, low: int, high: int
    ) -> Iterator[Run]:
        size = self.cluster_size
        for number in range(low, high):
            plain = view[number * size : (number + 1) * size]
            packed = packer(plain)
            if len(packed) <= size - size // _WORTH:
                yield Run(first + number, packed, packed=True)
            else:
                yield Run(first + number, bytes(plain))


class Qcow2Writer:
    """Writes an image: :meth:`add` and :meth:`zero` in ascending order of clusters, then :meth:`finish`.

    What is neither added nor zeroed reads as zeros, or is left to the backing file.
    """

    def __init__(self, sink: PatchSink, new: NewQcow2) -> None:
        self._sink = sink
        self._new = new
        self._size = self.cluster_size = new.cluster_size
        self._l1 = array.array("Q", bytes(layout.ENTRY * new.l1_entries))
        self._open = -1
        """the L1 entry whose L2 table is being filled"""
        self._l2 = array.array("Q")
        self._next = 0
        """the first cluster of the file that is free"""
        self._counts = Refcounts(self._size // 2)
        self._packed_at = 0
        """where the next compressed cluster goes, if there is room; a whole cluster's start where there is none"""
        self._parts: list[bytes] = []
        self._parts_at = self._parts_end = 0
        self._allocate(1)
        self._l1_offset = self._allocate(-(-len(self._l1) * layout.ENTRY // self._size))
        self.stored = 0
        """bytes of guest data that are stored, before compression"""

    def add(self, runs: Sequence[Run]) -> None:
        """Store *runs*."""
        for run in runs:
            if run.packed:
                self._add_packed(run)
            else:
                self._add_plain(run)
        self._write_parts()
        self._settle()

    def zero(self, first: int, count: int) -> None:
        """Make clusters read as zeros whatever the backing file holds: they take no space."""
        while count:
            start = self._table_of(first)
            some = min(count, self._new.per_table - start)
            self._l2[start : start + some] = array.array("Q", [layout.READS_AS_ZERO]) * some
            self._settle()
            first += some
            count -= some

    def finish(self) -> None:
        """Write what is left of the tables, and the header."""
        self._end_table()
        refcount_offset, refcount_clusters = self._end_counts()
        self._sink.patch(self._l1_offset, layout.big_endian(self._l1))
        compression = _COMPRESSION_TYPES.get(self._new.compression, 0)
        header = layout.Header(
            version=3,
            backing_offset=0,
            backing_length=0,
            cluster_bits=self._new.cluster_bits,
            virtual_size=self._new.virtual_size,
            encryption=0,
            l1_entries=len(self._l1),
            l1_offset=self._l1_offset,
            refcount_offset=refcount_offset,
            refcount_clusters=refcount_clusters,
            snapshot_count=0,
            snapshot_offset=0,
            incompatible=layout.COMPRESSION if compression else 0,
            compression=compression,
        )
        self._sink.patch(
            0, layout.pack_header(header, self._new.backing_name.encode(), self._new.backing_format.encode())
        )

    def _add_plain(self, run: Run) -> None:
        count = len(run.data) // self._size
        start = self._table_of(run.first)
        offset = self._allocate(count)
        entry = offset | layout.COPIED
        self._l2[start : start + count] = array.array("Q", range(entry, entry + count * self._size, self._size))
        self._put(offset, run.data)
        self.stored += len(run.data)

    def _add_packed(self, run: Run) -> None:
        """Put a compressed cluster behind the one before it, over the border of a cluster if the next one is free."""
        start = self._table_of(run.first)
        offset, length = self._packed_at, len(run.data)
        room = -offset % self._size
        if length > room:
            fresh = self._allocate(1, held=False)
            if not room or fresh != offset + room:
                offset = fresh
        self._counts.touch(offset // self._size, -(-(offset + length) // self._size))
        self._l2[start] = layout.packed_entry(self._new.cluster_bits, offset, length)
        self._put(offset, run.data)
        self._packed_at = offset + length
        self.stored += self._size

    def _table_of(self, cluster: int) -> int:
        """Open the L2 table of a cluster; the cluster's index in it."""
        index, start = divmod(cluster, self._new.per_table)
        if index != self._open:
            self._end_table()
            self._open = index
            self._l2 = array.array("Q", bytes(self._size))
        return start

    def _end_table(self) -> None:
        if self._open >= 0:
            offset = self._allocate(1)
            self._l1[self._open] = offset | layout.COPIED
            self._put(offset, layout.big_endian(self._l2))
            self._write_parts()
            self._open = -1

    def _allocate(self, count: int, *, held: bool = True) -> int:
        """Take *count* clusters at the end of the file; where they begin.

        :param held: whether each is referred to once; else the caller counts.
        """
        first = self._next
        self._next += count
        if held:
            self._counts.touch(first, self._next)
        self._sink.skip(count * self._size)
        return first * self._size

    def _put(self, offset: int, data: bytes) -> None:
        """Write *data* at *offset*, together with what comes right behind it."""
        if offset != self._parts_end:
            self._write_parts()
            self._parts_at = offset
        self._parts.append(data)
        self._parts_end = offset + len(data)

    def _write_parts(self) -> None:
        if self._parts:
            self._sink.patch(self._parts_at, self._parts[0] if len(self._parts) == 1 else b"".join(self._parts))
            self._parts.clear()
        self._parts_end = -1

    def _settle(self) -> None:
        """Write blocks of reference counts that cannot change any more."""
        while self._counts.full(self._next):
            # What is left of the last cluster of compressed ones is given up, lest its count changes.
            self._packed_at = 0
            offset = self._allocate(1)
            self._sink.patch(offset, self._counts.take(offset))

    def _end_counts(self) -> tuple[int, int]:
        """Write all blocks of reference counts that are left, and their table; its offset and clusters.

        They count themselves: how many they are is found by trying.
        """
        blocks = clusters = 0
        while True:
            used = self._next + blocks + clusters
            wanted = self._counts.left(used), -(-self._counts.total(used) * layout.ENTRY // self._size)
            if wanted == (blocks, clusters):
                break
            blocks, clusters = wanted
        offset = self._allocate(blocks)
        table = self._allocate(clusters)
        for number in range(blocks):
            place = offset + number * self._size
            self._sink.patch(place, self._counts.take(place))
        self._sink.patch(table, self._counts.table())
        return table, clusters
