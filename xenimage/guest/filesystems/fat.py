"""FAT12, FAT16 and FAT32 by own code: libfsfat reads all of a FAT at once, and a FAT12 wrongly.

Source: "Microsoft FAT32 File System Specification" 1.03. All little-endian.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from xenimage.exceptions import FormatError
from xenimage.guest.filesystems.base import Entry, Kind
from xenimage.guest.kept import Kept
from xenimage.units import MIB

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from xenimage.guest.window import Readable
    from xenimage.limits import Limits
    from xenimage.model.guest.facts import Unread
    from xenimage.model.guest.layout import Volume

_ROW = 32
_FREE, _LAST, _KANJI = 0xE5, 0x00, 0x05
"""first bytes of a row: not used, none follows, a name that begins with E5"""
_LABEL, _DIRECTORY, _LONG = 0x08, 0x10, 0x0F
"""attributes: volume label, directory; part of a long name, all four lowest bits"""
_LONG_LAST = 0x40
_LOWER_NAME, _LOWER_SUFFIX = 0x08, 0x10
"""flags of Windows: a short name, or its suffix, that is shown in lower case"""
_DIRECTORY_SIZE = 2 * MIB
"""bytes of a directory, by the specification"""
_ROWS = 100_000
"""rows of directories that are kept"""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Row:
    """A row of a directory."""

    name: str
    short: str
    attributes: int
    cluster: int
    size: int

    @property
    def is_directory(self) -> bool:
        return bool(self.attributes & _DIRECTORY)


_ROOT = _Row(name="", short="", attributes=_DIRECTORY, cluster=0, size=0)


class FatFileSystem:
    """A FAT volume: names of any case, no links, no modes.

    :raises FormatError: its root directory cannot be read.
    """

    ignores_case = True
    has_links = False

    def __init__(self, source: Readable, volume: Volume, limits: Limits) -> None:
        self.losses: list[Unread] = []
        self._source = source
        self._limits = limits
        self._bits = int(volume.kind.removeprefix("fat"))
        boot = source.read(0, 512)
        self._sector = _number(boot, 11, 2)
        self._cluster = self._sector * boot[13]
        self._fat = _number(boot, 14, 2) * self._sector
        tables = boot[16] * (_number(boot, 22, 2) or _number(boot, 36, 4)) * self._sector
        self._root_at = self._fat + tables
        self._root_size = _number(boot, 17, 2) * _ROW
        self._data = self._root_at + -(-self._root_size // self._sector) * self._sector
        self._root_cluster = _number(boot, 44, 4) if self._bits == 32 else 0
        self._clusters = (volume.size - self._data) // self._cluster
        self._kept: Kept[tuple[_Row, ...]] = Kept(_ROWS, lambda rows: len(rows) + 1)
        label = next((row.short for row in self._rows(_ROOT) if row.attributes & _LABEL), "")
        self.volume = dataclasses.replace(volume, label=label)

    def entry(self, path: str) -> Entry | None:
        """See :meth:`~xenimage.guest.filesystems.base.FileSystem.entry`."""
        row = self._find(path)
        if row is None:
            return None
        kind = Kind.DIRECTORY if row.is_directory else Kind.FILE
        return Entry(path=path.strip("/"), kind=kind, size=0 if row.is_directory else row.size)

    def names(self, path: str) -> Sequence[str]:
        """See :meth:`~xenimage.guest.filesystems.base.FileSystem.names`."""
        row = self._find(path)
        return sorted({one.name for one in self._files(row)}) if row is not None and row.is_directory else ()

    def read(self, path: str, length: int, offset: int = 0) -> bytes:
        """See :meth:`~xenimage.guest.filesystems.base.FileSystem.read`."""
        row = self._find(path)
        if row is None or row.is_directory:
            raise FormatError("is no file", where=path)
        wanted = min(length, max(0, row.size - offset))
        self._limits.require("guest_file", wanted, f"the number of bytes to read of {path}")
        return self._content(row.cluster, offset, wanted, path)

    def close(self) -> None:
        """See :meth:`~xenimage.guest.filesystems.base.FileSystem.close`."""
        self._kept.clear()

    def _find(self, path: str) -> _Row | None:
        row = _ROOT
        for part in path.strip("/").split("/") if path.strip("/") else ():
            wanted = part.upper()
            rows = self._files(row) if row.is_directory else ()
            found = next((one for one in rows if wanted in (one.name.upper(), one.short.upper())), None)
            if found is None:
                return None
            row = found
        return row

    def _files(self, directory: _Row) -> Iterator[_Row]:
        for row in self._rows(directory):
            if not row.attributes & _LABEL and row.name and "/" not in row.name:
                yield row

    def _rows(self, directory: _Row) -> tuple[_Row, ...]:
        return self._kept.get(directory.cluster, lambda: self._listed(directory))

    def _listed(self, directory: _Row) -> tuple[_Row, ...]:
        parsed = _parsed(self._directory(directory), wide=self._bits == 32)
        rows = tuple(row for row in parsed if row.name not in (".", ".."))
        self._limits.require("guest_entries", len(rows), f"the number of names in {directory.name or 'the root'}")
        return rows

    def _directory(self, directory: _Row) -> bytes:
        # A cluster of 0 stands for the root, also in the rows that lead up to it.
        cluster = directory.cluster or self._root_cluster
        if not cluster:
            return self._source.read(self._root_at, self._root_size)
        return b"".join(self._source.read(at, length) for at, length in self._runs(cluster, _DIRECTORY_SIZE))

    def _content(self, cluster: int, offset: int, length: int, path: str) -> bytes:
        parts: list[bytes] = []
        start = 0
        for at, size in self._runs(cluster, offset + length) if length > 0 else ():
            if start + size > offset:
                skipped = max(0, offset - start)
                parts.append(self._source.read(at + skipped, min(size - skipped, offset + length - start - skipped)))
            start += size
        data = b"".join(parts)
        if len(data) < length:
            raise FormatError("has fewer clusters than its size says", where=path)
        return data

    def _runs(self, cluster: int, length: int) -> Iterator[tuple[int, int]]:
        """Yield (offset, bytes) of clusters that follow each other, until *length* bytes or the end of the chain."""
        left = -(-length // self._cluster)
        first, count = cluster, 0
        while left and self._is_data(cluster):
            left -= 1
            count += 1
            following = self._next(cluster)
            if following != cluster + 1 or not left:
                yield self._data + (first - 2) * self._cluster, count * self._cluster
                first, count = following, 0
            cluster = following

    def _is_data(self, cluster: int) -> bool:
        return 2 <= cluster < self._clusters + 2

    def _next(self, cluster: int) -> int:
        """The cluster behind this one; one that is none at the end of the chain."""
        if self._bits == 12:
            pair = _number(self._source.read(self._fat + cluster + cluster // 2, 2), 0, 2)
            return pair >> 4 if cluster & 1 else pair & 0xFFF
        width = self._bits // 8
        return _number(self._source.read(self._fat + cluster * width, width), 0, width) & 0x0FFFFFFF


def _parsed(data: bytes, *, wide: bool) -> Iterator[_Row]:
    """Yield the rows that are used, long names put together."""
    long: dict[int, bytes] = {}
    check = -1
    for at in range(0, len(data) - _ROW + 1, _ROW):
        row = data[at : at + _ROW]
        if row[0] == _LAST:
            break
        if row[0] == _FREE:
            long.clear()
        elif row[11] & 0x3F == _LONG:
            if row[0] & _LONG_LAST:
                long.clear()
            long[row[0] & 0x1F] = row[1:11] + row[14:26] + row[28:32]
            check = row[13]
        else:
            name = _long_name(long) if check == _checksum(row[:11]) else ""
            long.clear()
            short = _short_name(row)
            high = _number(row, 20, 2) if wide else 0
            yield _Row(
                name=name or short,
                short=short,
                attributes=row[11],
                cluster=high << 16 | _number(row, 26, 2),
                size=_number(row, 28, 4),
            )


def _long_name(parts: dict[int, bytes]) -> str:
    if sorted(parts) != list(range(1, len(parts) + 1)):
        return ""
    text = b"".join(parts[number] for number in sorted(parts)).decode("utf-16-le", "replace")
    return text.split("\0", 1)[0]


def _short_name(row: bytes) -> str:
    raw = bytes([_FREE]) + row[1:11] if row[0] == _KANJI else row[:11]
    if row[11] & _LABEL:
        return raw.decode("cp437").rstrip(" ")
    name, suffix = raw[:8].decode("cp437").rstrip(" "), raw[8:].decode("cp437").rstrip(" ")
    name = name.lower() if row[12] & _LOWER_NAME else name
    suffix = suffix.lower() if row[12] & _LOWER_SUFFIX else suffix
    return f"{name}.{suffix}" if suffix else name


def _checksum(name: bytes) -> int:
    """What the parts of a long name carry of the short one that they belong to."""
    total = 0
    for byte in name:
        total = ((total >> 1) + ((total & 1) << 7) + byte) & 0xFF
    return total


def _number(data: bytes, at: int, width: int) -> int:
    return int.from_bytes(data[at : at + width], "little")
