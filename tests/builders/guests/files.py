"""Trees of files as plain values: put into a directory for a real maker of file systems, or a file system at once."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from xenimage.exceptions import FormatError
from xenimage.guest.filesystems.base import Entry, Kind
from xenimage.model.guest.layout import Volume

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterable, Mapping

    Files = Mapping[str, "bytes | str | Link | None"]


@dataclasses.dataclass(frozen=True)
class Link:
    """A symbolic link."""

    target: str


def write(files: Files, folder: pathlib.Path) -> None:
    """Make the files below *folder*, with the directories that they need; None makes an empty directory."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Link):
            path.symlink_to(content.target)
        elif content is None:
            path.mkdir(exist_ok=True)
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)


class MemoryFileSystem:
    """Such a tree as the inspection's FileSystem.

    :param broken: paths whose every use is an error, as of a damaged volume.
    """

    def __init__(
        self, files: Files, *, broken: Iterable[str] = (), ignores_case: bool = False, volume: Volume | None = None
    ) -> None:
        self.volume = volume or Volume(kind="ext4")
        self.ignores_case = ignores_case
        self.has_links = not ignores_case
        self.losses: list[object] = []
        self.bytes_read = 0
        self._broken = {self._key(each) for each in broken}
        self._entries: dict[str, Entry] = {"": Entry(path="", kind=Kind.DIRECTORY)}
        self._contents: dict[str, bytes] = {}
        for path, content in files.items():
            self._add(path, content)

    def _key(self, path: str) -> str:
        return path.casefold() if self.ignores_case else path

    def _add(self, path: str, content: bytes | str | Link | None) -> None:
        parts = path.split("/")
        for end in range(1, len(parts)):
            folder = "/".join(parts[:end])
            self._entries.setdefault(self._key(folder), Entry(path=folder, kind=Kind.DIRECTORY))
        if isinstance(content, Link):
            entry = Entry(path=path, kind=Kind.LINK, size=len(content.target), target=content.target)
        elif content is None:
            entry = Entry(path=path, kind=Kind.DIRECTORY)
        else:
            data = content.encode() if isinstance(content, str) else content
            self._contents[self._key(path)] = data
            entry = Entry(path=path, kind=Kind.FILE, size=len(data))
        self._entries[self._key(path)] = entry

    def entry(self, path: str) -> Entry | None:
        self._check(path)
        return self._entries.get(self._key(path))

    def names(self, path: str) -> list[str]:
        self._check(path)
        folder = self._key(path)
        inside = f"{folder}/" if folder else ""
        return sorted(
            entry.name
            for key, entry in self._entries.items()
            if key and key.startswith(inside) and "/" not in key[len(inside) :]
        )

    def read(self, path: str, length: int, offset: int = 0) -> bytes:
        self._check(path)
        if self._key(path) not in self._contents:
            raise FormatError("is no file", where=path)
        data = self._contents[self._key(path)][offset : offset + length]
        self.bytes_read += len(data)
        return data

    def close(self) -> None:
        pass

    def _check(self, path: str) -> None:
        if self._key(path) in self._broken:
            raise FormatError("is damaged", where=path)
