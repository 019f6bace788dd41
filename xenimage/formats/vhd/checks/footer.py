"""The two footers: whether they are there, agree, and say what the consumers accept."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from xenimage.formats.vhd import layout
from xenimage.formats.vhd.checks.findings import found
from xenimage.formats.vhd.geometry import geometry, unpack
from xenimage.units import SECTOR, format_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.formats.vhd.checks.tables import Tables
    from xenimage.model.finding import Finding

CLOCK_SLACK = 1800
"""seconds that blktap lets a timestamp run ahead of its clock"""
_CLOCKLESS = (0x00000001, 0x00010001)
_SIZE_BY_CURRENT = (b"win ", b"qem2", b"d2v ", b"CTXS", layout.TAP)
"""creators whose current_size qemu up to 9.2 believes; it computes all others from the geometry"""


def check_copies(tables: Tables) -> Iterator[Finding]:
    """Judge where the footers stand, and whether they are whole and equal."""
    yield from _check_length(tables)
    yield from _check_copy(tables.end, tables.end_raw, max(0, tables.data_end), at_end=True)
    if tables.footer is None or tables.footer.type == layout.FIXED:
        return
    yield from _check_copy(tables.front, tables.front_raw, 0, at_end=False)
    end, front = tables.end, tables.front
    if end and front and end.sound and front.sound and not _agree(tables):
        fields = [name for name in vars(end) if name not in ("checksum", "sound")]
        differing = ", ".join(name for name in fields if getattr(end, name) != getattr(front, name))
        yield found("footer.differ", offset=tables.data_end, fields=differing or "their bytes")


def _agree(tables: Tables) -> bool:
    if tables.end_raw.ljust(SECTOR, b"\0") == tables.front_raw:
        return True

    # Old tools changed the hidden byte of one copy only; blktap forgives that to exactly these two versions.
    def without_hidden(data: bytes) -> bytes:
        return data[:64] + bytes(4) + data[68:85] + b"\0" + data[86:]

    footer = tables.end
    forgiven = footer is not None and footer.is_tap and footer.creator_version in _CLOCKLESS
    return forgiven and without_hidden(tables.end_raw) == without_hidden(tables.front_raw)


def _check_length(tables: Tables) -> Iterator[Finding]:
    if tables.behind:
        end = tables.size - tables.behind
        yield found("file.trailing", offset=end, count=tables.behind, end=end)
    odd = tables.size % SECTOR
    if odd == SECTOR - 1 and tables.end is not None and not tables.behind:
        yield found("footer.short", offset=tables.data_end)
    elif odd:
        yield found("file.unaligned", offset=tables.size - odd, size=tables.size, odd=odd)


def _check_copy(footer: layout.Footer | None, raw: bytes, at: int, *, at_end: bool) -> Iterator[Finding]:
    """Judge one of the two: the one that belongs to the end of the file, or the copy at its start."""
    if footer is None:
        live = at_end and len(raw) >= SECTOR - 1 and raw[1:].strip(b"\xc7") == b""
        yield found("footer.live", offset=at) if live else found(f"{'footer' if at_end else 'copy'}.missing", offset=at)
    elif footer.cookie == layout.POISON_COOKIE:
        yield found(f"{'footer' if at_end else 'copy'}.poison", offset=at)
    elif not footer.sound:
        yield found(f"{'footer' if at_end else 'copy'}.checksum", offset=at, checksum=footer.checksum)


def check_fields(tables: Tables, now: int) -> Iterator[Finding]:
    """Judge what the footer says.

    :param now: Unix seconds; timestamps are compared with it.
    """
    footer, at = tables.footer, tables.footer_at
    if footer is None:
        return
    for check in (_check_constants, _check_type, _check_geometry, _check_flags):
        yield from check(footer, at)
    yield from _check_timestamp(footer, at, now)
    if footer.uuid == bytes(16):
        yield found("footer.uuid", offset=at + 68)


def _check_constants(footer: layout.Footer, at: int) -> Iterator[Finding]:
    known = layout.FEATURES_RESERVED | layout.FEATURES_TEMPORARY
    if not footer.features & layout.FEATURES_RESERVED or footer.features & ~known:
        yield found("footer.features", offset=at + 8, features=footer.features)
    elif footer.features & layout.FEATURES_TEMPORARY:
        yield found("footer.temporary", offset=at + 8)
    if footer.format_version != layout.FORMAT_VERSION:
        yield found("footer.version", offset=at + 12, version=footer.format_version)
    if footer.reserved.strip(b"\0"):
        byte = 86 + len(footer.reserved) - len(footer.reserved.lstrip(b"\0"))
        yield found("footer.reserved", "" if any(footer.reserved[1:]) else "unseen", offset=at + byte, byte=byte)


def _check_type(footer: layout.Footer, at: int) -> Iterator[Finding]:
    if footer.type not in layout.TYPE_NAMES:
        yield found("footer.type", offset=at + 60, type=footer.type)
    elif footer.type == layout.FIXED:
        yield found("footer.fixed", offset=at + 60)
        if footer.data_offset != layout.NO_OFFSET:
            yield found("footer.data_offset", "fixed", offset=at + 16, place=footer.data_offset)
    elif footer.data_offset != layout.FOOTER_SIZE:
        yield found("footer.data_offset", offset=at + 16, place=footer.data_offset)


def _check_geometry(footer: layout.Footer, at: int) -> Iterator[Finding]:
    if not footer.current_size:
        return
    allowed = geometry(footer.current_size)
    present = unpack(footer.geometry)
    if present.packed > allowed.packed:
        yield found("footer.geometry", offset=at + 56, geometry=present, allowed=allowed)
    elif present.packed == 0:
        yield found("footer.geometry_zero", offset=at + 56)
    elif present.size < footer.current_size and footer.creator not in _SIZE_BY_CURRENT and present.packed != 0xFFFF10FF:
        yield found(
            "footer.geometry_short",
            offset=at + 56,
            geometry=present,
            span=present.size,
            size=footer.current_size,
            creator=footer.creator_text,
            lost=format_size(footer.current_size - present.size),
        )


def _check_flags(footer: layout.Footer, at: int) -> Iterator[Finding]:
    if footer.saved:
        yield found("footer.saved", "set" if footer.saved == 1 else "", offset=at + 84, saved=footer.saved)
    if footer.hidden > 1:
        yield found("footer.hidden", offset=at + 85, hidden=footer.hidden)


def _check_timestamp(footer: layout.Footer, at: int, now: int) -> Iterator[Finding]:
    stamp = footer.timestamp + layout.EPOCH
    if stamp <= now + CLOCK_SLACK:
        return
    shown = datetime.datetime.fromtimestamp(stamp, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
    in_unix = layout.EPOCH <= footer.timestamp <= now + CLOCK_SLACK
    yield found("footer.timestamp", "unix" if in_unix else "", offset=at + 24, date=shown)


def check_role(tables: Tables, role: str) -> Iterator[Finding]:
    """Judge the hidden flag for the disk's place in its chain, see :data:`xenimage.formats.vhd.check.Role`."""
    footer, at = tables.footer, tables.footer_at + 85
    if footer is None or footer.hidden > 1:
        return
    if role in ("leaf", "only", "alone"):
        if footer.hidden:
            yield found("footer.hidden_leaf", "alone" if role == "alone" else "", offset=at)
    elif not footer.hidden:
        yield found("footer.unhidden", offset=at)
