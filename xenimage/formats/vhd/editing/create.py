"""New, empty VHDs, as blktap's vhd-util writes them."""

from __future__ import annotations

import dataclasses

from xenimage.exceptions import UnsupportedError
from xenimage.formats.vhd import layout, locators
from xenimage.formats.vhd.geometry import geometry
from xenimage.units import SECTOR, format_size

_EMPTY_MAP = 0xFFFFFFFF
"""checksum of a map of zeros"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parent:
    """What a new child names. *path*: from the child's directory; *timestamp*: of its last change, Unix seconds."""

    path: str
    uuid: bytes
    """16 zeros: the parent is raw"""
    timestamp: int
    key: tuple[int, bytes] = (0, bytes(64))
    """key cookie and hash of an encrypted parent, which its children carry too"""


def _footer(size: int, kind: int, *, uuid: bytes, now: int) -> layout.Footer:
    return layout.Footer(
        data_offset=layout.NO_OFFSET if kind == layout.FIXED else layout.FOOTER_SIZE,
        timestamp=max(now - layout.EPOCH, 0),
        original_size=size,
        current_size=size,
        geometry=geometry(size).packed,
        type=kind,
        uuid=uuid,
    )


def fixed_footer(size: int, *, uuid: bytes, now: int) -> bytes:
    """The footer behind *size* bytes of data of a fixed disk."""
    return _footer(_sound(size), layout.FIXED, uuid=uuid, now=now).pack()


def empty_disk(size: int, *, uuid: bytes, now: int, room: int = 0, parent: Parent | None = None) -> bytes:
    """The whole file of a dynamic or, with *parent*, differencing disk of *size* bytes that holds nothing yet.

    :param room: bytes that the BAT and the batmap should do for, if more than *size*.
    :param now: Unix seconds.
    :raises UnsupportedError: the size is no multiple of 2 MiB, or too large; the parent's path is not ASCII, too long.
    """
    entries = max(_sound(size), _sound(room or size)) // layout.BLOCK_SIZE
    kind = layout.DYNAMIC if parent is None else layout.DIFFERENCING
    footer = _footer(size, kind, uuid=uuid, now=now).pack()
    header = layout.Header(max_entries=entries)
    map_at = header.batmap_offset + layout.BATMAP_HEADER_SIZE
    sectors = layout.batmap_sectors(entries)
    behind = b""
    key_cookie, key_hash = 0, bytes(64)
    if parent is not None:
        slots, behind = locators.encode_locators(parent.path, map_at + sectors * SECTOR)
        key_cookie, key_hash = parent.key
        header = dataclasses.replace(
            header,
            parent_uuid=parent.uuid,
            parent_timestamp=min(max(parent.timestamp - layout.EPOCH, 0), 0xFFFFFFFF),
            parent_name=locators.encode_name(parent.path.rpartition("/")[2]),
            locators=slots,
        )
    batmap = layout.BatmapHeader(
        offset=map_at, sectors=sectors, checksum=_EMPTY_MAP, key_cookie=key_cookie, key_hash=key_hash
    )
    table = layout.pack_table(entries, ())
    return footer + header.pack() + table + batmap.pack() + bytes(sectors * SECTOR) + behind + footer


def _sound(size: int) -> int:
    if size % layout.BLOCK_SIZE or not 0 < size <= layout.SIZE_MAX:
        raise UnsupportedError(f"a disk of {format_size(size)} is asked for", expected="2 MiB to 2040 GiB")
    return size
