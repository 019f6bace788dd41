"""Do what the plan of a bundle says. No more decisions."""

from __future__ import annotations

import dataclasses
import uuid as uuids
from typing import TYPE_CHECKING

from xenimage.containers.bundle.writer import BundleWriter, Known
from xenimage.engine.passes import Passes, content_uuid, random_uuid
from xenimage.formats.vhd.layout import BLOCK_SIZE
from xenimage.formats.vhd.writer import NewVhd
from xenimage.streams.deflate import deflater

if TYPE_CHECKING:
    from xenimage.containers.bundle.writer import Sink
    from xenimage.model.disk import Disk
    from xenimage.model.plan import Plan
    from xenimage.model.transfer import Progress

LEAF = "0.vhd"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """What was done. Sizes in bytes."""

    uuid: str
    vhd_size: int
    stored: int
    """blocks"""
    zero: int
    """blocks that the source held, and that were all zeros"""
    compressor: str


def run(plan: Plan, disk: Disk, sink: Sink, progress: Progress) -> Outcome:
    """Write the bundle of *plan* from *disk* to *sink*: in one pass if the sink can seek, else after a map pass."""
    vhd = NewVhd(virtual_size=plan.virtual_size, timestamp=plan.timestamp)
    compressor = deflater(plan.options.compression)
    passes = Passes(disk=disk, ranges=plan.blocks, jobs=plan.jobs, progress=progress)
    chosen = random_uuid() if plan.options.random_uuid else None
    writer = BundleWriter(sink, compressor, plan.timestamp)
    known = None
    if not sink.seekable:
        seen = [(block.number, block.mark) for block in passes.blocks("map", lambda _number, _block: None)]
        known = Known(uuid=chosen or content_uuid(vhd, seen), blocks=[number for number, _ in seen])
    writer.start(LEAF, vhd, known)
    marks: list[tuple[int, bytes]] = []
    for block in passes.blocks("bundle", lambda _number, block: compressor.segment(block)):
        writer.add(block.number, block.packed)
        marks.append((block.number, block.mark))
    uuid = chosen or content_uuid(vhd, marks)
    size = writer.end(uuid)
    writer.finish()
    return Outcome(
        uuid=str(uuids.UUID(bytes=uuid)),
        vhd_size=size,
        stored=len(marks),
        zero=plan.data_size // BLOCK_SIZE - len(marks),
        compressor=compressor.label,
    )
