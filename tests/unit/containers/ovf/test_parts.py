"""Units, names, manifests, and what XenConvert encrypted."""

from __future__ import annotations

import base64

import ddt

from tests.base import TestCase
from tests.builders.vhd import MemorySource
from xenimage.containers.ovf import crypt, units
from xenimage.containers.ovf.kinds import Notes
from xenimage.containers.ovf.manifest import coverage, read_manifest
from xenimage.containers.ovf.names import safe_name, spellings
from xenimage.exceptions import FormatError, UnsafeError, UnsupportedError, UsageError
from xenimage.limits import STRICT

SHA1 = "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12"
PLAIN = b"hello OVF disk payload, 37 bytes long!"
AES_256 = "61d619900ece44182cf5e3c1ae78b7e0636d5ad4fb4e22e9a58663e20e3d440e3073dce259b05856fa1dbb0b39de2848"
AES_192 = "f3bf12719d0ae0415616968c5611bc2b3f7e94deb8ff47a983d6b69b14a602ed789bb7ab8d5103585237febc72d900a4"
KNOWN = base64.b64decode(
    "rPqu+LcslV7vve89gLwPo/TMZg4IbGZsEquX8U9foBMAaZG0u3vXWa40Tuy9VFlTkgetrfWea7riPTmWPLscErisIeKoxMjoolfnAGmNdBCxqz+g"
    "mja+V57sv2d3JuVyAiaIxYtm2KAK+K5YgiLHdhJigE/qH3VaB64IivR4K+aibHvkExaxrKRsnZhe2CmTR9k9NvWN1rCZje1feD+cLE3SL9KMvhE/"
    "FtqaPDdLaW0RUfww86l7jkdVECmv5jZiepNEwFeYiZojo0MEt12wmA=="
)


@ddt.ddt
class UnitsTest(TestCase):
    @ddt.data(
        ("byte", 1), ("Bytes", 1), ("byte * 2^10", 1024), ("byte * 2 ^ 20", 1 << 20), ("byte*2^30", 1 << 30),
        ("byte * 2^40", 1 << 40), ("byte * 10^6", 10**6), ("byte * 1024", 1024), ("KiloBytes", 1024),
        ("MegaBytes", 1 << 20), ("GB", 1 << 30), ("BYTE * 2^20", 1 << 20),
        ("", None), ("hertz * 10^6", None), ("byte * 3^4", None), ("byte * 2^99", None), ("byte * 0", None),
        ("Processor Cores", None),
    )  # fmt: skip
    @ddt.unpack
    def test_units_in_the_wild(self, text: str, expected: int | None) -> None:
        self.assertEqual(expected, units.factor(text))

    def test_numbers(self) -> None:
        self.assertEqual([512, 0, None, None, None, None], [units.number(each) for each in (
            " 512 ", "0", "-1", "1.5", "9" * 21, "\u0661")])  # fmt: skip


@ddt.ddt
class NamesTest(TestCase):
    @ddt.data("disk.vmdk", "sub/disk.vmdk", "with space.vmdk", "per%20cent.vmdk", "\u4e2d\u6587.vmdk", "a..b")
    def test_names_within_the_package(self, name: str) -> None:
        self.assertEqual(name, safe_name(name))

    def test_a_dot_is_left_out(self) -> None:
        self.assertEqual("a/b", safe_name("./a/./b"))

    @ddt.data(
        "", "../a", "a/../../b", "/etc/passwd", "%2e%2e/a", "..%2fa", "%2fetc%2fpasswd", "a\\b", "C:a", "c:/a", "file:///a",
        "a\0b", "a%00b", "a\nb", "a//b", "a/", "a" * 256, "/".join("a" * 17), "//host/share",
    )  # fmt: skip
    def test_names_that_lead_out(self, name: str) -> None:
        self.assertRaises(UnsafeError, safe_name, name)

    def test_a_name_of_megabytes(self) -> None:
        self.assertRaises(UnsafeError, safe_name, "%2e" * 3_000_000)

    @ddt.data("http://a/b.vmdk", "HTTPS://a/b.vmdk")
    def test_addresses(self, name: str) -> None:
        self.assertRaises(UnsupportedError, safe_name, name)

    def test_spellings(self) -> None:
        self.assertEqual(["a%20\u00e9", "a%20e\u0301", "a \u00e9", "a e\u0301"], list(spellings("a%20\u00e9")))


@ddt.ddt
class ManifestTest(TestCase):
    def read(self, text: str) -> tuple[list[tuple[str, str]], list[str]]:
        notes = Notes()
        entries = read_manifest(text.encode(), STRICT, notes)
        return [(each.algorithm, each.name) for each in entries], [each.code for each in notes.all()]

    @ddt.data(
        "SHA1(a.ovf)= {0}", "SHA1 (a.ovf) = {0}", "SHA1(a.ovf)={0}", "SHA1(a.ovf)= {0}\r\n", "sha1(a.ovf)= {0}\n\n",
        "\ufeffSHA-1(a.ovf)= {0}\n",
    )  # fmt: skip
    def test_spellings(self, line: str) -> None:
        for digest in (SHA1, SHA1.upper()):
            self.assertEqual(([("sha1", "a.ovf")], []), self.read(line.format(digest)))

    def test_names_with_parentheses(self) -> None:
        self.assertEqual([("sha1", "a (2)= b.ovf")], self.read(f"SHA1(a (2)= b.ovf)= {SHA1}")[0])

    def test_algorithms(self) -> None:
        text = f"SHA2-256(a)= {'0' * 64}\nSHA512(b)= {'0' * 128}\nMD5(c)= {'0' * 32}"
        found, codes = self.read(text)
        self.assertEqual([("sha256", "a"), ("sha512", "b"), ("md5", "c")], found)
        self.assertEqual(["ovf.manifest.mixed"], codes)

    @ddt.data(
        (f"SHA1(a)= {SHA1[1:]}", "ovf.manifest.line"),
        (f"SHA1(a)= {SHA1[1:]}x", "ovf.manifest.line"),
        ("SHA1(a)=", "ovf.manifest.line"),
        ("rubbish", "ovf.manifest.line"),
        (f"CRC32(a)= {SHA1}", "ovf.manifest.algorithm"),
    )
    @ddt.unpack
    def test_faults(self, line: str, code: str) -> None:
        self.assertEqual(([], [code]), self.read(line))

    def test_a_file_twice(self) -> None:
        self.assertEqual(["ovf.manifest.line"], self.read(f"SHA1(a)= {SHA1}\nSHA1(a)= {SHA1}")[1])

    def test_coverage(self) -> None:
        entries = read_manifest(f"SHA1(A.VMDK)= {SHA1}\n".encode(), STRICT, Notes())
        codes = [each.code for each in coverage(entries, "a.ovf", ["a.vmdk", "b.vmdk"])]
        self.assertEqual(["ovf.manifest.descriptor", "ovf.manifest.unlisted"], codes)


@ddt.ddt
class CryptTest(TestCase):
    """The ciphertexts were made with OpenSSL."""

    @ddt.data((AES_256, False), (AES_192, True))
    @ddt.unpack
    def test_any_range(self, text: str, legacy: bool) -> None:
        source = crypt.DecryptedSource(
            MemorySource(bytes.fromhex(text)), crypt.scheme("citrix", legacy=legacy), legacy=legacy
        )
        self.assertEqual(len(PLAIN), source.size)
        for start in range(len(PLAIN) + 1):
            for stop in range(start, len(PLAIN) + 1):
                self.assertEqual(PLAIN[start:stop], source.read(start, stop - start))
        self.assertRaises(FormatError, source.read, 30, 9)

    def test_the_known_text_tells_a_password(self) -> None:
        crypt.unlock("citrix", KNOWN, legacy=False)
        for password in ("Citrix", "", "citrix "):
            with self.assertRaisesRegex(UsageError, "the password is wrong"):
                crypt.unlock(password, KNOWN, legacy=False)
        self.assertRaises(UsageError, crypt.unlock, "citrix", KNOWN[:-1], legacy=False)

    def test_faults(self) -> None:
        data = bytes.fromhex(AES_256)
        for damaged in (b"", data[:-1], data[:-16]):
            self.assertRaises(FormatError, crypt.DecryptedSource, MemorySource(damaged),
                              crypt.scheme("citrix", legacy=False), legacy=False)  # fmt: skip
