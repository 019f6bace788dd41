"""Mend a VHD where it stands: its two footers and its end, nothing else, and only where that makes it sound.

What will stand in the file is checked before a byte is written, and the replaced bytes are saved first. The order of
the writes leaves a sound footer at one end at least, wherever they are ended.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from typing import TYPE_CHECKING

from xenimage.engine.backup import CUT_MAX, plan_backup, save_backup
from xenimage.engine.checker import merge_findings
from xenimage.engine.mendings import mendings
from xenimage.engine.planner import clamp_time
from xenimage.engine.repairer import loss_error, uuid_text
from xenimage.exceptions import NotReadyError, UnsafeError, UnsupportedError
from xenimage.formats.vhd import layout
from xenimage.formats.vhd.check import check_vhd
from xenimage.formats.vhd.checks.tables import read_tables
from xenimage.formats.vhd.salvage.fields import mend_footer, tables_uuid
from xenimage.formats.vhd.salvage.reader import is_live, open_salvaged, whole_size
from xenimage.model.finding import Severity
from xenimage.model.report import RepairReport
from xenimage.sources.file import open_file
from xenimage.sources.inplace import open_inplace
from xenimage.sources.patched import PatchedSource
from xenimage.units import SECTOR, round_up

if TYPE_CHECKING:
    from xenimage.formats.vhd.check import Role
    from xenimage.formats.vhd.checks.tables import Tables
    from xenimage.formats.vhd.salvage.reader import SalvagedDisk
    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource
    from xenimage.model.finding import Finding
    from xenimage.model.plan import RepairOptions
    from xenimage.sources.inplace import InplaceFile

_OTHER_KINDS = ("vhd.footer.fixed", "vhd.creator.foreign")
"""errors of sound disks that XenServer does not take as they are: nothing that is damaged"""
_ELSEWHERE = "Write it anew: xenimage disk repair FILE --output NEW."


@dataclasses.dataclass(frozen=True, kw_only=True)
class Change:
    """What is to be written."""

    footer: bytes
    end: int
    """where the footer at the end stands"""
    copied: bool
    """whether a copy stands at the start"""
    front_first: bool
    """whether only the footer at the end is sound, so that it must be the last one to be touched"""

    @property
    def size(self) -> int:
        """Bytes of the file afterwards."""
        return self.end + layout.FOOTER_SIZE

    @property
    def patches(self) -> tuple[tuple[int, bytes], ...]:
        """(offset, bytes) of both footers."""
        return ((0, self.footer), (self.end, self.footer)) if self.copied else ((self.end, self.footer),)


def mend(options: RepairOptions, limits: Limits, now: int) -> RepairReport:
    """Mend the VHD that *options* name in place.

    :param now: Unix seconds; no timestamp may lie behind it.
    :raises NotReadyError: it has faults that the footers cannot mend.
    :raises UnsafeError: it looks as if it were in use; or it is no regular file.
    :raises XenimageError: see :func:`xenimage.formats.vhd.salvage.reader.open_salvaged`.
    """
    started = time.monotonic()
    with contextlib.closing(open_file(options.path) if options.dry_run else open_inplace(options.path)) as source:
        disk = open_salvaged(source, limits)
        tables = read_tables(source, limits)
        role = _role(disk, options)
        before = (*check_vhd(source, limits, now=now, role=role), *merge_findings(options.path))
        change = _change(disk, tables, source, options, now)
        after = tuple(check_vhd(PatchedSource(source, change.patches, change.size), limits, now=now, role=role))
        backup = plan_backup(source, change.patches, change.size)
        wanted = any(each.before != each.after for each in backup.ranges)
        _require_mended(after, options.path)
        report = RepairReport(
            source=options.path,
            path=options.path,
            written=wanted and not options.dry_run,
            in_place=True,
            variant=layout.TYPE_NAMES[disk.footer.type],
            uuid=uuid_text(layout.Footer.parse(change.footer).uuid),
            virtual_size=disk.facts.virtual_size,
            data_size=0,
            output_size=change.size,
            seconds=0,
            before=before,
            mendings=mendings(before, after),
            notes=disk.notes,
            lost=(),
            after=after,
        )
        if options.dry_run or not wanted:
            return report
        if not options.force:
            _require_at_rest(tables, before, options.path)
        name = save_backup(backup, options.path)
        apply(source, change)  # type: ignore[arg-type]
        return dataclasses.replace(report, backup=name, seconds=time.monotonic() - started)


def _require_at_rest(tables: Tables, before: tuple[Finding, ...], path: str) -> None:
    """Refuse a disk that somebody else is, or was, in the middle of changing."""
    if is_live(tables):
        raise UnsafeError(
            "looks as if a host had it attached: its last sector is filled with 0xC7",
            expected="a disk at rest",
            where=path,
            tip="If no host uses it, for one that crashed leaves that too, run it again with --force.",
        )
    if any(each.code == "vhd.file.merge" for each in before):
        raise UnsafeError(
            "Xen Orchestra was merging it, and did not end that",
            expected="a disk at rest",
            where=path,
            tip="Let Xen Orchestra finish the merge. If it never will, run it again with --force.",
        )


def _role(disk: SalvagedDisk, options: RepairOptions) -> Role:
    hidden = options.keep_hidden and disk.footer.hidden != 0
    if disk.footer.type == layout.DIFFERENCING:
        return "middle" if hidden else "leaf"
    return "base" if hidden else "only"


def _change(disk: SalvagedDisk, tables: Tables, source: ByteSource, options: RepairOptions, now: int) -> Change:
    if disk.lost:
        raise loss_error(disk.lost, options.path, "Nothing can be mended in place: write it anew with --output.")
    otherwise = clamp_time(options.timestamp, now)
    footer = mend_footer(disk.footer, now=now, otherwise=otherwise, keep_hidden=options.keep_hidden)
    if not any(footer.uuid):
        footer = dataclasses.replace(footer, uuid=tables_uuid(source, disk.header))
    copied = footer.type != layout.FIXED
    end_sound = tables.end is not None and tables.end.sound
    front_sound = tables.front is not None and tables.front.sound and copied
    end = _end(disk, tables, options.path)
    return Change(footer=footer.pack(), end=end, copied=copied, front_first=end_sound and not front_sound)


def _end(disk: SalvagedDisk, tables: Tables, path: str) -> int:
    """Where the footer at the end belongs: where one stands, sound or not; else right behind the data.

    No block is cut, so the file becomes longer by the missing footer at most.
    """
    if tables.end is not None or is_live(tables):
        return round_up(tables.size - tables.behind - len(tables.end_raw), SECTOR)
    end = round_up(max(whole_size(disk), tables.head_end if disk.header else 0), SECTOR)
    if end > tables.size:
        raise NotReadyError(
            f"the file ends at {tables.size:#x}", expected=f"tables up to {end:#x}", where=path, tip=_ELSEWHERE
        )
    if tables.size - end > CUT_MAX:
        raise UnsupportedError(
            f"{tables.size - end} bytes stand behind the data that the tables lead to",
            expected=f"{CUT_MAX} at most, where they are cut",
            where=path,
            tip=_ELSEWHERE,
        )
    return end


def _require_mended(after: tuple[Finding, ...], path: str) -> None:
    left = [each for each in after if each.severity is Severity.ERROR and each.code not in _OTHER_KINDS]
    if left:
        raise NotReadyError("has faults that cannot be mended in place", findings=left, where=path, tip=_ELSEWHERE)


def apply(file: InplaceFile, change: Change) -> None:
    """Write the two footers, each before the next is touched.

    :raises TransferError: the file could not be written.
    """
    if change.front_first:
        _put_front(file, change)
    file.write(change.end, change.footer)
    file.sync()
    if file.size != change.size:
        file.resize(change.size)
        file.sync()
    if not change.front_first:
        _put_front(file, change)


def _put_front(file: InplaceFile, change: Change) -> None:
    if change.copied:
        file.write(0, change.footer)
        file.sync()
