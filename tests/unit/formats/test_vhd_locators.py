"""Parent locators and the parent's name, against the bytes that blktap writes."""

from __future__ import annotations

import os

from tests.base import TestCase
from xenimage.exceptions import UnsupportedError
from xenimage.formats.vhd import layout, locators


class LocatorsTest(TestCase):
    def test_bytes_are_those_of_blktap(self) -> None:
        self.assertEqual(bytes.fromhex("66696c653a2f2f2e2f612e766864"), locators.encode(locators.MACX, "./a.vhd"))
        for code in (locators.W2KU, locators.W2RU):
            self.assertEqual(bytes.fromhex("2e005c0061002e00760068006400"), locators.encode(code, "a.vhd"))

    def test_paths_upwards(self) -> None:
        self.assertEqual(b"file://../../base.vhd", locators.encode(locators.MACX, "../../base.vhd"))
        self.assertEqual(".\\..\\..\\base.vhd".encode("utf-16-le"), locators.encode(locators.W2RU, "../../base.vhd"))

    def test_three_slots_of_one_sector(self) -> None:
        slots, data = locators.encode_locators("./a.vhd", 3072)
        self.assertEqual(layout.LOCATORS, len(slots))
        self.assertEqual([0x4D616358, 0x57326B75, 0x57327275, 0, 0, 0, 0, 0], [slot.code for slot in slots])
        self.assertEqual([3072, 3584, 4096], [slot.data_offset for slot in slots[:3]])
        self.assertEqual([14, 14, 14], [slot.data_length for slot in slots[:3]])
        self.assertEqual({512}, {slot.data_space for slot in slots[:3]})
        self.assertEqual({layout.Locator()}, set(slots[3:]))
        self.assertEqual(3 * 512, len(data))
        self.assertEqual(b"file://./a.vhd".ljust(512, b"\0"), data[:512])

    def test_what_was_written_is_read(self) -> None:
        for path in ("./a.vhd", "../pool/a b.vhd", "./sub/x.vhd"):
            slots, data = locators.encode_locators(path, 0)
            for slot in slots[:3]:
                raw = data[slot.data_offset : slot.data_offset + slot.data_length]
                self.assertEqual(os.path.normpath(path), os.path.normpath(locators.decode(slot, raw) or ""))

    def test_foreign_paths_are_read_as_blktap_does(self) -> None:
        windows = layout.Locator(code=locators.W2KU)
        self.assertEqual("/vm/a.vhd", locators.decode(windows, "C:\\vm\\a.vhd\0rest".encode("utf-16-le")))
        self.assertIsNone(locators.decode(windows, "\u00e4.vhd".encode("utf-16-le")))
        self.assertIsNone(locators.decode(windows, b"\0\xd8"))
        self.assertIsNone(locators.decode(layout.Locator(code=locators.WI2R), b"a.vhd"))
        self.assertIsNone(locators.decode(layout.Locator(code=locators.MACX), b"\xc3\xa4"))

    def test_names(self) -> None:
        field = locators.encode_name("a.vhd")
        self.assertEqual(512, len(field))
        self.assertEqual("a.vhd", locators.decode_name(field))
        self.assertEqual("x" * 256, locators.decode_name(locators.encode_name("x" * 256)))
        self.assertIsNone(locators.decode_name("\u00e4".encode("utf-16-be").ljust(512, b"\0")))

    def test_refusals(self) -> None:
        for maker in (locators.encode_name, lambda text: locators.encode_locators(text, 0)):
            with self.assertRaises(UnsupportedError) as caught:
                maker("\u00e4.vhd")
            self.assertIsInstance(caught.exception.__cause__, UnicodeError)
            with self.assertRaises(UnsupportedError) as caught:
                maker("x" * 505)
            self.assertIsInstance(caught.exception.__cause__, OSError)
        with self.assertRaises(ValueError):
            locators.encode(locators.WI2K, "a.vhd")

    def test_relative_path(self) -> None:
        deep, other = self.scratch / "a" / "b", self.scratch / "a"
        deep.mkdir(parents=True)
        self.assertEqual("../../p.vhd", locators.relative_path(f"{deep}/c.vhd", f"{self.scratch}/p.vhd"))
        self.assertEqual("./a/b/p.vhd", locators.relative_path(f"{self.scratch}/c.vhd", f"{deep}/p.vhd"))
        self.assertEqual("./p.vhd", locators.relative_path(os.path.join(other, "c.vhd"), f"{other}/p.vhd"))
