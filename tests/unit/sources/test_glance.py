"""The source that downloads: positions, requests, digests, and connections that break."""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING

import ddt

from tests.base import TestCase
from xenimage.exceptions import FormatError, TransferError
from xenimage.sources.glance import GlanceSource

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1 << 20
DATA = random.Random(5).randbytes(12 * MIB + 345)


@ddt.ddt
class GlanceSourceTest(TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.asked: list[int] = []
        self.breaks: list[int] = []
        """places where a download breaks off, one for each request"""

    def fetch(self, offset: int) -> Iterator[bytes]:
        self.asked.append(offset)
        end = self.breaks.pop(0) if self.breaks else len(DATA)
        for at in range(offset, end, MIB // 3):
            yield DATA[at : min(end, at + MIB // 3)]
        if end < len(DATA):
            raise TransferError("the connection broke", where="image i")

    def source(self, **more: object) -> GlanceSource:
        known = {"algorithm": "sha512", "digest": hashlib.sha512(DATA).hexdigest()}
        return GlanceSource(self.fetch, "image i", len(DATA), **(known | more))

    def read_all(self, source: GlanceSource) -> bytes:
        return b"".join(source.read(at, min(100_000, len(DATA) - at)) for at in range(0, len(DATA), 100_000))

    def test_reading_forward_is_one_request(self) -> None:
        source = self.source()
        self.assertEqual(DATA[:2], source.read(0, 2))
        self.assert_same_bytes(DATA, self.read_all(source))
        self.assertEqual([0], self.asked)
        self.assertTrue(source.proved)
        self.assertEqual(len(DATA), source.downloaded)

    def test_any_place_can_be_read(self) -> None:
        source, numbers = self.source(), random.Random(6)
        for _ in range(200):
            at = numbers.randrange(len(DATA))
            length = numbers.randrange(min(200_000, len(DATA) - at + 1))
            self.assert_same_bytes(DATA[at : at + length], source.read(at, length))

    def test_a_little_back_and_a_little_ahead_cost_no_request(self) -> None:
        source = self.source()
        source.read(5 * MIB, 10)
        self.assertEqual([5 * MIB], self.asked)
        source.read(5 * MIB, 2 * MIB)
        source.read(6 * MIB + 500_000, 10)
        source.read(10 * MIB, 10)
        self.assertEqual([5 * MIB], self.asked)
        source.read(0, 10)
        self.assertEqual([5 * MIB, 0], self.asked)

    @ddt.data((0, len(DATA) + 1), (len(DATA), 1), (-1, 1))
    @ddt.unpack
    def test_outside(self, offset: int, length: int) -> None:
        with self.assertRaisesRegex(FormatError, "lie outside the image of"):
            self.source().read(offset, length)

    def test_what_is_not_what_was_recorded(self) -> None:
        source = self.source(digest="0" * 128)
        with self.assertRaisesRegex(TransferError, "image i: what came has the sha512 [0-9a-f]{128}, expected 0{128}"):
            self.read_all(source)
        self.assertFalse(source.proved)

    def test_a_jump_leaves_the_digest_unknown(self) -> None:
        source = self.source(digest="0" * 128)
        source.read(6 * MIB, MIB)
        source.read(11 * MIB, MIB + 345)
        self.assertFalse(source.proved)

    def test_a_second_reading_completes_the_digest(self) -> None:
        source = self.source()
        source.read(9 * MIB, 3 * MIB)
        self.read_all(source)
        self.assertTrue(source.proved)

    def test_the_rest_proves_what_was_read(self) -> None:
        source = self.source()
        source.read(0, MIB)
        source.prove()
        self.assertTrue(source.proved)
        self.assertEqual([0], self.asked)

    @ddt.data({"digest": "", "algorithm": ""}, {"algorithm": "no-such-hash"})
    def test_nothing_to_compare(self, more: dict[str, str]) -> None:
        source = self.source(**more)
        self.assert_same_bytes(DATA, self.read_all(source))
        source.prove()
        self.assertFalse(source.proved)

    def test_a_download_that_breaks_goes_on_where_it_broke(self) -> None:
        self.breaks = [MIB, 7 * MIB + 1, 7 * MIB + 1, 11 * MIB]
        source = self.source()
        self.assert_same_bytes(DATA, self.read_all(source))
        self.assertTrue(source.proved)
        self.assertEqual([0, MIB, 7 * MIB + 1, 7 * MIB + 1, 11 * MIB], self.asked)

    def test_a_download_that_gets_nowhere_is_the_end(self) -> None:
        self.breaks = [MIB] * 50
        source = self.source()
        with self.assertRaisesRegex(TransferError, f"the connection broke, after {MIB} bytes"):
            self.read_all(source)
        self.assertEqual(4, len(self.asked))

    def test_more_than_the_record_says(self) -> None:
        source = GlanceSource(self.fetch, "image i", 1000)
        with self.assertRaisesRegex(TransferError, "image i: sends more than its record says, expected 1000 bytes"):
            source.read(0, 10)

    def test_holes_are_not_known(self) -> None:
        self.assertEqual([(5, 7)], list(self.source().data(5, 7)))
        self.assertEqual([], list(self.source().data(5, 0)))

    def test_closing_ends_the_download(self) -> None:
        ended = []

        def fetch(_offset: int) -> Iterator[bytes]:
            try:
                while True:
                    yield bytes(1000)
            finally:
                ended.append(True)

        source = GlanceSource(fetch, "image i", 10_000)
        source.read(0, 10)
        source.close()
        source.close()
        self.assertEqual([True], ended)
