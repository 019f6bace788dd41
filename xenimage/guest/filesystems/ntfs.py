"""NTFS, read by libfsntfs; its directories by own code where that fails on sound ones."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pyfsntfs

from xenimage.exceptions import FormatError
from xenimage.guest.filesystems.base import Kind
from xenimage.guest.filesystems.library import Handle, LibraryFileSystem
from xenimage.guest.filesystems.ntfs_index import RECORD, Directories
from xenimage.model.guest.facts import Unread
from xenimage.units import MIB

if TYPE_CHECKING:
    from xenimage.guest.window import Window
    from xenimage.limits import Limits
    from xenimage.model.guest.layout import Volume

_VOLUME, _ROOT, _BITMAP = 3, 5, 6
"""records of the MFT: what the volume says of itself, its root directory, a bit for each cluster"""
_VOLUME_NAME, _VOLUME_INFORMATION = 0x60, 0x70
"""types of attributes"""
_DIRTY = 1
_DIRECTORIES = 16
"""directories that own code read and that are kept"""
_BITMAP_SIZE = 16 * MIB
"""bytes of a bitmap that are counted: of a volume of 512 GiB with clusters of 4 KiB"""


@dataclasses.dataclass(frozen=True)
class _Folder:
    """A directory on which the library fails, in place of its entry."""

    file_reference: int


class NtfsFileSystem(LibraryFileSystem):
    """An NTFS volume: names of any case. Reparse points are not followed, the log is not replayed."""

    separator = "\\"
    ignores_case = True

    def __init__(self, window: Window, volume: Volume, limits: Limits) -> None:
        super().__init__(pyfsntfs.volume(), window, volume, limits)
        self._reader: Directories | None = None
        self._directories: dict[int, dict[str, tuple[str, int]]] = {}
        try:
            with window.calling("$Volume"):
                self.volume = dataclasses.replace(self.volume, **self._facts())
            with window.calling("$Bitmap"):
                self.volume = dataclasses.replace(self.volume, free=self._free())
        except FormatError as error:
            self.losses.append(Unread(what=error.where, why=error.found))

    def _root(self) -> Handle:
        return self._opened(_ROOT)

    def _child(self, path: str, parent: Handle) -> Handle | None:
        if not self._directories:
            try:
                return super()._child(path, parent)
            except OSError as error:
                self._window.raise_own(error)
        # From here on without paths: the library fails on each that leads through a directory like this.
        found = self._numbers(parent).get(path.rpartition("/")[2].upper())
        return None if found is None else self._opened(found[1])

    def _opened(self, number: int) -> Handle:
        """The entry of a record; a :class:`_Folder` for a directory on which the library fails."""
        try:
            return self._library.get_file_entry(number)
        except OSError as error:
            self._window.raise_own(error)
        folder = _Folder(number)
        self._numbers(folder)
        return folder

    def _names(self, handle: Handle, path: str) -> list[str]:
        if not isinstance(handle, _Folder):
            return super()._names(handle, path)
        return [name for name, _ in self._numbers(handle).values() if name != "." and "/" not in name]

    def _numbers(self, directory: Handle) -> dict[str, tuple[str, int]]:
        """The directory as own code reads it; see :meth:`Directories.names`."""
        number = directory.file_reference & RECORD
        if number not in self._directories:
            if self._reader is None:
                self._reader = Directories(self._window.source, self._limits)
            if len(self._directories) >= _DIRECTORIES:
                self._directories.popitem()
            self._directories[number] = self._reader.names(number)
        return self._directories[number]

    def _facts(self) -> dict[str, Any]:
        """Name and flag of the volume."""
        found: dict[str, Any] = {}
        for attribute in self._library.get_file_entry(_VOLUME).attributes:
            if attribute.attribute_type == _VOLUME_NAME:
                found["label"] = attribute.name or ""
            elif attribute.attribute_type == _VOLUME_INFORMATION:
                found["dirty"] = bool(attribute.flags & _DIRTY)
        return found

    def _free(self) -> int | None:
        """Bytes in clusters that are not used; None where it would take long to count them."""
        cluster = self.volume.cluster_size
        clusters = self.volume.size // cluster if cluster else 0
        bitmap = self._library.get_file_entry(_BITMAP)
        size = min(int(bitmap.size), -(-clusters // 8))
        if size * 8 < clusters or not 0 < size <= _BITMAP_SIZE:
            return None
        used = 0
        for start in range(0, size, MIB):
            part = bitmap.read_buffer_at_offset(min(MIB, size - start), start)
            # The bits behind the last cluster are set.
            counted = (1 << min(8 * MIB, clusters - 8 * start)) - 1
            used += (int.from_bytes(part, "little") & counted).bit_count()
        return (clusters - used) * cluster

    def _kind(self, handle: Handle, path: str) -> Kind:  # noqa: ARG002 - see the base
        if isinstance(handle, _Folder) or handle.has_directory_entries_index():
            return Kind.DIRECTORY
        return Kind.FILE if handle.has_default_data_stream() else Kind.OTHER
