"""One VHD as its tables tell it, whatever state it is in."""

from __future__ import annotations

import datetime
import uuid
from typing import TYPE_CHECKING

from xenimage.exceptions import FormatError
from xenimage.formats.vhd import layout
from xenimage.formats.vhd.checks.parent import readable_path
from xenimage.formats.vhd.checks.tables import read_tables
from xenimage.formats.vhd.geometry import unpack
from xenimage.model.report import VhdFacts

if TYPE_CHECKING:
    from xenimage.formats.vhd import metadata
    from xenimage.formats.vhd.checks.tables import Tables
    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource


def vhd_facts(source: ByteSource, limits: Limits) -> VhdFacts:
    """Tell what a VHD says of itself. Faults are not looked for: fields that cannot be read are empty or 0.

    :raises FormatError: it has no footer at all, neither at its end nor at its start.
    :raises TransferError: the source failed.
    """
    return _facts(read_tables(source, limits))


def vhd_link(source: ByteSource, limits: Limits) -> tuple[VhdFacts, tuple[str, ...], int]:
    """Tell what a VHD says of itself and, as hints, of its parent: the locators' paths, and the parent's time.

    :returns: the facts; the paths with slashes; Unix seconds, 0 where there is no time.
    :raises FormatError: as :func:`vhd_facts`.
    """
    tables = read_tables(source, limits)
    told = _facts(tables)
    header = tables.header
    if header is None or told.variant != layout.TYPE_NAMES[layout.DIFFERENCING]:
        return told, (), 0
    paths = tuple(dict.fromkeys(filter(None, (readable_path(tables, locator) for locator in header.locators))))
    return told, paths, header.parent_timestamp + layout.EPOCH if header.parent_timestamp else 0


def front_facts(tables: metadata.Tables, size: int) -> VhdFacts:
    """The same by the tables at the start alone: for a VHD whose end nobody wants to wait for.

    :param size: bytes of the VHD.
    """
    header, batmap = tables.header, tables.batmap
    full = "none" if batmap is None else f"{batmap.version >> 16}.{batmap.version & 0xFFFF}"
    return _told(tables.footer, header, len(tables.stored), full, size)


def _facts(tables: Tables) -> VhdFacts:
    source, footer, header = tables.source, tables.footer, tables.header
    if footer is None:
        raise FormatError("no VHD footer stands at either end", expected="'conectix'", where=source.name)
    return _told(footer, header, tables.allocated, _batmap_text(tables), source.size)


def _told(footer: layout.Footer, header: layout.Header | None, allocated: int, batmap: str, file_size: int) -> VhdFacts:
    return VhdFacts(
        variant=layout.TYPE_NAMES.get(footer.type, f"type {footer.type}"),
        creator=footer.creator_text,
        uuid=str(uuid.UUID(bytes=footer.uuid)),
        virtual_size=footer.current_size,
        original_size=footer.original_size,
        geometry=str(unpack(footer.geometry)),
        timestamp=_iso(footer.timestamp),
        hidden=footer.hidden,
        saved=footer.saved,
        features=footer.features,
        block_size=header.block_size if header else 0,
        blocks=header.max_entries if header else 0,
        allocated=allocated,
        batmap=batmap,
        parent_uuid=str(uuid.UUID(bytes=header.parent_uuid)) if header and any(header.parent_uuid) else "",
        parent_name=header.parent_name_text if header else "",
        file_size=file_size,
    )


def _iso(timestamp: int) -> str:
    return datetime.datetime.fromtimestamp(timestamp + layout.EPOCH, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _batmap_text(tables: Tables) -> str:
    if tables.batmap is None or not tables.has_batmap:
        return "none"
    full = int.from_bytes(tables.bits or b"", "big").bit_count()
    version = tables.batmap.version
    return f"{version >> 16}.{version & 0xFFFF}, {full} of {tables.allocated} stored blocks full"
