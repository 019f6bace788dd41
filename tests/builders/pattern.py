"""Disk content that is a function of the offset, so that a byte read from the wrong place is seen at once."""

from __future__ import annotations

import struct

_STEP = 16


def pattern(offset: int, length: int, seed: int = 0) -> bytes:
    """Content of the range: every 16 bytes hold their own offset and the seed, so no two places are alike.

    No byte range of 16 aligned bytes is all zeros, whatever the seed.
    """
    first = offset // _STEP
    last = -(-(offset + length) // _STEP)
    body = b"".join(struct.pack("<QII", index * _STEP, seed, 0xA5A5A5A5) for index in range(first, last))
    start = offset - first * _STEP
    return body[start : start + length]
