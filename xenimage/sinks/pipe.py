"""A pipe, a socket, standard output: bytes leave in order and cannot be patched."""

from __future__ import annotations

import io
import os
import select
from typing import TYPE_CHECKING

from xenimage.exceptions import TransferError
from xenimage.streams.digest import Digests

if TYPE_CHECKING:
    from collections.abc import Sequence


class PipeSink:
    """Writes to an open descriptor, and takes the digests of what passes."""

    seekable = False

    def __init__(self, descriptor: int, name: str, digests: Sequence[str]) -> None:
        self.name = name
        self.size = 0
        self._descriptor = descriptor
        self._digests = Digests(digests)

    def write(self, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        """Send *parts*.

        :raises BrokenPipeError: the reader is gone; the edge ends quietly, as other tools do.
        :raises TransferError: anything else.
        """
        for part in parts:
            view = memoryview(part)
            self._digests.update(view)
            while view:
                try:
                    count = os.write(self._descriptor, view)
                except BrokenPipeError:
                    raise
                except BlockingIOError:  # whoever shares the pipe with us has set it so
                    select.select([], [self._descriptor], [])
                    continue
                except OSError as error:
                    raise TransferError(
                        f"cannot be written: {(error.strerror or str(error)).lower()}", done=self.size, where=self.name
                    ) from error
                self.size += count
                view = view[count:]

    def skip(self, length: int) -> None:  # noqa: ARG002 - the signature of a sink
        """Not possible."""
        raise io.UnsupportedOperation("skip")

    def patch(self, offset: int, data: bytes) -> None:  # noqa: ARG002 - the signature of a sink
        """Not possible."""
        raise io.UnsupportedOperation("patch")

    def digests(self) -> dict[str, str]:
        """Digests of all that was sent, by name."""
        return self._digests.hex()
