"""Bundles of any shape, made with the standard library alone."""

from __future__ import annotations

import dataclasses
import functools
import gzip
import io
import tarfile
from typing import TYPE_CHECKING

from tests.builders import vhd as build
from tests.builders.vhd import DIFFERENCING, Image, Vhd

if TYPE_CHECKING:
    from collections.abc import Iterable

MIB = 1 << 20
SIZE = 100 * MIB
BASE_ID, CHILD_ID = b"\x01" * 16, b"\x02" * 16
NOW = 1_700_000_000
MTIME = 946684800


@dataclasses.dataclass(frozen=True)
class Entry:
    """One member of a tar."""

    name: str
    data: bytes = b""
    type: bytes = tarfile.REGTYPE
    mode: int = 0o644
    uid: int = 0
    mtime: float = MTIME
    target: str = ""
    size: int | None = None
    """what the header says, where it is not the truth"""


def tar(entries: Iterable[Entry], format_: int = tarfile.GNU_FORMAT, *, ended: bool = True) -> bytes:
    """A tar of the entries, padded to 10 KiB."""
    file = io.BytesIO()
    for entry in entries:
        info = tarfile.TarInfo(entry.name)
        info.type, info.mode, info.uid, info.linkname = entry.type, entry.mode, entry.uid, entry.target
        info.mtime = entry.mtime
        info.size = len(entry.data) if entry.size is None else entry.size
        file.write(info.tobuf(format_))
        file.write(entry.data + bytes(-len(entry.data) % 512))
    if ended:
        file.write(bytes(1024))
        file.write(bytes(-file.tell() % 10240))
    return file.getvalue()


def zipped(data: bytes, name: str = "0.vhd") -> bytes:
    """A bundle with one member."""
    return gzip.compress(tar([Entry(name, data)]), 1, mtime=0)


def packed(*entries: Entry) -> bytes:
    """A bundle of the entries."""
    return gzip.compress(tar(entries), 1, mtime=0)


@functools.cache
def _image(kind: str) -> Image:
    blocks = {0: range(128), 5: range(4096)}
    if kind == "base":
        return Vhd(size=SIZE, blocks=blocks, identity=BASE_ID).build()
    if kind == "packed":
        creator = dataclasses.replace(build.CREATORS["tap"], aligned=False)
        return Vhd(size=SIZE, blocks=blocks, creator=creator).build()
    locators = build.blktap_locators("base.vhd")
    return Vhd(
        size=SIZE,
        kind=DIFFERENCING,
        blocks={1: range(4096)},
        identity=CHILD_ID,
        parent=BASE_ID,
        locators=locators,
    ).build()


def image(kind: str = "base") -> Image:
    """A VHD of 100 MiB that may be tampered with: ``base`` (block 0 partly, block 5 full), ``child``, ``packed``."""
    made = _image(kind)
    return dataclasses.replace(made, data=bytearray(made.data))
