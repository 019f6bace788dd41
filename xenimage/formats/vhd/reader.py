"""A VHD as a disk: fixed, dynamic, differencing, by any creator. The parent it names is never opened.

What is read follows Microsoft's specification and, where that is silent, blktap: the footer at the end counts before
the copy at the start, the size is the footer's current size and never the product of its geometry, and a block's bitmap
says which of its sectors exist. The batmap, a shortcut of blktap's, is not trusted.
"""

from __future__ import annotations

import array
import bisect
import dataclasses
import datetime
import functools
import itertools
import re
import uuid
from typing import TYPE_CHECKING, Protocol

from xenimage.exceptions import FormatError, UnsupportedError, XenimageError
from xenimage.formats.base import clear, merged, within
from xenimage.formats.vhd import layout
from xenimage.formats.vhd.geometry import unpack
from xenimage.model.disk import DiskFacts, ParentReference
from xenimage.model.extent import Kind
from xenimage.model.finding import Finding, Severity
from xenimage.units import KIB, SECTOR, round_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource
    from xenimage.model.extent import Extent

_BLOCK_MIN = 4 * KIB
_NAME_MAX = 4 * KIB
"""bytes of a parent locator that are read: it is a hint, never a path to open"""
_BITMAPS = 1024
"""bitmaps kept, as text of one character a sector: 4 KiB each with blocks of 2 MiB"""
_RUNS = re.compile("0+|1+")
_ENCODINGS = {b"MacX": "utf-8", b"W2ku": "utf-16-le", b"W2ru": "utf-16-le"}
_SIZE_BY_FIELD = (b"win ", b"qem2", b"d2v ", b"CTXS", layout.TAP)
"""creators whose current size qemu before 10.0 goes by (block/vpc.c); for others it multiplies the geometry"""
_SIZE_BY_GEOMETRY = (b"vpc ", b"qemu")
"""creators whose geometry qemu from 10.0 on still multiplies"""
_UNTOLD = 65535 << 16 | 16 << 8 | 255
"""the largest geometry: it says nothing of the size"""
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
    parent: ParentReference | None = None
    refusal: Callable[[], XenimageError] | None = None
    """maker of the error that says why the data cannot be read"""

    @property
    def virtual_size(self) -> int:
        """What the guest sees: whole sectors."""
        return round_up(self.footer.current_size, SECTOR)


class _Body(Protocol):
    def read_into(self, offset: int, buffer: memoryview) -> None: ...
    def ranges(self, offset: int, length: int) -> Iterator[tuple[int, int, Kind]]: ...


class _Linear:
    """The data of a fixed disk: it begins the file. *size* bytes of it are there."""

    def __init__(self, source: ByteSource, size: int) -> None:
        self._source = source
        self._size = size

    def read_into(self, offset: int, buffer: memoryview) -> None:
        there = max(0, min(len(buffer), self._size - offset))
        if there:
            self._source.read_into(offset, buffer[:there])
        clear(buffer[there:])

    def ranges(self, offset: int, length: int) -> Iterator[tuple[int, int, Kind]]:
        end = offset + length
        for start, size in self._source.data(offset, max(0, min(length, self._size - offset))):
            if start > offset:
                yield offset, start - offset, Kind.ZERO
            yield start, size, Kind.DATA
            offset = start + size
        if offset < end:
            yield offset, end - offset, Kind.ZERO


class _Blocks:
    """The data of a dynamic or differencing disk; what is not stored is of the kind *missing*."""

    def __init__(self, source: ByteSource, header: layout.Header, tables: Tables, missing: Kind) -> None:
        self._source = source
        self._table = tables.table
        self._stored = tables.stored
        self._missing = missing
        self._block_size = header.block_size
        self._bitmap_size = header.bitmap_size
        self._sectors = header.block_size // SECTOR
        self._full = "1" * self._sectors
        # The cache locks itself; two threads may at worst read one bitmap twice.
        self._bits = functools.lru_cache(_BITMAPS)(self._read_bits)

    def _read_bits(self, block: int) -> str:
        """The block's bitmap: "1" for each sector that exists, "0" for the others."""
        bitmap = self._source.read(self._table[block] * SECTOR, self._bitmap_size)
        bits = f"{int.from_bytes(bitmap):0{8 * len(bitmap)}b}"[: self._sectors]
        return self._full if bits == self._full else bits

    def _runs(self, offset: int, length: int) -> Iterator[tuple[int, int, int | None]]:
        """Yield (offset, length, place in the file or None) for all of the range, in order."""
        end = offset + length
        for index in range(bisect.bisect_left(self._stored, offset // self._block_size), len(self._stored)):
            start = self._stored[index] * self._block_size
            if max(start, offset) >= end:
                break
            if offset < start:
                yield offset, start - offset, None
                offset = start
            stop = min(end, start + self._block_size)
            yield from self._block_runs(self._stored[index], offset, stop)
            offset = stop
        if offset < end:
            yield offset, end - offset, None

    def _block_runs(self, block: int, offset: int, stop: int) -> Iterator[tuple[int, int, int | None]]:
        start = block * self._block_size
        place = self._table[block] * SECTOR + self._bitmap_size - start
        bits = self._bits(block)
        for run in _RUNS.finditer(bits, (offset - start) // SECTOR, -(-(stop - start) // SECTOR)):
            first = max(offset, start + run.start() * SECTOR)
            last = min(stop, start + run.end() * SECTOR)
            yield first, last - first, place + first if bits[run.start()] == "1" else None

    def read_into(self, offset: int, buffer: memoryview) -> None:
        for start, length, place in self._runs(offset, len(buffer)):
            part = buffer[start - offset : start - offset + length]
            if place is None:
                clear(part)
            else:
                self._source.read_into(place, part)

    def ranges(self, offset: int, length: int) -> Iterator[tuple[int, int, Kind]]:
        for start, size, place in self._runs(offset, length):
            yield start, size, self._missing if place is None else Kind.DATA


class VhdDisk:
    """See :class:`xenimage.model.disk.Disk`. *footer*, *header*, *table*: the metadata for those who judge it."""

    def __init__(self, source: ByteSource, tables: Tables) -> None:
        self._source = source
        self._refusal = tables.refusal
        self.tables = tables
        self.footer = tables.footer
        self.footer_offset = tables.footer_offset
        self.header = tables.header
        self.table = tables.table
        self.facts = _facts(tables, source.size)
        self._body: _Body = _Linear(source, min(tables.data_end, tables.virtual_size))
        if tables.header is not None:
            missing = Kind.ABSENT if tables.footer.type == layout.DIFFERENCING else Kind.ZERO
            self._body = _Blocks(source, tables.header, tables, missing)

    def unreadable(self) -> XenimageError | None:
        """See :meth:`xenimage.model.disk.Disk.unreadable`: encrypted, in the middle of a resize, of unknown kind."""
        return self._refusal().within(self._source.name) if self._refusal else None

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """See :meth:`xenimage.model.disk.Disk.read_into`."""
        within(self._readable_size(), offset, len(buffer))
        self._body.read_into(offset, buffer)

    def extents(self, offset: int, length: int) -> Iterator[Extent]:
        """See :meth:`xenimage.model.disk.Disk.extents`: what a dynamic disk does not store is zero."""
        within(self._readable_size(), offset, length)
        return merged(self._body.ranges(offset, length))

    def _readable_size(self) -> int:
        error = self.unreadable()
        if error is not None:
            raise error
        return self.facts.virtual_size

    def close(self) -> None:
        """Close the source."""
        self._source.close()


def open_vhd(source: ByteSource, limits: Limits) -> VhdDisk:
    """Take *source* as a VHD; reads its metadata, never its data. The caller closes *source* if this raises.

    :raises FormatError: the metadata breaks the format's rules, or the file is truncated.
    :raises UnsupportedError: the header is of an unknown version; for all else see :meth:`VhdDisk.unreadable`.
    :raises LimitError: the size, the block size or the BAT passes its limit.
    """
    try:
        tables = _find_footer(source)
        limits.require("virtual_size", tables.virtual_size, "the virtual size of the VHD")
        if tables.refusal is None:
            tables = _with_fixed(tables) if tables.footer.type == layout.FIXED else _with_blocks(source, tables, limits)
        return VhdDisk(source, tables)
    except XenimageError as error:
        raise error if error.where.startswith(source.name) else error.within(source.name) from error.__cause__


def _parse_footer(source: ByteSource, offset: int, length: int) -> layout.Footer | None:
    if offset < 0:
        return None
    try:
        return layout.Footer.parse(source.read(offset, length))
    except FormatError:
        return None


def _find_footer(source: ByteSource) -> Tables:
    """Choose the footer that counts, as libvhd's open does: the end, the end without its last byte, the copy."""
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
        findings = tuple(_copy_findings(back, front))
    elif front is not None and front.sound and front.type != layout.FIXED:
        footer, offset, data_end = front, 0, size
        findings = (_end_finding(back),)
    else:
        raise _no_footer(front, back)
    if footer.current_size == 0:
        raise FormatError("the disk has 0 bytes", expected="a current size of 512 bytes or more", where="footer")
    refusal = _poisoned if poisoned else _footer_refusal(footer)
    return Tables(footer=footer, footer_offset=offset, data_end=data_end, findings=findings, refusal=refusal)


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


def _footer_refusal(footer: layout.Footer) -> Callable[[], XenimageError] | None:
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


def _poisoned() -> XenimageError:
    return UnsupportedError(
        "a resize was interrupted: blocks may stand at their old or at their new place",
        expected="the cookie 'conectix' in place of 'v_poison'",
        tip="Restore it with its journal first: vhd-util revert -n FILE -j JOURNAL.",
    )


def _encrypted() -> XenimageError:
    return UnsupportedError(
        "the disk is encrypted: its batmap holds the hash of a key",
        expected="an unencrypted disk",
        tip="Copy it inside the XenServer that has the key to an unencrypted VDI, and export that.",
    )


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
    stored = array.array("I", (block for block, sector in enumerate(table) if sector != layout.UNALLOCATED))
    tables = dataclasses.replace(tables, header=header, table=table, stored=stored)
    _require_apart(tables, header)
    batmap = _read_batmap(source, tables.footer, header)
    return dataclasses.replace(
        tables,
        batmap=batmap,
        parent=_parent(source, header) if tables.footer.type == layout.DIFFERENCING else None,
        refusal=_encrypted if batmap is not None and batmap.key_cookie == 1 else None,
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


def _require_apart(tables: Tables, header: layout.Header) -> None:
    """Prove that every stored block lies within the file, and over no other block, footer, header or BAT.

    Without it one small file could show a disk of terabytes, or metadata as the guest's data.
    """
    # Sector and block in one number: half of the memory, and order without a key.
    ordered = sorted(tables.table[block] << 32 | block for block in tables.stored)
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


def _read_batmap(source: ByteSource, footer: layout.Footer, header: layout.Header) -> layout.BatmapHeader | None:
    if not footer.is_tap or header.batmap_offset + layout.BATMAP_HEADER_SIZE > source.size:
        return None
    try:
        return layout.BatmapHeader.parse(source.read(header.batmap_offset, layout.BATMAP_HEADER_SIZE))
    except FormatError:
        return None


def _parent(source: ByteSource, header: layout.Header) -> ParentReference:
    names = (_locator_name(source, locator) for locator in header.locators)
    raw = not any(header.parent_uuid)
    return ParentReference(
        name=next(filter(None, names), "") or _shown(header.parent_name_text),
        identity="" if raw else str(uuid.UUID(bytes=header.parent_uuid)),
        format="raw" if raw else "vhd",
    )


def _locator_name(source: ByteSource, locator: layout.Locator) -> str:
    """The path of one locator for display; empty where it is not understood, for nothing depends on it."""
    encoding = _ENCODINGS.get(locator.code.to_bytes(4))
    end = locator.data_offset + locator.data_length
    if encoding is None or not 0 < locator.data_length <= min(_NAME_MAX, locator.space) or end > source.size:
        return ""
    text = source.read(locator.data_offset, locator.data_length).decode(encoding, "replace")
    return _shown(text.split("\0", 1)[0].removeprefix("file://"))


def _shown(text: str) -> str:
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def _end_finding(back: layout.Footer | None) -> Finding:
    return Finding(
        code="vhd.footer.end",
        severity=Severity.WARNING,
        what=f"The footer at the end is {'missing or overwritten' if back is None else 'damaged'}; its copy was used.",
        why="The file may be truncated, or was copied while a host had it open: its newest blocks may be missing.",
        act="Compare its size with the original; if that is all right, mend the footer with vhd-util repair.",
        where="footer",
    )


def _copy_findings(back: layout.Footer, front: layout.Footer | None) -> Iterator[Finding]:
    what = why = ""
    if front is not None and front.sound and front != back:
        what = "The footer and its copy at the start differ; the one at the end was used."
        why = "Programs that read only the copy, such as qemu, may see another disk; vhd-util check refuses it."
    elif back.type != layout.FIXED and (front is None or not front.sound):
        what = f"The copy of the footer at the start is {'missing' if front is None else 'damaged'}."
        why = "qemu, XAPI and a fast scan of the storage manager read only the copy and refuse the file."
    if what:
        act = "Write the VHD anew, or mend it with vhd-util repair."
        yield Finding(
            code="vhd.footer.copy", severity=Severity.WARNING, what=what, why=why, act=act, where="footer", offset=0
        )


def _size_findings(tables: Tables) -> Iterator[Finding]:
    footer = tables.footer
    if footer.current_size % SECTOR:
        yield Finding(
            code="vhd.size.sector",
            severity=Severity.WARNING,
            what=f"The size is {footer.current_size} bytes, which is no whole number of sectors.",
            why=f"Other programs may round it down; here the disk has {tables.virtual_size} bytes.",
            act="Compare the size with the original's.",
            where="footer",
        )
    if footer.type == layout.FIXED and tables.data_end > tables.virtual_size:
        yield Finding(
            code="vhd.fixed.length",
            severity=Severity.WARNING,
            what=f"{tables.data_end - tables.virtual_size} bytes stand between the disk's end and the footer.",
            why="They are no part of the disk, and are not read.",
            act="Make sure that the disk was not made smaller by mistake.",
            where="footer",
            offset=tables.virtual_size,
        )
    chs = unpack(footer.geometry).size
    if chs < footer.current_size and footer.creator not in _SIZE_BY_FIELD and footer.geometry != _UNTOLD:
        who = "qemu" if footer.creator in _SIZE_BY_GEOMETRY else "qemu before 10.0"
        yield Finding(
            code="vhd.size.chs",
            severity=Severity.INFO,
            what=f"The size is {footer.current_size} bytes, the product of the geometry {chs}.",
            why=f"{who} goes by the geometry for this creator and cuts {footer.current_size - chs} bytes off the end.",
            act="Nothing here, where the size counts; do not convert the file with that qemu.",
            where="footer",
        )


def _facts(tables: Tables, file_size: int) -> DiskFacts:
    footer, header = tables.footer, tables.header
    created = datetime.datetime.fromtimestamp(layout.EPOCH + footer.timestamp, tz=datetime.UTC)
    details = [
        ("creator", footer.creator_text),
        ("uuid", str(uuid.UUID(bytes=footer.uuid))),
        ("geometry", str(unpack(footer.geometry))),
        ("created", created.strftime("%Y-%m-%dT%H:%M:%SZ")),
        ("hidden", str(footer.hidden)),
        ("original size", str(footer.original_size)),
    ]
    if header is not None:
        version = tables.batmap and f"{tables.batmap.version >> 16}.{tables.batmap.version & 0xFFFF}"
        details += [
            ("block size", str(header.block_size)),
            ("blocks", str(len(tables.table))),
            ("allocated blocks", str(len(tables.stored))),
            ("batmap", version or "none"),
        ]
    return DiskFacts(
        format="vhd",
        variant=layout.TYPE_NAMES.get(footer.type, f"type {footer.type}"),
        virtual_size=tables.virtual_size,
        granularity=SECTOR if header is None else header.block_size,
        stored_size=file_size,
        parent=tables.parent,
        details=tuple(details),
        findings=(*tables.findings, *_size_findings(tables)),
    )
