"""A disk in memory, which may fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.model.disk import DiskFacts
from xenimage.model.extent import Extent, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.exceptions import XenimageError


class MemoryDisk:
    """A :class:`xenimage.model.disk.Disk` with this content. *error*: what every read raises instead."""

    def __init__(self, content: bytes | bytearray, error: Exception | None = None) -> None:
        self.content = content
        self.error = error
        self.facts = DiskFacts(format="raw", virtual_size=len(content), granularity=512, stored_size=len(content))

    def read_into(self, offset: int, buffer: memoryview) -> None:
        assert 0 <= offset <= offset + len(buffer) <= len(self.content), f"outside: {offset}+{len(buffer)}"
        if self.error is not None:
            raise self.error
        buffer[:] = self.content[offset : offset + len(buffer)]

    def extents(self, offset: int, length: int) -> Iterator[Extent]:
        if length:
            yield Extent(offset, length, Kind.DATA)

    def unreadable(self) -> XenimageError | None:
        return None

    def close(self) -> None:
        pass
