"""Sizes as people write them."""

from __future__ import annotations

import ddt
import hypothesis
import hypothesis.strategies as st

from tests.base import TestCase
from xenimage.exceptions import UsageError
from xenimage.units import GIB, KIB, MIB, TIB, format_size, parse_size, round_up


@ddt.ddt
class ParseTest(TestCase):
    @ddt.data(
        ("0", 0), ("512", 512), ("512B", 512), ("1K", KIB), ("1k", KIB), ("20G", 20 * GIB), ("20GiB", 20 * GIB),
        ("20GB", 20 * GIB), ("20 g", 20 * GIB), (" 2T ", 2 * TIB), ("1.5GiB", 3 * GIB // 2), ("0.5K", 512),
        ("007M", 7 * MIB), ("2040G", 2040 * GIB), ("9007199254740993", 9007199254740993),
    )  # fmt: skip
    @ddt.unpack
    def test_sizes(self, text, size):
        self.assertEqual(size, parse_size(text))

    @ddt.data("", "G", "-1G", "+1", "1,5G", "1e9", "0x10", "1P", "20Gig", "1.G", ".5G", "1 2", "1G\n2", "nan")
    def test_no_sizes(self, text):
        with self.assertRaisesRegex(UsageError, "is no size, expected a number with a unit, such as 20G or 512M"):
            parse_size(text)

    @ddt.data("0.3", "1.5B", "0.0001K")
    def test_no_whole_bytes(self, text):
        with self.assertRaisesRegex(UsageError, "is not a whole number of bytes"):
            parse_size(text)


@ddt.ddt
class FormatTest(TestCase):
    @ddt.data(
        (0, "0 B"), (1023, "1023 B"), (KIB, "1 KiB"), (1536, "1.50 KiB"), (20 * GIB, "20 GiB"),
        (3 * GIB // 2, "1.50 GiB"), (2040 * GIB, "1.99 TiB"), (TIB, "1 TiB"), (-3 * MIB, "-3 MiB"),
        (1234567, "1.18 MiB"),
    )  # fmt: skip
    @ddt.unpack
    def test_sizes(self, size, text):
        self.assertEqual(text, format_size(size))

    @hypothesis.settings(deadline=None, database=None)
    @hypothesis.given(st.integers(0, 1 << 60), st.integers(1, 1 << 40))
    def test_round_up(self, number, multiple):
        found = round_up(number, multiple)
        self.assertEqual(0, found % multiple)
        self.assertTrue(number <= found < number + multiple)
