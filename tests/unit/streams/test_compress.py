"""Small pieces compressed: read back by Python's own zlib and by zstandard, always the same bytes."""

from __future__ import annotations

import random
import threading
import unittest.mock
import zlib

import ddt
import zstandard

from tests.base import TestCase
from xenimage.streams import compress

CONTENTS = {
    "noise": random.Random(1).randbytes(65536),
    "zeros": bytes(65536),
    "text": b"the same again and again\n" * 2622,
    # What repeats does so at a distance beyond 4 KiB, which a small window must not use.
    "far": random.Random(2).randbytes(5000) * 13,
    "tiny": b"x",
    "primer": b"0123456789abcdef",
}


@ddt.ddt
class CompressTest(TestCase):
    @ddt.data(*CONTENTS)
    def test_raw_needs_a_window_of_4_kib(self, name):
        inflater = zlib.decompressobj(-12)
        packed = compress.deflate_raw(CONTENTS[name])
        # Byte by byte the inflater has nothing but its window to look back into.
        back = b"".join(inflater.decompress(packed[at : at + 1]) for at in range(len(packed))) + inflater.flush()
        self.assert_same_bytes(CONTENTS[name], back)
        self.assertTrue(inflater.eof)

    @ddt.data(*CONTENTS)
    def test_zlib(self, name):
        self.assert_same_bytes(CONTENTS[name], zlib.decompress(compress.deflate_zlib(CONTENTS[name])))

    @ddt.data(*CONTENTS)
    def test_zstd(self, name):
        packed = compress.zstd(CONTENTS[name])
        self.assertEqual(len(CONTENTS[name]), zstandard.get_frame_parameters(packed).content_size)
        self.assert_same_bytes(CONTENTS[name], zstandard.ZstdDecompressor().decompress(packed))

    @ddt.data("deflate_raw", "deflate_zlib", "zstd")
    def test_stays_within_the_bound(self, name):
        for content in (*CONTENTS.values(), random.Random(3).randbytes(4096), random.Random(4).randbytes(2 << 20)):
            self.assertLessEqual(len(getattr(compress, name)(content)), compress.deflated_bound(len(content)))

    @ddt.data("deflate_raw", "deflate_zlib", "zstd")
    def test_the_same_in_all_threads_and_places(self, name):
        content = CONTENTS["text"]
        found = set()

        def run():
            for start in range(40):
                place = bytearray(bytes(start) + content)
                found.add(getattr(compress, name)(memoryview(place)[start:]))

        threads = [threading.Thread(target=run) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(1, len(found))

    @ddt.data(*CONTENTS)
    def test_without_isal(self, name):
        with unittest.mock.patch.object(compress, "_deflate", compress._deflate_zlib_ng):
            self.assert_same_bytes(
                CONTENTS[name], zlib.decompressobj(-12).decompress(compress.deflate_raw(CONTENTS[name]))
            )
            self.assert_same_bytes(CONTENTS[name], zlib.decompress(compress.deflate_zlib(CONTENTS[name])))
