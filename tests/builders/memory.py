"""A file in memory that is changed in place, and may fail at a chosen moment as if the process were killed."""

from __future__ import annotations

from tests.builders.vhd import MemorySource


class KilledError(BaseException):
    """The process was killed here. No handler of the code under test sees it."""


class MemoryFile(MemorySource):
    """An EditableSource. *lives*: writes that succeed before the one that is cut short, None for all."""

    def __init__(self, data: bytes | bytearray, name: str = "disk.vhd", lives: int | None = None) -> None:
        self.content = bytearray(data)
        self.lives = lives
        self.writes = 0
        self.syncs = 0
        super().__init__(b"", name)
        self.size = len(self.content)

    def _live(self) -> bool:
        self.writes += 1
        return self.lives is None or self.writes <= self.lives

    def read_into(self, offset: int, buffer: memoryview) -> None:
        assert 0 <= offset <= offset + len(buffer) <= self.size, f"a reader left the file: {offset}+{len(buffer)}"
        buffer[:] = self.content[offset : offset + len(buffer)]

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        lives = self._live()
        # The kernel may end a write between two pages, never inside one.
        part = bytes(data) if lives else bytes(data)[: len(data) // 2 // 4096 * 4096]
        if part:
            if offset > len(self.content):
                self.content.extend(bytes(offset - len(self.content)))
            self.content[offset : offset + len(part)] = part
            self.size = len(self.content)
        if not lives:
            raise KilledError

    def resize(self, size: int) -> None:
        if not self._live():
            raise KilledError
        del self.content[size:]
        self.content.extend(bytes(size - len(self.content)))
        self.size = size

    def sync(self) -> None:
        self.syncs += 1
