"""ext2, ext3 and ext4, read by libfsext."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyfsext

from xenimage.exceptions import UnsupportedError
from xenimage.guest.filesystems.unix import UnixFileSystem

if TYPE_CHECKING:
    from xenimage.guest.window import Readable
    from xenimage.limits import Limits
    from xenimage.model.guest.layout import Volume

_INCOMPATIBLE = 1024 + 96
"""where the features stand that a reader must know"""
_INLINE_DATA = 0x8000
"""libfsext gives zeros for what does not fit into the first 60 bytes of such a file, and no error"""


class ExtFileSystem(UnixFileSystem):
    """A volume of the second, third or fourth extended file system. A journal is not replayed."""

    def __init__(self, source: Readable, volume: Volume, limits: Limits) -> None:
        if int.from_bytes(source.read(_INCOMPATIBLE, 4), "little") & _INLINE_DATA:
            raise UnsupportedError("keeps small files in their inodes (inline_data)", expected="them in blocks")
        super().__init__(pyfsext.volume(), source, volume, limits)
