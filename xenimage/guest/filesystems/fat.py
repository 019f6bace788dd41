"""FAT12, FAT16 and FAT32, read by libfsfat."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pyfsfat

from xenimage.guest.filesystems.base import Kind
from xenimage.guest.filesystems.library import Handle, LibraryFileSystem

if TYPE_CHECKING:
    from xenimage.guest.window import Window
    from xenimage.limits import Limits
    from xenimage.model.guest.layout import Volume

_DIRECTORY = 0x10


class FatFileSystem(LibraryFileSystem):
    """A FAT volume: names of any case, no links, no modes."""

    separator = "\\"
    ignores_case = True

    def __init__(self, window: Window, volume: Volume, limits: Limits) -> None:
        super().__init__(pyfsfat.volume(), window, volume, limits)
        with window.calling("the label"):
            self.volume = dataclasses.replace(volume, label=self._library.label or "")

    def _kind(self, handle: Handle, path: str) -> Kind:
        if not path.strip("/") or handle.file_attribute_flags & _DIRECTORY:
            return Kind.DIRECTORY
        return Kind.FILE
