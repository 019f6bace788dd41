from __future__ import annotations

import gzip
import random
import threading
import unittest

import ddt

from tests.builders.vhd import MemorySource
from xenimage.exceptions import FormatError, LimitError, XenimageError
from xenimage.limits import STRICT, Limits
from xenimage.streams.gunzip import GunzipSource

CONTENT = random.Random(1).randbytes(3 << 20) + bytes(9 << 20) + random.Random(2).randbytes(1 << 20)
STREAM = gzip.compress(CONTENT, 1, mtime=0)


def source(data: bytes, limits: Limits = STRICT) -> GunzipSource:
    return GunzipSource(MemorySource(data, "x.gz"), limits)


@ddt.ddt
class GunzipSourceTest(unittest.TestCase):
    def test_content(self) -> None:
        content = source(STREAM)
        content.scan()
        self.assertEqual((len(CONTENT), 1, 0), (content.size, content.members, content.trailing))
        self.assertEqual(CONTENT, content.read(0, content.size))

    def test_ascending_reads_take_one_pass(self) -> None:
        content = source(STREAM)
        for offset in range(0, len(CONTENT) - 999, 77_777):
            self.assertEqual(CONTENT[offset : offset + 999], content.read(offset, 999))
        content.scan()
        self.assertEqual(1, content.passes)

    def test_head_is_kept(self) -> None:
        content = source(STREAM)
        content.scan()
        self.assertEqual(CONTENT[100:4100], content.read(100, 4000))
        self.assertEqual(1, content.passes)

    def test_backward_read_starts_again(self) -> None:
        content = source(STREAM)
        content.scan()
        at = len(CONTENT) - (3 << 20)
        self.assertEqual(CONTENT[at:], content.read(at, 3 << 20))
        self.assertEqual(2, content.passes)

    def test_random_reads(self) -> None:
        content = source(STREAM)
        chance = random.Random(3)
        for _ in range(30):
            offset = chance.randrange(len(CONTENT))
            length = min(chance.randrange(1, 1 << 20), len(CONTENT) - offset)
            self.assertEqual(CONTENT[offset : offset + length], content.read(offset, length))

    def test_several_threads(self) -> None:
        content = source(STREAM)
        wrong = []

        def work(seed: int) -> None:
            chance = random.Random(seed)
            for _ in range(5):
                offset = chance.randrange(len(CONTENT) - 5000)
                if content.read(offset, 5000) != CONTENT[offset : offset + 5000]:
                    wrong.append(offset)

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([], wrong)

    def test_size_needs_a_scan(self) -> None:
        with self.assertRaises(ValueError):
            _ = source(STREAM).size

    def test_read_behind_the_end(self) -> None:
        content = source(STREAM)
        self.assertEqual(b"", content.read_some(len(CONTENT), 5))
        self.assertEqual(CONTENT[-3:], content.read_some(len(CONTENT) - 3, 9))
        with self.assertRaisesRegex(FormatError, "outside the inflated content"):
            content.read(len(CONTENT) - 3, 9)

    @ddt.data((b"", 0), (bytes(700), 0), (bytes(200_000), 0), (b"junk", 4), (bytes(700) + b"junk", 4))
    @ddt.unpack
    def test_what_follows(self, behind: bytes, trailing: int) -> None:
        content = source(STREAM + STREAM + behind)
        content.scan()
        self.assertEqual((2 * len(CONTENT), 2, trailing), (content.size, content.members, content.trailing))

    def test_header_fields(self) -> None:
        flags = bytes([0x1F, 0x8B, 8, 0x1E, 0, 0, 0, 0, 0, 255]) + b"\x03\0abc" + b"name\0" + b"comment\0" + b"\0\0"
        content = source(flags + STREAM[10:])
        content.scan()
        self.assertEqual(len(CONTENT), content.size)

    @ddt.data(1, 7, 8, 9, 500, 1_000_000, len(STREAM) - 12, len(STREAM) - 5)
    def test_truncated(self, cut: int) -> None:
        content = source(STREAM[:-cut])
        with self.assertRaisesRegex(FormatError, "x.gz: the gzip stream ends at"):
            content.scan()
        with self.assertRaises(FormatError):
            content.scan()

    @ddt.data(0, 2, 3, len(STREAM) - 8, len(STREAM) - 2)
    def test_damaged(self, at: int) -> None:
        data = bytearray(STREAM)
        data[at] ^= 0xFF
        with self.assertRaises(FormatError):
            source(bytes(data)).scan()

    def test_any_damage_is_an_error_of_ours(self) -> None:
        chance = random.Random(4)
        for _ in range(30):
            data = bytearray(STREAM[:200_000])
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            with self.assertRaises(XenimageError):
                source(bytes(data)).scan()

    def test_bomb(self) -> None:
        bomb = gzip.compress(bytes(64 << 20), 9)
        with self.assertRaisesRegex(LimitError, "inflates to more than 1 MiB"):
            source(bomb, Limits(bundle_size=1 << 20)).scan()
        with self.assertRaisesRegex(LimitError, "limit expansion"):
            source(bomb, Limits(expansion=100)).scan()
        source(bomb).scan()

    def test_many_empty_members(self) -> None:
        with self.assertRaisesRegex(LimitError, "gzip members"):
            source(gzip.compress(b"", mtime=0) * 5000).scan()

    def test_progress_counts_compressed_bytes_once(self) -> None:
        counted: list[int] = []
        content = GunzipSource(MemorySource(STREAM), STRICT, counted.append)
        content.scan()
        content.read(len(CONTENT) - (3 << 20), 10)
        self.assertLessEqual(sum(counted), len(STREAM))
        self.assertGreater(sum(counted), len(STREAM) - 100)
