"""The two footers: whether they are there, agree, and say what the consumers accept."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from xenimage.formats.vhd import layout
from xenimage.formats.vhd.checks.findings import RETRANSFER, error, warning
from xenimage.formats.vhd.geometry import geometry, unpack
from xenimage.units import SECTOR, format_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.formats.vhd.checks.tables import Tables
    from xenimage.model.finding import Finding

CLOCK_SLACK = 1800
"""seconds that blktap lets a timestamp run ahead of its clock"""
_LIVE = b"\xc7" * (SECTOR - 1)
_REPAIR = "Run vhd-util repair on a copy, or write the VHD anew with xenimage."
_CLOCKLESS = (0x00000001, 0x00010001)
_SIZE_BY_CURRENT = (b"win ", b"qem2", b"d2v ", b"CTXS", layout.TAP)
"""creators whose current_size qemu up to 9.2 believes; it computes all others from the geometry"""


def check_copies(tables: Tables) -> Iterator[Finding]:
    """Judge where the footers stand, and whether they are whole and equal."""
    yield from _check_length(tables)
    yield from _check_copy("footer", tables.end, tables.end_raw, tables.data_end)
    if tables.footer is None or tables.footer.type == layout.FIXED:
        return
    yield from _check_copy("copy", tables.front, tables.front_raw, 0)
    end, front = tables.end, tables.front
    if end and front and end.sound and front.sound and not _agree(tables):
        fields = [name for name in vars(end) if name not in ("checksum", "sound")]
        differing = ", ".join(name for name in fields if getattr(end, name) != getattr(front, name))
        yield error(
            "footer.differ",
            f"the footer and its copy at the start differ in {differing or 'their bytes'}",
            "vhd-util check refuses the disk, Xen Orchestra too, and qemu believes the copy",
            _REPAIR,
            tables.data_end,
        )


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
        yield error(
            "file.trailing",
            f"{tables.behind} bytes stand behind the footer, which ends at {tables.size - tables.behind:#x}",
            "vhd-util check finds no footer at the end of the file; os-xenapi accepts it only after a repair, or not",
            f"Cut the file to {tables.size - tables.behind} bytes.",
            tables.size - tables.behind,
        )
    odd = tables.size % SECTOR
    if odd == SECTOR - 1 and tables.end is not None and not tables.behind:
        yield warning(
            "footer.short",
            "the footer has 511 bytes, as old Virtual PC wrote it",
            "blktap and qemu read it, Xen Orchestra does not",
            "Append one zero byte.",
            tables.data_end,
        )
    elif odd:
        yield error(
            "file.unaligned",
            f"the file has {tables.size} bytes, {odd} more than whole sectors of 512",
            "blktap cannot read the footer; os-xenapi accepts the file all the same, and the storage repository that"
            " holds it fails to scan",
            RETRANSFER,
            tables.size - odd,
        )


def _check_copy(part: str, footer: layout.Footer | None, raw: bytes, at: int) -> Iterator[Finding]:
    place = "the end" if part == "footer" else "the start"
    if footer is None:
        if part == "footer" and len(raw) >= SECTOR - 1 and raw[1:].strip(b"\xc7") == b"":
            yield error(
                "footer.live",
                "the footer at the end is filled with 0xC7",
                "tapdisk does that while a disk is attached: the file was copied from a running VM or after a crash",
                "Shut the VM down and copy again; if the host crashed, run vhd-util repair on a copy.",
                at,
            )
            return
        yield error(
            f"{part}.missing",
            f"no footer stands at {place} of the file",
            "vhd-util check refuses the disk; the repair that os-xenapi then tries fills a truncated disk with zeros"
            if part == "footer"
            else "XAPI and Xen Orchestra read the copy at the start first and refuse the disk, qemu takes it for raw",
            RETRANSFER if part == "footer" else _REPAIR,
            at,
        )
    elif footer.cookie == layout.POISON_COOKIE:
        yield error(
            f"{part}.poison",
            f"the footer at {place} begins with 'v_poison': a resize was interrupted",
            "blktap refuses the disk, and qemu takes it for raw",
            "Run vhd-util revert with the journal of that resize; without it take the disk from a backup.",
            at,
        )
    elif not footer.sound:
        yield error(
            f"{part}.checksum",
            f"the footer at {place} has the checksum {footer.checksum:#010x}, which its bytes do not have",
            "vhd-util check refuses the disk" + ("" if part == "footer" else ", and qemu does not open it"),
            _REPAIR,
            at,
        )


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
        yield error(
            "footer.uuid",
            "the uuid is null",
            "vhd-util check refuses the disk until a repair gives it a new one, which no child then refers to",
            offset=at + 68,
        )


def _check_constants(footer: layout.Footer, at: int) -> Iterator[Finding]:
    known = layout.FEATURES_RESERVED | layout.FEATURES_TEMPORARY
    if not footer.features & layout.FEATURES_RESERVED or footer.features & ~known:
        yield error(
            "footer.features",
            f"the features are {footer.features:#x}, expected 0x2",
            "vhd-util check refuses the disk, and os-xenapi with it",
            offset=at + 8,
        )
    elif footer.features & layout.FEATURES_TEMPORARY:
        yield warning(
            "footer.temporary",
            "the features call the disk temporary",
            "Windows programs may delete it; blktap does not care",
            offset=at + 8,
        )
    if footer.format_version != layout.FORMAT_VERSION:
        yield error(
            "footer.version",
            f"the format version is {footer.format_version:#010x}, expected {layout.FORMAT_VERSION:#010x}",
            "vhd-util check and XAPI refuse the disk",
            offset=at + 12,
        )
    if footer.reserved.strip(b"\0"):
        visible = any(footer.reserved[1:])
        report = error if visible else warning
        yield report(
            "footer.reserved",
            f"reserved bytes are set, the first at byte {86 + _first(footer.reserved)}",
            "vhd-util check refuses the disk" if visible else "blktap never looks at this byte; other readers may",
            offset=at + 86 + _first(footer.reserved),
        )


def _first(data: bytes) -> int:
    return len(data) - len(data.lstrip(b"\0"))


def _check_type(footer: layout.Footer, at: int) -> Iterator[Finding]:
    if footer.type not in layout.TYPE_NAMES:
        yield error(
            "footer.type",
            f"the disk type is {footer.type}, expected 3 (dynamic) or 4 (differencing)",
            "tapdisk crashes on the first access",
            offset=at + 60,
        )
    elif footer.type == layout.FIXED:
        yield error(
            "footer.fixed",
            "the disk is of the fixed type",
            "import_vhds of os-xenapi ends in an IndexError, XAPI cannot import it, and it can never grow",
            "Convert it: xenimage bundle create makes a dynamic disk of it.",
            at + 60,
        )
        if footer.data_offset != layout.NO_OFFSET:
            yield error(
                "footer.data_offset",
                f"the data offset of a fixed disk is {footer.data_offset:#x}, expected all ones",
                "vhd-util check refuses the disk",
                offset=at + 16,
            )
    elif footer.data_offset != layout.FOOTER_SIZE:
        yield warning(
            "footer.data_offset",
            f"the header stands at {footer.data_offset:#x}, expected 0x200",
            "Xen Orchestra and XAPI's file reader look for it at 0x200 only",
            offset=at + 16,
        )


def _check_geometry(footer: layout.Footer, at: int) -> Iterator[Finding]:
    if not footer.current_size:
        return
    allowed = geometry(footer.current_size)
    present = unpack(footer.geometry)
    if present.packed > allowed.packed:
        yield error(
            "footer.geometry",
            f"the geometry {present} is larger than the disk's, {allowed}",
            "vhd-util check says 'geometry too large' and os-xenapi refuses the import; qemu-img with force_size"
            " writes such disks",
            f"Set the geometry to {allowed} in both footers, or convert the disk with xenimage.",
            at + 56,
        )
    elif present.packed == 0:
        yield warning(
            "footer.geometry_zero",
            "the geometry is 0/0/0",
            "readers that compute the size from the geometry see an empty disk",
            offset=at + 56,
        )
    elif present.size < footer.current_size and footer.creator not in _SIZE_BY_CURRENT and present.packed != 0xFFFF10FF:
        yield warning(
            "footer.geometry_short",
            f"the geometry {present} spans {present.size} bytes, the disk {footer.current_size}",
            f"qemu up to 9.2 believes the geometry of the creator {footer.creator_text!r}: the last"
            f" {format_size(footer.current_size - present.size)} are lost on conversion",
            offset=at + 56,
        )


def _check_flags(footer: layout.Footer, at: int) -> Iterator[Finding]:
    if footer.saved > 1:
        yield error(
            "footer.saved",
            f"the saved state is {footer.saved}, expected 0",
            "vhd-util check refuses the disk",
            offset=at + 84,
        )
    elif footer.saved:
        yield warning(
            "footer.saved",
            "the disk calls itself part of a saved state",
            "Virtual PC would resume it; XenServer ignores the flag",
            offset=at + 84,
        )
    if footer.hidden > 1:
        yield error(
            "footer.hidden",
            f"the hidden byte is {footer.hidden}, expected 0 or 1",
            "vhd-util check refuses the disk",
            offset=at + 85,
        )


def _check_timestamp(footer: layout.Footer, at: int, now: int) -> Iterator[Finding]:
    stamp = footer.timestamp + layout.EPOCH
    if stamp <= now + CLOCK_SLACK:
        return
    shown = datetime.datetime.fromtimestamp(stamp, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
    in_unix = layout.EPOCH <= footer.timestamp <= now + CLOCK_SLACK
    yield error(
        "footer.timestamp",
        f"the disk was made in the future, on {shown} UTC",
        "vhd-util check says 'creation time in future' and os-xenapi refuses the import",
        "The field counts from 1970, as Xen Orchestra writes it: subtract 946684800 from it in both footers."
        if in_unix
        else "Set the clock of the machine that made it, and make it again.",
        at + 24,
    )


def check_role(tables: Tables, role: str) -> Iterator[Finding]:
    """Judge the hidden flag for the disk's place in its chain: ``leaf``, ``middle``, ``base`` or ``only``."""
    footer = tables.footer
    if footer is None or footer.hidden > 1:
        return
    top = role in ("leaf", "only")
    if top and footer.hidden:
        yield error(
            "footer.hidden_leaf",
            "the disk is marked as hidden",
            "os-xenapi refuses it: 'marked as hidden without child'",
            "Run vhd-util set -f hidden -v 0 on it.",
            tables.footer_at + 85,
        )
    elif not top and not footer.hidden:
        yield warning(
            "footer.unhidden",
            "a disk below the leaf is not marked as hidden",
            "when the VM is deleted, the garbage collection of XenServer leaves it behind as an orphan",
            "Run vhd-util set -f hidden -v 1 on it.",
            tables.footer_at + 85,
        )
