"""A file that is changed where it stands: for tools whose very purpose that is. Nothing else in xenimage uses it."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from typing import NoReturn

from xenimage.exceptions import TransferError, UnsafeError, UsageError
from xenimage.sources.file import FileSource


class InplaceFile(FileSource):
    """A regular file with positioned reads and writes; what is written is seen by the next read. One user at a time."""

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Write *data* at *offset*, behind the end too.

        :raises TransferError: not all of it could be written.
        """
        rest = memoryview(data)
        try:
            while rest:
                count = os.pwrite(self._descriptor, rest, offset)
                offset, rest = offset + count, rest[count:]
        except OSError as error:
            self._failed("cannot be written", offset, error)
        self.size = max(self.size, offset)

    def resize(self, size: int) -> None:
        """Cut the file to *size* bytes, or make it that long with zeros.

        :raises TransferError: it could not be done.
        """
        try:
            os.ftruncate(self._descriptor, size)
        except OSError as error:
            self._failed("cannot be cut", size, error)
        self.size = size

    def sync(self) -> None:
        """Return when all that was written is on the device: what is written next comes later.

        :raises TransferError: the device failed.
        """
        try:
            os.fdatasync(self._descriptor)
        except OSError as error:
            self._failed("cannot be written", self.size, error)

    def _failed(self, what: str, offset: int, error: OSError) -> NoReturn:
        raise TransferError(f"{what} at {offset:#x}: {(error.strerror or '').lower()}", where=self.name) from error


def open_inplace(path: str | os.PathLike[str]) -> InplaceFile:
    """Open the regular file that the user named, for reading and writing, and keep other users of this function out.

    A symbolic link is not followed: an archive that a stranger packed may hold one, and what it leads to would change.

    :raises UsageError: no such file, no permission, a link; its cause is the OSError.
    :raises UnsafeError: it is no regular file, or is being changed by somebody else.
    """
    name = os.fspath(path)
    try:
        descriptor = os.open(name, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError as error:
        raise UsageError(f"cannot be opened: {(error.strerror or '').lower()}", where=name) from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UnsafeError("is no regular file", expected="one: devices are not changed in place", where=name)
        _lock(descriptor, name)
        return InplaceFile(descriptor, name)
    except BaseException:
        os.close(descriptor)
        raise


def _lock(descriptor: int, name: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise UnsafeError("is being changed by another process", where=name, tip="Wait for its end.") from error
        # No locks on this file system: then nobody is kept out.
