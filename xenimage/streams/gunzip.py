"""Forward inflating of a whole gzip file, as GNU gzip reads one, behind the positioned reads of a ByteSource.

Several members follow one another as if they were one; zero bytes behind the last are padding; anything else behind it
is counted, because gzip then fails although the content is whole. Sizes in bytes. RFC 1952 is the format.
"""

from __future__ import annotations

import dataclasses
import importlib
import threading
from typing import TYPE_CHECKING, Any

from zlib_ng import zlib_ng

from xenimage.exceptions import FormatError, LimitError, XenimageError
from xenimage.streams.positioned import Positioned
from xenimage.units import KIB, MIB, format_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource
    from xenimage.streams.seekpoints import SeekPoints

MAGIC = b"\x1f\x8b"
_DEFLATE = 8
_HAS_HEADER_CRC, _HAS_EXTRA, _HAS_NAME, _HAS_COMMENT = 0x02, 0x04, 0x08, 0x10
_RESERVED_FLAGS = 0xE0
_HEADER = 10
_TRAILER = 8

# Input is small, so that what an inflater gives back unread is copied cheaply; output is what stays in memory.
_INPUT = 128 * KIB
_OUTPUT = 1 * MIB
_RAW_DEFLATE = -15
_HEAD = 8 * MIB

try:
    _library: Any = importlib.import_module("isal.isal_zlib")
except ImportError:
    _library = importlib.import_module("zlib")


class _Input:
    """The compressed bytes, with a cursor."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._size: int | None = source.size
        self._read_some: Callable[[int, int], bytes] | None = getattr(source, "read_some", None)
        """of a pipe, whose size is known only when it has ended"""
        if self._read_some is not None:
            self._size = None
        self.position = 0

    @property
    def left(self) -> int:
        """Bytes that follow; of a pipe at least one until its end was seen."""
        return 1 if self._size is None else self._size - self.position

    @property
    def known(self) -> int:
        """Bytes that there are at least."""
        return self.position if self._size is None else self._size

    def take(self, length: int) -> bytes:
        if self._size is None and self._read_some is not None:
            data = self._read_some(self.position, length)
            if len(data) < length:
                self._size = self.position + len(data)
        else:
            data = self._source.read(self.position, min(length, self.left))
        self.position += len(data)
        return data

    def exactly(self, length: int) -> bytes:
        data = self.take(length)
        if len(data) < length:
            raise truncated(self.position)
        return data

    def through_zero(self, bound: int) -> None:
        """Skip text up to and with its closing zero."""
        start = self.position
        while self.position - start < bound:
            data = self.exactly(min(_INPUT, max(1, self.left)))
            end = data.find(b"\0")
            if end >= 0:
                self.position -= len(data) - end - 1
                return
        raise LimitError(f"a text in the gzip header is longer than {bound} bytes")


def truncated(position: int) -> FormatError:
    """The error for a gzip stream that has no end."""
    return FormatError(
        f"the gzip stream ends at {position:#x} inside its data",
        expected="a complete stream",
        tip="The file is truncated: compare its size with the original and transfer it again.",
    )


@dataclasses.dataclass(frozen=True, slots=True)
class _Saved:
    """A pass between two chunks, inside a member."""

    position: int
    """bytes of the input that were used up"""
    inflater: Any
    crc: int
    count: int
    total: int
    members: int


class _Inflater:
    """One forward pass.

    :param library: with the interface of zlib.
    :param saved: where it begins, instead of at the start.
    """

    def __init__(self, source: ByteSource, limits: Limits, library: Any, saved: _Saved | None = None) -> None:
        self._input = _Input(source)
        self._limits = limits
        self._library = library
        self._inflater: Any = None
        self._tail = b""
        self._crc = self._count = 0
        self.total = 0
        self.members = 0
        self.trailing = 0
        self.ended = False
        if saved is not None:
            self._input.position = saved.position
            self._inflater = saved.inflater.copy()
            self._crc, self._count = saved.crc, saved.count
            self.total, self.members = saved.total, saved.members

    def save(self) -> _Saved | None:
        """The state between two chunks; None where it would be between two members."""
        if self._inflater is None or self._inflater.eof:
            return None
        return _Saved(
            position=self._input.position - len(self._tail),
            inflater=self._inflater.copy(),
            crc=self._crc,
            count=self._count,
            total=self.total,
            members=self.members,
        )

    @property
    def position(self) -> int:
        """Compressed bytes read so far."""
        return self._input.position

    def chunks(self) -> Iterator[bytes]:
        """Yield the content in pieces of at most 1 MiB, none empty."""
        while self._inflater is not None or self._begin_member():
            while not self._inflater.eof:
                chunk = self._inflate()
                if chunk:
                    yield chunk
            self._end_member()
            self._inflater = None
        self.ended = True

    def _begin_member(self) -> bool:
        """Enter the next member; False behind the last one, once what follows it is counted."""
        start = self._input.position
        head = self._input.take(_HEADER)
        if head[:2] != MAGIC:
            if not self.members:
                raise FormatError(f"begins with {head[:2].hex(' ') or 'nothing'}", expected="gzip, 1f 8b")
            self._input.position = start
            self._count_trailing()
            return False
        if len(head) < _HEADER:
            raise truncated(self._input.position)
        if head[2] != _DEFLATE or head[3] & _RESERVED_FLAGS:
            raise FormatError(f"the gzip header at {start:#x} has method {head[2]} and flags {head[3]:#04x}")
        self._skip_fields(head[3])
        self._inflater = self._library.decompressobj(_RAW_DEFLATE)
        self._tail = b""
        self._crc = self._count = 0
        self.members += 1
        # An empty member costs its maker twenty bytes and us an inflater: a file full of them must not keep us busy.
        self._limits.require("extents", self.members - self.total // KIB, "number of gzip members beyond one a KiB")
        return True

    def _skip_fields(self, flags: int) -> None:
        if flags & _HAS_EXTRA:
            self._input.exactly(int.from_bytes(self._input.exactly(2), "little"))
        for flag in (_HAS_NAME, _HAS_COMMENT):
            if flags & flag:
                self._input.through_zero(self._limits.scratch)
        if flags & _HAS_HEADER_CRC:
            self._input.exactly(2)

    def _inflate(self) -> bytes:
        data = self._tail or self._input.take(_INPUT)
        try:
            chunk: bytes = self._inflater.decompress(data, _OUTPUT)
        except self._library.error as error:
            raise FormatError(
                f"the gzip stream is damaged near {self._input.position:#x} ({error})",
                expected="deflated data",
                tip="Transfer the file again and compare its checksum.",
            ) from error
        self._tail = self._inflater.unconsumed_tail
        if not data and not chunk and not self._inflater.eof:
            raise truncated(self._input.position)
        self._crc = _library.crc32(chunk, self._crc)
        self._count += len(chunk)
        self.total += len(chunk)
        bound = min(self._limits.bundle_size, self._limits.expansion * max(self._input.known, 1))
        if self.total > bound:
            raise LimitError(
                f"inflates to more than {format_size(bound)}",
                expected=f"at most {self._limits.bundle_size} bytes (limit bundle_size)"
                f" and {self._limits.expansion} for each stored byte (limit expansion)",
            )
        return chunk

    def _end_member(self) -> None:
        self._input.position -= len(self._inflater.unused_data)
        trailer = self._input.exactly(_TRAILER)
        crc, count = int.from_bytes(trailer[:4], "little"), int.from_bytes(trailer[4:], "little")
        if crc != self._crc:
            raise FormatError(f"the content has the CRC {self._crc:#010x}", expected=f"{crc:#010x}, as gzip recorded")
        if count != self._count & 0xFFFFFFFF:
            raise FormatError(f"the content has {self._count} bytes", expected=f"{count} modulo 2^32, as gzip recorded")

    def _count_trailing(self) -> None:
        """Zeros to the end of the file are padding; from the first other byte on it is garbage."""
        while self._input.left:
            data = self._input.take(_INPUT)
            if data.strip(b"\0"):
                self.trailing = len(data.lstrip(b"\0")) + self._input.left
                return


class GunzipSource(Positioned):
    """The content of a gzip file as a :class:`xenimage.model.disk.ByteSource`. Safe to use from several threads.

    Reading forward costs one pass; what is skipped is inflated and dropped. The first 8 MiB and the latest chunk are
    kept; a read that goes back behind them starts again at the beginning: correct, and slow. With *points* it starts at
    the last place before that was kept.

    :param advance: called with each number of compressed bytes that were read, the first time they are.
    :param keep_head: whether the first 8 MiB are kept.
    :param points: for readers that go to and fro: kept while the content passes, at the cost of their memory.
    :raises FormatError: from any read: the stream is damaged or truncated.
    :raises LimitError: from any read: it inflates to more than the limits allow.
    """

    def __init__(
        self,
        source: ByteSource,
        limits: Limits,
        advance: Callable[[int], None] | None = None,
        *,
        keep_head: bool = True,
        points: SeekPoints[_Saved] | None = None,
    ) -> None:
        self._source = source
        self._head_max = _HEAD if keep_head else 0
        self._points = points
        self._limits = limits
        self._advanced = advance
        self._seen = 0
        self._lock = threading.Lock()
        self._head = bytearray()
        self._size: int | None = None
        self.name = source.name
        self.passes = 0
        """how often inflating began at the start"""
        self.members = 0
        """gzip members; known after :meth:`scan`"""
        self.trailing = 0
        """bytes behind the last gzip member that are no padding; known after :meth:`scan`"""
        self._restart()

    def _restart(self, saved: _Saved | None = None) -> None:
        # Only zlib's own state can be copied; of the libraries that have it so, this one is as fast as ISA-L.
        library = _library if self._points is None else zlib_ng
        self._inflater = _Inflater(self._source, self._limits, library, saved)
        self._chunks = self._inflater.chunks()
        self._chunk = b""
        self._start = self._inflater.total
        self._failed: XenimageError | None = None
        self.passes += saved is None

    def again(self) -> GunzipSource:
        """Another pass over the same file, with a place of its own and nothing kept. The file stays of the first."""
        other = GunzipSource(self._source, self._limits, keep_head=False, points=self._points)
        other._size = self._size
        return other

    @property
    def size(self) -> int:
        """Bytes of the content. It takes a whole pass to know them, so call :meth:`scan` first."""
        if self._size is None:
            raise ValueError("the size of gzip content is not known before scan()")
        return self._size

    def scan(self) -> None:
        """Inflate up to the end, which proves the CRCs and tells the size. Does nothing the second time."""
        with self._lock:
            while self._size is None:
                self._advance()

    def _advance(self) -> bool:
        """Go on by one chunk; False at the end of the content."""
        self._mark()
        self._start += len(self._chunk)
        try:
            self._chunk = next(self._chunks, b"")
        except XenimageError as error:
            self._chunk = b""
            self._failed = error.within(self.name)
        if self._failed:
            # Remembered, because a generator that raised is over, and would pass for the end of the content.
            raise self._failed
        if self._advanced and self._inflater.position > self._seen:
            self._advanced(self._inflater.position - self._seen)
            self._seen = self._inflater.position
        if self._start == len(self._head) < self._head_max:
            self._head += self._chunk[: self._head_max - len(self._head)]
        if not self._chunk and self._inflater.ended:
            self._size = self._inflater.total
            self.members = self._inflater.members
            self.trailing = self._inflater.trailing
        return bool(self._chunk)

    def _mark(self) -> None:
        """Keep the state behind the present chunk, and the chunk, if that is wanted."""
        if self._points is None or not self._chunk:
            return
        self._points.keep(self._start, self._chunk)
        if self._points.wants(self._inflater.total):
            saved = self._inflater.save()
            if saved is not None:
                self._points.add(saved.total, saved)

    def read_some(self, offset: int, length: int) -> bytes:
        """Return the bytes from *offset* on: *length* of them, or fewer if the content ends before."""
        buffer = bytearray(length)
        with self._lock:
            done = self._fill(offset, memoryview(buffer))
        return bytes(memoryview(buffer)[:done])

    def _fill(self, offset: int, buffer: memoryview) -> int:
        done = 0
        while done < len(buffer):
            piece = self._at(offset + done, len(buffer) - done)
            if not piece:
                break
            buffer[done : done + len(piece)] = piece
            done += len(piece)
        return done

    def _at(self, offset: int, length: int) -> memoryview | bytes:
        """Some bytes from *offset* on, at most *length*; none behind the end."""
        if self._size is not None and offset >= self._size:
            return b""
        if offset < self._start and offset < len(self._head):
            return bytes(self._head[offset : offset + length])
        if not self._start <= offset < self._start + len(self._chunk):
            if self._points is not None:
                kept = self._points.recent(offset)
                if kept is not None:
                    return memoryview(kept[1])[offset - kept[0] :][:length]
            self._jump(offset)
        while offset >= self._start + len(self._chunk):
            if not self._advance():
                return b""
        start = offset - self._start
        return memoryview(self._chunk)[start : start + length]

    def _jump(self, offset: int) -> None:
        """Go to the best place to reach *offset* from, which may be the present one."""
        point = self._points.before(offset) if self._points is not None else None
        if offset < self._start or (point is not None and point[0] > self._start + len(self._chunk)):
            self._restart(point[1] if point is not None else None)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """See :meth:`xenimage.model.disk.ByteSource.read_into`."""
        with self._lock:
            done = self._fill(offset, buffer) if offset >= 0 else -1
        if done < len(buffer):
            raise FormatError(
                f"{len(buffer)} bytes at {offset:#x} lie outside the inflated content",
                expected="a range inside it",
                where=self.name,
            )

    def close(self) -> None:
        """Close the file below."""
        self._source.close()
