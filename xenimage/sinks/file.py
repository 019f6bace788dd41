"""A file that appears under its name when it is whole, or not at all."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import stat
import threading
from typing import TYPE_CHECKING

from xenimage.exceptions import TransferError, UsageError
from xenimage.units import MIB

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SUFFIX = ".xenimage-part"
_EARLY = 32 * MIB
"""bytes after which the disk is set to work, so that little is left to wait for in the end"""
_VECTORS = 512
"""buffers in one call: below every system's IOV_MAX"""


def check_target(path: str, *, force: bool) -> str:
    """Tell where a file called *path* will really stand, links followed.

    :raises UsageError: there is something that may not be replaced, or no directory to put it into.
    """
    target = os.path.realpath(path)
    directory = os.path.dirname(target)
    if not os.path.isdir(directory):
        raise UsageError("no such directory", where=directory)
    if not os.access(directory, os.W_OK):
        raise UsageError("no right to write into the directory", where=directory)
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        return target
    except OSError as error:
        raise UsageError(f"cannot be a file: {(error.strerror or str(error)).lower()}", where=path) from error
    if not stat.S_ISREG(mode):
        raise UsageError("is no regular file", expected="a file, or - for a pipe", where=path)
    if not force:
        raise UsageError("exists already", where=path, tip="Use --force to replace it.")
    return target


def make_directory(path: str) -> bool:
    """Make a directory for several files; whether it had to be made.

    :raises UsageError: it cannot be made.
    """
    try:
        os.mkdir(path)
    except FileExistsError:
        return False
    except OSError as error:
        raise UsageError(f"cannot be made: {(error.strerror or str(error)).lower()}", where=path) from error
    return True


class FileSink:
    """Writes under a temporary name beside the target. :meth:`commit` gives it its name; until then nothing is seen.

    The temporary file is locked while it is written, so that the next run can tell one that a killed process left
    behind, and removes it.
    """

    seekable = True

    def __init__(self, path: str, *, force: bool = False, temporary: str | None = None) -> None:
        """Begin.

        :param temporary: path of the temporary file, which must not exist; by default one is made up.
        :raises UsageError: see :func:`check_target`.
        :raises TransferError: the temporary file cannot be made.
        """
        self.name = path
        self._force = force
        self._target = check_target(path, force=force)
        directory, base = os.path.split(self._target)
        stem = f".{os.fsdecode(os.fsencode(base)[:200])}."  # names are counted in bytes
        _remove_orphans(directory, stem)
        self._temporary = temporary or os.path.join(directory, f"{stem}{secrets.token_hex(6)}{_SUFFIX}")
        self._position = 0
        self._named = False
        self._flushed = 0
        self._flusher = threading.Thread()
        self._flush_failure: OSError | None = None
        with self._failures():
            self._descriptor = os.open(self._temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        with contextlib.suppress(OSError):  # no locks on this file system: then orphans stay for the user to remove
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def write(self, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        """Put *parts* behind what was written.

        :raises TransferError: the disk is full, the file may not grow further, the device failed.
        """
        with self._failures():
            for start in range(0, len(parts), _VECTORS):
                self._write_all(parts[start : start + _VECTORS])
        self._set_to_work()

    def _set_to_work(self) -> None:
        if self._position - self._flushed >= _EARLY and not self._flusher.is_alive():
            self._flushed = self._position
            self._flusher = threading.Thread(target=self._flush_early, name="flush", daemon=True)
            self._flusher.start()

    def _flush_early(self) -> None:
        try:
            os.fdatasync(self._descriptor)
        except OSError as error:
            self._flush_failure = error  # kept for flush(): the kernel tells of a lost write only once

    def _write_all(self, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        left = sum(map(len, parts))
        count = os.pwritev(self._descriptor, parts, self._position)
        self._position += count
        if count < left:  # rare: a signal or a nearly full disk
            rest = memoryview(b"".join(parts))[count:]
            while rest:
                count = os.pwrite(self._descriptor, rest, self._position)
                self._position += count
                rest = rest[count:]

    def skip(self, length: int) -> None:
        """Leave *length* bytes out, for :meth:`patch` to fill in, or to stay a hole."""
        self._position += length
        self._set_to_work()

    def patch(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Write over what stands at *offset*, without moving the end.

        :raises TransferError: as :meth:`write`.
        """
        with self._failures():
            view = memoryview(data)
            while view:
                count = os.pwrite(self._descriptor, view, offset)
                offset += count
                view = view[count:]

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Read back what was written; how many bytes came."""
        with self._failures():
            return os.preadv(self._descriptor, [buffer], offset)

    def duplicate(self) -> int:
        """A second descriptor of the file, for reading it back; the caller closes it."""
        return os.dup(self._descriptor)

    @property
    def size(self) -> int:
        """Bytes written and skipped."""
        return self._position

    def flush(self) -> None:
        """Ask for everything to be on the disk. Safe in a thread of its own.

        :raises TransferError: the device failed.
        """
        if self._flusher.is_alive():
            self._flusher.join()
        with self._failures():
            if self._flush_failure:
                raise self._flush_failure
            os.ftruncate(self._descriptor, self._position)
            os.fsync(self._descriptor)

    def commit(self) -> None:
        """Give the whole, flushed file its name.

        :raises UsageError: somebody else made a file of that name meanwhile, and it may not be replaced.
        :raises TransferError: the directory refused.
        """
        with self._failures():
            if self._force:
                os.rename(self._temporary, self._target)
            else:
                self._name_unless_taken()
            self._named = True
            _sync_directory(os.path.dirname(self._target))

    def _name_unless_taken(self) -> None:
        try:
            os.link(self._temporary, self._target)
        except FileExistsError:
            raise UsageError("exists already", where=self.name, tip="Use --force to replace it.") from None
        except OSError:  # a file system without hard links
            os.rename(self._temporary, self._target)
        else:
            os.unlink(self._temporary)

    def close(self) -> None:
        """Remove what has no name yet. Idempotent."""
        if not self._named:
            with contextlib.suppress(OSError):
                os.unlink(self._temporary)
            self._named = True
        if self._flusher.is_alive():
            self._flusher.join()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _transfer_error(error, self.name, self._position) from error


def _transfer_error(error: OSError, name: str, done: int) -> TransferError:
    tip = ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        tip = "Free some space, or write to another file system."
    elif error.errno == errno.EFBIG:
        tip = "Raise the file size limit (ulimit -f), or write to a file system that takes larger files."
    reason = (error.strerror or str(error)).lower()
    return TransferError(f"cannot be written: {reason}", done=done, where=name, tip=tip)


def _sync_directory(directory: str) -> None:
    """Make the new name last. Some file systems refuse to sync a directory: then it lasts as they see fit."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove_orphans(directory: str, stem: str) -> None:
    """Remove temporary files of the same target whose process is gone: nobody holds their lock."""
    for entry in os.listdir(directory):
        if not (entry.startswith(stem) and entry.endswith(_SUFFIX)):
            continue
        path = os.path.join(directory, entry)
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(path)
            finally:
                os.close(descriptor)
