"""Digests: of a finished file for those who download it, and of blocks for telling contents apart."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import xxhash

from xenimage.units import MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_CHUNK = MIB


class Digests:
    """Digests of a stream that passes by."""

    def __init__(self, names: Sequence[str]) -> None:
        self._hashes = {name: hashlib.new(name, usedforsecurity=False) for name in names}

    def update(self, data: bytes | memoryview) -> None:
        """Take the next bytes."""
        for digest in self._hashes.values():
            digest.update(data)

    def hex(self) -> dict[str, str]:
        """Name to hexadecimal digest."""
        return {name: digest.hexdigest() for name, digest in self._hashes.items()}


def digest_file(
    names: Sequence[str],
    read_into: Callable[[int, memoryview], int],
    size: int,
    jobs: int,
    advance: Callable[[int], None],
) -> dict[str, str]:
    """Digests of a file by name, one thread for each: the slowest of them sets the time.

    :param read_into: fills a buffer from an offset on and tells how many bytes came.
    :param advance: told the bytes that the first digest has behind it.
    """

    def run(name: str) -> str:
        digest = hashlib.new(name, usedforsecurity=False)
        buffer = memoryview(bytearray(_CHUNK))
        offset = 0
        while offset < size and (count := read_into(offset, buffer)):
            digest.update(buffer[:count])
            offset += count
            if name == names[0]:
                advance(count)
        return digest.hexdigest()

    with ThreadPoolExecutor(max(1, min(jobs, len(names))), "digest") as pool:
        return dict(zip(names, pool.map(run, names), strict=True))


def fingerprint(data: bytes | bytearray | memoryview) -> bytes:
    """16 bytes that tell one block's content from another's. Fast, and no guard against somebody who means harm."""
    return xxhash.xxh3_128_digest(data)


def sha1(data: bytes | bytearray | memoryview) -> bytes:
    """20 bytes, of which an XVA has one for each chunk: a guard against accidents only."""
    return hashlib.sha1(data, usedforsecurity=False).digest()


def xxh64(data: bytes | bytearray | memoryview) -> bytes:
    """8 bytes: XXH64 with the seed 0 in its canonical, big-endian form."""
    return xxhash.xxh64_digest(data)
