"""Compressed clusters: neighbours are read from the file together and inflated one by one.

Reference: QEMU, docs/interop/qcow2.rst, "Compressed Clusters Descriptor".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.exceptions import FormatError
from xenimage.formats.qcow2 import layout
from xenimage.formats.qcow2.tables import Cache
from xenimage.streams.inflate import inflate_raw, unzstd
from xenimage.units import MIB

if TYPE_CHECKING:
    import array
    from collections.abc import Callable, Iterator

    from xenimage.formats.qcow2.layout import Header
    from xenimage.model.disk import ByteSource

INFLATERS: dict[int, Callable[[memoryview, int], bytes]] = {0: inflate_raw, 1: unzstd}

# Bytes of the file that one read takes. One cluster alone may need more: twice its size.
_READ = 4 * MIB
# Inflated clusters that were asked for in parts; whoever reads a few sectors soon reads the next ones.
_CACHED_CLUSTERS = 2 * MIB


class PackedReader:
    """Reads runs of compressed clusters. Safe to use from several threads."""

    def __init__(self, source: ByteSource, header: Header) -> None:
        self._source = source
        self._cluster_size = header.cluster_size
        self._inflate = INFLATERS[header.compression]
        self._cache: Cache[bytes] = Cache(_CACHED_CLUSTERS)
        bits = layout.packed_offset_bits(header.cluster_bits)
        self._shift = bits
        self._offset_mask = (1 << bits) - 1
        self._length_mask = (1 << (62 - bits)) - 1

    def read_into(self, guest: int, packed: array.array[int], offset: int, buffer: memoryview) -> None:
        """Fill *buffer* with the disk's content from *offset* on.

        :param guest: where on the disk the clusters begin that *packed* holds the L2 entries of; the range lies within.
        :raises FormatError: a cluster does not inflate to what it should.
        """
        size = self._cluster_size
        end = offset + len(buffer)
        first, last = (offset - guest) // size, -(-(end - guest) // size)
        if last - first == 1 and len(buffer) < size:
            known = self._cache.get(packed[first])
            if known is not None:
                start = offset - guest - first * size
                buffer[:] = memoryview(known)[start : start + len(buffer)]
                return
        for low, high, start, stop in self._groups(packed, first, last):
            data = memoryview(bytearray(stop - start))
            self._source.read_into(start, data)
            for index in range(low, high):
                here = guest + index * size
                content = self._cluster(packed[index], data, start, here)
                skip, keep = max(0, offset - here), min(size, end - here)
                if keep - skip < size:
                    self._cache.put(packed[index], content, size)
                buffer[here + skip - offset : here + keep - offset] = memoryview(content)[skip:keep]

    def _groups(self, packed: array.array[int], first: int, last: int) -> Iterator[tuple[int, int, int, int]]:
        """Yield (first, last, start, stop): clusters whose bytes lie side by side in the file from start to stop."""
        low = first
        group_start, group_stop = self._place(packed[first])
        for index in range(first + 1, last):
            start, stop = self._place(packed[index])
            if group_start <= start <= group_stop and stop - group_start <= _READ:
                # Neighbours share the sector in which the one ends and the other begins.
                group_stop = max(group_stop, stop)
                continue
            yield low, index, group_start, group_stop
            low, group_start, group_stop = index, start, stop
        yield low, last, group_start, group_stop

    def _place(self, entry: int) -> tuple[int, int]:
        """Where the compressed bytes stand in the file, (start, stop); the last sector may be cut by the file's end."""
        start = entry & self._offset_mask
        units = (entry >> self._shift & self._length_mask) + 1
        stop = start - start % layout.COMPRESSED_UNIT + units * layout.COMPRESSED_UNIT
        return start, min(stop, self._source.size)

    def _cluster(self, entry: int, data: memoryview, data_start: int, guest: int) -> bytes:
        start, stop = self._place(entry)
        try:
            content = self._inflate(data[start - data_start : stop - data_start], self._cluster_size)
        except FormatError as error:
            raise error.within(f"compressed cluster at {start:#x}, for guest offset {guest:#x}") from None
        return content
