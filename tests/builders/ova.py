"""Packages in one file, of any shape, made with the standard library's tar and packers."""

from __future__ import annotations

import gzip
import lzma
from typing import TYPE_CHECKING

import zstandard

from tests.builders import ovf
from tests.builders.bundle import Entry, tar
from tests.builders.pattern import pattern

if TYPE_CHECKING:
    from collections.abc import Callable

DATA = pattern(0, 4096)
PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "": lambda data: data,
    "gzip": lambda data: gzip.compress(data, 1, mtime=0),
    "xz": lambda data: lzma.compress(data, preset=0),
    "zstd": lambda data: zstandard.ZstdCompressor(level=1, write_checksum=True).compress(data),
}
DESCRIPTOR = Entry("web.ovf", ovf.envelope())
DISK = Entry("disk.raw", DATA)
MANIFEST = Entry("web.mf", ovf.manifest({"web.ovf": DESCRIPTOR.data, "disk.raw": DATA}))
CERTIFICATE = Entry("web.cert", b"none")


def ova(*entries: Entry, compression: str = "") -> bytes:
    """An archive of the entries; of a descriptor, its manifest and one disk if there are none."""
    return PACKINGS[compression](tar(entries or (DESCRIPTOR, MANIFEST, DISK)))
