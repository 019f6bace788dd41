"""The header of a damaged VHD: where the footer says, or at its usual place; whole, or with fields that can be told."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from xenimage.formats.vhd import layout, locators

if TYPE_CHECKING:
    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource

_USUAL = layout.FOOTER_SIZE
_SUM_AT = 36
"""of the checksum in the header"""
_COOKIE, _VERSION, _CHECKSUM = "cookie", "version", "checksum"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Found:
    """A header, with what is known of it."""

    header: layout.Header
    offset: int
    exact: bool
    """whether every field that its reading depends on is as it should be; otherwise the BAT has to bear it out"""
    notes: tuple[str, ...] = ()


def find_header(source: ByteSource, offset: int | None, limits: Limits) -> Found | None:
    """Look for the header: at *offset*, then where every program puts it. None where there is none to be believed."""
    places = [at for at in dict.fromkeys((offset, _USUAL)) if at is not None]
    candidates = [found for at in places if (found := _at(source, at, limits)) is not None]
    best = next((each for each in candidates if each.exact), None) or next(iter(candidates), None)
    if best is not None and offset is not None and best.offset != offset:
        note = f"the footer leads to {offset:#x}, where no sound header is: the one at {best.offset:#x} was taken"
        return dataclasses.replace(best, notes=(note, *best.notes))
    return best


def _at(source: ByteSource, offset: int, limits: Limits) -> Found | None:
    if not layout.FOOTER_SIZE <= offset <= source.size - layout.HEADER_SIZE:
        return None
    raw = source.read(offset, layout.HEADER_SIZE)
    header = layout.Header.parse(layout.HEADER_COOKIE + raw[len(layout.HEADER_COOKIE) :])
    wrong = list(_wrong(raw, header))
    sealed = _CHECKSUM not in wrong
    # Without cookie and checksum it is no header but something else that stands there.
    if not _sane(header, limits, sealed=sealed) or (_COOKIE in wrong and not sealed):
        return None
    notes = (f"the {' and the '.join(wrong)} of the header was wrong; its other fields fit the BAT",) if wrong else ()
    return Found(header=header, offset=offset, exact=not wrong, notes=notes)


def _wrong(raw: bytes, header: layout.Header) -> list[str]:
    found = []
    if raw[: len(layout.HEADER_COOKIE)] != layout.HEADER_COOKIE:
        found.append(_COOKIE)
    if header.version != layout.FORMAT_VERSION:
        found.append(_VERSION)
    if not header.sound and header.checksum != layout.checksum(raw[:_SUM_AT] + bytes(4) + raw[_SUM_AT + 4 :]):
        found.append(_CHECKSUM)
    return found


def _sane(header: layout.Header, limits: Limits, *, sealed: bool) -> bool:
    known = sealed or all(each.code in locators.KNOWN for each in header.locators)
    return known and 0 < 4 * header.max_entries <= limits.table_size
