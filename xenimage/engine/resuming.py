"""Disks of a package that are kept until it is whole: what an interrupted run had finished is not made again.

Each disk becomes a file of its own in a directory beside the output, with a record of what it was made from and of its
digest. From there it is copied into the package. That needs room for the disks twice, and so is done on request alone.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
from typing import TYPE_CHECKING

from xenimage.containers.ovf.writing import Content
from xenimage.model.report import LostRange
from xenimage.sinks.file import FileSink, make_directory
from xenimage.sources.file import open_file
from xenimage.units import MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from xenimage.model.disk import ByteSource
    from xenimage.model.transfer import PatchSink

SUFFIX = ".resume"
"""behind the name of the output: the directory of the disks that are finished"""
_VERSION = 1
_RECORD_MAX = 16 * MIB
"""bytes"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Record:
    """What is known of a kept disk."""

    key: str
    digest: str
    stored: int
    """bytes of the guest"""
    lost: tuple[LostRange, ...]


def identify(paths: Iterable[str], *more: object) -> str:
    """Text that is another one once a source or an option is another one: paths with sizes and times, and *more*."""
    files = []
    for path in paths:
        found = os.stat(path)
        files.append((os.path.realpath(path), found.st_size, found.st_mtime_ns))
    return hashlib.sha256(repr((_VERSION, files, more)).encode(errors="surrogateescape")).hexdigest()


class Kept:
    """The directory of the disks that are finished.

    :raises UsageError: it cannot be made.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._used: list[str] = []
        self.resumed: list[str] = []
        """names of disks that were taken over"""
        make_directory(directory)

    def content(
        self,
        new: Content,
        key: str,
        lost: Callable[[], Sequence[LostRange]],
        known: Callable[[Sequence[LostRange]], None],
    ) -> Content:
        """*new*, which is kept once it was written, and taken over where it was kept before.

        :param key: of :func:`identify`.
        :param lost: tells what could not be read.
        :param known: is told what could not be read when a disk that is taken over was made.
        """

        def write(sink: PatchSink, name: str) -> int:
            path = os.path.join(self._directory, name)
            self._used.append(path)
            record = _read(path)
            if record is None or record.key != key or _digest(path) != record.digest:
                stored = _make(new, path, name)
                record = _Record(key=key, digest=_digest(path), stored=stored, lost=tuple(lost()))
                _save(path, record)
            else:
                self.resumed.append(name)
                known(record.lost)
            with contextlib.closing(open_file(path)) as source:
                for part in _parts(source):
                    sink.write([part])
            return record.stored

        return Content(size=new.size, write=write)

    def remove(self) -> None:
        """Remove what was kept: the package is whole."""
        for path in self._used:
            for each in (path, f"{path}.json"):
                with contextlib.suppress(OSError):
                    os.unlink(each)
        with contextlib.suppress(OSError):
            os.rmdir(self._directory)


def _make(new: Content, path: str, name: str) -> int:
    sink = FileSink(path, force=True)
    try:
        stored = new.write(sink, name)
        sink.flush()
        sink.commit()
    finally:
        sink.close()
    return stored


def _save(path: str, record: _Record) -> None:
    sink = FileSink(f"{path}.json", force=True)
    try:
        sink.write([json.dumps(dataclasses.asdict(record)).encode()])
        sink.flush()
        sink.commit()
    finally:
        sink.close()


def _read(path: str) -> _Record | None:
    """The record of a kept disk; None where there is none that can be used."""
    try:
        if os.path.getsize(f"{path}.json") > _RECORD_MAX or not os.path.isfile(path):
            return None
        with open(f"{path}.json", encoding="utf-8") as file:
            found = json.load(file)
        lost = tuple(
            LostRange(offset=int(e["offset"]), length=int(e["length"]), why=str(e["why"])) for e in found["lost"]
        )
        return _Record(key=str(found["key"]), digest=str(found["digest"]), stored=int(found["stored"]), lost=lost)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _parts(source: ByteSource) -> Iterator[bytes]:
    for offset in range(0, source.size, MIB):
        yield source.read(offset, min(MIB, source.size - offset))


def _digest(path: str) -> str:
    digest = hashlib.sha256()
    with contextlib.closing(open_file(path)) as source:
        for part in _parts(source):
            digest.update(part)
    return digest.hexdigest()
