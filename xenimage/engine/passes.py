"""Passes over a disk's blocks: read and tested by several threads, handed over in order.

Memory is bounded by the number of threads: each has one block, and at most three packed blocks a thread wait for the
one that takes them.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import hashlib
import itertools
import threading
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
    """fingerprint of its data"""
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
    _local: threading.local = dataclasses.field(default_factory=threading.local)

    def blocks(self, what: str, pack: Callable[[int, bytearray], Packed]) -> Iterator[Block[Packed]]:
        """Read all blocks; yield, in order, those that are not all zeros.

        :param what: the stage, for the one who watches.
        :param pack: called in the threads with a block's number and its bitmap and data, a buffer that is used again.
        """
        numbers = (number for first, stop in self.ranges for number in range(first, stop))
        jobs = 1 if self.disk.facts.sequential else self.jobs
        self.progress.start(what, BLOCK_SIZE * sum(stop - first for first, stop in self.ranges))
        try:
            with contextlib.closing(in_order(lambda number: self._take(number, pack), numbers, jobs)) as results:
                for block in results:
                    if block is not None:
                        yield block
                    self.progress.advance(BLOCK_SIZE)
        finally:
            self.progress.stop()

    def _take(self, number: int, pack: Callable[[int, bytearray], Packed]) -> Block[Packed] | None:
        local = self._local
        if not hasattr(local, "buffer"):
            local.buffer = bytearray(_EMPTY)
            local.data = memoryview(local.buffer)[len(BITMAP) :]
        offset = number * BLOCK_SIZE
        there = min(BLOCK_SIZE, self.disk.facts.virtual_size - offset)
        self.disk.read_into(offset, local.data[:there])
        clear(local.data[there:])
        if local.buffer == _EMPTY:  # memcmp: ends at the first byte that differs
            return None
        return Block(number, fingerprint(local.data), pack(number, local.buffer))


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


def content_uuid(vhd: NewVhd, marks: Iterable[tuple[int, bytes]], parent_uuid: bytes = b"") -> bytes:
    """16 bytes that are the same for the same content, size, time and parent.

    Version 8 of RFC 9562, the one for values of one's own making.

    :param marks: number and fingerprint of the stored blocks, ascending.
    """
    digest = hashlib.sha256(b"xenimage vhd" + parent_uuid)
    digest.update(vhd.virtual_size.to_bytes(8, "big") + vhd.timestamp.to_bytes(8, "big"))
    for number, mark in marks:
        digest.update(number.to_bytes(8, "big") + mark)
    value = bytearray(digest.digest()[:16])
    value[6] = value[6] & 0x0F | 0x80
    value[8] = value[8] & 0x3F | 0x80
    return bytes(value)


def random_uuid() -> bytes:
    """16 random bytes, version 4."""
    return uuids.uuid4().bytes
