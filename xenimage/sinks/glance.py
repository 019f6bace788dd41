"""An image in a cloud: bytes leave in order while they are made, and none of them touches a disk here."""

from __future__ import annotations

import collections
import io
import threading
from typing import TYPE_CHECKING

from xenimage.exceptions import TransferError, XenimageError
from xenimage.streams.digest import Digests
from xenimage.units import KIB, MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from xenimage.model.image import Body

_PIECE = 512 * KIB
"""bytes that leave at once: below the 1 MiB at which uWSGI refuses a chunk unless it is told otherwise"""
_WAITING = 8 * MIB
"""bytes that may wait to be sent: enough to keep both sides busy"""


class _AbandonedError(Exception):
    """We gave the upload up. The request ends without the end of its body, so that nobody takes it for whole."""


class GlanceSink:
    """Sends what is written, from a thread of its own, and takes the digests of it.

    :param send: sends a body and returns when the cloud has all of it; called once, in that thread.
    :param name: what messages call it.
    """

    seekable = False

    def __init__(self, send: Callable[[Body], None], name: str, digests: Sequence[str]) -> None:
        self.name = name
        self.size = 0
        self._send = send
        self._digests = Digests(digests)
        self._pieces: collections.deque[memoryview] = collections.deque()
        self._waiting = 0
        self._sent = 0
        self._whole = False
        self._abandoned = False
        self._over = False
        self._failure: BaseException | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="upload", daemon=True)
        self._thread.start()

    def write(self, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        """Send *parts*, waiting while too much waits already.

        :raises TransferError: the upload failed, or the cloud ended it.
        """
        for part in filter(len, parts):  # an empty piece would look like the end
            self._digests.update(memoryview(part))
            with self._changed:
                while self._waiting > _WAITING and not self._over:
                    self._changed.wait()
                if self._over:
                    raise self._problem()
                self._pieces.append(memoryview(bytes(part)))
                self._waiting += len(part)
                self.size += len(part)
                self._changed.notify_all()

    def skip(self, length: int) -> None:  # noqa: ARG002 - the signature of a sink
        """Not possible."""
        raise io.UnsupportedOperation("skip")

    def patch(self, offset: int, data: bytes) -> None:  # noqa: ARG002 - the signature of a sink
        """Not possible."""
        raise io.UnsupportedOperation("patch")

    def digests(self) -> dict[str, str]:
        """Digests of all that was written, by name."""
        return self._digests.hex()

    def finish(self) -> None:
        """Say that this was all, and wait until the cloud has it.

        :raises TransferError: the upload failed.
        """
        with self._changed:
            self._whole = True
            self._changed.notify_all()
        self._thread.join()
        if self._failure is not None or self._sent != self.size:
            raise self._problem()

    def abandon(self) -> None:
        """Break the upload off, and wait for the end of it. Does nothing once it has ended."""
        with self._changed:
            self._abandoned = True
            self._changed.notify_all()
        self._thread.join()

    def read(self, size: int, /) -> bytes:
        """For the upload: the next bytes, as soon as there are some; none at the end."""
        with self._changed:
            while not self._pieces and not self._whole and not self._abandoned:
                self._changed.wait()
            if self._abandoned:
                raise _AbandonedError
            found: list[memoryview] = []
            room = min(size, _PIECE)
            while self._pieces and room:
                piece = self._pieces.popleft()
                if len(piece) > room:
                    self._pieces.appendleft(piece[room:])
                    piece = piece[:room]
                room -= len(piece)
                found.append(piece)
            data = b"".join(found)
            self._waiting -= len(data)
            self._sent += len(data)
            self._changed.notify_all()
            return data

    def _run(self) -> None:
        try:
            self._send(self)
        except BaseException as error:  # noqa: BLE001 handed to the thread that writes
            self._failure = error
        finally:
            with self._changed:
                self._over = True
                self._changed.notify_all()

    def _problem(self) -> XenimageError:
        """Why no more can be written."""
        error = self._failure
        if isinstance(error, TransferError) and error.done is None:
            error.done = self._sent
        if isinstance(error, XenimageError):
            return error
        if error is not None:
            failure = TransferError(f"the upload failed: {type(error).__name__}", done=self._sent, where=self.name)
            failure.__cause__ = error
            return failure
        return TransferError("the cloud ended the upload before all was sent", done=self._sent, where=self.name)
