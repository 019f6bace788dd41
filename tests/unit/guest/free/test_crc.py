"""Checksums without a step for each byte, against ones with a step for each bit."""

from __future__ import annotations

import unittest

from hypothesis import given, settings
from hypothesis import strategies as st

from xenimage.guest.free.crc import CRC16, CRC32C, crc16, crc32c


def slow(polynomial, seed, data):
    for byte in data:
        seed ^= byte
        for _ in range(8):
            seed = seed >> 1 ^ polynomial if seed & 1 else seed >> 1
    return seed


class CrcTest(unittest.TestCase):
    def test_the_catalogue_s_check_values(self):
        self.assertEqual(0xE3069283, crc32c(0xFFFFFFFF, b"123456789") ^ 0xFFFFFFFF)
        self.assertEqual(0x4B37, crc16(0xFFFF, b"123456789"))

    @settings(max_examples=100, deadline=None)
    @given(st.integers(0, 0xFFFFFFFF), st.binary(max_size=300) | st.integers(0, 9000).map(lambda n: bytes(n) + b"x"))
    def test_any_bytes_from_any_start(self, seed, data):
        self.assertEqual(slow(CRC32C, seed, data), crc32c(seed, data))
        self.assertEqual(slow(CRC16, seed & 0xFFFF, data), crc16(seed & 0xFFFF, data))
