"""A chain written anew as a chain: qcow2 images, each over the one below it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from typing import TYPE_CHECKING

from xenimage.engine.layers import layered
from xenimage.engine.mapper import map_blocks
from xenimage.engine.passes import Passes, in_order
from xenimage.engine.planner import decide_jobs
from xenimage.engine.samefile import refuse_output
from xenimage.exceptions import UsageError
from xenimage.formats.base import clear
from xenimage.formats.overlay import Overlay
from xenimage.formats.qcow2.writer import CLUSTER, NewQcow2, Qcow2Writer, Run
from xenimage.formats.vhd.layout import BLOCK_SIZE
from xenimage.formats.vhd.writer import BITMAP
from xenimage.model.extent import Kind
from xenimage.model.plan import COMPRESSIONS
from xenimage.model.report import LayersPlan, LayersReport, PlannedLayer, WrittenLayer
from xenimage.sinks.file import FileSink, make_directory
from xenimage.units import SECTOR, round_up

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.engine.layers import View
    from xenimage.engine.opener import Chain
    from xenimage.limits import Limits
    from xenimage.model.disk import Disk
    from xenimage.model.plan import ConvertOptions
    from xenimage.model.transfer import Progress


@dataclasses.dataclass(frozen=True)
class _Part:
    """Neighbouring clusters that a layer holds something of."""

    first: int
    count: int
    runs: list[Run]
    """those that are not all zeros"""


def layer_names(count: int) -> list[str]:
    """What the files of a chain are called, the leaf first."""
    return ["leaf.qcow2", *(f"layer{number}.qcow2" for number in range(count - 2, 0, -1)), "base.qcow2"]


def convert_layers(
    chain: Chain, options: ConvertOptions, jobs: int, limits: Limits, progress: Progress
) -> LayersReport:
    """Write each disk of *chain* as a qcow2 into the directory that *options* name. All of them appear, or none.

    A cluster of which a layer holds only a part is completed from below, as QEMU does when it copies on write.

    :raises UsageError: another format than qcow2, a directory that cannot be made, files that are there already, or
        that are sources.
    :raises TransferError: a source failed, or a file cannot be written.
    """
    started = time.monotonic()
    threads = decide_jobs(options.jobs, jobs)
    _require_layers(chain, options)
    made = make_directory(options.output)
    with contextlib.ExitStack() as stack:
        if made:
            stack.callback(_remove_empty, options.output)
        sinks = []
        for name in layer_names(len(chain.disks)):
            sink = FileSink(os.path.join(options.output, name), force=options.force)
            stack.callback(sink.close)
            sinks.append(sink)
        names = [*(os.path.basename(sink.name) for sink in sinks[1:]), ""]
        stored = []
        for view, sink, below in zip(layered(chain.disks), sinks, names, strict=True):
            new = NewQcow2(
                virtual_size=round_up(view.disk.facts.virtual_size, SECTOR),
                cluster_size=options.cluster_size or CLUSTER,
                compression=options.compression or COMPRESSIONS[0],
                backing_name=below,
                backing_format="qcow2" if below else "",
            )
            ranges = map_blocks(view.disk, limits, child=view.below is not None).ranges
            stored.append(_Job(view, new, ranges, threads, progress, name=os.path.basename(sink.name)).write(sink))
            sink.flush()
        for sink in reversed(sinks):
            sink.commit()
    return LayersReport(
        directory=options.output,
        layers=tuple(
            WrittenLayer(
                path=sink.name, source=path, virtual_size=disk.facts.virtual_size, data_size=size, output_size=sink.size
            )
            for sink, path, disk, size in zip(sinks, chain.labels, chain.disks, stored, strict=True)
        ),
        seconds=time.monotonic() - started,
    )


def plan_layers(chain: Chain, options: ConvertOptions, limits: Limits) -> LayersPlan:
    """Tell what :func:`convert_layers` would write.

    :raises UsageError: a chain of one, or a file to write is a source.
    """
    _require_layers(chain, options)
    names = layer_names(len(chain.disks))
    return LayersPlan(
        directory=options.output,
        layers=tuple(
            PlannedLayer(
                path=os.path.join(options.output, name),
                source=path,
                virtual_size=view.disk.facts.virtual_size,
                data_size=map_blocks(view.disk, limits, child=view.below is not None).blocks * BLOCK_SIZE,
            )
            for view, name, path in zip(layered(chain.disks), names, chain.labels, strict=True)
        ),
    )


def _require_layers(chain: Chain, options: ConvertOptions) -> None:
    if len(chain.disks) < 2:
        raise UsageError(
            "has no layers",
            expected="a chain of 2 or more",
            where=options.source.path,
            tip="Name the parents with --backing, or leave out --layers.",
        )
    for name in layer_names(len(chain.disks)):
        for path in {options.source.path, *chain.paths}:
            refuse_output(os.path.join(options.output, name), path)


def _remove_empty(directory: str) -> None:
    with contextlib.suppress(OSError):
        os.rmdir(directory)


def _add(writer: Qcow2Writer, part: _Part) -> None:
    """Store what is not zero; what is zero must say so, lest the image below shows through."""
    at = part.first
    for run in part.runs:
        if run.first > at:
            writer.zero(at, run.first - at)
        writer.add([run])
        at = run.first + (1 if run.packed else len(run.data) // writer.cluster_size)
    if at < part.first + part.count:
        writer.zero(at, part.first + part.count - at)


@dataclasses.dataclass(frozen=True)
class _Job:
    """One layer on its way."""

    view: View
    new: NewQcow2
    ranges: tuple[tuple[int, int], ...]
    jobs: int
    progress: Progress
    name: str

    def write(self, sink: FileSink) -> int:
        """Write the layer; guest bytes stored."""
        writer = Qcow2Writer(sink, self.new)
        if self.view.below is None:
            passes = Passes(disk=self.view.disk, ranges=self.ranges, jobs=self.jobs, progress=self.progress)
            for block in passes.blocks(self.name, self._pack_block, marked=False):
                writer.add(block.packed)
        else:
            for part in self._parts(Overlay(self.view.disk, self.view.below)):
                _add(writer, part)
        writer.finish()
        return writer.stored

    def _pack_block(self, number: int, block: bytearray) -> list[Run]:
        return self.new.pack(block, len(BITMAP), number * BLOCK_SIZE)

    def _parts(self, whole: Disk) -> Iterator[_Part]:
        """Yield what the layer holds something of, completed from below: read, and packed, each in its threads."""

        def read(number: int) -> list[tuple[int, bytearray]]:
            held = _held(self.view.disk, number * BLOCK_SIZE, self.new.cluster_size)
            return [(start, _content(whole, start, stop - start)) for start, stop in held]

        numbers = (number for first, stop in self.ranges for number in range(first, stop))
        self.progress.start(self.name, BLOCK_SIZE * sum(stop - first for first, stop in self.ranges))
        try:
            with (
                contextlib.closing(in_order(read, numbers, 1 if whole.facts.sequential else self.jobs)) as content,
                contextlib.closing(in_order(self._pack_parts, content, self.jobs)) as packed,
            ):
                for parts in packed:
                    yield from parts
                    self.progress.advance(BLOCK_SIZE)
        finally:
            self.progress.stop()

    def _pack_parts(self, parts: list[tuple[int, bytearray]]) -> list[_Part]:
        size = self.new.cluster_size
        return [_Part(start // size, len(data) // size, self.new.pack(data, 0, start)) for start, data in parts]


def _held(child: Disk, offset: int, cluster: int) -> list[tuple[int, int]]:
    """(start, end) of the runs of whole clusters in a block that the child holds something of."""
    there = min(BLOCK_SIZE, child.facts.virtual_size - offset)
    runs: list[tuple[int, int]] = []
    for each in child.extents(offset, there):
        if each.kind is Kind.ABSENT:
            continue
        start, stop = each.offset - each.offset % cluster, round_up(each.end, cluster)
        if runs and start <= runs[-1][1]:
            start = runs.pop()[0]
        runs.append((start, stop))
    return runs


def _content(disk: Disk, offset: int, length: int) -> bytearray:
    buffer = bytearray(length)
    there = max(0, min(length, disk.facts.virtual_size - offset))
    with memoryview(buffer) as view:
        disk.read_into(offset, view[:there])
        clear(view[there:])
    return buffer
