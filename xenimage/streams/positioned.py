"""What a source of bytes can do once it can fill a buffer."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Positioned(abc.ABC):
    """The part of :class:`xenimage.model.disk.ByteSource` that follows from :meth:`read_into`; holes are not known."""

    @abc.abstractmethod
    def read_into(self, offset: int, buffer: memoryview) -> None:
        """See :meth:`xenimage.model.disk.ByteSource.read_into`."""

    def read(self, offset: int, length: int) -> bytes:
        """See :meth:`xenimage.model.disk.ByteSource.read`."""
        buffer = bytearray(length)
        self.read_into(offset, memoryview(buffer))
        return bytes(buffer)

    def data(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        """See :meth:`xenimage.model.disk.ByteSource.data`."""
        if length:
            yield offset, length
