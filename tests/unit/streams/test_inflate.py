"""Bounded inflating: exactly the size asked for, or a named error."""

from __future__ import annotations

import concurrent.futures
import importlib
import tracemalloc
import unittest.mock
import zlib

import ddt
import hypothesis
import hypothesis.strategies as st
import zstandard

from tests.base import TestCase
from tests.builders.pattern import pattern
from xenimage.exceptions import FormatError
from xenimage.streams import inflate

SIZE = 65536


def raw(content: bytes, window: int = -15) -> bytes:
    deflater = zlib.compressobj(6, zlib.DEFLATED, window)
    return deflater.compress(content) + deflater.flush()


def zstd(content: bytes, *, announce: bool = True) -> bytes:
    return zstandard.ZstdCompressor(write_content_size=announce).compress(content)


FORMS = {
    "raw": (inflate.inflate_raw, raw),
    "zlib": (inflate.inflate_zlib, zlib.compress),
    "zstd": (inflate.unzstd, zstd),
    "zstd without a size": (inflate.unzstd, lambda content: zstd(content, announce=False)),
}
LIBRARIES = ("isal.isal_zlib", "zlib_ng.zlib_ng", "zlib")


def every_form_and_library(test):
    return ddt.data(*[(form, library) for form in FORMS for library in LIBRARIES])(ddt.unpack(test))


@ddt.ddt
class InflateTest(TestCase):
    def use(self, library: str) -> None:
        patcher = unittest.mock.patch.object(inflate, "_library", importlib.import_module(library))
        patcher.start()
        self.addCleanup(patcher.stop)

    @every_form_and_library
    def test_gives_the_content_and_ignores_padding(self, form, library):
        self.use(library)
        unpack, pack = FORMS[form]
        for size in (1, 511, SIZE, 2 * SIZE + 1):
            content = pattern(0, size)
            for padding in (b"", bytes(400), b"\xff" * 700):
                self.assertEqual(content, unpack(pack(content) + padding, size))
                self.assertEqual(content, unpack(memoryview(pack(content) + padding), size))

    @every_form_and_library
    def test_refuses_another_size(self, form, library):
        self.use(library)
        unpack, pack = FORMS[form]
        for size in (SIZE - 1, SIZE + 1):
            with self.assertRaisesRegex(FormatError, f"expected {size} bytes when inflated"):
                unpack(pack(pattern(0, SIZE)), size)

    @every_form_and_library
    def test_refuses_a_cut_stream(self, form, library):
        self.use(library)
        unpack, pack = FORMS[form]
        packed = pack(pattern(0, SIZE))
        for length in (0, 1, 5, len(packed) // 2, len(packed) - 1):
            with self.assertRaises(FormatError):
                unpack(packed[:length], SIZE)

    @every_form_and_library
    def test_refuses_rubbish(self, form, library):
        self.use(library)
        with self.assertRaises(FormatError):
            FORMS[form][0](b"\xff" * 300, SIZE)

    @every_form_and_library
    def test_a_bomb_is_not_inflated(self, form, library):
        self.use(library)
        unpack, pack = FORMS[form]
        bomb = pack(bytes(64 << 20))
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        with self.assertRaises(FormatError):
            unpack(bomb, SIZE)
        self.assertLess(tracemalloc.get_traced_memory()[1], 4 << 20)

    @ddt.data(*LIBRARIES)
    def test_a_wrong_zlib_checksum_is_damage(self, library):
        self.use(library)
        packed = bytearray(zlib.compress(pattern(0, SIZE)))
        packed[-1] ^= 1
        with self.assertRaisesRegex(FormatError, "zlib stream is damaged"):
            inflate.inflate_zlib(packed, SIZE)

    @ddt.data(-9, -12, -15)
    def test_takes_any_window(self, window):
        self.assertEqual(pattern(0, SIZE), inflate.inflate_raw(raw(pattern(0, SIZE), window), SIZE))

    def test_a_huge_zstd_window_is_refused(self):
        parameters = zstandard.ZstdCompressionParameters(window_log=27, write_content_size=False)
        packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
        packed = packer.compress(pattern(0, SIZE)) + packer.flush()
        with self.assertRaisesRegex(FormatError, "zstd frame is damaged"):
            inflate.unzstd(packed, SIZE)

    def test_threads_do_not_share_state(self):
        contents = [pattern(0, SIZE, seed) for seed in range(16)]
        packed = [(raw(content), zstd(content), content) for content in contents]

        def work(_):
            return all(
                inflate.inflate_raw(one, SIZE) == content == inflate.unzstd(two, SIZE) for one, two, content in packed
            )

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            self.assertTrue(all(pool.map(work, range(8))))

    def test_works_without_the_fastest_library(self):
        self.assertEqual("zlib", inflate._first_importable(("no_such_library", "zlib")).__name__)

    @hypothesis.settings(max_examples=150, deadline=None, database=None)
    @hypothesis.given(st.sampled_from(sorted(FORMS)), st.binary(max_size=300), st.integers(0, 5), st.integers(0, 255))
    def test_a_changed_byte_never_gives_another_size(self, form, content, place, value):
        unpack, pack = FORMS[form]
        packed = bytearray(pack(content))
        packed[place % len(packed)] = value
        try:
            self.assertEqual(len(content), len(unpack(packed, len(content))))
        except FormatError as error:
            self.assertTrue(str(error))
