"""Where the files of a package go: members of an archive, or files in a directory."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Protocol

from xenimage.exceptions import UsageError
from xenimage.model.transfer import PatchSink
from xenimage.sinks.file import FileSink, check_target, make_directory
from xenimage.streams import tar
from xenimage.units import MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


_MOST_FILES = 900
"""of a directory, written at once"""


class PatchedFile(PatchSink, Protocol):
    """A sink that can be read back: see :class:`xenimage.sinks.file.FileSink`."""

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Read back what was written; how many bytes came."""


class Tar:
    """An archive. Members stand in the order in which they are reserved or opened.

    :param holes: whether zeros of a member may be left out of the sink.
    """

    def __init__(self, sink: PatchedFile, mtime: int, *, holes: bool = True) -> None:
        self._sink = sink
        self._mtime = mtime
        self._holes = holes

    def reserve(self, name: str, size: int) -> _Room:
        """Leave room for a member of which only the size is known."""
        self._sink.write([tar.ustar_header(name, size, self._mtime)])
        start = self._sink.size
        self._sink.skip(size + -size % tar.BLOCK)
        return _Room(self._sink, start, size)

    def open(self, name: str) -> _Member:
        """Begin a member of which only the name is known. The one before has ended."""
        self._sink.skip(tar.BLOCK)
        return _Member(self._sink, name, self._mtime, holes=self._holes)

    def finish(self) -> None:
        """End the archive."""
        self._sink.write([tar.ending(self._sink.size)])


class _Room:
    def __init__(self, sink: PatchedFile, start: int, size: int) -> None:
        self._sink = sink
        self._start = start
        self.size = size

    def fill(self, data: bytes) -> None:
        """Put the content there, which has the size that was said."""
        if len(data) != self.size:
            raise ValueError(f"{len(data)} bytes for a room of {self.size}")
        self._sink.patch(self._start, data)


class _Member:
    """See :class:`xenimage.containers.ovf.newfile.Placed`."""

    def __init__(self, sink: PatchedFile, name: str, mtime: int, *, holes: bool) -> None:
        self._sink = sink
        self._holes = holes
        self._name = name
        self._mtime = mtime
        self._start = sink.size
        self.size = 0

    def write(self, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        self._sink.write(parts)
        self.size += sum(map(len, parts))

    def skip(self, length: int) -> None:
        self._sink.skip(length)
        self.size += length

    def blank(self, length: int) -> None:
        if self._holes:
            self._sink.skip(length)
        else:
            for start in range(0, length, MIB):
                self._sink.write([bytes(min(MIB, length - start))])
        self.size += length

    def patch(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        self._sink.patch(self._start + offset, data)

    def read_into(self, offset: int, buffer: memoryview) -> int:
        return self._sink.read_into(self._start + offset, buffer)

    def end(self) -> None:
        self._sink.patch(self._start - tar.BLOCK, tar.ustar_header(self._name, self.size, self._mtime))
        self._sink.write([bytes(-self.size % tar.BLOCK)])


class Folder:
    """A directory. All its files appear with :meth:`commit`, or none.

    :param force: whether files that are there may be replaced.
    :param refuse: raises for the path of a file that may not be replaced all the same.
    :raises UsageError: it cannot be made.
    """

    def __init__(self, directory: str, *, force: bool, refuse: Callable[[str], None] = lambda _path: None) -> None:
        self._directory = directory
        self._force = force
        self._refuse = refuse
        self._files: list[_File] = []
        self._kept = False
        self._made = make_directory(directory)

    def open(self, name: str) -> _File:
        """Begin a file.

        :raises UsageError: it is there, and may not be replaced. Or they are too many: all are open until the last.
        """
        if len(self._files) >= _MOST_FILES:
            raise UsageError(
                f"the package becomes more than {_MOST_FILES} files",
                expected="fewer and larger ones, or one file: --to ova",
                where=self._directory,
            )
        file = _File(self.path(name), force=self._force)
        self._files.append(file)
        return file

    def path(self, name: str) -> str:
        """Where a file will stand, which may be written.

        :raises UsageError: it is there, and may not be replaced.
        """
        path = os.path.join(self._directory, name)
        self._refuse(path)
        check_target(path, force=self._force)
        return path

    def add(self, name: str, data: bytes) -> None:
        """Write a small file."""
        file = self.open(name)
        file.write([data])
        file.end()

    def commit(self) -> None:
        """Give all files their names, in their order.

        :raises UsageError: one of them is there meanwhile. :class:`TransferError`: the directory refused.
        """
        named: list[str] = []
        for file in self._files:
            file.flush()
        try:
            for file in self._files:
                file.commit()
                named.append(file.name)
        except BaseException:
            for name in named:
                with contextlib.suppress(OSError):
                    os.unlink(name)
            raise
        self._kept = True

    def close(self) -> None:
        """Remove what has no name yet. Idempotent."""
        for file in self._files:
            file.close()
        if self._made and not self._kept:
            with contextlib.suppress(OSError):
                os.rmdir(self._directory)


class _File(FileSink):
    """See :class:`xenimage.containers.ovf.newfile.Placed`."""

    def blank(self, length: int) -> None:
        """Leave *length* bytes out."""
        self.skip(length)

    def end(self) -> None:
        """Do nothing: the file stays open for what is patched and read back."""
