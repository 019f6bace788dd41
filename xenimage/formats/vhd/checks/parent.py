"""What a VHD says of its parent: nothing in a dynamic disk, enough to find and prove it in a differencing one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.formats.vhd import layout, locators
from xenimage.formats.vhd.checks.findings import found
from xenimage.formats.vhd.checks.footer import CLOCK_SLACK
from xenimage.units import KIB, SECTOR

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.formats.vhd.checks.tables import Tables
    from xenimage.model.disk import ByteSource
    from xenimage.model.finding import Finding

_LOCATOR_AT = 576
_LOCATOR_SIZE = 24
_PATH_MAX = 4 * KIB


def check_parent(tables: Tables, role: str, now: int) -> Iterator[Finding]:
    """Judge the parent's fields.

    :param role: the disk's place in its chain, see :data:`xenimage.formats.vhd.check.Role`.
    :param now: Unix seconds.
    """
    footer, header = tables.footer, tables.header
    if footer is None or header is None:
        return
    if footer.type == layout.DYNAMIC:
        yield from _check_dynamic(header, footer.data_offset)
    elif footer.type == layout.DIFFERENCING:
        if role in ("only", "base"):
            name = header.parent_name_text or header.parent_uuid.hex()
            yield found("parent.absent", offset=tables.footer_at + 60, name=name)
        yield from _check_link(header, footer.data_offset, now)
        yield from _check_locators(tables, header, footer.data_offset)


def _check_dynamic(header: layout.Header, at: int) -> Iterator[Finding]:
    if any(header.parent_uuid):
        yield found("dynamic.parent_uuid", offset=at + 40)
    if header.parent_timestamp:
        yield found("dynamic.parent_timestamp", offset=at + 56)
    if any(header.parent_name):
        yield found("dynamic.parent_name", offset=at + 64)
    for index, locator in enumerate(header.locators):
        if locator != layout.Locator():
            place = at + _LOCATOR_AT + index * _LOCATOR_SIZE
            yield found("dynamic.locator", "" if index else "first", offset=place, index=index)


def _check_link(header: layout.Header, at: int, now: int) -> Iterator[Finding]:
    if not any(header.parent_uuid):
        yield found("parent.uuid", offset=at + 40)
    if header.parent_timestamp + layout.EPOCH > now + CLOCK_SLACK:
        yield found("parent.timestamp", offset=at + 56)
    name = header.parent_name_text
    if not name or not name.isascii() or not name.isprintable() or "/" in name or "\\" in name:
        yield found("parent.name", offset=at + 64, name=name)


def _check_locators(tables: Tables, header: layout.Header, at: int) -> Iterator[Finding]:
    seen: set[int] = set()
    for index, locator in enumerate(header.locators):
        place = at + _LOCATOR_AT + index * _LOCATOR_SIZE
        if locator.code in seen and locator.code:
            yield found("locator.duplicate", offset=place, index=index, found=locator.code)
        seen.add(locator.code)
        yield from _check_locator(tables, header, index, place)
    if not seen.intersection(locators.WRITTEN):
        yield found("locator.missing", offset=at + _LOCATOR_AT)


def _check_locator(tables: Tables, header: layout.Header, index: int, place: int) -> Iterator[Finding]:
    locator = header.locators[index]
    if locator.code not in locators.KNOWN:
        yield found("locator.code", offset=place, index=index, found=locator.code)
    elif locator.code == locators.NONE:
        if locator != layout.Locator():
            yield found("locator.none", offset=place, index=index)
    elif not 0 < locator.data_offset <= tables.data_end - min(locator.space, tables.data_end):
        yield found("locator.offset", offset=place + 16, index=index, place=locator.data_offset, size=tables.size)
    else:
        yield from _check_data(tables, header, index, place)


def _check_data(tables: Tables, header: layout.Header, index: int, place: int) -> Iterator[Finding]:
    locator = header.locators[index]
    faults = []
    if not locator.data_space or (locator.data_space > SECTOR and locator.data_space % SECTOR):
        faults.append(found("locator.space", offset=place, index=index, space=locator.data_space))
    if not 0 < locator.data_length <= locator.space:
        faults.append(
            found("locator.length", offset=place, index=index, length=locator.data_length, space=locator.space)
        )
    if locator.reserved:
        faults.append(found("locator.reserved", offset=place, index=index))
    yield from faults
    # Behind the first block it collides with it, which the BAT's check tells; reading it would only lead far away.
    first = tables.first_stored
    behind = first is not None and locator.data_offset > first * SECTOR
    if faults or behind or locator.code not in locators.WRITTEN:
        return
    base = _path(tables.source, locator).rpartition("/")[2]
    if base != header.parent_name_text:
        name = header.parent_name_text
        yield found("locator.name", offset=locator.data_offset, index=index, found=base, name=name)


def readable_path(tables: Tables, locator: layout.Locator) -> str:
    """The path that a locator holds, with slashes; empty where it has none that blktap would use. Never opened."""
    end = locator.data_offset + locator.data_length
    usable = locator.code in locators.WRITTEN and 0 < locator.data_length <= locator.space
    if not usable or not locator.data_offset or end > tables.data_end:
        return ""
    return _path(tables.source, locator)


def _path(source: ByteSource, locator: layout.Locator) -> str:
    raw = source.read(locator.data_offset, min(locator.data_length, _PATH_MAX))
    return locators.shown(locator.code, raw).replace("\\", "/")
