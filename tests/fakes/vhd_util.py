"""A second reader of VHDs that shares nothing with xenimage, and judges them as blktap's ``vhd-util`` does.

In one thing it is stricter: where blocks stand wrongly beside a batmap, which blktap never notices until tapdisk
overwrites data, ``check`` says that the alignment is invalid.
"""

from __future__ import annotations

import itertools
import os
import pathlib
import struct
import tarfile
import time

SECTOR = 512
BLOCK = 2 << 20
EPOCH = 946684800
FREE = 0xFFFFFFFF
ONES = (1 << 64) - 1
LOCATOR_CODES = (0, 0x4D616320, 0x4D616358, 0x57326B75, 0x57327275, 0x57693265, 0x5769326B)
WRITTEN_CODES = (0x4D616358, 0x57326B75, 0x57327275)
_FOOTER = struct.Struct(">8sIIQI4sIIQQIII16sBB426s")
_FOOTER_NAMES = (  # noqa: SIM905
    "cookie features version data_offset timestamp app app_version app_os original size geometry type checksum uuid"
    " saved hidden reserved"
).split()
_HEADER = struct.Struct(">8sQQIIII16sII512s192s256s")
_HEADER_NAMES = (  # noqa: SIM905
    "cookie data_offset table_offset version entries block_size checksum parent_uuid parent_time reserved parent_name"
    " locators reserved_end"
).split()


class FaultError(Exception):
    """What ``check`` prints, and its exit status."""

    def __init__(self, message: str, status: int = 22) -> None:
        super().__init__(message)
        self.status = status


def up(number: int, multiple: int = SECTOR) -> int:
    return -(-number // multiple) * multiple


def ones_sum(data: bytes, field: int) -> int:
    """Checksum of a structure whose own checksum stands at *field*."""
    return ~(sum(data) - sum(data[field : field + 4])) & 0xFFFFFFFF


def geometry(size: int) -> int:
    """The specification's appendix, packed."""
    total = min(max(1, up(size) // SECTOR), 65535 * 16 * 255)
    if total >= 65535 * 16 * 63:
        return total // 255 // 16 << 16 | 16 << 8 | 255
    sectors, tracks = 17, total // 17
    heads = max(4, (tracks + 1023) // 1024)
    if tracks >= heads * 1024 or heads > 16:
        sectors, heads, tracks = 31, 16, total // 31
    if tracks >= heads * 1024:
        sectors, heads, tracks = 63, 16, total // 63
    return tracks // heads << 16 | heads << 8 | sectors


class Vhd:
    """A VHD in memory, its fields as attributes of :attr:`footer` and :attr:`header`."""

    def __init__(self, data: bytes, name: str = "x.vhd") -> None:
        self.data = data
        self.name = name
        self.front, self.back = data[:SECTOR], data[-SECTOR:]
        usable = [raw for raw in (self.back, self.front) if self.opens(raw)]
        if not usable:
            raise FaultError(f"error opening {name}: -22")
        self.footer = self.fields(_FOOTER, _FOOTER_NAMES, usable[0])
        self.header: dict = {}
        if self.footer["type"] in (3, 4):
            at = self.footer["data_offset"]
            self.raw_header = data[at : at + 1024].ljust(1024, b"\0")
            self.header = self.fields(_HEADER, _HEADER_NAMES, self.raw_header)

    @staticmethod
    def fields(form: struct.Struct, names: list[str], raw: bytes) -> dict:
        return dict(zip(names, form.unpack(raw), strict=True))

    @staticmethod
    def opens(footer: bytes) -> bool:
        """Whether a copy of the footer is good enough to be worked with."""
        return (
            len(footer) == SECTOR
            and footer[:8] == b"conectix"
            and footer[64:68] == struct.pack(">I", ones_sum(footer, 64))
        )

    @classmethod
    def footer_fault(cls, raw: bytes, now: int) -> str | None:  # noqa: C901, PLR0911, PLR0912
        """The first fault of a footer, in the order in which blktap looks."""
        if len(raw) < SECTOR or raw[:8] != b"conectix":
            return "invalid cookie"
        footer = cls.fields(_FOOTER, _FOOTER_NAMES, raw)
        if footer["checksum"] != ones_sum(raw, 64):
            return "invalid checksum"
        if not footer["features"] & 2:
            return "invalid 'reserved' feature"
        if footer["features"] & ~3:
            return "invalid extra features"
        if footer["version"] != 0x00010000:
            return "invalid file format version"
        if footer["type"] not in (3, 4) and footer["data_offset"] != ONES:
            return "invalid data offset"
        if footer["timestamp"] + EPOCH > now + 1800:
            return "creation time in future"
        if footer["app"][:3] == b"tap" and not 0x00000001 < footer["app_version"] <= 0x00010003:
            return "unsupported tap creator version"
        if footer["geometry"] > geometry(footer["size"]):
            return "geometry too large"
        if footer["type"] not in (2, 3, 4):
            return "invalid type"
        if footer["saved"] > 1:
            return "invalid 'saved' state"
        if footer["hidden"] > 1:
            return "invalid 'hidden' state"
        if any(footer["reserved"]):
            return "invalid 'reserved' bits"
        return None if any(footer["uuid"]) else "invalid (NULL) uuid"

    def header_fault(self) -> str | None:  # noqa: PLR0911
        header = self.header
        if header["cookie"] != b"cxsparse":
            return "invalid cookie"
        if header["checksum"] != ones_sum(self.raw_header, 36):
            return "invalid checksum"
        if header["version"] != 0x00010000:
            return "invalid header version"
        if header["data_offset"] != ONES:
            return "invalid data offset"
        table_end = header["table_offset"] + 4 * header["entries"]
        if not header["table_offset"] or header["table_offset"] % SECTOR or table_end > len(self.data) - SECTOR:
            return "invalid table offset"
        if header["block_size"] != BLOCK:
            return "invalid block size"
        if header["reserved"] or any(header["reserved_end"]):
            return "invalid reserved bits"
        return None

    def parent_fault(self, now: int) -> str | None:
        header = self.header
        if self.footer["type"] == 4:
            if header["parent_time"] + EPOCH > now + 1800:
                return "parent creation time in future"
            name = header["parent_name"].decode("utf-16-be", "replace").split("\0")[0]
            return None if name.isascii() else "invalid parent name"
        if any(header["parent_name"]):
            return "invalid non-null parent name"
        if any(header["locators"]):
            return "invalid non-null parent locators"
        if any(header["parent_uuid"]):
            return "invalid non-null parent uuid"
        return "invalid non-zero parent timestamp" if header["parent_time"] else None

    @property
    def needs_batmap(self) -> bool:
        return self.footer["app"][:3] == b"tap" and self.footer["app_version"] >= 0x00010002

    @property
    def batmap_at(self) -> int:
        return self.header["table_offset"] + up(4 * self.header["entries"])

    def batmap(self) -> bytes:
        """The map; raises if it is needed and not there, or damaged."""
        raw = self.data[self.batmap_at : self.batmap_at + SECTOR]
        cookie, offset, sectors, version, total = struct.unpack_from(">8sQIII", raw.ljust(SECTOR, b"\0"))
        bits = self.data[offset : offset + sectors * SECTOR]
        covered = SECTOR * max(1, -(-(self.footer["size"] >> 24) // SECTOR))
        sound = (
            cookie == b"tdbatmap"
            and version <= 0x00010002
            and sectors * 4096 >= self.header["entries"]
            and offset == self.batmap_at + SECTOR
            and offset + len(bits) <= len(self.data) - SECTOR
            and total == ~sum(bits[:covered]) & 0xFFFFFFFF
        )
        if not sound:
            raise FaultError("error calculating end of metadata: -22")
        return bits

    def table(self) -> tuple[int, ...]:
        count = self.header["entries"]
        return struct.unpack_from(f">{count}I", self.data, self.header["table_offset"])

    def head_end(self) -> int:
        end = max(self.footer["data_offset"] + 1024, self.batmap_at)
        if self.needs_batmap:
            end = max(end, self.batmap_at + SECTOR + len(self.batmap()))
        for code, space, _length, _reserved, offset in struct.iter_unpack(">IIIIQ", self.header["locators"]):
            if code:
                end = max(end, offset + (space if space >= SECTOR else space * SECTOR))
        return end

    def check_table(self) -> None:
        blocks = -(-self.footer["size"] // BLOCK)
        if len(self.data) % SECTOR not in (0, 511):
            raise FaultError(f"invalid file size: 0x{len(self.data):x}")
        if blocks > self.header["entries"]:
            raise FaultError("error reading bat: -22")
        end = up(self.head_end()) // SECTOR
        last = (len(self.data) - SECTOR) // SECTOR
        previous = None
        for start, block in sorted((start, block) for block, start in enumerate(self.table()) if start != FREE):
            place = f"block {block} (offset 0x{start * SECTOR:x}) clobbers"
            if start < end:
                raise FaultError(f"{place} headers")
            if start + 4097 > last:
                raise FaultError(f"{place} footer")
            if previous is not None and start < previous[0] + 4097:
                raise FaultError(f"{place} block {previous[1]} (offset 0x{previous[0] * SECTOR:x})")
            previous = start, block

    def check_batmap(self) -> None:
        if not self.needs_batmap:
            return
        bits = self.batmap()
        for block, start in enumerate(self.table()):
            if start == FREE and bits[block >> 3] & 0x80 >> (block & 7):
                raise FaultError(f"batmap shows unallocated block {block} full")

    def check_alignment(self) -> None:
        """Not blktap's: with a batmap, tapdisk writes the page that ends at a full block's bitmap."""
        starts = sorted(start for start in self.table() if start != FREE)
        if not self.needs_batmap or not starts:
            return
        first = up(self.head_end() + SECTOR, 4096) // SECTOR - 1
        if starts[0] != first:
            raise FaultError(f"alignment is invalid: first block at sector {starts[0]}, not {first}")
        for before, start in itertools.pairwise(starts):
            if start % 8 != 7 or start - before < 4104:
                raise FaultError(f"alignment is invalid: block at sector {start} behind {before}")

    def check(self, now: int | None = None) -> None:
        """Everything about this file alone.

        :raises FaultError: the first fault.
        """
        now = int(time.time()) if now is None else now
        for place, raw in (("primary", self.back), ("backup", self.front)):
            fault = self.footer_fault(raw, now)
            if fault:
                raise FaultError(f"{place} footer invalid: {fault}")
        if self.front != self.back:
            raise FaultError("primary and backup footers do not match")
        fault = self.header_fault()
        if fault:
            raise FaultError(f"header is invalid: {fault}")
        fault = self.parent_fault(now)
        if fault:
            raise FaultError(f"differencing header is invalid: {fault}")
        self.check_table()
        self.check_batmap()
        self.check_alignment()

    def stored(self) -> list[tuple[int, int, bytes]]:
        """(block, byte offset of its bitmap, bitmap) of what is stored, by place in the file."""
        starts = sorted((start * SECTOR, block) for block, start in enumerate(self.table()) if start != FREE)
        return [(block, start, self.data[start : start + SECTOR]) for start, block in starts]

    def content(self, parent: bytes = b"") -> bytes:
        """What the guest sees, sector by sector as the bitmaps say."""
        size = self.footer["size"]
        if self.footer["type"] == 2:
            return self.data[:size]
        content = bytearray(up(size, BLOCK))
        content[: len(parent)] = parent
        for block, start, bitmap in self.stored():
            body = self.data[start + SECTOR : start + SECTOR + BLOCK]
            if bitmap == b"\xff" * SECTOR:
                content[block * BLOCK : (block + 1) * BLOCK] = body
                continue
            for sector in range(4096):
                if bitmap[sector >> 3] & 0x80 >> (sector & 7):
                    at = sector * SECTOR
                    content[block * BLOCK + at : block * BLOCK + at + SECTOR] = body[at : at + SECTOR]
        return bytes(content[:size])

    def present(self) -> int:
        """The sectors that this file holds: a number whose highest bit is the first sector of the disk."""
        found = 0
        count = up(self.footer["size"], BLOCK) // SECTOR
        for block, _start, bitmap in self.stored():
            found |= int.from_bytes(bitmap, "big") << count - (block + 1) * (BLOCK // SECTOR)
        return found


def unpack_bundle(path: str | os.PathLike[str]) -> tuple[tarfile.TarInfo, bytes]:
    """The only member of a bundle."""
    (only,) = unpack_members(path)
    return only


def unpack_chain(path: str | os.PathLike[str]) -> list[Vhd]:
    """The VHDs of a bundle, the leaf first; they stand in that order."""
    found = unpack_members(path)
    assert [member.name for member, _ in found] == [f"{number}.vhd" for number in range(len(found))]
    return [Vhd(data, member.name) for member, data in found]


def contents(chain: list[Vhd]) -> list[bytes]:
    """What a guest sees on each disk of a chain, the leaf first."""
    found = [b""]
    for disk in reversed(chain):
        found.append(disk.content(found[-1]))
    return found[:0:-1]


def unpack_members(path: str | os.PathLike[str]) -> list[tuple[tarfile.TarInfo, bytes]]:
    """The members of a bundle, as Python's own tarfile and gzip read it from a pipe."""
    with open(path, "rb") as stream, tarfile.open(fileobj=stream, mode="r|gz") as archive:
        found = []
        for member in archive:
            content = archive.extractfile(member)
            assert content is not None, f"{member.name} is no regular file"
            found.append((member, content.read()))
    return found


def load(path: str) -> Vhd:
    try:
        return Vhd(pathlib.Path(path).read_bytes(), path)
    except FileNotFoundError:
        raise FaultError(f"error opening {path}: -2", 2) from None


def parent_of(path: str) -> str | None:
    """Absolute path of the parent that the locators name; None where there is none."""
    vhd = load(path)
    if vhd.footer["type"] != 4:
        return None
    for code, _space, length, _reserved, offset in struct.iter_unpack(">IIIIQ", vhd.header["locators"]):
        if code in WRITTEN_CODES:
            raw = vhd.data[offset : offset + length]
            text = raw.decode("utf-8" if code == WRITTEN_CODES[0] else "utf-16-le").removeprefix("file://")
            found = os.path.join(os.path.dirname(os.path.abspath(path)), text.replace("\\", "/"))
            if os.path.exists(found):
                return os.path.abspath(found)
            raise FaultError("query failed", 2)
    raise FaultError("query failed", 22)
