"""Names in cpio archives of the newc format, read forward.

Linux: Documentation/driver-api/early-userspace/buffer-format.rst.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from xenimage.exceptions import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAGICS = (b"070701", b"070702")
_TRAILER = "TRAILER!!!"

# Behind the magic thirteen numbers of eight hexadecimal digits; these two are needed. Name and data are padded to four.
_HEADER = 110
_FILE_SIZE = slice(54, 62)
_NAME_SIZE = slice(94, 102)
_ALIGNMENT = 4
_NAME_MAX = 4096


class Stream(Protocol):
    """Bytes that come one after another."""

    def take(self, length: int) -> bytes:
        """The next *length* bytes; fewer only at the end."""

    def skip(self, length: int) -> None:
        """Go on without them."""

    def give_back(self, data: bytes) -> None:
        """Put bytes that were just taken in front of what comes next."""


class Unpacked:
    """A stream of pieces, such as an unpacker gives. :attr:`count` is the number of bytes that came."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._held = b""
        self._at = 0
        self.count = 0

    def _next(self) -> bool:
        piece = next(self._pieces, None)
        if piece is None:
            return False
        self.count += len(piece)
        self._held = self._held[self._at :] + piece
        self._at = 0
        return True

    def take(self, length: int) -> bytes:
        """The next *length* bytes; fewer only at the end."""
        while len(self._held) - self._at < length and self._next():
            pass
        data = self._held[self._at : self._at + length]
        self._at += len(data)
        return data

    def give_back(self, data: bytes) -> None:
        """Put bytes that were just taken in front of what comes next."""
        start = self._at - len(data)
        if start >= 0 and self._held.startswith(data, start):
            self._at = start
        else:
            self._held, self._at = data + self._held[self._at :], 0

    def skip(self, length: int) -> None:
        """Drop the next *length* bytes, or all that there are."""
        while length > (here := len(self._held) - self._at):
            length -= here
            self._held, self._at = b"", 0
            if not self._next():
                return
        self._at += length


def names(stream: Stream) -> Iterator[str]:
    """Yield the names in one archive, whose magic comes next; then *stream* stands behind its trailer.

    :raises FormatError: the archive is damaged or has no trailer.
    """
    while True:
        header = stream.take(_HEADER)
        if header[:6] not in MAGICS or len(header) < _HEADER:
            raise FormatError(f"a header of the cpio archive begins with {header[:6]!r}", expected="070701 or 070702")
        name_size, size = _number(header[_NAME_SIZE]), _number(header[_FILE_SIZE])
        if not 0 < name_size <= _NAME_MAX:
            raise FormatError(f"a name in the cpio archive has {name_size} bytes", expected=f"1 to {_NAME_MAX}")
        text = stream.take(name_size + -(_HEADER + name_size) % _ALIGNMENT)
        name = text[:name_size].rstrip(b"\0").decode("utf-8", "replace")
        stream.skip(size + -size % _ALIGNMENT)
        if name == _TRAILER:
            return
        yield name


def _number(digits: bytes) -> int:
    try:
        return int(digits, 16)
    except ValueError as error:
        raise FormatError(f"a number in the cpio archive is {digits!r}", expected="hexadecimal digits") from error
