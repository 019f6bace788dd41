"""How the workers of one host agree: so many conversions at a time, and room for what each of them may write.

A conversion holds the lock of a file for as long as it runs; the kernel lets go of it when the process is gone, so that
nothing has to be cleaned up after a crash. What a file holds tells the others how much its holder still needs.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
import tempfile
import time
from typing import TYPE_CHECKING

from xenimage.glance.errors import RefusedError, UnusableError
from xenimage.units import format_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_STEM = "xenimage.slot."
_SPACE = "xenimage.space"
_PAUSE = 0.5
"""seconds between two attempts"""
_SECTOR = 512
"""bytes: the unit of st_blocks"""
_LONGEST = 4096
"""bytes of a note"""


def directory_for(settings_path: str | None, host: Mapping[str, object]) -> str:
    """Find the directory for lock files: the configured one, that of [oslo_concurrency], or one of our own.

    :raises UnusableError: it is not there, or belongs to somebody else.
    """
    path = settings_path or host.get("lock_path")
    if path:
        if not os.path.isdir(str(path)):
            raise UnusableError(f"lock_path {path} is no directory")
        return str(path)
    own = os.path.join(tempfile.gettempdir(), f"xenimage-{os.geteuid()}")
    with contextlib.suppress(FileExistsError):
        os.mkdir(own, 0o700)
    about = os.lstat(own)
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid():
        raise UnusableError(f"{own} is not a directory of our own; set lock_path in [xenimage]")
    return own


class Slot:
    """The right to convert now. Given back by :meth:`close`, or by the end of the process."""

    def __init__(self, directory: str, descriptor: int) -> None:
        self._directory = directory
        self._descriptor = descriptor

    def reserve(self, needed: int, part: str, min_free: int) -> None:
        """Note that up to *needed* bytes will be written to *part*, if there is room beside what others noted.

        :param min_free: bytes that have to be left.
        :raises RefusedError: there is not.
        """
        staging = os.path.dirname(part)
        with contextlib.closing(_Lock(os.path.join(self._directory, _SPACE), wait=True)):
            about = os.statvfs(staging)
            free = about.f_bavail * about.f_frsize - sum(self._others(os.stat(staging).st_dev))
            if needed + min_free > free:
                raise RefusedError(
                    f"Up to {format_size(needed)} are needed to convert the image, more than this server has room for"
                    " now. Import it again later; if that does not help, ask the operator of the cloud.",
                    f"{staging}: {needed} bytes wanted, {free} free beside what running conversions may write,"
                    f" {min_free} to be left (min_free)",
                )
            note = json.dumps({"needed": needed, "part": part, "device": os.stat(staging).st_dev}).encode()
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, note, 0)

    def _others(self, device: int) -> Iterator[int]:
        """Yield what each other conversion on *device* may yet write, in bytes."""
        own = os.fstat(self._descriptor).st_ino
        for name in os.listdir(self._directory):
            path = os.path.join(self._directory, name)
            if not name.startswith(_STEM) or os.stat(path).st_ino == own:
                continue
            with contextlib.suppress(BlockingIOError):
                _Lock(path).close()
                continue  # nobody holds it: what is noted there is of the past
            yield _remaining(path, device)

    def close(self) -> None:
        """Give it back. Idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _remaining(path: str, device: int) -> int:
    try:
        with open(path, "rb") as file:
            note = json.loads(file.read(_LONGEST) or b"{}")
        if note.get("device") != device:
            return 0
        with contextlib.suppress(FileNotFoundError):
            return max(0, int(note["needed"]) - os.stat(note["part"]).st_blocks * _SECTOR)
        return int(note["needed"])
    except (OSError, ValueError, KeyError, AttributeError):  # written at this moment, or by another version
        return 0


def acquire(directory: str, count: int, wait: float, tell: Callable[[str], None]) -> Slot:
    """Take one of *count* slots, waiting for it if need be.

    :param wait: seconds, at most.
    :param tell: told what is waited for.
    :raises RefusedError: none became free in time.
    """
    end = time.monotonic() + wait
    while True:
        for number in range(count):
            with contextlib.suppress(BlockingIOError):
                lock = _Lock(os.path.join(directory, f"{_STEM}{number}"))
                os.ftruncate(lock.descriptor, 0)
                return Slot(directory, lock.descriptor)
        if time.monotonic() >= end:
            raise RefusedError(
                "This server is busy with converting other images. Import the image again later.",
                f"no slot of {count} became free within {wait:.0f} s (concurrency, wait)",
            )
        tell("waiting: other images are being converted")
        time.sleep(_PAUSE)  # under eventlet others run meanwhile


class _Lock:
    """A locked file. Never removed: who waits for a removed file would wait for nobody."""

    def __init__(self, path: str, *, wait: bool = False) -> None:
        """Lock it.

        :raises BlockingIOError: somebody else holds it, and *wait* is false.
        """
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BaseException:
            os.close(self.descriptor)
            raise

    def close(self) -> None:
        os.close(self.descriptor)
