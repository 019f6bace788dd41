"""The bytes of qcow2 and the values that they mean; no judgement beyond what one structure can say of itself.

Reference: QEMU, docs/interop/qcow2.rst, sections "Header", "Header extensions", "Cluster mapping", "Snapshots". All
numbers are big-endian; offsets and sizes are bytes unless said otherwise.
"""

from __future__ import annotations

import dataclasses
import struct
import sys
from typing import TYPE_CHECKING

from xenimage.exceptions import FormatError, UnsupportedError

if TYPE_CHECKING:
    import array
    from collections.abc import Iterator

MAGIC = b"QFI\xfb"

# magic, version, backing file offset and size, cluster bits, virtual size, encryption method, L1 entries and offset,
# refcount table offset and clusters, snapshots and their table's offset
_HEADER_V2 = struct.Struct(">4s I Q I I Q I I Q Q I I Q")
# incompatible, compatible and autoclear features, refcount order, header length
_HEADER_V3 = struct.Struct(">Q Q Q I I")
_EXTENSION = struct.Struct(">I I")
# L1 offset and entries, lengths of id and name, date in seconds and nanoseconds, guest clock, VM state size, extra size
_SNAPSHOT = struct.Struct(">Q I H H I I Q I I")
# the start of a snapshot's extra data: VM state size and virtual size, both 64 bits wide
_SNAPSHOT_EXTRA = struct.Struct(">Q Q")

HEADER_V2_LENGTH = _HEADER_V2.size
HEADER_V3_LENGTH = _HEADER_V2.size + _HEADER_V3.size
SNAPSHOT_LENGTH = _SNAPSHOT.size
assert (HEADER_V2_LENGTH, HEADER_V3_LENGTH, SNAPSHOT_LENGTH) == (72, 104, 40)

# Incompatible features
DIRTY = 1 << 0
CORRUPT = 1 << 1
EXTERNAL_DATA = 1 << 2
COMPRESSION = 1 << 3
EXTENDED_L2 = 1 << 4
KNOWN_INCOMPATIBLE = DIRTY | CORRUPT | EXTERNAL_DATA | COMPRESSION | EXTENDED_L2
# Compatible features
LAZY_REFCOUNTS = 1 << 0

ENCRYPTION_METHODS = {0: "none", 1: "AES", 2: "LUKS"}
COMPRESSION_TYPES = {0: "zlib", 1: "zstd"}

# Header extensions
END_OF_EXTENSIONS = 0
BACKING_FORMAT = 0xE2792ACA
FEATURE_NAMES = 0x6803F857
DATA_FILE_NAME = 0x44415441
CRYPTO_HEADER = 0x0537BE77
BITMAPS = 0x23852875

MAX_BACKING_NAME = 1023
MAX_REFCOUNT_ORDER = 6
# The specification sets none; what QEMU accepts (block/qcow2-snapshot.c).
MAX_SNAPSHOT_EXTRA = 1024
CLUSTER_BITS = range(9, 22)
REFCOUNT_ORDER = 4
"""log2 of the bits of a reference count, where nobody asks for others"""
EXTENDED_L2_MIN_CLUSTER_BITS = 14
SUBCLUSTERS = 32

# L1 and L2 entries
ENTRY = 8
"""bytes of an L1 entry, and of a standard L2 entry; an extended one has as many again, its bitmap"""
COPIED = 1 << 63
COMPRESSED = 1 << 62
READS_AS_ZERO = 1 << 0
OFFSET = 0x00FF_FFFF_FFFF_FE00
L1_RESERVED = 0x7F00_0000_0000_01FF
L2_RESERVED = 0x3F00_0000_0000_01FE
ALL_SUBCLUSTERS = 0xFFFF_FFFF

# What QEMU takes (block/qcow2.h): QCOW_MAX_L1_SIZE, QCOW_MAX_REFTABLE_SIZE.
L1_MAX = 32 * 1024 * 1024
"""bytes of an L1 table"""
REFCOUNT_TABLE_MAX = 8 * 1024 * 1024
"""bytes of a refcount table"""

# Compressed clusters are counted in units of 512 bytes, whatever the sector of the disk.
COMPRESSED_UNIT = 512


@dataclasses.dataclass(frozen=True, kw_only=True)
class Header:
    """The header's fields, as stored; for version 2 with the values that version 3 gives to the missing ones."""

    version: int
    backing_offset: int
    backing_length: int
    cluster_bits: int
    virtual_size: int
    encryption: int
    l1_entries: int
    l1_offset: int
    refcount_offset: int
    refcount_clusters: int
    snapshot_count: int
    snapshot_offset: int
    incompatible: int = 0
    compatible: int = 0
    refcount_order: int = REFCOUNT_ORDER
    """log2 of the bits of a reference count"""
    length: int = HEADER_V2_LENGTH
    compression: int = 0

    @property
    def cluster_size(self) -> int:
        """Bytes."""
        return 1 << self.cluster_bits

    @property
    def extended_l2(self) -> bool:
        """Whether L2 entries carry a bitmap of subclusters."""
        return bool(self.incompatible & EXTENDED_L2)

    @property
    def entry_size(self) -> int:
        """Bytes of one L2 entry."""
        return 2 * ENTRY if self.extended_l2 else ENTRY

    @property
    def granularity(self) -> int:
        """Bytes: the smallest unit that is allocated, a cluster or a subcluster."""
        return self.cluster_size // SUBCLUSTERS if self.extended_l2 else self.cluster_size

    @property
    def table_reach(self) -> int:
        """Bytes of the disk that one L2 table, and so one L1 entry, describes."""
        return self.cluster_size // self.entry_size * self.cluster_size


def parse_header(head: bytes) -> Header:
    """Read the header from the first bytes of the file: 112 of them, or all if the file is shorter.

    :raises FormatError: no magic, or too short.
    :raises UnsupportedError: neither version 2 nor version 3.
    """
    if head[:4] != MAGIC:
        raise FormatError(f"starts with {head[:4].hex() or 'nothing'}", expected=f"{MAGIC.hex()}, the magic of qcow2")
    _require(head, HEADER_V2_LENGTH)
    (_, version, backing_offset, backing_length, cluster_bits, virtual_size, encryption) = _HEADER_V2.unpack_from(head)[
        :7
    ]
    (l1_entries, l1_offset, ref_offset, ref_clusters, snapshots, snapshot_offset) = _HEADER_V2.unpack_from(head)[7:]
    if version not in (2, 3):
        raise UnsupportedError(f"is version {version} of its format", expected="version 2 or 3")
    header = Header(
        version=version,
        backing_offset=backing_offset,
        backing_length=backing_length,
        cluster_bits=cluster_bits,
        virtual_size=virtual_size,
        encryption=encryption,
        l1_entries=l1_entries,
        l1_offset=l1_offset,
        refcount_offset=ref_offset,
        refcount_clusters=ref_clusters,
        snapshot_count=snapshots,
        snapshot_offset=snapshot_offset,
    )
    return header if version == 2 else _with_version_3(header, head)


def _with_version_3(header: Header, head: bytes) -> Header:
    _require(head, HEADER_V3_LENGTH)
    incompatible, compatible, _autoclear, order, length = _HEADER_V3.unpack_from(head, HEADER_V2_LENGTH)
    # The first byte of the additional fields; a header that ends before it means zlib.
    compression = head[HEADER_V3_LENGTH] if length > HEADER_V3_LENGTH and len(head) > HEADER_V3_LENGTH else 0
    return dataclasses.replace(
        header,
        incompatible=incompatible,
        compatible=compatible,
        refcount_order=order,
        length=length,
        compression=compression,
    )


def _require(head: bytes, length: int) -> None:
    if len(head) < length:
        raise FormatError(f"ends after {len(head)} bytes", expected=f"a header of {length} bytes")


def parse_extensions(region: bytes, start: int) -> Iterator[tuple[int, bytes]]:
    """Yield (type, content) of the header extensions.

    :param region: the bytes between the header and the backing file's name or the end of the first cluster.
    :param start: where *region* stands in the file, for messages.
    :raises FormatError: an extension passes the end of the region.
    """
    position = 0
    while position + _EXTENSION.size <= len(region):
        kind, length = _EXTENSION.unpack_from(region, position)
        if kind == END_OF_EXTENSIONS:
            return
        position += _EXTENSION.size
        if length > len(region) - position:
            raise FormatError(
                f"has {length} bytes",
                expected=f"at most the {len(region) - position} that are left",
                where=f"header extension {kind:#010x} at {start + position - _EXTENSION.size:#x}",
            )
        yield kind, region[position : position + length]
        position += -(-length // 8) * 8


def parse_feature_names(content: bytes) -> dict[tuple[int, int], str]:
    """Read a feature name table: (type, bit) to name. Types: 0 incompatible, 1 compatible, 2 autoclear."""
    return {
        (content[start], content[start + 1]): decode(content[start + 2 : start + 48].rstrip(b"\0"))
        for start in range(0, len(content) - 47, 48)
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class SnapshotHead:
    """The part of fixed length of a snapshot table's entry."""

    l1_offset: int
    l1_entries: int
    id_length: int
    name_length: int
    seconds: int
    """of the date, since 1970 in UTC"""
    vm_state_size: int
    extra_length: int

    @property
    def tail_length(self) -> int:
        """Bytes that follow: extra data, id, name; without the padding to a multiple of 8."""
        return self.extra_length + self.id_length + self.name_length


def parse_snapshot_head(data: bytes) -> SnapshotHead:
    """Read the first :data:`SNAPSHOT_LENGTH` bytes of a snapshot table's entry."""
    fields = _SNAPSHOT.unpack(data)
    l1_offset, l1_entries, id_length, name_length, seconds, _nanoseconds, _clock, vm_state_size, extra_length = fields
    return SnapshotHead(
        l1_offset=l1_offset,
        l1_entries=l1_entries,
        id_length=id_length,
        name_length=name_length,
        seconds=seconds,
        vm_state_size=vm_state_size,
        extra_length=extra_length,
    )


def parse_snapshot_extra(extra: bytes) -> tuple[int | None, int | None]:
    """Read (VM state size, virtual size) from a snapshot's extra data; None for what is not there."""
    if len(extra) >= _SNAPSHOT_EXTRA.size:
        state, virtual = _SNAPSHOT_EXTRA.unpack_from(extra)
        return state, virtual
    if len(extra) >= ENTRY:
        return int.from_bytes(extra[:ENTRY]), None
    return None, None


# Features by (type, bit), as QEMU names them in the images that it writes.
_NAMED_FEATURES = (
    (0, 0, b"dirty bit"),
    (0, 1, b"corrupt bit"),
    (0, 2, b"external data file"),
    (0, 3, b"compression type"),
    (0, 4, b"extended L2 entries"),
    (1, 0, b"lazy refcounts"),
    (2, 0, b"bitmaps"),
    (2, 1, b"raw external data"),
)
_FEATURE_NAME = struct.Struct(">BB46s")
HEADER_WRITTEN = HEADER_V3_LENGTH + 8
"""bytes of the header that is written: the compression type and its padding included"""


def pack_header(header: Header, backing_name: bytes = b"", backing_format: bytes = b"") -> bytes:
    """A header of version 3 with its extensions and the backing file's name, as far as they go.

    :param header: its backing_offset and backing_length are put in here.
    """
    extensions = [(BACKING_FORMAT, backing_format)] if backing_format else []
    extensions.append((FEATURE_NAMES, b"".join(_FEATURE_NAME.pack(*each) for each in _NAMED_FEATURES)))
    tail = b"".join(
        _EXTENSION.pack(kind, len(data)) + data.ljust(-(-len(data) // 8) * 8, b"\0") for kind, data in extensions
    )
    tail += _EXTENSION.pack(END_OF_EXTENSIONS, 0)
    head = _HEADER_V2.pack(
        MAGIC,
        3,
        HEADER_WRITTEN + len(tail) if backing_name else 0,
        len(backing_name),
        header.cluster_bits,
        header.virtual_size,
        header.encryption,
        header.l1_entries,
        header.l1_offset,
        header.refcount_offset,
        header.refcount_clusters,
        header.snapshot_count,
        header.snapshot_offset,
    ) + _HEADER_V3.pack(header.incompatible, header.compatible, 0, header.refcount_order, HEADER_WRITTEN)
    return head + bytes([header.compression]).ljust(8, b"\0") + tail + backing_name


def big_endian(numbers: array.array[int]) -> bytes:
    """The numbers as they stand in the file; the array keeps its own order."""
    if sys.byteorder == "big":
        return numbers.tobytes()
    swapped = numbers[:]
    swapped.byteswap()
    return swapped.tobytes()


def packed_entry(cluster_bits: int, offset: int, length: int) -> int:
    """The L2 entry of a compressed cluster: *length* bytes (at least one) at *offset*, both any number."""
    units = (offset + length - 1) // COMPRESSED_UNIT - offset // COMPRESSED_UNIT
    return COMPRESSED | units << packed_offset_bits(cluster_bits) | offset


def packed_offset_bits(cluster_bits: int) -> int:
    """Bits of a compressed cluster's L2 entry that hold its offset; the length in units follows up to bit 61."""
    return 62 - (cluster_bits - 8)


def decode(text: bytes) -> str:
    """Text of the file for display: UTF-8, and escapes for what is none."""
    return text.decode("utf-8", "backslashreplace")
