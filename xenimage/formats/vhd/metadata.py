"""The metadata of a VHD: the footer that counts, the header, the BAT, each proven before anything relies on it."""

from __future__ import annotations

import array
import bisect
import dataclasses
import functools
import itertools
from typing import TYPE_CHECKING

from xenimage.exceptions import FormatError, UnsupportedError, XenimageError
from xenimage.formats.vhd import describe, layout
from xenimage.units import KIB, SECTOR, round_up

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource, ParentReference
    from xenimage.model.finding import Finding

_BLOCK_MIN = 4 * KIB
_FETCH_AGAIN = "The file is incomplete: fetch it again, or compare its size with the original."


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tables:
    """What the metadata of a VHD says, proven as far as reading needs it. Offsets in bytes."""

    footer: layout.Footer
    footer_offset: int
    """of the footer that counts: behind the data, or 0 if that is the copy"""
    data_end: int
    """where the last block may end: at the end footer, or the end of the file"""
    findings: tuple[Finding, ...]
    header: layout.Header | None = None
    """None in a fixed disk, and in one whose kind is not known"""
    batmap: layout.BatmapHeader | None = None
    table: array.array[int] = dataclasses.field(default_factory=lambda: array.array("I"))
    """the sector of each block's bitmap, or UNALLOCATED; only the blocks that the size needs"""
    stored: array.array[int] = dataclasses.field(default_factory=lambda: array.array("I"))
    """numbers of the blocks that are stored, in order"""
    shown: array.array[int] = dataclasses.field(default_factory=lambda: array.array("I"))
    """those of them whose bitmap is no hole of the file: the others are absent"""
    parent: ParentReference | None = None
    refusal: Callable[[], XenimageError] | None = None
    """maker of the error that says why the data cannot be read"""

    @property
    def virtual_size(self) -> int:
        """What the guest sees: whole sectors."""
        return round_up(self.footer.current_size, SECTOR)


def _parse_footer(source: ByteSource, offset: int, length: int) -> layout.Footer | None:
    if offset < 0:
        return None
    try:
        return layout.Footer.parse(source.read(offset, length))
    except FormatError:
        return None


def find_footer(source: ByteSource) -> Tables:
    """Choose the footer that counts, as libvhd's open does: the end, the end without its last byte, the copy.

    :raises FormatError: there is no sound one.
    """
    size = source.size
    if size < 2 * SECTOR - 1:
        raise FormatError(f"the file has {size} bytes", expected=f"{2 * SECTOR} or more of a VHD", tip=_FETCH_AGAIN)
    front = _parse_footer(source, 0, layout.FOOTER_SIZE)
    offset = size - layout.FOOTER_SIZE
    back = _parse_footer(source, offset, layout.FOOTER_SIZE)
    if back is None and size % SECTOR == SECTOR - 1:
        offset = size - layout.FOOTER_SIZE + 1
        back = _parse_footer(source, offset, layout.FOOTER_SIZE - 1)
    poisoned = any(footer is not None and footer.cookie == layout.POISON_COOKIE for footer in (front, back))
    findings: tuple[Finding, ...] = ()
    if back is not None and back.sound:
        footer, data_end = back, offset
        findings = tuple(describe.copy_findings(back, front))
    elif front is not None and front.sound and front.type != layout.FIXED:
        footer, offset, data_end = front, 0, size
        findings = (describe.end_finding(back),)
    else:
        raise _no_footer(front, back)
    if footer.current_size == 0:
        raise FormatError("the disk has 0 bytes", expected="a current size of 512 bytes or more", where="footer")
    refusal = poison_error if poisoned else footer_refusal(footer)
    return Tables(footer=footer, footer_offset=offset, data_end=data_end, findings=findings, refusal=refusal)


def front_tables(source: ByteSource, limits: Limits) -> Tables | None:
    """The metadata of a VHD that is read forward, by the copy of the footer at its start; None if that does not do.

    :raises FormatError: the metadata breaks the format's rules. Else as :func:`add_body`.
    """
    front = _parse_footer(source, 0, layout.FOOTER_SIZE) if source.size >= 2 * SECTOR else None
    usable = front is not None and front.sound and front.cookie == layout.FOOTER_COOKIE and front.current_size
    if front is None or not usable or front.type not in (layout.DYNAMIC, layout.DIFFERENCING):
        return None
    tables = Tables(
        footer=front,
        footer_offset=source.size - layout.FOOTER_SIZE,
        data_end=source.size - layout.FOOTER_SIZE,
        findings=(),
        refusal=footer_refusal(front),
    )
    limits.require("virtual_size", tables.virtual_size, "the virtual size of the VHD")
    return tables if tables.refusal else add_body(source, tables, limits)


def _no_footer(front: layout.Footer | None, back: layout.Footer | None) -> FormatError:
    if back is None and front is not None and front.sound:
        return FormatError(
            "the footer at the end is missing or overwritten",
            expected="'conectix' there, for a fixed disk has no other footer",
            tip=_FETCH_AGAIN,
        )
    if back is None and front is None:
        return FormatError("neither the end nor the start of the file holds a VHD footer", expected="'conectix'")
    return FormatError(
        "the checksum of the footer is wrong, and there is no sound copy",
        expected="one's complement of the sum of its bytes",
        where="footer",
        tip="Fetch the file again; vhd-util repair cannot mend it.",
    )


def footer_refusal(footer: layout.Footer) -> Callable[[], XenimageError] | None:
    """Maker of the error that says why a disk with this footer is not read; None where it is."""
    if footer.format_version >> 16 != layout.FORMAT_VERSION >> 16:
        version = f"{footer.format_version >> 16}.{footer.format_version & 0xFFFF}"
        return functools.partial(UnsupportedError, f"the footer is of version {version}", expected="1.0")
    if footer.type not in layout.TYPE_NAMES:
        return functools.partial(
            UnsupportedError,
            f"the disk is of the unknown type {footer.type}",
            expected="2 (fixed), 3 (dynamic) or 4 (differencing)",
        )
    if footer.is_tap and footer.creator_version == 1:
        return functools.partial(
            UnsupportedError,
            "the disk was made by blktap 0.1, whose bitmaps are little-endian",
            expected="tap 1.0 or newer",
            tip="Convert it with the vhd-util of the XenServer that made it.",
        )
    return None


def poison_error() -> XenimageError:
    """The refusal of a disk in the middle of a resize."""
    return UnsupportedError(
        "a resize was interrupted: blocks may stand at their old or at their new place",
        expected="the cookie 'conectix' in place of 'v_poison'",
        tip="Restore it with its journal first: vhd-util revert -n FILE -j JOURNAL.",
    )


def encryption_error() -> XenimageError:
    """The refusal of an encrypted disk."""
    return UnsupportedError(
        "the disk is encrypted: its batmap holds the hash of a key",
        expected="an unencrypted disk",
        tip="Copy it inside the XenServer that has the key to an unencrypted VDI, and export that.",
    )


def add_body(source: ByteSource, tables: Tables, limits: Limits) -> Tables:
    """Add what stands in front of the data, all of it bounded and free of overlaps.

    :raises FormatError: it breaks the format's rules, or the file is truncated.
    :raises UnsupportedError: the header is of an unknown version.
    :raises LimitError: the block size or the BAT passes its limit.
    """
    return _with_fixed(tables) if tables.footer.type == layout.FIXED else _with_blocks(source, tables, limits)


def _with_fixed(tables: Tables) -> Tables:
    if tables.footer.current_size > tables.data_end:
        raise FormatError(
            f"truncated: {tables.data_end} bytes stand before the footer",
            expected=f"{tables.footer.current_size} as the footer says",
            tip=_FETCH_AGAIN,
        )
    return tables


def _with_blocks(source: ByteSource, tables: Tables, limits: Limits) -> Tables:
    """Add header, BAT and what else stands in front of the blocks, all of it bounded and free of overlaps."""
    header = _read_header(source, tables.footer, limits)
    entries = -(-tables.virtual_size // header.block_size)
    if header.max_entries < entries:
        raise FormatError(
            f"the BAT has {header.max_entries} entries",
            expected=f"{entries} or more for {tables.virtual_size} bytes in blocks of {header.block_size}",
            where="header",
        )
    limits.require("table_size", 4 * entries, "the size of the BAT in bytes")
    at, end = header.table_offset, header.table_offset + 4 * entries
    header_at = tables.footer.data_offset
    if at % SECTOR or at < SECTOR or end > source.size or (at < header_at + layout.HEADER_SIZE and header_at < end):
        raise FormatError(
            f"the BAT of {4 * entries} bytes stands at {at:#x}",
            expected=f"a multiple of 512 within the file of {source.size} bytes, beside footer and header",
            where="header",
        )
    table = layout.read_table(source.read(at, 4 * entries))
    limits.require("blocks", len(table) - table.count(layout.UNALLOCATED), "the number of stored blocks")
    stored = array.array("I", (block for block, sector in enumerate(table) if sector != layout.UNALLOCATED))
    tables = dataclasses.replace(tables, header=header, table=table, stored=stored)
    # Sector and block in one number: half of the memory, and order without a key.
    ordered = sorted(table[block] << 32 | block for block in stored)
    _require_apart(tables, header, ordered)
    tables = dataclasses.replace(tables, shown=shown_blocks(source, header, ordered))
    batmap = read_batmap(source, tables.footer, header)
    return dataclasses.replace(
        tables,
        batmap=batmap,
        parent=describe.parent(source, header) if tables.footer.type == layout.DIFFERENCING else None,
        refusal=encryption_error if batmap is not None and batmap.key_cookie == 1 else None,
    )


def _read_header(source: ByteSource, footer: layout.Footer, limits: Limits) -> layout.Header:
    offset = footer.data_offset
    if not layout.FOOTER_SIZE <= offset <= source.size - layout.HEADER_SIZE:
        expected = f"{layout.FOOTER_SIZE:#x} or more, within the file of {source.size} bytes"
        raise FormatError(f"the header stands at {offset:#x}", expected=expected, where="footer")
    try:
        header = layout.Header.parse(source.read(offset, layout.HEADER_SIZE))
    except FormatError as error:
        raise error.within(f"header at {offset:#x}") from None
    if not header.sound:
        raise FormatError(
            f"the checksum is {header.checksum:#010x}",
            expected="one's complement of the sum of its bytes",
            where="header",
            tip="Fetch the file again: a changed header leads to wrong data.",
        )
    if header.version != layout.FORMAT_VERSION:
        found = f"the version is {header.version >> 16}.{header.version & 0xFFFF}"
        raise UnsupportedError(found, expected="1.0", where="header")
    size = header.block_size
    if size < _BLOCK_MIN or size & (size - 1):
        expected = f"a power of two, {_BLOCK_MIN} or more"
        raise FormatError(f"the block size is {size} bytes", expected=expected, where="header")
    limits.require("cluster_size", size, "the block size in bytes")
    return header


def shown_blocks(source: ByteSource, header: layout.Header, ordered: Sequence[int]) -> array.array[int]:
    """Numbers of the blocks whose bitmap is no hole of the file, in order: in a hole it calls all sectors absent.

    :param ordered: sector and block of all that are stored, in one number each, in order.
    """
    shown = array.array("I")
    done = 0
    for start, size in source.data(0, source.size):
        low = bisect.bisect_right(ordered, max(0, (start - header.bitmap_size) // SECTOR) << 32 | 0xFFFFFFFF, done)
        done = max(low, bisect.bisect_left(ordered, -(-(start + size) // SECTOR) << 32, done))
        shown.extend(item & 0xFFFFFFFF for item in ordered[low:done])
    return array.array("I", sorted(shown))


def _require_apart(tables: Tables, header: layout.Header, ordered: Sequence[int]) -> None:
    """Prove that every stored block lies within the file, and over no other block, footer, header or BAT.

    Without it one small file could show a disk of terabytes, or metadata as the guest's data.
    """
    if not ordered:
        return
    span = header.bitmap_size + header.block_size

    def place(item: int) -> str:
        return f"block {item & 0xFFFFFFFF} at {(item >> 32) * SECTOR:#x}"

    last = ordered[-1]
    if (last >> 32) * SECTOR + span > tables.data_end:
        limit = "the footer begins" if tables.footer_offset else "the file ends"
        raise FormatError(
            f"truncated: {place(last)} ends at {(last >> 32) * SECTOR + span:#x}",
            expected=f"its end at or before {tables.data_end:#x}, where {limit}",
            where="BAT",
            tip=_FETCH_AGAIN,
        )
    for low, high in itertools.pairwise(ordered):
        if ((high >> 32) - (low >> 32)) * SECTOR < span:
            expected = f"{span} bytes for each"
            raise FormatError(f"{place(low)} and {place(high)} overlap", expected=expected, where="BAT")
    for name, start, size in (
        ("copy of the footer", 0, layout.FOOTER_SIZE),
        ("header", tables.footer.data_offset, layout.HEADER_SIZE),
        ("BAT", header.table_offset, 4 * len(tables.table)),
    ):
        index = bisect.bisect_left(ordered, -(-(start + size) // SECTOR) << 32)
        if index and (ordered[index - 1] >> 32) * SECTOR + span > start:
            found = f"{place(ordered[index - 1])} overlaps the {name} at {start:#x}"
            raise FormatError(found, expected=f"{span} bytes of its own", where="BAT")


def read_batmap(source: ByteSource, footer: layout.Footer, header: layout.Header) -> layout.BatmapHeader | None:
    """The batmap's header where blktap would look for it; None where there is none."""
    if not footer.is_tap or header.batmap_offset + layout.BATMAP_HEADER_SIZE > source.size:
        return None
    try:
        return layout.BatmapHeader.parse(source.read(header.batmap_offset, layout.BATMAP_HEADER_SIZE))
    except FormatError:
        return None
