"""Ways to the bytes of a disk: counted against a budget, read ahead a little, cut to a partition, dressed as a file.

The libraries that read file systems want a file object. What it raises they turn into errors of their own, so it keeps
its exception until :meth:`Window.calling` raises it instead of theirs.
"""

from __future__ import annotations

import contextlib
import io
import re
import time
from typing import TYPE_CHECKING, Protocol

from xenimage.exceptions import FormatError, LimitError, TransferError, XenimageError
from xenimage.guest.kept import Kept
from xenimage.guest.notes import Stopped
from xenimage.model.guest.facts import Cost
from xenimage.units import KIB, MIB, format_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from xenimage.limits import Limits
    from xenimage.model.disk import Disk

_PAGE = 32 * KIB
"""what a small read fetches: directories and inodes stand close together"""
_KEPT = 8 * MIB
"""bytes of pages that a disk keeps"""
_AT_ONCE = 64 * MIB
"""bytes that one read may ask for; more is a number out of a damaged structure"""


class Readable(Protocol):
    """Bytes with positions that belong to a guest."""

    @property
    def size(self) -> int:
        """Bytes."""

    def read(self, offset: int, length: int) -> bytes:
        """Return the bytes from *offset* on: *length* of them, fewer at the end.

        :raises Stopped: the inspection is over.
        :raises FormatError: the image is damaged there.
        """


class Budget:
    """What one inspection may read, in bytes and seconds, over all disks.

    :param clock: tells seconds.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._start = clock()
        self.reads = 0
        self.bytes_read = 0

    def spend(self, length: int) -> None:
        """Count a read of *length* bytes that is about to be made.

        :raises Stopped: there is not that much left.
        """
        self.check()
        if self.bytes_read + length > self._limits.guest_bytes:
            raise Stopped(f"read {format_size(self._limits.guest_bytes)} of the disks (limit guest_bytes)")
        self.reads += 1
        self.bytes_read += length

    def check(self) -> None:
        """Look at the clock.

        :raises Stopped: the time is up.
        """
        if self._clock() - self._start > self._limits.guest_time:
            raise Stopped(f"took longer than {self._limits.guest_time} s (limit guest_time)")

    def cost(self) -> Cost:
        """What was spent until now."""
        return Cost(reads=self.reads, bytes_read=self.bytes_read, seconds=self._clock() - self._start)


class DiskReader:
    """A disk behind a budget, small reads served from pages that are kept for a while."""

    def __init__(self, disk: Disk, budget: Budget) -> None:
        self._disk = disk
        self._budget = budget
        self._pages: Kept[bytes] = Kept(_KEPT, len)
        self.size = disk.facts.virtual_size

    def read(self, offset: int, length: int) -> bytes:
        """See :meth:`Readable.read`."""
        self._budget.check()
        length = max(0, min(length, self.size - offset))
        first, last = offset // _PAGE, (offset + length - 1) // _PAGE
        if not length or offset < 0:
            return b""
        if last - first > 1:
            return self._fetch(offset, length)
        data = self._page(first) if first == last else self._page(first) + self._page(last)
        start = offset - first * _PAGE
        return data[start : start + length]

    def _page(self, index: int) -> bytes:
        return self._pages.get(index, lambda: self._fetch(index * _PAGE, min(_PAGE, self.size - index * _PAGE)))

    def _fetch(self, offset: int, length: int) -> bytes:
        self._budget.spend(length)
        buffer = bytearray(length)
        try:
            self._disk.read_into(offset, memoryview(buffer))
        except TransferError as error:
            raise Stopped(f"the disk could not be read: {error}") from error
        return bytes(buffer)


class Part:
    """A range of something readable: a partition. It ends where that ends, if its table says more."""

    def __init__(self, source: Readable, offset: int, length: int) -> None:
        self._source = source
        self._offset = min(offset, source.size)
        self.size = max(0, min(length, source.size - self._offset))

    def read(self, offset: int, length: int) -> bytes:
        """See :meth:`Readable.read`."""
        length = max(0, min(length, self.size - offset))
        return self._source.read(self._offset + offset, length) if length and offset >= 0 else b""


class Window:
    """Something readable as the file object that the bindings of libyal want. Its offset 0 is the volume's start."""

    def __init__(self, source: Readable) -> None:
        self.source = source
        self._at = 0
        self._error: Exception | None = None

    def read(self, length: int = -1) -> bytes:
        """At most *length* bytes from the present place on."""
        try:
            if length > _AT_ONCE:
                raise FormatError(f"{length} bytes would have to be read at once", expected="a structure of sane size")
            data = self.source.read(self._at, self.source.size if length < 0 else length)
        except (XenimageError, Stopped) as error:
            self._error = self._error or error
            raise
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to another place, which may lie behind the end; the new place."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.source.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        """The present place."""
        return self._at

    def get_size(self) -> int:
        """Bytes."""
        return self.source.size

    @contextlib.contextmanager
    def calling(self, what: str) -> Iterator[None]:
        """Turn what a library raises in the block into an error of ours, or into what this window had raised to it.

        :param what: the place, for the message.
        :raises FormatError: the library could not read it.
        :raises LimitError: there was not memory enough for it.
        :raises Stopped: the inspection is over.
        """
        self._error = None
        try:
            yield
        except MemoryError as error:
            raise LimitError("needs more memory than there is (limit guest_memory)", where=what) from error
        except (OSError, ValueError, OverflowError) as error:
            self.raise_own(error)
            raise FormatError(reason(error), where=what) from error

    def raise_own(self, error: Exception) -> None:
        """Raise what this window had raised to the library, if that is behind *error*."""
        if self._error is not None:
            raise self._error from error


def reason(error: Exception) -> str:
    """The telling part of a library's message: they are chains of ``function: text.``, the cause second.

    ``pyfsext_volume_open: unable to open. libfsext_x_read: invalid magic. libfsext_y: unable to …`` gives
    ``invalid magic``.
    """
    parts = re.findall(r"(?:^|\s)(?:py|lib)[a-z]+_\w+: (.*?)(?=\.(?:\s|$))", str(error)[:2000].replace("\n", " "))
    text = parts[1] if len(parts) > 1 else (parts or [type(error).__name__])[0]
    return f"cannot be read: {text[:200]}"
