"""A new stream-optimized VMDK, in the shape that VMware's own tools export: tables, footer and end behind the grains.

Grains of zeros are left out. Behind the grains of each grain table that has any stands the table, behind all of them
the grain directory; the header sends the reader to the footer. Reference: VMware, "Virtual Disk Format 5.0" (2011),
section "Stream-Optimized Compressed Sparse Extents".
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, NamedTuple

from xenimage.exceptions import UnsupportedError, UsageError
from xenimage.formats.vmdk import layout
from xenimage.formats.vmdk.descriptor import NO_PARENT
from xenimage.streams.compress import deflate_zlib, deflated_bound
from xenimage.streams.zeros import data_units
from xenimage.units import KIB, SECTOR, format_size, round_up

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xenimage.model.transfer import PatchSink

GRAIN = 64 * KIB
"""bytes"""
_PER_TABLE = 512
_GRAIN_SECTORS = GRAIN // SECTOR
_DESCRIPTOR_SECTORS = 20
"""VirtualBox rewrites the descriptor in its place: leave it room"""
_HEAD = 128 * SECTOR
"""bytes in front of the first grain"""
_TABLE = _PER_TABLE * layout.ENTRY
_FILE_MAX = (layout.LARGEST_ENTRY + 1) * SECTOR
"""bytes: tables hold sector numbers of 32 bits"""
_RESERVED_IDS = (0xFFFFFFFF, 0xFFFFFFFE)
"""content ids with a meaning: no parent, and unknown"""
ADAPTERS = {"lsilogic": (255, 63, 65535), "buslogic": (255, 63, 65535), "ide": (16, 63, 16383)}
"""ddb.adapterType to heads, sectors and most cylinders of its geometry; other types break VirtualBox and older ESXi"""
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.+ -]{1,200}")
_OTHER_NAME = "disk.vmdk"


class Grain(NamedTuple):
    """A grain as it is stored."""

    number: int
    data: bytes
    """header, deflated content, padding up to a whole sector"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class NewVmdk:
    """A stream-optimized VMDK to be written. Sizes in bytes.

    :param virtual_size: whole sectors.
    :param name: of the file, as its descriptor is to say; another is put there if it is not plain ASCII.
    :param adapter: a key of :data:`ADAPTERS`.
    :raises UsageError: no whole sectors, no known adapter.
    """

    virtual_size: int
    name: str
    adapter: str = "lsilogic"

    def __post_init__(self) -> None:
        """Refuse what the format cannot express."""
        if self.virtual_size % SECTOR or self.virtual_size <= 0:
            raise UsageError(f"a disk of {self.virtual_size} bytes", expected="whole sectors of 512 bytes")
        if self.adapter not in ADAPTERS:
            raise UsageError(f"adapter type {self.adapter!r}", expected=f"one of {', '.join(ADAPTERS)}")

    @property
    def tables(self) -> int:
        """Grain tables of a full disk."""
        return -(-self.virtual_size // (GRAIN * _PER_TABLE))

    def size_bound(self, data_size: int) -> int:
        """Bytes that the file takes at most with *data_size* bytes of data in whole grains."""
        grains = data_size // GRAIN
        grain = round_up(layout.Marker.GRAIN.size + deflated_bound(GRAIN), SECTOR)
        tables = min(self.tables, grains) * (SECTOR + _TABLE)
        return _HEAD + grains * grain + tables + 4 * SECTOR + round_up(self.tables * layout.ENTRY, SECTOR)

    def header(self, gd_offset: int = layout.GD_AT_END) -> layout.SparseHeader:
        """The header, or with the true place of the grain directory the footer."""
        return layout.SparseHeader(
            version=3,
            flags=layout.FLAG_NEWLINE_TEST | layout.FLAG_COMPRESSED | layout.FLAG_MARKERS,
            capacity=self.virtual_size // SECTOR,
            grain_size=_GRAIN_SECTORS,
            descriptor_offset=1,
            descriptor_size=_DESCRIPTOR_SECTORS,
            entries_per_table=_PER_TABLE,
            rgd_offset=0,
            gd_offset=gd_offset,
            overhead=_HEAD // SECTOR,
            unclean=0,
            newlines=layout.SparseHeader.NEWLINES,
            algorithm=layout.DEFLATE,
        )

    def descriptor(self, content_id: bytes) -> str:
        """The embedded text.

        :param content_id: 16 bytes; the last four are the CID, as VMware has it.
        """
        heads, sectors, most = ADAPTERS[self.adapter]
        cylinders = min(max(1, self.virtual_size // SECTOR // (heads * sectors)), most)
        name = self.name if _PLAIN_NAME.fullmatch(self.name) else _OTHER_NAME
        short = int.from_bytes(content_id[-4:])
        if short in _RESERVED_IDS:
            content_id, short = content_id[:-1] + b"\0", short & ~0xFF
        # Nothing else in the data base: unknown lines broke VirtualBox 5.2. Without toolsVersion vSphere complains.
        return (
            "# Disk DescriptorFile\n"
            "version=1\n"
            f"CID={short:08x}\n"
            f"parentCID={NO_PARENT}\n"
            'createType="streamOptimized"\n'
            "\n"
            "# Extent description\n"
            f'RW {self.virtual_size // SECTOR} SPARSE "{name}"\n'
            "\n"
            "# The Disk Data Base\n"
            "#DDB\n"
            "\n"
            f'ddb.adapterType = "{self.adapter}"\n'
            f'ddb.geometry.cylinders = "{cylinders}"\n'
            f'ddb.geometry.heads = "{heads}"\n'
            f'ddb.geometry.sectors = "{sectors}"\n'
            f'ddb.longContentID = "{content_id.hex()}"\n'
            'ddb.toolsInstallType = "4"\n'
            'ddb.toolsVersion = "2147483647"\n'
            'ddb.virtualHWVersion = "4"\n'
        )


def pack_grains(buffer: bytearray, start: int, offset: int) -> list[Grain]:
    """Turn a part of the disk into what :meth:`VmdkWriter.add` takes. For several threads at once.

    :param buffer: from *start* on the content of the disk from *offset* on, whole grains.
    """
    first = offset // GRAIN
    view = memoryview(buffer)[start:]
    grains = []
    for low, high in data_units(buffer, start, GRAIN):
        for number in range(low, high):
            deflated = deflate_zlib(view[number * GRAIN : (number + 1) * GRAIN])
            stored = layout.Marker.GRAIN.pack((first + number) * _GRAIN_SECTORS, len(deflated)) + deflated
            grains.append(Grain(first + number, stored.ljust(round_up(len(stored), SECTOR), b"\0")))
    return grains


class VmdkWriter:
    """Writes an extent: :meth:`add` in ascending order of grains, then :meth:`finish`.

    :param content_id: 16 bytes that stand for the content, where they are known beforehand: then the file is written
        from its start to its end, and nothing of it is patched.
    """

    def __init__(self, sink: PatchSink, new: NewVmdk, content_id: bytes | None = None) -> None:
        self._sink = sink
        self._new = new
        self._has_head = content_id is not None
        self._directory = layout.blank_table(new.tables)
        self._table = layout.blank_table(_PER_TABLE)
        self._open = -1
        """the number of the grain table that is being filled"""
        self.stored = 0
        """bytes of guest data that are stored, before compression"""
        if content_id is None:
            sink.skip(_HEAD)
        else:
            sink.write([self._head(content_id).ljust(_HEAD, b"\0")])

    def add(self, grains: Sequence[Grain]) -> None:
        """Store *grains*.

        :raises UnsupportedError: the file would become larger than its tables can say.
        """
        parts: list[bytes] = []
        sector = self._sink.size // SECTOR
        for grain in grains:
            number, index = divmod(grain.number, _PER_TABLE)
            if number != self._open:
                self._sink.write(parts)
                parts.clear()
                self._end_table()
                self._open = number
                sector = self._sink.size // SECTOR
            if sector > layout.LARGEST_ENTRY:
                raise UnsupportedError(
                    "the VMDK grows beyond 2 TiB",
                    expected=f"at most {format_size(_FILE_MAX)} of deflated data",
                    tip="Write qcow2 instead.",
                )
            self._table[index] = sector
            sector += len(grain.data) // SECTOR
            parts.append(grain.data)
        self._sink.write(parts)
        self.stored += len(grains) * GRAIN

    def _end_table(self) -> None:
        if self._open < 0:
            return
        self._marker(layout.MARKER_GRAIN_TABLE, _TABLE // SECTOR)
        self._directory[self._open] = self._sink.size // SECTOR
        self._sink.write([layout.to_disk(self._table)])
        self._table = layout.blank_table(_PER_TABLE)
        self._open = -1

    def _head(self, content_id: bytes) -> bytes:
        text = self._new.descriptor(content_id).encode("ascii")
        return self._new.header().pack() + text.ljust(_DESCRIPTOR_SECTORS * SECTOR, b"\0")

    def finish(self, content_id: bytes = b"") -> None:
        """Write what is left of the tables, the footer and the end, and the header if it is not there.

        :param content_id: 16 bytes that stand for the content, where they were not known beforehand.
        """
        self._end_table()
        directory = layout.to_disk(self._directory)
        directory = directory.ljust(round_up(len(directory), SECTOR), b"\0")
        self._marker(layout.MARKER_GRAIN_DIRECTORY, len(directory) // SECTOR)
        at = self._sink.size // SECTOR
        self._sink.write([directory])
        self._marker(layout.MARKER_FOOTER, 1)
        self._sink.write([self._new.header(at).pack()])
        self._marker(layout.MARKER_EOS, 0)
        if not self._has_head:
            self._sink.patch(0, self._head(content_id))

    def _marker(self, kind: int, sectors: int) -> None:
        self._sink.write([layout.Marker(sectors, 0, kind).pack().ljust(SECTOR, b"\0")])
