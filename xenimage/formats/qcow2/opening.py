"""Opening a qcow2 image: every count and offset of the header is checked here before it is used.

Reference: QEMU, docs/interop/qcow2.rst, sections "Header" and "Header extensions".
"""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING

from xenimage.exceptions import FormatError, UnsafeError, UnsupportedError, UsageError
from xenimage.formats.base import occupied
from xenimage.formats.qcow2 import layout
from xenimage.formats.qcow2.describe import Described, describe
from xenimage.formats.qcow2.mapping import Mapping
from xenimage.formats.qcow2.reader import Qcow2Disk
from xenimage.formats.qcow2.snapshots import choose, read_snapshots
from xenimage.formats.qcow2.tables import Tables, read_l1, require_table
from xenimage.units import SECTOR, round_up

if TYPE_CHECKING:
    from collections.abc import Callable

    from xenimage.exceptions import XenimageError
    from xenimage.formats.qcow2.layout import Header
    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource


def open_qcow2(source: ByteSource, limits: Limits, *, snapshot: str | None = None) -> Qcow2Disk:
    """Open the qcow2 image in *source*; its tables of the second level are read as they are needed.

    A disk that is encrypted, keeps its data elsewhere, or uses features unknown here opens all the same: its facts can
    be read, and :meth:`Qcow2Disk.unreadable` says why its data cannot.

    :param snapshot: id or name of an internal snapshot to show instead of the active state.
    :raises FormatError: the header, its extensions, the snapshot table or the L1 table break the format's rules.
    :raises UnsupportedError: neither version 2 nor 3.
    :raises LimitError: the virtual size or a table is larger than the limits allow.
    :raises UsageError: no such snapshot, or several of that name.
    """
    try:
        return _open(source, limits, snapshot)
    except (FormatError, UnsafeError, UnsupportedError, UsageError) as error:
        raise error.within(source.name) from error.__cause__


def _open(source: ByteSource, limits: Limits, wanted: str | None) -> Qcow2Disk:
    header = layout.parse_header(source.read(0, min(source.size, layout.HEADER_V3_LENGTH + 8)))
    _check_header(header, limits)
    described = Described(header=header, size=source.size)
    _read_extensions(source, described)
    if header.backing_offset:
        described.backing_name = layout.decode(source.read(header.backing_offset, header.backing_length))
    reason = _reason(described)
    understood = not header.incompatible & ~layout.KNOWN_INCOMPATIBLE
    if understood:
        _check_refcounts(source, header, limits)
        described.snapshots = read_snapshots(source, header, limits)
    virtual_size, l1_offset, l1_entries = header.virtual_size, header.l1_offset, header.l1_entries
    if wanted is not None and understood:
        described.opened = chosen = choose(described.snapshots, wanted)
        virtual_size, l1_offset, l1_entries = chosen.virtual_size, chosen.l1_offset, chosen.l1_entries
        limits.require("virtual_size", virtual_size, "the virtual size of the snapshot in bytes")
    # No disk is made of less than sectors; other readers cut the rest off or round it up.
    described.virtual_size = round_up(virtual_size, SECTOR)
    facts = describe(described)
    if reason is not None:
        return Qcow2Disk(source, facts, described.snapshots, reason)
    l1 = read_l1(source, header, limits, offset=l1_offset, entries=l1_entries, virtual_size=described.virtual_size)
    facts = dataclasses.replace(facts, occupied=occupied(source))
    mapping = Mapping(header=header, tables=Tables(source, header, l1), file_size=source.size)
    return Qcow2Disk(source, facts, described.snapshots, mapping)


def _check_header(header: Header, limits: Limits) -> None:
    if header.cluster_bits not in layout.CLUSTER_BITS:
        raise FormatError(f"has {header.cluster_bits} cluster bits", expected="9 to 21", where="header")
    limits.require("cluster_size", header.cluster_size, "the cluster size in bytes")
    limits.require("virtual_size", header.virtual_size, "the virtual size in bytes")
    if header.version == 3:
        _check_version_3(header)
    if header.backing_offset:
        _check_backing_name(header)


def _check_version_3(header: Header) -> None:
    found, expected = "", ""
    has_field = header.length > layout.HEADER_V3_LENGTH
    if header.length < layout.HEADER_V3_LENGTH or header.length % 8 or header.length > header.cluster_size:
        found = f"is {header.length} bytes long"
        expected = f"a multiple of 8 from {layout.HEADER_V3_LENGTH} to the cluster size {header.cluster_size}"
    elif header.refcount_order > layout.MAX_REFCOUNT_ORDER:
        found, expected = f"has the refcount order {header.refcount_order}", f"at most {layout.MAX_REFCOUNT_ORDER}"
    elif header.extended_l2 and header.cluster_bits < layout.EXTENDED_L2_MIN_CLUSTER_BITS:
        found = f"has extended L2 entries with {header.cluster_bits} cluster bits"
        expected = f"{layout.EXTENDED_L2_MIN_CLUSTER_BITS} or more"
    elif bool(header.incompatible & layout.COMPRESSION) != (has_field and bool(header.compression)):
        found = f"has the compression type {header.compression}"
        expected = "the feature bit for it set if, and only if, it is not 0"
    if found:
        raise FormatError(found, expected=expected, where="header")


def _check_backing_name(header: Header) -> None:
    start, length = header.backing_offset, header.backing_length
    if length > layout.MAX_BACKING_NAME:
        raise FormatError(
            f"is {length} bytes long", expected=f"at most {layout.MAX_BACKING_NAME}", where="backing file name"
        )
    if start < header.length or start + length > header.cluster_size:
        raise FormatError(
            f"stands at {start:#x}+{length:#x}",
            expected=f"a place between the header and the end of its cluster, {header.length:#x} to "
            f"{header.cluster_size:#x}",
            where="backing file name",
        )


def _read_extensions(source: ByteSource, described: Described) -> None:
    header = described.header
    end = min(header.backing_offset or header.cluster_size, source.size)
    if header.backing_offset + header.backing_length > source.size or header.length > end:
        raise FormatError(f"ends after {source.size} bytes", expected="a whole header", where="header")
    region = source.read(header.length, end - header.length)
    for kind, content in layout.parse_extensions(region, header.length):
        if kind == layout.BACKING_FORMAT:
            described.backing_format = layout.decode(content)
        elif kind == layout.DATA_FILE_NAME:
            described.data_file = layout.decode(content)
        elif kind == layout.FEATURE_NAMES:
            described.feature_names = layout.parse_feature_names(content)
        elif kind == layout.CRYPTO_HEADER:
            described.crypto_header = True


def _check_refcounts(source: ByteSource, header: Header, limits: Limits) -> None:
    """The reader needs no reference counts; a table that cannot be one says that the header is damaged."""
    length = limits.require(
        "table_size", header.refcount_clusters * header.cluster_size, "the length of the refcount table in bytes"
    )
    try:
        require_table(source, header, header.refcount_offset, length)
    except FormatError as error:
        raise error.within("refcount table") from None


def _reason(described: Described) -> Callable[[], XenimageError] | None:
    """The maker of the error that says why the data cannot be read; None if it can."""
    header = described.header
    unknown = header.incompatible & ~layout.KNOWN_INCOMPATIBLE
    if unknown:
        bits = [bit for bit in range(64) if unknown >> bit & 1]
        listed = ", ".join(f"{bit} ({described.feature_names.get((0, bit), 'unnamed')})" for bit in bits)
        return functools.partial(
            UnsupportedError, f"uses the incompatible features {listed}", expected="features 0 to 4 at most"
        )
    if header.encryption or described.crypto_header:
        method = layout.ENCRYPTION_METHODS.get(header.encryption, f"method {header.encryption}")
        return functools.partial(
            UnsupportedError,
            f"is encrypted ({method})",
            expected="an image without encryption",
            tip="Decrypt it first: qemu-img convert with the key as a --object secret.",
        )
    if header.incompatible & layout.EXTERNAL_DATA:
        return functools.partial(
            UnsafeError,
            f"keeps its data in another file, {described.data_file!r}, which is never opened",
            expected="an image that holds its own data",
            tip="Make it one file: qemu-img convert -O qcow2.",
        )
    if header.compression not in layout.COMPRESSION_TYPES:
        return functools.partial(
            UnsupportedError, f"uses the compression type {header.compression}", expected="0 (zlib) or 1 (zstd)"
        )
    return None
