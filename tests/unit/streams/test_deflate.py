"""Pieces of a gzip member: any compressor's pieces, one after the other, are one stream that zlib reads."""

from __future__ import annotations

import gzip
import importlib.util
import io
import random
import sys
import unittest.mock
import zlib

import ddt

from tests.base import TestCase
from tests.builders.pattern import pattern
from xenimage.model.plan import Compression
from xenimage.streams import deflate

SIZES = (0, 1, 511, 512, 65534, 65535, 65536, 131070, 131071, 300_001)
NOISE = random.Random(1).randbytes(600_000)


def every_compression(test):
    return ddt.data(*Compression)(test)


@ddt.ddt
class SegmentTest(TestCase):
    @every_compression
    def test_pieces_make_one_gzip_member(self, compression):
        deflater = deflate.deflater(compression)
        pieces = [pattern(0, 70_000), b"", NOISE[:66_000], bytes(200_000), b"x", pattern(0, 600_000, seed=3)]
        segments = [deflater.segment(piece) for piece in pieces]
        segments.insert(2, deflate.stored_segment(b"head" * 40_000))
        plain = b"".join([*pieces[:2], b"head" * 40_000, *pieces[2:]])
        crc = 0
        for segment in segments:
            crc = deflate.crc32_combine(crc, segment.crc, segment.length)
        packed = b"".join([deflate.HEADER, *(part for segment in segments for part in segment.parts), deflate.FINAL])
        packed += deflate.trailer(crc, len(plain))
        self.assertEqual(zlib.crc32(plain), crc)
        self.assertEqual(plain, gzip.decompress(packed))
        inflater = zlib.decompressobj(31)
        self.assertEqual(plain, inflater.decompress(packed))
        self.assertTrue(inflater.eof)
        self.assertEqual(b"", inflater.unused_data)

    @every_compression
    def test_a_piece_ends_at_a_byte_and_refers_to_nothing_before(self, compression):
        deflater = deflate.deflater(compression)
        once = deflater.segment(pattern(0, 50_000))
        again = deflater.segment(memoryview(bytearray(pattern(0, 50_000))))
        self.assertEqual(once, again)
        self.assertEqual(pattern(0, 50_000), zlib.decompressobj(-15).decompress(b"".join(once.parts)))

    @unittest.skipUnless(deflate.has_isal(), "zlib-ng needs no primer")
    def test_isal_begins_on_its_slow_path(self):
        # Its fast path would begin with a hash of its own address, and give other bytes in one process of hundreds.
        content = pattern(0, 50_000)
        primed, flushed, *_ = deflate.deflater(Compression.FAST).segment(content).parts
        self.assertEqual(content[:16], zlib.decompressobj(-15).decompress(primed + flushed))
        self.assertTrue(flushed.endswith(b"\0\0\xff\xff"))

    @every_compression
    def test_a_piece_knows_its_sums(self, compression):
        for size in SIZES:
            segment = deflate.deflater(compression).segment(NOISE[:size])
            self.assertEqual(zlib.crc32(NOISE[:size]), segment.crc)
            self.assertEqual(size, segment.length)
            self.assertEqual(len(b"".join(segment.parts)), segment.stored)

    @every_compression
    def test_no_piece_passes_the_bound(self, compression):
        deflater = deflate.deflater(compression)
        for size in (*SIZES, 2 << 20, (2 << 20) + 512):
            for content in (bytes(size), (NOISE * 4)[:size], random.Random(size).randbytes(size)):
                self.assertLessEqual(deflater.segment(content).stored, deflate.segment_bound(size))

    @ddt.data(*SIZES)
    def test_the_stored_size_is_exact(self, size):
        packed = deflate.stored(NOISE[:size])
        self.assertEqual(deflate.stored_size(size), len(packed))
        self.assertEqual(NOISE[:size], zlib.decompress(packed + deflate.FINAL, -15))
        self.assertEqual((packed,), deflate.stored_segment(NOISE[:size]).parts)

    def test_store_compresses_nothing(self):
        deflater = deflate.deflater(Compression.STORE)
        self.assertEqual(deflate.stored_size(1 << 20), deflater.segment(bytes(1 << 20)).stored)
        self.assertEqual("stored", deflater.label)

    def test_the_trailer_counts_modulo_4_gib(self):
        self.assertEqual(b"\x04\x03\x02\x01\x05\0\0\0", deflate.trailer(0x01020304, (1 << 32) + 5))

    def test_the_header_has_no_name_and_no_time(self):
        stream = io.BytesIO(deflate.HEADER + deflate.FINAL + deflate.trailer(0, 0))
        with gzip.GzipFile(fileobj=stream) as member:
            self.assertEqual(b"", member.read())
            self.assertEqual(0, member.mtime)

    def test_smaller_costs_more_work(self):
        sizes = [deflate.deflater(each).segment(pattern(0, 1 << 20)).stored for each in Compression]
        self.assertEqual(sizes[0], max(sizes))
        self.assertEqual(sizes[3], min(sizes))


class WithoutIsalTest(TestCase):
    """A machine for which there is no wheel of isal."""

    def setUp(self) -> None:
        super().setUp()
        spec = importlib.util.find_spec("xenimage.streams.deflate")
        self.module = importlib.util.module_from_spec(spec)
        with unittest.mock.patch.dict(sys.modules, {"isal": None, spec.name: self.module}):
            spec.loader.exec_module(self.module)

    def test_fast_falls_back(self):
        deflater = self.module.deflater(Compression.FAST)
        self.assertFalse(self.module.has_isal())
        self.assertEqual("zlib-ng level 1", deflater.label)
        segment = deflater.segment(NOISE[:70_000])
        self.assertEqual(NOISE[:70_000], zlib.decompress(b"".join([*segment.parts, deflate.FINAL]), -15))
        self.assertEqual(zlib.crc32(NOISE[:70_000]), segment.crc)

    def test_sums_still_combine(self):
        whole = self.module.crc32_combine(zlib.crc32(b"abc"), zlib.crc32(b"defg"), 4)
        self.assertEqual(zlib.crc32(b"abcdefg"), whole)

    def test_what_needs_no_isal_stays_the_same(self):
        for compression in (Compression.STORE, Compression.BALANCED, Compression.BEST):
            ours, theirs = self.module.deflater(compression), deflate.deflater(compression)
            self.assertEqual(theirs.label, ours.label)
            self.assertEqual(theirs.segment(NOISE[:9000]).parts, ours.segment(NOISE[:9000]).parts)
