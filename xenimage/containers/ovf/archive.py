"""A package in one file, an OVA: a tar of its files, plain or packed as a whole. Source: DSP0243 1.1, 5.3; 2.1, 6.4."""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING

from xenimage.containers.archive import PACKED, Archive, members
from xenimage.containers.ovf.kinds import found
from xenimage.containers.ovf.names import safe_name, spellings
from xenimage.containers.ovf.package import OvfPackage
from xenimage.containers.packing import Content
from xenimage.exceptions import FormatError, UnsafeError, UnsupportedError, XenimageError
from xenimage.units import MIB

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from xenimage.containers.ovf.kinds import Notes
    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource
    from xenimage.model.finding import Finding
    from xenimage.model.report import Member

_BLOCK = 512
_SUFFIX = ".ovf"
_PROOFS = (".mf", ".cert")
_LOOK = 16 * MIB
"""bytes of packed content in which a descriptor is looked for"""
_PADDING = MIB
"""bytes behind the end that are looked at: tapes are written in records of at most that"""


class ArchiveStore:
    """See :class:`xenimage.containers.ovf.store.Store`. Reads all headers, and of packed content all there is, once.

    :param source: closed with it.
    :param damaged: whether the members in front of the place are taken where a plain tar is cut or damaged.
    :raises FormatError: it is no tar, is cut short, or does not hold one descriptor.
    :raises UnsafeError: a member is a link or a device, is there twice, or has a name that leads out.
    :raises UnsupportedError: a kind of member that is not read. :class:`LimitError`: a number passes its limit.
    """

    kind = "ova"

    def __init__(self, source: ByteSource, limits: Limits, *, damaged: bool = False) -> None:
        self.path = source.name
        self._content = Content(source, limits)
        self.compression = self._content.compression
        all_members: dict[str, Member] = {}
        try:
            archive = Archive()
            _list(self._content, limits, archive, all_members)
            self._end = _judged_end(self._content, archive, all_members.values())
        except FormatError as error:
            if not damaged or self.compression:
                raise
            _cut(all_members, source.size)
            self._end = found("archive.end", "cut", error=error)
        whole = _descriptor(all_members)
        self._directory = whole[: whole.rfind("/") + 1]
        self.descriptor = whole[len(self._directory) :]
        start = len(self._directory)
        self._members = {
            name[start:]: member for name, member in all_members.items() if name.startswith(self._directory)
        }
        self._outside = [name for name in all_members if not name.startswith(self._directory)]

    def find(self, name: str) -> str | None:
        """See :meth:`xenimage.containers.ovf.store.Store.find`."""
        return next((spelling for spelling in spellings(name) if spelling in self._members), None)

    def open(self, name: str) -> ByteSource:
        """See :meth:`xenimage.containers.ovf.store.Store.open`."""
        member = self._members.get(name)
        if member is None:
            raise FormatError(f"has no member {name!r}", expected="a file of the package", where=self.path)
        return self._content.range(member.offset, member.size, f"{self.path}: {name}")

    def others(self, suffix: str, /) -> list[str]:
        """See :meth:`xenimage.containers.ovf.store.Store.others`."""
        return [name for name in self._members if name.lower().endswith(suffix) and not _is_resource_fork(name)]

    def judge(self, files: Sequence[str], notes: Notes) -> None:
        """See :meth:`xenimage.containers.ovf.store.Store.judge`."""
        if self._end is not None:
            notes.add(self._end)
        if self._directory:
            notes.add(found("archive.directory", directory=self._directory[:-1]))
        proofs = self._judge_proofs(notes)
        self._judge_order(proofs, files, notes)
        known = {self.descriptor, *proofs, *files}
        for name in itertools.chain(self._members, self._outside):
            if name not in known:
                notes.add(found("archive.unused", name=name))

    def _judge_proofs(self, notes: Notes) -> list[str]:
        """The manifest and the certificate; those of another name than the descriptor's are noted."""
        base = self.descriptor[: -len(_SUFFIX)]
        proofs = []
        for suffix in _PROOFS:
            others = self.others(suffix)
            own = [name for name in others if name.lower() == f"{base}{suffix}".lower()]
            proofs += own[:1] or (others if len(others) == 1 else [])
            if not own and len(others) == 1:
                notes.add(found("archive.name", name=others[0], descriptor=self.descriptor))
        return proofs

    def _judge_order(self, proofs: Sequence[str], files: Sequence[str], notes: Notes) -> None:
        """The descriptor, the manifest, the certificate, the files; or the two of proof at the end, one pass's way."""
        places = {name: number for number, name in enumerate(self._members)}
        first = next(iter(self._members))
        if first != self.descriptor:
            notes.add(found("archive.first", name=self.descriptor, other=first))
        last = list(self._members)[-len(proofs) :] if proofs else []
        front = [] if last == list(proofs) else list(proofs)
        wanted = [self.descriptor, *front, *dict.fromkeys(files)]
        for name, following in itertools.pairwise(wanted[1:]):
            if places[following] < places[name]:
                notes.add(found("archive.order", name=name, other=following))

    def close(self) -> None:
        """See :meth:`xenimage.containers.ovf.store.Store.close`."""
        self._content.close()


def _list(content: Content, limits: Limits, archive: Archive, found_members: dict[str, Member]) -> None:
    """List the files of the archive in *found_members*, by their checked names; one that was cut is the last."""
    for member in _all_members(content, limits, archive):
        name = _checked(member)
        if not name:
            continue
        # Extracting keeps the last of two, a reader of streams takes the first.
        if name in found_members:
            raise UnsafeError(f"holds {name!r} twice, at {found_members[name].offset:#x} and {member.offset:#x}")
        found_members[name] = member
        if not content.passes(member.offset, member.size):
            raise FormatError(
                f"ends inside the member {member.name!r}",
                expected=f"{member.size} bytes of it at {member.offset:#x}",
                tip="The file is truncated: compare its size with the original's, and transfer it again.",
            )


def _cut(all_members: dict[str, Member], size: int) -> None:
    """Shorten the member that goes on behind the *size* bytes of the file; of one without a byte nothing is left."""
    for name, member in list(all_members.items()):
        if member.offset >= size and member.size:
            del all_members[name]
        elif member.offset + member.size > size:
            all_members[name] = dataclasses.replace(member, size=size - member.offset)


def _all_members(content: Content, limits: Limits, archive: Archive) -> Iterator[Member]:
    try:
        yield from members(content.stream, limits, archive, limit="ova_members")
    except FormatError as error:
        if error.tip != PACKED:
            raise
        raise FormatError(
            f"holds no tar archive: {error.found}", expected="a tar, plain or packed with gzip, xz or zstd"
        ) from error


def _checked(member: Member) -> str:
    """The name of a file; empty for a directory."""
    place = f"the member {member.name!r} at {member.offset:#x}"
    name = member.name.rstrip("/") if member.kind == "directory" else member.name
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UnsupportedError(f"{place} has a name in an unknown encoding", expected="UTF-8") from None
    try:
        name = "" if member.kind == "directory" and name == "." else safe_name(name)
    except (UnsafeError, UnsupportedError) as error:
        raise UnsafeError(f"{place} has a name that could lead out", expected="names within the archive") from error
    if member.kind == "directory":
        return ""
    if member.kind == "sparse file":
        raise UnsupportedError(f"{place} is a sparse file", expected="plain files: tar without --sparse")
    if member.kind != "file":
        raise UnsafeError(f"{place} is a {member.kind}", expected="plain files: nothing else belongs into an OVA")
    return name


def _judged_end(content: Content, archive: Archive, all_members: Iterable[Member]) -> Finding | None:
    """Hold what is behind the members against the rules.

    :raises FormatError: the archive has no end: where it was cut, nobody knows.
    """
    more = content.stream.read_some(archive.end, _PADDING)
    if content.compression and content.reaches(archive.end + _PADDING + 1):
        raise FormatError(f"goes on for more than {_PADDING} bytes behind the archive's end", expected="padding")
    size = content.finish()
    if content.trailing:
        return found("archive.end", "packed", place=size)
    if archive.ended:
        return found("archive.end", "more", place=archive.end) if more.strip(b"\0") else None
    last = max((member.offset + member.size for member in all_members), default=0)
    if archive.end < last + _BLOCK:
        raise FormatError(
            f"ends at {size:#x} without the end of an archive",
            expected="two blocks of zeros",
            tip="The file is truncated: compare its size with the original's, and transfer it again.",
        )
    return found("archive.end", place=archive.end - _BLOCK)


def _is_resource_fork(name: str) -> bool:
    """Whether it is one of those that macOS's tar puts beside each file, under nearly its name."""
    return name.rpartition("/")[2].startswith("._")


def _is_descriptor(name: str) -> bool:
    return name.lower().endswith(_SUFFIX) and not _is_resource_fork(name)


def _descriptor(all_members: Mapping[str, Member]) -> str:
    descriptors = [name for name in all_members if _is_descriptor(name)]
    if not descriptors:
        packages = [name for name in all_members if name.lower().endswith((".ova", ".ova.gz", ".xva"))]
        raise FormatError(
            f"holds no descriptor among its {len(all_members)} files",
            expected="a member whose name ends in .ovf",
            tip=f"It holds another package, {packages[0]!r}: unpack it, and open that one." if packages else "",
        )
    if len(descriptors) > 1:
        raise FormatError(
            f"holds {len(descriptors)} descriptors, {descriptors[0]!r} and {descriptors[1]!r}", expected="a single one"
        )
    return descriptors[0]


def is_ova(source: ByteSource, limits: Limits) -> bool:
    """Whether a file is a tar with a descriptor, which is the first member by the standard, and not always in truth.

    Of a plain tar the headers are read; of a packed one what stands in the first 16 MiB.
    """
    try:
        content = Content(source, limits)
        for member in members(content.stream, limits, Archive(), limit="ova_members"):
            if member.kind == "file" and _is_descriptor(member.name):
                return True
            if content.compression and member.offset + member.size > _LOOK:
                return False
    except XenimageError:
        return False
    return False


def open_ova(
    source: ByteSource, limits: Limits, *, deployment: str = "", password: str | None = None, damaged: bool = False
) -> OvfPackage:
    """Open an OVA, plain or packed as a whole with gzip, xz or zstd. Reads its headers and the descriptor.

    A packed one is read through once. Nothing is unpacked to disk.

    :param source: closed with the package.
    :param deployment: id of a deployment option; empty for the default.
    :param password: of an encrypted package; asked for when a disk of it is opened.
    :param damaged: whether a plain one that was cut is opened: its last file is shorter then, and others are missing.
    :raises UsageError: there is no such deployment option.
    :raises FormatError: it is no archive with a descriptor, or damaged or cut short.
    :raises UnsupportedError: a version of OVF, or a kind of member, that is not read.
    :raises UnsafeError: a member is no plain file, is there twice or has a name that leads out; or the descriptor has a
        document type. :class:`LimitError`: a number passes its limit.
    """
    name = ""
    try:
        store = ArchiveStore(source, limits, damaged=damaged)
        name = store.descriptor
        descriptor = store.open(name)
        limits.require("xml_size", descriptor.size, "the bytes of the XML")
        data = descriptor.read(0, descriptor.size)
        return OvfPackage(store, data, limits, deployment=deployment, password=password)
    except XenimageError as error:
        if error.where.startswith(source.name):
            raise
        place = f"{source.name}: {name}" if name else source.name
        raise error.within(place) from error.__cause__
