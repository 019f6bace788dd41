"""A file that is read forward, in which bytes can be skipped without reading them, or be given back. Sizes in bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.exceptions import FormatError
from xenimage.units import KIB

if TYPE_CHECKING:
    from collections.abc import Callable

_CHUNK = 256 * KIB


class Forward:
    """A cursor over positioned reads.

    :param read: gives at most the first number of bytes from the second on; fewer only at the end of the file.
    :param chunk: bytes that are asked for at a time.
    """

    def __init__(self, read: Callable[[int, int], bytes], chunk: int = _CHUNK) -> None:
        self._read = read
        self._chunk = chunk
        self._held = b""
        self._at = 0
        """what comes next, among the held bytes"""
        self._behind = 0
        """where the held bytes end"""

    @property
    def position(self) -> int:
        """Offset of the byte that comes next."""
        return self._behind - len(self._held) + self._at

    def take(self, length: int) -> bytes:
        """The next *length* bytes; fewer only at the end."""
        data = self._held[self._at : self._at + length]
        self._at += len(data)
        parts, missing = [data], length - len(data)
        while missing > 0:
            data = self._read(max(self._chunk, missing), self._behind)
            if not data:
                break
            self._behind += len(data)
            parts.append(data[:missing])
            self._held, self._at = data, min(missing, len(data))
            missing -= len(data)
        return b"".join(parts)

    def some(self) -> bytes:
        """The next bytes, as many as are at hand; none at the end."""
        return self.take(len(self._held) - self._at or self._chunk)

    def exactly(self, length: int) -> bytes:
        """The next *length* bytes.

        :raises FormatError: the file ends before.
        """
        data = self.take(length)
        if len(data) < length:
            raise FormatError(f"ends at {self.position:#x}", expected=f"{length - len(data)} bytes more")
        return data

    def skip(self, length: int) -> None:
        """Go *length* bytes on, without reading those that are not at hand. The end of the file is not noticed."""
        if length < len(self._held) - self._at:
            self._at += length
        else:
            self._behind = self.position + length
            self._held, self._at = b"", 0

    def give_back(self, data: bytes) -> None:
        """Put bytes that were just taken in front of what comes next."""
        self._held, self._at = data + self._held[self._at :], 0
