"""Units of size: constants, and the way from text to bytes and back."""

from __future__ import annotations

import re

from xenimage.exceptions import UsageError

SECTOR = 512
KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
TIB = 1024 * GIB

_FACTORS = {"": 1, "B": 1, "K": KIB, "M": MIB, "G": GIB, "T": TIB}
_SIZE = re.compile(r"(\d{1,20}(?:\.\d{1,20})?)\s*([BKMGT]?)(?:i?B)?", re.IGNORECASE | re.ASCII)


def round_up(number: int, multiple: int) -> int:
    """Return the smallest multiple of *multiple* that is not less than *number*."""
    return -(-number // multiple) * multiple


def parse_size(text: str) -> int:
    """Read ``512``, ``20G``, ``1.5GiB`` as bytes; the units are binary.

    :raises UsageError: the text is no size, or not a whole number of bytes.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is no size", expected="a number with a unit, such as 20G or 512M")
    whole, _, fraction = match[1].partition(".")
    size, rest = divmod(int(whole + fraction) * _FACTORS[match[2].upper()], int("1" + "0" * len(fraction)))
    if rest:
        raise UsageError(f"{text!r} is not a whole number of bytes", expected="a size such as 20G or 512M")
    return size


def format_size(size: float) -> str:
    """Write bytes for people: ``1.5 GiB``, ``20 GiB``, ``512 B``."""
    for unit, factor in (("TiB", TIB), ("GiB", GIB), ("MiB", MIB), ("KiB", KIB)):
        if abs(size) >= factor:
            number = size / factor
            return f"{number:.0f} {unit}" if number == int(number) else f"{number:.2f} {unit}"
    return f"{size:.0f} B"
