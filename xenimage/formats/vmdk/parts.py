"""Opens the extents that a descriptor names, in the order in which they make up the disk."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from xenimage.exceptions import FormatError, UnsafeError, UnsupportedError, XenimageError
from xenimage.formats.vmdk import layout
from xenimage.formats.vmdk.flat import FlatPart, ZeroPart
from xenimage.formats.vmdk.header import read_header
from xenimage.formats.vmdk.policy import FLAT_TYPES
from xenimage.formats.vmdk.sparse import SparsePart, open_cowd, open_sparse
from xenimage.units import SECTOR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from xenimage.formats.vmdk.descriptor import Descriptor, ExtentLine
    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource
    from xenimage.model.extent import Kind
    from xenimage.model.finding import Finding


class Part(Protocol):
    """A piece of the disk, read from its own byte 0."""

    @property
    def size(self) -> int:
        """Bytes of the disk that it makes up."""

    @property
    def granularity(self) -> int:
        """Bytes that it allocates at least."""

    @property
    def compressed(self) -> bool:
        """Whether it stores deflated data."""

    def ranges(self, offset: int, length: int) -> Iterator[tuple[int, int, Kind]]:
        """Yield (offset, length, kind) of the range, in order and without gaps."""

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill *buffer* with the content from *offset* on."""


class Extents:
    """The opened extents of one descriptor."""

    def __init__(self, source: ByteSource, limits: Limits, open_extent: Callable[[str], ByteSource]) -> None:
        self._source = source
        self._limits = limits
        self._open_extent = open_extent
        self._opened: dict[str, ByteSource] = {}
        self._taken: dict[str, list[tuple[int, int]]] = {}
        self.parts: list[Part] = []
        self.findings: list[Finding] = []

    @property
    def sources(self) -> tuple[ByteSource, ...]:
        """The files that were opened."""
        return tuple(self._opened.values())

    def open_all(self, descriptor: Descriptor) -> None:
        """Open every extent of a descriptor that nothing speaks against; if one fails, all are closed.

        :raises FormatError: an extent breaks the rules or is not what its line says.
        :raises UnsupportedError: an extent is of a kind that is not read.
        :raises UnsafeError: an extent is the descriptor itself, or the caller's ``open_extent`` refuses its name.
        """
        try:
            for extent in descriptor.extents:
                self.parts.append(self._open(extent))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the files that were opened."""
        for source in self._opened.values():
            source.close()

    def _open(self, extent: ExtentLine) -> Part:
        size = extent.sectors * SECTOR
        if extent.name is None or extent.type == "ZERO":
            return ZeroPart(size)
        where = f"{self._source.name}: line {extent.line}"
        try:
            source = self._source_of(extent.name)
            if extent.type in FLAT_TYPES:
                self._take(extent.name, extent.offset, extent.sectors)
                return FlatPart(source, extent.offset * SECTOR, size)
            self._take(extent.name, 0, layout.LARGEST_ENTRY)
            part = self._open_sparse(source)
        except XenimageError as error:
            raise error.within(where) from None
        if part.size != size:
            raise FormatError(
                f"an extent of {extent.sectors} sectors",
                expected=f"{part.size // SECTOR} as in its header",
                where=where,
            )
        return part

    def _source_of(self, name: str) -> ByteSource:
        if name == os.path.basename(self._source.name):
            raise UnsafeError(f"names its own descriptor {name!r}", expected="another file")
        if name not in self._opened:
            self._opened[name] = self._open_extent(name)
        return self._opened[name]

    def _take(self, name: str, start: int, sectors: int) -> None:
        """Refuse what is used twice: it would make the disk larger than all that is stored."""
        for begin, end in self._taken.setdefault(name, []):
            if start < end and begin < start + sectors:
                raise FormatError(f"uses sectors of {name!r} a second time", expected="each part of a file once")
        self._taken[name].append((start, start + sectors))

    def _open_sparse(self, source: ByteSource) -> SparsePart:
        magic = source.read(0, min(len(layout.SE_SPARSE), source.size))
        if magic == layout.SE_SPARSE:
            raise UnsupportedError("an extent in seSparse format", expected="KDMV or COWD", where=source.name)
        if magic.startswith(layout.COWD):
            return open_cowd(source, self._limits)
        if not magic.startswith(layout.KDMV):
            raise FormatError(f"starts with {magic[:4]!r}", expected="KDMV or COWD", where=source.name)
        part, findings = open_sparse(source, read_header(source, self._limits), self._limits)
        self.findings += findings
        return part
