"""Cyclic redundancy checks that no library at hand computes, without a step for each byte.

A remainder is linear: the first half of a message may be replaced by its product with a power of x, which falls upon
the second half. Each such fold halves the message with a few shifts of a large number. ext4 uses two polynomials, both
with the lowest bit first, neither with a final inversion.
"""

from __future__ import annotations

import functools

CRC32C = 0x82F63B78
"""Castagnoli's polynomial, reflected; 32 bits"""
CRC16 = 0xA001
"""the polynomial x^16 + x^15 + x^2 + 1, reflected; 16 bits"""
_SHORT = 16
"""bytes that are not worth folding"""


def crc32c(seed: int, data: bytes) -> int:
    """The CRC-32C of *data*, continued from *seed*; begin with ``0xFFFFFFFF``."""
    return _remainder(CRC32C, 32, seed, data)


def crc16(seed: int, data: bytes) -> int:
    """The CRC-16 of *data*, continued from *seed*; begin with ``0xFFFF``."""
    return _remainder(CRC16, 16, seed, data)


def _remainder(polynomial: int, width: int, seed: int, data: bytes) -> int:
    # The first bit of the message is the lowest of the number, and stands for the highest power of x.
    message, length = int.from_bytes(data, "little") ^ seed, 8 * len(data) + width
    while length > 8 * _SHORT + width:
        half = (length - width) // 2
        message = _folded(polynomial, width, message, half, length - half)
        length -= half
    for _ in range(length - width):
        message = message >> 1 ^ polynomial if message & 1 else message >> 1
    return message


def _folded(polynomial: int, width: int, message: int, half: int, rest: int) -> int:
    """The message without its first *half* bits, of the same remainder; *rest* bits are left."""
    first, folded = message & (1 << half) - 1, message >> half
    for shift in _shifts(polynomial, width, rest, half):
        folded ^= first << shift
    return folded


@functools.lru_cache(maxsize=256)
def _shifts(polynomial: int, width: int, rest: int, half: int) -> tuple[int, ...]:
    """How far to shift the first *half* bits for each term of x^rest modulo the polynomial."""
    power = _power(polynomial, width, rest)
    # Bit i of a number of n bits stands for x^(n-1-i): in the remainder, in the first half, and in the rest.
    terms = (width - 1 - bit for bit in range(width) if power >> bit & 1)
    return tuple(rest - half - term for term in terms)


def _power(polynomial: int, width: int, exponent: int) -> int:
    """x^exponent modulo the polynomial, reflected."""
    result, square = 1 << width - 1, 1 << width - 2
    while exponent:
        if exponent & 1:
            result = _product(polynomial, width, result, square)
        square = _product(polynomial, width, square, square)
        exponent >>= 1
    return result


def _product(polynomial: int, width: int, one: int, other: int) -> int:
    """The product of two remainders."""
    result = 0
    for bit in range(width - 1, -1, -1):
        if one >> bit & 1:
            result ^= other
        other = other >> 1 ^ polynomial if other & 1 else other >> 1
    return result
