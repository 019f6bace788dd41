"""A file of a package while it is written: in one piece or in several, its digests taken as its bytes pass.

Only what is changed after it has passed, the head of a VHD, is read a second time: a digest cannot go back.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import TYPE_CHECKING, Protocol

from xenimage.exceptions import UsageError
from xenimage.model.transfer import PatchSink
from xenimage.streams.digest import digest_file
from xenimage.units import MIB

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from xenimage.model.transfer import Progress

DIGITS = 9
"""of the number behind the name of a piece; DSP0243 1.1, 7.1"""
MOST_PIECES = 900
"""of one file: each is an open file while the package is not whole"""
_ZEROS = bytes(MIB)


class Placed(PatchSink, Protocol):
    """A piece where it is stored: a member of an archive, or a file in a directory."""

    def blank(self, length: int) -> None:
        """Put zeros behind what was written, which nobody fills in."""

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Read back what was written; how many bytes came."""

    def end(self) -> None:
        """No more is written behind what there is; :meth:`patch` and :meth:`read_into` still work."""


class Place(Protocol):
    """Where the files of a package go."""

    def open(self, name: str) -> Placed:
        """Begin a file. The one before has ended."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class WrittenFile:
    """A file of a package, or a piece of one, as it is stored."""

    name: str
    size: int
    """bytes"""
    digest: str
    """hexadecimal, of the manifest's kind"""


class _Piece:
    """A piece with its digest, as long as nothing of it was left out to come later."""

    def __init__(self, name: str, placed: Placed, algorithm: str) -> None:
        self.name = name
        self.placed = placed
        self._algorithm = algorithm
        self._digest = hashlib.new(algorithm, usedforsecurity=False)
        self._passing = True

    def write(self, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        self.placed.write(parts)
        if self._passing:
            for part in parts:
                self._digest.update(part)

    def skip(self, length: int) -> None:
        """Leave out what comes when all is known."""
        self._passing = False
        self.placed.skip(length)

    def blank(self, length: int) -> None:
        self.placed.blank(length)
        while self._passing and length:
            count = min(length, len(_ZEROS))
            self._digest.update(memoryview(_ZEROS)[:count])
            length -= count

    def patch(self, offset: int, data: memoryview) -> None:
        self._passing = False
        self.placed.patch(offset, data)

    def written(self, progress: Progress) -> WrittenFile:
        if self._passing:
            return WrittenFile(name=self.name, size=self.placed.size, digest=self._digest.hexdigest())
        progress.start("digest", self.placed.size)
        try:
            size = self.placed.size
            found = digest_file([self._algorithm], self._bounded, size, 1, progress.advance)
        finally:
            progress.stop()
        return WrittenFile(name=self.name, size=size, digest=found[self._algorithm])

    def _bounded(self, offset: int, buffer: memoryview) -> int:
        """Read no further than the piece goes: behind it the archive goes on, or a hole at its end does not."""
        view = buffer[: self.placed.size - offset]
        count = self.placed.read_into(offset, view)
        view[count:] = bytes(len(view) - count)
        return len(view)


class NewFile:
    """See :class:`xenimage.model.transfer.PatchSink`.

    :param chunk_size: bytes of each piece but the last; None for a file in one piece.
    :param algorithm: of the digests, as :mod:`hashlib` calls it.
    """

    def __init__(self, place: Place, name: str, algorithm: str, chunk_size: int | None = None) -> None:
        self._place = place
        self._name = name
        self._algorithm = algorithm
        self._chunk_size = chunk_size
        self._pieces = [self._open(0)]
        self.size = 0

    def _open(self, number: int) -> _Piece:
        name = f"{self._name}.{number:0{DIGITS}}" if self._chunk_size else self._name
        return _Piece(name, self._place.open(name), self._algorithm)

    def _room(self) -> tuple[_Piece, int | None]:
        """The piece that is written, and the bytes that it has room for; None for any number."""
        if self._chunk_size is None:
            return self._pieces[-1], None
        if self._pieces[-1].placed.size == self._chunk_size:
            if len(self._pieces) == MOST_PIECES:
                raise UsageError(
                    f"{self._name} becomes more than {MOST_PIECES} pieces",
                    expected=f"pieces of more than {self._chunk_size} bytes",
                )
            self._pieces[-1].placed.end()
            self._pieces.append(self._open(len(self._pieces)))
        piece = self._pieces[-1]
        return piece, self._chunk_size - piece.placed.size

    def write(self, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        """Put *parts* behind what was written.

        :raises UsageError: there are too many pieces.
        :raises TransferError: the disk is full, or failed.
        """
        self.size += sum(map(len, parts))
        if self._chunk_size is None:
            self._pieces[-1].write(parts)
            return
        for part in parts:
            view = memoryview(part)
            while view:
                piece, room = self._room()
                piece.write([view[:room]])
                view = view[room:] if room is not None else view[:0]

    def skip(self, length: int) -> None:
        """Leave *length* bytes out: at the start for :meth:`patch`, elsewhere they are zeros."""
        head = not self.size
        self.size += length
        while length:
            piece, room = self._room()
            count = length if room is None else min(length, room)
            if head:
                piece.skip(count)
            else:
                piece.blank(count)
            length -= count

    def patch(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Write at *offset*, in front of the end."""
        for piece, start, part in self._parts(offset, memoryview(data)):
            piece.patch(start, part)

    def _parts(self, offset: int, view: memoryview) -> Iterator[tuple[_Piece, int, memoryview]]:
        if self._chunk_size is None:
            yield self._pieces[0], offset, view
            return
        while view:
            number, start = divmod(offset, self._chunk_size)
            part = view[: self._chunk_size - start]
            yield self._pieces[number], start, part
            offset += len(part)
            view = view[len(part) :]

    def end(self, progress: Progress) -> tuple[WrittenFile, ...]:
        """End the file; its pieces."""
        self._pieces[-1].placed.end()
        return tuple(piece.written(progress) for piece in self._pieces)
