"""The root of a Linux system as its readers want it: texts, lines and names, and a note of what could not be read."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING

from xenimage.guest.filesystems.base import Kind
from xenimage.units import MIB

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from xenimage.guest.filesystems.base import Entry
    from xenimage.guest.notes import Notes
    from xenimage.guest.tree import Tree

_LINE_MAX = 4096
_LINES_MAX = 5000
_FILES_MAX = 500
"""of one pattern; a directory with more configuration than that is none"""


class Root:
    """Reads whatever can be read: a file that is not there is empty, a damaged one too, and noted.

    :param place: where the system lies, for the notes.
    """

    def __init__(self, tree: Tree, place: str, notes: Notes) -> None:
        self.tree = tree
        self.place = place
        self.notes = notes
        self._wants: dict[str, str] | None = None

    def entry(self, path: str, *, follow: bool = True) -> Entry | None:
        """What is at *path*; None for nothing."""
        with self.notes.tried(self.called(path)):
            return self.tree.entry(path, follow=follow)
        return None

    def is_file(self, path: str) -> bool:
        """Whether a file is at *path*, or a link that leads to one."""
        entry = self.entry(path)
        return entry is not None and entry.kind is Kind.FILE

    def first(self, *paths: str) -> str:
        """The first of *paths* at which a file is; empty for none."""
        return next((path for path in paths if self.is_file(path)), "")

    def names(self, path: str) -> Sequence[str]:
        """The names in the directory at *path*."""
        with self.notes.tried(self.called(path)):
            return self.tree.names(path)
        return ()

    def matching(self, folder: str, *patterns: str) -> list[str]:
        """Paths of what is in *folder* and called like one of *patterns*, sorted by name."""
        names = [name for name in self.names(folder) if any(fnmatch.fnmatchcase(name, each) for each in patterns)]
        return [f"{folder}/{name}" for name in names[:_FILES_MAX]]

    def text(self, path: str, limit: int = MIB) -> str:
        """The file at *path* as text."""
        with self.notes.tried(self.called(path)):
            return self.tree.text(path, limit) or ""
        return ""

    def lines(self, path: str, limit: int = MIB) -> Iterator[str]:
        """Lines of a file without blanks at their ends, the empty ones and comments left out."""
        for line in self.text(path, limit).split("\n", _LINES_MAX)[:_LINES_MAX]:
            bare = line.strip()
            if bare and not bare.startswith("#"):
                yield bare[:_LINE_MAX]

    def head(self, path: str, length: int) -> bytes:
        """The first bytes of a file."""
        with self.notes.tried(self.called(path)):
            return self.tree.head(path, length) or b""
        return b""

    def called(self, path: str) -> str:
        """The path as people are told of it."""
        return f"/{path} on {self.place}"

    def unit(self, *names: str) -> str:
        """The link or file by which one of these services starts, of whatever init system; empty for none."""
        if self._wants is None:
            self._wants = dict(_wanted(self))
        return next((self._wants[name] for name in names if name in self._wants), "")

    def masked(self, *names: str) -> str:
        """The link by which one of these units of systemd is kept from starting; empty for none."""
        for name in names:
            path = f"etc/systemd/system/{name}"
            entry = self.entry(path, follow=False)
            if entry is not None and entry.kind is Kind.LINK and entry.target == "/dev/null":
                return f"/{path}"
        return ""


def _wanted(root: Root) -> Iterator[tuple[str, str]]:
    """(service, path) of what starts by itself. What a generator of systemd decides is not among it."""
    for folder in ("lib/systemd/system", "usr/lib/systemd/system", "etc/systemd/system"):
        for wants in root.matching(folder, "*.wants", "*.requires"):
            yield from ((name, f"/{wants}/{name}") for name in root.names(wants))
    for level in root.names("etc/runlevels"):
        yield from ((name, f"/etc/runlevels/{level}/{name}") for name in root.names(f"etc/runlevels/{level}"))
    for number in ("2", "3", "5"):
        for path in root.matching(f"etc/rc{number}.d", "S[0-9][0-9]*") + root.matching(
            f"etc/rc.d/rc{number}.d", "S[0-9][0-9]*"
        ):
            yield path.rpartition("/")[2][3:], f"/{path}"
    for path in root.matching("etc/init", "*.conf"):
        yield path.rpartition("/")[2].removesuffix(".conf"), f"/{path}"
