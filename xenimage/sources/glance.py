"""An image in a cloud as a ByteSource: read forward as it comes down, from another place by another request."""

from __future__ import annotations

import hashlib
import logging
import threading
from typing import TYPE_CHECKING, Any

from xenimage.exceptions import FormatError, TransferError
from xenimage.streams.positioned import Positioned
from xenimage.units import MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LOG = logging.getLogger(__name__)

_KEPT = 1 * MIB
"""bytes behind the reader that can be read again without another request"""
_NEAR = 4 * MIB
"""bytes ahead that are read and dropped rather than asked for anew"""
_TRIES = 3
"""how often a broken download goes on from where it broke, without a byte in between"""


class GlanceSource(Positioned):
    """See :class:`xenimage.model.disk.ByteSource`. Threads take turns: reads are cheap in ascending order only.

    :param fetch: yields the data from an offset on; called again where a download breaks.
    :param size: bytes, as the image's record says.
    :param algorithm: of *digest*; empty, or one that is not known here: nothing is compared.
    """

    def __init__(
        self,
        fetch: Callable[[int], Iterator[bytes]],
        name: str,
        size: int,
        *,
        algorithm: str = "",
        digest: str = "",
        advance: Callable[[int], None] | None = None,
    ) -> None:
        self.name = name
        self.size = size
        self.downloaded = 0
        """bytes that came so far, those that came again included"""
        self.proved = False
        """whether all of it passed in order, and is what the record says"""
        self._fetch = fetch
        self._advance = advance
        self._digest = digest
        self._hash: Any = hashlib.new(algorithm) if digest and algorithm in hashlib.algorithms_available else None
        self._hashed = 0
        self._pieces: Iterator[bytes] = iter(())
        self._window = bytearray()
        self._end = 0
        """where the stream stands; the window ends there"""
        self._open = False
        self._lock = threading.Lock()

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """See :meth:`xenimage.model.disk.ByteSource.read_into`."""
        if offset < 0 or offset + len(buffer) > self.size:
            raise FormatError(
                f"{len(buffer)} bytes at {offset:#x} lie outside the image of {self.size} bytes",
                expected="a range inside it",
                where=self.name,
            )
        with self._lock:
            done = 0
            while done < len(buffer):
                done += self._some(offset + done, buffer[done:])

    def prove(self) -> None:
        """Read what nobody has read yet, if all before it was read in order: only then is the digest known.

        :raises TransferError: the data is not what the record says.
        """
        with self._lock:
            while self._hashed < self.size and self._end == self._hashed:
                self._go_on()

    def close(self) -> None:
        """End the download."""
        self._drop()

    def _some(self, offset: int, buffer: memoryview) -> int:
        start = self._end - len(self._window)
        if not start <= offset <= self._end + _NEAR:
            LOG.debug("%s: from %#x to %#x by another request", self.name, self._end, offset)
            self._drop()
            self._window.clear()
            self._end = offset
        while self._end <= offset:
            self._go_on()
        at = offset - (self._end - len(self._window))
        count = min(len(buffer), len(self._window) - at)
        buffer[:count] = memoryview(self._window)[at : at + count]
        return count

    def _go_on(self) -> None:
        """Take the next piece of the stream."""
        piece = self._next()
        self._take_digest(piece)
        self._end += len(piece)
        self.downloaded += len(piece)
        if self._advance is not None:
            self._advance(len(piece))
        del self._window[: max(0, len(self._window) - _KEPT)]
        self._window += piece
        if self._end > self.size:
            raise TransferError("sends more than its record says", expected=f"{self.size} bytes", where=self.name)

    def _next(self) -> bytes:
        """The next piece; a download that breaks off goes on where it broke."""
        for left in range(_TRIES, -1, -1):
            try:
                if not self._open:
                    self._pieces = self._fetch(self._end)
                    self._open = True
                piece = next(self._pieces, b"")
                if piece:
                    return piece
                raise TransferError(f"ends at {self._end:#x}", expected=f"{self.size} bytes", where=self.name)
            except TransferError as error:
                self._drop()
                if not left or not getattr(error, "transient", True):
                    error.done = self._end if error.done is None else error.done
                    raise
                LOG.warning("%s; going on at %d", error, self._end)
        raise AssertionError("the last attempt returns or raises")

    def _take_digest(self, piece: bytes) -> None:
        """Hash what is new, if it joins what was hashed."""
        if self._hash is None or not self._end <= self._hashed < self._end + len(piece):
            return
        self._hash.update(memoryview(piece)[self._hashed - self._end :])
        self._hashed = self._end + len(piece)
        if self._hashed == self.size:
            if self._hash.hexdigest() != self._digest:
                raise TransferError(
                    f"what came has the {self._hash.name} {self._hash.hexdigest()}",
                    expected=f"{self._digest}, as the cloud recorded it",
                    where=self.name,
                    tip="Try again; if it stays so, the image is damaged in the cloud's store.",
                )
            self.proved = True

    def _drop(self) -> None:
        close = getattr(self._pieces, "close", None)
        if close is not None:
            close()
        self._pieces = iter(())
        self._open = False
