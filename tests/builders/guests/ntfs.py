"""NTFS volumes with any files, without a mount, FUSE or root: mkntfs, and libntfs-3g called through ctypes."""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import os
import shutil
import stat
import subprocess
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Mapping

DATA = 0x80
"""type of the attribute $DATA"""
CHUNK = 1 << 20
_POINTER, _TEXT, _INT64 = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int64
_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "ntfs_mount": (_POINTER, [_TEXT, ctypes.c_ulong]),
    "ntfs_umount": (ctypes.c_int, [_POINTER, ctypes.c_int]),
    "ntfs_pathname_to_inode": (_POINTER, [_POINTER, _POINTER, _TEXT]),
    "ntfs_create": (_POINTER, [_POINTER, ctypes.c_uint32, _POINTER, ctypes.c_uint8, ctypes.c_uint32]),
    "ntfs_delete": (ctypes.c_int, [_POINTER, _TEXT, _POINTER, _POINTER, _POINTER, ctypes.c_uint8]),
    "ntfs_inode_close": (ctypes.c_int, [_POINTER]),
    "ntfs_inode_close_in_dir": (ctypes.c_int, [_POINTER, _POINTER]),
    "ntfs_attr_open": (_POINTER, [_POINTER, ctypes.c_uint32, _POINTER, ctypes.c_uint32]),
    "ntfs_attr_pwrite": (_INT64, [_POINTER, _INT64, _INT64, _TEXT]),
    "ntfs_attr_close": (None, [_POINTER]),
}


@functools.cache
def _library() -> Any:
    library = ctypes.CDLL(ctypes.util.find_library("ntfs-3g") or "libntfs-3g.so.89", use_errno=True)
    for function, (result, arguments) in _FUNCTIONS.items():
        getattr(library, function).restype, getattr(library, function).argtypes = result, arguments
    return library


class Volume:
    """An open NTFS volume; paths inside it begin with ``/``. A context manager, which closes it."""

    def __init__(self, image: pathlib.Path) -> None:
        self._library = _library()
        self._unnamed = _POINTER.in_dll(self._library, "AT_UNNAMED")
        self._volume = self._library.ntfs_mount(os.fsencode(image), 0) or self._fail(str(image))

    def __enter__(self) -> Volume:
        return self

    def __exit__(self, *_: object) -> None:
        if self._library.ntfs_umount(self._volume, 0):
            self._fail("unmount")

    def create(self, folder: str, name: str, kind: int) -> None:
        """Make a directory (``stat.S_IFDIR``) or an empty file (``stat.S_IFREG``)."""
        parent, encoded = self._find(folder), name.encode("utf-16-le")
        text = ctypes.create_string_buffer(encoded, len(encoded) + 2)
        inode = self._library.ntfs_create(parent, 0, text, len(encoded) // 2, kind) or self._fail(name)
        # Closed in this order before any data is written: else index entries of the directory get lost.
        self._library.ntfs_inode_close_in_dir(inode, parent)
        self._library.ntfs_inode_close(parent)

    def write(self, path: str, data: bytes) -> None:
        """Write the content of a file that is there."""
        inode = self._find(path)
        if data:
            attribute = self._library.ntfs_attr_open(inode, DATA, self._unnamed, 0) or self._fail(path)
            for start in range(0, len(data), CHUNK):
                part = data[start : start + CHUNK]
                if self._library.ntfs_attr_pwrite(attribute, start, len(part), part) != len(part):
                    self._fail(path)
            self._library.ntfs_attr_close(attribute)
        self._library.ntfs_inode_close(inode)

    def delete(self, folder: str, name: str) -> None:
        """Remove a file."""
        parent, path, encoded = self._find(folder), f"{folder.rstrip('/')}/{name}", name.encode("utf-16-le")
        text = ctypes.create_string_buffer(encoded, len(encoded) + 2)
        inode = self._find(path)
        # Both inodes are closed by it, also when it fails.
        if self._library.ntfs_delete(self._volume, path.encode(), inode, parent, text, len(encoded) // 2):
            self._fail(path)

    def _find(self, path: str) -> Any:
        return self._library.ntfs_pathname_to_inode(self._volume, None, path.encode()) or self._fail(path)

    @staticmethod
    def _fail(what: str) -> NoReturn:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def fill(image: pathlib.Path, files: Mapping[str, bytes]) -> None:
    """Put *files*, paths with ``/`` to contents, into the empty volume *image*."""
    made = {""}
    with Volume(image) as volume:
        for path, data in sorted(files.items()):
            folder = ""
            *above, name = path.split("/")
            for part in above:
                inside = f"{folder}/{part}"
                if inside not in made:
                    volume.create(folder or "/", part, stat.S_IFDIR)
                    made.add(inside)
                folder = inside
            volume.create(folder or "/", name, stat.S_IFREG)
            volume.write(f"{folder}/{name}", data)


def crowd(image: pathlib.Path, count: int) -> None:
    """Make *count* files in the root and remove every second: directory index and MFT get gaps.

    With 512-byte clusters and little room, 4096-byte index blocks are then split over two data runs.
    """
    names = [f"t{number:06d}" for number in range(count)]
    with Volume(image) as volume:
        for name in names:
            volume.create("/", name, stat.S_IFREG)
            volume.write(f"/{name}", name.encode() * 100)
        for name in names[::2]:
            volume.delete("/", name)


def format_volume(image: pathlib.Path, size: int, *, label: str = "", start: int = 0, cluster: int = 4096) -> None:
    """Make an empty volume of *size* bytes that believes to begin at sector *start* of its disk."""
    with open(image, "wb") as file:
        file.truncate(size)
    command = [
        "mkntfs", "-F", "-Q", "-q", "-c", str(cluster), "-s", "512", "-L", label, "-p", str(start), "-H", "255",
        "-S", "63", str(image),
    ]  # fmt: skip
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    program = shutil.which("mkntfs", path=path) or "mkntfs"
    subprocess.run([program, *command[1:]], check=True, capture_output=True)
