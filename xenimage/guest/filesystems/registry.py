"""Which reader reads which file system. A closed table, as for all that parses hostile bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.exceptions import UnsupportedError
from xenimage.guest.filesystems.ext import ExtFileSystem
from xenimage.guest.filesystems.fat import FatFileSystem
from xenimage.guest.filesystems.ntfs import NtfsFileSystem
from xenimage.guest.filesystems.xfs import XfsFileSystem
from xenimage.guest.volumes.recognise import recognise

if TYPE_CHECKING:
    from collections.abc import Callable

    from xenimage.guest.filesystems.base import FileSystem
    from xenimage.guest.window import Readable
    from xenimage.limits import Limits
    from xenimage.model.guest.layout import Volume

_READERS: dict[str, Callable[[Readable, Volume, Limits], FileSystem]] = {
    "ext": ExtFileSystem,
    "fat": FatFileSystem,
    "ntfs": NtfsFileSystem,
    "xfs": XfsFileSystem,
}


def is_read(kind: str) -> bool:
    """Whether files are looked for in a volume of this :attr:`~xenimage.model.guest.layout.Volume.kind`."""
    return kind.rstrip("0123456789") in _READERS


def open_volume(source: Readable, limits: Limits, volume: Volume | None = None) -> FileSystem:
    """Open the file system in *source*.

    :param volume: what stands there, if that is known already.
    :raises UnsupportedError: it is none that is read here.
    :raises FormatError: it is damaged.
    """
    volume = volume or recognise(source)
    if not is_read(volume.kind):
        raise UnsupportedError(f"holds {volume.kind or 'nothing known'}", expected="NTFS, FAT, ext or XFS")
    return _READERS[volume.kind.rstrip("0123456789")](source, volume, limits)
