"""Forward unpacking of whatever a kernel packs its initial file system with, in pieces of bounded size.

The kinds are those of Linux (lib/decompress.c), and the frame format of lz4, which boot loaders unpack. No piece is
larger than 8 MiB, however small the packed bytes are that it came from. Sizes in bytes.
"""

from __future__ import annotations

import bz2
import functools
import importlib
import lzma
from typing import TYPE_CHECKING, Any

import lz4.block
import lz4.frame
import zstandard

from xenimage.exceptions import FormatError, UnsupportedError
from xenimage.units import KIB, MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from xenimage.streams.forward import Forward

_OUTPUT = 1 * MIB
_GZIP = 31

# xz -9 needs 65 MiB for unpacking. Zstandard's longest window that Linux takes has 128 MiB, its usual ones 8 MiB.
_XZ_MEMORY = 80 * MIB
_ZSTD_WINDOW = 128 * MIB
_ZSTD_HEADER = 18
_ZSTD_BLOCK = 128 * KIB
_ZSTD_REPEATED = 1

# The legacy frame has no end: a size, a block, until there is something that cannot be one. Linux: decompress_unlz4.c.
_LEGACY_MAGIC = b"\x02\x21\x4c\x18"
_LEGACY_BLOCK = 8 * MIB
_LEGACY_PACKED = _LEGACY_BLOCK + _LEGACY_BLOCK // 255 + 16

try:
    _gzip: Any = importlib.import_module("isal.isal_zlib")
except ImportError:
    _gzip = importlib.import_module("zlib")

_ERRORS = (
    OSError,  # bz2
    EOFError,
    ValueError,
    RuntimeError,  # lz4.frame
    MemoryError,
    lzma.LZMAError,
    lz4.block.LZ4BlockError,
    zstandard.ZstdError,
    _gzip.error,
)


class _Gzip:
    """Zlib's object with the interface of the others."""

    def __init__(self) -> None:
        self._inflater = _gzip.decompressobj(_GZIP)

    @property
    def eof(self) -> bool:
        return bool(self._inflater.eof)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._inflater.unused_data)

    @property
    def needs_input(self) -> bool:
        return not self._inflater.unconsumed_tail

    def decompress(self, data: bytes, most: int) -> bytes:
        return bytes(self._inflater.decompress(data or self._inflater.unconsumed_tail, most))


def _pieces(make: Callable[[], Any], source: Forward) -> Iterator[bytes]:
    """What all libraries but one have in common; what is behind the end of the stream is given back."""
    unpacker = make()
    while not unpacker.eof:
        data = source.some() if unpacker.needs_input else b""
        piece = unpacker.decompress(data, _OUTPUT)
        if piece:
            yield piece
        elif not data and not unpacker.eof:
            raise EOFError("it has no end")
    source.give_back(unpacker.unused_data or b"")


def _zstd(source: Forward) -> Iterator[bytes]:
    """One frame of RFC 8878, a block at a time: the library itself would unpack all that it is given at once."""
    head = source.take(_ZSTD_HEADER)
    length = zstandard.frame_header_size(head)
    checksum = zstandard.get_frame_parameters(head).has_checksum
    source.give_back(head[length:])
    unpacker = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
    unpacker.decompress(head[:length])
    last = False
    while not last:
        block = source.exactly(3)
        word = int.from_bytes(block, "little")
        last, kind, length = bool(word & 1), word >> 1 & 3, word >> 3
        if length > _ZSTD_BLOCK:
            raise ValueError(f"a block has {length} bytes")
        yield unpacker.decompress(block + source.exactly(1 if kind == _ZSTD_REPEATED else length))
    if checksum:
        unpacker.decompress(source.exactly(4))


def _lz4_legacy(source: Forward) -> Iterator[bytes]:
    while word := source.take(4):
        length = int.from_bytes(word, "little")
        if word == _LEGACY_MAGIC:
            continue
        if not 0 < length <= _LEGACY_PACKED:
            source.give_back(word)
            return
        yield lz4.block.decompress(source.exactly(length), uncompressed_size=_LEGACY_BLOCK)


def _xz() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)


def _lzma() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_XZ_MEMORY)


_KINDS: dict[str, tuple[bytes, Callable[[Forward], Iterator[bytes]]]] = {
    "gzip": (b"\x1f\x8b", functools.partial(_pieces, _Gzip)),
    "zstd": (b"\x28\xb5\x2f\xfd", _zstd),
    "xz": (b"\xfd7zXZ\0", functools.partial(_pieces, _xz)),
    "lz4": (_LEGACY_MAGIC, _lz4_legacy),
    "lz4 frame": (b"\x04\x22\x4d\x18", functools.partial(_pieces, lz4.frame.LZ4FrameDecompressor)),
    "bzip2": (b"BZh", functools.partial(_pieces, bz2.BZ2Decompressor)),
    "lzma": (b"\x5d\0\0", functools.partial(_pieces, _lzma)),
}
_LZO = b"\x89LZO"
MAGIC_LENGTH = 6


def packing(head: bytes) -> str:
    """Which kind of packed stream begins with *head*; empty for none.

    :raises UnsupportedError: it is lzo, for which there is no library here.
    """
    if head.startswith(_LZO):
        raise UnsupportedError("is packed with lzo", expected=", ".join(_KINDS))
    return next((kind for kind, (magic, _) in _KINDS.items() if head.startswith(magic)), "")


def unpack(kind: str, source: Forward) -> Iterator[bytes]:
    """Yield the content of one stream; afterwards *source* stands behind it.

    :param kind: as :func:`packing` says.
    :raises FormatError: the stream is damaged or has no end.
    """
    try:
        yield from _KINDS[kind][1](source)
    except _ERRORS as error:
        text = str(error) or type(error).__name__
        raise FormatError(f"the {kind} stream is damaged near {source.position:#x} ({text})") from error
