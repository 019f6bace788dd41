"""NTFS: directories by own code, everything else by libfsntfs."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pyfsntfs

from xenimage.exceptions import FormatError
from xenimage.guest.filesystems.base import Kind
from xenimage.guest.filesystems.library import Handle, LibraryFileSystem
from xenimage.guest.filesystems.ntfs_index import Directories, Name, folded
from xenimage.guest.kept import Kept
from xenimage.model.guest.facts import Unread
from xenimage.units import MIB

if TYPE_CHECKING:
    from xenimage.guest.window import Readable
    from xenimage.limits import Limits
    from xenimage.model.guest.layout import Volume

_VOLUME, _ROOT, _BITMAP = 3, 5, 6
"""records of the MFT: what the volume says of itself, its root directory, a bit for each cluster"""
_VOLUME_NAME, _VOLUME_INFORMATION = 0x60, 0x70
"""types of attributes"""
_DIRTY = 1
_NAMES = 100_000
"""names of directories that are kept"""
_BITMAP_SIZE = 16 * MIB
"""bytes of a bitmap that are counted: of a volume of 512 GiB with clusters of 4 KiB"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Node:
    """A name in a directory, and the library's entry for it; None for a directory, on which that may fail."""

    record: int
    file: Any


class NtfsFileSystem(LibraryFileSystem):
    """An NTFS volume: names of any case. Reparse points are not followed, the log is not replayed."""

    ignores_case = True

    def __init__(self, source: Readable, volume: Volume, limits: Limits) -> None:
        super().__init__(pyfsntfs.volume(), source, volume, limits)
        self._reader = Directories(source, limits)
        self._directories: Kept[dict[str, Name]] = Kept(_NAMES, lambda names: len(names) + 1)
        try:
            with self._window.calling("$Volume"):
                self.volume = dataclasses.replace(self.volume, **self._facts())
            with self._window.calling("$Bitmap"):
                self.volume = dataclasses.replace(self.volume, free=self._free())
        except FormatError as error:
            self.losses.append(Unread(what=error.where, why=error.found))

    def close(self) -> None:
        """See :meth:`~xenimage.guest.filesystems.base.FileSystem.close`."""
        self._directories.clear()
        super().close()

    def _root(self) -> Handle:
        return _Node(record=_ROOT, file=None)

    def _child(self, path: str, parent: Handle) -> Handle | None:
        found = self._listed(parent).get(folded(path.rpartition("/")[2]))
        if found is None:
            return None
        return _Node(
            record=found.record, file=None if found.is_directory else self._library.get_file_entry(found.record)
        )

    def _names(self, handle: Handle, path: str) -> list[str]:  # noqa: ARG002 - see the base
        return [name.text for name in self._listed(handle).values() if name.text != "." and "/" not in name.text]

    def _listed(self, directory: Handle) -> dict[str, Name]:
        number = directory.record
        return self._directories.get(number, lambda: self._reader.names(number))

    def _facts(self) -> dict[str, Any]:
        """Name and flag of the volume."""
        found: dict[str, Any] = {}
        for attribute in self._library.get_file_entry(_VOLUME).attributes:
            if attribute.attribute_type == _VOLUME_NAME:
                found["label"] = attribute.name or ""
            elif attribute.attribute_type == _VOLUME_INFORMATION:
                found["dirty"] = bool(attribute.flags & _DIRTY)
        if "dirty" not in found:
            raise FormatError("does not say whether the volume is dirty", where="$Volume")
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
        if handle.file is None:
            return Kind.DIRECTORY
        return Kind.FILE if handle.file.has_default_data_stream() else Kind.OTHER

    def _size(self, handle: Handle) -> int:
        return super()._size(handle.file)

    def _content(self, handle: Handle, length: int, offset: int) -> bytes:
        return super()._content(handle.file, length, offset)
