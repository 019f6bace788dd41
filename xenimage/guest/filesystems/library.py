"""What the adapters of libyal's file systems share: walking to an entry, its names and bytes, errors and bounds.

An adapter says how the library's entries are asked. Entries that were found are kept for a while, because the next path
often begins like the last one, and a library reads a directory again for each path that leads through it.
"""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any

from xenimage.exceptions import FormatError
from xenimage.guest.filesystems.base import Entry, Kind
from xenimage.guest.kept import Kept
from xenimage.guest.window import Window
from xenimage.model.guest.facts import Unread
from xenimage.units import MIB

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xenimage.guest.window import Readable
    from xenimage.limits import Limits
    from xenimage.model.guest.layout import Volume

Handle = Any
"""an entry of the library, which has no types"""

_HANDLES = 128
"""entries that are kept open"""
_DEPTH = 256
"""parts of a path"""
_LOSSES = 20
_PIECE = 16 * MIB
"""bytes that a library is asked for at once: it asks the window for all of them if they stand together"""


class LibraryFileSystem(abc.ABC):
    """A :class:`~xenimage.guest.filesystems.base.FileSystem` that a library reads.

    :param library: the library's volume object, not opened yet.
    :raises FormatError: it cannot be opened.
    """

    separator = "/"
    """what the library wants between the parts of a path"""
    ignores_case = False
    has_links = False

    def __init__(self, library: Any, source: Readable, volume: Volume, limits: Limits) -> None:
        window = Window(source)
        self.volume = volume
        self.losses: list[Unread] = []
        self._library = library
        self._window = window
        self._limits = limits
        self._handles: Kept[Handle | None] = Kept(_HANDLES)
        self._open = True
        with window.calling("the volume"):
            library.open_file_object(window)

    def entry(self, path: str) -> Entry | None:
        """See :meth:`~xenimage.guest.filesystems.base.FileSystem.entry`."""
        with self._window.calling(path):
            handle = self._handle(path)
            return None if handle is None else self._described(handle, path)

    def names(self, path: str) -> Sequence[str]:
        """See :meth:`~xenimage.guest.filesystems.base.FileSystem.names`."""
        with self._window.calling(path):
            handle = self._handle(path)
            if handle is None or self._kind(handle, path) is not Kind.DIRECTORY:
                return ()
            return sorted(set(self._names(handle, path)))

    def read(self, path: str, length: int, offset: int = 0) -> bytes:
        """See :meth:`~xenimage.guest.filesystems.base.FileSystem.read`."""
        with self._window.calling(path):
            handle = self._handle(path)
            if handle is None or self._kind(handle, path) is not Kind.FILE:
                raise FormatError("is no file", where=path)
            wanted = min(length, max(0, self._size(handle) - offset))
            self._limits.require("guest_file", wanted, f"the number of bytes to read of {path}")
            return self._content(handle, wanted, offset) if wanted > 0 else b""

    def close(self) -> None:
        """See :meth:`~xenimage.guest.filesystems.base.FileSystem.close`."""
        if self._open:
            self._open = False
            self._handles.clear()
            self._library.close()

    def _handle(self, path: str) -> Handle | None:
        """The library's entry at *path*, found component by component: libraries fail on ``file/name``."""
        parts = path.strip("/").split("/") if path.strip("/") else []
        if len(parts) > _DEPTH:
            return None
        handle = self._kept("", None)
        for count in range(1, len(parts) + 1):
            if handle is None:
                return None
            handle = self._kept("/".join(parts[:count]), handle)
        return handle

    def _kept(self, path: str, parent: Handle | None) -> Handle | None:
        """The entry at *path*, whose directory is *parent*; looked up only if it is not kept from before."""
        return self._handles.get(path, lambda: self._found(path, parent) if path else self._root())

    def _found(self, path: str, parent: Handle) -> Handle | None:
        folder, _, name = path.rpartition("/")
        if not self._is_possible(name) or self._kind(parent, folder) is not Kind.DIRECTORY:
            return None
        return self._child(path, parent)

    def _child(self, path: str, parent: Handle) -> Handle | None:  # noqa: ARG002 - for who asks otherwise
        # By the whole path: the bindings' calls for one name in a directory fail, or differ in what they hold equal.
        return self._library.get_file_entry_by_path(f"/{path}".replace("/", self.separator))

    def _is_possible(self, name: str) -> bool:
        """Whether the library can be asked for this name; one that it cannot take stands in no directory."""
        if "\0" in name or self.separator in name:
            return False
        try:
            name.encode()
        except UnicodeEncodeError:
            return False
        return True

    def _described(self, handle: Handle, path: str) -> Entry:
        kind = self._kind(handle, path)
        return Entry(
            path=path.strip("/"),
            kind=kind,
            size=self._size(handle) if kind is Kind.FILE else 0,
            target=self._target(handle) if kind is Kind.LINK else "",
            mode=self._mode(handle),
        )

    def _names(self, handle: Handle, path: str) -> list[str]:
        count = handle.number_of_sub_file_entries
        self._limits.require("guest_entries", count, f"the number of names in /{path}")
        found = []
        for index in range(count):
            try:
                name = handle.get_sub_file_entry(index).name
            except (OSError, ValueError) as error:
                self._window.raise_own(error)
                self._lost(path)
                continue
            if name and name not in (".", "..") and "/" not in name and "\0" not in name:
                found.append(name)
        return found

    def _lost(self, path: str) -> None:
        loss = Unread(what=f"an entry of /{path}", why="its name or its inode cannot be read")
        if loss not in self.losses and len(self.losses) < _LOSSES:
            self.losses.append(loss)

    def _root(self) -> Handle:
        return self._library.get_root_directory()

    @abc.abstractmethod
    def _kind(self, handle: Handle, path: str) -> Kind: ...

    def _size(self, handle: Handle) -> int:
        return max(0, int(handle.size))

    def _content(self, handle: Handle, length: int, offset: int) -> bytes:
        starts = range(offset, offset + length, _PIECE)
        return b"".join(handle.read_buffer_at_offset(min(_PIECE, offset + length - start), start) for start in starts)

    def _target(self, handle: Handle) -> str:
        return str(handle.symbolic_link_target or "")

    def _mode(self, handle: Handle) -> int:  # noqa: ARG002 - for file systems that have one
        return 0
