"""A VMDK as a read-only disk: its extents behind each other."""

from __future__ import annotations

import bisect
import itertools
from typing import TYPE_CHECKING

from xenimage.exceptions import FormatError, UnsafeError, UnsupportedError
from xenimage.formats.base import merged, within
from xenimage.formats.vmdk import layout
from xenimage.formats.vmdk.descriptor import looks_like_descriptor, parse_descriptor
from xenimage.formats.vmdk.facts import disk_facts, header_variant, no_descriptor, other_capacity
from xenimage.formats.vmdk.header import read_embedded, read_header
from xenimage.formats.vmdk.parts import Extents
from xenimage.formats.vmdk.policy import refusal
from xenimage.formats.vmdk.sparse import open_cowd, open_sparse
from xenimage.formats.vmdk.tables import bounded, inside
from xenimage.units import SECTOR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from xenimage.exceptions import XenimageError
    from xenimage.formats.vmdk.descriptor import Descriptor
    from xenimage.formats.vmdk.parts import Part
    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource, DiskFacts
    from xenimage.model.extent import Extent, Kind


class VmdkDisk:
    """A VMDK.

    :param parts: what the disk consists of, in order; empty with a *refused* one.
    :param sources: all files, for closing.
    :param refused: why it is not read, if it is not.
    """

    def __init__(
        self,
        facts: DiskFacts,
        parts: Sequence[Part],
        sources: Sequence[ByteSource],
        refused: XenimageError | None = None,
    ) -> None:
        self.facts = facts
        self._parts = tuple(parts)
        self._starts = [0, *itertools.accumulate(part.size for part in parts)]
        self._sources = tuple(sources)
        self._refused = refused

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """See :meth:`xenimage.model.disk.Disk.read_into`."""
        for start, length, part in self._pieces(offset, len(buffer)):
            at = self._starts[part] + start - offset
            self._parts[part].read_into(start, buffer[at : at + length])

    def extents(self, offset: int, length: int) -> Iterator[Extent]:
        """See :meth:`xenimage.model.disk.Disk.extents`."""
        return merged(self._ranges(self._pieces(offset, length)))

    def _ranges(self, pieces: Sequence[tuple[int, int, int]]) -> Iterator[tuple[int, int, Kind]]:
        for start, length, part in pieces:
            for begin, size, kind in self._parts[part].ranges(start, length):
                yield self._starts[part] + begin, size, kind

    def _pieces(self, offset: int, length: int) -> Sequence[tuple[int, int, int]]:
        """What a range of the disk is made of: (offset within the part, length, number of the part)."""
        within(self.facts.virtual_size, offset, length)
        if self._refused is not None:
            raise self._refused
        pieces = []
        end = offset + length
        part = bisect.bisect_right(self._starts, offset) - 1
        while offset < end:
            stop = min(end, self._starts[part + 1])
            pieces.append((offset - self._starts[part], stop - offset, part))
            offset = stop
            part += 1
        return pieces

    def unreadable(self) -> XenimageError | None:
        """See :meth:`xenimage.model.disk.Disk.unreadable`."""
        return self._refused

    def close(self) -> None:
        """Close the descriptor and all extents."""
        for source in self._sources:
            source.close()


def open_vmdk(
    source: ByteSource, limits: Limits, *, open_extent: Callable[[str], ByteSource] | None = None
) -> VmdkDisk:
    """Take *source* as a VMDK: a sparse extent with or without a descriptor inside, or a descriptor.

    :param open_extent: opens an extent that a descriptor names, given its bare name: a file beside the descriptor, no
        link. Without it a disk that consists of several files is refused (see :meth:`VmdkDisk.unreadable`). The disk
        closes what it returned; if opening the disk fails, everything but *source* is closed.
    :raises FormatError: the file is no VMDK, or breaks its rules.
    :raises UnsupportedError: a version or compression that is not read.
    :raises UnsafeError: an extent is its own descriptor, or a size passes a limit (LimitError).
    """
    magic = source.read(0, min(len(layout.SE_SPARSE), source.size))
    if magic.startswith(layout.KDMV):
        return _open_hosted(source, limits)
    if magic.startswith(layout.COWD):
        part = open_cowd(source, limits)
        facts = disk_facts(None, part.size, [part], [source], variant="vmfsSparse", findings=[no_descriptor(source)])
        return VmdkDisk(facts, [part], [source])
    if magic == layout.SE_SPARSE:
        return _refuse_se_sparse(source, limits)
    return _open_described(source, limits, open_extent)


def _open_hosted(source: ByteSource, limits: Limits) -> VmdkDisk:
    header = read_header(source, limits)
    descriptor = read_embedded(source, header, limits)
    if descriptor is None:
        part, findings = open_sparse(source, header, limits)
        findings = (no_descriptor(source), *findings)
    else:
        refused = refusal(descriptor, f"{source.name}: descriptor")
        if refused is not None:
            size = header.capacity * SECTOR
            return VmdkDisk(disk_facts(descriptor, size, [], [source]), [], [source], refused)
        _check_embedded(source, descriptor)
        part, findings = open_sparse(source, header, limits)
        if descriptor.sectors != header.capacity:
            findings = (other_capacity(source, header, descriptor), *findings)
    facts = disk_facts(descriptor, part.size, [part], [source], variant=header_variant(header), findings=findings)
    return VmdkDisk(facts, [part], [source])


def _check_embedded(source: ByteSource, descriptor: Descriptor) -> None:
    """The descriptor inside an extent speaks of that extent: its name does not count, anything else would be a lie."""
    kinds = [extent.type for extent in descriptor.extents]
    if kinds != ["SPARSE"]:
        raise FormatError(
            f"{len(kinds)} extents, of type {', '.join(sorted(set(kinds)))}",
            expected="one of type SPARSE: this file",
            where=f"{source.name}: descriptor",
        )


def _refuse_se_sparse(source: ByteSource, limits: Limits) -> VmdkDisk:
    inside(source, 0, layout.SE_SPARSE_HEADER.size, "header")
    size = layout.se_sparse_capacity(source.read(0, layout.SE_SPARSE_HEADER.size)) * SECTOR
    bounded(limits, "virtual_size", size, "the virtual size", source.name)
    refused = UnsupportedError(
        "a space-efficient sparse extent (seSparse)",
        expected="KDMV, COWD or a descriptor",
        where=source.name,
        tip="Consolidate the snapshots of the disk in vSphere and export it.",
    )
    return VmdkDisk(disk_facts(None, size, [], [source], variant="seSparse"), [], [source], refused)


def _open_described(source: ByteSource, limits: Limits, open_extent: Callable[[str], ByteSource] | None) -> VmdkDisk:
    head = source.read(0, min(SECTOR, source.size))
    if not looks_like_descriptor(head):
        raise FormatError(f"starts with {head[:4]!r}", expected="KDMV, COWD or a descriptor", where=source.name)
    bounded(limits, "descriptor_size", source.size, "the size of the descriptor", source.name)
    descriptor = parse_descriptor(source.read(0, source.size), limits, source.name)
    size = descriptor.sectors * SECTOR
    bounded(limits, "virtual_size", size, "the virtual size", source.name)
    refused = refusal(descriptor, source.name)
    if refused is None and open_extent is None and any(extent.name is not None for extent in descriptor.extents):
        refused = UnsafeError("consists of several files", expected="one file that holds all", where=source.name)
    if refused is not None:
        return VmdkDisk(disk_facts(descriptor, size, [], [source]), [], [source], refused)
    return _with_extents(source, limits, descriptor, open_extent)


def _with_extents(
    source: ByteSource,
    limits: Limits,
    descriptor: Descriptor,
    open_extent: Callable[[str], ByteSource] | None,
) -> VmdkDisk:
    extents = Extents(source, limits, open_extent or _no_file)
    extents.open_all(descriptor)
    sources = (source, *extents.sources)
    size = sum(part.size for part in extents.parts)
    facts = disk_facts(descriptor, size, extents.parts, sources, findings=extents.findings)
    return VmdkDisk(facts, extents.parts, sources)


def _no_file(name: str) -> ByteSource:
    """Stand in for ``open_extent`` where only extents of zeros are named."""
    raise UnsafeError(f"names the file {name!r}", expected="one file that holds all")
