"""Hives as libregf reads them, and as we do: the same keys and values, but for what it is known to get wrong."""

from __future__ import annotations

import io
import random
from typing import Any

import ddt
import pyregf

from tests.base import TestCase
from tests.builders.guests import regf, winhives
from tests.builders.guests.winhives import State
from xenimage.guest.hive import Hive, Key

Tree = tuple[dict[str, tuple[int, bytes]], dict[str, "Tree"]]
KINDS = {"none": 0, "sz": 1, "expand_sz": 2, "binary": 3, "dword": 4, "dword_be": 5, "multi_sz": 7, "qword": 11}


def ours(key: Key) -> Tree:
    values = {value.name: (KINDS[value.kind], value.data) for value in key.values()}
    return values, {below.name: ours(below) for below in key.subkeys()}


def theirs(key: Any, data: bytes) -> Tree:
    values = {}
    for number in range(key.number_of_values):
        value = key.get_value(number)
        size = int.from_bytes(data[value.offset + 4 : value.offset + 8], "little") & 0x7FFFFFFF
        # Its bytes of up to three are the wrong ones.
        values[value.name or ""] = (value.type, data[value.offset + 8 :][:size] if size <= 3 else value.data)
    keys = (key.get_sub_key(number) for number in range(key.number_of_sub_keys))
    return values, {below.name: theirs(below, data) for below in keys}


def random_hive(seed: int) -> bytes:
    dice = random.Random(seed)
    hive = regf.Hive()
    for _ in range(dice.randrange(1, 400)):
        key = hive.key("\\".join(f"Key{dice.randrange(12)}" for _ in range(dice.randrange(1, 5))))
        for _ in range(dice.randrange(3)):
            size = dice.choice((0, 1, 2, 3, 4, 5, 40, 900, 16344, 16345, 40000))
            kind = dice.choice((regf.SZ, regf.BINARY, regf.DWORD, regf.MULTI_SZ, regf.QWORD))
            # Libregf ends a text at its first NUL.
            data = b"x\0" * (size // 2) if kind == regf.SZ else dice.randbytes(size)
            key.set(f"Value{dice.randrange(6)}", kind, data)
    for number in range(dice.choice((0, 3, 501, 1100))):
        hive.key(f"Many\\{number}")
    return hive.build()


@ddt.ddt
class LibregfTest(TestCase):
    def compare(self, data: bytes) -> None:
        hive = pyregf.file()
        hive.open_file_object(io.BytesIO(data))
        self.assertEqual(theirs(hive.get_root_key(), data), ours(Hive(data, "SYSTEM").root))

    @ddt.data(*range(20))
    def test_random_hives(self, seed: int) -> None:
        self.compare(random_hive(seed))

    @ddt.data(State(), State(pv="citrix", active="C000", booted=True, dirty=True))
    def test_hives_of_windows(self, state: State) -> None:
        for hive in (winhives.system(state), winhives.software(state), winhives.bcd(state)):
            self.compare(hive.build(dirty=state.dirty))

    def test_what_it_gets_wrong(self) -> None:
        hive = regf.Hive()
        hive.key("Key").set("One", regf.BINARY, b"\x01").set("Three", regf.BINARY, b"abc")
        data = hive.build()
        library = pyregf.file()
        library.open_file_object(io.BytesIO(data))
        key, own = library.get_key_by_path("\\Key"), Hive(data, "SYSTEM").key("Key")
        assert own is not None
        self.assertEqual([b"\0", b"bc\0"], [key.get_value(number).data for number in range(2)])
        self.assertEqual([b"\x01", b"abc"], [value.data for value in own.values()])
