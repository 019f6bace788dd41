"""The chunks behind ``ova.xml``: one pass over the tar, each member held against the rules of an XVA.

A chunk's number counts mebibytes and the empty chunks ("keep-alives") that a writer puts in when it has nothing to say,
so that a place on the disk follows only from all chunks in front of it. Source: xen-api, ocaml/xapi/stream_vdi.ml
(write_block, recv_all_vdi).
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from xenimage.containers.xva.layout import CHUNK, LARGEST_NUMBER, OLD_TABLE, SUMS, Name, Sum, chunk_name, parse_name
from xenimage.exceptions import FormatError, UnsafeError, XenimageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from xenimage.containers.archive import Archive, Stream
    from xenimage.limits import Limits
    from xenimage.model.report import Member

_TRUNCATED = "The file is truncated: compare its size with the original and transfer it again."
_PADDING = 1 << 20
"""bytes of zeros behind the end that are taken for the rest of a tape's record"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chunk:
    """A chunk, with its sums."""

    reference: str
    """of its disk"""
    number: int
    position: int
    """bytes on the disk"""
    offset: int
    """of its data in the archive"""
    size: int
    """bytes; 0 for a keep-alive"""
    sums: tuple[tuple[Sum, bytes], ...]
    data: bytes
    """where it was kept; else empty"""

    @property
    def name(self) -> str:
        """Of its member."""
        return chunk_name(self.reference, self.number)


@dataclasses.dataclass(kw_only=True)
class _Disk:
    """The disk whose chunks are passing."""

    reference: str
    size: int
    number: int = -1
    """of the latest chunk"""
    position: int = 0
    """on the disk, behind it"""
    end: int = 0
    """in the archive, behind it"""


@dataclasses.dataclass(kw_only=True)
class _Open:
    """A chunk whose sums may follow."""

    member: Member
    number: int
    position: int
    reference: str
    data: bytes
    sums: dict[str, tuple[Sum, bytes]] = dataclasses.field(default_factory=dict)


class Walk:
    """One pass over the members behind ``ova.xml``.

    :param members: of the tar, begun behind ``ova.xml``.
    :param sizes: of the disks, by reference; what else is in the archive belongs to nothing.
    :param keep: whether the chunks' data are read as they pass.
    """

    def __init__(
        self,
        stream: Stream,
        members: Iterator[Member],
        archive: Archive,
        sizes: Mapping[str, int],
        limits: Limits,
        *,
        keep: bool,
    ) -> None:
        self._stream = stream
        self._members = members
        self._archive = archive
        self._sizes = sizes
        self._limits = limits
        self._keep = keep
        self._keepalives = 0
        self._disk: _Disk | None = None
        self._chunk: _Open | None = None
        self.passed: dict[str, None] = {}
        """references of the disks that came, in their order"""

    def chunks(self) -> Iterator[Chunk]:
        """Yield the chunks, keep-alives among them, and prove in the end that everything was there.

        :raises FormatError: the archive breaks a rule. :class:`UnsafeError`: a member is no file, or leads elsewhere.
        :raises LimitError: too many members.
        """
        for member in self._members:
            name = self._checked(member)
            if name is None:
                continue
            if name.sum is not None:
                self._add_sum(member, name, name.sum)
                continue
            done = self._closed()
            if done is not None:
                yield done
            self._begin(member, name)
        done = self._closed()
        if done is not None:
            yield done
        self._end_disk()
        self._require_end()

    def left(self) -> Chunk | None:
        """The chunk that waited for more sums when a rule was broken behind it, if it has one."""
        return self._closed() if self._chunk is not None and self._chunk.sums else None

    def _checked(self, member: Member) -> Name | None:
        """Take a member's name apart, if it is one that may be here; None for what says nothing."""
        _require_safe(member)
        name = parse_name(member.name)
        if member.kind == "directory" and member.name.rstrip("/") in self._sizes:
            return None
        if member.kind != "file":
            raise _unsafe(member, f"is a {member.kind}", "plain files: nothing else belongs into an XVA")
        if member.name == OLD_TABLE or (member.name in self._sizes and not member.size):
            return None
        if name is None or not name.reference.startswith("Ref:"):
            raise _wrong(member, "belongs to no disk", "chunks of disks and their sums, behind ova.xml")
        if name.reference not in self._sizes:
            raise _wrong(member, f"belongs to {name.reference}, of which ova.xml knows no disk", "one of its disks")
        if not name.numbered:
            raise _wrong(member, "has no number of eight digits", f"00000000 to {LARGEST_NUMBER}")
        return name

    # Chunks

    def _begin(self, member: Member, name: Name) -> None:
        disk = self._disk_of(member, name.reference)
        number = int(name.number)
        position = self._require_place(member, disk, number)
        data = self._stream.read_some(member.offset, member.size) if self._keep else b""
        if not self._there(member, data):
            raise _wrong(member, "is cut short by the end of the file", f"{member.size} bytes", _TRUNCATED)
        disk.number, disk.position, disk.end = number, position + member.size, member.offset + member.size
        self._chunk = _Open(member=member, number=number, position=position, reference=disk.reference, data=data)

    def _there(self, member: Member, data: bytes) -> bool:
        """Whether all of a member's data are in the file."""
        if self._keep or not member.size:
            return len(data) == member.size
        return bool(self._stream.read_some(member.offset + member.size - 1, 1))

    def _disk_of(self, member: Member, reference: str) -> _Disk:
        if self._disk is not None and self._disk.reference == reference:
            return self._disk
        self._end_disk()
        if reference in self.passed:
            raise _wrong(member, f"comes behind other disks than {reference}", "all chunks of a disk together")
        self.passed[reference] = None
        self._disk = _Disk(reference=reference, size=self._sizes[reference])
        return self._disk

    def _require_place(self, member: Member, disk: _Disk, number: int) -> int:
        """Where on the disk a chunk belongs."""
        if member.size > CHUNK:
            raise _wrong(member, f"has {member.size} bytes", f"at most {CHUNK}, one chunk")
        if disk.number < 0 < number:
            raise _wrong(
                member, f"is the first of {disk.reference}", f"00000000: the first chunk is missing, {CHUNK} bytes"
            )
        if number == disk.number:
            raise _wrong(member, "is there twice", f"a number above {disk.number:08d}")
        if number < disk.number:
            raise _wrong(member, f"comes behind the number {disk.number:08d}", "ascending numbers")
        position = disk.position + (number - disk.number - 1) * CHUNK
        if position >= disk.size:
            raise _wrong(
                member,
                f"belongs to {position:#x} of {disk.reference}, behind its end",
                f"chunks in front of {disk.size:#x}, its virtual_size",
            )
        if not member.size:
            self._keepalives += 1
            self._limits.require("keepalives", self._keepalives, "the number of empty chunks")
        elif member.size < CHUNK and position + member.size != disk.size:
            raise _wrong(member, f"has {member.size} bytes", f"{CHUNK}, or those that are left up to the disk's end")
        return position

    def _end_disk(self) -> None:
        disk, self._disk = self._disk, None
        if disk is not None and disk.position < disk.size:
            raise FormatError(
                f"the chunks of {disk.reference} end at {disk.position:#x} of the disk, {disk.end:#x} of the archive",
                expected=f"the last chunk, which is always there, up to {disk.size:#x}",
                tip=_TRUNCATED,
            )

    # Sums

    def _add_sum(self, member: Member, name: Name, kind: Sum) -> None:
        chunk = self._chunk
        if chunk is None or (name.reference, int(name.number)) != (chunk.reference, chunk.number):
            raise _wrong(member, "does not stand behind its chunk", "each chunk, then its sum")
        if kind.name in chunk.sums:
            raise _wrong(member, "is there twice", "one sum of a kind")
        if member.size != kind.digits:
            raise _wrong(member, f"has {member.size} bytes", f"the {kind.digits} hexadecimal digits of its {kind.name}")
        text = self._stream.read_some(member.offset, member.size)
        try:
            value = bytes.fromhex(text.decode("ascii"))
        except ValueError:
            value = b""
        if len(value) * 2 != kind.digits:
            raise _wrong(member, f"holds {text[: kind.digits]!r}", f"{kind.digits} hexadecimal digits")
        chunk.sums[kind.name] = kind, value

    def _closed(self) -> Chunk | None:
        """The chunk that came before, now that its sums have come."""
        chunk, self._chunk = self._chunk, None
        if chunk is None:
            return None
        if not chunk.sums:
            expected = " or ".join(chunk.member.name + suffix for suffix in SUMS)
            raise _wrong(chunk.member, "has no sum", f"{expected} behind it")
        return Chunk(
            reference=chunk.reference,
            number=chunk.number,
            position=chunk.position,
            offset=chunk.member.offset,
            size=chunk.member.size,
            sums=tuple(chunk.sums.values()),
            data=chunk.data,
        )

    # The end

    def _require_end(self) -> None:
        end = self._archive.end
        if not self._archive.ended:
            raise FormatError(
                f"the archive ends at {end:#x} without its end", expected="two blocks of zeros", tip=_TRUNCATED
            )
        rest = self._stream.read_some(end, _PADDING)
        found = len(rest) - len(rest.lstrip(b"\0"))
        if found < len(rest) or self._stream.read_some(end + _PADDING, 1):
            raise FormatError(f"bytes follow the archive's end, at {end + found:#x}", expected="nothing behind it")


def mismatch(chunk: Chunk, data: bytes | bytearray | memoryview) -> tuple[Sum, bytes] | None:
    """The first of a chunk's sums that is not that of *data*."""
    return next(((kind, value) for kind, value in chunk.sums if kind.digest(data) != value), None)


def wrong_sum(reference: str, number: int, offset: int, sums: tuple[Sum, bytes, bytes]) -> FormatError:
    """The error for a chunk that was damaged.

    :param offset: of its data in the archive.
    :param sums: the kind, what was found and what is recorded.
    """
    kind, found, expected = sums
    return FormatError(
        f"the chunk '{chunk_name(reference, number)}' at {offset:#x} has the {kind.name} {found.hex()}",
        expected=f"{expected.hex()}, as recorded",
        tip="The file is damaged: transfer or export it again.",
    )


def _require_safe(member: Member) -> None:
    if member.name.startswith("/"):
        raise _unsafe(member, "has an absolute name", "names within the archive")
    if ".." in member.name.split("/"):
        raise _unsafe(member, "has a name that leads outside", "names within the archive")


def _wrong(member: Member, found: str, expected: str, tip: str = "") -> XenimageError:
    return FormatError(f"the member {member.name!r} at {member.offset:#x} {found}", expected=expected, tip=tip)


def _unsafe(member: Member, found: str, expected: str) -> XenimageError:
    return UnsafeError(f"the member {member.name!r} at {member.offset:#x} {found}", expected=expected)
