"""What is deflated while it is written, a file or a whole archive: one member of gzip, made by several threads."""

from __future__ import annotations

import bisect
import collections
import dataclasses
import io
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from xenimage.model.plan import Compression
from xenimage.streams import deflate
from xenimage.units import MIB

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    from xenimage.model.transfer import PatchSink
    from xenimage.streams.deflate import Segment

_AT_ONCE = MIB
"""bytes that are deflated as one"""


class _Room:
    """What was left out, to be filled in. It stands undeflated, so that its length is known before its bytes are."""

    def __init__(self, start: int, length: int, at: int) -> None:
        self.start = start
        """bytes of the plain stream in front of it"""
        self.data = bytearray(length)
        self.at = at
        """bytes of the deflated stream in front of it"""


@dataclasses.dataclass(slots=True)
class _Sum:
    """CRC-32 and length of plain bytes."""

    crc: int = 0
    length: int = 0

    def add(self, crc: int, length: int) -> None:
        self.crc = deflate.crc32_combine(self.crc, crc, length)
        self.length += length


class GzipSink:
    """See :class:`xenimage.model.transfer.PatchSink`.

    :param late: whether all that is left out can be filled in, which is kept in memory until then; else what is left
        out at the start alone, the head of a VHD, and the rest is zeros.
    """

    def __init__(self, below: PatchSink, jobs: int, *, late: bool = False) -> None:
        self.size = 0
        self._below = below
        self._jobs = jobs
        self._late = late
        self._deflater = deflate.deflater(Compression.FAST)
        self._pool = ThreadPoolExecutor(jobs, "gzip")
        self._pending: collections.deque[Future[Segment]] = collections.deque()
        self._waiting: list[bytes] = []
        self._length = 0
        """bytes that wait"""
        self._parts: list[_Sum | _Room] = []
        """what was written, in order"""
        self._rooms: list[_Room] = []
        below.write([deflate.HEADER])

    def write(self, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        """Deflate *parts* behind what was written."""
        for part in parts:
            self._waiting.append(bytes(part))
            self._length += len(part)
            self.size += len(part)
            if self._length >= _AT_ONCE:
                self._submit()

    def skip(self, length: int) -> None:
        """Leave *length* bytes out: for :meth:`patch`, or they are zeros."""
        if length and (self._late or not self.size):
            self._drain()
            self._rooms.append(_Room(self.size, length, self._below.size))
            self._parts.append(self._rooms[-1])
            self.size += length
            self._below.skip(deflate.stored_size(length))
            return
        while length:
            count = min(length, _AT_ONCE)
            self.write([bytes(count)])
            length -= count

    def patch(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Fill in what was left out."""
        number = bisect.bisect(self._rooms, offset, key=lambda room: room.start) - 1
        room = self._rooms[number] if number >= 0 else None
        if room is None or offset - room.start + len(data) > len(room.data):
            raise io.UnsupportedOperation("patch")
        room.data[offset - room.start : offset - room.start + len(data)] = data

    def read_into(self, offset: int, buffer: memoryview) -> int:  # noqa: ARG002 - the signature of a sink
        """Not possible."""
        raise io.UnsupportedOperation("read_into")

    def _submit(self) -> None:
        data = b"".join(self._waiting)
        self._waiting, self._length = [], 0
        self._pending.append(self._pool.submit(self._deflater.segment, data))
        if len(self._pending) >= 3 * self._jobs:
            self._put(self._pending.popleft().result())

    def _put(self, segment: Segment) -> None:
        self._below.write(segment.parts)
        last = self._parts[-1] if self._parts else None
        if not isinstance(last, _Sum):
            last = _Sum()
            self._parts.append(last)
        last.add(segment.crc, segment.length)

    def _drain(self) -> None:
        if self._length:
            self._submit()
        while self._pending:
            self._put(self._pending.popleft().result())

    def end(self) -> None:
        """Write what waits, what was left out, and the end of the member."""
        self._drain()
        total = _Sum()
        for part in self._parts:
            if isinstance(part, _Room):
                segment = deflate.stored_segment(part.data)
                self._below.patch(part.at, b"".join(segment.parts))
                total.add(segment.crc, segment.length)
            else:
                total.add(part.crc, part.length)
        self._below.write([deflate.FINAL + deflate.trailer(total.crc, total.length)])

    def close(self) -> None:
        """End the threads. Idempotent."""
        self._pool.shutdown(cancel_futures=True)
