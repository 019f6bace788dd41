"""An XVA as a package: what ``ova.xml`` says, and the disks behind it, without unpacking anything."""

from __future__ import annotations

import functools
import itertools
from typing import TYPE_CHECKING

from xenimage.containers.archive import Ahead, Archive, members
from xenimage.containers.xva.chunks import Walk, mismatch
from xenimage.containers.xva.description import read_description, virtual_size
from xenimage.containers.xva.disk import Index, XvaDisk
from xenimage.containers.xva.forward import Passing, PassingDisk
from xenimage.containers.xva.kinds import BY_CODE
from xenimage.containers.xva.layout import DESCRIPTOR
from xenimage.containers.xva.machines import read_contents
from xenimage.exceptions import FormatError, TransferError, UnsupportedError, XenimageError
from xenimage.model.machine import Package, Proof
from xenimage.sources.pipe import PipeSource
from xenimage.streams.gunzip import MAGIC, GunzipSource
from xenimage.streams.unpacked import UnpackedSource, packed_kind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from xenimage.containers.archive import Stream
    from xenimage.containers.xva.chunks import Chunk
    from xenimage.containers.xva.description import Description
    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource, Disk
    from xenimage.model.finding import Finding
    from xenimage.model.machine import MachineDisk
    from xenimage.model.report import Member
    from xenimage.model.transfer import Progress

_DISKS = "Ref:"
"""what the directories of disks begin with"""
_MOST_FINDINGS = 100
"""damaged chunks that are told one by one"""


class _Content:
    """The tar in a file: plain, or packed with gzip or zstd."""

    def __init__(self, source: ByteSource, limits: Limits) -> None:
        self.file = source
        self.stream: Stream
        self.bytes: ByteSource
        self._packed: GunzipSource | UnpackedSource | None = None
        self.compression = "gzip" if source.read(0, min(2, source.size)) == MAGIC else packed_kind(source)
        if self.compression == "gzip":
            self.stream = self.bytes = self._packed = GunzipSource(source, limits)
        elif self.compression:
            self.stream = self.bytes = self._packed = UnpackedSource(source, self.compression, limits)
        else:
            # A pipe is read as it comes.
            self.stream = source if isinstance(source, PipeSource) else Ahead(source)
            self.bytes = source

    @property
    def packed_size(self) -> int | None:
        """Bytes of the file where it is packed; None where it is not."""
        return self.file.size if self._packed else None

    def require_end(self) -> None:
        """Hold what is behind the tar against the rules of the packing."""
        if self._packed is None:
            return
        self._packed.scan()
        if self._packed.trailing:
            raise FormatError(f"bytes follow the end of the {self.compression} stream", expected="nothing behind it")


class XvaPackage:
    """See :class:`xenimage.containers.base.Container`."""

    def __init__(self, source: ByteSource, limits: Limits, *, damaged: bool = False) -> None:
        self._limits = limits
        self._damaged = damaged
        self._damage: XenimageError | None = None
        self._content = _Content(source, limits)
        self._archive = Archive()
        self._members = self._all_members(self._archive)
        self._description = self._read_description()
        self._first = next(self._members, None)
        contents = read_contents(self._description, limits, chunks=self._first is not None)
        self._sizes = _Sizes(self._description, limits)
        self._disks = tuple({disk.identifier: disk for machine in contents.machines for disk in machine.disks}.values())
        self._began = False
        version = self._description.version
        self.package = Package(
            path=source.name,
            kind="xva",
            version=f"export {version.text('export_vsn')}",
            producer=f"{version.text('product_brand')} {version.text('product_version')}".strip(),
            name=contents.machines[0].name if contents.machines else "",
            compression=self._content.compression,
            machines=contents.machines,
            files=contents.files,
            networks=contents.networks,
            proof=Proof(manifest="not verified" if self._first is not None else ""),
            findings=contents.findings,
        )

    # Opening

    def _all_members(self, archive: Archive) -> Iterator[Member]:
        return members(self._content.stream, self._limits, archive, limit="xva_members")

    def _read_description(self) -> Description:
        member = next(self._members, None)
        if member is None:
            raise FormatError("is empty", expected=f"a tar that begins with {DESCRIPTOR}")
        if member.name != DESCRIPTOR or member.kind != "file":
            raise FormatError(
                f"begins with the {member.kind} {member.name!r}", expected=f"{DESCRIPTOR} as the first member"
            )
        self._limits.require("xml_size", member.size, f"the size of {DESCRIPTOR}")
        data = self._content.stream.read_some(member.offset, member.size)
        if len(data) < member.size:
            raise FormatError(f"ends inside {DESCRIPTOR}", expected=f"{member.size} bytes of it")
        return read_description(data, self._limits)

    def _walk(self, *, keep: bool) -> Walk:
        """Begin with the chunks. The pass that found ``ova.xml`` goes on where it stands; a later one begins anew."""
        if self._began:
            archive = Archive()
            found = self._all_members(archive)
            next(found, None)
        else:
            self._began = True
            archive = self._archive
            found = itertools.chain([self._first] if self._first else [], self._members)
        return Walk(self._content.stream, found, archive, self._sizes, self._limits, keep=keep)

    # Disks

    def disk(self, disk: MachineDisk) -> Disk:
        """See :meth:`xenimage.containers.base.Container.disk`. The first call is a pass over the archive's headers.

        :raises FormatError: the archive breaks a rule, or does not hold the disk.
        """
        self._require_content(disk)
        index = self._indices.get(disk.identifier)
        if index is None:
            raise self._damage or self._missing(disk.identifier)
        findings = () if self._damage is None else (_told(self._damage),)
        return XvaDisk(self._content.bytes, index, self._content.packed_size, findings)

    def forward(self, disk: MachineDisk) -> PassingDisk:
        """Open a disk to be read once, in ascending order: from a pipe, or where a pass for an index is too dear.

        Nothing else may be opened before it is done with.
        """
        self._require_content(disk)
        assert disk.capacity is not None
        passing = Passing(self._walk(keep=True), self.package.path, self._content.require_end)
        return PassingDisk(passing, disk.identifier, disk.capacity, self._content.file.size)

    def _require_content(self, disk: MachineDisk) -> None:
        if disk not in self._disks:
            raise ValueError(f"{disk.identifier} is no disk of {self.package.path}")
        if not disk.file:
            raise UnsupportedError(
                f"the disk {disk.identifier} comes without content",
                expected="an export with its disks: this one has the metadata alone",
                where=self.package.path,
            )

    def _missing(self, reference: str) -> FormatError:
        return FormatError(
            f"has no chunk of {reference}",
            expected="the first chunk and the last, which are always there",
            where=self.package.path,
        )

    @functools.cached_property
    def _indices(self) -> Mapping[str, Index]:
        indices: dict[str, Index] = {}
        walk = self._walk(keep=False)
        try:
            for chunk in walk.chunks():
                self._add(indices, chunk)
            self._content.require_end()
        except XenimageError as error:
            placed = self._placed(error)
            if not self._damaged or not isinstance(error, (FormatError, TransferError)):
                raise placed from error.__cause__
            self._damage = placed
            if (last := walk.left()) is not None:
                self._add(indices, last)
            for index in indices.values():
                index.damage = placed if index.end < index.size else None
        return indices

    def _add(self, indices: dict[str, Index], chunk: Chunk) -> None:
        index = indices.get(chunk.reference)
        if index is None:
            index = indices[chunk.reference] = Index(chunk.reference, self._sizes[chunk.reference])
        index.add(chunk, self._limits)

    def _placed(self, error: XenimageError) -> XenimageError:
        name = self._content.file.name
        return error if error.where.startswith(name) else error.within(name)

    def file(self, identifier: str) -> ByteSource:
        """An XVA has no files for its disks: they stand in chunks."""
        raise UnsupportedError(f"{identifier} is no file", expected="a disk of chunks", where=self.package.path)

    # Judging

    def prove(self, progress: Progress) -> tuple[Proof, tuple[Finding, ...]]:
        """See :meth:`xenimage.containers.base.Container.prove`: every chunk against its sums."""
        if self._first is None:
            return self.package.proof, ()
        findings: list[Finding] = []
        algorithms: dict[str, None] = {}
        walk = self._walk(keep=True)
        total = sum(disk.capacity or 0 for disk in self._disks)
        progress.start("checking", total)
        damaged = 0
        try:
            for chunk in walk.chunks():
                algorithms |= dict.fromkeys(kind.name for kind, _ in chunk.sums)
                found = _judged(chunk)
                damaged += found is not None
                if found is not None and damaged <= _MOST_FINDINGS:
                    findings.append(found)
                progress.advance(chunk.size)
            self._content.require_end()
            for disk in self._disks:
                if disk.identifier not in walk.passed:
                    raise self._missing(disk.identifier)
        except XenimageError as error:
            findings.append(_told(error))
        finally:
            progress.stop()
        findings += _order(list(walk.passed))
        sound = not any(each.code in ("xva.chunk.sum", "xva.archive") for each in findings)
        proof = Proof(manifest="verified" if sound else "not verified", algorithms=tuple(algorithms))
        return proof, tuple(findings)

    def prove_disks(self, _disks: Collection[MachineDisk], _progress: Progress) -> tuple[Finding, ...]:
        """See :meth:`xenimage.containers.base.Container.prove_disks`: each chunk's sum is looked at when it is read."""
        return ()

    def parts(self) -> Iterator[str]:
        """See :meth:`xenimage.containers.base.Container.parts`."""
        try:
            for member in self._all_members(Archive()):
                yield member.name
        except XenimageError as error:
            raise self._placed(error) from error.__cause__

    def close(self) -> None:
        """See :meth:`xenimage.containers.base.Container.close`."""
        self._content.file.close()


class _Sizes(dict[str, int]):
    """Bytes of the disks that may have chunks, by reference; what nobody asks for is not judged."""

    def __init__(self, description: Description, limits: Limits) -> None:
        super().__init__()
        self._vdis = {vdi.reference: vdi for vdi in description.of_class("VDI")}
        self._limits = limits

    def __contains__(self, reference: object) -> bool:
        return reference in self._vdis

    def __missing__(self, reference: str) -> int:
        self[reference] = size = virtual_size(self._vdis[reference], self._limits)
        return size


def _told(error: XenimageError) -> Finding:
    return BY_CODE["xva.archive"].found(error=str(error), tip=error.tip or "Export the machine again.")


def _judged(chunk: Chunk) -> Finding | None:
    wrong = mismatch(chunk, chunk.data)
    if wrong is None:
        return None
    kind, expected = wrong
    return BY_CODE["xva.chunk.sum"].found(
        name=chunk.name,
        place=chunk.offset,
        kind=kind.name,
        found=kind.digest(chunk.data).hex(),
        expected=expected.hex(),
        position=chunk.position,
        reference=chunk.reference,
        where=chunk.name,
        offset=chunk.offset,
    )


def _order(passed: list[str]) -> Iterator[Finding]:
    for one, other in itertools.pairwise(passed):
        if one > other:
            yield BY_CODE["xva.disk.order"].found(reference=one, other=other)
            return


def is_xva(source: ByteSource, limits: Limits) -> bool:
    """Whether a file begins as an XVA does, which takes a look behind its packing; or at least as a part of one."""
    try:
        content = _Content(source, limits)
        member = next(members(content.stream, limits, Archive(), limit="xva_members"), None)
    except XenimageError:
        return False
    return member is not None and (member.name == DESCRIPTOR or member.name.startswith(_DISKS))


def open_xva(source: ByteSource, limits: Limits, *, damaged: bool = False) -> XvaPackage:
    """Open an XVA, plain or packed with gzip or zstd. Reads ``ova.xml`` and the header behind it.

    :param source: closed with the package. A pipe can be read with :meth:`XvaPackage.forward`.
    :param damaged: whether of an archive that breaks a rule the disks are opened as far as they go; what is missing
        fails when it is read.
    :raises FormatError: it is no XVA, or ``ova.xml`` is damaged.
    :raises UnsupportedError: a version or encoding that is not read.
    :raises UnsafeError: ``ova.xml`` has a document type. :class:`LimitError`: a number passes its limit.
    """
    try:
        return XvaPackage(source, limits, damaged=damaged)
    except XenimageError as error:
        raise error if error.where.startswith(source.name) else error.within(source.name) from error.__cause__
