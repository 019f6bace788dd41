"""Free clusters of NTFS, by its bitmap; and the clusters of files whose content Windows makes anew when it starts.

The bitmap has no checksum, so it is held against the master file table: no cluster of any file may be free in it. And
the volume must have been closed, and nothing else may rely on what is free.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from xenimage.exceptions import FormatError, NotReadyError, UnsupportedError
from xenimage.guest.free.ntfs import layout
from xenimage.guest.free.ntfs.layout import Boot, Record
from xenimage.guest.free.ranges import Ranges, clear_runs
from xenimage.units import KIB, MIB

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.guest.free.area import Area

HIBERNATION = "hiberfil.sys"
MADE_ANEW = ("pagefile.sys", "swapfile.sys")
_DUMPS = (b"PAGEDUMP", b"PAGEDU64")
"""what a page file begins with that holds the memory of a Windows which broke down"""
_INDEX = "$I30"
_PIECE = 64 * KIB
"""bytes of a table that are looked at together"""
_LIST_MAX = 256 * KIB
"""bytes of an attribute list; more is not possible"""
_DIRECTORY_MAX = 64 * MIB
_BITMAP_MAX = 64 * MIB
"""bytes: 2 TiB in clusters of 4 KiB"""
_RECORDS_MAX = 1 << 24
_RUNS_MAX = 1 << 20
"""runs of one attribute"""


class _Content:
    """An attribute, all parts of it."""

    def __init__(self, value: bytes | None, size: int, runs: list[tuple[int | None, int]], *, plain: bool) -> None:
        self.value = value
        self.size = size
        self.runs = runs
        self.plain = plain

    def clusters(self) -> Iterator[tuple[int, int]]:
        """Yield its ranges of clusters."""
        return ((cluster, cluster + count) for cluster, count in self.runs if cluster is not None)


def free_ranges(area: Area, most: int) -> Ranges:
    """Find the free bytes of the volume in *area*, and those of page files.

    :param most: ranges that are kept.
    :raises NotReadyError: it was not closed, or Windows is hibernated.
    :raises UnsupportedError: shadow copies rely on what is free.
    :raises FormatError: it is damaged.
    """
    volume = _Volume(area)
    volume.require_closed()
    volume.require_no_shadows()
    anew = volume.made_anew()
    found, size = Ranges(most), volume.boot.cluster_size
    for start, stop in heapq.merge(volume.free(), anew):
        found.add(start * size, stop * size)
    return found


class _Volume:
    """A volume whose boot sector makes sense."""

    def __init__(self, area: Area) -> None:
        self._area = area
        self.boot = Boot.parse(area.read(0, layout.BOOT_SIZE), area.size)
        self._mft = [(self.boot.mft, -(-layout.FIXED * self.boot.record_size // self.boot.cluster_size))]
        table = self._content(self._record(layout.MFT), layout.DATA)
        if not table.runs or table.runs[0][0] != self.boot.mft:
            raise FormatError("the boot sector and the master file table disagree about where that stands")
        self._mft = [(cluster, count) for cluster, count in table.runs if cluster is not None]

    # Reading

    def _clusters(self, runs: list[tuple[int, int]], offset: int, length: int) -> bytes:
        """Bytes of what stands in *runs*."""
        size, parts, before = self.boot.cluster_size, [], 0
        for cluster, count in runs:
            first, last = max(offset, before), min(offset + length, before + count * size)
            if first < last:
                parts.append(self._area.read(cluster * size + first - before, last - first))
            before += count * size
        data = b"".join(parts)
        if len(data) != length:
            raise FormatError(f"{length} bytes at {offset:#x} of a file are not there")
        return data

    def _record(self, number: int) -> Record:
        size = self.boot.record_size
        data = self._clusters(self._mft, number * size, size)
        try:
            return layout.parse_record(data, number, self.boot.clusters)
        except FormatError as error:
            raise error.within(f"record {number} of the master file table") from None

    def _content(self, record: Record, kind: int, name: str = "") -> _Content:
        """An attribute of a file, from all records that hold a part of it.

        :raises FormatError: there is none, or a part of it is missing.
        """
        parts = record.find(kind, name)
        for number in self._further(record, kind, name):
            other = self._record(number)
            if not other.in_use or other.base != record.number:
                raise FormatError(f"record {number} does not continue record {record.number}")
            parts += other.find(kind, name)
        if not parts:
            raise FormatError(f"record {record.number} has no attribute {kind:#x}")
        parts.sort(key=lambda part: part.first)
        if len(parts) == 1 and parts[0].value is not None:
            return _Content(parts[0].value, parts[0].size, [], plain=parts[0].plain)
        runs: list[tuple[int | None, int]] = []
        clusters = 0
        for part in parts:
            if part.value is not None or part.first != clusters:
                raise FormatError(f"a part of attribute {kind:#x} of record {record.number} is missing")
            runs += part.runs
            clusters += sum(count for _, count in part.runs)
            if len(runs) > _RUNS_MAX:
                raise UnsupportedError(f"a file of it is in more than {_RUNS_MAX} pieces")
        return _Content(None, parts[0].size, runs, plain=parts[0].plain)

    def _further(self, record: Record, kind: int, name: str) -> list[int]:
        """Numbers of the other records that hold a part of an attribute."""
        lists = record.find(layout.ATTRIBUTE_LIST)
        if not lists:
            return []
        value = lists[0].value
        if value is None:
            if lists[0].size > _LIST_MAX:
                raise FormatError(f"the attribute list of record {record.number} has {lists[0].size} bytes")
            value = self._clusters(_there(lists[0].runs), 0, lists[0].size)
        found = {
            number
            for part_kind, part_name, _, number in layout.list_entries(value)
            if part_kind == kind and part_name == name and number != record.number
        }
        return sorted(found)

    def _head(self, content: _Content, length: int) -> bytes:
        """At most the first *length* bytes."""
        length = min(length, content.size)
        if content.value is not None:
            return content.value[:length]
        return self._clusters(_there(content.runs), 0, length)

    # State

    def require_closed(self) -> None:
        """Refuse a volume that was not closed.

        :raises NotReadyError: its flag says so, or its log.
        """
        information = self._content(self._record(layout.VOLUME), layout.VOLUME_INFORMATION).value
        if information is None or len(information) < 12:
            raise FormatError("the information of the volume is cut off")
        flags = int.from_bytes(information[10:12], "little")
        if flags & layout.DIRTY:
            raise NotReadyError(f"it is marked for a check (flags {flags:#x})")
        log = self._content(self._record(layout.LOG), layout.DATA)
        head = self._head(log, 2 * _PIECE)
        if head.startswith(layout.LOG_EMPTY) and head == b"\xff" * len(head):
            return
        page = int.from_bytes(head[0x10:0x14], "little") if head.startswith(layout.LOG_RESTART) else 4 * KIB
        if page not in (512 << shift for shift in range(8)) or not layout.log_closed((head[:page], head[page:][:page])):
            raise NotReadyError("its log was not closed")

    def require_no_shadows(self) -> None:
        """Refuse a volume of which Windows keeps earlier states: in what is free today, too.

        :raises UnsupportedError: it has shadow copies.
        """
        head = self._area.read(layout.SHADOW_AT, 0x40)
        catalog = head[layout.SHADOW_CATALOG_AT : layout.SHADOW_CATALOG_AT + 8]
        if head.startswith(layout.SHADOW_IDENTIFIER) and any(catalog):
            raise UnsupportedError("it has shadow copies, which need what is free now")

    def made_anew(self) -> list[tuple[int, int]]:
        """The clusters of files whose content nobody needs, in order.

        :raises NotReadyError: somebody does: Windows is hibernated, or broke down.
        """
        found: list[tuple[int, int]] = []
        for name, record in self._wanted().items():
            content = self._content(record, layout.DATA)
            head = self._head(content, 8)
            if name == HIBERNATION and any(head[:4]):
                raise NotReadyError("Windows is hibernated (hiberfil.sys is in use)")
            if head in _DUMPS:
                raise NotReadyError("Windows has not saved its crash dump yet (pagefile.sys holds it)")
            # By another name it may be a file of somebody's, whatever this one is called.
            if content.plain and record.links == 1:
                found += content.clusters()
        found.sort()
        return found

    def _wanted(self) -> dict[str, Record]:
        """The records of those files in the root directory that are not treated as others."""
        found: dict[str, Record] = {}
        for number, sequence, name in self._root_entries():
            bare = name.lower()
            if bare == HIBERNATION or bare in MADE_ANEW:
                record = self._record(number)
                if not record.in_use or record.sequence != sequence or record.base:
                    raise FormatError(f"the directory's entry {bare} leads nowhere")
                found[bare] = record
        return found

    def _root_entries(self) -> Iterator[tuple[int, int, str]]:
        root = self._record(layout.ROOT)
        head = self._content(root, layout.INDEX_ROOT, _INDEX).value
        if head is None or len(head) < 32:
            raise FormatError("the root directory is cut off")
        yield from layout.index_entries(head[16:])
        if not root.find(layout.INDEX_ALLOCATION, _INDEX) and not root.find(layout.ATTRIBUTE_LIST):
            return
        blocks = self._content(root, layout.INDEX_ALLOCATION, _INDEX)
        size = int.from_bytes(head[8:12], "little")
        if size not in (512 << shift for shift in range(8)) or blocks.size > _DIRECTORY_MAX:
            raise UnsupportedError(f"its root directory has {blocks.size} bytes, in blocks of {size}")
        used = self._content(root, layout.USED, _INDEX)
        bitmap = self._head(used, _DIRECTORY_MAX // 512 // 8)
        data = self._head(blocks, blocks.size)
        for number in range(blocks.size // size):
            if bitmap[number // 8 : number // 8 + 1] and bitmap[number // 8] >> number % 8 & 1:
                yield from layout.index_entries(layout.mended(data[number * size : (number + 1) * size], b"INDX")[24:])

    # Free clusters

    def free(self) -> Iterator[tuple[int, int]]:
        """Yield the ranges of free clusters.

        :raises FormatError: the bitmap is too short, or calls clusters free that are not.
        :raises UnsupportedError: it is too large to be held.
        """
        content = self._content(self._record(layout.BITMAP), layout.DATA)
        length = -(-self.boot.clusters // 8)
        if content.size < length:
            raise FormatError(f"its bitmap has {content.size} bytes", expected=f"{length}")
        if length > _BITMAP_MAX:
            raise UnsupportedError(f"its bitmap has {length} bytes, more than {_BITMAP_MAX}")
        bitmap = self._head(content, length)
        self._require_used(bitmap, 0, 1)
        for first, stop in self._described():
            self._require_used(bitmap, first, stop)
        for offset in range(0, length, _PIECE):
            first = 8 * offset
            bits = min(8 * _PIECE, self.boot.clusters - first)
            for start, stop in clear_runs(bitmap[offset : offset + _PIECE], bits):
                yield first + start, first + stop

    def _described(self) -> Iterator[tuple[int, int]]:
        """Yield the ranges of clusters of all files."""
        table = self._record(layout.MFT)
        used = self._content(table, layout.USED)
        size, total = self.boot.record_size, self._content(table, layout.DATA).size
        records = self._head(used, -(-total // size // 8) + 1)
        if total // size > _RECORDS_MAX:
            raise UnsupportedError(f"it has room for {total // size} files, more than {_RECORDS_MAX}")
        piece = max(_PIECE, size)
        for offset in range(0, total // size * size, piece):
            data = self._clusters(self._mft, offset, min(piece, total // size * size - offset))
            for at in range(0, len(data), size):
                number = (offset + at) // size
                if data[at : at + 4] == b"FILE":
                    yield from layout.record_runs(data[at : at + size], self.boot.clusters)
                elif records[number // 8 : number // 8 + 1] and records[number // 8] >> number % 8 & 1:
                    raise FormatError(f"record {number} of the master file table is in use, and damaged")

    def _require_used(self, bitmap: bytes, first: int, stop: int) -> None:
        """Hold clusters of a file against the bitmap.

        :raises FormatError: it calls one of them free.
        """
        start, end = first // 8, -(-stop // 8)
        if bitmap.count(b"\xff", start, end) == end - start:
            return
        bits = int.from_bytes(bitmap[start:end], "little") >> first - 8 * start
        wanted = (1 << stop - first) - 1
        if bits & wanted != wanted:
            raise FormatError("its bitmap calls clusters free that belong to a file")


def _there(runs: list[tuple[int | None, int]] | tuple[tuple[int | None, int], ...]) -> list[tuple[int, int]]:
    """*runs*, none of which may be a hole."""
    found = [(cluster, count) for cluster, count in runs if cluster is not None]
    if len(found) != len(runs):
        raise FormatError("a table of the volume has holes")
    return found
