"""What parent and child say to each other: frames of a kind, a length and a body. Both may read hostile ones.

::

    offset  size  field
    0       1     kind
    1       4     bytes of the body, little endian
    5       n     body
"""

from __future__ import annotations

import struct

from xenimage.units import MIB

# The parent's words.
BEGIN = b"b"
"""the task, JSON"""
DATA = b"d"
"""the bytes that were asked for"""
REFUSED = b"r"
"""why they cannot be read, JSON: the child may go on without them"""
STOP = b"s"
"""why nothing will be read any more, text"""

# The child's words.
READ = b"R"
"""what shall be read"""
FOUND = b"F"
"""facts so far, JSON"""
DONE = b"D"
"""all facts, JSON"""
FAULT = b"X"
"""a traceback, text: our own fault"""
NO_MEMORY = b"M"
"""the limit on memory was met"""

READ_MAX = MIB
"""bytes of one read"""
BODY_MAX = 4 * MIB
"""bytes of any body; JSON of this size can take thirty times as much memory while it is read"""

_HEAD = struct.Struct("<cI")
_READ = struct.Struct("<IQI")
HEAD_SIZE = _HEAD.size
assert HEAD_SIZE == 5 and _READ.size == 16


def pack_head(kind: bytes, length: int) -> bytes:
    """The head of a frame whose body has *length* bytes."""
    return _HEAD.pack(kind, length)


def parse_head(data: bytes) -> tuple[bytes, int]:
    """Kind, and bytes of the body."""
    kind, length = _HEAD.unpack(data)
    return kind, length


def pack_read(disk: int, offset: int, length: int) -> bytes:
    """A whole frame that asks for *length* bytes of the disk with this index."""
    return _HEAD.pack(READ, _READ.size) + _READ.pack(disk, offset, length)


def parse_read(body: bytes) -> tuple[int, int, int] | None:
    """Index of the disk, offset and length; None where the body is no such thing."""
    if len(body) != _READ.size:
        return None
    disk, offset, length = _READ.unpack(body)
    return disk, offset, length
