"""The text of a VMX: what is one, its encodings, escapes and faults."""

from __future__ import annotations

import ddt

from tests.base import TestCase
from tests.builders import vmdk
from tests.builders import vmx as build
from xenimage.containers.vmx.dictionary import Dictionary, is_vmx, read_dictionary
from xenimage.exceptions import FormatError, LimitError, UnsupportedError


def codes(dictionary: Dictionary) -> list[str]:
    return [finding.code for finding in dictionary.findings]


@ddt.ddt
class SignTestCase(TestCase):
    @ddt.data(
        build.text(),
        b'config.version = "8"',
        b'\xef\xbb\xbf.encoding = "UTF-8"\r\nVIRTUALHW.VERSION="4"\r\n',
        b'displayName = "x"\nmemsize = 64\n',
        b'encryption.keySafe = "vmware:key/list/()"',
    )
    def test_machines(self, data: bytes) -> None:
        self.assertTrue(is_vmx(data))

    @ddt.data(
        b"",
        b"\n" * 5000,
        b'displayName = "x"',
        b'displayName = "x"\ndisplayName = "y"\n',
        b'.encoding = "UTF-8"\nsnapshot.lastUID = "1"\nsnapshot0.displayName = "before"\n',
        vmdk.descriptor("monolithicFlat", ['RW 8 FLAT "x-flat.vmdk" 0']) + b'config.version = "8"\n',
        b'<?xml version="1.0"?>\n<Foundry>\nconfig.version = "8"\n</Foundry>',
        b'config.version = "8"\n' + bytes(512),
        b'xconfig.version = "8"',
        b'# config.version = "8"',
    )
    def test_others(self, data: bytes) -> None:
        self.assertFalse(is_vmx(data))

    def test_what_is_none_is_refused(self) -> None:
        with self.assertRaises(FormatError) as caught:
            read_dictionary(b"hello")
        self.assertEqual('is no VMX, expected lines like config.version = "8"', str(caught.exception))


@ddt.ddt
class TextTestCase(TestCase):
    def test_keys_come_in_any_case_and_lines_in_many_forms(self) -> None:
        data = b'#!/usr/bin/vmware\r\n\r\n # no = "x"\r\nCONFIG.version=8\r\n memsize\t= "64" # small\r\nempty = ""\r\n'
        dictionary = read_dictionary(data)
        self.assertEqual({"config.version": "8", "memsize": "64", "empty": ""}, dictionary.values)
        self.assertEqual((), dictionary.findings)

    def test_escapes(self) -> None:
        data = b'config.version = "8"\nannotation = "a|22b|7Cc|0Ad|C3|A9 |zz|4"\n'
        self.assertEqual('a"b|c\ndé |zz|4', read_dictionary(data).values["annotation"])

    @ddt.data(
        ("windows-1252", "cp1252", "Büro€Rechner"),
        ("UTF-8", "utf-8", "Büro€計算機"),
        ("Shift_JIS", "cp932", "ポンプ"),  # the first has the byte of the bar as its second
        ("GBK", "gbk", "计算机"),
    )
    def test_encodings(self, case: tuple[str, str, str]) -> None:
        said, encoding, name = case
        dictionary = read_dictionary(build.text({".encoding": said, "displayName": name}, encoding=encoding))
        self.assertEqual(name, dictionary.text("displayname"))
        self.assertEqual((), dictionary.findings)

    @ddt.data("utf-8", "latin-1")
    def test_without_an_encoding_one_is_taken_that_fits(self, encoding: str) -> None:
        dictionary = read_dictionary(build.text({".encoding": None, "displayName": "Büro"}, encoding=encoding))
        self.assertEqual("Büro", dictionary.text("displayname"))
        self.assertEqual((), dictionary.findings)

    @ddt.data("zlib", "utf-7", "rot13", "x" * 10_000)
    def test_unknown_encodings_are_told(self, said: str) -> None:
        dictionary = read_dictionary(build.text({".encoding": said, "displayName": "Büro"}))
        self.assertEqual("Büro", dictionary.text("displayname"))
        self.assertEqual(["vmx.encoding"], codes(dictionary))
        self.assertLess(len(dictionary.findings[0].what), 200)

    def test_bytes_that_do_not_fit_are_told(self) -> None:
        dictionary = read_dictionary(build.text({"displayName": "Büro"}, encoding="latin-1"))
        self.assertEqual("B\ufffdro", dictionary.text("displayname"))
        self.assertEqual(["vmx.encoding"], codes(dictionary))

    def test_lines_that_cannot_be_read_are_counted(self) -> None:
        bad = [b"no equals sign", b'a = "b" c"', b'= "x"', b'long = "' + b"x" * 70_000 + b'"', b'open = "x']
        dictionary = read_dictionary(build.text() + b"\n".join(bad))
        self.assertEqual(["vmx.line"], codes(dictionary))
        expected = f'5 lines of the VMX are not of the form key = "value"; the first is line {len(build.MACHINE) + 2}.'
        self.assertEqual(expected, dictionary.findings[0].what)

    def test_of_a_key_that_stands_twice_the_last_counts(self) -> None:
        dictionary = read_dictionary(build.text() + b'MEMSIZE = "512"\nmemSize = "128"\nfirmware = "bios"\n')
        self.assertEqual("128", dictionary.text("memsize"))
        self.assertEqual(["vmx.twice"], codes(dictionary))
        self.assertEqual(("memsize", "firmware"), dictionary.findings[0].evidence)

    def test_too_many_keys_are_refused(self) -> None:
        with self.assertRaises(LimitError):
            read_dictionary(build.text() + b"".join(b"k%d=\n" % number for number in range(20_001)))

    @ddt.data("encryption.keySafe", "encryption.data")
    def test_encrypted_ones_are_refused_by_name(self, key: str) -> None:
        with self.assertRaises(UnsupportedError) as caught:
            read_dictionary(build.text({key: "vmware:key/list"}))
        self.assertIn(f"the machine is encrypted ({key.lower()})", str(caught.exception))
        self.assertIn("VMware", caught.exception.tip)

    @ddt.data(("12", 12), ("0", None), ("-1", None), ("", None), ("1e3", None), ("٣", None), ("9" * 19, None),
              ("9" * 5000, None), ("101", None), ("0012", 12))  # fmt: skip
    def test_numbers(self, case: tuple[str, int | None]) -> None:
        text, value = case
        self.assertEqual(value, Dictionary(values={"k": text}).number("k", 100))

    @ddt.data(("TRUE", True), ("true", True), ("1", True), ("yes", True), ("FALSE", False), ("", False), ("2", False))
    def test_flags(self, case: tuple[str, bool]) -> None:
        text, value = case
        self.assertEqual(value, Dictionary(values={"k": text}).flag("k"))
