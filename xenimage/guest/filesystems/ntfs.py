"""NTFS, read by libfsntfs."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pyfsntfs

from xenimage.exceptions import FormatError
from xenimage.guest.filesystems.base import Kind
from xenimage.guest.filesystems.library import Handle, LibraryFileSystem
from xenimage.model.guest.facts import Unread
from xenimage.units import MIB

if TYPE_CHECKING:
    from xenimage.guest.window import Window
    from xenimage.limits import Limits
    from xenimage.model.guest.layout import Volume

_VOLUME, _BITMAP = 3, 6
"""records of the MFT with what the volume says of itself, and with a bit for each cluster"""
_VOLUME_NAME, _VOLUME_INFORMATION = 0x60, 0x70
"""types of attributes"""
_DIRTY = 1
_BITMAP_SIZE = 16 * MIB
"""bytes of a bitmap that are counted: of a volume of 512 GiB with clusters of 4 KiB"""


class NtfsFileSystem(LibraryFileSystem):
    """An NTFS volume: names of any case. Reparse points are not followed, the log is not replayed."""

    separator = "\\"
    ignores_case = True

    def __init__(self, window: Window, volume: Volume, limits: Limits) -> None:
        super().__init__(pyfsntfs.volume(), window, volume, limits)
        try:
            with window.calling("$Volume"):
                self.volume = dataclasses.replace(self.volume, **self._facts())
            with window.calling("$Bitmap"):
                self.volume = dataclasses.replace(self.volume, free=self._free())
        except FormatError as error:
            self.losses.append(Unread(what=error.where, why=error.found))

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
        if handle.has_directory_entries_index():
            return Kind.DIRECTORY
        return Kind.FILE if handle.has_default_data_stream() else Kind.OTHER
