"""The dynamic header, the creator, and the sizes that follow from both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.formats.vhd import layout
from xenimage.formats.vhd.checks.findings import RETRANSFER, error, info, warning
from xenimage.formats.vhd.checks.tables import BATMAP_FROM, is_block_size
from xenimage.units import SECTOR, format_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.formats.vhd.checks.tables import Tables
    from xenimage.limits import Limits
    from xenimage.model.finding import Finding

_REFUSED = "blktap, vhd-util and XAPI do not open the disk"
_HEADER_REFUSED = "vhd-util check refuses the disk, and os-xenapi with it"
_FORMAT_0_1 = 0x00000001


def check_creator(tables: Tables) -> Iterator[Finding]:
    """Judge whether blktap takes the disk for its own, and what follows from that."""
    footer = tables.footer
    if footer is None or footer.type == layout.FIXED:
        return
    at = tables.footer_at + 28
    if not footer.is_tap:
        yield error(
            "creator.foreign",
            f"the creator is {footer.creator_text!r}, expected 'tap 1.3'",
            "it boots, but will not grow: vhd-util resize says 'not created by xen; resize not supported', and a"
            " larger flavor fails wherever the image is not cloned from a cache",
            offset=at,
        )
        return
    if footer.creator != layout.TAP:
        yield warning(
            "creator.space",
            f"the creator is {footer.creator!r}, expected {layout.TAP!r} with a zero byte",
            "qemu up to 9.2 then computes the size from the geometry and cuts the end of the disk off, in Cinder too",
            "Set byte 31 of both footers to 0 and correct their checksums.",
            at,
        )
    if footer.creator_version > layout.TAP_VERSION:
        yield error(
            "creator.new",
            f"the creator is {footer.creator_text!r}, later than tap 1.3",
            "vhd-util check refuses the disk and tapdisk does not attach it; patching 'tap' over qemu's version 5.3"
            " gives such disks",
            offset=at,
        )
    elif footer.creator_version <= _FORMAT_0_1:
        yield error("creator.old", f"the creator is {footer.creator_text!r}", f"{_REFUSED} any more", offset=at)
    elif footer.creator_version < BATMAP_FROM and not tables.has_batmap:
        yield error(
            "creator.no_batmap",
            f"the creator is {footer.creator_text!r} and there is no batmap",
            "vhd-util resize returns 0 and nothing grows",
            offset=at,
        )


def check_sizes(tables: Tables) -> Iterator[Finding]:
    """Judge the virtual size."""
    footer, at = tables.footer, tables.footer_at + 48
    if footer is None:
        return
    size = footer.current_size
    if size == 0:
        yield error("size.zero", "the disk has 0 bytes", "no consumer accepts an empty disk", offset=at)
    elif size > layout.SIZE_MAX:
        yield error(
            "size.max",
            f"the disk has {size} bytes ({format_size(size)})",
            "XenServer, XAPI and qemu end at 2040 GiB",
            offset=at,
        )
    if size % SECTOR:
        yield error("size.sector", f"the disk has {size} bytes, not whole sectors", "its end cannot be read", offset=at)
    if footer.type == layout.FIXED:
        if tables.size != size + layout.FOOTER_SIZE:
            yield error(
                "file.length",
                f"the file has {tables.size} bytes, a fixed disk of {size} bytes needs {size + layout.FOOTER_SIZE}",
                "vhd-util check does not notice; the guest reads errors or zeros",
                RETRANSFER,
            )
        return
    if footer.original_size > size:
        yield warning(
            "size.original",
            f"the original size, {footer.original_size} bytes, is above the current, {size}",
            "Xen Orchestra refuses the disk",
            offset=tables.footer_at + 40,
        )
    if size % layout.BLOCK_SIZE:
        yield warning(
            "size.multiple",
            f"the disk has {size} bytes, no multiple of 2 MiB",
            "a resize on XenServer overshoots by up to 2 MiB, after which nova calls the disk larger than its flavor",
            offset=at,
        )
    if tables.blocks > 4096 and 1 <= tables.blocks % 4096 <= 7:
        # A batmap with bits or a length that such a size makes wrong is an error of its own.
        yield info(
            "size.residue",
            f"the disk has {tables.blocks} blocks, {tables.blocks % 4096} more than a multiple of 4096",
            "blktap's batmap checksum leaves the last blocks out, and vhd-util create makes broken files of such sizes",
            "Nothing; if the size can be chosen, 16 MiB more avoid it.",
            at,
        )


def check_header(tables: Tables, limits: Limits) -> Iterator[Finding]:
    """Judge the dynamic header."""
    footer, header = tables.footer, tables.header
    if footer is None or footer.type == layout.FIXED:
        return
    at = footer.data_offset
    if header is None:
        yield error(
            "header.missing",
            f"no header ('cxsparse') stands at {at:#x}, where the footer puts it",
            f"{_REFUSED}, nor does qemu",
            RETRANSFER,
            at if at < tables.size else None,
        )
        return
    if not header.sound:
        yield error(
            "header.checksum",
            f"the header has the checksum {header.checksum:#010x}, which its bytes do not have",
            _REFUSED,
            RETRANSFER,
            at + 36,
        )
    if header.data_offset != layout.NO_OFFSET:
        yield error(
            "header.data_offset",
            f"the data offset is {header.data_offset:#x}, expected all 64 bits set",
            _REFUSED,
            offset=at + 8,
        )
    if header.version != layout.FORMAT_VERSION:
        yield error(
            "header.version",
            f"the header version is {header.version:#010x}, expected {layout.FORMAT_VERSION:#010x}",
            _REFUSED,
            offset=at + 24,
        )
    yield from _check_block_size(header, at)
    yield from _check_reserved(header, at)
    yield from _check_table(tables, header, at, limits)


def _check_block_size(header: layout.Header, at: int) -> Iterator[Finding]:
    if header.block_size == layout.BLOCK_SIZE:
        return
    yield error(
        "header.block_size",
        f"the block size is {header.block_size} bytes, expected {layout.BLOCK_SIZE} (2 MiB)",
        "vhd-util check says valid, but blktap counts the blocks as 2 MiB: reads go to wrong places"
        if is_block_size(header.block_size)
        else _REFUSED,
        offset=at + 32,
    )


def _check_reserved(header: layout.Header, at: int) -> Iterator[Finding]:
    if header.reserved1 or any(header.reserved2[1:]):
        place = at + 60 if header.reserved1 else at + 768
        yield error("header.reserved", "reserved bytes are set", _HEADER_REFUSED, offset=place)
    elif header.reserved2[0]:
        yield warning(
            "header.reserved",
            "the reserved byte 768 of the header is set",
            "blktap never looks at this byte; other readers may",
            offset=at + 768,
        )


def _check_table(tables: Tables, header: layout.Header, at: int, limits: Limits) -> Iterator[Finding]:
    start, end = header.table_offset, header.table_offset + header.bat_size
    if start % SECTOR or start < at + layout.HEADER_SIZE or end > tables.data_end:
        yield error(
            "header.table_offset",
            f"the BAT stands at {start:#x} to {end:#x}, the file has {tables.size:#x} bytes",
            f"expected whole sectors behind the header and in front of the footer: {_REFUSED}",
            RETRANSFER,
            at + 16,
        )
    if header.bat_size > limits.table_size:
        yield error(
            "bat.limit",
            f"the BAT has {header.max_entries} entries, more than are read here (limit table_size)",
            "the largest disk of XenServer needs 1044480",
            offset=at + 28,
        )
    if header.max_entries < tables.blocks:
        yield error(
            "bat.short",
            f"the BAT has {header.max_entries} entries, the disk needs {tables.blocks}",
            "tapdisk does not attach the disk; os-xenapi accepts it all the same",
            offset=at + 28,
        )
    elif header.max_entries > tables.blocks:
        surplus = header.max_entries - tables.blocks
        yield warning(
            "bat.long",
            f"the BAT has {header.max_entries} entries, the disk needs {tables.blocks}",
            f"a resize on XenServer adds to the larger number: the disk becomes {format_size(surplus << 21)} larger"
            " than asked, and nova calls it larger than its flavor",
            offset=at + 28,
        )
