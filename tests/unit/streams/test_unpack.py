from __future__ import annotations

import io
import unittest
import zlib

import ddt
import zstandard

from tests.builders.guests.linux import PACKERS
from tests.builders.pattern import pattern
from xenimage.exceptions import FormatError, UnsupportedError
from xenimage.streams.forward import Forward
from xenimage.streams.unpack import MAGIC_LENGTH, packing, unpack

MIB = 1 << 20
KINDS = sorted(set(PACKERS) - {"plain"})
CONTENT = pattern(0, 300_000) + bytes(MIB) + b"the end"


def forward(data: bytes, chunk: int = 1000) -> Forward:
    source = io.BytesIO(data)

    def read(length: int, offset: int) -> bytes:
        source.seek(offset)
        return source.read(length)

    return Forward(read, chunk)


class ForwardTest(unittest.TestCase):
    def test_takes_skips_and_gives_back(self) -> None:
        data = pattern(0, 5000)
        source = forward(data, 100)
        self.assertEqual(data[:10], source.take(10))
        source.skip(20)
        self.assertEqual(30, source.position)
        self.assertEqual(data[30:300], source.exactly(270))
        source.give_back(data[290:300])
        self.assertEqual(290, source.position)
        self.assertEqual(data[290:310], source.take(20))
        source.skip(4000)
        self.assertEqual(data[4310:], source.take(9000))
        self.assertEqual((5000, b"", b""), (source.position, source.take(1), source.some()))

    def test_what_is_skipped_is_not_read(self) -> None:
        asked: list[tuple[int, int]] = []
        source = Forward(lambda length, offset: asked.append((offset, length)) or bytes(length), 100)  # type: ignore[func-returns-value]
        source.take(1)
        source.skip(10_000)
        source.take(1)
        self.assertEqual([(0, 100), (10_001, 100)], asked)

    def test_an_end_too_early(self) -> None:
        with self.assertRaisesRegex(FormatError, "^ends at 0x3, expected 2 bytes more$"):
            forward(b"abc").exactly(5)


@ddt.ddt
class UnpackTest(unittest.TestCase):
    @ddt.data(*KINDS)
    def test_gives_the_content_and_stands_behind_it(self, kind: str) -> None:
        packed = PACKERS[kind](CONTENT)
        # The legacy frame of lz4 ends where something stands that cannot be the size of a block.
        source = forward(packed + b"\xff\xff\xff\xff behind")
        self.assertEqual(kind, packing(packed[:MAGIC_LENGTH]))
        pieces = list(unpack(kind, source))
        self.assertEqual(CONTENT, b"".join(pieces))
        self.assertLessEqual(max(map(len, pieces)), 8 * MIB)
        self.assertEqual(b"\xff\xff\xff\xff behind", source.take(100))

    @ddt.data(*KINDS)
    def test_a_stream_that_was_cut_off(self, kind: str) -> None:
        packed = PACKERS[kind](CONTENT)
        for end in (len(packed) // 2, len(packed) - 1, 20):
            with self.assertRaises(FormatError):
                list(unpack(kind, forward(packed[:end])))

    @ddt.data(*KINDS)
    def test_damage_is_an_error_or_other_bytes(self, kind: str) -> None:
        packed = PACKERS[kind](CONTENT[:20_000])
        for place in range(7, len(packed), max(1, len(packed) // 200)):
            damaged = bytearray(packed)
            damaged[place] ^= 0x55
            try:
                list(unpack(kind, forward(bytes(damaged))))
            except FormatError as error:
                self.assertRegex(str(error), f"^the {kind} stream is damaged near|^ends at ")

    def test_a_bomb_comes_in_small_pieces(self) -> None:
        bomb = zstandard.ZstdCompressor().compress(bytes(64 * MIB))
        self.assertLess(len(bomb), 64 * 1024)
        largest = max(len(piece) for piece in unpack("zstd", forward(bomb)))
        self.assertLessEqual(largest, 128 * 1024)
        bomb = zlib.compress(bytes(16 * MIB), wbits=31)
        self.assertLessEqual(max(len(piece) for piece in unpack("gzip", forward(bomb))), MIB)

    def test_lzo_is_told(self) -> None:
        with self.assertRaisesRegex(UnsupportedError, "^is packed with lzo, expected gzip, "):
            packing(b"\x89LZO\0\r")
        self.assertEqual("", packing(b"070701"))
