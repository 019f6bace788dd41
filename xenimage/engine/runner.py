"""Do what the plan of a bundle says. No more decisions."""

from __future__ import annotations

import dataclasses
import uuid as uuids
from typing import TYPE_CHECKING, TypeVar

from xenimage.containers.bundle.writer import BundleWriter, Known
from xenimage.engine.layers import ChildPasses
from xenimage.engine.passes import Passes, content_uuid, random_uuid
from xenimage.engine.planner import new_vhds
from xenimage.formats.vhd.layout import BLOCK_SIZE
from xenimage.model.report import LayerReport
from xenimage.streams.deflate import deflater

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from xenimage.containers.bundle.writer import Sink
    from xenimage.engine.layers import View
    from xenimage.formats.vhd.writer import NewVhd
    from xenimage.model.plan import Layer, Plan
    from xenimage.model.transfer import Progress

Packed = TypeVar("Packed")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """What was done."""

    layers: tuple[LayerReport, ...]
    """the leaf first"""
    compressor: str


@dataclasses.dataclass(kw_only=True)
class _Member:
    """One VHD on its way into the bundle."""

    layer: Layer
    vhd: NewVhd
    view: View
    marks: list[tuple[int, bytes]] = dataclasses.field(default_factory=list)
    """number and fingerprint of each stored block"""
    partial: list[int] = dataclasses.field(default_factory=list)
    completed: int = 0
    size: int = 0


def run(plan: Plan, views: Sequence[View], sink: Sink, progress: Progress) -> Outcome:
    """Write the bundle of *plan* to *sink*: in one pass if the sink can seek, else after a map pass.

    :param views: the layers' disks, the leaf first.
    """
    vhds = new_vhds(plan.layers, plan.timestamp)
    members = [
        _Member(layer=layer, vhd=vhd, view=view) for layer, vhd, view in zip(plan.layers, vhds, views, strict=True)
    ]
    compressor = deflater(plan.options.compression)
    writer = BundleWriter(sink, compressor, plan.timestamp)
    known: list[Known | None] = [None] * len(members)
    if not sink.seekable:
        for member in members:
            for _ in _blocks(plan, member, "map", lambda _block: None, progress):
                pass
        known = list(_known(members, _uuids(plan, members)))
    for member, what in zip(members, known, strict=True):
        member.marks, member.partial, member.completed = [], [], 0
        writer.start(member.layer.name, member.vhd, what)
        stage = "bundle" if len(members) == 1 else member.layer.name
        for number, full, segment in _blocks(plan, member, stage, compressor.segment, progress):
            writer.add(number, segment, full=full)
        member.size = writer.end()
    found = [each.uuid for each in known if each] or _uuids(plan, members)
    writer.finish(found)
    return Outcome(layers=tuple(map(_report, members, found)), compressor=compressor.label)


def _blocks(
    plan: Plan, member: _Member, what: str, pack: Callable[[bytearray], Packed], progress: Progress
) -> Iterator[tuple[int, bool, Packed]]:
    """Yield number, whether the bitmap is all ones, and the packed form of each block that is stored; take notes."""
    view, ranges = member.view, member.layer.blocks
    if view.below is None:
        passes = Passes(disk=view.disk, ranges=ranges, jobs=plan.jobs, progress=progress)
        for block in passes.blocks(what, lambda _number, data: pack(data)):
            member.marks.append((block.number, block.mark))
            yield block.number, True, block.packed
        return
    children = ChildPasses(
        child=view.disk,
        below=view.below,
        ranges=ranges,
        jobs=plan.jobs,
        progress=progress,
        dedup=plan.options.dedup_parent,
        whole=plan.options.whole_blocks,
    )
    for found in children.blocks(what, pack):
        member.marks.append((found.number, found.mark))
        member.completed += found.completed
        if not found.full:
            member.partial.append(found.number)
        yield found.number, found.full, found.packed


def _uuids(plan: Plan, members: Sequence[_Member]) -> list[bytes]:
    """The uuids of the members, known once all content is: that of a child depends on its parent's."""
    if plan.options.random_uuid:
        return [random_uuid() for _ in members]
    found: list[bytes] = []
    below = b""
    for member in reversed(members):
        below = content_uuid(member.vhd, member.marks, below)
        found.append(below)
    return found[::-1]


def _known(members: Sequence[_Member], found: Sequence[bytes]) -> Iterator[Known]:
    for member, uuid, parent_uuid in zip(members, found, (*found[1:], bytes(16)), strict=True):
        yield Known(
            uuid=uuid, parent_uuid=parent_uuid, blocks=[number for number, _ in member.marks], partial=member.partial
        )


def _report(member: _Member, uuid: bytes) -> LayerReport:
    stored = len(member.marks) * BLOCK_SIZE
    return LayerReport(
        name=member.layer.name,
        uuid=str(uuids.UUID(bytes=uuid)),
        vhd_size=member.size,
        data_size=stored,
        left_out_size=member.layer.data_size - stored,
        partial=len(member.partial),
        completed_size=member.completed,
    )
