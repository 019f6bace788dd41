"""Bytes that come down a pipe: read once, in order, a little of what passed kept for those who read too far."""

from __future__ import annotations

import os

from xenimage.exceptions import FormatError, TransferError
from xenimage.streams.positioned import Positioned
from xenimage.units import KIB

_KEPT = 512 * KIB
"""bytes behind the reader that can be read again"""
_ENDLESS = 1 << 62


class PipeSource(Positioned):
    """An open descriptor as a :class:`xenimage.model.disk.ByteSource` that is read forward. For one thread."""

    size = _ENDLESS
    """not known: :meth:`read_some` tells where it ends"""

    def __init__(self, descriptor: int, name: str) -> None:
        self.name = name
        self._descriptor = descriptor
        self._window = bytearray()
        self._end = 0
        """bytes that came so far"""

    def read_some(self, offset: int, length: int) -> bytes:
        """Return *length* bytes from *offset* on, or fewer where the pipe ends.

        :raises FormatError: they passed already.
        :raises TransferError: the pipe failed.
        """
        while self._end < offset + length:
            wanted = max(_KEPT // 2, min(offset + length - self._end, _KEPT))
            try:
                data = os.read(self._descriptor, wanted)
            except OSError as error:
                raise TransferError(
                    f"cannot be read: {(error.strerror or str(error)).lower()}", done=self._end, where=self.name
                ) from error
            if not data:
                break
            self._window += data
            self._end += len(data)
            start = self._end - len(self._window)
            del self._window[: max(0, min(offset, self._end - _KEPT) - start)]
        start = self._end - len(self._window)
        if offset < start:
            raise FormatError(
                f"the bytes at {offset:#x} have passed",
                expected="a file, for what cannot be read forward",
                where=self.name,
            )
        return bytes(self._window[offset - start : offset - start + length])

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """See :meth:`xenimage.model.disk.ByteSource.read_into`."""
        data = self.read_some(offset, len(buffer))
        if len(data) < len(buffer):
            raise TransferError(f"ends at {self._end:#x}", done=self._end, where=self.name)
        buffer[:] = data

    def close(self) -> None:
        """Leave the descriptor to whom it belongs."""
