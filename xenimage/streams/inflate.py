"""Bounded one-shot inflating of small pieces (clusters, grains): exactly the size that the caller knows, or an error.

Bytes behind the end of a stream are ignored, because formats pad pieces to whole sectors. No function ever inflates
more than one byte past *size*, so a bomb costs nothing. The C libraries behind them give the GIL back while they work.
"""

from __future__ import annotations

import importlib
import threading
from typing import TYPE_CHECKING, Any

import zstandard

from xenimage.exceptions import FormatError
from xenimage.units import MIB

if TYPE_CHECKING:
    from types import ModuleType

    ReadableBuffer = bytes | bytearray | memoryview

# Fastest first, by measurement on clusters of 64 KiB. They share the interface of zlib's decompressobj.
_LIBRARIES = ("isal.isal_zlib", "zlib_ng.zlib_ng", "zlib")

# The largest window: a stream deflated with a smaller one is inflated all the same.
_RAW = -15
_ZLIB = 15

# RFC 8878 §3.1.1.1.2 asks every decoder for 8 MiB and allows to refuse more.
_ZSTD_WINDOW = 8 * MIB

_thread = threading.local()


def _first_importable(names: tuple[str, ...]) -> ModuleType:
    for name in names[:-1]:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return importlib.import_module(names[-1])


_library: Any = _first_importable(_LIBRARIES)


def inflate_raw(data: ReadableBuffer, size: int) -> bytes:
    """Inflate a raw deflate stream (RFC 1951) to exactly *size* bytes.

    :raises FormatError: the stream is damaged, ends early, or holds fewer or more bytes.
    """
    return _inflate(data, size, _RAW, "deflate")


def inflate_zlib(data: ReadableBuffer, size: int) -> bytes:
    """Inflate a zlib stream (RFC 1950), checksum included, to exactly *size* bytes.

    :raises FormatError: the stream is damaged, ends early, or holds fewer or more bytes.
    """
    return _inflate(data, size, _ZLIB, "zlib")


def _inflate(data: ReadableBuffer, size: int, window: int, name: str) -> bytes:
    inflater = _library.decompressobj(window)
    try:
        content: bytes = inflater.decompress(data, size + 1)
    except _library.error as error:
        raise FormatError(f"the {name} stream is damaged ({error})", expected=f"{size} bytes when inflated") from error
    if len(content) == size and inflater.eof:
        return content
    raise _wrong_length(name, len(content), size)


def unzstd(data: ReadableBuffer, size: int) -> bytes:
    """Inflate one zstd frame (RFC 8878) to exactly *size* bytes.

    :raises FormatError: the frame is damaged, ends early, or holds fewer or more bytes.
    """
    try:
        # The library allocates what the frame's header announces: look at it first.
        announced = zstandard.get_frame_parameters(data).content_size
        if announced not in (size, zstandard.CONTENTSIZE_UNKNOWN):
            raise _wrong_length("zstd", announced, size)
        content = _zstd().decompress(data, max_output_size=size, allow_extra_data=True)
    except zstandard.ZstdError as error:
        raise FormatError(f"the zstd frame is damaged ({error})", expected=f"{size} bytes when inflated") from error
    if len(content) != size:
        raise _wrong_length("zstd", len(content), size)
    return content


def _zstd() -> zstandard.ZstdDecompressor:
    """The decompressor of this thread: the library's objects must not be shared."""
    try:
        decompressor: zstandard.ZstdDecompressor = _thread.zstd
    except AttributeError:
        decompressor = _thread.zstd = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    return decompressor


def _wrong_length(name: str, length: int, size: int) -> FormatError:
    if length < size:
        found = f"the {name} stream ends after {length} bytes"
    elif length == size:
        found = f"the {name} stream has no end"
    else:
        found = f"the {name} stream holds more than {size} bytes"
    return FormatError(found, expected=f"{size} bytes when inflated")
