"""What is told of a VHD: its facts, the parent that it names, and what deserves a word."""

from __future__ import annotations

import datetime
import uuid
from typing import TYPE_CHECKING

from xenimage.formats.vhd import layout, locators
from xenimage.formats.vhd.checks.findings import found
from xenimage.formats.vhd.geometry import chs_size, unpack
from xenimage.model.disk import DiskFacts, ParentReference
from xenimage.units import KIB, SECTOR

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.formats.vhd.metadata import Tables
    from xenimage.model.disk import ByteSource
    from xenimage.model.finding import Finding

_NAME_MAX = 4 * KIB
"""bytes of a parent locator that are read: it is a hint, never a path to open"""
_SIZE_BY_FIELD = (b"win ", b"qem2", b"d2v ", b"CTXS", layout.TAP)
"""creators whose current size qemu before 10.0 goes by (block/vpc.c); for others it multiplies the geometry"""
_SIZE_BY_GEOMETRY = (b"vpc ", b"qemu")
"""creators whose geometry qemu from 10.0 on still multiplies"""


def parent(source: ByteSource, header: layout.Header) -> ParentReference:
    """The parent that a differencing disk names. A null uuid means a raw parent."""
    names = (_locator_name(source, locator) for locator in header.locators)
    raw = not any(header.parent_uuid)
    return ParentReference(
        name=next(filter(None, names), "") or _shown(header.parent_name_text),
        identity="" if raw else str(uuid.UUID(bytes=header.parent_uuid)),
        format="raw" if raw else "vhd",
    )


def _locator_name(source: ByteSource, locator: layout.Locator) -> str:
    """The path of one locator for display; empty where it is not understood, for nothing depends on it."""
    end = locator.data_offset + locator.data_length
    if not 0 < locator.data_length <= min(_NAME_MAX, locator.space) or end > source.size:
        return ""
    return _shown(locators.shown(locator.code, source.read(locator.data_offset, locator.data_length)))


def _shown(text: str) -> str:
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def end_finding(back: layout.Footer | None) -> Finding:
    """The copy at the start had to stand in for the footer at the end."""
    return found("footer.end", where="footer", state="missing or overwritten" if back is None else "damaged")


def copy_findings(back: layout.Footer, front: layout.Footer | None) -> Iterator[Finding]:
    """Hold the copy at the start against the footer at the end."""
    if front is not None and front.sound and front != back:
        yield found("footer.copy", "differs", where="footer", offset=0)
    elif back.type != layout.FIXED and (front is None or not front.sound):
        yield found("footer.copy", where="footer", offset=0, state="missing" if front is None else "damaged")


def _size_findings(tables: Tables) -> Iterator[Finding]:
    footer = tables.footer
    if footer.current_size % SECTOR:
        yield found("size.sector", "read", where="footer", size=footer.current_size, rounded=tables.virtual_size)
    if footer.type == layout.FIXED and tables.data_end > tables.virtual_size:
        behind = tables.data_end - tables.virtual_size
        yield found("fixed.length", where="footer", offset=tables.virtual_size, count=behind)
    span = chs_size(unpack(footer.geometry))
    lost = 0 if span is None else footer.current_size - span
    if lost > 0 and footer.creator not in _SIZE_BY_FIELD:
        who = "qemu" if footer.creator in _SIZE_BY_GEOMETRY else "qemu before 10.0"
        yield found("size.chs", where="footer", size=footer.current_size, span=span, who=who, lost=lost)


def facts(tables: Tables, file_size: int) -> DiskFacts:
    """What is known of the disk without its data."""
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
        chs_size=chs_size(unpack(footer.geometry)),
        granularity=SECTOR if header is None else header.block_size,
        stored_size=file_size,
        identity=str(uuid.UUID(bytes=footer.uuid)),
        parent=tables.parent,
        details=tuple(details),
        findings=(*tables.findings, *_size_findings(tables)),
    )
