from __future__ import annotations

import gzip
import random
import unittest
import zlib

import ddt

from tests.builders.vhd import MemorySource
from xenimage.exceptions import FormatError
from xenimage.limits import STRICT
from xenimage.streams.gunzip import GunzipSource
from xenimage.streams.seekpoints import SeekPoints

MIB = 1 << 20
_WORDS = [random.Random(number).randbytes(9) for number in range(200)]


def content(size: int, seed: int = 1) -> bytes:
    """Bytes that deflate to about a third, with references far back."""
    chance = random.Random(seed)
    return b"".join(chance.choices(_WORDS, k=size // 9 + 1))[:size]


CONTENT = content(24 * MIB)


class CountingSource(MemorySource):
    """Counts what is read of it."""

    count = 0

    def read_into(self, offset: int, buffer: memoryview) -> None:
        self.count += len(buffer)
        super().read_into(offset, buffer)


def flushed(data: bytes) -> bytes:
    """One member whose pieces end with full flushes, as pigz makes them."""
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    pieces = [data[at : at + 128 * 1024] for at in range(0, len(data), 128 * 1024)]
    return b"".join(packer.compress(each) + packer.flush(zlib.Z_FULL_FLUSH) for each in pieces) + packer.flush()


def members(data: bytes) -> bytes:
    """Many members, one behind the other."""
    return b"".join(gzip.compress(data[at : at + 700_000], 1) for at in range(0, len(data), 700_000))


def stored(data: bytes) -> bytes:
    """Not compressed at all."""
    return gzip.compress(data, 0)


def scattered(data: bytes, points: SeekPoints[object] | None = None) -> tuple[CountingSource, GunzipSource]:
    below = CountingSource(data, "x.gz")
    return below, GunzipSource(below, STRICT, points=points or SeekPoints())  # type: ignore[arg-type]


@ddt.ddt
class ScatteredReadsTest(unittest.TestCase):
    @ddt.data(gzip.compress, flushed, members, stored)
    def test_content_is_the_same(self, pack: object) -> None:
        _, whole = scattered(pack(CONTENT))  # type: ignore[operator]
        whole.scan()
        chance = random.Random(4)
        other = whole.again()
        for number in range(120):
            at = chance.randrange(len(CONTENT) - 1)
            length = min(chance.choice((1, 4096, 100_000, 3 * MIB)), len(CONTENT) - at)
            found = (other if number % 3 else whole).read(at, length)
            self.assertEqual(zlib.crc32(CONTENT[at : at + length]), zlib.crc32(found), (at, length))
        self.assertEqual(1, whole.passes)

    def test_a_jump_inflates_little(self) -> None:
        packed = gzip.compress(CONTENT, 1)
        below, whole = scattered(packed)
        whole.scan()
        once = below.count
        self.assertLess(once, 1.1 * len(packed))
        for at in (20 * MIB, 9 * MIB, 15 * MIB, 12 * MIB):
            whole.read(at, 4096)
        # Two steps of a MiB each at most, and what is left over of the input.
        self.assertLess(below.count - once, 4 * (2 * MIB * len(packed) // len(CONTENT) + 256 * 1024))

    def test_going_forward_jumps_too(self) -> None:
        below, whole = scattered(gzip.compress(CONTENT, 1))
        whole.scan()
        whole.read(9 * MIB, 10)
        before = below.count
        whole.read(22 * MIB, 10)
        self.assertLess(below.count - before, MIB)

    def test_what_was_read_last_is_kept(self) -> None:
        below, whole = scattered(gzip.compress(CONTENT, 1))
        whole.scan()
        for at in (10 * MIB, 20 * MIB, 10 * MIB):
            whole.read(at, 10)
        before = below.count
        for at in (20 * MIB, 10 * MIB) * 10:
            whole.read(at, 10)
        self.assertEqual(before, below.count)

    def test_damage_is_found_also_behind_a_jump(self) -> None:
        packed = bytearray(gzip.compress(CONTENT, 1))
        packed[-6] ^= 1
        _, whole = scattered(bytes(packed))
        with self.assertRaisesRegex(FormatError, "has the CRC"):
            whole.scan()
        with self.assertRaisesRegex(FormatError, "has the CRC"):
            whole.read(len(CONTENT) - 10, 11)

    def test_without_points_nothing_is_kept(self) -> None:
        below = CountingSource(gzip.compress(CONTENT, 1), "x.gz")
        whole = GunzipSource(below, STRICT)
        whole.scan()
        whole.read(20 * MIB, 10)
        self.assertEqual(2, whole.passes)


class SeekPointsTest(unittest.TestCase):
    def test_their_number_is_bounded_and_they_cover_all(self) -> None:
        points: SeekPoints[int] = SeekPoints(count=8, spacing=10)
        for offset in range(0, 10_000, 5):
            points.add(offset, offset)
        for offset in range(0, 10_000, 7):
            found = points.before(offset)
            at = 0 if found is None else found[0]
            self.assertLessEqual(at, offset)
            self.assertLessEqual(offset - at, 10_000 // 2)
        kept = {found for offset in range(10_000) if (found := points.before(offset))}
        self.assertLessEqual(len(kept), 8)
        self.assertTrue(all(at == state for at, state in kept))

    def test_the_start_needs_none(self) -> None:
        self.assertIsNone(SeekPoints().before(1 << 40))
