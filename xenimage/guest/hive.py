"""Registry hives, by libregf. Layout: libyal, Windows NT Registry File (REGF) format specification.

Names are compared without case. What libregf gives back is copied and bounded here; its errors become FormatError.
"""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING, Any

import pyregf

from xenimage.exceptions import FormatError, LimitError
from xenimage.units import MIB

if TYPE_CHECKING:
    from collections.abc import Iterator

# Base block: both sequence numbers are equal where the hive was closed.
_SIGNATURE = b"regf"
_SEQUENCES = slice(4, 8), slice(8, 12)
# Value record, from its signature: size of the data with a flag, data or its place.
_SIZE_AT, _DATA_AT = 4, 8
_INSIDE = 0x80000000

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
_INTEGERS = {_DWORD: (4, "little"), _DWORD_BE: (4, "big"), _QWORD: (8, "little")}

_LIST_MAX = 100_000
"""subkeys or values of one key; a real SOFTWARE has up to about 20,000 under Classes\\CLSID"""
_VALUE_MAX = 4 * MIB
"""bytes of one value; Windows itself warns above 1 MiB"""


class Hive:
    """A hive in memory.

    :param data: the whole file.
    :param name: what evidence and messages call it: ``SYSTEM``.
    :raises FormatError: it is no hive, or its header is damaged.
    """

    def __init__(self, data: bytes, name: str) -> None:
        self.name = name
        self._data = data
        if data[:4] != _SIGNATURE:
            raise FormatError(f"a hive begins with {data[:4]!r}", expected=repr(_SIGNATURE), where=name)
        self.dirty = len({data[each] for each in _SEQUENCES}) > 1
        """whether it was not closed: its logs hold newer values"""
        self._file = pyregf.file()
        with _wrapped(name):
            self._file.open_file_object(io.BytesIO(data))
            self.root = Key(self._file.get_root_key(), name, data)

    def key(self, path: str) -> Key | None:
        r"""The key at *path*, with ``\\`` or ``/`` between its parts; None if there is none.

        :raises FormatError: the way there is damaged.
        """
        return self.root.key(path)


class Key:
    r"""A key. *path* begins with the name of the hive: ``SYSTEM\\Select``."""

    def __init__(self, key: Any, path: str, data: bytes) -> None:
        self._key = key
        self._data = data
        self.path = path

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("\\")[2]

    def key(self, path: str) -> Key | None:
        """The key at *path* below this one; None if there is none.

        :raises FormatError: the way there is damaged.
        """
        inside = path.replace("/", "\\").strip("\\")
        if not inside:
            return self
        with _wrapped(f"{self.path}\\{inside}"):
            found = self._key.get_sub_key_by_path(inside)
        return None if found is None else Key(found, f"{self.path}\\{inside}", self._data)

    def subkeys(self) -> list[Key]:
        """The keys directly below, in the order of the hive."""
        with _wrapped(self.path):
            count = _bounded(self._key.number_of_sub_keys, "subkeys", self.path)
            found = (self._key.get_sub_key(index) for index in range(count))
            return [Key(key, f"{self.path}\\{_text(key.name)}", self._data) for key in found]

    def value(self, name: str) -> Value | None:
        """The value called *name*, the empty name for the default value; None if there is none."""
        with _wrapped(f"{self.path}: {name}"):
            found = self._key.get_value_by_name(name)
            return None if found is None else self._value(found)

    def values(self) -> list[Value]:
        """All values, in the order of the hive."""
        with _wrapped(self.path):
            count = _bounded(self._key.number_of_values, "values", self.path)
            return [self._value(self._key.get_value(index)) for index in range(count)]

    def _value(self, value: Any) -> Value:
        return Value(_text(value.name), value.type, self._content(value))

    def _content(self, value: Any) -> bytes:
        record = value.offset
        field = _u32(self._data, record + _SIZE_AT)
        size = field & ~_INSIDE
        if size > _VALUE_MAX:
            raise LimitError(f"a value has {size} bytes", expected=f"at most {_VALUE_MAX}", where=self.path)
        # Up to four bytes stand in the record itself, from the left. libregf takes the last bytes of the field for
        # up to three, and makes the size of a text even.
        if field & _INSIDE and size <= 4:
            return self._data[record + _DATA_AT : record + _DATA_AT + size]
        return bytes(value.data or b"")[:size]

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
    """A value. A method that asks for another kind than it has gets nothing."""

    def __init__(self, name: str, kind: int, data: bytes) -> None:
        self.name = name
        self.kind = _KINDS.get(kind, f"{kind:#x}")
        self.data = data
        self._kind = kind

    def integer(self) -> int | None:
        """The number; None where it is no number."""
        size, order = _INTEGERS.get(self._kind, (0, "little"))
        if not size or len(self.data) != size:
            return None
        return int.from_bytes(self.data, "big" if order == "big" else "little")

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
        return self.data[: len(self.data) & -2].decode("utf-16-le", errors="replace")


def _text(name: str | None) -> str:
    return name or ""


def _u32(data: bytes, offset: int) -> int:
    return int.from_bytes(data[offset : offset + 4], "little")


def _bounded(count: int, what: str, where: str) -> int:
    if count > _LIST_MAX:
        raise LimitError(f"a key has {count} {what}", expected=f"at most {_LIST_MAX}", where=where)
    return count


@contextlib.contextmanager
def _wrapped(where: str) -> Iterator[None]:
    """Turn what libregf raises into our own error; a name that is no text is a ValueError in its binding."""
    try:
        yield
    except (OSError, ValueError, OverflowError) as error:
        raise FormatError("the registry hive is damaged", where=where) from error
