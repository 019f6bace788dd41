"""Units of capacity and memory. Source: DMTF DSP0004 annex C, "Programmatic units", and what writers make of it."""

from __future__ import annotations

import re

from xenimage.units import GIB, KIB, MIB, TIB

_NAMES = {
    "byte": 1, "bytes": 1, "b": 1,
    "kb": KIB, "kilobyte": KIB, "kilobytes": KIB, "kib": KIB,
    "mb": MIB, "megabyte": MIB, "megabytes": MIB, "mib": MIB,
    "gb": GIB, "gigabyte": GIB, "gigabytes": GIB, "gib": GIB,
    "tb": TIB, "terabyte": TIB, "terabytes": TIB, "tib": TIB,
}  # fmt: skip
_PRODUCT = re.compile(r"bytes?\*(?:(2|10)\^([0-9]{1,2})|([0-9]{1,16}))")
_LARGEST = 60
"""exponent of 2; numbers beyond that have no use"""
_DIGITS = re.compile(r"[0-9]{1,20}", re.ASCII)


def factor(text: str) -> int | None:
    """Bytes in one unit: ``byte * 2^20``, ``byte * 2 ^ 20``, ``byte*1024``, ``MegaBytes``; None if it is no unit."""
    name = "".join(text.split()).lower()
    if name in _NAMES:
        return _NAMES[name]
    match = _PRODUCT.fullmatch(name)
    if match is None:
        return None
    if match[3]:
        return int(match[3]) or None
    return int(match[1]) ** int(match[2]) if int(match[2]) <= _LARGEST else None


def number(text: str) -> int | None:
    """A number that is not negative, of at most 20 digits; None for anything else."""
    stripped = text.strip()
    return int(stripped) if _DIGITS.fullmatch(stripped) else None
