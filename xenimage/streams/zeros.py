"""Where a buffer holds anything but zeros."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.units import MIB

if TYPE_CHECKING:
    from collections.abc import Iterator

_ZEROS = bytes(2 * MIB)
LARGEST_UNIT = len(_ZEROS)
"""bytes"""


def data_units(buffer: bytearray | bytes, start: int, unit: int, end: int | None = None) -> Iterator[tuple[int, int]]:
    """Yield (first, behind the last) of the runs of units that are not all zeros, ascending.

    :param start: bytes of *buffer* in front of the first unit.
    :param unit: bytes, at most :data:`LARGEST_UNIT`; the last unit may be shorter.
    :param end: where the last unit ends in *buffer*; with the buffer itself if it is not given.
    """
    blank = _ZEROS[:unit]
    end = len(buffer) if end is None else end
    first = -1
    count = -(-(end - start) // unit)
    for number in range(count):
        at = start + number * unit
        # startswith is memcmp: it copies nothing, and ends at the first byte that differs.
        if not buffer.startswith(blank if at + unit <= end else blank[: end - at], at):
            if first < 0:
                first = number
        elif first >= 0:
            yield first, number
            first = -1
    if first >= 0:
        yield first, count
