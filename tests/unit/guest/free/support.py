"""What the tests of this directory share."""

from __future__ import annotations

from tests.builders.vhd import MemorySource
from xenimage.formats.raw import open_raw
from xenimage.guest.free.area import Area, Piece
from xenimage.limits import STRICT


def raw(data):
    """A raw disk in memory."""
    return open_raw(MemorySource(bytes(data)), STRICT)


def whole(data):
    """The area of a volume that fills its disk."""
    return Area(raw(data), (Piece(0, len(data)),))
