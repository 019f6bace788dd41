"""Digests are those of hashlib, however the bytes come."""

from __future__ import annotations

import hashlib
import random

import ddt

from tests.base import TestCase
from xenimage.streams import digest

MIB = 1 << 20
CONTENT = random.Random(2).randbytes(2 * MIB + 12_345)


NAMES = ("md5", "sha256", "sha512")


def expected(content: bytes, names: tuple[str, ...] = NAMES) -> dict[str, str]:
    return {name: hashlib.new(name, content).hexdigest() for name in names}


@ddt.ddt
class DigestTest(TestCase):
    def reader(self, content, step=None):
        def read_into(offset, buffer):
            part = content[offset : offset + min(len(buffer), step or len(buffer))]
            buffer[: len(part)] = part
            return len(part)

        return read_into

    @ddt.data(1, 1000, 1 << 20, len(CONTENT))
    def test_of_a_stream(self, step):
        digests = digest.Digests(NAMES)
        for start in range(0, 30 * step if step < 1000 else len(CONTENT), step):
            digests.update(memoryview(CONTENT)[start : start + step])
        content = CONTENT[: 30 * step] if step < 1000 else CONTENT
        self.assertEqual(expected(content), digests.hex())

    @ddt.data(1, 2, 3, 16)
    def test_of_a_file(self, jobs):
        for content in (b"", b"x", CONTENT[:MIB], CONTENT):
            counts = []
            found = digest.digest_file(NAMES, self.reader(content), len(content), jobs, counts.append)
            self.assertEqual(expected(content), found)
            self.assertEqual(len(content), sum(counts))

    def test_of_a_file_that_gives_less_than_asked(self):
        found = digest.digest_file(NAMES, self.reader(CONTENT, step=70_001), len(CONTENT), 3, lambda _count: None)
        self.assertEqual(expected(CONTENT), found)

    @ddt.data((), ("sha512",), ("sha256", "md5"))
    def test_of_the_names_asked_for(self, names):
        counts = []
        found = digest.digest_file(names, self.reader(CONTENT), len(CONTENT), 2, counts.append)
        self.assertEqual(expected(CONTENT, names), found)
        self.assertEqual(len(CONTENT) if names else 0, sum(counts))
        digests = digest.Digests(names)
        digests.update(CONTENT)
        self.assertEqual(found, digests.hex())

    def test_an_error_of_the_file_comes_through(self):
        def broken(_offset, _buffer):
            raise OSError("gone")

        with self.assertRaisesRegex(OSError, "gone"):
            digest.digest_file(NAMES, broken, 5, 2, lambda _count: None)

    def test_a_fingerprint_depends_on_content_alone(self):
        self.assertEqual(16, len(digest.fingerprint(b"abc")))
        self.assertEqual(digest.fingerprint(b"abc"), digest.fingerprint(memoryview(bytearray(b"abc"))))
        self.assertNotEqual(digest.fingerprint(bytes(512)), digest.fingerprint(bytes(511) + b"\1"))
