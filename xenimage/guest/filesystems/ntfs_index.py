"""Directories of NTFS by own code: file names and the numbers of their records, nothing else.

libfsntfs refuses a directory whose index blocks are split over two runs of clusters, which volumes with clusters below
4 KiB have, and misses names without an error where clusters are larger than index blocks. With the numbers from here it
reads files by their records.

Source: the documentation of libfsntfs, "New Technologies File System (NTFS)". All little-endian.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from xenimage.exceptions import FormatError
from xenimage.units import MIB

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.guest.window import Readable
    from xenimage.limits import Limits

_STRIDE = 512
"""bytes behind which two are replaced by a check value"""
_LIST, _DATA, _INDEX_ROOT, _INDEX_ALLOCATION = 0x20, 0x80, 0x90, 0xA0
_END = 0xFFFFFFFF
_NAME = "$I30"
"""of the attributes that hold an index of file names"""
_RECORD = (1 << 48) - 1
"""bits of a reference that are the record's number"""
_DEEPER, _LAST = 1, 2
"""flags of an index entry"""
_IS_DIRECTORY = 0x10000000
"""attribute of a file, in its entries only: it has an index of names"""
_DOS = 2
"""name space of the short names that stand beside long ones"""
_RUNS = 65536
_LIST_SIZE = MIB

Run = tuple[int, int | None]
"""clusters and the first of them on the volume, None for a hole"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Attribute:
    """A piece of an attribute, as one record has it."""

    type: int
    name: str
    first: int
    """its first cluster within the attribute"""
    content: bytes = b""
    """where it stands in the record itself"""
    runs: tuple[Run, ...] = ()
    size: int = 0
    """bytes, where it does not"""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Name:
    """An entry of a directory."""

    text: str
    """as stored"""
    record: int
    is_directory: bool


def folded(text: str) -> str:
    """*text* as it is compared: in upper case, letter by letter, none of them becoming two."""
    if text.isascii():
        return text.upper()
    return "".join(upper if len(upper := letter.upper()) == 1 else letter for letter in text)


class Directories:
    """The directories of a volume.

    :raises FormatError: the volume is damaged.
    """

    def __init__(self, source: Readable, limits: Limits) -> None:
        self._source = source
        self._limits = limits
        boot = source.read(0, 512)
        sector = _number(boot, 11, 2)
        factor = _number(boot, 13, 1)
        self._cluster = sector * (factor if factor <= 128 else 1 << min(256 - factor, 31))
        self._record_size = _record_size(boot[64:65], self._cluster)
        mft = _number(boot, 48, 8)
        if not 256 <= self._cluster <= 2 * MIB or not _STRIDE <= self._record_size <= 65536:
            raise FormatError("the boot sector of NTFS is damaged")
        first = self._fixed(source.read(mft * self._cluster, self._record_size), b"FILE")
        self._mft: list[Run] = []
        # The first record leads to the next ones, which may lead to more.
        for attribute in _attributes(first):
            if attribute.type == _DATA and not attribute.name:
                self._mft = list(attribute.runs)
        self._mft = self._whole(0, _DATA, "")[0]

    def names(self, number: int) -> dict[str, Name]:
        """The names in the directory in record *number*, by :func:`folded`.

        :raises FormatError: it is damaged, or no directory.
        """
        roots = [piece.content for piece in self._pieces(number, _INDEX_ROOT, _NAME)]
        if not roots or len(roots[0]) < 32:
            raise FormatError(f"record {number} is no directory")
        block = _number(roots[0], 8, 4)
        if not _STRIDE <= block <= 65536 or block % _STRIDE:
            raise FormatError(f"the index of record {number} has blocks of {block} bytes")
        runs, size = self._whole(number, _INDEX_ALLOCATION, _NAME)
        unit = self._cluster if self._cluster <= block else _STRIDE
        found: dict[str, Name] = {}
        seen: set[int] = set()
        nodes = [roots[0][16:]]
        while nodes:
            for name, below in _entries(nodes.pop()):
                if name is not None:
                    found.setdefault(folded(name.text), name)
                    self._limits.require("guest_entries", len(found), f"the number of names in record {number}")
                if below is None or below in seen:
                    continue
                seen.add(below)
                self._limits.require("guest_entries", len(seen), f"the number of index blocks of record {number}")
                if (below * unit) + block > size:
                    raise FormatError(f"the index of record {number} leads behind its end")
                nodes.append(self._fixed(self._read(runs, below * unit, block), b"INDX")[24:])
        return found

    def _record(self, number: int) -> bytes:
        return self._fixed(self._read(self._mft, number * self._record_size, self._record_size), b"FILE")

    def _whole(self, number: int, kind: int, name: str) -> tuple[list[Run], int]:
        """The runs and the size in bytes of an attribute that does not stand in its record; none of it: nothing."""
        pieces = sorted(self._pieces(number, kind, name), key=lambda piece: piece.first)
        runs = [run for piece in pieces for run in piece.runs]
        if len(runs) > _RUNS:
            raise FormatError(f"record {number} has more than {_RUNS} runs")
        return runs, max((piece.size for piece in pieces), default=0)

    def _pieces(self, number: int, kind: int, name: str) -> list[_Attribute]:
        """All pieces of an attribute, also those in other records."""
        own = list(_attributes(self._record(number)))
        found = [one for one in own if (one.type, one.name) == (kind, name)]
        for one in own:
            if one.type == _LIST:
                size = min(one.size, _LIST_SIZE)
                content = one.content or self._read(one.runs, 0, size)
                for record in sorted(_elsewhere(content, kind) - {number}):
                    others = _attributes(self._record(record))
                    found += [other for other in others if (other.type, other.name) == (kind, name)]
        return found

    def _read(self, runs: list[Run] | tuple[Run, ...], offset: int, length: int) -> bytes:
        parts = []
        start = 0
        for clusters, at in runs:
            size = clusters * self._cluster
            if length and start <= offset < start + size:
                wanted = min(length, start + size - offset)
                data = bytes(wanted) if at is None else self._source.read(at * self._cluster + offset - start, wanted)
                parts.append(data)
                offset += wanted
                length -= wanted
            start += size
        if length:
            raise FormatError("a structure of NTFS ends too early")
        return b"".join(parts)

    @staticmethod
    def _fixed(data: bytes, magic: bytes) -> bytes:
        """*data* with the bytes put back that its check values stand for."""
        at, count = _number(data, 4, 2), _number(data, 6, 2)
        if data[:4] != magic or count != len(data) // _STRIDE + 1 or at + 2 * count > _STRIDE - 2:
            raise FormatError(f"a record begins with {data[:4]!r}", expected=f"{magic.decode()!r} and check values")
        fixed = bytearray(data)
        for index in range(1, count):
            end = index * _STRIDE
            if data[end - 2 : end] != data[at : at + 2]:
                raise FormatError("a record was written only in part: its check values differ")
            fixed[end - 2 : end] = data[at + 2 * index : at + 2 * index + 2]
        return bytes(fixed)


def _record_size(field: bytes, cluster: int) -> int:
    """Bytes of a record: a number of clusters, or a power of two, negated."""
    value = int.from_bytes(field, "little", signed=True)
    return value * cluster if value > 0 else 1 << min(-value, 31)


def _attributes(record: bytes) -> Iterator[_Attribute]:
    at = _number(record, 20, 2)
    while at + 24 <= len(record) and _number(record, at, 4) != _END:
        length = _number(record, at + 4, 4)
        if length < 24 or at + length > len(record):
            raise FormatError("an attribute leaves its record")
        yield _attribute(record[at : at + length])
        at += length


def _attribute(data: bytes) -> _Attribute:
    name_at = _number(data, 10, 2)
    name = data[name_at : name_at + 2 * data[9]].decode("utf-16-le", "replace")
    kind = _number(data, 0, 4)
    if not data[8]:
        at = _number(data, 20, 2)
        return _Attribute(type=kind, name=name, first=0, content=data[at : at + _number(data, 16, 4)])
    if len(data) < 56:
        raise FormatError("an attribute is too short")
    runs = tuple(_runs(data[_number(data, 32, 2) :]))
    return _Attribute(type=kind, name=name, first=_number(data, 16, 8), runs=runs, size=_number(data, 48, 8))


def _runs(data: bytes) -> Iterator[Run]:
    at = cluster = 0
    while at < len(data) and data[at]:
        width, distance = data[at] & 15, data[at] >> 4
        length = _number(data, at + 1, width)
        step = int.from_bytes(data[at + 1 + width : at + 1 + width + distance], "little", signed=True)
        at += 1 + width + distance
        cluster += step
        if at > len(data) or not length or cluster < 0:
            raise FormatError("the list of an attribute's clusters is damaged")
        yield length, cluster if distance else None


def _elsewhere(content: bytes, kind: int) -> set[int]:
    """The records that a list of attributes names for those of a type."""
    found: set[int] = set()
    at = 0
    while at + 26 <= len(content):
        length = _number(content, at + 4, 2)
        if length < 26:
            break
        if _number(content, at, 4) == kind:
            found.add(_number(content, at + 16, 8) & _RECORD)
        at += length
    return found


def _entries(node: bytes) -> Iterator[tuple[Name | None, int | None]]:
    """Yield (name, block below in its units) of a node, which begins with its own header."""
    at = _number(node, 0, 4)
    end = min(_number(node, 4, 4), len(node))
    while at + 16 <= end:
        length, size, flags = _number(node, at + 8, 2), _number(node, at + 10, 2), _number(node, at + 12, 2)
        if length < 16 or at + length > end:
            raise FormatError("an entry leaves its index")
        below = _number(node, at + length - 8, 8) if flags & _DEEPER and length >= 24 else None
        key = node[at + 16 : at + 16 + size]
        named = len(key) >= 68 and key[65] != _DOS and not flags & _LAST
        yield _name(key, _number(node, at, 8) & _RECORD) if named else None, below
        if flags & _LAST:
            break
        at += length


def _name(key: bytes, record: int) -> Name:
    return Name(
        text=key[66 : 66 + 2 * key[64]].decode("utf-16-le", "replace"),
        record=record,
        is_directory=bool(_number(key, 56, 4) & _IS_DIRECTORY),
    )


def _number(data: bytes, at: int, width: int) -> int:
    return int.from_bytes(data[at : at + width], "little")
