"""A file of a package that is deflated as a whole while it is written: one member of gzip, made by several threads."""

from __future__ import annotations

import collections
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


class GzipSink:
    """See :class:`xenimage.model.transfer.PatchSink`. Only what is left out first can be filled in: the head of a VHD.

    It stands in the stream undeflated, so that its length is known before its bytes are.
    """

    def __init__(self, below: PatchSink, jobs: int) -> None:
        self.size = 0
        self._below = below
        self._jobs = jobs
        self._deflater = deflate.deflater(Compression.FAST)
        self._pool = ThreadPoolExecutor(jobs, "gzip")
        self._pending: collections.deque[Future[Segment]] = collections.deque()
        self._waiting: list[bytes] = []
        self._length = 0
        """bytes that wait"""
        self._head = bytearray()
        self._crc = self._plain = 0
        below.write([deflate.HEADER])
        self._head_at = below.size

    def write(self, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        """Deflate *parts* behind what was written."""
        for part in parts:
            self._waiting.append(bytes(part))
            self._length += len(part)
            self.size += len(part)
            if self._length >= _AT_ONCE:
                self._submit()

    def skip(self, length: int) -> None:
        """Leave *length* bytes out: at the start for :meth:`patch`, elsewhere they are zeros."""
        if not self.size:
            self._head = bytearray(length)
            self.size = length
            self._below.skip(deflate.stored_size(length))
            return
        while length:
            count = min(length, _AT_ONCE)
            self.write([bytes(count)])
            length -= count

    def patch(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Fill in what was left out at the start."""
        if offset + len(data) > len(self._head):
            raise io.UnsupportedOperation("patch")
        self._head[offset : offset + len(data)] = data

    def _submit(self) -> None:
        data = b"".join(self._waiting)
        self._waiting, self._length = [], 0
        self._pending.append(self._pool.submit(self._deflater.segment, data))
        if len(self._pending) >= 3 * self._jobs:
            self._put(self._pending.popleft().result())

    def _put(self, segment: Segment) -> None:
        self._below.write(segment.parts)
        self._crc = deflate.crc32_combine(self._crc, segment.crc, segment.length)
        self._plain += segment.length

    def end(self) -> None:
        """Write what waits, the head, and the end of the member."""
        if self._length:
            self._submit()
        while self._pending:
            self._put(self._pending.popleft().result())
        crc = self._crc
        if self._head:
            head = deflate.stored_segment(self._head)
            self._below.patch(self._head_at, b"".join(head.parts))
            crc = deflate.crc32_combine(head.crc, self._crc, self._plain)
        self._below.write([deflate.FINAL + deflate.trailer(crc, self.size)])

    def close(self) -> None:
        """End the threads. Idempotent."""
        self._pool.shutdown(cancel_futures=True)
