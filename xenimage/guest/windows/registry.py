"""The hives of a Windows system, and services as they describe them."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING

from xenimage.guest.hive import Hive
from xenimage.guest.windows import paths, programs
from xenimage.model.guest.windows import HiveFile
from xenimage.model.guest.xendrivers import Service
from xenimage.units import KIB

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from xenimage.guest.hive import Key
    from xenimage.guest.notes import Notes
    from xenimage.guest.tree import Tree
    from xenimage.limits import Limits

WOW64 = ("", "WOW6432Node\\")
"""where SOFTWARE has what 64-bit and 32-bit programs wrote"""


_PAGE = 16 * KIB
"""what is read of a hive at once: keys that belong together stand close to each other, more or less"""
_PAGES = 512
"""pages that are kept: 8 MiB"""


class HiveContent:
    """A hive on a volume, of which only those pages are read that somebody asks for.

    :param size: bytes.
    """

    def __init__(self, tree: Tree, path: str, size: int) -> None:
        self.size = size
        self._tree = tree
        self._path = path
        self._pages: collections.OrderedDict[int, bytes] = collections.OrderedDict()

    def part(self, offset: int, length: int) -> bytes:
        """The bytes from *offset* on: *length* of them, fewer at the end. Raises like :meth:`Tree.part`."""
        first, last = offset // _PAGE, (offset + max(length, 1) - 1) // _PAGE
        data = b"".join(self._page(index) for index in range(first, last + 1))
        return data[offset - first * _PAGE :][:length]

    def _page(self, index: int) -> bytes:
        page = self._pages.get(index)
        if page is None:
            page = self._tree.part(self._path, index * _PAGE, _PAGE) or b""
            self._pages[index] = page
            if len(self._pages) > _PAGES:
                self._pages.popitem(last=False)
        return page


class Registry:
    """SYSTEM and SOFTWARE of one Windows. A hive that cannot be read is noted and has no keys.

    :param root: the directory of Windows.
    :param place: the volume, for notes.
    """

    def __init__(self, tree: Tree, root: str, place: str, notes: Notes, limits: Limits) -> None:
        self.tree = tree
        self.root = root
        self.place = place
        self.notes = notes
        self.files: list[HiveFile] = []
        self._limits = limits
        self._system = self._open("SYSTEM")
        self._software = self._open("SOFTWARE")
        self.control_set = self._current_set() if self._system is not None else ""
        """``ControlSet001``; empty where SYSTEM cannot be read"""

    def _open(self, name: str) -> Hive | None:
        path = f"{self.root}/System32/config/{name}"
        with self.notes.tried(f"{path} on {self.place}"):
            entry = self.tree.entry(path)
            if entry is None:
                self.notes.add(f"{path} on {self.place}", "there is no such file")
                return None
            size = self._limits.require("guest_file", entry.size, "its size in bytes")
            hive = Hive(HiveContent(self.tree, path, size), name)
            self.files.append(HiveFile(name=name, path=self.tree.spelled(path), size=size, dirty=hive.dirty))
            return hive
        return None

    def _current_set(self) -> str:
        number = self.integer(self.system("Select"), "Current") or 1
        name = f"ControlSet{number % 1000:03d}"
        if self.system(name) is None:
            self.notes.add(f"SYSTEM\\{name} on {self.place}", "there is no such key")
            return ""
        return name

    def system(self, path: str) -> Key | None:
        """A key of SYSTEM; None if there is none, or the way there is damaged, which is noted."""
        return self._key(self._system, "SYSTEM", path)

    def current(self, path: str) -> Key | None:
        """A key below the current control set."""
        return self.system(f"{self.control_set}\\{path}") if self.control_set else None

    def software(self, path: str) -> Key | None:
        """A key of SOFTWARE."""
        return self._key(self._software, "SOFTWARE", path)

    def both_software(self, path: str) -> Iterator[Key]:
        """The keys that 64-bit and 32-bit programs have under the same path."""
        for branch in WOW64:
            key = self.software(branch + path)
            if key is not None:
                yield key

    def _key(self, hive: Hive | None, name: str, path: str) -> Key | None:
        with self.notes.tried(f"{name}\\{path} on {self.place}"):
            return hive.key(path) if hive else None
        return None

    def below(self, key: Key | None) -> list[Key]:
        """The keys below *key*; what cannot be read is noted."""
        if key is not None:
            with self.notes.tried(f"{key.path} on {self.place}"):
                return key.subkeys()
        return []

    def integer(self, key: Key | None, name: str) -> int | None:
        """A number; None where there is none, or it cannot be read, which is noted."""
        if key is not None:
            with self.notes.tried(f"{key.path}: {name} on {self.place}"):
                return key.integer(name)
        return None

    def text(self, key: Key | None, name: str) -> str:
        """A text; empty where there is none, or it cannot be read, which is noted."""
        if key is not None:
            with self.notes.tried(f"{key.path}: {name} on {self.place}"):
                return key.text(name)
        return ""

    def texts(self, key: Key | None, name: str) -> tuple[str, ...]:
        """A list of texts; empty where there is none, or it cannot be read, which is noted."""
        if key is not None:
            with self.notes.tried(f"{key.path}: {name} on {self.place}"):
                return key.texts(name)
        return ()

    def data(self, key: Key | None, name: str) -> bytes:
        """The bytes of a value of any kind; empty where there is none, or it cannot be read, which is noted."""
        if key is not None:
            with self.notes.tried(f"{key.path}: {name} on {self.place}"):
                value = key.value(name)
                return value.data if value else b""
        return b""

    def services(self, names: Iterable[str], *, versions: bool = False) -> tuple[Service, ...]:
        """Those of the services called *names* that are there.

        :param versions: whether to look into their files, too.
        """
        found = (self.service(name, versions=versions) for name in names)
        return tuple(each for each in found if each is not None)

    def service(self, name: str, *, versions: bool = False) -> Service | None:
        """The service called *name*; None where it is not there: a key with neither start nor program is a remnant."""
        key = self.current(f"Services\\{name}")
        start, image = self.integer(key, "Start"), self.text(key, "ImagePath")
        if key is None or (start is None and not image):
            return None
        # Without a path a driver is looked for by its name.
        path = paths.program(image) if image else f"\\SystemRoot\\System32\\drivers\\{name}.sys"
        file = paths.on_volume(path, self.root)
        present = programs.is_there(self.tree, file, self.place, self.notes) if file else None
        return Service(
            name=name,
            key=key.path,
            start=start,
            override=self.integer(self.current(f"Services\\{name}\\StartOverride"), "0"),
            delayed=bool(self.integer(key, "DelayedAutostart")),
            image_path=image,
            file=file,
            present=present,
            version=programs.version(self.tree, file, self.place, self.notes) if versions and present else "",
        )
