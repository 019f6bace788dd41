"""File systems joined into one namespace, with symbolic links resolved inside it and never outside of it."""

from __future__ import annotations

import collections
import dataclasses
from typing import TYPE_CHECKING

from xenimage.exceptions import LimitError
from xenimage.guest.filesystems.base import Entry, Kind
from xenimage.guest.kept import Kept
from xenimage.units import MIB

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from xenimage.guest.filesystems.base import FileSystem
    from xenimage.limits import Limits

_COMPONENTS = 1024
"""parts of a path, links resolved; Linux takes 4096 bytes"""
_FOUND = 1024
"""places that are kept"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Place:
    """Where a path leads: an entry of one of the file systems."""

    path: str
    """in the tree"""
    filesystem: FileSystem
    inside: str
    """path in the file system"""
    entry: Entry


class Tree:
    """A root file system and what is mounted into it. Paths have ``/`` between their parts; one in front is allowed.

    Case counts where it counts in the file system. Nothing is written, and no link leads out: ``..`` ends at the root.
    """

    def __init__(self, root: FileSystem, limits: Limits) -> None:
        self.root = root
        self._limits = limits
        self._mounts: dict[str, FileSystem] = {"": root}
        self._found: Kept[_Place | None] = Kept(_FOUND)

    @property
    def filesystems(self) -> tuple[FileSystem, ...]:
        """The root and what is mounted, in the order of mounting."""
        return tuple(self._mounts.values())

    def mount(self, path: str, filesystem: FileSystem) -> None:
        """Put *filesystem* over the directory at *path*, which need not be there."""
        place = self._resolve(path, follow=True)
        self._mounts[place.path if place else "/".join(_parts(path))] = filesystem
        self._found.clear()

    def entry(self, path: str, *, follow: bool = True) -> Entry | None:
        """The entry at *path*; None if there is none, or a link that leads nowhere.

        :param follow: whether a link at the very end is followed too. The entry's path is where that ends.
        :raises FormatError: a file system is damaged on the way.
        :raises LimitError: more links than the limit guest_links stand in the way.
        """
        place = self._resolve(path, follow=follow)
        return None if place is None else dataclasses.replace(place.entry, path=place.path)

    def names(self, path: str) -> Sequence[str]:
        """The names in the directory at *path*, sorted; empty if it is no directory. Raises like :meth:`entry`."""
        place = self._resolve(path, follow=True)
        if place is None or place.entry.kind is not Kind.DIRECTORY:
            return ()
        names = place.filesystem.names(place.inside)
        mounted = {name for name in self._mounted_in(place.path) if name not in names}
        return sorted({*names, *mounted}) if mounted else names

    def read(self, path: str, limit: int) -> bytes | None:
        """The content of the file at *path*; None if it is no file. Raises like :meth:`entry`.

        :raises LimitError: it has more than *limit* bytes.
        """
        place = self._file(path)
        if place is None:
            return None
        if place.entry.size > limit:
            raise LimitError(f"has {place.entry.size} bytes", expected=f"at most {limit}", where=path)
        return place.filesystem.read(place.inside, place.entry.size)

    def head(self, path: str, length: int) -> bytes | None:
        """The first *length* bytes of the file at *path*, fewer if it is shorter; None if it is no file."""
        place = self._file(path)
        return None if place is None else place.filesystem.read(place.inside, min(length, place.entry.size))

    def part(self, path: str, offset: int, length: int) -> bytes | None:
        """At most *length* bytes from *offset* on of the file at *path*; None if it is no file."""
        place = self._file(path)
        return None if place is None else place.filesystem.read(place.inside, length, offset)

    def text(self, path: str, limit: int = MIB) -> str | None:
        """The file at *path* as text; None if it is no file. Raises like :meth:`read`.

        UTF-8 unless a mark says UTF-16; what is neither is replaced. Lines end in a line feed alone.
        """
        data = self.read(path, limit)
        if data is None:
            return None
        encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        return data.decode(encoding, "replace").replace("\r\n", "\n")

    def spelled(self, path: str) -> str:
        """*path* as its parts are stored, for display; the parts that are not there as they were given."""
        if not self.root.ignores_case:
            return "/".join(_parts(path))
        stored: list[str] = []
        for part in _parts(path):
            names = self.names("/".join(stored))
            fitting = [name for name in names if name.casefold() == part.casefold()]
            stored.append(part if part in fitting or not fitting else fitting[0])
        return "/".join(stored)

    def _file(self, path: str) -> _Place | None:
        place = self._resolve(path, follow=True)
        return place if place is not None and place.entry.kind is Kind.FILE else None

    def _mounted_in(self, path: str) -> Iterator[str]:
        for mount in self._mounts:
            folder, _, name = mount.rpartition("/")
            if name and folder == path:
                yield name

    def _resolve(self, path: str, *, follow: bool) -> _Place | None:
        whole = "/".join(_parts(path))
        return self._found.get(
            (whole, follow), lambda: self._walk(whole, follow=follow) if self._indirect else self._direct(whole)
        )

    @property
    def _indirect(self) -> bool:
        return self.root.has_links or len(self._mounts) > 1

    def _direct(self, path: str) -> _Place | None:
        """Look *path* up in the root alone, in which are no links."""
        entry = self.root.entry(path)
        return None if entry is None else _Place(path=path, filesystem=self.root, inside=path, entry=entry)

    def _walk(self, path: str, *, follow: bool) -> _Place | None:
        """Follow *path* part by part, links too."""
        todo = collections.deque(_parts(path))
        at: list[str] = []
        links = steps = 0
        place = self._at("")
        while todo and place is not None:
            steps += 1
            part = todo.popleft()
            if part == "..":
                place = self._at("/".join(at[:-1]))
                at = at[:-1]
                continue
            place = self._at("/".join([*at, part]))
            if place is None or place.entry.kind is not Kind.LINK or not (todo or follow):
                at.append(part)
                continue
            links = self._limits.require("guest_links", links + 1, f"the number of links on the way to /{path}")
            target = place.entry.target
            todo.extendleft(reversed(_parts(target)))
            if len(todo) + steps > _COMPONENTS:
                raise LimitError(f"more than {_COMPONENTS} parts", expected="a path of fewer", where=f"/{path}")
            at = [] if target.startswith("/") else at
            place = self._at("/".join(at)) if target else None
        return place

    def _at(self, path: str) -> _Place | None:
        """The entry at *path*, of which no part before the last is a link."""
        mount, inside = path, ""
        while mount not in self._mounts:
            mount, _, name = mount.rpartition("/")
            inside = f"{name}/{inside}" if inside else name
        filesystem = self._mounts[mount]
        entry = filesystem.entry(inside)
        return None if entry is None else _Place(path=path, filesystem=filesystem, inside=inside, entry=entry)


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]
