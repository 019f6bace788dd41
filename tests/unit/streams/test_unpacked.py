"""Whole files packed with zstd and xz, read at any place."""

from __future__ import annotations

import lzma
import pathlib
import random
import unittest.mock

import ddt
import zstandard

from tests.base import TestCase
from tests.builders.pattern import pattern
from tests.builders.vhd import MemorySource
from xenimage.exceptions import FormatError, LimitError, XenimageError
from xenimage.limits import STRICT, Limits
from xenimage.streams import unpacked
from xenimage.streams.unpacked import UnpackedSource, packed_kind
from xenimage.units import MIB

CONTENT = pattern(0, 5 * MIB) + bytes(2 * MIB) + pattern(5, 12_345)


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


def opened(data: bytes, limits: Limits = STRICT) -> UnpackedSource:
    source = MemorySource(data, "x")
    return UnpackedSource(source, packed_kind(source), limits)


@ddt.ddt
class UnpackedTestCase(TestCase):
    """One content, packed in several ways."""

    @ddt.data(
        zstd(CONTENT),
        zstd(CONTENT[:100]) + zstd(b"") + zstd(CONTENT[100 : 3 * MIB]) + zstd(CONTENT[3 * MIB :]),
        b"\x50\x2a\x4d\x18\x03\0\0\0abc" + zstd(CONTENT) + b"\x5f\x2a\x4d\x18\0\0\0\0",
        lzma.compress(CONTENT, preset=0),
        lzma.compress(CONTENT[:77], preset=0) + lzma.compress(CONTENT[77:], preset=0),
    )
    def test_any_place_of_the_content(self, data: bytes) -> None:
        source = opened(data)
        self.assert_same_bytes(CONTENT, source.read_some(0, len(CONTENT) + 9))
        self.assertEqual(1, source.passes)
        source.scan()
        self.assertEqual((len(CONTENT), 0), (source.size, source.trailing))
        places = random.Random(7)
        for _ in range(6):
            at, length = places.randrange(len(CONTENT)), places.randrange(3 * MIB)
            self.assert_same_bytes(CONTENT[at : at + length], source.read_some(at, length))
        self.assertGreater(source.passes, 1)

    def test_the_program_is_understood(self) -> None:
        path = pathlib.Path(self.scratch / "x")
        path.write_bytes(CONTENT)
        self.run_tool("zstd", "-q", "-T2", "-9", path)
        source = opened(path.with_name("x.zst").read_bytes())
        self.assert_same_bytes(CONTENT, source.read_some(0, len(CONTENT)))

    def test_a_little_back_is_free(self) -> None:
        source = opened(zstd(CONTENT))
        for at in range(0, len(CONTENT) - MIB, 512 * 1024):
            self.assert_same_bytes(CONTENT[at : at + MIB], source.read(at, MIB))
        self.assertEqual(1, source.passes)

    @ddt.data(zstd, lzma.compress)
    def test_what_follows_is_told(self, pack: object) -> None:
        assert callable(pack)
        for behind, trailing in ((bytes(100), 0), (b"garbage", 1)):
            source = opened(pack(b"abc") + behind)
            source.scan()
            self.assertEqual((3, trailing), (source.size, source.trailing))

    @ddt.data(zstd(CONTENT), lzma.compress(CONTENT, preset=0))
    def test_damage_and_truncation(self, data: bytes) -> None:
        for broken in (data[:-5], data[: len(data) // 2], data[:-1] + bytes([data[-1] ^ 0xFF])):
            source = opened(broken)
            for _ in range(2):  # it stays broken
                with self.assertRaises(XenimageError) as caught:
                    source.scan()
                self.assertIsInstance(caught.exception, FormatError)
                self.assertTrue(str(caught.exception).startswith("x: "))

    def test_a_bomb(self) -> None:
        little = unittest.mock.patch.object(unpacked, "_LITTLE", MIB)
        with little, self.assertRaisesRegex(LimitError, "^x: unpacks to more than .*limit expansion"):
            opened(zstd(bytes(200 * MIB))).scan()
        with self.assertRaisesRegex(LimitError, "limit bundle_size"):
            opened(zstd(CONTENT), Limits(bundle_size=MIB)).scan()

    def test_many_empty_frames(self) -> None:
        with self.assertRaisesRegex(LimitError, "number of packed frames beyond one a KiB is 4097"):
            opened(zstd(b"") * 10_000).scan()

    def test_outside(self) -> None:
        source = opened(zstd(b"abc"))
        self.assertEqual((b"c", b""), (source.read_some(2, 9), source.read_some(9, 9)))
        with self.assertRaisesRegex(FormatError, "^x: 2 bytes at 0x2 lie outside the unpacked content"):
            source.read(2, 2)
