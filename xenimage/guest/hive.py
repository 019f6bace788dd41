r"""Registry hives (regf), read where something is looked for: a few pages of a file that may have a hundred megabytes.

Layout: libyal, Windows NT Registry File (REGF) format specification; msuhanov, Windows registry file format. Own code
instead of libregf, which takes the wrong bytes of values of up to three bytes, reads every part of a hive before it
says anything, and refuses the whole for damage in one. Names are compared without case. Nothing is ever followed but
the path that is asked for, and no number is used before it was compared with the file's size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from xenimage.exceptions import FormatError, LimitError
from xenimage.units import KIB, MIB

if TYPE_CHECKING:
    from collections.abc import Iterator

# Base block. Both sequence numbers are equal where the hive was closed; the checksum is the xor of the words before it.
_SIGNATURE = b"regf"
_BASE = 4096
_SEQUENCES = slice(4, 8), slice(8, 12)
_MAJOR_AT, _ROOT_AT, _BINS_AT, _CHECKSUM_AT = 20, 36, 40, 508
# A cell: its size with a sign, negative where it is in use; then its content. Places count from behind the base block.
_CELL_HEAD = 4
_GUESS = 124
"""bytes of a cell that are read together with its size: enough for most keys and values"""
# Key (nk), from its signature.
_KEY_SIZE = 76
_KEY_FLAGS_AT, _SUBKEYS_AT, _SUBLIST_AT, _VALUES_AT, _VALUE_LIST_AT, _KEY_NAME_SIZE_AT = 2, 20, 28, 36, 40, 72
_KEY_LATIN = 0x20
# Value (vk), from its signature. Up to four bytes stand in the record, flagged in the size.
_VALUE_SIZE = 20
_VALUE_NAME_SIZE_AT, _SIZE_AT, _DATA_AT, _KIND_AT, _VALUE_FLAGS_AT = 2, 4, 8, 12, 16
_VALUE_LATIN = 1
_INSIDE = 0x80000000
# Lists of subkeys: kind, count, then places; with a hint in lf and lh. Lists of lists are ri. A large value is db.
_HINTED, _PLAIN, _LISTS, _LARGE = (b"lf", b"lh"), b"li", b"ri", b"db"
_LARGE_PART = 16344
"""bytes of a large value in each of its cells"""

_SZ, _EXPAND_SZ, _BINARY, _DWORD, _DWORD_BE, _MULTI_SZ, _QWORD = 1, 2, 3, 4, 5, 7, 11
_KINDS = {
    0: "none",
    _SZ: "sz",
    _EXPAND_SZ: "expand_sz",
    _BINARY: "binary",
    _DWORD: "dword",
    _DWORD_BE: "dword_be",
    6: "link",
    _MULTI_SZ: "multi_sz",
    _QWORD: "qword",
}
_NUMBERS = {_DWORD: 4, _DWORD_BE: 4, _QWORD: 8}

_LIST_MAX = 100_000
"""subkeys or values of one key; a real SOFTWARE has up to about 20,000 under Classes\\CLSID"""
_CELL_MAX = 1 * MIB
"""bytes of a cell that holds no value: a list of that many subkeys"""
_VALUE_MAX = 4 * MIB
"""bytes of one value; Windows itself warns above 1 MiB"""
_DEPTH = 64
"""keys on the way to a key; Windows allows 512, and nothing that is looked for has more than ten"""
_CELLS_MAX = 500_000
"""cells that are read of one hive, some again and again; a look at a real one reads some ten thousand"""
_KEPT = 2048
"""keys that a hive remembers"""


class Content(Protocol):
    """The bytes of a hive, wherever they are."""

    @property
    def size(self) -> int:
        """Bytes."""

    def part(self, offset: int, length: int) -> bytes:
        """The bytes from *offset* on: *length* of them, fewer at the end."""


class Memory:
    """A hive in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def part(self, offset: int, length: int) -> bytes:
        """See :meth:`Content.part`."""
        return self._data[offset : offset + length]


class Hive:
    """A hive.

    :param content: the whole file, or where it is read from.
    :param name: what evidence and messages call it: ``SYSTEM``.
    :raises FormatError: it is no hive, or its header is damaged.
    """

    def __init__(self, content: bytes | Content, name: str) -> None:
        self.name = name
        self._content = Memory(content) if isinstance(content, bytes) else content
        head = self._content.part(0, _BASE)
        if head[:4] != _SIGNATURE or len(head) < _BASE:
            raise FormatError(f"a hive begins with {head[:4]!r}", expected=repr(_SIGNATURE), where=name)
        if _u32(head, _MAJOR_AT) != 1:
            raise FormatError(f"version {_u32(head, _MAJOR_AT)}", expected="1", where=name)
        self.dirty = len({head[each] for each in _SEQUENCES}) > 1 or _checksum(head) != _u32(head, _CHECKSUM_AT)
        """whether it was not closed: its logs hold newer values, or even its header"""
        self._end = min(_u32(head, _BINS_AT), self._content.size - _BASE)
        self._keys: dict[str, Key | None] = {}
        self._cells = 0
        self.root = Key(self, _u32(head, _ROOT_AT), name)

    def key(self, path: str) -> Key | None:
        r"""The key at *path*, with ``\`` or ``/`` between its parts; None if there is none.

        :raises FormatError: the way there is damaged.
        """
        return self.root.key(path)

    def below(self, key: Key, name: str) -> Key | None:
        """The key called *name* right below *key*, read once."""
        place = f"{key.path}\\{name}".upper()
        if place not in self._keys:
            if len(self._keys) >= _KEPT:
                self._keys.clear()
            self._keys[place] = key.find(name)
        return self._keys[place]

    def cell(self, place: int, where: str, longest: int = _CELL_MAX) -> bytes:
        """The content of the cell at *place*.

        :raises FormatError: there is none in use.
        :raises LimitError: it has more than *longest* bytes, or too many were read.
        """
        self._cells += 1
        if self._cells > _CELLS_MAX:
            raise LimitError(f"more than {_CELLS_MAX} keys and values were read", where=self.name)
        if place % 8 or not 0 <= place <= self._end - 8:
            raise FormatError(f"a cell at {place:#x}", expected=f"a place below {self._end:#x}", where=where)
        head = self._content.part(_BASE + place, _CELL_HEAD + _GUESS)
        size = -int.from_bytes(head[:_CELL_HEAD], "little", signed=True) - _CELL_HEAD
        if not 0 < size <= self._end - place - _CELL_HEAD:
            raise FormatError(f"the cell at {place:#x} has {size} bytes", expected="one in use", where=where)
        if size > longest:
            raise LimitError(f"{size} bytes", expected=f"at most {longest}", where=where)
        if size <= _GUESS:
            return head[_CELL_HEAD : _CELL_HEAD + size]
        return head[_CELL_HEAD:] + self._content.part(_BASE + place + _CELL_HEAD + _GUESS, size - _GUESS)


class Key:
    r"""A key. *path* begins with the name of the hive: ``SYSTEM\Select``.

    :param place: of its cell.
    :raises FormatError: there is no key there.
    """

    def __init__(self, hive: Hive, place: int, path: str) -> None:
        self._hive = hive
        self.path = path
        self._record = hive.cell(place, path)
        if self._record[:2] != b"nk" or len(self._record) < _KEY_SIZE:
            raise FormatError(f"the cell at {place:#x} holds {self._record[:2]!r}", expected="b'nk'", where=path)
        self._values: dict[str, Value] | None = None

    @property
    def name(self) -> str:
        """As stored."""
        latin = bool(_u16(self._record, _KEY_FLAGS_AT) & _KEY_LATIN)
        return _name(self._record, _KEY_SIZE, _u16(self._record, _KEY_NAME_SIZE_AT), latin=latin)

    def key(self, path: str) -> Key | None:
        """The key at *path* below this one; None if there is none.

        :raises FormatError: the way there is damaged.
        """
        parts = [part for part in path.replace("/", "\\").split("\\") if part]
        key: Key | None = self
        for part in parts[:_DEPTH]:
            key = self._hive.below(key, part) if key is not None else None
        return key if len(parts) <= _DEPTH else None

    def find(self, name: str) -> Key | None:
        """The key called *name* right below; use :meth:`key`, which remembers it."""
        wanted = name.upper()
        for place in self._candidates(wanted):
            key = self._below(place)
            if key.name.upper() == wanted:
                return key
        return None

    def _below(self, place: int) -> Key:
        key = Key(self._hive, place, self.path)
        key.path = f"{self.path}\\{key.name}"
        return key

    def subkeys(self) -> list[Key]:
        """The keys directly below, in the order of the hive."""
        return [
            self._below(_u32(data, at))
            for data, step in self._lists()
            for at in range(4, 4 + _u16(data, 2) * step, step)
        ]

    def _lists(self) -> Iterator[tuple[bytes, int]]:
        """The lists of subkeys, each with the bytes of an entry."""
        if not _u32(self._record, _SUBKEYS_AT):
            return
        data = self._hive.cell(_u32(self._record, _SUBLIST_AT), self.path)
        if data[:2] != _LISTS:
            yield self._list(data)
            return
        total = 0
        for at in range(4, 4 + _u16(data, 2) * 4, 4):
            part, step = self._list(self._hive.cell(_u32(data, at), self.path))
            total = _bounded(total + _u16(part, 2), "subkeys", self.path)
            yield part, step

    def _list(self, data: bytes) -> tuple[bytes, int]:
        step = 8 if data[:2] in _HINTED else 4 if data[:2] == _PLAIN else 0
        if not step or len(data) < 4 + _u16(data, 2) * step:
            raise FormatError(f"a list of subkeys is a {data[:2]!r} of {len(data)} bytes", where=self.path)
        return data, step

    def _candidates(self, wanted: str) -> Iterator[int]:
        """Places of the keys that may be called so: by the hash of a name, or by its beginning."""
        digest = _hash(wanted).to_bytes(4, "little") if wanted.isascii() else b""
        for data, step in self._lists():
            end = 4 + _u16(data, 2) * step
            if data[:2] == b"lh" and digest:
                at = data.find(digest, 8, end)
                while at >= 0:
                    if at % 8 == 0:
                        yield _u32(data, at - 4)
                    at = data.find(digest, at + 1, end)
            else:
                yield from (_u32(data, at) for at in range(4, end, step))

    def value(self, name: str) -> Value | None:
        """The value called *name*, the empty name for the default value; None if there is none."""
        return self._all_values().get(name.upper())

    def values(self) -> list[Value]:
        """All values, in the order of the hive."""
        return list(self._all_values().values())

    def _all_values(self) -> dict[str, Value]:
        if self._values is None:
            found: dict[str, Value] = {}
            count = _bounded(_u32(self._record, _VALUES_AT), "values", self.path)
            places = self._hive.cell(_u32(self._record, _VALUE_LIST_AT), self.path) if count else b""
            if len(places) < 4 * count:
                raise FormatError(f"a list of {count} values has {len(places)} bytes", where=self.path)
            for at in range(0, 4 * count, 4):
                value = Value(self._hive, _u32(places, at), self.path)
                found.setdefault(value.name.upper(), value)
            self._values = found
        return self._values

    def integer(self, name: str) -> int | None:
        """The number called *name*; None if there is none, or something else of that name."""
        value = self.value(name)
        return None if value is None else value.integer()

    def text(self, name: str) -> str:
        """The text called *name*; empty if there is none, or something else of that name."""
        value = self.value(name)
        return "" if value is None else value.text()

    def texts(self, name: str) -> tuple[str, ...]:
        """The texts called *name*; empty if there are none, or something else of that name."""
        value = self.value(name)
        return () if value is None else value.texts()


class Value:
    """A value. A method that asks for another kind than it has gets nothing.

    :param place: of its cell.
    :param path: of its key.
    :raises FormatError: there is no value there.
    """

    def __init__(self, hive: Hive, place: int, path: str) -> None:
        self._hive = hive
        self._record = hive.cell(place, path)
        if self._record[:2] != b"vk" or len(self._record) < _VALUE_SIZE:
            raise FormatError(f"the cell at {place:#x} holds {self._record[:2]!r}", expected="b'vk'", where=path)
        latin = bool(_u16(self._record, _VALUE_FLAGS_AT) & _VALUE_LATIN)
        self.name = _name(self._record, _VALUE_SIZE, _u16(self._record, _VALUE_NAME_SIZE_AT), latin=latin)
        self._where = f"{path}: {self.name}"
        self._kind = _u32(self._record, _KIND_AT)

    @property
    def kind(self) -> str:
        """``dword``, ``sz``; a number in hexadecimal where it has no name."""
        return _KINDS.get(self._kind, f"{self._kind:#x}")

    @property
    def data(self) -> bytes:
        """The bytes, read each time.

        :raises FormatError: they are not there.
        :raises LimitError: they are more than a value has.
        """
        field, place = _u32(self._record, _SIZE_AT), _u32(self._record, _DATA_AT)
        size = field & ~_INSIDE
        if field & _INSIDE:
            if size > 4:
                raise FormatError(f"{size} bytes stand in its record", expected="at most 4", where=self._where)
            return self._record[_DATA_AT : _DATA_AT + size]
        if size > _VALUE_MAX:
            raise LimitError(f"{size} bytes", expected=f"at most {_VALUE_MAX}", where=self._where)
        if not size:
            return b""
        data = self._hive.cell(place, self._where, 2 * _VALUE_MAX)
        if size > _LARGE_PART and data[:2] == _LARGE:
            data = self._large(data)
        if len(data) < size:
            raise FormatError(f"{len(data)} bytes of {size}", where=self._where)
        return data[:size]

    def _large(self, record: bytes) -> bytes:
        count = _u16(record, 2)
        places = self._hive.cell(_u32(record, 4), self._where)
        if len(record) < 8 or len(places) < 4 * count or count > _VALUE_MAX // _LARGE_PART + 1:
            raise FormatError(f"a large value has {count} parts", where=self._where)
        cells = (self._hive.cell(_u32(places, at), self._where, 32 * KIB) for at in range(0, 4 * count, 4))
        return b"".join(cell[:_LARGE_PART] for cell in cells)

    def integer(self) -> int | None:
        """The number; None where it is no number."""
        size = _NUMBERS.get(self._kind)
        data = self.data if size else b""
        if not size or len(data) != size:
            return None
        return int.from_bytes(data, "big" if self._kind == _DWORD_BE else "little")

    def text(self) -> str:
        """The text up to its first NUL, the first of several; empty where it is no text."""
        return self._decoded().partition("\0")[0]

    def texts(self) -> tuple[str, ...]:
        """The texts of a list, a single text as a list of one; empty where it is no text."""
        parts = self._decoded().split("\0") if self._kind == _MULTI_SZ else [self.text()]
        return tuple(part for part in parts if part)

    def _decoded(self) -> str:
        if self._kind not in {_SZ, _EXPAND_SZ, _MULTI_SZ}:
            return ""
        data = self.data
        return data[: len(data) & -2].decode("utf-16-le", errors="replace")


def _name(record: bytes, start: int, size: int, *, latin: bool) -> str:
    """A name in a record; one that goes on behind it is cut."""
    data = record[start : start + size]
    return data.decode("latin-1") if latin else data.decode("utf-16-le", errors="replace")


def _hash(name: str) -> int:
    """As lists of the kind lh have it, of a name in upper case."""
    value = 0
    for char in name:
        value = (value * 37 + ord(char)) & 0xFFFFFFFF
    return value


def _checksum(head: bytes) -> int:
    """The xor of the words before the checksum; two values are never stored."""
    value = 0
    for at in range(0, _CHECKSUM_AT, 4):
        value ^= _u32(head, at)
    return {0: 1, 0xFFFFFFFF: 0xFFFFFFFE}.get(value, value)


def _u16(data: bytes, offset: int) -> int:
    return int.from_bytes(data[offset : offset + 2], "little")


def _u32(data: bytes, offset: int) -> int:
    return int.from_bytes(data[offset : offset + 4], "little")


def _bounded(count: int, what: str, where: str) -> int:
    if count > _LIST_MAX:
        raise LimitError(f"a key has {count} {what}", expected=f"at most {_LIST_MAX}", where=where)
    return count
