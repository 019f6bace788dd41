"""The two ends of a tar stream with one member."""

from __future__ import annotations

import tarfile

BLOCK = tarfile.BLOCKSIZE
RECORD = tarfile.RECORDSIZE


def header(name: str, size: int, mtime: int) -> bytes:
    """The header of a regular file, mode 0644, owned by 0:0; always 512 bytes.

    From 8 GiB on the size takes GNU's base-256 form, which every GNU tar in a dom0 reads.

    :param name: at most 100 ASCII characters.
    """
    member = tarfile.TarInfo(name)
    member.size = size
    member.mtime = mtime
    member.mode = 0o644
    packed = member.tobuf(tarfile.GNU_FORMAT, "ascii", "strict")
    if len(packed) != BLOCK:
        raise ValueError(f"the name {name!r} does not fit one header")
    return packed


def ending(length: int) -> bytes:
    """What follows *length* bytes of headers and data: padding, two zero blocks, and the rest of the last record."""
    return bytes(-length % BLOCK + 2 * BLOCK + -(length + -length % BLOCK + 2 * BLOCK) % RECORD)
