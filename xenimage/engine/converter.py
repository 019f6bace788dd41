"""Write a disk anew: raw with holes, a VHD without a bundle around it, qcow2, VMDK."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, NamedTuple

from xenimage.engine.conversion import FIXED, new_fixed, new_qcow2, new_vhd, new_vmdk
from xenimage.engine.diskfiles import write_vhd, write_vmdk
from xenimage.engine.flattening import flatten
from xenimage.engine.passes import ContentId, Passes, random_uuid
from xenimage.engine.samefile import refuse_output
from xenimage.formats.qcow2.writer import Qcow2Writer, Run
from xenimage.formats.vhd.layout import BLOCK_SIZE
from xenimage.formats.vhd.writer import BITMAP
from xenimage.model.report import ConvertReport
from xenimage.sinks.file import FileSink, check_target
from xenimage.streams.zeros import data_units
from xenimage.units import KIB

if TYPE_CHECKING:
    from collections.abc import Callable

    from xenimage.containers.bundle.forward import Forward
    from xenimage.model.disk import Disk
    from xenimage.model.plan import ConvertOptions, ConvertPlan
    from xenimage.model.transfer import Progress

_HOLE = 64 * KIB
"""bytes: smaller runs of zeros are written out, to keep files from falling into crumbs"""


class _Job(NamedTuple):
    plan: ConvertPlan
    passes: Passes
    sink: FileSink


def check_output(options: ConvertOptions) -> None:
    """Refuse, before anything is opened, an output that could not be written in the end.

    :raises UsageError: it is a named source, exists already, or has no directory.
    """
    for path in (options.source.path, *options.source.backing):
        refuse_output(options.output, path)
    check_target(options.output, force=options.force)


def convert(
    disk: Disk, plan: ConvertPlan, progress: Progress, prove: Callable[[], None] | None = None
) -> ConvertReport:
    """Write *disk* as *plan* says.

    :param prove: called when all was read, before the output gets its name: what it raises ends the matter.
    :raises UsageError: the output may not be replaced.
    :raises UnsupportedError: the file becomes larger than its format can say.
    :raises TransferError: the output cannot be written; nothing is left of it.
    """
    passes = Passes(disk=disk, ranges=plan.blocks, jobs=plan.jobs, progress=progress)
    write = _write_fixed if plan.subformat == FIXED else _WRITERS[plan.options.format]

    def run(sink: FileSink) -> int:
        stored = write(_Job(plan, passes, sink))
        if prove is not None:
            prove()
        return stored

    return _finished(plan, run)


def convert_passing(forward: Forward, plan: ConvertPlan, progress: Progress) -> ConvertReport:
    """Write the disk in a bundle as a raw file, each sector at its place as it comes by.

    :raises NotForwardError: the bundle cannot be read in one pass; nothing is left of the output.
    Else as :func:`convert`.
    """

    def run(sink: FileSink) -> int:
        stored = flatten(forward, plan.virtual_size, plan.jobs, progress, functools.partial(_put, sink))
        sink.skip(plan.virtual_size)
        return stored

    return _finished(plan, run)


def _finished(plan: ConvertPlan, run: Callable[[FileSink], int]) -> ConvertReport:
    """Let *run* write, and give what it wrote its name; it returns the guest bytes that are stored."""
    started = time.monotonic()
    options = plan.options
    sink = FileSink(options.output, force=options.force, temporary=options.temporary)
    try:
        stored = run(sink)
        sink.flush()
        sink.commit()
        output_size = sink.size
    finally:
        sink.close()
    return ConvertReport(
        path=options.output,
        format=options.format,
        subformat=plan.subformat,
        compression=plan.compression,
        cluster_size=plan.cluster_size,
        virtual_size=plan.virtual_size,
        chs_size=plan.chs_size,
        source_size=plan.source.virtual_size,
        source_chs_size=plan.source.chs_size,
        data_size=stored,
        output_size=output_size,
        seconds=time.monotonic() - started,
        needs=plan.needs,
        findings=plan.findings,
        free=plan.free,
    )


def _put(sink: FileSink, offset: int, buffer: bytearray, low: int, high: int) -> int:
    """Write what is not zero of a range of *buffer* to its place from *offset* on. Bytes written."""
    view = memoryview(buffer)
    written = 0
    for first, stop in data_units(buffer, low, _HOLE, high):
        part = view[low + first * _HOLE : min(low + stop * _HOLE, high)]
        sink.patch(offset + first * _HOLE, part)
        written += len(part)
    return written


def _write_raw(job: _Job, identity: ContentId | None = None) -> int:
    """Every byte at its place, holes where it is zero; threads write by themselves. Bytes written."""
    sink, size = job.sink, job.plan.source.virtual_size

    def put(number: int, block: bytearray) -> int:
        start = number * BLOCK_SIZE
        return _put(sink, start, block, len(BITMAP), len(BITMAP) + min(BLOCK_SIZE, size - start))

    stored = 0
    for block in job.passes.blocks("raw", put, marked=identity is not None):
        # What is behind us is done: the sink sets the disk to work on it.
        sink.skip(min((block.number + 1) * BLOCK_SIZE, size) - sink.size)
        stored += block.packed
        if identity is not None:
            identity.add(block.number, block.mark)
    sink.skip(job.plan.virtual_size - sink.size)
    return stored


def _write_fixed(job: _Job) -> int:
    """The same, and a footer behind it. Bytes written."""
    vhd = new_fixed(job.plan)
    identity = ContentId(b"fixed vhd", vhd.virtual_size, vhd.timestamp)
    stored = _write_raw(job, identity)
    job.sink.write([vhd.footer(random_uuid() if job.plan.options.random_uuid else identity.uuid())])
    return stored


def _write_vhd(job: _Job) -> int:
    """The VHD that a bundle would hold. Guest bytes stored."""
    return write_vhd(job.passes, new_vhd(job.plan), job.sink, random=job.plan.options.random_uuid)


def _write_qcow2(job: _Job) -> int:
    """Clusters that are not all zeros, plain or compressed. Guest bytes stored."""
    new = new_qcow2(job.plan)
    writer = Qcow2Writer(job.sink, new)

    def pack(number: int, block: bytearray) -> list[Run]:
        return new.pack(block, len(BITMAP), number * BLOCK_SIZE)

    for block in job.passes.blocks("qcow2", pack, marked=False):
        writer.add(block.packed)
    writer.finish()
    return writer.stored


def _write_vmdk(job: _Job) -> int:
    """Grains that are not all zeros, deflated. Guest bytes stored."""
    return write_vmdk(job.passes, new_vmdk(job.plan), job.sink, random=job.plan.options.random_uuid)


_WRITERS: dict[str, Callable[[_Job], int]] = {
    "raw": _write_raw,
    "vhd": _write_vhd,
    "qcow2": _write_qcow2,
    "vmdk": _write_vmdk,
}
