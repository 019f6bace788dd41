"""ext2, ext3 and ext4, read by libfsext."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyfsext

from xenimage.guest.filesystems.unix import UnixFileSystem

if TYPE_CHECKING:
    from xenimage.guest.window import Window
    from xenimage.limits import Limits
    from xenimage.model.guest.layout import Volume


class ExtFileSystem(UnixFileSystem):
    """A volume of the second, third or fourth extended file system. A journal is not replayed."""

    def __init__(self, window: Window, volume: Volume, limits: Limits) -> None:
        super().__init__(pyfsext.volume(), window, volume, limits)
