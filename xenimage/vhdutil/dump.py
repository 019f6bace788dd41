"""The tables of one VHD as text: what ``read -p`` prints, and ``check`` behind a fault."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

from xenimage.formats.vhd import layout, locators
from xenimage.formats.vhd.editing.disk import batmap_checksum
from xenimage.formats.vhd.editing.parent import locator_path
from xenimage.formats.vhd.geometry import unpack
from xenimage.units import MIB
from xenimage.vhdutil.terminal import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from xenimage.formats.vhd.checks.tables import Tables
    from xenimage.vhdutil.image import Image

_SYSTEMS = {0x5769326B: "Windows", 0x4D616320: "Macintosh"}
_RESERVED = "Reserved (deprecated)"
_TYPES = ("None", _RESERVED, "Fixed hard disk", "Dynamic hard disk", "Differencing hard disk", _RESERVED, _RESERVED)


def decimal(number: int) -> str:
    """A number as it is printed without -x."""
    return str(number)


def footer_lines(footer: layout.Footer, convert: Callable[[int], str] = decimal) -> Iterator[str]:
    """The summary of the footer."""
    features = ("<TEMP>" if footer.features & 1 else "") + ("<RESV>" if footer.features & 2 else "")
    geometry = unpack(footer.geometry)
    chs = geometry.cylinders, geometry.heads, geometry.sectors
    cylinders, heads, sectors = map(convert, chs)
    yield "VHD Footer Summary:"
    yield "-------------------"
    yield f"Cookie              : {_text(footer.cookie)}"
    yield f"Features            : (0x{footer.features:08x}) {features}"
    yield f"File format version : {_version(footer.format_version)}"
    yield f"Data offset         : {convert(footer.data_offset)}"
    yield f"Timestamp           : {_time(footer.timestamp)}"
    yield f"Creator Application : '{_text(footer.creator)}'"
    yield f"Creator version     : {_version(footer.creator_version)}"
    yield f"Creator OS          : {_SYSTEMS.get(footer.creator_os, 'Unknown!')}"
    yield f"Original disk size  : {_size(footer.original_size, convert)}"
    yield f"Current disk size   : {_size(footer.current_size, convert)}"
    yield f"Geometry            : Cyl: {cylinders}, Hds: {heads}, Sctrs: {sectors}"
    yield f"                    : = {_size(geometry.size, convert)}"
    yield f"Disk type           : {_TYPES[footer.type] if footer.type < len(_TYPES) else 'Unknown type!'}"
    yield f"Checksum            : {_checksum(footer.checksum, layout.Footer.pack(footer)[64:68])}"
    yield f"UUID                : {uuid.UUID(bytes=footer.uuid)}"
    yield f"Saved state         : {'Yes' if footer.saved else 'No'}"
    yield f"Hidden              : {footer.hidden}"
    yield ""


def header_lines(header: layout.Header, convert: Callable[[int], str] = decimal) -> Iterator[str]:
    """The summary of the header."""
    name = locators.decode_name(header.parent_name)
    yield "VHD Header Summary:"
    yield "-------------------"
    yield f"Cookie              : {_text(header.cookie)}"
    yield f"Data offset (unusd) : {convert(header.data_offset)}"
    yield f"Table offset        : {convert(header.table_offset)}"
    yield f"Header version      : 0x{header.version:08x}"
    yield f"Max BAT size        : {convert(header.max_entries)}"
    yield f"Block size          : {convert(header.block_size)} ({convert(header.block_size // MIB)} MB)"
    yield f"Parent name         : {'failed to read name' if name is None else shown(name)}"
    yield f"Parent UUID         : {uuid.UUID(bytes=header.parent_uuid)}"
    yield f"Parent timestamp    : {_time(header.parent_timestamp)}"
    yield f"Checksum            : {_checksum(header.checksum, layout.Header.pack(header)[36:40])}"
    yield ""


def table_lines(image: Image, convert: Callable[[int], str] = decimal) -> Iterator[str]:
    """All summaries of an open VHD."""
    yield from footer_lines(image.footer, convert)
    if image.header is None:
        return
    yield from header_lines(image.header, convert)
    if image.is_child:
        yield from _locator_lines(image.tables, image.header, convert)
    if image.wants_batmap:
        yield from _batmap_lines(image, convert)


def _locator_lines(tables: Tables, header: layout.Header, convert: Callable[[int], str]) -> Iterator[str]:
    yield "VHD Parent Locators:"
    yield "--------------------"
    for index, locator in enumerate(header.locators):
        if locator.code == locators.NONE:
            continue
        path = locator_path(tables.source, locator)
        yield f"locator:            : {index}"
        yield f"       code         : {locators.KNOWN.get(locator.code, 'UNKOWN')}"
        yield f"       data_space   : {convert(locator.data_space)}"
        yield f"       data_length  : {convert(locator.data_length)}"
        yield f"       data_offset  : {convert(locator.data_offset)}"
        yield "failed to read parent name" if path is None else f"       decoded name : {shown(path)}"
        yield ""


def _batmap_lines(image: Image, convert: Callable[[int], str]) -> Iterator[str]:
    batmap, bits = image.tables.batmap, image.tables.bits
    if batmap is None or bits is None:
        yield "failed to get batmap header"
        return
    total = batmap_checksum(batmap.version, bits[: layout.batmap_covered(image.footer.current_size)])
    yield "VHD Batmap Summary:"
    yield "-------------------"
    yield f"Batmap offset       : {convert(batmap.offset)}"
    yield f"Batmap size (secs)  : {convert(batmap.sectors)}"
    yield f"Batmap version      : 0x{batmap.version:08x}"
    yield f"Checksum            : {_checksum(batmap.checksum, total.to_bytes(4))}"
    yield ""


def _checksum(stored: int, packed: bytes) -> str:
    expected = int.from_bytes(packed)
    return f"0x{stored:x}|0x{expected:x} ({'Good!' if stored == expected else 'Bad!'})"


def _size(size: int, convert: Callable[[int], str]) -> str:
    return f"{convert(size // MIB)} MB ({convert(size)} Bytes)"


def _version(version: int) -> str:
    return f"Major: {version >> 16}, Minor: {version & 0xFFFF}"


def _text(raw: bytes) -> str:
    return shown(raw.split(b"\0", 1)[0].decode("latin-1"))


def _time(seconds: int) -> str:
    return time.ctime(seconds + layout.EPOCH)
