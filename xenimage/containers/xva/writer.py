"""Writing an XVA in one pass, so that it can go down a pipe as well: ``ova.xml``, then the chunks of each disk.

A chunk with its header and sum is a piece of tar of its own, which threads make; packed, each piece is a segment of the
one deflate stream, or a frame of zstd.
"""

from __future__ import annotations

import collections
import dataclasses
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from xenimage.containers.xva.compose import compose
from xenimage.containers.xva.layout import CHUNK, DESCRIPTOR, SHA1, XXH64, Sum, chunk_name
from xenimage.exceptions import UsageError
from xenimage.model.extent import Kind
from xenimage.model.plan import Compression
from xenimage.model.transfer import Silent
from xenimage.streams.compress import zstd
from xenimage.streams.deflate import FINAL, HEADER, Segment, crc32_combine, deflater, trailer
from xenimage.streams.tar import BLOCK, bare_header

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from xenimage.containers.xva.compose import Stored
    from xenimage.model.disk import Disk
    from xenimage.model.machine import Machine, Network
    from xenimage.model.transfer import Progress

SUMS = {each.name: each for each in (SHA1, XXH64)}
COMPRESSIONS = ("none", "gzip", "zstd")
Piece: TypeAlias = "bytes | bytearray"
Pieces: TypeAlias = "list[Piece]"
Packed: TypeAlias = "Pieces | Segment"
_ZEROS = bytes(CHUNK)
_SILENT = Silent()


class Sink(Protocol):
    """Where the bytes go, one after the other."""

    def write(self, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        """Put *parts* behind what was written."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class XvaOptions:
    """How an XVA is written.

    :raises UsageError: an unknown sum or compression.
    """

    sum: str = SHA1.name
    """``sha1``, which every release and program reads, or ``xxh64``, which is faster and for XenServer 8.1 and later"""
    compression: str = "none"
    """of the whole: one of :data:`COMPRESSIONS`; zstd for XenServer 8 and later"""
    jobs: int = 1
    """threads"""
    networks: Sequence[Network] = ()
    """what is known of them beside their names"""

    def __post_init__(self) -> None:
        """Refuse what there is not."""
        if self.sum not in SUMS:
            raise UsageError(f"the sum {self.sum!r}", expected=" or ".join(SUMS))
        if self.compression not in COMPRESSIONS:
            raise UsageError(f"the compression {self.compression!r}", expected=" or ".join(COMPRESSIONS))


@dataclasses.dataclass(kw_only=True)
class XvaReceipt:
    """What was written. Sizes in bytes."""

    chunks: int = 0
    data_size: int = 0
    """of all chunks"""
    disks: tuple[Stored, ...] = ()
    """in the order in which they stand there"""


def write_xva(
    sink: Sink,
    machines: Sequence[Machine],
    disks: Mapping[str, Disk],
    options: XvaOptions,
    progress: Progress = _SILENT,
) -> XvaReceipt:
    """Write *machines* with their disks.

    :param disks: by the identifier of the :class:`xenimage.model.machine.MachineDisk`; a disk of a machine that is not
        among them is left out. With none at all the disks are described, and their content is not there.
    :raises UsageError: no machine, two disks of one identifier, or one without a size.
    :raises TransferError: the sink failed. And whatever reading the disks raises.
    """
    described = [disk for machine in machines for disk in machine.disks]
    if disks:
        present = [each.identifier for each in described if each.identifier in disks]
        sizes = {name: disks[name].facts.virtual_size for name in present}
    else:
        sizes = {each.identifier: each.capacity for each in described if each.capacity}
    description = compose(machines, sizes, options.networks)
    stored = description.disks if disks else ()
    receipt = XvaReceipt(disks=stored)
    packer = _PACKERS[options.compression]()
    sink.write([packer.head, *packer.placed(packer.pack(_member(DESCRIPTOR, description.xml)))])
    progress.start("xva", sum(each.size for each in stored))
    try:
        chunks = (chunk for each in stored for chunk in _chunks(each, disks[each.identifier], SUMS[options.sum]))
        for chunk, packed in _in_order(chunks, packer.pack, options.jobs):
            if packed is not None:
                sink.write(packer.placed(packed))
                receipt.chunks += 1
                receipt.data_size += chunk.size
            progress.advance(chunk.passed)
    finally:
        progress.stop()
    sink.write([*packer.placed(packer.pack([bytes(2 * BLOCK)])), packer.tail()])
    return receipt


# Chunks


class _Chunk(NamedTuple):
    """A chunk that may have to be stored."""

    name: str
    start: int
    """bytes on the disk"""
    size: int
    """bytes"""
    passed: int
    """bytes of the disk from the end of the chunk before to the end of this one"""
    needed: bool
    """whether it is stored even if it is all zeros: the first and the last are"""
    kind: Sum
    disk: Disk

    def read(self) -> Pieces:
        """Read it; its members, or nothing where it need not be stored."""
        data = bytearray(self.size)
        self.disk.read_into(self.start, memoryview(data)[: self.disk.facts.virtual_size - self.start])
        if not self.needed and data == _ZEROS[: self.size]:  # memcmp: ends at the first byte that differs
            return []
        return [*_member(self.name, data), *_member(self.name + self.kind.suffix, self.kind.text(data).encode())]


def _chunks(stored: Stored, disk: Disk, kind: Sum) -> Iterator[_Chunk]:
    """Yield the chunks that may hold data, and the first and the last."""
    last = (stored.size - 1) // CHUNK
    end = 0
    for number in _numbers(disk, last):
        start = number * CHUNK
        size = min(CHUNK, stored.size - start)
        name = chunk_name(stored.reference, number)
        yield _Chunk(name, start, size, start + size - end, number in (0, last), kind, disk)
        end = start + size


def _numbers(disk: Disk, last: int) -> Iterator[int]:
    """Yield the numbers of these chunks, ascending."""
    yield 0
    known = 0
    for extent in disk.extents(0, disk.facts.virtual_size):
        if extent.kind is Kind.DATA:
            for number in range(max(known + 1, extent.offset // CHUNK), (extent.end - 1) // CHUNK + 1):
                yield number
                known = number
    if known < last:
        yield last


def _member(name: str, data: Piece) -> Pieces:
    """One member of the tar."""
    return [bare_header(name, len(data)), data, bytes(-len(data) % BLOCK)]


def _in_order(
    chunks: Iterator[_Chunk], pack: Callable[[Pieces], Packed], jobs: int
) -> Iterator[tuple[_Chunk, Packed | None]]:
    """Read and pack in threads, at most three chunks a thread ahead. What is cheap only in order is read here."""

    def work(chunk: _Chunk, pieces: Pieces | None) -> Packed | None:
        found = chunk.read() if pieces is None else pieces
        return pack(found) if found else None

    pool = ThreadPoolExecutor(jobs, "chunk")
    pending: collections.deque[tuple[_Chunk, Future[Packed | None]]] = collections.deque()
    try:
        for chunk in chunks:
            read = chunk.read() if chunk.disk.facts.sequential else None
            pending.append((chunk, pool.submit(work, chunk, read)))
            if len(pending) == 3 * jobs:
                done, future = pending.popleft()
                yield done, future.result()
        while pending:
            done, future = pending.popleft()
            yield done, future.result()
    finally:
        pool.shutdown(cancel_futures=True)


# Packing


class _Plain:
    """The tar as it is."""

    head = b""

    def pack(self, pieces: Pieces) -> Packed:
        """Pack some of the tar. For several threads at once."""
        return pieces

    def placed(self, packed: Packed) -> Pieces:
        """What is written of a packed piece; called in their order."""
        assert isinstance(packed, list)
        return packed

    def tail(self) -> bytes:
        """What stands behind the last piece."""
        return b""


class _Zstd(_Plain):
    """A frame each."""

    def pack(self, pieces: Pieces) -> Packed:
        return [zstd(b"".join(pieces))]


class _Gzip(_Plain):
    """Segments of one deflate stream."""

    head = HEADER

    def __init__(self) -> None:
        self._deflater = deflater(Compression.FAST)
        self._crc = self._length = 0

    def pack(self, pieces: Pieces) -> Packed:
        return self._deflater.segment(b"".join(pieces))

    def placed(self, packed: Packed) -> Pieces:
        assert isinstance(packed, Segment)
        self._crc = crc32_combine(self._crc, packed.crc, packed.length)
        self._length += packed.length
        return [*packed.parts]

    def tail(self) -> bytes:
        return FINAL + trailer(self._crc, self._length)


_PACKERS: dict[str, type[_Plain]] = {"none": _Plain, "gzip": _Gzip, "zstd": _Zstd}
