"""What a VHD says of its parent: nothing in a dynamic disk, enough to find and prove it in a differencing one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.formats.vhd import layout
from xenimage.formats.vhd.checks.findings import error, warning
from xenimage.formats.vhd.checks.footer import CLOCK_SLACK
from xenimage.units import KIB, SECTOR

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.formats.vhd.checks.tables import Tables
    from xenimage.model.finding import Finding

MACX, W2KU, W2RU = 0x4D616358, 0x57326B75, 0x57327275
_USABLE = {MACX: "MacX", W2KU: "W2ku", W2RU: "W2ru"}
_KNOWN = {0, MACX, W2KU, W2RU, 0x57693272, 0x5769326B, 0x4D616320}
_LOCATOR_AT = 576
_LOCATOR_SIZE = 24
_PATH_MAX = 4 * KIB

_REFUSED = "vhd-util check refuses the disk, and os-xenapi with it"
_MODIFIED = "vhd-util check refuses the disk as it is; os-xenapi and Cinder write the field anew during an import"
_RELINK = "Run vhd-util modify -n CHILD -p PARENT, or flatten the chain with xenimage."
_FLATTEN = "Flatten the chain: xenimage bundle create makes one disk of it."


def check_parent(tables: Tables, role: str, now: int) -> Iterator[Finding]:
    """Judge the parent's fields.

    :param role: the disk's place in its chain: ``leaf``, ``middle``, ``base`` or ``only``.
    :param now: Unix seconds.
    """
    footer, header = tables.footer, tables.header
    if footer is None or header is None:
        return
    if footer.type == layout.DYNAMIC:
        yield from _check_dynamic(header, footer.data_offset)
    elif footer.type == layout.DIFFERENCING:
        if role in ("only", "base"):
            yield error(
                "parent.absent",
                f"the disk needs its parent, {header.parent_name_text or header.parent_uuid.hex()!r}, which is not"
                " in the bundle",
                "vhd-util check cannot find it: os-xenapi refuses the import, or links it to a foreign disk",
                "Add the parent as the next member, or flatten the chain with xenimage.",
                tables.footer_at + 60,
            )
        yield from _check_link(header, footer.data_offset, now)
        yield from _check_locators(tables, header, footer.data_offset)


def _check_dynamic(header: layout.Header, at: int) -> Iterator[Finding]:
    rules = (
        ("uuid", any(header.parent_uuid), at + 40),
        ("timestamp", header.parent_timestamp != 0, at + 56),
        ("name", any(header.parent_name), at + 64),
    )
    for name, present, place in rules:
        if present:
            yield error(f"dynamic.parent_{name}", f"a dynamic disk has a parent's {name}", _REFUSED, offset=place)
    for index, locator in enumerate(header.locators):
        if locator != layout.Locator():
            why = (
                _REFUSED if index else "blktap looks past slot 0, but counts its data as tables: blocks collide with it"
            )
            place = at + _LOCATOR_AT + index * _LOCATOR_SIZE
            yield error("dynamic.locator", f"a dynamic disk has a parent locator in slot {index}", why, offset=place)


def _check_link(header: layout.Header, at: int, now: int) -> Iterator[Finding]:
    if not any(header.parent_uuid):
        yield warning(
            "parent.uuid",
            "the parent's uuid is null",
            "blktap takes the parent for a raw image; os-xenapi and Cinder write the uuid during an import",
            _RELINK,
            at + 40,
        )
    if header.parent_timestamp + layout.EPOCH > now + CLOCK_SLACK:
        yield warning("parent.timestamp", "the parent's timestamp lies in the future", _MODIFIED, _RELINK, at + 56)
    name = header.parent_name_text
    if not name or not name.isascii() or not name.isprintable() or "/" in name or "\\" in name:
        yield warning(
            "parent.name", f"the parent is called {name!r}, expected a plain ASCII name", _MODIFIED, _RELINK, at + 64
        )


def _check_locators(tables: Tables, header: layout.Header, at: int) -> Iterator[Finding]:
    seen: set[int] = set()
    for index, locator in enumerate(header.locators):
        place = at + _LOCATOR_AT + index * _LOCATOR_SIZE
        if locator.code in seen and locator.code:
            yield error(
                "locator.duplicate",
                f"locator {index} has the code {locator.code:#010x} for the second time",
                "vhd-util check refuses the disk; os-xenapi accepts it, and garbage collection then fails",
                _FLATTEN,
                place,
            )
        seen.add(locator.code)
        yield from _check_locator(tables, header, index, place)
    if not seen & _USABLE.keys():
        yield error(
            "locator.missing",
            "there is no parent locator of the kinds MacX, W2ku and W2ru",
            "vhd-util modify cannot make one: the parent is never found, and os-xenapi says 'breaks the VDI chain'",
            _FLATTEN,
            at + _LOCATOR_AT,
        )


def _check_locator(tables: Tables, header: layout.Header, index: int, place: int) -> Iterator[Finding]:
    locator = header.locators[index]
    if locator.code not in _KNOWN:
        yield error(
            "locator.code",
            f"locator {index} has the unknown code {locator.code:#010x}",
            "blktap does not open the disk, not even to write the locator anew",
            _FLATTEN,
            place,
        )
    elif locator.code == 0:
        if locator != layout.Locator():
            yield error("locator.none", f"locator {index} is unused but not empty", _REFUSED, _FLATTEN, place)
    elif not 0 < locator.data_offset <= tables.data_end - min(locator.space, tables.data_end):
        yield error(
            "locator.offset",
            f"locator {index} points to {locator.data_offset:#x}, the file has {tables.size:#x} bytes",
            "os-xenapi's relinking writes there: the file grows to that offset, or a block is overwritten",
            _FLATTEN,
            place + 16,
        )
    else:
        yield from _check_data(tables, header, index, place)


def _check_data(tables: Tables, header: layout.Header, index: int, place: int) -> Iterator[Finding]:
    locator = header.locators[index]
    faults = []
    if not locator.data_space or (locator.data_space > SECTOR and locator.data_space % SECTOR):
        faults.append(("space", f"has room for {locator.data_space} bytes, expected a multiple of 512"))
    if not 0 < locator.data_length <= locator.space:
        faults.append(("length", f"has {locator.data_length} bytes, expected 1 to {locator.space}"))
    if locator.reserved:
        faults.append(("reserved", "has reserved bytes set"))
    for name, text in faults:
        yield warning(f"locator.{name}", f"locator {index} {text}", _MODIFIED, _RELINK, place)
    # Behind the first block it collides with it, which the BAT's check tells; reading it would only lead far away.
    behind = tables.stored and locator.data_offset > tables.stored[0][0] * SECTOR
    if faults or behind or locator.code not in _USABLE:
        return
    raw = tables.source.read(locator.data_offset, min(locator.data_length, _PATH_MAX))
    base = _decoded(locator.code, raw).replace("\\", "/").rpartition("/")[2]
    if base != header.parent_name_text:
        yield warning(
            "locator.name",
            f"locator {index} leads to {base!r}, the header calls the parent {header.parent_name_text!r}",
            _MODIFIED,
            _RELINK,
            locator.data_offset,
        )


def _decoded(code: int, raw: bytes) -> str:
    if code == MACX:
        return raw.decode("utf-8", "replace").removeprefix("file://")
    return raw.decode("utf-16-le", "replace")
