"""Write a disk anew: raw with holes, or a VHD without a bundle around it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from xenimage.engine.mapper import map_blocks
from xenimage.engine.passes import Passes, content_uuid, random_uuid
from xenimage.engine.planner import clamp_time, decide_jobs, target_size
from xenimage.exceptions import UsageError
from xenimage.formats.vhd.layout import BLOCK_SIZE
from xenimage.formats.vhd.writer import BITMAP, GAP, NewVhd
from xenimage.model.report import ConvertReport
from xenimage.sinks.file import FileSink
from xenimage.units import KIB

if TYPE_CHECKING:
    from xenimage.limits import Limits
    from xenimage.model.disk import Disk
    from xenimage.model.plan import ConvertOptions
    from xenimage.model.transfer import Progress

FORMATS = ("raw", "vhd")
_HOLE = 64 * KIB
"""bytes: smaller runs of zeros are written out, to keep files from falling into crumbs"""


def convert(disk: Disk, options: ConvertOptions, jobs: int, limits: Limits, progress: Progress) -> ConvertReport:
    """Write *disk* to the output that *options* name.

    :raises UsageError: a format that cannot be written, no thread at all, or an output that may not be replaced.
    :raises TransferError: the output cannot be written; nothing is left of it.
    """
    if options.format not in FORMATS:
        raise UsageError(f"cannot write {options.format!r}", expected=" or ".join(FORMATS))
    if options.output == "-":
        raise UsageError("a converted disk cannot go to standard output", expected="a file")
    started = time.monotonic()
    threads = decide_jobs(options.jobs, jobs)
    passes = Passes(disk=disk, ranges=map_blocks(disk, limits).ranges, jobs=threads, progress=progress)
    sink = FileSink(options.output, force=options.force)
    try:
        size, stored = _write_raw(passes, sink) if options.format == "raw" else _write_vhd(passes, sink, options)
        sink.flush()
        sink.commit()
        output_size = sink.size
    finally:
        sink.close()
    return ConvertReport(
        path=options.output,
        format=options.format,
        virtual_size=size,
        data_size=stored,
        output_size=output_size,
        seconds=time.monotonic() - started,
        findings=disk.facts.findings,
    )


def _write_raw(passes: Passes, sink: FileSink) -> tuple[int, int]:
    """Every byte at its place, holes where it is zero; threads write by themselves. Virtual size and bytes written."""
    size = passes.disk.facts.virtual_size
    zeros = bytes(_HOLE)

    def put(number: int, block: bytearray) -> int:
        data = memoryview(block)[len(BITMAP) :][: size - number * BLOCK_SIZE]
        written = 0
        for start in range(0, len(data), _HOLE):
            part = bytes(data[start : start + _HOLE])
            if part != zeros[: len(part)]:
                sink.patch(number * BLOCK_SIZE + start, part)
                written += len(part)
        return written

    stored = sum(block.packed for block in passes.blocks("raw", put))
    sink.skip(size)
    return size, stored


def _write_vhd(passes: Passes, sink: FileSink, options: ConvertOptions) -> tuple[int, int]:
    """The VHD that a bundle would hold. Virtual size and guest bytes stored."""
    vhd = NewVhd(
        virtual_size=target_size(passes.disk.facts.virtual_size),
        timestamp=clamp_time(options.timestamp, int(time.time())),
    )
    sink.skip(vhd.head_size)
    marks: list[tuple[int, bytes]] = []
    for block in passes.blocks("vhd", lambda _number, data: bytes(data)):
        sink.skip(GAP if marks else vhd.first_block - vhd.head_size)
        sink.write([block.packed])
        marks.append((block.number, block.mark))
    uuid = random_uuid() if options.random_uuid else content_uuid(vhd, marks)
    sink.write([vhd.footer(uuid)])
    sink.patch(0, vhd.head(uuid, [number for number, _ in marks]))
    return vhd.virtual_size, len(marks) * BLOCK_SIZE
