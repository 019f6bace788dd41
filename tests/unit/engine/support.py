"""Disks that are made of a few ranges, and a progress that remembers."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tests.builders.pattern import pattern
from xenimage.formats.base import merged
from xenimage.model.disk import DiskFacts
from xenimage.model.extent import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from xenimage.exceptions import XenimageError
    from xenimage.model.extent import Extent

MIB = 1 << 20
GIB = 1 << 30
BLOCK = 2 * MIB


class FakeDisk:
    """A disk of the given size whose *data*, offset to bytes, is called data; the rest is zero."""

    def __init__(self, size: int, data: Mapping[int, bytes] | None = None, **facts: object) -> None:
        self.data = dict(sorted((data or {}).items()))
        known = {"format": "raw", "granularity": 512, "stored_size": size, **facts}
        self.facts = DiskFacts(virtual_size=size, **known)  # type: ignore[arg-type]
        self.readers: set[int] = set()
        self.offsets: list[int] = []
        self.closed = False

    def read_into(self, offset: int, buffer: memoryview) -> None:
        assert 0 <= offset <= offset + len(buffer) <= self.facts.virtual_size
        self.readers.add(threading.get_ident())
        self.offsets.append(offset)
        buffer[:] = bytes(len(buffer))
        for start, content in self.data.items():
            low, high = max(start, offset), min(start + len(content), offset + len(buffer))
            if low < high:
                buffer[low - offset : high - offset] = content[low - start : high - start]

    def extents(self, offset: int, length: int) -> Iterator[Extent]:
        return merged(self._ranges(offset, offset + length))

    def _ranges(self, offset: int, end: int) -> Iterator[tuple[int, int, Kind]]:
        for start, content in self.data.items():
            low, high = max(start, offset), min(start + len(content), end)
            if low >= high:
                continue
            if low > offset:
                yield offset, low - offset, Kind.ZERO
            yield low, high - low, Kind.DATA
            offset = high
        if offset < end:
            yield offset, end - offset, Kind.ZERO

    def unreadable(self) -> XenimageError | None:
        return None

    def close(self) -> None:
        self.closed = True


class LayerDisk:
    """A layer of a chain: *runs* of (offset, length, kind), absent between them; its data is the pattern of *seed*."""

    def __init__(self, size: int, *runs: tuple[int, int, Kind], seed: int = 0, **facts: object) -> None:
        self.runs = runs
        self.seed = seed
        known = {"format": "qcow2", "granularity": 512, "stored_size": size, **facts}
        self.facts = DiskFacts(virtual_size=size, **known)  # type: ignore[arg-type]
        self.reads: list[tuple[int, int]] = []
        self.readers: set[int] = set()
        self.closed = False

    def read_into(self, offset: int, buffer: memoryview) -> None:
        self.reads.append((offset, len(buffer)))
        self.readers.add(threading.get_ident())
        for extent in self.extents(offset, len(buffer)):
            stored = extent.kind is Kind.DATA
            part = pattern(extent.offset, extent.length, self.seed) if stored else bytes(extent.length)
            buffer[extent.offset - offset : extent.end - offset] = part

    def extents(self, offset: int, length: int) -> Iterator[Extent]:
        assert 0 <= offset <= offset + length <= self.facts.virtual_size
        return merged(self._ranges(offset, offset + length))

    def _ranges(self, offset: int, end: int) -> Iterator[tuple[int, int, Kind]]:
        for start, length, kind in self.runs:
            low, high = max(start, offset), min(start + length, end)
            if low >= high:
                continue
            if low > offset:
                yield offset, low - offset, Kind.ABSENT
            yield low, high - low, kind
            offset = high
        if offset < end:
            yield offset, end - offset, Kind.ABSENT

    def unreadable(self) -> XenimageError | None:
        return None

    def close(self) -> None:
        self.closed = True


class Watcher:
    """Remembers the stages: [what, total, done, whether it ended]."""

    def __init__(self) -> None:
        self.stages: list[list[object]] = []

    def start(self, what: str, total: int) -> None:
        self.stages.append([what, total, 0, False])

    def advance(self, count: int) -> None:
        self.stages[-1][2] += count  # type: ignore[operator]

    def stop(self) -> None:
        self.stages[-1][3] = True
