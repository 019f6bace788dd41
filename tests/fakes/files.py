"""A file system in memory: paths to contents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.exceptions import FormatError
from xenimage.guest.filesystems.base import Entry, Kind
from xenimage.model.guest.layout import Volume

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from xenimage.model.guest.facts import Unread


class MemoryFiles:
    """What :class:`xenimage.guest.filesystems.base.FileSystem` says, over a dictionary.

    :param files: paths with ``/`` to contents.
    :param broken: paths whose reading fails.
    """

    def __init__(
        self, files: Mapping[str, bytes], *, ignores_case: bool = False, broken: Sequence[str] = (), kind: str = "ext4"
    ) -> None:
        self.volume = Volume(kind=kind)
        self.ignores_case = ignores_case
        self.has_links = False
        self.losses: list[Unread] = []
        self._broken = {self._key(path) for path in broken}
        self._files = {self._key(path): (path, data) for path, data in files.items()}
        self._folders: dict[str, str] = {"": ""}
        for path in files:
            parts = path.split("/")[:-1]
            for count in range(1, len(parts) + 1):
                folder = "/".join(parts[:count])
                self._folders.setdefault(self._key(folder), folder)

    def _key(self, path: str) -> str:
        return path.casefold() if self.ignores_case else path

    def entry(self, path: str) -> Entry | None:
        key = self._key(path)
        if key in self._files:
            stored, data = self._files[key]
            return Entry(path=stored, kind=Kind.FILE, size=len(data))
        if key in self._folders:
            return Entry(path=self._folders[key], kind=Kind.DIRECTORY)
        return None

    def names(self, path: str) -> Sequence[str]:
        above = self._key(path)
        places = [*(stored for stored, _ in self._files.values()), *self._folders.values()]
        found = {place.rpartition("/")[2] for place in places if place and self._key(place.rpartition("/")[0]) == above}
        return sorted(found)

    def read(self, path: str, length: int, offset: int = 0) -> bytes:
        key = self._key(path)
        if key in self._broken or key not in self._files:
            raise FormatError("a file cannot be read", where=path)
        return self._files[key][1][offset : offset + length]

    def close(self) -> None:
        pass
