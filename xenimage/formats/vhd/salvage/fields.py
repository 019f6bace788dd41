"""The fields of a footer and the link to a parent, mended: what is wrong is made right, what is right is kept."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import TYPE_CHECKING

from xenimage.formats.vhd import layout, locators
from xenimage.formats.vhd.geometry import geometry
from xenimage.formats.vhd.writer import Parent
from xenimage.units import KIB

if TYPE_CHECKING:
    from xenimage.model.disk import ByteSource

_PATH_MAX = 8 * KIB
"""bytes of a locator's data that are read: two for each character of the longest path"""
_FEATURES = layout.FEATURES_RESERVED
_SPACED = b"tap "


def mend_time(timestamp: int, now: int, otherwise: int) -> int:
    """A moment of a VHD that is not in the future, in Unix seconds.

    Some programs write Unix seconds where seconds since 2000 belong: those are told by what is left of them.

    :param timestamp: as it stands in the file, seconds since 2000.
    :param otherwise: Unix seconds, taken where nothing can be told.
    """
    for seconds in (timestamp + layout.EPOCH, timestamp):
        if layout.EPOCH <= seconds <= now:
            return seconds
    return otherwise


def mend_footer(footer: layout.Footer, *, now: int, otherwise: int, keep_hidden: bool) -> layout.Footer:
    """*footer* without what programs refuse, its size, type, place of the header and uuid kept."""
    largest = geometry(footer.current_size).packed
    return dataclasses.replace(
        footer,
        cookie=layout.FOOTER_COOKIE,
        features=_FEATURES,
        format_version=layout.FORMAT_VERSION,
        timestamp=mend_time(footer.timestamp, now, otherwise) - layout.EPOCH,
        creator=layout.TAP if footer.creator == _SPACED else footer.creator,
        original_size=min(footer.original_size, footer.current_size),
        geometry=footer.geometry if 0 < footer.geometry <= largest else largest,
        saved=0,
        hidden=int(keep_hidden and footer.hidden != 0),
        reserved=bytes(len(footer.reserved)),
    )


def mend_parent(source: ByteSource, header: layout.Header, *, now: int, otherwise: int) -> tuple[Parent, str]:
    """Where the disk says that its parent is, by its locators or, where they say nothing usable, by the name.

    :return: the parent, and a sentence about what had to be decided; empty where nothing had.
    """
    timestamp = mend_time(header.parent_timestamp, now, otherwise)
    name = locators.decode_name(header.parent_name) or ""
    paths = [found for each in header.locators if (found := _path(source, each))]
    for path in paths:
        bare = path.rpartition("/")[2]
        if path.startswith("/") or ":" in path or not bare:
            continue
        return Parent(name=bare, timestamp=timestamp, path=path), ""
    bare = (paths[0] if paths else name).replace("\\", "/").rpartition("/")[2]
    if bare:
        note = f"no locator has a relative path: the parent is taken to be {bare!r} in the same directory"
        return Parent(name=bare, timestamp=timestamp), note
    bare = "parent.vhd"
    note = f"the disk names no parent: {bare!r} was written; relink it with: xenimage disk rebase"
    return Parent(name=bare, timestamp=timestamp), note


def _path(source: ByteSource, locator: layout.Locator) -> str:
    end = locator.data_offset + locator.data_length
    if locator.code not in locators.WRITTEN or not 0 < locator.data_length <= _PATH_MAX or end > source.size:
        return ""
    return locators.decode(locator, source.read(locator.data_offset, locator.data_length)) or ""


def tables_uuid(source: ByteSource, header: layout.Header | None) -> bytes:
    """A uuid for a disk that has none, from its tables: the same for the same file, version 8 of RFC 9562."""
    digest = hashlib.sha256(b"xenimage uuid" + source.size.to_bytes(8))
    digest.update(header.pack() if header else b"")
    if header and header.table_offset + 4 * header.max_entries <= source.size:
        digest.update(source.read(header.table_offset, 4 * header.max_entries))
    value = bytearray(digest.digest()[:16])
    value[6] = value[6] & 0x0F | 0x80
    value[8] = value[8] & 0x3F | 0x80
    return bytes(value)
