"""Repair a VHD: read what is there, lay it out afresh in a new file, and check that before it gets its name."""

from __future__ import annotations

import contextlib
import dataclasses
import time
import uuid as uuids
from typing import TYPE_CHECKING

from xenimage.engine.checker import merge_findings
from xenimage.engine.layers import ChildPasses
from xenimage.engine.mapper import map_blocks
from xenimage.engine.mendings import mendings
from xenimage.engine.passes import Passes, content_uuid
from xenimage.engine.planner import clamp_time, decide_jobs, target_size
from xenimage.engine.samefile import refuse_output
from xenimage.exceptions import NotReadyError
from xenimage.formats.vhd import layout
from xenimage.formats.vhd.check import check_vhd
from xenimage.formats.vhd.checks.findings import found
from xenimage.formats.vhd.salvage.fields import mend_parent, mend_time
from xenimage.formats.vhd.salvage.reader import open_salvaged
from xenimage.formats.vhd.writer import GAP, NewVhd
from xenimage.model.finding import Severity
from xenimage.model.report import RepairReport
from xenimage.sinks.file import FileSink, check_target
from xenimage.sources.file import FileSource, open_file
from xenimage.units import format_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from xenimage.engine.mapper import BlockMap
    from xenimage.formats.vhd.check import Role
    from xenimage.formats.vhd.salvage.reader import SalvagedDisk
    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource
    from xenimage.model.finding import Finding
    from xenimage.model.plan import RepairOptions
    from xenimage.model.report import LostRange
    from xenimage.model.transfer import Progress

_ACCEPT = "Look for a better copy of the file; if there is none, repair it with --accept-loss."
_LISTED = 16
"""lost ranges that a message lists; the report has all"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Work:
    """A damaged disk, and the new one that is to be made of it."""

    disk: SalvagedDisk
    vhd: NewVhd
    parent_uuid: bytes
    notes: tuple[str, ...]

    @property
    def role(self) -> Role:
        """What the new disk is checked as: nobody says whether it has children, so it has none unless hidden."""
        if self.vhd.parent:
            return "middle" if self.vhd.hidden else "leaf"
        return "base" if self.vhd.hidden else "only"


def repair(options: RepairOptions, jobs: int, limits: Limits, progress: Progress, now: int) -> RepairReport:
    """Write the VHD that *options* name anew.

    :param jobs: threads to use where the options do not say.
    :param now: Unix seconds; no timestamp may lie behind it.
    :raises UsageError: an output that may not be replaced.
    :raises NotReadyError: parts of the disk are lost, and that was not accepted; or the new file is not sound.
    :raises XenimageError: see :func:`xenimage.formats.vhd.salvage.reader.open_salvaged`.
    """
    started = time.monotonic()
    refuse_output(options.output, options.path)
    check_target(options.output, force=options.force)
    with contextlib.closing(open_file(options.path)) as source:
        disk = open_salvaged(source, limits, size=options.size)
        work = prepare(disk, source, options, now)
        before = (*check_vhd(source, limits, now=now, role=work.role), *merge_findings(options.path))
        blocks = map_blocks(disk, limits, child=work.vhd.parent is not None)
        report = RepairReport(
            source=options.path,
            path=options.output,
            written=False,
            in_place=False,
            variant="differencing" if work.vhd.parent else "dynamic",
            uuid=uuid_text(disk.footer.uuid),
            virtual_size=work.vhd.virtual_size,
            data_size=blocks.blocks * layout.BLOCK_SIZE,
            output_size=0,
            seconds=0,
            before=before,
            mendings=mendings(before, ()),
            notes=work.notes,
            lost=disk.lost,
            after=(),
        )
        if options.dry_run:
            return report
        if disk.lost and not options.accept_loss:
            raise loss_error(disk.lost, options.path)
        means = _Means(decide_jobs(options.jobs, jobs), limits, progress, now)
        return dataclasses.replace(_make(work, options, blocks, report, means), seconds=time.monotonic() - started)


@dataclasses.dataclass(frozen=True)
class _Means:
    jobs: int
    limits: Limits
    progress: Progress
    now: int


def prepare(disk: SalvagedDisk, source: ByteSource, options: RepairOptions, now: int) -> Work:
    """Decide what the new disk looks like: all but its blocks, and its uuid if it had none."""
    footer, header = disk.footer, disk.header
    otherwise = clamp_time(options.timestamp, now)
    parent, note, parent_uuid = None, "", bytes(16)
    if header is not None and footer.type == layout.DIFFERENCING:
        parent, note = mend_parent(source, header, now=now, otherwise=otherwise)
        parent_uuid = header.parent_uuid
    vhd = NewVhd(
        virtual_size=target_size(disk.facts.virtual_size),
        timestamp=mend_time(footer.timestamp, now, otherwise),
        parent=parent,
        hidden=options.keep_hidden and footer.hidden != 0,
    )
    notes = [*disk.notes, note] if note else list(disk.notes)
    if parent and not any(parent_uuid):
        notes.append("the parent's uuid is null, which means that the parent is raw; if it is a VHD, relink the disk")
    if footer.hidden and not vhd.hidden:
        notes.append("the disk was hidden, as one with children is; it is not any more (--keep-hidden keeps it so)")
    return Work(disk=disk, vhd=vhd, parent_uuid=parent_uuid, notes=tuple(notes))


def _make(work: Work, options: RepairOptions, blocks: BlockMap, report: RepairReport, means: _Means) -> RepairReport:
    sink = FileSink(options.output, force=options.force)
    try:
        uuid, stored = _write(work, sink, blocks, means)
        sink.flush()
        source = FileSource(sink.duplicate(), options.output)
        with contextlib.closing(source):
            after = tuple(check_vhd(source, means.limits, now=means.now, role=work.role))
        require_sound(after, options.output)
        sink.commit()
        output_size = sink.size
    finally:
        sink.close()
    return dataclasses.replace(
        report,
        written=True,
        uuid=uuid_text(uuid),
        data_size=stored * layout.BLOCK_SIZE,
        output_size=output_size,
        mendings=mendings(report.before, after),
        after=after,
    )


def _write(work: Work, sink: FileSink, blocks: BlockMap, means: _Means) -> tuple[bytes, int]:
    """Write the new file; its uuid and the number of its blocks."""
    vhd = work.vhd
    sink.skip(vhd.head_size)
    marks: list[tuple[int, bytes]] = []
    partial: list[int] = []
    for number, mark, full, packed in _blocks(work, blocks, means):
        sink.skip(GAP if marks else vhd.first_block - vhd.head_size)
        sink.write([packed])
        marks.append((number, mark))
        if not full:
            partial.append(number)
    old = work.disk.footer.uuid
    uuid = old if any(old) else content_uuid(vhd, marks, work.parent_uuid)
    sink.write([vhd.footer(uuid)])
    head = vhd.head(uuid, [number for number, _ in marks], partial=partial, parent_uuid=work.parent_uuid)
    sink.patch(0, head)
    return uuid, len(marks)


def _blocks(work: Work, blocks: BlockMap, means: _Means) -> Iterator[tuple[int, bytes, bool, bytes]]:
    """Yield number, fingerprint, whether the bitmap is all ones, and the bytes of each block."""
    if work.vhd.parent is None:
        passes = Passes(disk=work.disk, ranges=blocks.ranges, jobs=means.jobs, progress=means.progress)
        for block in passes.blocks("repair", lambda _number, data: bytes(data)):
            yield block.number, block.mark, True, block.packed
        return
    children = ChildPasses(child=work.disk, ranges=blocks.ranges, jobs=means.jobs, progress=means.progress)
    for each in children.blocks("repair", bytes):
        yield each.number, each.mark, each.full, each.packed


def uuid_text(uuid: bytes) -> str:
    """A uuid as people write it; nothing for a null one."""
    return str(uuids.UUID(bytes=uuid)) if any(uuid) else ""


def require_sound(findings: Sequence[Finding], path: str) -> None:
    """Give no name to a file that the check would refuse.

    :raises NotReadyError: with all *findings*, if one of them is an error.
    """
    if any(each.severity is Severity.ERROR for each in findings):
        raise NotReadyError("the repaired disk is not sound", findings=findings, where=path)


def loss_error(lost: Sequence[LostRange], path: str, tip: str = _ACCEPT) -> NotReadyError:
    """The refusal to write a disk without its lost parts, as long as nobody has accepted that."""
    size = sum(each.length for each in lost)
    shown = [lost_finding(each, path) for each in lost[:_LISTED]]
    more = f", {len(lost) - _LISTED} more than listed" if len(lost) > _LISTED else ""
    return NotReadyError(
        f"{format_size(size)} in {len(lost)} range{'s' if len(lost) > 1 else ''} are lost or in doubt{more}",
        findings=shown,
        where=path,
        tip=tip,
    )


def lost_finding(lost: LostRange, path: str) -> Finding:
    """A lost range as a finding."""
    return found("lost", length=lost.length, start=lost.offset, reason=lost.why, where=path)
