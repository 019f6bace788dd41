"""One gzip member built from independent pieces, so that several threads can deflate and the head can come last.

RFC 1951 lets a deflate stream be cut at byte boundaries: a piece that ends with an empty stored block (a "sync flush")
can be followed by any other. The head of a bundle goes into *stored* blocks, whose length is known before their content
is; CRC-32 values of the pieces are combined (RFC 1952 asks for one over everything).
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Protocol, TypeAlias

from zlib_ng import zlib_ng

from xenimage.model.plan import Compression
from xenimage.units import KIB

try:
    from isal import isal_zlib
except ImportError:  # no wheel for this machine: slower, and other bytes
    isal_zlib = None  # type: ignore[assignment]

_HAS_ISAL = isal_zlib is not None
_fastest = isal_zlib if _HAS_ISAL else zlib_ng

if TYPE_CHECKING:
    from collections.abc import Callable

Bytes: TypeAlias = "bytes | bytearray | memoryview"

HEADER = b"\x1f\x8b\x08\0\0\0\0\0\0\x03"
"""a gzip header without name and time: bytes must repeat"""
FINAL = b"\x01\0\0\xff\xff"
"""an empty stored block that ends the deflate stream"""
_STORED_MAX = 65535
_SLICE = 256 * KIB
"""bytes given to a compressor at once: its output then stays small enough for the allocator to keep the memory, where
a larger one is mapped and zeroed anew each time, at a tenth of the whole cost"""
PRIMER = 16
"""bytes that ISA-L is made to deflate on their own at the start of each piece. Its fast path enters the third byte of a
stream into its hash table under a hash of the *stream's address* (``write_first_byte`` in igzip_icf_body_h1_gr_bt.asm
shifts the wrong register; seen in 2.32.1), so that now and then a match, and with it the bytes, depends on where
the memory lies. So few bytes take its slow path, which is right, and later bytes find a stream that has begun."""
_RAW = -15
"""zlib's way to ask for a deflate stream without a wrapper, with the full window"""

_crc32: Callable[[Bytes, int], int] = _fastest.crc32
crc32_combine: Callable[[int, int, int], int] = _fastest.crc32_combine
"""CRC-32 of two pieces from those of each and the length of the second"""


@dataclasses.dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a deflate stream that ends at a byte boundary."""

    parts: tuple[bytes, ...]
    """the stored form, in order"""
    crc: int
    """CRC-32 of the plain bytes"""
    length: int
    """plain bytes"""

    @property
    def stored(self) -> int:
        """Bytes of the stored form."""
        return sum(map(len, self.parts))


class _Compressor(Protocol):
    def compress(self, data: Bytes, /) -> bytes: ...

    def flush(self, mode: int, /) -> bytes: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Deflater:
    """One way to deflate."""

    label: str
    """library and level, for reports"""
    start: Callable[[], _Compressor] | None
    """None: no compression, stored blocks"""
    sync: int = 0
    """the library's value for a sync flush"""
    primer: int = 0
    """bytes to deflate and flush first, at the cost of some ten bytes of output"""

    def segment(self, data: Bytes) -> Segment:
        """Deflate *data* on its own. The library works without the interpreter's lock."""
        crc = _crc32(data, 0)
        if self.start is None:
            return Segment((stored(data),), crc, len(data))
        compressor = self.start()
        view = memoryview(data)
        parts = []
        if self.primer:
            parts += [compressor.compress(view[: self.primer]), compressor.flush(self.sync)]
        starts = range(self.primer, len(view), _SLICE)
        parts += [compressor.compress(view[start : start + _SLICE]) for start in starts]
        return Segment((*parts, compressor.flush(self.sync)), crc, len(data))


def _isal(level: int, memory: int) -> Deflater:
    # A smaller memory level makes shorter deflate blocks, whose codes fit the data more closely: 1 % smaller, as fast.
    return Deflater(
        label=f"ISA-L level {level}",
        start=lambda: isal_zlib.compressobj(level, isal_zlib.DEFLATED, _RAW, memory),
        sync=isal_zlib.Z_SYNC_FLUSH,
        primer=PRIMER,
    )


def _zlib_ng(level: int) -> Deflater:
    return Deflater(
        label=f"zlib-ng level {level}",
        start=lambda: zlib_ng.compressobj(level, zlib_ng.DEFLATED, _RAW),
        sync=zlib_ng.Z_SYNC_FLUSH,
    )


def deflater(compression: Compression) -> Deflater:
    """The deflater of a compression. Without ISA-L, ``fast`` falls back to zlib-ng: slower, with other bytes."""
    if compression is Compression.STORE:
        return Deflater(label="stored", start=None)
    if compression is Compression.FAST:
        # Level 2 costs 1 % more processor time than level 1 and gives 1 % less: within a tenth of gzip -6.
        return _isal(2, 3) if _HAS_ISAL else _zlib_ng(1)
    return _zlib_ng(6 if compression is Compression.BALANCED else 9)


def has_isal() -> bool:
    """Whether ISA-L is there."""
    return _HAS_ISAL


def stored_size(length: int) -> int:
    """Bytes that *length* plain bytes take as stored blocks."""
    return length + 5 * -(-length // _STORED_MAX)


def stored(data: Bytes) -> bytes:
    """*data* as stored blocks, none of them final."""
    view = memoryview(data)
    parts: list[bytes | memoryview] = []
    for start in range(0, len(view), _STORED_MAX):
        part = view[start : start + _STORED_MAX]
        parts += (b"\0", len(part).to_bytes(2, "little"), (len(part) ^ 0xFFFF).to_bytes(2, "little"), part)
    return b"".join(parts)


def stored_segment(data: Bytes) -> Segment:
    """*data* as stored blocks, with its CRC."""
    return Segment((stored(data),), _crc32(data, 0), len(data))


def segment_bound(length: int) -> int:
    """Bytes that a segment of *length* plain bytes takes at most, whatever deflates it."""
    return stored_size(length) + (length >> 8) + 64


def trailer(crc: int, length: int) -> bytes:
    """The end of a gzip member: CRC-32 and length modulo 2**32."""
    return crc.to_bytes(4, "little") + (length & 0xFFFFFFFF).to_bytes(4, "little")
