"""Headers and the end of a tar stream."""

from __future__ import annotations

import tarfile

BLOCK = tarfile.BLOCKSIZE
RECORD = tarfile.RECORDSIZE
USTAR_MOST = 8**11 - 1
"""bytes that the size of a member in POSIX's ustar can say"""


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


def ustar_header(name: str, size: int, mtime: int) -> bytes:
    """The same as POSIX has it, which every reader of OVA takes; only a size from 8 GiB on takes GNU's form.

    :param name: at most 100 ASCII characters.
    """
    if size > USTAR_MOST:
        return header(name, size, mtime)
    if len(name) > _NAME:
        raise ValueError(f"the name {name!r} does not fit one header")
    member = tarfile.TarInfo(name)
    member.size = size
    member.mtime = mtime
    member.mode = 0o644
    return member.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")


def ending(length: int) -> bytes:
    """What follows *length* bytes of headers and data: padding, two zero blocks, and the rest of the last record."""
    return bytes(-length % BLOCK + 2 * BLOCK + -(length + -length % BLOCK + 2 * BLOCK) % RECORD)


def bare_header(name: str, size: int) -> bytes:
    """A ustar header of a regular file with nothing else set: mode, owner and time are 0, as XenServer exports have it.

    :param name: at most 100 ASCII characters.
    :param size: bytes, below 8 GiB.
    """
    block = bytearray(_BARE)
    encoded = name.encode("ascii")
    if len(encoded) > _NAME or size >= 8 << 30:
        raise ValueError(f"the name {name!r} or {size} bytes do not fit one header")
    block[: len(encoded)] = encoded
    block[124:135] = b"%011o" % size
    block[148:156] = b"%06o\0 " % (sum(block) + 8 * 0x20)
    return bytes(block)


_NAME = 100
_BARE = (
    bytes(100) + 3 * b"0000000\0" + 2 * b"00000000000\0" + bytes(8) + b"0" + bytes(100) + b"ustar\00000" + bytes(247)
)
assert len(_BARE) == BLOCK
