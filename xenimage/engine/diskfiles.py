"""Disks as files of their own, or as files of a package: VHD and VMDK, from one pass over the disk's blocks."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from xenimage.containers.ovf.writing import Content
from xenimage.engine.mapper import map_blocks
from xenimage.engine.passes import ContentId, Passes, content_uuid, random_uuid
from xenimage.engine.planner import target_size
from xenimage.exceptions import TransferError
from xenimage.formats.vhd.layout import BLOCK_SIZE
from xenimage.formats.vhd.writer import BITMAP, GAP, NewVhd
from xenimage.formats.vmdk.writer import Grain, NewVmdk, VmdkWriter, pack_grains
from xenimage.units import SECTOR, round_up

if TYPE_CHECKING:
    from xenimage.limits import Limits
    from xenimage.model.disk import Disk
    from xenimage.model.transfer import PatchSink, Progress


def write_vhd(passes: Passes, vhd: NewVhd, sink: PatchSink, *, random: bool = False) -> int:
    """Write a dynamic VHD. Its head is left out at first, for it tells what follows. Guest bytes stored.

    :param random: whether it gets a random uuid, instead of one that stands for its content.
    """
    sink.skip(vhd.head_size)
    marks: list[tuple[int, bytes]] = []
    for block in passes.blocks("vhd", lambda _number, data: bytes(data)):
        sink.skip(GAP if marks else vhd.first_block - vhd.head_size)
        sink.write([block.packed])
        marks.append((block.number, block.mark))
    uuid = random_uuid() if random else content_uuid(vhd, marks)
    sink.write([vhd.footer(uuid)])
    sink.patch(0, vhd.head(uuid, [number for number, _ in marks]))
    return len(marks) * BLOCK_SIZE


def write_vhd_forward(passes: Passes, vhd: NewVhd, sink: PatchSink) -> int:
    """Write the same, the head first: the disk is read twice, once for what the head tells. Guest bytes stored.

    :raises TransferError: it was not the same both times.
    """
    marks = [(block.number, block.mark) for block in passes.blocks("looking", lambda _number, _data: None)]
    uuid = content_uuid(vhd, marks)
    sink.write([vhd.head(uuid, [number for number, _ in marks])])
    written: list[tuple[int, bytes]] = []
    for block in passes.blocks("vhd", lambda _number, data: bytes(data)):
        sink.write([bytes(GAP if written else vhd.first_block - vhd.head_size), block.packed])
        written.append((block.number, block.mark))
    if written != marks:
        raise TransferError("the source changed while it was read", expected="the same bytes twice")
    sink.write([vhd.footer(uuid)])
    return len(marks) * BLOCK_SIZE


def write_vmdk(
    passes: Passes, new: NewVmdk, sink: PatchSink, *, random: bool = False, content_id: bytes | None = None
) -> int:
    """Write a stream-optimized VMDK. Guest bytes stored.

    :param random: whether it gets a random content id, instead of one that stands for its content.
    :param content_id: its content id, 16 bytes; then nothing is patched.
    """
    writer = VmdkWriter(sink, new, content_id)
    identity = ContentId(b"vmdk", new.virtual_size, 0)
    wanted = content_id is None and not random

    def pack(number: int, data: bytearray) -> list[Grain]:
        return pack_grains(data, len(BITMAP), number * BLOCK_SIZE)

    for block in passes.blocks("vmdk", pack, marked=wanted):
        writer.add(block.packed)
        if wanted:
            identity.add(block.number, block.mark)
    writer.finish(random_uuid() if random else identity.uuid())
    return writer.stored


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiskFiles:
    """How disks become files of a package."""

    format: str
    """``vhd`` or ``vmdk``"""
    jobs: int
    """threads"""
    timestamp: int
    """of a VHD, Unix seconds, from 2000-01-01 on"""
    forward: bool = False
    """whether a VHD is written from its start to its end, for which its disk is read twice"""


def disk_content(disk: Disk, files: DiskFiles, limits: Limits, progress: Progress) -> Content:
    """A disk as content of a package.

    :raises UnsupportedError: larger than a VHD can be.
    """
    mapped = map_blocks(disk, limits)
    passes = Passes(disk=disk, ranges=mapped.ranges, jobs=files.jobs, progress=progress)
    if files.format == "vhd":
        vhd = NewVhd(virtual_size=target_size(disk.facts.virtual_size), timestamp=files.timestamp)
        writer = write_vhd_forward if files.forward else write_vhd
        return Content(size=vhd.virtual_size, write=lambda sink, _name: writer(passes, vhd, sink))
    size = round_up(disk.facts.virtual_size, SECTOR)

    def write(sink: PatchSink, name: str) -> int:
        return write_vmdk(
            passes, NewVmdk(virtual_size=size, name=name), sink, content_id=_content_id(name, size, mapped.ranges)
        )

    return Content(size=size, write=write)


def _content_id(name: str, size: int, ranges: tuple[tuple[int, int], ...]) -> bytes:
    """An identity that is known before the content is, so that no byte has to wait or to be read again for it.

    Only children of a disk ask whether it is the same still, and what is in a package has none.
    """
    identity = ContentId(b"vmdk in a package " + name.encode(), size, 0)
    for first, stop in ranges:
        identity.add(first, stop.to_bytes(8, "big"))
    return identity.uuid()
