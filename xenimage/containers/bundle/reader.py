"""Reading a bundle: what it holds, and its disks, without extracting anything.

One pass over gzip and tar proves the stream and keeps the first and last part of each VHD, so that facts cost no
second one; checks and disks then read forward through the rest.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING

from xenimage.checks.naming import bare_name, numbered
from xenimage.containers.archive import PACKED, Archive, members
from xenimage.exceptions import FormatError, UnsupportedError, XenimageError
from xenimage.formats import registry
from xenimage.formats.overlay import Overlay
from xenimage.formats.vhd import layout
from xenimage.formats.vhd.checks.tables import TAIL
from xenimage.formats.vhd.facts import vhd_facts
from xenimage.model.report import BundleFacts
from xenimage.model.transfer import Silent
from xenimage.streams.gunzip import MAGIC, GunzipSource
from xenimage.streams.positioned import Positioned
from xenimage.streams.seekpoints import SeekPoints
from xenimage.units import GIB, KIB, MIB, SECTOR

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource, Disk
    from xenimage.model.report import Member, VhdFacts
    from xenimage.model.transfer import Progress

    OpenVhd = Callable[[ByteSource, Limits], Disk]

_SILENT = Silent()
_HEAD_MIN = 64 * KIB
_HEAD_MAX = 8 * MIB
"""the tables of the largest VHD take 4.2 MiB"""
_TARRED = "Run gzip on it."
_DISK = "To look at a disk image: xenimage disk show. To make a bundle of it: xenimage bundle create."


def is_gzip(source: ByteSource) -> bool:
    """Whether *source* begins as a bundle does."""
    return source.size >= len(MAGIC) and source.read(0, len(MAGIC)) == MAGIC


class MemberSource(Positioned):
    """One member as a ByteSource. Its first and last part are in memory, the rest is read through the gzip stream."""

    def __init__(self, content: GunzipSource, member: Member, head: bytes, tail: bytes) -> None:
        self._content = content
        self._start = member.offset
        self._head = head
        self._tail = tail
        self.name = member.name
        self.size = member.size
        self.kept = len(head) + len(tail)
        """bytes of it in memory"""
        self._member = member

    def on(self, content: GunzipSource) -> MemberSource:
        """The same member, read through another inflater of the same file."""
        return MemberSource(content, self._member, self._head, self._tail)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """See :meth:`xenimage.model.disk.ByteSource.read_into`."""
        end = offset + len(buffer)
        if offset < 0 or end > self.size:
            raise FormatError(
                f"{len(buffer)} bytes at {offset:#x} lie outside the member of {self.size} bytes",
                expected="a range inside it",
                where=self.name,
            )
        # What is kept is not asked for again: the stream may have passed it.
        known = self._head[offset:end]
        buffer[: len(known)] = known
        buffer, offset = buffer[len(known) :], offset + len(known)
        tail_at = self.size - len(self._tail)
        if offset >= tail_at:
            buffer[:] = self._tail[offset - tail_at : end - tail_at]
        elif buffer:
            self._content.read_into(self._start + offset, buffer)

    def close(self) -> None:
        """Close the bundle."""
        self._content.close()


class Bundle:
    """A bundle that was read through once.

    :param members: in their order in the tar.
    :param sources: of the VHDs among them, by the offset of their data.
    """

    def __init__(
        self,
        content: GunzipSource,
        archive: Archive,
        members: tuple[Member, ...],
        sources: Mapping[int, MemberSource],
        size: int,
    ) -> None:
        self._content = content
        self._archive = archive
        self._members = members
        self._sources = sources
        self._size = size

    @property
    def path(self) -> str:
        """What messages call it."""
        return self._content.name

    @property
    def passes(self) -> int:
        """How often the file was inflated from its start."""
        return self._content.passes

    def member_source(self, member: Member) -> MemberSource:
        """The bytes of a VHD member; reading them in ascending order is cheap.

        :raises UnsupportedError: the member is no plain file called ``*.vhd``.
        """
        source = self._sources.get(member.offset)
        if source is None:
            raise UnsupportedError(
                f"the member {member.name!r} ({member.kind}) is not read",
                expected="a plain file called *.vhd",
                where=self.path,
            )
        return source

    def member_apart(self, member: Member) -> MemberSource:
        """The same with an inflater of its own: for reading several members at once, each in ascending order."""
        return self.member_source(member).on(self._content.again())

    @functools.cached_property
    def _facts(self) -> BundleFacts:
        chain = numbered(self._members)
        leaf = chain[0].vhd if chain else None
        virtual_size = leaf.virtual_size if leaf else 0
        return BundleFacts(
            path=self.path,
            size=self._size,
            inflated_size=self._content.size,
            members=self._members,
            chain=tuple(member.name for member in chain),
            virtual_size=virtual_size,
            min_disk=-(-virtual_size // GIB),
            gzip_members=self._content.members,
            gzip_trailing=self._content.trailing,
            tar_ended=self._archive.ended,
            tar_trailing=max(0, self._content.size - self._archive.end),
        )

    def facts(self) -> BundleFacts:
        """What the bundle holds."""
        return self._facts

    def chain(self) -> list[Member]:
        """The members that make up the disk, the leaf first, named by the rules of the consumers."""
        return numbered(self._members)

    def close(self) -> None:
        """Close the file."""
        self._content.close()


def open_bundle(source: ByteSource, limits: Limits, progress: Progress = _SILENT, *, scattered: bool = False) -> Bundle:
    """Read a bundle through once.

    :param scattered: whether its disks will be read to and fro: places to go back to are kept, 40 MiB of them.
    :raises FormatError: not gzip, not tar, damaged, or cut short.
    :raises UnsupportedError: a kind of tar header that is not read here.
    :raises LimitError: too many members, or more content than the limits allow.
    """
    require_gzip(source, limits)
    progress.start("reading", source.size)
    content = GunzipSource(source, limits, progress.advance, points=SeekPoints() if scattered else None)
    archive = Archive()
    found = []
    sources: dict[int, MemberSource] = {}
    room = limits.table_size
    try:
        for member in members(content, limits, archive):
            found.append(member)
            if member.kind == "file" and bare_name(member.name).endswith(".vhd"):
                sources[member.offset] = kept = keep(content, member, room)
                room -= kept.kept
            # One byte proves the rest: a tar whose last member is cut short would else pass for one without an end.
            if member.size and not content.read_some(member.offset + member.size - 1, 1):
                raise _cut_short(member)
        content.scan()
    except XenimageError as error:
        raise placed(error, source) from error.__cause__
    progress.stop()
    known = tuple(dataclasses.replace(each, vhd=_facts(sources.get(each.offset), limits)) for each in found)
    return Bundle(content, archive, known, sources, source.size)


def require_gzip(source: ByteSource, limits: Limits) -> None:
    """Say of what is no bundle what it is, and who takes it.

    :raises FormatError: it is not in gzip format.
    """
    if is_gzip(source):
        return
    shown = next(iter(registry.shown(source, limits)), registry.Shown(""))
    raise FormatError(
        f"is not in gzip format{f' but {shown.name}' if shown.name else ''}",
        expected="one gzip stream around one tar: consumers call tar -zx",
        where=source.name,
        tip=_TARRED if shown.name == "tar" else shown.tip or _DISK,
    )


def placed(error: XenimageError, source: ByteSource) -> XenimageError:
    """Say of an error in the content of *source* where it is."""
    return error if error.where.startswith(source.name) else error.within(source.name)


def _cut_short(member: Member) -> FormatError:
    return FormatError(
        f"the tar ends inside the member {member.name!r}",
        expected=f"{member.size} bytes of it",
        tip="The file is truncated: compare its size with the original and transfer it again.",
    )


def keep(content: GunzipSource, member: Member, room: int, *, tail: bool = True) -> MemberSource:
    """Take what facts and checks read first out of the passing stream: the tables, and the end with the footer.

    :param room: bytes that may be kept; behind them, reading costs another pass.
    :param tail: whether to go on to the end; without it, the stream stands behind the tables.
    """
    head = content.read_some(member.offset, min(member.size, _HEAD_MIN, room))
    length = min(_tables_size(head), member.size, _HEAD_MAX, room)
    if length > len(head):
        head += content.read_some(member.offset + len(head), length - len(head))
    tail_size = min(member.size, TAIL, max(0, room - len(head))) if tail else 0
    end = content.read_some(member.offset + member.size - tail_size, tail_size) if tail_size else b""
    return MemberSource(content, member, head, end)


def _tables_size(head: bytes) -> int:
    """Bytes up to the end of the batmap, if *head* begins like a VHD; else 0."""
    try:
        at = layout.Footer.parse(head[: layout.FOOTER_SIZE]).data_offset
        header = layout.Header.parse(head[at : at + layout.HEADER_SIZE].ljust(layout.HEADER_SIZE, b"\0"))
    except FormatError:
        return 0
    return header.batmap_offset + layout.BATMAP_HEADER_SIZE + layout.batmap_sectors(header.max_entries) * SECTOR


def _facts(source: MemberSource | None, limits: Limits) -> VhdFacts | None:
    try:
        return vhd_facts(source, limits) if source else None
    except FormatError:
        return None


def open_bundle_layers(bundle: Bundle, open_vhd: OpenVhd, limits: Limits) -> list[Disk]:
    """The disks in a bundle, the leaf first. Closing any of them closes the bundle.

    Each is cheap to read in ascending order, at the same time as the others: it inflates what stands in front of it,
    and itself.

    :raises FormatError: there is no disk in it, or its members do not make up a chain.
    """
    chain = bundle.chain()
    if not chain:
        raise FormatError("no member is called 0.vhd", expected="a VHD bundle", where=bundle.path, tip=PACKED)
    limits.require("chain_depth", len(chain), "the number of VHDs in the bundle")
    disks: list[Disk] = [open_vhd(bundle.member_apart(member), limits) for member in chain]
    for member, disk in zip(chain[:-1], disks, strict=False):
        if disk.facts.parent is None:
            raise FormatError(
                f"the member {member.name!r} has no parent, but others follow it",
                expected="differencing disks above the last",
                where=bundle.path,
            )
    return disks


def open_bundle_disk(bundle: Bundle, open_vhd: OpenVhd, limits: Limits) -> Disk:
    """The disk in a bundle, a chain flattened into one view. Closing it closes the bundle.

    It is cheap to read in ascending order, if the blocks of its VHDs stand in that order.

    :raises FormatError: there is no disk in it, or its members do not make up a chain.
    """
    disks = open_bundle_layers(bundle, open_vhd, limits)
    base = disks.pop()
    lowest = base.facts.parent
    while disks:
        base = Overlay(disks.pop(), base)
        base.facts = dataclasses.replace(base.facts, parent=lowest)
    return base
