"""The sample disk of the quick start: small, partitioned, the same bytes each time. It does not boot."""

from __future__ import annotations

import os

from xenimage.formats.qcow2.writer import CLUSTER, NewQcow2, Qcow2Writer, Run
from xenimage.sinks.file import FileSink
from xenimage.units import MIB, SECTOR

VIRTUAL_SIZE = 64 * MIB
PARTITION_START = 1 * MIB
TEXT_SIZE = 2 * MIB
"""bytes of text at the start of the partition, enough to give the compressor some work"""

_LINUX = 0x83
_DISK_SIGNATURE = 0x58454E49
_LINE = "This is line {number:6d} of the xenimage sample disk, at byte {offset:10d} of its only partition.\n"


def write_sample(path: str | os.PathLike[str]) -> int:
    """Write the sample as a qcow2 file and return its size in bytes.

    :raises UsageError: the file exists, or there is no directory for it.
    :raises TransferError: it cannot be written.
    """
    text = _text()
    first = PARTITION_START // CLUSTER
    runs = [Run(0, _boot_record()), Run(first, text)]
    runs.append(Run(VIRTUAL_SIZE // CLUSTER - 1, b"The end of the xenimage sample disk.\n".rjust(CLUSTER, b"\0")))
    sink = FileSink(os.fspath(path))
    try:
        writer = Qcow2Writer(sink, NewQcow2(virtual_size=VIRTUAL_SIZE))
        writer.add(runs)
        writer.finish()
        sink.flush()
        sink.commit()
        return sink.size
    finally:
        sink.close()


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
