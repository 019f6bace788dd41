"""Finds the grains of a stream-optimized extent without its tables, by going from marker to marker.

For files whose directory is cut off or was never written. Whether all grains were found cannot be seen from the
grains: the walk must come to the grain directory, the footer or the end-of-stream marker that stand behind the last.
"""

from __future__ import annotations

import array
from typing import TYPE_CHECKING

from xenimage.exceptions import FormatError, LimitError
from xenimage.formats.vmdk import layout
from xenimage.formats.vmdk.tables import ListedMap
from xenimage.units import KIB, SECTOR, round_up

if TYPE_CHECKING:
    from xenimage.formats.vmdk.tables import Shape
    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource

_ZERO_STEP = 64 * KIB
_BYTES_PER_GRAIN = 12  # of the two arrays, for the limit


def largest_grain(grain: int) -> int:
    """Bytes that a deflated grain of *grain* bytes may have: deflate grows incompressible data by far less."""
    return 2 * grain + 128


def walk(source: ByteSource, start: int, shape: Shape, limits: Limits) -> ListedMap:
    """Walk from byte *start*, a whole sector, to the end of the file.

    :raises FormatError: what stands there is no grain and no marker, grains go back, or the end is missing.
    :raises LimitError: more grains than may be held in memory.
    """
    return _Walk(source, start, shape, limits).run()


class _Walk:
    def __init__(self, source: ByteSource, start: int, shape: Shape, limits: Limits) -> None:
        self._source = source
        self._position = start
        self._shape = shape
        self._limits = limits
        self._grains = array.array("Q")
        self._sectors = array.array("I")
        self._ended = False

    def run(self) -> ListedMap:
        while self._position + layout.Marker.FORMAT.size <= self._source.size:
            marker = layout.Marker.parse(self._source.read(self._position, layout.Marker.FORMAT.size))
            try:
                if marker.size:
                    self._take_grain(marker)
                else:
                    self._take_marker(marker)
            except (FormatError, LimitError) as error:
                raise error.within(f"{self._source.name}: marker at {self._position:#x}") from None
        if not self._ended:
            raise FormatError(
                f"ends at {self._source.size:#x} behind {len(self._grains)} grains",
                expected="a grain directory, a footer or an end-of-stream marker behind the last grain",
                where=self._source.name,
                tip="The file is cut off: get it again.",
            )
        return ListedMap(self._grains, self._sectors, self._shape)

    def _take_grain(self, marker: layout.Marker) -> None:
        number, rest = divmod(marker.value * SECTOR, self._shape.grain)
        if rest or number >= self._shape.grains:
            raise FormatError(f"a grain for sector {marker.value}", expected="the first sector of a grain of the disk")
        if self._grains and number <= self._grains[-1]:
            raise FormatError(f"a grain for sector {marker.value} behind a later one", expected="rising order")
        if marker.size > largest_grain(self._shape.grain):
            raise FormatError(f"a grain of {marker.size} bytes", expected=f"at most {largest_grain(self._shape.grain)}")
        stored = layout.Marker.GRAIN.size + marker.size
        if self._position + stored > self._source.size:
            raise FormatError(
                f"a grain of {marker.size} bytes", expected=f"its end inside the file of {self._source.size} bytes"
            )
        sector = self._position // SECTOR
        if sector > layout.LARGEST_ENTRY:
            raise FormatError("a grain beyond 2 TiB of the file", expected="a sector number of 32 bits")
        self._limits.require("table_size", (len(self._grains) + 1) * _BYTES_PER_GRAIN, "the list of grains")
        self._grains.append(number)
        self._sectors.append(sector)
        self._position += round_up(stored, SECTOR)
        self._ended = False

    def _take_marker(self, marker: layout.Marker) -> None:
        if marker.type == layout.MARKER_EOS and marker.value == 0:
            self._skip_zeros()
            return
        largest = {
            layout.MARKER_GRAIN_TABLE: self._shape.table_sectors,
            layout.MARKER_GRAIN_DIRECTORY: round_up(self._shape.tables * layout.ENTRY, SECTOR) // SECTOR,
            layout.MARKER_FOOTER: 1,
            layout.MARKER_PROGRESS: 1,
        }.get(marker.type)
        if largest is None:
            raise FormatError(f"a marker of type {marker.type}", expected="1, 2, 3 or 4")
        if marker.value > largest:
            raise FormatError(
                f"a marker of type {marker.type} for {marker.value} sectors", expected=f"at most {largest}"
            )
        if marker.type in (layout.MARKER_GRAIN_DIRECTORY, layout.MARKER_FOOTER):
            self._ended = True
        self._position += (1 + marker.value) * SECTOR

    def _skip_zeros(self) -> None:
        """Pass over zeros: an end-of-stream marker, but Xen Orchestra also pads with them before its tables."""
        start = self._position
        while self._position < self._source.size:
            # A hole can be as long as its maker likes: the source knows where it ends.
            begin, _ = next(
                self._source.data(self._position, self._source.size - self._position), (self._source.size, 0)
            )
            self._position = max(self._position, begin - begin % SECTOR)
            raw = self._source.read(self._position, min(_ZERO_STEP, self._source.size - self._position))
            zeros = len(raw) - len(raw.lstrip(b"\0"))
            self._position += zeros - zeros % SECTOR if zeros < len(raw) else len(raw)
            if zeros < len(raw):
                break
        else:
            # One sector is the marker. More of them may as well stand where a transfer broke off.
            self._ended = self._ended or self._position - start == SECTOR
        if self._position == start:
            raise FormatError("an end-of-stream marker with bytes behind it", expected="zeros up to the next sector")
