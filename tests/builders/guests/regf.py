"""Registry hives (regf 1.5) of any content, with the standard library alone.

The root key is the first cell of the first bin, because some readers look for it there; every part of a big value has a
whole cell of 16,352 bytes, the last one too, as Windows does it. Names must be Latin-1. Every key has the same time and
the same empty security descriptor: the same calls give the same bytes.
"""

from __future__ import annotations

import struct
from typing import Any, Self

NONE_KIND, SZ, EXPAND_SZ, BINARY, DWORD, DWORD_BE, MULTI_SZ, QWORD = 0, 1, 2, 3, 4, 5, 7, 11
ROOT_NAME = "CMI-CreateHive{2A7FB991-7BBE-4F9D-B91E-7CB51D4737F5}"
FILETIME = 133500000000000000
"""2024-01-17, for every key and bin"""
NOTHING = 0xFFFFFFFF
BIN = 4096
CELL_DATA_MAX = 16344
"""bytes of a value; a longer one needs a db cell"""
LIST_MAX = 500
"""keys in one lh list"""
KEY_ROOT, KEY_ASCII_NAME = 0x0C, 0x20


def encode(kind: int, data: Any) -> bytes:
    """The bytes of a value; a kind without a rule takes bytes as they are."""
    if isinstance(data, bytes):
        return data
    if kind in (SZ, EXPAND_SZ):
        return _text(data)
    if kind == MULTI_SZ:
        return b"".join(_text(item) for item in data) + b"\0\0"
    return struct.pack({DWORD: "<I", DWORD_BE: ">I", QWORD: "<Q"}[kind], data)


def _text(text: str) -> bytes:
    return text.encode("utf-16-le") + b"\0\0"


def _hash(name: str) -> int:
    value = 0
    for char in name.upper():
        value = (value * 37 + ord(char)) & NOTHING
    return value


class Key:
    """A key with its subkeys and values; names are compared without case, as Windows does."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.subkeys: dict[str, Key] = {}
        self.values: dict[str, tuple[str, int, bytes]] = {}

    def key(self, path: str) -> Key:
        """The key below this one, made with all its parents if it is not there."""
        key = self
        for part in path.split("\\"):
            key = key.subkeys.setdefault(part.upper(), Key(part))
        return key

    def set(self, name: str, kind: int, data: Any) -> Self:
        """Set a value (the empty name is the default value) and give the key back, so that calls chain."""
        self.values[name.upper()] = (name, kind, encode(kind, data))
        return self

    def number(self, **values: int) -> Self:
        """Set DWORDs."""
        for name, value in values.items():
            self.set(name, DWORD, value)
        return self

    def words(self, **values: str) -> Self:
        """Set strings."""
        for name, value in values.items():
            self.set(name, SZ, value)
        return self

    def drop(self, name: str) -> Self:
        """Remove a value or a subkey of that name; it need not be there."""
        self.values.pop(name.upper(), None)
        self.subkeys.pop(name.upper(), None)
        return self


class Hive:
    """A tree of keys, and its bytes."""

    def __init__(self, file_name: str = "SYSTEM") -> None:
        self.root = Key(ROOT_NAME)
        self.file_name = file_name

    def key(self, path: str) -> Key:
        """The key at *path*, made with all its parents if it is not there."""
        return self.root.key(path)

    def drop(self, path: str) -> None:
        """Remove the key at *path*."""
        parent, _, name = path.rpartition("\\")
        (self.key(parent) if parent else self.root).drop(name)

    def build(self, *, dirty: bool = False) -> bytes:
        """The whole file; *dirty* makes the two sequence numbers differ, as after a power cut."""
        cells = _Cells()
        root = _write_key(cells, self.root, 0)
        body = cells.finish()
        head = bytearray(BIN)
        head[:4] = b"regf"
        struct.pack_into("<IIQIIIIIII", head, 4, 7, 6 if dirty else 7, FILETIME, 1, 5, 0, 1, root, len(body), 1)
        name = self.file_name.encode("utf-16-le")[:62]
        head[48 : 48 + len(name)] = name
        check = 0
        for (word,) in struct.iter_unpack("<I", head[:508]):
            check ^= word
        struct.pack_into("<I", head, 508, {0: 1, NOTHING: NOTHING - 1}.get(check, check))
        return bytes(head) + body


class _Cells:
    """Cells in bins; a cell's address counts from the first bin and includes its 4 bytes of size."""

    def __init__(self) -> None:
        self.body = bytearray()
        self.used = 0
        self.end = 0
        self.security = NOTHING
        self.keys = 0

    def add(self, data: bytes) -> int:
        size = (len(data) + 4 + 7) & -8
        if self.used + size > self.end:
            self._close()
            base, length = len(self.body), (size + 32 + BIN - 1) & -BIN
            self.body += struct.pack("<4sIIQQI", b"hbin", base, length, 0, FILETIME, 0) + bytes(length - 32)
            self.used, self.end = base + 32, base + length
        at = self.used
        struct.pack_into("<i", self.body, at, -size)
        self.body[at + 4 : at + 4 + len(data)] = data
        self.used += size
        return at

    def patch(self, cell: int, offset: int, *numbers: int) -> None:
        struct.pack_into(f"<{len(numbers)}I", self.body, cell + 4 + offset, *numbers)

    def finish(self) -> bytes:
        self._close()
        self.patch(self.security, 12, self.keys)
        return bytes(self.body)

    def _close(self) -> None:
        if self.used < self.end:
            struct.pack_into("<i", self.body, self.used, self.end - self.used)


def _write_key(cells: _Cells, key: Key, parent: int) -> int:
    flags = KEY_ASCII_NAME | (0 if parent else KEY_ROOT)
    name = key.name.encode("latin-1")
    longest = [
        max((2 * len(sub.name) for sub in key.subkeys.values()), default=0),
        max((2 * len(value[0]) for value in key.values.values()), default=0),
        max((len(value[2]) for value in key.values.values()), default=0),
    ]
    numbers = (
        flags, FILETIME, 0, parent, len(key.subkeys), 0, NOTHING, NOTHING, len(key.values), NOTHING, cells.security,
        NOTHING, longest[0], 0, longest[1], longest[2], 0, len(name), 0,
    )  # fmt: skip
    me = cells.add(b"nk" + struct.pack("<HQIIIIIIIIIIIIIIIHH", *numbers) + name)
    cells.keys += 1
    if not parent:
        _write_security(cells, me)
    if key.values:
        values = [_write_value(cells, *value) for value in key.values.values()]
        cells.patch(me, 40, cells.add(struct.pack(f"<{len(values)}I", *values)))
    if key.subkeys:
        cells.patch(me, 28, _write_subkeys(cells, key, me))
    return me


def _write_security(cells: _Cells, root: int) -> None:
    descriptor = struct.pack("<BBHIIII", 1, 0, 0x8000, 0, 0, 0, 0)
    cells.security = cells.add(b"sk" + struct.pack("<HIIII", 0, 0, 0, 1, len(descriptor)) + descriptor)
    cells.patch(cells.security, 4, cells.security, cells.security)
    cells.patch(root, 44, cells.security)


def _write_subkeys(cells: _Cells, key: Key, me: int) -> int:
    entries = [(_write_key(cells, sub, me), _hash(name)) for name, sub in sorted(key.subkeys.items())]
    lists = []
    for start in range(0, len(entries), LIST_MAX):
        part = entries[start : start + LIST_MAX]
        lists.append(cells.add(b"lh" + struct.pack("<H", len(part)) + b"".join(struct.pack("<II", *e) for e in part)))
    if len(lists) == 1:
        return lists[0]
    return cells.add(b"ri" + struct.pack("<H", len(lists)) + struct.pack(f"<{len(lists)}I", *lists))


def _write_value(cells: _Cells, name: str, kind: int, data: bytes) -> int:
    if len(data) <= 4:
        size, where = len(data) | 0x80000000, int.from_bytes(data, "little")
    elif len(data) <= CELL_DATA_MAX:
        size, where = len(data), cells.add(data)
    else:
        parts = [
            cells.add(data[at : at + CELL_DATA_MAX].ljust(CELL_DATA_MAX + 4, b"\0"))
            for at in range(0, len(data), CELL_DATA_MAX)
        ]
        table = cells.add(struct.pack(f"<{len(parts)}I", *parts))
        size, where = len(data), cells.add(b"db" + struct.pack("<HII", len(parts), table, 0))
    text = name.encode("latin-1")
    return cells.add(b"vk" + struct.pack("<HIIIHH", len(text), size, where, kind, 1 if text else 0, 0) + text)
