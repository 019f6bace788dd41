"""A small qcow2 writer of its own: every form of cluster that the format knows, where the test wants it.

It shares no code with the reader. Reference counts are left out, because readers do not need them.
"""

from __future__ import annotations

import dataclasses
import struct
import zlib
from typing import TYPE_CHECKING, Literal

import zstandard

from tests.builders.pattern import pattern

if TYPE_CHECKING:
    import pathlib

Form = Literal["absent", "plain", "packed", "zero", "zero-allocated"] | tuple[int, int]
"""What stands in a cluster; two numbers are the bitmaps (allocated, zero) of its subclusters, first one lowest"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class State:
    """A disk's content: the active one, or that of a snapshot."""

    size: int
    forms: tuple[Form, ...] = ()
    """of the clusters from 0 on; the rest is absent"""
    seed: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Taken:
    """A snapshot."""

    identity: str
    name: str
    state: State
    vm_state_size: int = 0
    extra: bytes | None = None
    """instead of the usual 16 bytes"""


@dataclasses.dataclass(kw_only=True, eq=False)
class Image:
    """What to build. :meth:`build` gives the file; then the positions of its parts are known."""

    state: State
    cluster_bits: int = 16
    version: int = 3
    compression: int = 0
    extended: bool = False
    incompatible: int = 0
    compatible: int = 0
    encryption: int = 0
    backing: bytes = b""
    extensions: tuple[tuple[int, bytes], ...] = ()
    taken: tuple[Taken, ...] = ()
    header_length: int | None = None
    shared: bool = False
    """whether states share the clusters that have one content, as those of snapshots do"""

    def __post_init__(self) -> None:
        self.cluster_size = 1 << self.cluster_bits
        self.at: dict[str, int] = {}
        """offsets: refcount, snapshots, extensions, backing; l1, l2, data and packed of the active state"""
        self.body = bytearray()

    def build(self) -> bytes:
        """The file's bytes."""
        self.body = bytearray(self.cluster_size)
        self.kept: dict[tuple[int, Form, int], tuple[int, int]] = {}
        self.at["refcount"] = self._append(bytes(self.cluster_size))
        l1_offset, l1_entries = self._add_state(self.state, "")
        table = b"".join(self._snapshot(taken) for taken in self.taken)
        self.at["snapshots"] = self._append(table) if table else 0
        head = self._header(l1_offset, l1_entries)
        self.body[: len(head)] = head
        return bytes(self.body)

    def write(self, path: pathlib.Path) -> pathlib.Path:
        """Build into a file."""
        path.write_bytes(self.build())
        return path

    def _append(self, data: bytes) -> int:
        """Put *data* at the next cluster; its offset."""
        self.body += bytes(-len(self.body) % self.cluster_size)
        offset = len(self.body)
        self.body += data + bytes(-len(data) % self.cluster_size)
        return offset

    def _add_state(self, state: State, prefix: str) -> tuple[int, int]:
        entry_size = 16 if self.extended else 8
        per_table = self.cluster_size // entry_size
        clusters = -(-state.size // self.cluster_size)
        entries = [self._cluster(state, index, prefix) for index in range(min(len(state.forms), clusters))]
        l1 = []
        for first in range(0, clusters, per_table):
            table = entries[first : first + per_table]
            if not any(any(entry) for entry in table):
                l1.append(0)
                continue
            words = b"".join(struct.pack(">QQ", *entry)[:entry_size] for entry in table)
            offset = self._append(words.ljust(self.cluster_size, b"\0"))
            self.at.setdefault(prefix + "l2", offset)
            l1.append(offset | 1 << 63)
        l1_offset = self._append(struct.pack(f">{len(l1)}Q", *l1))
        self.at[prefix + "l1"] = l1_offset
        return l1_offset, len(l1)

    def _cluster(self, state: State, index: int, prefix: str) -> tuple[int, int]:
        """The L2 entry and bitmap of a cluster, its content stored on the way."""
        key = index, state.forms[index], state.seed
        if not self.shared:
            return self._new_cluster(state, index, prefix)
        if key not in self.kept:
            self.kept[key] = self._new_cluster(state, index, prefix)
        return self.kept[key]

    def _new_cluster(self, state: State, index: int, prefix: str) -> tuple[int, int]:
        form = state.forms[index]
        content = pattern(index * self.cluster_size, self.cluster_size, state.seed)
        everything = 0xFFFFFFFF
        if form == "absent":
            return 0, 0
        if form == "packed":
            return self._pack(content, prefix), 0
        if form == "zero":
            return (0, everything << 32) if self.extended else (1, 0)
        offset = self._append(content)
        self.at.setdefault(prefix + "data", offset)
        if isinstance(form, tuple):
            return offset | 1 << 63, form[0] | form[1] << 32
        if form == "zero-allocated":
            return (offset | 1 << 63, everything << 32) if self.extended else (offset | 1 << 63 | 1, 0)
        return offset | 1 << 63, everything

    def _pack(self, content: bytes, prefix: str) -> int:
        if self.compression == 1:
            packed = zstandard.ZstdCompressor().compress(content)
        else:
            deflater = zlib.compressobj(6, zlib.DEFLATED, -12)
            packed = deflater.compress(content) + deflater.flush()
        # Like QEMU: right behind what is there, in the middle of a sector.
        offset = len(self.body)
        self.body += packed
        units = (offset + len(packed) - 1) // 512 - offset // 512
        self.at.setdefault(prefix + "packed", offset)
        return 1 << 62 | units << (62 - (self.cluster_bits - 8)) | offset

    def _snapshot(self, taken: Taken) -> bytes:
        l1_offset, l1_entries = self._add_state(taken.state, f"{taken.identity}.")
        identity, name = taken.identity.encode(), taken.name.encode()
        extra = taken.extra
        if extra is None:
            extra = struct.pack(">QQ", taken.vm_state_size, taken.state.size)
        head = struct.pack(
            ">QIHHIIQII",
            l1_offset,
            l1_entries,
            len(identity),
            len(name),
            1_700_000_000,
            5,
            0,
            min(taken.vm_state_size, 0xFFFFFFFF),
            len(extra),
        )
        entry = head + extra + identity + name
        return entry + bytes(-len(entry) % 8)

    def _header(self, l1_offset: int, l1_entries: int) -> bytes:
        length = self.header_length
        if length is None:
            length = 72 if self.version == 2 else 112
        self.at["extensions"] = length
        extensions = b"".join(
            struct.pack(">II", kind, len(content)) + content + bytes(-len(content) % 8)
            for kind, content in self.extensions
        )
        extensions += bytes(8)
        self.at["backing"] = length + len(extensions) if self.backing else 0
        head = struct.pack(
            ">4sIQIIQIIQQIIQ",
            b"QFI\xfb",
            self.version,
            self.at["backing"],
            len(self.backing),
            self.cluster_bits,
            self.state.size,
            self.encryption,
            l1_entries,
            l1_offset,
            self.at["refcount"],
            1,
            len(self.taken),
            self.at["snapshots"],
        )
        if self.version >= 3:
            bits = self.incompatible | bool(self.compression) << 3 | self.extended << 4
            head += struct.pack(">QQQIIB", bits, self.compatible, 0, 4, length, self.compression)
        return head.ljust(length, b"\0")[:length] + extensions + self.backing


def expected(state: State, cluster_size: int) -> bytes:
    """What the disk reads as, without a parent."""
    parts = []
    for start in range(0, state.size, cluster_size):
        index = start // cluster_size
        form = state.forms[index] if index < len(state.forms) else "absent"
        content = pattern(start, cluster_size, state.seed)
        if isinstance(form, tuple):
            step = cluster_size // 32
            content = b"".join(
                content[number * step : (number + 1) * step] if form[0] >> number & 1 else bytes(step)
                for number in range(32)
            )
        elif form not in {"plain", "packed"}:
            content = bytes(cluster_size)
        parts.append(content)
    return b"".join(parts)[: state.size]
