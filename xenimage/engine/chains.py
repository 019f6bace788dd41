"""Looking at a set of VHDs: what each says of itself and of its parent. Only what the user named is opened."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from xenimage.checks.chain import judge_links, link
from xenimage.exceptions import FormatError, UsageError, XenimageError
from xenimage.formats.vhd.facts import vhd_link
from xenimage.model.report import ChainFile, ChainReport
from xenimage.sources.file import open_beside, open_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xenimage.limits import Limits
    from xenimage.sources.file import FileSource

_SUFFIXES = (".vhd", ".avhd")
_COOKIES = (b"conectix", b"v_poison")


def show(paths: Sequence[str], limits: Limits) -> ChainReport:
    """Link files, or all VHDs in a directory.

    :raises UsageError: no such file or directory, a directory among several paths, or the same file twice.
    """
    directory = paths[0] if len(paths) == 1 and os.path.isdir(paths[0]) else ""
    files = in_directory(directory, limits) if directory else [describe(path, limits) for path in distinct(paths)]
    nodes = link(files)
    return ChainReport(nodes=tuple(nodes), findings=tuple(judge_links(nodes, directory, whole=True)))


def distinct(paths: Sequence[str]) -> Sequence[str]:
    """Give *paths* back if no two of them name one file.

    :raises UsageError: two do.
    """
    seen: dict[tuple[int, int], str] = {}
    for path in paths:
        with contextlib.suppress(OSError):  # opening it tells the user more
            status = os.stat(path)
            key = status.st_dev, status.st_ino
            if key in seen:
                raise UsageError(f"is the same file as {seen[key]}", expected="each file once", where=path)
            seen[key] = path
    return paths


def in_directory(directory: str, limits: Limits) -> list[ChainFile]:
    """Describe the VHDs of a directory: what ends like one, and what begins or ends like one. Links are not followed.

    :raises UsageError: the directory cannot be read.
    """
    try:
        with os.scandir(directory) as entries:
            names = sorted(entry.name for entry in entries if entry.is_file(follow_symlinks=False))
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=directory) from error
    found = []
    for name in names:
        path = os.path.join(directory, name)
        try:
            source = open_beside(path, name)
        except XenimageError as error:
            if name.lower().endswith(_SUFFIXES):
                found.append(_unreadable(path, error))
            continue
        with contextlib.closing(source):
            if name.lower().endswith(_SUFFIXES) or source.read(0, min(source.size, 8)) in _COOKIES:
                found.append(_described(path, source, limits))
    return found


def describe(path: str, limits: Limits) -> ChainFile:
    """Describe one file.

    :raises UsageError: it cannot be opened.
    """
    with contextlib.closing(open_file(path)) as source:
        return _described(path, source, limits)


def _described(path: str, source: FileSource, limits: Limits) -> ChainFile:
    try:
        vhd, locators, parent_timestamp = vhd_link(source, limits)
    except FormatError as error:
        return _unreadable(path, error)
    return ChainFile(
        path=path,
        place=os.path.realpath(path),
        vhd=vhd,
        locators=locators,
        parent_timestamp=parent_timestamp,
        mtime=_mtime(path),
    )


def _mtime(path: str) -> int:
    with contextlib.suppress(OSError):
        return int(os.stat(path).st_mtime)
    return 0


def _unreadable(path: str, error: XenimageError) -> ChainFile:
    return ChainFile(path=path, place=os.path.abspath(path), vhd=None, problem=error.found)
