"""What ``check`` asks of a footer, a header, a batmap and a locator: the first fault, in upstream's order and words.

One thing is asked that upstream does not: ``batmap_size`` 0 is a fault of the batmap, where upstream aborts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.formats.vhd import layout, locators
from xenimage.formats.vhd.geometry import geometry
from xenimage.units import SECTOR

if TYPE_CHECKING:
    from collections.abc import Iterable

CLOCK_SLACK = 1800
"""seconds that a creation time may lie in the future, for clocks differ"""
_NAMED_HIDDEN = (0x00000001, 0x00010001)
"""creator versions of tap that did not refresh the checksum when they set the hidden flag"""


def _first(rules: Iterable[tuple[bool, str]]) -> str:
    return next((text for broken, text in rules if broken), "")


def footer_fault(raw: bytes, now: int, *, times: bool) -> str:
    """The first fault of the footer *raw*, 512 bytes; empty if there is none.

    :param now: Unix seconds.
    :param times: whether the creation time counts.
    """
    if raw[:8] != layout.FOOTER_COOKIE:
        return "invalid cookie"
    footer = layout.Footer.parse(raw)
    kinds = (layout.DYNAMIC, layout.DIFFERENCING)
    return _first(
        (
            (not footer.sound and not _hidden_late(raw, footer), "invalid checksum"),
            (not footer.features & layout.FEATURES_RESERVED, "invalid 'reserved' feature"),
            (bool(footer.features & ~3), "invalid extra features"),
            (footer.format_version != layout.FORMAT_VERSION, "invalid file format version"),
            (footer.type not in kinds and footer.data_offset != layout.NO_OFFSET, "invalid data offset"),
            (times and footer.timestamp + layout.EPOCH > now + CLOCK_SLACK, "creation time in future"),
            (footer.is_tap and footer.creator_version > layout.TAP_VERSION, "unsupported tap creator version"),
            (footer.geometry > geometry(footer.current_size).packed, "geometry too large"),
            (footer.type not in layout.TYPE_NAMES, "invalid type"),
            (footer.saved > 1, "invalid 'saved' state"),
            (footer.hidden > 1, "invalid 'hidden' state"),
            # Upstream does not see the first byte; it harms nobody.
            (any(footer.reserved[1:]), "invalid 'reserved' bits"),
            (not any(footer.uuid), "invalid (NULL) uuid"),
        )
    )


def _hidden_late(raw: bytes, footer: layout.Footer) -> bool:
    """Whether the checksum is that of the time before the disk was hidden, as two old versions left it."""
    if not footer.is_tap or footer.creator_version not in _NAMED_HIDDEN:
        return False
    return layout.Footer.parse(without_hidden(raw)).sound


def without_hidden(raw: bytes) -> bytes:
    """The footer with its hidden flag cleared and the checksum left as it is."""
    return raw[:85] + b"\0" + raw[86:]


def header_fault(raw: bytes, size: int) -> str:
    """The first fault of the header *raw*, 1024 bytes, in a file of *size* bytes."""
    if raw[:8] != layout.HEADER_COOKIE:
        return "invalid cookie"
    header = layout.Header.parse(raw)
    block = header.block_size
    table_end = header.table_offset + 4 * header.max_entries
    misplaced = not header.table_offset or header.table_offset % SECTOR or table_end > size - layout.FOOTER_SIZE
    return _first(
        (
            (not header.sound, "invalid checksum"),
            (header.version != layout.FORMAT_VERSION, "invalid header version"),
            (header.data_offset != layout.NO_OFFSET, "invalid data offset"),
            (bool(misplaced), "invalid table offset"),
            # Upstream takes smaller blocks, and then reads from wrong places. It cannot open larger ones.
            (block & (block - 1) != 0 or block < layout.BLOCK_SIZE, "invalid block size"),
            (header.reserved1 != 0 or any(header.reserved2[1:]), "invalid reserved bits"),
        )
    )


def link_fault(header: layout.Header, kind: int, now: int, *, times: bool) -> str:
    """The first fault of what the header says of a parent."""
    if kind == layout.DIFFERENCING:
        return _first(
            (
                (
                    times and header.parent_timestamp + layout.EPOCH > now + CLOCK_SLACK,
                    "parent creation time in future",
                ),
                (locators.decode_name(header.parent_name) is None, "invalid parent name"),
            )
        )
    return _first(
        (
            (any(header.parent_name[1:]), "invalid non-null parent name"),
            # Upstream does not see the first slot, but counts its data as tables: blocks get in its way.
            (any(slot != layout.Locator() for slot in header.locators), "invalid non-null parent locators"),
            (any(header.parent_uuid), "invalid non-null parent uuid"),
            (header.parent_timestamp != 0, "invalid non-zero parent timestamp"),
        )
    )


def batmap_fault(batmap: layout.BatmapHeader, entries: int, covered: int, size: int) -> str:
    """The first fault of the batmap's header, its checksum aside.

    :param covered: bytes of the map that its checksum covers.
    :param size: of the file.
    """
    end = batmap.offset + batmap.sectors * SECTOR
    return _first(
        (
            (batmap.version > layout.BATMAP_VERSION, "unsupported batmap version"),
            (batmap.sectors == 0, "invalid size zero"),
            (batmap.sectors * 8 * SECTOR < entries, "batmap-BAT size mismatch"),
            (batmap.offset == 0 or batmap.offset % SECTOR != 0, "invalid batmap offset"),
            (end > size - layout.FOOTER_SIZE or batmap.sectors * SECTOR < covered, "invalid batmap size"),
        )
    )


def locator_fault(locator: layout.Locator, size: int) -> str:
    """The first fault of a parent locator in a file of *size* bytes."""
    if locator.code not in locators.KNOWN:
        return "invalid platform code"
    if locator.code == locators.NONE:
        return "" if locator == layout.Locator() else "non-zero locator"
    return _first(
        (
            (locator.data_offset == 0, "invalid data offset"),
            (locator.data_space == 0, "invalid data space"),
            (locator.data_length == 0, "invalid data length"),
            (locator.data_offset + locator.space > size - layout.FOOTER_SIZE, "invalid size"),
            (locator.reserved != 0, "invalid reserved bits"),
        )
    )
