"""XFS, read by libfsxfs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyfsxfs

from xenimage.guest.filesystems.unix import UnixFileSystem

if TYPE_CHECKING:
    from xenimage.guest.window import Readable
    from xenimage.limits import Limits
    from xenimage.model.guest.layout import Volume


class XfsFileSystem(UnixFileSystem):
    """An XFS volume. Its log is not replayed."""

    def __init__(self, source: Readable, volume: Volume, limits: Limits) -> None:
        super().__init__(pyfsxfs.volume(), source, volume, limits)
