"""Passes over a disk's blocks: read and tested by several threads, handed over in order.

Memory is bounded by the number of threads: each has one block, and at most three packed blocks a thread wait for the
one that takes them. A disk that is cheap to read only in order and by one thread is read by one more, which keeps three
blocks ahead of those that pack them.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import hashlib
import itertools
import uuid as uuids
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Generic, TypeVar

from xenimage.formats.base import clear
from xenimage.formats.vhd.layout import BLOCK_SIZE
from xenimage.formats.vhd.writer import BITMAP
from xenimage.streams.digest import fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from xenimage.formats.vhd.writer import NewVhd
    from xenimage.model.disk import Disk
    from xenimage.model.transfer import Progress

Item = TypeVar("Item")
Result = TypeVar("Result")
Packed = TypeVar("Packed")

_EMPTY = BITMAP + bytes(BLOCK_SIZE)
"""a block's bitmap, and data that need not be stored"""


@dataclasses.dataclass(frozen=True, slots=True)
class Block(Generic[Packed]):
    """A block that is not all zeros."""

    number: int
    mark: bytes
    """fingerprint of its data; empty where none was asked for"""
    packed: Packed
    """what the pass made of it"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Passes:
    """Passes over the blocks of *disk* that its tables call data."""

    disk: Disk
    ranges: tuple[tuple[int, int], ...]
    """(first, behind the last) blocks"""
    jobs: int
    progress: Progress
    _buffers: collections.deque[bytearray] = dataclasses.field(default_factory=collections.deque)
    """blocks that nobody uses now; fresh memory would be mapped and cleared each time"""

    def blocks(
        self, what: str, pack: Callable[[int, bytearray], Packed], *, marked: bool = True
    ) -> Iterator[Block[Packed]]:
        """Read all blocks; yield, in order, those that are not all zeros.

        :param what: the stage, for the one who watches.
        :param pack: called in the threads with a block's number and its bitmap and data, a buffer that is used again.
        :param marked: whether the fingerprints are wanted, which cost another look at all bytes.
        """

        def finish(block: tuple[int, bytearray]) -> Block[Packed] | None:
            return self._pack(block, pack, marked=marked)

        return watched(self._packed(numbered(self.ranges), finish), self.ranges, what, self.progress)

    def _packed(
        self, numbers: Iterable[int], finish: Callable[[tuple[int, bytearray]], Block[Packed] | None]
    ) -> Generator[Block[Packed] | None, None, None]:
        """Read and pack: in the same threads, or where only one may read, in two crews."""
        if not self.disk.facts.sequential:
            yield from in_order(lambda number: finish(self._read(number)), numbers, self.jobs)
            return
        with (
            contextlib.closing(in_order(self._read, numbers, 1)) as read,
            contextlib.closing(in_order(finish, read, self.jobs)) as packed,
        ):
            yield from packed

    def _read(self, number: int) -> tuple[int, bytearray]:
        try:
            buffer = self._buffers.pop()
        except IndexError:
            buffer = bytearray(_EMPTY)
        data = memoryview(buffer)[len(BITMAP) :]
        offset = number * BLOCK_SIZE
        there = min(BLOCK_SIZE, self.disk.facts.virtual_size - offset)
        self.disk.read_into(offset, data[:there])
        clear(data[there:])
        return number, buffer

    def _pack(
        self, block: tuple[int, bytearray], pack: Callable[[int, bytearray], Packed], *, marked: bool
    ) -> Block[Packed] | None:
        number, buffer = block
        try:
            if buffer == _EMPTY:  # memcmp: ends at the first byte that differs
                return None
            mark = fingerprint(memoryview(buffer)[len(BITMAP) :]) if marked else b""
            return Block(number, mark, pack(number, buffer))
        finally:
            self._buffers.append(buffer)


def numbered(ranges: Iterable[tuple[int, int]]) -> Iterator[int]:
    """Yield the numbers of all blocks in *ranges*."""
    return (number for first, stop in ranges for number in range(first, stop))


def watched(
    results: Generator[Result | None, None, None],
    ranges: Iterable[tuple[int, int]],
    what: str,
    progress: Progress,
) -> Iterator[Result]:
    """Yield the *results* of a pass over the blocks in *ranges* that are not None, and close it in the end.

    :param what: the stage, for the one who watches.
    """
    progress.start(what, BLOCK_SIZE * sum(stop - first for first, stop in ranges))
    try:
        with contextlib.closing(results):
            for found in results:
                if found is not None:
                    yield found
                progress.advance(BLOCK_SIZE)
    finally:
        progress.stop()


def in_order(work: Callable[[Item], Result], items: Iterable[Item], jobs: int) -> Generator[Result, None, None]:
    """Do *work* on *items* in *jobs* threads; yield the results in the order of the items.

    Takes only as many items ahead as keep the threads busy. Ends the threads when it is closed or when work fails.
    """
    pool = ThreadPoolExecutor(jobs, "block")
    iterator = iter(items)
    try:
        pending = collections.deque(pool.submit(work, item) for item in itertools.islice(iterator, 3 * jobs))
        while pending:
            yield pending.popleft().result()
            pending.extend(pool.submit(work, item) for item in itertools.islice(iterator, 1))
    finally:
        pool.shutdown(cancel_futures=True)


class ContentId:
    """An identity of 16 bytes that is the same for the same content, size and time.

    :param what: the kind of file: one content in two kinds of files has two identities.
    """

    def __init__(self, what: bytes, size: int, timestamp: int) -> None:
        self._digest = hashlib.sha256(b"xenimage " + what)
        self._digest.update(size.to_bytes(8, "big") + timestamp.to_bytes(8, "big"))

    def add(self, number: int, mark: bytes) -> None:
        """Take the number and the fingerprint of a block that is stored; they come ascending."""
        self._digest.update(number.to_bytes(8, "big") + mark)

    def uuid(self) -> bytes:
        """Return it in the form of a uuid: version 8 of RFC 9562, the one for values of one's own making."""
        value = bytearray(self._digest.digest()[:16])
        value[6] = value[6] & 0x0F | 0x80
        value[8] = value[8] & 0x3F | 0x80
        return bytes(value)


def content_uuid(vhd: NewVhd, marks: Iterable[tuple[int, bytes]], parent_uuid: bytes = b"") -> bytes:
    """The uuid of a VHD that is no fixed one: 16 bytes that are the same for the same content, size, time and parent.

    :param marks: number and fingerprint of the stored blocks, ascending.
    """
    identity = ContentId(b"vhd" + parent_uuid, vhd.virtual_size, vhd.timestamp)
    for number, mark in marks:
        identity.add(number, mark)
    return identity.uuid()


def random_uuid() -> bytes:
    """16 random bytes, version 4."""
    return uuids.uuid4().bytes
