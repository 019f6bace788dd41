"""The smallest qcow2 that QEMU and everybody else reads: version 3, 64 KiB clusters, plain, with holes.

It makes the sample of the quick start. Reference: QEMU, docs/interop/qcow2.rst.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from xenimage.exceptions import UsageError
from xenimage.formats.qcow2 import layout

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import BinaryIO

CLUSTER = 64 * 1024
"""bytes"""
_PER_TABLE = CLUSTER // layout.ENTRY
VIRTUAL_SIZE_MAX = _PER_TABLE * CLUSTER
"""bytes that one L2 table maps: 512 MiB. One table of each kind is all that this writer makes."""
_REFCOUNT_BYTES = 2
_FIXED = 4
"""clusters in front of the data: header, refcount table, refcount block, L1 table; the L2 table is the fifth"""


def write_qcow2(stream: BinaryIO, virtual_size: int, clusters: Mapping[int, bytes]) -> int:
    """Write a disk of *virtual_size* bytes to *stream*, and return the bytes of the file.

    :param clusters: content by cluster number, at most 64 KiB each; what is missing reads as zeros.
    :raises UsageError: the disk or its content is larger than this writer's single tables.
    """
    if not 0 < virtual_size <= VIRTUAL_SIZE_MAX or len(clusters) > CLUSTER // _REFCOUNT_BYTES - _FIXED - 1:
        raise UsageError(f"a sample of {virtual_size} bytes", expected=f"at most {VIRTUAL_SIZE_MAX} bytes")
    numbers = sorted(clusters)
    places = dict(zip(numbers, itertools.count(_FIXED + 1), strict=False))
    used = _FIXED + 1 + len(numbers)
    parts = [
        _header(virtual_size),
        _numbers([2 * CLUSTER], layout.ENTRY),
        _numbers([1] * used, _REFCOUNT_BYTES),
        _numbers([_FIXED * CLUSTER | layout.COPIED], layout.ENTRY),
        _numbers([places[n] * CLUSTER | layout.COPIED if n in places else 0 for n in range(_PER_TABLE)], layout.ENTRY),
        *(clusters[number] for number in numbers),
    ]
    for part in parts:
        stream.write(part.ljust(CLUSTER, b"\0"))
    return used * CLUSTER


def _header(virtual_size: int) -> bytes:
    """Return the header of version 3, fields in the order of the specification."""
    fields = (
        (3, 4),  # version
        (0, 8),  # backing file: none
        (0, 4),
        (CLUSTER.bit_length() - 1, 4),
        (virtual_size, 8),
        (0, 4),  # encryption: none
        (1, 4),  # L1 entries
        (3 * CLUSTER, 8),  # L1 table
        (CLUSTER, 8),  # refcount table
        (1, 4),  # its clusters
        (0, 4),  # snapshots: none
        (0, 8),
        (0, 8),  # incompatible, compatible and autoclear features: none
        (0, 8),
        (0, 8),
        (4, 4),  # refcounts of 16 bits
        (layout.HEADER_V3_LENGTH, 4),
    )
    return layout.MAGIC + b"".join(value.to_bytes(size, "big") for value, size in fields)


def _numbers(values: list[int], size: int) -> bytes:
    return b"".join(value.to_bytes(size, "big") for value in values)
