"""Hives of every kind of value, and damaged ones."""

from __future__ import annotations

import random
import unittest
from unittest import mock

import ddt

from tests.builders.guests import regf
from tests.builders.guests.regf import BINARY, DWORD, DWORD_BE, EXPAND_SZ, MULTI_SZ, QWORD, SZ
from xenimage.exceptions import FormatError, LimitError
from xenimage.guest.hive import Hive

VALUES = (
    # kind, what is stored, integer, text, texts
    (DWORD, 0, 0, "", ()),
    (DWORD, 0xFFFFFFFF, 0xFFFFFFFF, "", ()),
    (DWORD_BE, 0x01020304, 0x01020304, "", ()),
    (QWORD, 1 << 40, 1 << 40, "", ()),
    (DWORD, b"\1\0", None, "", ()),
    (BINARY, b"\1\0\0\0", None, "", ()),
    (SZ, "", None, "", ()),
    (SZ, "a", None, "a", ("a",)),
    (SZ, "Grün €", None, "Grün €", ("Grün €",)),
    (SZ, "without an end".encode("utf-16-le"), None, "without an end", ("without an end",)),
    (SZ, "odd".encode("utf-16-le") + b"\0", None, "odd", ("odd",)),
    (SZ, b"\x00\xd8", None, "�", ("�",)),
    (SZ, "\U0001f600", None, "\U0001f600", ("\U0001f600",)),
    (EXPAND_SZ, "%SystemRoot%\\x", None, "%SystemRoot%\\x", ("%SystemRoot%\\x",)),
    (MULTI_SZ, ["one", "two"], None, "one", ("one", "two")),
    (MULTI_SZ, [], None, "", ()),
    (MULTI_SZ, b"", None, "", ()),
)


def single(kind: int, data: object) -> Hive:
    """A hive with one key and one value."""
    hive = regf.Hive()
    hive.key("Key\\Below").set("Value", kind, data)
    return Hive(hive.build(), "SYSTEM")


@ddt.ddt
class ValueTestCase(unittest.TestCase):
    """What a value says of itself."""

    @ddt.data(*VALUES)
    @ddt.unpack
    def test_a_value_is_what_was_stored(
        self, kind: int, data: object, integer: int | None, text: str, texts: tuple[str, ...]
    ) -> None:
        key = single(kind, data).key("Key\\Below")
        assert key is not None
        self.assertEqual((integer, text, texts), (key.integer("Value"), key.text("Value"), key.texts("Value")))

    @ddt.data(0, 1, 2, 3, 4, 5, 16344, 16345, 32688, 50000)
    def test_bytes_of_any_length_are_those_that_were_stored(self, size: int) -> None:
        stored = random.Random(size).randbytes(size)
        key = single(BINARY, stored).key("Key/Below")
        assert key is not None
        value = key.value("value")
        assert value is not None
        self.assertEqual((stored, "binary", "Value"), (value.data, value.kind, value.name))

    def test_a_value_beyond_all_measure_is_refused(self) -> None:
        key = single(BINARY, bytes((4 << 20) + 1)).key("Key\\Below")
        assert key is not None
        value = key.value("Value")
        assert value is not None
        with self.assertRaises(LimitError) as caught:
            _ = value.data
        self.assertEqual("SYSTEM\\Key\\Below: Value: 4194305 bytes, expected at most 4194304", str(caught.exception))


class KeyTestCase(unittest.TestCase):
    """The way to a key."""

    def setUp(self) -> None:
        super().setUp()
        made = regf.Hive()
        made.key("ControlSet001\\Services\\XenBus").set("", SZ, "default").set("Start", DWORD, 0)
        made.key("ControlSet001\\Services\\atapi")
        for number in range(1200):
            made.key(f"Many\\{number:04d}")
        self.hive = Hive(made.build(), "SYSTEM")

    def test_names_have_no_case_and_either_slash(self) -> None:
        for path in (
            "controlset001\\services\\XENBUS",
            "ControlSet001/Services/xenbus",
            "\\ControlSet001/services\\xenbus\\",
        ):
            key = self.hive.key(path)
            assert key is not None
            self.assertEqual(0, key.integer("START"))

    def test_the_default_value_has_no_name(self) -> None:
        key = self.hive.key("ControlSet001\\Services\\xenbus")
        assert key is not None
        self.assertEqual("default", key.text(""))
        self.assertEqual(["", "Start"], [value.name for value in key.values()])

    def test_a_key_without_values_has_none(self) -> None:
        key = self.hive.key("ControlSet001")
        assert key is not None
        self.assertIsNone(key.value(""))
        self.assertIsNone(key.value("Start"))
        self.assertEqual([], key.values())
        self.assertEqual((None, "", ()), (key.integer("x"), key.text("x"), key.texts("x")))

    def test_what_is_not_there_is_none(self) -> None:
        for path in ("ControlSet002", "ControlSet001\\Services\\xenbus\\Parameters", "\\".join("x" * 99)):
            self.assertIsNone(self.hive.key(path))

    def test_keys_know_where_they_stand(self) -> None:
        services = self.hive.key("ControlSet001\\Services")
        assert services is not None
        self.assertEqual(
            ["SYSTEM\\ControlSet001\\Services\\atapi", "SYSTEM\\ControlSet001\\Services\\XenBus"],
            [key.path for key in services.subkeys()],
        )
        self.assertEqual(["atapi", "XenBus"], [key.name for key in services.subkeys()])

    def test_a_list_of_lists_is_one_list(self) -> None:
        many = self.hive.key("Many")
        assert many is not None
        self.assertEqual([f"{number:04d}" for number in range(1200)], [key.name for key in many.subkeys()])


class HiveTestCase(unittest.TestCase):
    """The whole file."""

    def test_sequence_numbers_tell_a_hive_that_was_not_closed(self) -> None:
        made = regf.Hive()
        made.key("Key")
        self.assertFalse(Hive(made.build(), "SYSTEM").dirty)
        self.assertTrue(Hive(made.build(dirty=True), "SYSTEM").dirty)

    def test_what_is_no_hive_is_refused(self) -> None:
        for data in (b"", b"regf", bytes(8192), b"regf" + bytes(8188)):
            with self.assertRaises(FormatError) as caught:
                Hive(data, "SYSTEM")
            self.assertRegex(str(caught.exception), r"^SYSTEM: (a hive begins with|version 0)")

    def test_work_without_end_is_ended(self) -> None:
        made = regf.Hive()
        for number in range(60):
            made.key(f"Key\\{number}")
        with mock.patch("xenimage.guest.hive._CELLS_MAX", 50):
            key = Hive(made.build(), "SYSTEM").key("Key")
            assert key is not None
            with self.assertRaises(LimitError) as caught:
                key.subkeys()
        self.assertEqual("SYSTEM: more than 50 keys and values were read", str(caught.exception))

    def test_a_header_of_a_wrong_sum_is_one_that_was_not_closed(self) -> None:
        made = regf.Hive()
        made.key("Key")
        data = bytearray(made.build())
        data[508] ^= 1
        hive = Hive(bytes(data), "SYSTEM")
        self.assertTrue(hive.dirty)
        self.assertIsNotNone(hive.key("Key"))

    def test_damage_is_always_the_same_error(self) -> None:
        made = regf.Hive()
        for number in range(40):
            made.key(f"Key\\{number}\\Below").set("Number", DWORD, number).set("Text", SZ, "text" * number)
        sound = made.build()
        dice = random.Random(5)
        refused = 0
        for _ in range(400):
            data = bytearray(sound)
            for _ in range(dice.randrange(1, 6)):
                data[dice.randrange(len(data))] = dice.randrange(256)
            try:
                hive = Hive(bytes(data), "SYSTEM")
                key = hive.key("Key")
                for below in key.subkeys() if key else ():
                    inner = below.key("Below")
                    if inner:
                        [(value.integer(), value.texts()) for value in inner.values()]
            except (FormatError, LimitError):
                refused += 1
        self.assertTrue(0 < refused < 400, refused)
