"""A sparse extent as a readable part of a disk: hosted (plain or compressed grains) or ESX copy-on-write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.exceptions import FormatError
from xenimage.formats.base import clear, split_holes
from xenimage.formats.vmdk import layout
from xenimage.formats.vmdk.header import read_cowd, read_footer, sparse_shape
from xenimage.formats.vmdk.tables import CachedMap, DirectoryMap, inside, kinds, read_directory, run_length
from xenimage.formats.vmdk.walk import largest_grain, walk
from xenimage.model.extent import Kind
from xenimage.model.finding import Finding, Severity
from xenimage.streams.inflate import inflate_zlib
from xenimage.units import MIB, SECTOR, round_up

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.formats.vmdk.layout import SparseHeader, Table
    from xenimage.formats.vmdk.tables import GrainMap, Shape
    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource

_BATCH = 4 * MIB  # deflated bytes that are read at once


class SparsePart:
    """The content of one sparse extent, from its own byte 0."""

    def __init__(self, source: ByteSource, grains: GrainMap, shape: Shape) -> None:
        self._source = source
        self._map = CachedMap(grains)
        self._shape = shape
        self.size = shape.capacity
        self.granularity = shape.grain
        self.compressed = shape.compressed

    def ranges(self, offset: int, length: int) -> Iterator[tuple[int, int, Kind]]:
        """Yield (offset, length, kind) of the range, in order and without gaps."""
        end = offset + length
        per_span = self._map.per_span * self._shape.grain
        stop_span = -(-end // per_span)
        while offset < end:
            span = offset // per_span
            used = self._map.next_used(span, stop_span)
            if used > span:
                stop = min(used * per_span, end)
                yield offset, stop - offset, Kind.ABSENT
            else:
                stop = min((span + 1) * per_span, end)
                yield from self._ranges_in(span, offset, stop)
            offset = stop

    def _ranges_in(self, span: int, offset: int, end: int) -> Iterator[tuple[int, int, Kind]]:
        table = self._map.load(span)
        base = span * self._map.per_span
        for index, count, kind in kinds(table, *self._indexes(base, offset, end), zeroed=self._shape.zeroed):
            start = max((base + index) * self._shape.grain, offset)
            stop = min((base + index + count) * self._shape.grain, end)
            if kind is Kind.DATA and not self._shape.compressed:
                at = start - (base + index) * self._shape.grain
                yield from self._plain(table[index : index + count], at, start, stop - start)
            else:
                yield start, stop - start, kind

    def _plain(self, sectors: Table[int], at: int, offset: int, length: int) -> Iterator[tuple[int, int, Kind]]:
        """Yield what stands in plain grains: zeros where the file has a hole, for tools allocate grains ahead.

        :param at: the byte of the first grain that *offset* is.
        """
        step = self._shape.grain // SECTOR
        low, high = min(sectors) * SECTOR, max(sectors) * SECTOR + self._shape.grain
        if high > self._source.size:
            yield offset, length, Kind.DATA  # reading it will tell that the file is cut
        elif run_length(sectors, 0, len(sectors), step) == len(sectors):
            for begin, size, kind in split_holes(self._source, low + at, length):
                yield offset + begin, size, kind
        else:
            stored = next(self._source.data(low, high - low), None) is not None
            yield offset, length, Kind.DATA if stored else Kind.ZERO

    def _indexes(self, base: int, offset: int, end: int) -> tuple[int, int]:
        return offset // self._shape.grain - base, -(-end // self._shape.grain) - base

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill *buffer* with the content from *offset* on; what is not stored becomes zeros.

        :raises FormatError: a table or grain breaks the rules.
        :raises TransferError: the source failed.
        """
        fill = self._inflate if self._shape.compressed else self._copy
        per_span = self._map.per_span
        for start, length, kind in self.ranges(offset, len(buffer)):
            part = buffer[start - offset : start - offset + length]
            if kind is not Kind.DATA:
                clear(part)
                continue
            # Never across two spans: ranges() goes span by span.
            span = start // (per_span * self._shape.grain)
            fill(self._map.load(span), span * per_span, start, part)

    def _copy(self, table: Table[int], base: int, offset: int, buffer: memoryview) -> None:
        """Read plain grains; those that adjoin each other in the file at once."""
        grain, end = self._shape.grain, offset + len(buffer)
        index, stop = self._indexes(base, offset, end)
        while index < stop:
            count = run_length(table, index, stop, grain // SECTOR)
            begin = (base + index) * grain
            low, high = max(begin, offset), min(begin + count * grain, end)
            at = table[index] * SECTOR + low - begin
            inside(self._source, at, high - low, f"grain for {low:#x}")
            self._source.read_into(at, buffer[low - offset : high - offset])
            index += count

    def _inflate(self, table: Table[int], base: int, offset: int, buffer: memoryview) -> None:
        """Read deflated grains; those that follow each other in the file at once."""
        grain, end = self._shape.grain, offset + len(buffer)
        index, stop = self._indexes(base, offset, end)
        while index < stop:
            batch = self._batch(table, index, stop)
            first = table[index] * SECTOR
            stored = memoryview(bytearray(self._batch_end(table, base, batch) - first))
            self._source.read_into(first, stored)
            for number in range(index, batch):
                begin = (base + number) * grain
                low, high = max(begin, offset), min(begin + grain, end)
                plain = self._one(stored[table[number] * SECTOR - first :], begin, table[number] * SECTOR)
                buffer[low - offset : high - offset] = plain[low - begin : high - begin]
            index = batch

    def _batch(self, table: Table[int], index: int, stop: int) -> int:
        """The end of the grains from *index* on that one read can fetch."""
        first = table[index]
        following = index + 1
        while following < stop and self._near(table[following - 1], table[following]):
            if (table[following] - first) * SECTOR > _BATCH:
                break
            following += 1
        return following

    def _near(self, sector: int, other: int) -> bool:
        """Whether *other* can be the grain right behind the one at *sector*."""
        largest = layout.Marker.GRAIN.size + largest_grain(self._shape.grain)
        return 0 < other - sector <= round_up(largest, SECTOR) // SECTOR

    def _batch_end(self, table: Table[int], base: int, batch: int) -> int:
        """Where the last grain of a batch ends: where the next begins, or as its header says."""
        last = table[batch - 1]
        if batch < len(table) and self._near(last, table[batch]) and table[batch] * SECTOR <= self._source.size:
            return table[batch] * SECTOR
        at = last * SECTOR
        place = f"grain at {at:#x}"
        inside(self._source, at, layout.Marker.GRAIN.size, place)
        raw = self._source.read(at, layout.Marker.GRAIN.size)
        size = self._checked_size(raw, (base + batch - 1) * self._shape.grain, at)
        inside(self._source, at, layout.Marker.GRAIN.size + size, place)
        return at + layout.Marker.GRAIN.size + size

    def _checked_size(self, raw: bytes | memoryview, begin: int, at: int) -> int:
        """Bytes of deflated data, from the header of the grain that must be the one for *begin*."""
        where = f"{self._source.name}: grain at {at:#x}"
        sector, size = layout.Marker.GRAIN.unpack_from(raw)
        if sector != begin // SECTOR:
            raise FormatError(
                f"belongs to sector {sector}", expected=f"{begin // SECTOR} as in the grain table", where=where
            )
        largest = largest_grain(self._shape.grain)
        if not 0 < size <= largest:
            raise FormatError(f"has {size} deflated bytes", expected=f"1 to {largest}", where=where)
        return int(size)

    def _one(self, stored: memoryview, begin: int, at: int) -> bytes:
        """Inflate the grain that *stored* starts with; it may be short where the disk ends inside it."""
        size = self._checked_size(stored, begin, at)
        head = layout.Marker.GRAIN.size
        where = f"{self._source.name}: grain at {at:#x}"
        if head + size > len(stored):
            raise FormatError(f"has {size} deflated bytes", expected="its end before the next grain", where=where)
        rest = self._shape.capacity - begin
        try:
            try:
                return inflate_zlib(stored[head : head + size], self._shape.grain)
            except FormatError:
                if rest >= self._shape.grain:
                    raise
                return inflate_zlib(stored[head : head + size], rest)
        except FormatError as error:
            raise error.within(where) from None


def open_sparse(source: ByteSource, header: SparseHeader, limits: Limits) -> tuple[SparsePart, tuple[Finding, ...]]:
    """Open a hosted sparse extent whose header has been checked.

    :raises FormatError: no directory can be used, and the grains cannot be found without; or the footer disagrees.
    :raises LimitError: more grains than may be held in memory.
    """
    shape = sparse_shape(header)
    findings: list[Finding] = []
    if header.unclean:
        findings.append(_unclean(source))
    problems: list[FormatError] = []
    for sector, what in _directories(source, header, problems):
        try:
            grains: GrainMap = DirectoryMap(source, read_directory(source, sector, shape, what, limits), shape)
        except FormatError as error:
            problems.append(error)
            continue
        if problems:
            findings.append(_substitute(source, problems[0], what))
        return SparsePart(source, grains, shape), tuple(findings)
    if not shape.compressed:
        raise problems[0]
    try:
        grains = walk(source, _first_grain(source, header), shape, limits)
    except FormatError as error:
        raise FormatError(
            f"{problems[0].found}; without it: {error.found}", expected=error.expected, where=error.where, tip=error.tip
        ) from None
    findings.append(_substitute(source, problems[0], "headers of its grains"))
    return SparsePart(source, grains, shape), tuple(findings)


def _directories(source: ByteSource, header: SparseHeader, problems: list[FormatError]) -> Iterator[tuple[int, str]]:
    """Yield (sector, name) of the grain directories in order of trust."""
    footer = read_footer(source, header)
    sector = header.gd_offset
    if sector == layout.GD_AT_END:
        if footer is None:
            problems.append(FormatError("no footer at its end", where=f"{source.name}: footer"))
        else:
            sector = footer.gd_offset
    if sector == 0:
        problems.append(FormatError("gdOffset is 0", expected="a sector behind it", where=f"{source.name}: header"))
    elif sector != layout.GD_AT_END or footer is not None:
        yield sector, "grain directory"
    if header.flags & layout.FLAG_REDUNDANT and header.rgd_offset not in (0, layout.GD_AT_END):
        yield header.rgd_offset, "redundant grain directory"


def _first_grain(source: ByteSource, header: SparseHeader) -> int:
    """The byte to walk from: behind the metadata as the header has it, if that can be."""
    floor = sparse_shape(header).floor
    return SECTOR * (header.overhead if floor <= header.overhead <= source.size // SECTOR else floor)


def open_cowd(source: ByteSource, limits: Limits) -> SparsePart:
    """Open an ESX copy-on-write extent.

    :raises FormatError: the header or the grain directory breaks the rules.
    :raises UnsupportedError: another version.
    :raises LimitError: a size passes a limit.
    """
    header, shape = read_cowd(source, limits)
    directory = read_directory(source, header.gd_offset, shape, "grain directory", limits)
    return SparsePart(source, DirectoryMap(source, directory, shape), shape)


def _unclean(source: ByteSource) -> Finding:
    return Finding(
        code="vmdk.unclean",
        severity=Severity.WARNING,
        what="The extent was not closed cleanly (uncleanShutdown is set).",
        why="What its hypervisor wrote last may be missing, and the guest's file systems may be damaged.",
        act="Shut the guest down in its hypervisor, or let the hypervisor check the disk, and export it again.",
        where=source.name,
    )


def _substitute(source: ByteSource, problem: FormatError, used: str) -> Finding:
    return Finding(
        code="vmdk.grain-directory",
        severity=Severity.WARNING,
        what=f"The grain directory cannot be used ({problem}); the {used} served instead.",
        why="The file is damaged; other programs may refuse it or read zeros in place of data.",
        act="Compare the file's checksum with the original's, or export the disk again.",
        where=source.name,
    )
