"""Held against the inspector that Glance itself uses."""

from __future__ import annotations

import itertools
import random

from oslo_utils.imageutils import format_inspector

from tests.base import TestCase
from xenimage.glance import mbr


def refused_by_glance(sector: bytes) -> bool:
    inspector = format_inspector.GPTInspector()
    inspector.eat_chunk(sector)
    inspector.finish()
    if not inspector.format_match:
        return False
    try:
        inspector.safety_check()
    except format_inspector.SafetyCheckFailed:
        return True
    return False


def entry(flag: int = 0, kind: int = 0x83, chs: bytes = b"\0\2\0", start: int = 1) -> bytes:
    return bytes([flag]) + chs + bytes([kind]) + bytes(3) + start.to_bytes(4, "little") + (99).to_bytes(4, "little")


NOTHING = bytes(16)
ENTRIES = (
    NOTHING,
    entry(),
    entry(flag=0x80),
    entry(flag=0x01),
    entry(kind=0xEE),
    entry(kind=0xEE, chs=b"\0\1\0"),
    entry(kind=0xEE, start=2),
    entry(kind=0),
)


class MbrTest(TestCase):
    def test_every_pair_of_entries(self):
        for first, second in itertools.product(ENTRIES, ENTRIES):
            for fat in (False, True):
                sector = bytearray(446) + first + NOTHING + second + NOTHING + b"\x55\xaa"
                if fat:
                    sector[0x10], sector[0x15] = 2, 0xF8
                self.assertEqual(refused_by_glance(bytes(sector)), bool(mbr.problem(bytes(sector))), sector[446:].hex())

    def test_anything(self):
        chance = random.Random(1)
        for _ in range(300):
            sector = chance.randbytes(510) + b"\x55\xaa"
            self.assertEqual(refused_by_glance(sector), bool(mbr.problem(sector)))

    def test_no_signature_and_too_short(self):
        self.assertEqual("", mbr.problem(bytes(512)))
        self.assertEqual("", mbr.problem(b"\x55\xaa"))
