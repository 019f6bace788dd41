"""A small writer of VMDKs, made from the specification and sharing nothing with the reader.

Content is given as grains: {number: bytes of one grain, or None for a zeroed grain}. Every builder gives an
:class:`Image`: the bytes, and where in them each structure stands, for tests that damage it.
"""

from __future__ import annotations

import dataclasses
import struct
import zlib
from typing import TYPE_CHECKING

from tests.builders.pattern import pattern
from xenimage.exceptions import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Grains = Mapping[int, bytes | None]

SECTOR = 512
AT_END = 0xFFFF_FFFF_FFFF_FFFF
DESCRIPTOR_SECTORS = 20

# name: (offset, struct format) of the hosted sparse header.
FIELDS = {
    "magic": (0, "<I"), "version": (4, "<I"), "flags": (8, "<I"), "capacity": (12, "<Q"), "grainSize": (20, "<Q"),
    "descriptorOffset": (28, "<Q"), "descriptorSize": (36, "<Q"), "numGTEsPerGT": (44, "<I"), "rgdOffset": (48, "<Q"),
    "gdOffset": (56, "<Q"), "overHead": (64, "<Q"), "uncleanShutdown": (72, "<B"), "newlines": (73, "<I"),
    "compressAlgorithm": (77, "<H"),
}  # fmt: skip
COWD_FIELDS = {
    "magic": (0, "<I"), "version": (4, "<I"), "flags": (8, "<I"), "capacity": (12, "<I"), "grainSize": (16, "<I"),
    "gdOffset": (20, "<I"), "numGDEntries": (24, "<I"), "freeSector": (28, "<I"),
}  # fmt: skip
MARKER_FIELDS = {"value": (0, "<Q"), "size": (8, "<I"), "type": (12, "<I")}


@dataclasses.dataclass
class Image:
    """Bytes and the offsets of what is in them."""

    data: bytearray
    places: dict[str, int]

    def put(self, place: str, field: tuple[int, str], value: int) -> None:
        """Overwrite one field of the structure called *place*."""
        struct.pack_into(field[1], self.data, self.places[place] + field[0], value)


class BytesSource:
    """Bytes in memory as a source; counts what was read, and knows whether it was closed."""

    def __init__(self, data: bytes | bytearray, name: str = "disk.vmdk") -> None:
        self._data = bytes(data)
        self.name = name
        self.size = len(data)
        self.read_bytes = 0
        self.reads = 0
        self.closed = False

    def read_into(self, offset: int, buffer: memoryview) -> None:
        if offset < 0 or offset + len(buffer) > self.size:
            raise FormatError("outside the file", where=self.name)
        self.read_bytes += len(buffer)
        self.reads += 1
        buffer[:] = self._data[offset : offset + len(buffer)]

    def read(self, offset: int, length: int) -> bytes:
        buffer = bytearray(length)
        self.read_into(offset, memoryview(buffer))
        return bytes(buffer)

    def data(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        yield offset, min(length, self.size - offset)

    def close(self) -> None:
        self.closed = True


def flat_content(grains: Grains, capacity: int, grain: int = 128) -> bytes:
    """What the guest reads: *capacity* and *grain* in sectors."""
    out = bytearray(capacity * SECTOR)
    for number, content in grains.items():
        if content is not None:
            begin = number * grain * SECTOR
            end = min(begin + len(content), len(out))
            out[begin:end] = content[: end - begin]
    return bytes(out)


def some_grains(numbers: Iterator[int] | list[int] | range, grain: int = 128, seed: int = 0) -> dict[int, bytes | None]:
    """Grains whose content is the pattern of their place."""
    return {number: pattern(number * grain * SECTOR, grain * SECTOR, seed) for number in numbers}


def descriptor(
    create_type: str,
    extents: list[str],
    *,
    cid: str = "1234abcd",
    parent: str = "ffffffff",
    hint: str = "",
    extra: tuple[str, ...] = (),
    newline: str = "\n",
    encoding: str = "utf-8",
) -> bytes:
    """The text of a descriptor."""
    lines = ["# Disk DescriptorFile", "version=1", f"CID={cid}", f"parentCID={parent}", f'createType="{create_type}"']
    if hint:
        lines.append(f'parentFileNameHint="{hint}"')
    lines += ["", "# Extent description", *extents, "", "# The Disk Data Base", "#DDB", ""]
    lines += ['ddb.adapterType = "lsilogic"', 'ddb.virtualHWVersion = "4"', 'ddb.toolsVersion = "2147483647"', *extra]
    return (newline.join(lines) + newline).encode(encoding)


def _header(**values: int) -> bytes:
    raw = bytearray(SECTOR)
    raw[:4] = b"KDMV"
    raw[73:77] = b"\n \r\n"
    defaults = {"version": 1, "flags": 1, "grainSize": 128, "numGTEsPerGT": 512}
    for name, value in {**defaults, **values}.items():
        offset, form = FIELDS[name]
        struct.pack_into(form, raw, offset, value)
    return bytes(raw)


def _sectors(size: int) -> int:
    return -(-size // SECTOR)


def _padded(raw: bytes) -> bytes:
    return raw.ljust(_sectors(len(raw)) * SECTOR, b"\0")


def _tables(capacity: int, grain: int, entries: int) -> int:
    return -(-capacity // (grain * entries))


def hosted(
    grains: Grains,
    capacity: int,
    *,
    grain: int = 128,
    text: bytes | None = None,
    redundant: bool = True,
    zeroed: bool = False,
    order: list[int] | None = None,
    **values: int,
) -> Image:
    """A plain hosted sparse extent; all grain tables are there, as VMware and qemu write them.

    :param text: descriptor to embed; none for a piece of a split disk.
    :param order: the order in which the grains stand in the file.
    :param values: header fields that shall differ.
    """
    count = _tables(capacity, grain, 512)
    places = {"header": 0, "descriptor": SECTOR}
    position = 1
    if text is not None:
        assert len(text) <= DESCRIPTOR_SECTORS * SECTOR
        position += DESCRIPTOR_SECTORS
    gd_sectors = _sectors(count * 4)
    starts = {}
    for name in ("rgd", "gd") if redundant else ("gd",):
        starts[name] = position
        places[name] = position * SECTOR
        places[name + ".table"] = (position + gd_sectors) * SECTOR
        position += gd_sectors + 4 * count
    overhead = -(-position // grain) * grain
    entries = [0] * (count * 512)
    body = bytearray()
    for number in order or sorted(grains):
        content = grains[number]
        if content is None:
            entries[number] = 1
            continue
        places[f"grain{number}"] = overhead * SECTOR + len(body)
        entries[number] = overhead + len(body) // SECTOR
        body += content.ljust(grain * SECTOR, b"\0")
    flags = 1 | (2 if redundant else 0) | (4 if zeroed else 0)
    fields = {
        "version": 2 if zeroed else 1, "flags": flags, "capacity": capacity, "grainSize": grain,
        "descriptorOffset": 1 if text is not None else 0,
        "descriptorSize": DESCRIPTOR_SECTORS if text is not None else 0,
        "rgdOffset": starts.get("rgd", 0), "gdOffset": starts["gd"], "overHead": overhead, **values,
    }  # fmt: skip
    out = bytearray(_header(**fields))
    if text is not None:
        out += text.ljust(DESCRIPTOR_SECTORS * SECTOR, b"\0")
    for start in starts.values():
        tables = [start + gd_sectors + 4 * index for index in range(count)]
        out += _padded(struct.pack(f"<{count}I", *tables)) + struct.pack(f"<{len(entries)}I", *entries)
    return Image(out.ljust(overhead * SECTOR, b"\0") + body, places)


def monolithic(grains: Grains, capacity: int, **options: object) -> Image:
    """A monolithicSparse disk in one file."""
    text = options.pop("text", None) or descriptor("monolithicSparse", [f'RW {capacity} SPARSE "disk.vmdk"'])
    return hosted(grains, capacity, text=text, **options)  # type: ignore[arg-type]


def marker(kind: int, sectors: int) -> bytes:
    """The 512 bytes of a marker."""
    return struct.pack("<QII", sectors, 0, kind).ljust(SECTOR, b"\0")


def stored_grain(number: int, content: bytes, grain: int = 128) -> bytes:
    """A deflated grain with its header, padded to sectors."""
    packed = zlib.compress(content, 1)
    return _padded(struct.pack("<QI", number * grain, len(packed)) + packed)


class _Stream:
    """Writes the grains and tables of a stream-optimized file, one grain table after its grains."""

    def __init__(self, capacity: int, grain: int, start: int) -> None:
        self.capacity, self.grain = capacity, grain
        self.start = start
        self.body = bytearray()
        self.places: dict[str, int] = {}

    @property
    def sector(self) -> int:
        return self.start + len(self.body) // SECTOR

    def note(self, name: str) -> None:
        self.places[name] = self.sector * SECTOR

    def write(self, grains: Grains, padding: int, *, tables: bool) -> list[list[int]]:
        """Write the grains; the entries by table. With *tables*, each table follows its grains: its sector first."""
        count = _tables(self.capacity, self.grain, 512)
        found = []
        for table in range(count):
            entries = [0] * 512
            for index in range(512):
                number = table * 512 + index
                content = grains.get(number)
                if content is not None:
                    self.note(f"grain{number}")
                    entries[index] = self.sector
                    self.body += stored_grain(number, content, self.grain)
                elif number in grains:
                    entries[index] = 1
            if tables and any(entries):
                self.body += bytes(padding * SECTOR)
                padding = 0
                self.note(f"marker.gt{table}")
                self.body += marker(1, 4)
                self.note(f"gt{table}")
                found.append([self.sector])
                self.body += struct.pack("<512I", *entries)
            else:
                found.append([0] if tables else entries)
        return found


def stream(
    grains: Grains,
    capacity: int,
    *,
    grain: int = 128,
    text: bytes | None = None,
    padding: int = 0,
    zeroed: bool = False,
    footer: dict[str, int] | None = None,
    **values: int,
) -> Image:
    """A stream-optimized disk as VMware writes it: tables, directory, footer and end marker at the end.

    :param padding: sectors of zeros in front of the first table, as Xen Orchestra leaves them.
    :param footer: fields that differ in the footer.
    """
    text = text or descriptor("streamOptimized", [f'RW {capacity} SPARSE "disk.vmdk"'])
    overhead = -(-(1 + DESCRIPTOR_SECTORS) // grain) * grain
    writer = _Stream(capacity, grain, overhead)
    directory = [sector for (sector,) in writer.write(grains, padding, tables=True)]
    writer.note("marker.gd")
    writer.body += marker(2, _sectors(len(directory) * 4))
    writer.note("gd")
    gd_offset = writer.sector
    writer.body += _padded(struct.pack(f"<{len(directory)}I", *directory))
    fields = {
        "version": 3, "flags": 0x30001 | (4 if zeroed else 0), "capacity": capacity, "grainSize": grain,
        "descriptorOffset": 1, "descriptorSize": DESCRIPTOR_SECTORS, "overHead": overhead, "compressAlgorithm": 1,
        **values,
    }  # fmt: skip
    writer.note("marker.footer")
    writer.body += marker(3, 1)
    writer.note("footer")
    writer.body += _header(**{**fields, "gdOffset": gd_offset, **(footer or {})})
    writer.note("marker.eos")
    writer.body += marker(0, 0)
    head = _header(**{"gdOffset": AT_END, **fields}) + text.ljust(DESCRIPTOR_SECTORS * SECTOR, b"\0")
    places = {"header": 0, "descriptor": SECTOR, **writer.places}
    return Image(bytearray(head.ljust(overhead * SECTOR, b"\0")) + writer.body, places)


def stream_front(
    grains: Grains,
    capacity: int,
    *,
    grain: int = 128,
    text: bytes | None = None,
    eos: bool = False,
    **values: int,
) -> Image:
    """A stream-optimized disk as qemu and open-vmdk write it: both directories and all tables in front."""
    text = text or descriptor("streamOptimized", [f'RW {capacity} SPARSE "disk.vmdk"'])
    head = hosted(
        {}, capacity, grain=grain, text=text,
        **{"version": 3, "flags": 0x30003, "compressAlgorithm": 1, **values},  # type: ignore[arg-type]
    )  # fmt: skip
    writer = _Stream(capacity, grain, len(head.data) // SECTOR)
    entries = [entry for table in writer.write(grains, 0, tables=False) for entry in table]
    for name in ("rgd.table", "gd.table"):
        struct.pack_into(f"<{len(entries)}I", head.data, head.places[name], *entries)
    if eos:
        writer.body += marker(0, 0)
    return Image(head.data + writer.body, {**head.places, **writer.places})


def cowd(grains: Grains, capacity: int, *, grain: int = 1, **values: int) -> Image:
    """An ESX copy-on-write extent; only tables that hold something are there."""
    count = _tables(capacity, grain, 4096)
    places = {"header": 0, "gd": 4 * SECTOR}
    position = 4 + _sectors(count * 4)
    directory = [0] * count
    tables: dict[int, list[int]] = {}
    for number in sorted(grains):
        tables.setdefault(number // 4096, [0] * 4096)
    for index in tables:
        directory[index] = position
        places[f"gt{index}"] = position * SECTOR
        position += 32
    body = bytearray()
    for number in sorted(grains):
        content = grains[number]
        assert content is not None
        places[f"grain{number}"] = position * SECTOR + len(body)
        tables[number // 4096][number % 4096] = position + len(body) // SECTOR
        body += content.ljust(grain * SECTOR, b"\0")
    head = bytearray(4 * SECTOR)
    head[:4] = b"COWD"
    fields = {
        "version": 1, "flags": 3, "capacity": capacity, "grainSize": grain, "gdOffset": 4, "numGDEntries": count,
        "freeSector": position + len(body) // SECTOR, **values,
    }  # fmt: skip
    for name, value in fields.items():
        offset, form = COWD_FIELDS[name]
        struct.pack_into(form, head, offset, value)
    head += _padded(struct.pack(f"<{count}I", *directory))
    for table in tables.values():
        head += struct.pack("<4096I", *table)
    return Image(head + body, places)
