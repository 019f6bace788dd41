"""NTFS, read by libfsntfs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyfsntfs

from xenimage.guest.filesystems.base import Kind
from xenimage.guest.filesystems.library import Handle, LibraryFileSystem

if TYPE_CHECKING:
    from xenimage.guest.window import Window
    from xenimage.limits import Limits
    from xenimage.model.guest.layout import Volume


class NtfsFileSystem(LibraryFileSystem):
    """An NTFS volume: names of any case. Reparse points are not followed, the log is not replayed."""

    separator = "\\"
    ignores_case = True

    def __init__(self, window: Window, volume: Volume, limits: Limits) -> None:
        super().__init__(pyfsntfs.volume(), window, volume, limits)

    def _kind(self, handle: Handle, path: str) -> Kind:  # noqa: ARG002 - see the base
        if handle.has_directory_entries_index():
            return Kind.DIRECTORY
        return Kind.FILE if handle.has_default_data_stream() else Kind.OTHER
