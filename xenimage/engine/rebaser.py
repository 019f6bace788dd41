"""Link a differencing VHD to its parent, after proof that it is the one: over another parent it reads as garbage."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import uuid as uuids
from typing import TYPE_CHECKING

from xenimage.engine.samefile import same_file
from xenimage.exceptions import FormatError, UnsafeError, UnsupportedError, UsageError, XenimageError
from xenimage.formats import registry
from xenimage.formats.vhd import layout, locators
from xenimage.formats.vhd.check import check_vhd
from xenimage.formats.vhd.checks.findings import found
from xenimage.formats.vhd.editing.disk import open_editable
from xenimage.formats.vhd.editing.parent import Link, locator_path, set_parent
from xenimage.formats.vhd.reader import open_vhd
from xenimage.model.report import RebaseReport
from xenimage.sources.file import open_file
from xenimage.sources.inplace import open_inplace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from xenimage.formats.vhd.editing.disk import EditableVhd
    from xenimage.formats.vhd.reader import VhdDisk
    from xenimage.limits import Limits
    from xenimage.model.finding import Finding
    from xenimage.model.plan import RebaseOptions

_NONE = bytes(16)
_VHD = "vhd"
_BY_QEMU = dict.fromkeys(("qcow2", "QED"), "Use: qemu-img rebase, with -u to change the link alone.")
_MEND_FIRST = "If it is a damaged VHD, mend it first: xenimage disk repair FILE."


def rebase(options: RebaseOptions, limits: Limits, now: int) -> RebaseReport:
    """Link the VHD that *options* name to their parent. Nothing but the link is written.

    :param now: Unix seconds.
    :raises UsageError: the two are one file, or there is no such file.
    :raises UnsafeError: nothing proves that it is the parent, and that was not forced; or the parent is its child.
    :raises UnsupportedError: one of them is no VHD, or the child no differencing one; the path is not ASCII, or too
        long.
    :raises FormatError: one of the disks is damaged.
    :raises TransferError: the file could not be written.
    """
    if same_file(options.path, options.parent):
        raise UsageError("is the same file as its parent", expected="two disks", where=options.path)
    _require_vhd(options.path, limits, "a differencing VHD: only these are linked here", _BY_QEMU)
    parent_uuid, parent_size = (_NONE, 0) if options.raw else _identity(options, limits)
    with contextlib.closing(open_inplace(options.path)) as file:
        try:
            disk = open_editable(file, limits)
        except (FormatError, UnsupportedError) as error:
            error.tip = error.tip or _MEND_FIRST
            raise error.within(options.path) from error.__cause__
        header = disk.dynamic_header
        if disk.footer.type != layout.DIFFERENCING:
            kind = layout.TYPE_NAMES[disk.footer.type]
            raise UnsupportedError(f"the disk is {kind}", expected="a differencing one", where=options.path)
        proven = header.parent_uuid == parent_uuid
        doubts = tuple(_doubts(options, header.parent_uuid, parent_uuid, disk.footer.current_size, parent_size))
        if not proven and not options.force:
            raise _unproven(options, header.parent_uuid, parent_uuid)
        link = Link(
            path=locators.relative_path(options.path, options.parent),
            uuid=parent_uuid,
            timestamp=min(int(os.stat(options.parent).st_mtime), now),
        )
        report = RebaseReport(
            path=options.path,
            parent=options.parent,
            stored_path=link.path,
            uuid=_text(parent_uuid),
            old_uuid=_text(header.parent_uuid),
            old_name=header.parent_name_text,
            proven=proven,
            created=not _usable(disk, link.path),
            written=not options.dry_run,
            findings=doubts,
        )
        if options.dry_run:
            locators.encode_locators(link.path, 0)
            return report
        created = _link(disk, link, create=report.created)
        checked = tuple(check_vhd(file, limits, now=now, role="leaf"))
        return dataclasses.replace(report, created=created, findings=(*doubts, *checked))


def _require_vhd(path: str, limits: Limits, expected: str, tips: Mapping[str, str]) -> None:
    """Refuse what is of another format; a file that shows none may be a VHD that lost its footers.

    :param tips: what else to do with it, by its format.
    """
    with contextlib.closing(open_file(path)) as source:
        names = [each.name for each in registry.shown(source, limits)]
    if names and _VHD not in names:
        tip = tips.get(names[0], "")
        raise UnsupportedError(f"is of the format {names[0]}", expected=expected, where=path, tip=tip)


def _identity(options: RebaseOptions, limits: Limits) -> tuple[bytes, int]:
    """The parent's uuid and size, as a VHD that can be read."""
    path = options.parent
    _require_vhd(path, limits, "a VHD, or a raw disk with --raw", {})
    with contextlib.closing(open_file(path)) as source:
        try:
            disk = open_vhd(source, limits)
        except FormatError as error:
            error.tip = "Is it a raw disk? Say so with --raw. If it is a damaged VHD: xenimage disk repair FILE."
            raise
        reason = disk.unreadable()
        if reason is not None:
            raise reason
        _refuse_circle(disk, options, limits)
        return disk.footer.uuid, disk.facts.virtual_size


def _refuse_circle(parent: VhdDisk, options: RebaseOptions, limits: Limits) -> None:
    """Refuse a parent that is the child of its child. Longer circles are left to the checks of a chain."""
    if parent.header is None or parent.footer.type != layout.DIFFERENCING:
        return
    child = b""
    with contextlib.closing(open_file(options.path)) as source, contextlib.suppress(XenimageError):
        child = open_vhd(source, limits).footer.uuid  # a damaged one is refused later
    if any(child) and parent.header.parent_uuid == child:
        message = f"names {options.path} as its own parent"
        raise UnsafeError(message, expected="a parent below it, or a base", where=options.parent)


def _doubts(options: RebaseOptions, wanted: bytes, given: bytes, size: int, parent_size: int) -> Iterator[Finding]:
    if wanted != given:
        yield found(
            "parent.forced",
            where=options.path,
            parent=options.parent,
            uuid=_text(given) or "raw",
            wanted=_text(wanted) or "a raw disk",
        )
    if size < parent_size:
        yield found("parent.larger", where=options.path, size=size, parent=options.parent, parent_size=parent_size)


def _unproven(options: RebaseOptions, wanted: bytes, given: bytes) -> UnsafeError:
    found_one = _text(given) or "taken for a raw one"
    return UnsafeError(
        f"its parent is {_text(wanted) or 'a raw disk'}, but {options.parent} is {found_one}",
        expected="the parent that the disk was made on",
        where=options.path,
        tip="Look for the right file. If you know that this one holds the same, use --force.",
    )


def _usable(disk: EditableVhd, path: str) -> bool:
    """Whether all locators are of the three kinds, once each, can be read, and have room for *path*."""
    slots = [each for each in disk.dynamic_header.locators if each != layout.Locator()]
    codes = [each.code for each in slots]
    if not codes or len(set(codes)) != len(codes) or not set(codes) <= set(locators.WRITTEN):
        return False
    sound = all(each.reserved == 0 and locator_path(disk.file, each) is not None for each in slots)
    return sound and all(len(locators.encode(each.code, path)) <= each.space for each in slots)


def _link(disk: EditableVhd, link: Link, *, create: bool) -> bool:
    """Write the link; whether locators had to be created for it."""
    if not create:
        try:
            set_parent(disk, link)
            return False
        except FormatError:  # a locator whose place is not its own: nothing was written yet
            pass
    set_parent(disk, link, create=True)
    return True


def _text(uuid: bytes) -> str:
    return str(uuids.UUID(bytes=uuid)) if any(uuid) else ""
