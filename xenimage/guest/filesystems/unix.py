"""ext2, ext3, ext4 through libfsext and XFS through libfsxfs, whose bindings are of one shape."""

from __future__ import annotations

import stat

from xenimage.guest.filesystems.base import Kind
from xenimage.guest.filesystems.library import Handle, LibraryFileSystem

_KINDS = {stat.S_IFREG: Kind.FILE, stat.S_IFDIR: Kind.DIRECTORY, stat.S_IFLNK: Kind.LINK}


class UnixFileSystem(LibraryFileSystem):
    """Inodes with modes, links with targets, names with case."""

    has_links = True

    def _kind(self, handle: Handle, path: str) -> Kind:  # noqa: ARG002 - see the base
        return _KINDS.get(stat.S_IFMT(handle.file_mode), Kind.OTHER)

    def _mode(self, handle: Handle) -> int:
        return stat.S_IMODE(handle.file_mode)
