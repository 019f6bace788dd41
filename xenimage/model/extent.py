"""Ranges of a disk and what stands behind them."""

from __future__ import annotations

import dataclasses
import enum


class Kind(enum.Enum):
    """What a disk itself knows of a range."""

    DATA = "data"
    """stored bytes; they may still be zeros"""
    ZERO = "zero"
    """reads as zeros, also where a parent has data"""
    ABSENT = "absent"
    """not here: the parent answers, and without a parent it reads as zeros"""


@dataclasses.dataclass(frozen=True, slots=True)
class Extent:
    """A range of one kind."""

    offset: int
    """bytes from the start of the disk"""
    length: int
    """bytes, never 0"""
    kind: Kind

    @property
    def end(self) -> int:
        """First byte behind the range."""
        return self.offset + self.length
