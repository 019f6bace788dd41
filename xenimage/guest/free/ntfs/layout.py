"""Structures of NTFS that tell where its bitmap and a few files stand. Numbers are little-endian, offsets in bytes."""

from __future__ import annotations

import dataclasses
import struct
from typing import TYPE_CHECKING

from xenimage.exceptions import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BOOT_SIZE = 512
SIGNATURE_AT, SIGNATURE = 3, b"NTFS    "
STRIDE = 512
"""bytes that end with a number of the update sequence, whatever the size of a sector"""

# Records of the master file table that have fixed numbers.
MFT, LOG, VOLUME, ROOT, BITMAP = 0, 2, 3, 5, 6
FIXED = 16
"""so many records stand one behind the other at the start of the table"""

# Types of attributes.
ATTRIBUTE_LIST, VOLUME_INFORMATION, DATA, INDEX_ROOT, INDEX_ALLOCATION = 0x20, 0x70, 0x80, 0x90, 0xA0
USED, END = 0xB0, 0xFFFFFFFF

COMPRESSED, ENCRYPTED, SPARSE = 0x00FF, 0x4000, 0x8000
"""flags of an attribute"""

DIRTY = 0xC03F
"""flags of a volume that ask for a look by Windows before anybody else writes to it: the dirty bit and its kin"""

LOG_EMPTY, LOG_RESTART = b"\xff\xff\xff\xff", b"RSTR"
LOG_NO_CLIENT, LOG_CLEAN = 0xFFFF, 0x2

SHADOW_AT = 0x1E00
"""where the volume tells of shadow copies"""
SHADOW_IDENTIFIER = bytes.fromhex("6b870838 76c1 484e b7ae 04046e6cc752".replace(" ", ""))
SHADOW_CATALOG_AT = 0x30
"""from there: offset of the catalog, 0 where there is none"""
_BOOT = struct.Struct("<11xHB26xQQQb3xb")
_RECORD = struct.Struct("<4sHHQHHHHIIQ")
_ATTRIBUTE = struct.Struct("<IIBBHHH")
_START = struct.Struct("<IIB")
_FLAGS_AT = 0x16
_RESIDENT = struct.Struct("<IH")
_AWAY = struct.Struct("<QQHH4xQQQ")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Boot:
    """The first sector of the volume."""

    sector_size: int
    cluster_size: int
    clusters: int
    """whole ones; each has a bit"""
    mft: int
    """cluster"""
    record_size: int

    @classmethod
    def parse(cls, data: bytes, size: int) -> Boot:
        """Read it.

        :param size: bytes of the volume.
        :raises FormatError: its numbers make no sense.
        """
        if data[SIGNATURE_AT : SIGNATURE_AT + 8] != SIGNATURE:
            raise FormatError("the signature of NTFS is missing")
        sector, per_cluster, sectors, mft, _, per_record, _ = _BOOT.unpack_from(data)
        per_cluster = per_cluster if per_cluster <= 0x80 else 1 << min(0x100 - per_cluster, 31)
        cluster = sector * per_cluster
        record = per_record * cluster if per_record > 0 else 1 << -per_record if per_record >= -16 else 0
        good = (
            sector in (512, 1024, 2048, 4096)
            and cluster in (512 << shift for shift in range(13))
            and record in (512 << shift for shift in range(8))
            and 0 < sectors * sector <= size
            and mft * cluster < sectors * sector
        )
        if not good:
            raise FormatError("the numbers in its boot sector contradict each other or the size of the volume")
        return cls(
            sector_size=sector,
            cluster_size=cluster,
            clusters=sectors * sector // cluster,
            mft=mft,
            record_size=record,
        )


def mended(data: bytes, signature: bytes) -> bytes:
    """Return a record or an index block with the ends of its sectors put back where the update sequence keeps them.

    :raises FormatError: it is not *signature*, or was written in part only.
    """
    if data[:4] != signature:
        raise FormatError(f"a record begins with {data[:4]!r}", expected=repr(signature))
    place, count = struct.unpack_from("<HH", data, 4)
    if count != len(data) // STRIDE + 1 or place % 2 or not 0x1E <= place <= STRIDE - 2 * count:
        raise FormatError("the update sequence of a record does not fit it")
    whole = bytearray(data)
    sequence = data[place : place + 2 * count]
    for number in range(1, count):
        end = number * STRIDE
        if whole[end - 2 : end] != sequence[:2]:
            raise FormatError("a record was written in part only")
        whole[end - 2 : end] = sequence[2 * number : 2 * number + 2]
    return bytes(whole)


@dataclasses.dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute of a record, or the part of one that a record holds."""

    type: int
    name: str
    flags: int
    value: bytes | None
    """what it holds; None where that stands in clusters"""
    first: int = 0
    """the cluster of the attribute that :attr:`runs` begins with"""
    size: int = 0
    runs: tuple[tuple[int | None, int], ...] = ()
    """first cluster on the volume, None for a hole; and how many"""

    @property
    def plain(self) -> bool:
        """Whether its clusters hold its bytes as they are."""
        return not self.flags & (COMPRESSED | ENCRYPTED | SPARSE)


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """A record of the master file table."""

    number: int
    sequence: int
    """how often it was used anew"""
    links: int
    """names that it has in directories; a short one beside a long one counts, too"""
    in_use: bool
    base: int
    """the record that this one continues; 0 if none"""
    attributes: tuple[Attribute, ...]

    def find(self, kind: int, name: str = "") -> list[Attribute]:
        """Its attributes of one type and name."""
        return [each for each in self.attributes if each.type == kind and each.name == name]


def parse_record(data: bytes, number: int, clusters: int) -> Record:
    """Read a record.

    :param clusters: of the volume.
    :raises FormatError: it is damaged.
    """
    whole = mended(data, b"FILE")
    _, _, _, _, sequence, links, at, flags, used, _, base = _RECORD.unpack_from(whole)
    if used > len(whole):
        raise FormatError(f"{used} bytes of record {number} are in use, of {len(whole)}")
    attributes: list[Attribute] = []
    while at + 4 <= used:
        if whole[at : at + 4] == b"\xff\xff\xff\xff":
            return Record(number, sequence, links, bool(flags & 1), base & 0xFFFFFFFFFFFF, tuple(attributes))
        if at + 24 > used:
            break
        length = struct.unpack_from("<I", whole, at + 4)[0]
        if length < 24 or length % 8 or at + length > used:
            raise FormatError(f"an attribute of record {number} has {length} bytes")
        attributes.append(_parse_attribute(whole[at : at + length], clusters))
        at += length
    raise FormatError(f"the attributes of record {number} have no end")


def _parse_attribute(data: bytes, clusters: int) -> Attribute:
    kind, _, away, name_length, name_at, flags, _ = _ATTRIBUTE.unpack_from(data)
    raw = data[name_at : name_at + 2 * name_length]
    if len(raw) != 2 * name_length:
        raise FormatError("the name of an attribute is cut off")
    name = raw.decode("utf-16-le", "replace")
    if not away:
        length, place = _RESIDENT.unpack_from(data, 16)
        if place + length > len(data):
            raise FormatError("the value of an attribute is cut off")
        return Attribute(kind, name, flags, data[place : place + length], size=length)
    if len(data) < 64:
        raise FormatError("an attribute is cut off")
    first, last, place, _, _, size, _ = _AWAY.unpack_from(data, 16)
    runs = tuple(_parse_runs(data[place:], clusters))
    if sum(count for _, count in runs) != last - first + 1 & 0xFFFFFFFFFFFFFFFF:
        raise FormatError("the runs of an attribute are not as long as it says")
    return Attribute(kind, name, flags, None, first, 0 if first else size, runs)


def _parse_runs(data: bytes, clusters: int) -> list[tuple[int | None, int]]:
    runs: list[tuple[int | None, int]] = []
    at, cluster = 0, 0
    while at < len(data) and data[at]:
        count_size, step_size = data[at] & 15, data[at] >> 4
        end = at + 1 + count_size + step_size
        count = int.from_bytes(data[at + 1 : at + 1 + count_size], "little")
        step = int.from_bytes(data[at + 1 + count_size : end], "little", signed=True)
        if end > len(data) or not 0 < count <= clusters or count_size > 8 or step_size > 8:
            raise FormatError("a run of clusters is damaged")
        if step_size:
            cluster += step
            if not 0 <= cluster <= clusters - count:
                raise FormatError("a run of clusters lies outside of the volume")
        runs.append((cluster if step_size else None, count))
        at = end
    return runs


def record_runs(data: bytes, clusters: int) -> Iterator[tuple[int, int]]:
    """Yield (first, behind the last) clusters of everything that a record describes, without the rest of it.

    :raises FormatError: the record is damaged.
    """
    if not data[_FLAGS_AT] & 1:
        return
    whole = mended(data, b"FILE")
    at, used = struct.unpack_from("<H", whole, 0x14)[0], struct.unpack_from("<I", whole, 0x18)[0]
    while at + 24 <= min(used, len(whole)):
        kind, length, away = _START.unpack_from(whole, at)
        if kind == END:
            return
        if length < 24 or at + length > used:
            break
        if away:
            if length < 64:
                break
            place = at + struct.unpack_from("<H", whole, at + 32)[0]
            for cluster, count in _parse_runs(whole[place : at + length], clusters):
                if cluster is not None:
                    yield cluster, cluster + count
        at += length
    # The mark of the end has four bytes, and may be the last thing of a record.
    if whole[at : at + 4] != b"\xff\xff\xff\xff":
        raise FormatError("the attributes of a record have no end")


def log_closed(pages: Sequence[bytes]) -> bool:
    """Whether a log was closed, by its two restart pages: the newer one counts.

    :raises FormatError: neither can be read.
    """
    newest: tuple[int, bool] | None = None
    for page in pages:
        try:
            whole = mended(page, LOG_RESTART)
        except FormatError:
            continue
        area, _, major = struct.unpack_from("<HhH", whole, 0x18)
        if area + 16 > len(whole):
            continue
        sequence, _, _, client, flags = struct.unpack_from("<QHHHH", whole, area)
        # Version 2 is that of Windows' fast start: the newest changes are in its hibernation file.
        closed = major == 1 and (client == LOG_NO_CLIENT or bool(flags & LOG_CLEAN))
        # Of two equal ones the one counts that was not closed.
        if newest is None or (sequence, newest[1]) > (newest[0], closed):
            newest = sequence, closed
    if newest is None:
        raise FormatError("its log has no restart page that can be read")
    return newest[1]


def list_entries(data: bytes) -> Iterator[tuple[int, str, int, int]]:
    """Yield (type, name, first cluster, number of the record) of each part in an attribute list.

    :raises FormatError: it is damaged.
    """
    at = 0
    while at < len(data):
        if at + 26 > len(data):
            raise FormatError("an attribute list is cut off")
        kind, length, name_length, name_at, first, record = struct.unpack_from("<IHBBQQ", data, at)
        if length < 26 or at + length > len(data) or name_at + 2 * name_length > length:
            raise FormatError("an attribute list is damaged")
        name = data[at + name_at : at + name_at + 2 * name_length].decode("utf-16-le", "replace")
        yield kind, name, first, record & 0xFFFFFFFFFFFF
        at += length


def index_entries(node: bytes) -> Iterator[tuple[int, int, str]]:
    """Yield (number of the record, its sequence number, name) of the entries of a directory's node.

    :param node: from its header on.
    :raises FormatError: it is damaged.
    """
    at, used = struct.unpack_from("<II", node)
    if used > len(node):
        raise FormatError("a directory is damaged")
    while at + 16 <= used:
        reference, length, key_length, flags = struct.unpack_from("<QHHH", node, at)
        if flags & 2:
            return
        if length < 16 + key_length or key_length < 66 or at + length > used:
            break
        name_length = node[at + 16 + 64]
        name = node[at + 16 + 66 : at + 16 + 66 + 2 * name_length]
        yield reference & 0xFFFFFFFFFFFF, reference >> 48, name.decode("utf-16-le", "replace")
        at += length
    raise FormatError("a directory is damaged")
