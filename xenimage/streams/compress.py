"""One-shot compressing of small pieces (clusters, grains), the other way of :mod:`xenimage.streams.inflate`.

The same piece always gives the same bytes, as long as the library stays the same. The C libraries behind them give the
GIL back while they work.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import zstandard
from zlib_ng import zlib_ng

from xenimage.streams.deflate import PRIMER, has_isal

if has_isal():
    from isal import isal_zlib

if TYPE_CHECKING:
    from collections.abc import Callable

    from xenimage.streams.deflate import Bytes

_QCOW2_WINDOW = -12
"""raw deflate with a window of 4 KiB: what QEMU makes room for when it inflates a cluster (block/qcow2-threads.c)"""
_ZLIB_WINDOW = 15
_ISAL_LEVEL, _ISAL_MEMORY = 2, 3
_ZLIB_NG_LEVEL = 3
_ZSTD_LEVEL = 3
"""the library's own default, and QEMU's"""

_thread = threading.local()


def _deflate_isal(data: Bytes, window: int) -> bytes:
    compressor = isal_zlib.compressobj(_ISAL_LEVEL, isal_zlib.DEFLATED, window, _ISAL_MEMORY)
    view = memoryview(data)
    return b"".join(
        (
            compressor.compress(view[:PRIMER]),
            compressor.flush(isal_zlib.Z_SYNC_FLUSH),
            compressor.compress(view[PRIMER:]),
            compressor.flush(isal_zlib.Z_FINISH),
        )
    )


def _deflate_zlib_ng(data: Bytes, window: int) -> bytes:
    compressor = zlib_ng.compressobj(_ZLIB_NG_LEVEL, zlib_ng.DEFLATED, window)
    return compressor.compress(data) + compressor.flush(zlib_ng.Z_FINISH)


_deflate: Callable[[Bytes, int], bytes] = _deflate_isal if has_isal() else _deflate_zlib_ng


def deflate_raw(data: Bytes) -> bytes:
    """*data* as a raw deflate stream (RFC 1951) that needs a window of no more than 4 KiB."""
    return _deflate(data, _QCOW2_WINDOW)


def deflate_zlib(data: Bytes) -> bytes:
    """*data* as a zlib stream (RFC 1950)."""
    return _deflate(data, _ZLIB_WINDOW)


def zstd(data: Bytes) -> bytes:
    """*data* as one zstd frame (RFC 8878) that tells its length."""
    try:
        compressor: zstandard.ZstdCompressor = _thread.zstd
    except AttributeError:
        # One for each thread: the library's objects must not be shared.
        compressor = _thread.zstd = zstandard.ZstdCompressor(level=_ZSTD_LEVEL)
    return compressor.compress(data)


def deflated_bound(length: int) -> int:
    """Bytes that *length* bytes take at most, whichever of the functions above packs them."""
    return length + (length >> 8) + 128
