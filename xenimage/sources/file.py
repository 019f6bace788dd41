"""A file or block device as a :class:`xenimage.model.disk.ByteSource`, opened for reading only."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from xenimage.exceptions import FormatError, TransferError, UnsafeError, UsageError
from xenimage.streams.positioned import Positioned

if TYPE_CHECKING:
    from collections.abc import Iterator


class FileSource(Positioned):
    """Positioned reads on one open file. The kernel keeps no cursor for us, so any number of threads may read."""

    def __init__(self, descriptor: int, name: str) -> None:
        self._descriptor = descriptor
        self.name = name
        self._is_device = stat.S_ISBLK(os.fstat(descriptor).st_mode)
        # A block device has no size in its inode: the end of a seek tells it.
        self.size = os.lseek(descriptor, 0, os.SEEK_END)
        self._known = (0, 0, False)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """See :meth:`xenimage.model.disk.ByteSource.read_into`."""
        if offset < 0 or offset + len(buffer) > self.size:
            raise FormatError(
                f"{len(buffer)} bytes at {offset:#x} lie outside the file of {self.size} bytes",
                expected="a range inside it",
                where=self.name,
                tip="The file may be truncated: compare its size with the original.",
            )
        done = 0
        while done < len(buffer):
            try:
                count = os.preadv(self._descriptor, [buffer[done:]], offset + done)
            except OSError as error:
                raise TransferError(f"cannot read at {offset + done:#x}: {error.strerror}", where=self.name) from error
            if count == 0:
                raise self._shorter(offset + done)
            done += count

    def _require_whole(self) -> None:
        """Tell a hole at the end from an end that came nearer: the kernel answers both in the same way."""
        size = os.fstat(self._descriptor).st_size
        if size < self.size:
            raise self._shorter(size)

    def _shorter(self, end: int) -> TransferError:
        return TransferError(f"ends at {end:#x}", expected=f"{self.size} bytes as when it was opened", where=self.name)

    def data(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        """See :meth:`xenimage.model.disk.ByteSource.data`; holes are found by SEEK_DATA and SEEK_HOLE."""
        end = min(offset + length, self.size)
        known_start, known_stop, known_data = self._known
        known = known_start <= offset < end <= known_stop
        if known or self._is_device:
            if known_data or not known:
                yield offset, end - offset
            return
        while offset < end:
            try:
                start = os.lseek(self._descriptor, offset, os.SEEK_DATA)
                if start >= end:
                    self._known = (offset, start, False)
                    return
                stop = os.lseek(self._descriptor, start, os.SEEK_HOLE)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise TransferError(
                        f"cannot look for data at {offset:#x}: {error.strerror}", where=self.name
                    ) from error
                self._require_whole()
                self._known = (offset, self.size, False)
                return  # nothing but a hole up to the end
            # Kept, because tables ask for many small ranges, and most files are all data or one hole.
            self._known = (start, stop, True)
            yield start, min(stop, end) - start
            offset = stop

    def close(self) -> None:
        """See :meth:`xenimage.model.disk.ByteSource.close`."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def open_file(path: str | os.PathLike[str]) -> FileSource:
    """Open a file or block device that the user named. Never opens for writing, never blocks on a FIFO.

    :raises UsageError: no such file, no permission, or neither a file nor a block device.
    """
    name = os.fspath(path)
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise UsageError(f"cannot be opened: {error.strerror}", where=name) from error
    return _checked(descriptor, name)


def open_beside(path: str | os.PathLike[str], bare_name: str) -> FileSource:
    """Open the file called *bare_name* in the directory of *path*, for an image that consists of several files.

    :raises UnsafeError: the name leads elsewhere, or is a link.
    :raises UsageError: it is missing or cannot be read.
    """
    if not bare_name or bare_name in (".", "..") or "/" in bare_name or "\\" in bare_name or "\0" in bare_name:
        raise UnsafeError(f"names the file {bare_name!r}", expected="a bare name in its own directory")
    beside = os.path.join(os.path.dirname(os.fspath(path)), bare_name)
    if os.path.islink(beside):
        raise UnsafeError(f"names {bare_name!r}, a symbolic link", expected="a regular file in its own directory")
    try:
        descriptor = os.open(beside, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError as error:
        raise UsageError(f"cannot be opened: {error.strerror}", where=beside) from error
    source = _checked(descriptor, beside)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        source.close()
        raise UnsafeError(f"names {bare_name!r}, no regular file", expected="a regular file in its own directory")
    return source


def open_within(directory: str | os.PathLike[str], name: str) -> FileSource:
    """Open the file called *name*, with ``/`` between its parts, below *directory*. No part of it may be a link.

    :raises UnsafeError: the name leads elsewhere, or a part of it is a link or no directory.
    :raises UsageError: it is missing or cannot be read.
    """
    parts = name.split("/")
    if "\\" in name or "\0" in name or not all(part not in ("", ".", "..") for part in parts):
        raise UnsafeError(f"names the file {name!r}", expected="a name within its own directory")
    place = os.path.join(os.fspath(directory), name)
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        at = os.open(os.fspath(directory) or ".", os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    except OSError as error:
        raise UsageError(f"cannot be opened: {error.strerror}", where=os.fspath(directory)) from error
    try:
        for part in parts[:-1]:
            below = os.open(part, flags | os.O_DIRECTORY, dir_fd=at)
            os.close(at)
            at = below
        descriptor = os.open(parts[-1], flags | os.O_NONBLOCK, dir_fd=at)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise UnsafeError(
                f"names {name!r}, which is or passes a symbolic link", expected="a regular file in its own directory"
            ) from error
        raise UsageError(f"cannot be opened: {error.strerror}", where=place) from error
    finally:
        os.close(at)
    source = _checked(descriptor, place)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        source.close()
        raise UnsafeError(f"names {name!r}, no regular file", expected="a regular file in its own directory")
    return source


def _checked(descriptor: int, name: str) -> FileSource:
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode) or stat.S_ISBLK(mode):
        try:
            return FileSource(descriptor, name)
        except OSError as error:  # what the kernel shows below /proc has no end to seek to
            os.close(descriptor)
            raise UsageError(
                f"has no size: {error.strerror}", expected="a file or a block device", where=name
            ) from error
    os.close(descriptor)
    kind = "a directory" if stat.S_ISDIR(mode) else "no file"
    raise UsageError(f"is {kind}", expected="a file or a block device", where=name)
