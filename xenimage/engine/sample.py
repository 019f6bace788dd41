"""The sample disk of the quick start: small, partitioned, the same bytes each time. It does not boot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.exceptions import TransferError
from xenimage.formats.qcow2.writer import CLUSTER, write_qcow2
from xenimage.units import MIB, SECTOR

if TYPE_CHECKING:
    import os

VIRTUAL_SIZE = 64 * MIB
PARTITION_START = 1 * MIB
TEXT_SIZE = 2 * MIB
"""bytes of text at the start of the partition, enough to give the compressor some work"""

_LINUX = 0x83
_DISK_SIGNATURE = 0x58454E49
_LINE = "This is line {number:6d} of the xenimage sample disk, at byte {offset:10d} of its only partition.\n"


def write_sample(path: str | os.PathLike[str]) -> int:
    """Write the sample as a qcow2 file and return its size in bytes.

    :raises TransferError: the file exists or cannot be written.
    """
    text = _text()
    first = PARTITION_START // CLUSTER
    clusters = {0: _boot_record()}
    for offset in range(0, len(text), CLUSTER):
        clusters[first + offset // CLUSTER] = text[offset : offset + CLUSTER]
    last = VIRTUAL_SIZE // CLUSTER - 1
    clusters[last] = b"The end of the xenimage sample disk.\n".rjust(CLUSTER, b"\0")
    try:
        with open(path, "xb") as stream:
            return write_qcow2(stream, VIRTUAL_SIZE, clusters)
    except OSError as error:
        raise TransferError(f"cannot be written: {error.strerror}", where=str(path)) from error


def _boot_record() -> bytes:
    """Return a master boot record with one active Linux partition up to the end of the disk, and no boot code."""
    start, length = PARTITION_START // SECTOR, (VIRTUAL_SIZE - PARTITION_START) // SECTOR
    # Cylinder, head and sector say "look at the numbers of sectors instead".
    beyond = b"\xfe\xff\xff"
    entry = b"\x80" + beyond + bytes([_LINUX]) + beyond + start.to_bytes(4, "little") + length.to_bytes(4, "little")
    record = bytes(440) + _DISK_SIGNATURE.to_bytes(4, "little") + bytes(2) + entry.ljust(64, b"\0") + b"\x55\xaa"
    return record.ljust(CLUSTER, b"\0")


def _text() -> bytes:
    size = len(_LINE.format(number=0, offset=0))
    lines = (_LINE.format(number=number, offset=number * size) for number in range(-(-TEXT_SIZE // size)))
    return "".join(lines).encode("ascii")[:TEXT_SIZE]
