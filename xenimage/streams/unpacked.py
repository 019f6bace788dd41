"""The content of a whole file that is packed with zstd or xz, behind the positioned reads of a ByteSource.

Several frames follow one another as if they were one, as both programs write them with several threads. Sizes in bytes.
RFC 8878 and the .xz file format (tukaani.org) are the formats.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from xenimage.exceptions import FormatError, LimitError, XenimageError
from xenimage.streams.forward import Forward
from xenimage.streams.positioned import Positioned
from xenimage.streams.unpack import MAGIC_LENGTH, packing, unpack
from xenimage.units import GIB, KIB, MIB, format_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource

KINDS = ("zstd", "xz")
_WINDOW = 2 * MIB
"""bytes behind the reader that can be read again without a new pass"""
_LITTLE = GIB
"""bytes that are unpacked in seconds, however small the file is"""
_SKIPPED = b"\x2a\x4d\x18"


def packed_kind(source: ByteSource) -> str:
    """Which of :data:`KINDS` *source* is packed with; empty for none."""
    if source.size < MAGIC_LENGTH:
        return ""
    head = source.read(0, MAGIC_LENGTH)
    kind = "zstd" if _skipped(head) else packing(head)
    return kind if kind in KINDS else ""


def _skipped(head: bytes) -> bool:
    """Whether a skippable frame of zstd begins so: pzstd puts one in front of each frame."""
    return head[:1] >= b"\x50" and head[:1] <= b"\x5f" and head[1:4] == _SKIPPED


class UnpackedSource(Positioned):
    """A packed file's content as a :class:`xenimage.model.disk.ByteSource`. Safe to use from several threads.

    Reading forward costs one pass. A read that goes back behind the latest 2 MiB starts again: correct, and slow.

    :param kind: one of :data:`KINDS`.
    :raises FormatError: from any read: the stream is damaged or truncated.
    :raises LimitError: from any read: it unpacks to more than the limits allow.
    """

    def __init__(self, source: ByteSource, kind: str, limits: Limits) -> None:
        self._source = source
        self._kind = kind
        self._limits = limits
        self._lock = threading.Lock()
        self._size: int | None = None
        self.name = source.name
        self.passes = 0
        """how often unpacking began at the start"""
        self.trailing = 0
        """1 if something else follows the last frame; known after :meth:`scan`"""
        self._restart()

    def _restart(self) -> None:
        self._forward = Forward(self._take)
        self._pieces = self._unpacked()
        self._window = bytearray()
        self._end = 0
        self._failed: XenimageError | None = None
        self.passes += 1

    def again(self) -> UnpackedSource:
        """Another pass over the same file, with a place of its own. The file stays of the first."""
        other = UnpackedSource(self._source, self._kind, self._limits)
        other._size = self._size
        return other

    def _take(self, length: int, offset: int) -> bytes:
        some = getattr(self._source, "read_some", None)
        if some is not None:  # a pipe, whose size is not known
            return bytes(some(offset, length))
        return self._source.read(offset, max(0, min(length, self._source.size - offset)))

    def _unpacked(self) -> Iterator[bytes]:
        frames = 0
        while True:
            frames += 1
            # An empty frame costs its maker a few bytes: a file full of them must not keep us busy.
            self._limits.require("extents", frames - self._end // KIB, "number of packed frames beyond one a KiB")
            head = self._forward.take(MAGIC_LENGTH)
            if self._kind == "zstd" and _skipped(head):
                self._forward.give_back(head[4:])
                self._forward.skip(int.from_bytes(self._forward.exactly(4), "little"))
                continue
            self._forward.give_back(head)
            if packing(head) != self._kind:
                self.trailing = int(bool(head.strip(b"\0")))
                return
            yield from unpack(self._kind, self._forward)

    @property
    def size(self) -> int:
        """Bytes of the content. It takes a whole pass to know them, so call :meth:`scan` first."""
        if self._size is None:
            raise ValueError("the size of packed content is not known before scan()")
        return self._size

    def scan(self) -> None:
        """Unpack up to the end, which proves its checksums and tells the size. Does nothing the second time."""
        with self._lock:
            while self._size is None:
                self._advance()

    def _advance(self) -> bool:
        """Go on by one piece; False at the end of the content."""
        if self._failed:
            # Remembered, because a generator that raised is over, and would pass for the end of the content.
            raise self._failed
        try:
            piece = next(self._pieces, None)
            self._require_bounded(self._end + len(piece or b""))
        except XenimageError as error:
            self._failed = error if error.where else error.within(self.name)
            raise self._failed from error.__cause__
        if piece is None:
            self._size = self._end
            return False
        self._window += piece
        self._end += len(piece)
        if len(self._window) > 2 * _WINDOW:
            del self._window[:-_WINDOW]
        return True

    def _require_bounded(self, total: int) -> None:
        bound = min(self._limits.bundle_size, max(_LITTLE, self._limits.expansion * self._forward.position))
        if total > bound:
            raise LimitError(
                f"unpacks to more than {format_size(bound)}",
                expected=f"at most {self._limits.bundle_size} bytes (limit bundle_size)"
                f" and {self._limits.expansion} for each stored byte (limit expansion)",
            )

    def read_some(self, offset: int, length: int) -> bytes:
        """Return the bytes from *offset* on: *length* of them, or fewer if the content ends before."""
        buffer = bytearray(length)
        with self._lock:
            done = self._fill(offset, memoryview(buffer))
        return bytes(memoryview(buffer)[:done])

    def _fill(self, offset: int, buffer: memoryview) -> int:
        done = 0
        while done < len(buffer):
            at = offset + done
            start = self._end - len(self._window)
            if at < start:
                self._restart()
            elif at < self._end:
                with memoryview(self._window) as window:
                    piece = window[at - start : at - start + len(buffer) - done]
                    buffer[done : done + len(piece)] = piece
                    done += len(piece)
                    piece.release()
            elif (self._size is not None and at >= self._size) or not self._advance():
                break
        return done

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """See :meth:`xenimage.model.disk.ByteSource.read_into`."""
        with self._lock:
            done = self._fill(offset, buffer) if offset >= 0 else -1
        if done < len(buffer):
            raise FormatError(
                f"{len(buffer)} bytes at {offset:#x} lie outside the unpacked content",
                expected="a range inside it",
                where=self.name,
            )

    def close(self) -> None:
        """Close the file below."""
        self._source.close()
