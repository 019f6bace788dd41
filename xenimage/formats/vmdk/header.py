"""Headers of sparse extents: checked before a number becomes a seek, an allocation or a loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.exceptions import FormatError, UnsupportedError, XenimageError
from xenimage.formats.vmdk import layout
from xenimage.formats.vmdk.descriptor import parse_descriptor
from xenimage.formats.vmdk.layout import CowdHeader, SparseHeader
from xenimage.formats.vmdk.tables import Shape, bounded, inside
from xenimage.units import SECTOR

if TYPE_CHECKING:
    from xenimage.formats.vmdk.descriptor import Descriptor
    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource

_FOOTER_FROM_END = 3 * SECTOR  # marker, footer, end-of-stream marker
# The specification wants more than 8 sectors; 8 is read as well, because it does no harm.
_SMALLEST_GRAIN = 8
_SAME_IN_FOOTER = (
    "version", "flags", "capacity", "grain_size", "descriptor_offset", "descriptor_size", "entries_per_table",
    "algorithm",
)  # fmt: skip


def read_header(source: ByteSource, limits: Limits) -> SparseHeader:
    """Read and check the header of a hosted sparse extent.

    :raises FormatError: a field breaks the rules.
    :raises UnsupportedError: another version or way of compression.
    :raises LimitError: the disk, its grains or its directory are larger than allowed.
    """
    inside(source, 0, SECTOR, "header")
    header = SparseHeader.parse(source.read(0, SECTOR))
    try:
        _check_kind(header)
        _check_compression(header)
        _check_capacity(header.capacity, header.grain_size, _SMALLEST_GRAIN, limits)
        if header.entries_per_table != 512:
            raise FormatError(f"numGTEsPerGT is {header.entries_per_table}", expected="512")
        limits.require("table_size", sparse_shape(header).tables * layout.ENTRY, "the size of the grain directory")
    except XenimageError as error:
        raise error.within(f"{source.name}: header") from None
    return header


def _check_kind(header: SparseHeader) -> None:
    if header.flags & layout.FLAG_NEWLINE_TEST and header.newlines != SparseHeader.NEWLINES:
        raise FormatError(
            f"damaged by a text-mode transfer: the newline test reads {header.newlines!r}",
            expected=repr(SparseHeader.NEWLINES),
            tip="Copy the file again in binary mode.",
        )
    if not 1 <= header.version <= 3:
        raise UnsupportedError(f"version is {header.version}", expected="1, 2 or 3")


def _check_compression(header: SparseHeader) -> None:
    compressed = bool(header.flags & layout.FLAG_COMPRESSED)
    if header.algorithm not in (0, layout.DEFLATE):
        raise UnsupportedError(f"compressAlgorithm is {header.algorithm}", expected="0 or 1 (deflate)")
    if compressed != (header.algorithm == layout.DEFLATE):
        raise FormatError(
            f"compressAlgorithm is {header.algorithm} with flags {header.flags:#x}",
            expected="1 with flag bit 16, 0 without",
        )
    if compressed and not header.flags & layout.FLAG_MARKERS:
        raise UnsupportedError("compressed grains without markers", expected="flag bit 17 beside bit 16")


def _check_capacity(capacity: int, grain_size: int, smallest: int, limits: Limits) -> None:
    # qemu takes capacity 0 for a sign that the embedded descriptor names other files: never follow it there.
    if capacity == 0:
        raise FormatError("capacity is 0 sectors", expected="at least one")
    limits.require("virtual_size", capacity * SECTOR, "the virtual size")
    if grain_size < smallest or grain_size & (grain_size - 1):
        raise FormatError(f"grainSize is {grain_size} sectors", expected=f"a power of two, {smallest} or more")
    limits.require("cluster_size", grain_size * SECTOR, "the size of a grain")


def sparse_shape(header: SparseHeader) -> Shape:
    """How the extent is divided."""
    return Shape(
        capacity=header.capacity * SECTOR,
        grain=header.grain_size * SECTOR,
        per_table=header.entries_per_table,
        zeroed=bool(header.flags & layout.FLAG_ZEROED_GRAINS),
        compressed=bool(header.flags & layout.FLAG_COMPRESSED),
        floor=header.descriptor_offset + header.descriptor_size if header.descriptor_offset else 1,
    )


def read_cowd(source: ByteSource, limits: Limits) -> tuple[CowdHeader, Shape]:
    """Read and check the header of an ESX copy-on-write extent.

    :raises FormatError: a field breaks the rules.
    :raises UnsupportedError: another version.
    :raises LimitError: the disk, its grains or its directory are larger than allowed.
    """
    inside(source, 0, CowdHeader.FORMAT.size, "header")
    header = CowdHeader.parse(source.read(0, CowdHeader.FORMAT.size))
    try:
        if header.version != 1:
            raise UnsupportedError(f"version is {header.version}", expected="1")
        _check_capacity(header.capacity, header.grain_size, 1, limits)
        shape = Shape(
            capacity=header.capacity * SECTOR,
            grain=header.grain_size * SECTOR,
            per_table=CowdHeader.ENTRIES_PER_TABLE,
            zeroed=False,
            compressed=False,
            floor=1,
        )
        limits.require("table_size", header.gd_entries * layout.ENTRY, "the size of the grain directory")
        if header.gd_entries < shape.tables:
            raise FormatError(f"numGDEntries is {header.gd_entries}", expected=f"at least {shape.tables}")
        if header.gd_offset == 0:
            raise FormatError("gdOffset is 0", expected="a sector behind the header")
    except XenimageError as error:
        raise error.within(f"{source.name}: header") from None
    return header, shape


def read_embedded(source: ByteSource, header: SparseHeader, limits: Limits) -> Descriptor | None:
    """Read the descriptor that a sparse extent carries; None if it carries none.

    :raises FormatError: it lies outside the file or breaks the rules.
    :raises LimitError: it is larger than allowed.
    """
    if header.descriptor_offset == 0:
        return None
    offset, size = header.descriptor_offset * SECTOR, header.descriptor_size * SECTOR
    bounded(limits, "descriptor_size", size, "the size of the descriptor", f"{source.name}: header")
    inside(source, offset, size, "descriptor")
    return parse_descriptor(source.read(offset, size), limits, f"{source.name}: descriptor")


def read_footer(source: ByteSource, header: SparseHeader) -> SparseHeader | None:
    """Read the footer of an extent with markers; None if the file does not end in a whole one.

    :raises FormatError: it contradicts the header.
    """
    at = source.size - _FOOTER_FROM_END
    if at < SECTOR or source.size % SECTOR or not header.flags & layout.FLAG_MARKERS:
        return None
    raw = source.read(at, _FOOTER_FROM_END)
    marker = layout.Marker.parse(raw[: layout.Marker.FORMAT.size])
    if (marker.size, marker.type) != (0, layout.MARKER_FOOTER) or raw[2 * SECTOR :].strip(b"\0"):
        return None
    if not raw.startswith(layout.KDMV, SECTOR):
        return None
    footer = SparseHeader.parse(raw[SECTOR : 2 * SECTOR])
    where = f"{source.name}: footer at {at + SECTOR:#x}"
    for field in _SAME_IN_FOOTER:
        there, here = getattr(footer, field), getattr(header, field)
        if there != here:
            raise FormatError(f"{field} is {there}", expected=f"{here} as in the header", where=where)
    if header.gd_offset not in (layout.GD_AT_END, footer.gd_offset):
        raise FormatError(
            f"gd_offset is {footer.gd_offset}", expected=f"{header.gd_offset} as in the header", where=where
        )
    return footer
