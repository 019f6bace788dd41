"""Sector bitmaps as numbers and as runs. 4096 sectors a block, the first one at the most significant bit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from xenimage.formats.vhd import layout
from xenimage.units import SECTOR

if TYPE_CHECKING:
    from collections.abc import Iterator

SECTORS = layout.BLOCK_SIZE // SECTOR
"""of a block"""
FULL = (1 << SECTORS) - 1
_PRESENT = re.compile("1+")
_ABSENT = re.compile("0+")


def mask(start: int, stop: int) -> int:
    """The number with the bits of the sectors from *start* up to *stop* set."""
    return ((1 << (stop - start)) - 1) << (SECTORS - stop)


def present(bits: int) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of each run of sectors whose bit is set, in order."""
    return _runs(bits, _PRESENT)


def absent(bits: int) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of each run of sectors whose bit is clear, in order."""
    return _runs(bits, _ABSENT)


def _runs(bits: int, pattern: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    text = f"{bits:0{SECTORS}b}"
    return (match.span() for match in pattern.finditer(text))
