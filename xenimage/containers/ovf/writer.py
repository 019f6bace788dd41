"""Writing a package of OVF: as an archive, or into a directory. Nothing is written twice, and no disk kept elsewhere.

In an archive the descriptor and the manifest stand in front of the disks, and tell of them what is known behind them:
their sizes and digests. Room is left for them, whose length is known, and filled in at the end. The length of a
manifest is not known where files are split; then it comes last, as DSP0243 allows as well.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from xenimage.containers.ovf.compose import compose
from xenimage.containers.ovf.kinds import found
from xenimage.containers.ovf.layout import FORMATS
from xenimage.containers.ovf.newfile import DIGITS, NewFile, WrittenFile
from xenimage.containers.ovf.packing import GzipSink
from xenimage.containers.ovf.places import Folder, Tar
from xenimage.containers.ovf.settle import lost
from xenimage.containers.ovf.signing import load_signer
from xenimage.containers.ovf.writing import base_name
from xenimage.model.machine import PackageFile
from xenimage.model.transfer import Silent
from xenimage.streams.tar import USTAR_MOST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from xenimage.containers.ovf.newfile import Place
    from xenimage.containers.ovf.places import PatchedFile
    from xenimage.containers.ovf.signing import Signer
    from xenimage.containers.ovf.writing import Content, NewPackage, OvfOptions
    from xenimage.model.finding import Finding
    from xenimage.model.machine import Machine, MachineDisk
    from xenimage.model.transfer import Progress

_WIDEST = (1 << 63) - 1
"""a size for which no room is missing once the true one is known"""
_SILENT = Silent()


@dataclasses.dataclass(frozen=True, kw_only=True)
class OvfReceipt:
    """What was written."""

    descriptor: str
    """its name"""
    files: tuple[WrittenFile, ...]
    """all but manifest and certificate, the descriptor first; pieces one by one"""
    data_size: int
    """bytes that the disks' guests have stored"""
    signed: bool
    findings: tuple[Finding, ...] = ()


def write_ova(sink: PatchedFile, new: NewPackage, options: OvfOptions, progress: Progress = _SILENT) -> OvfReceipt:
    """Write a package as an archive. The caller flushes and commits the sink.

    :param sink: a fresh :class:`xenimage.sinks.file.FileSink`, or another that can seek and be read back.
    :raises UsageError: no machine, a disk without content and capacity, identifiers that stand twice, or a key or
        certificate that cannot be used: then nothing was written. Or a file becomes too many pieces.
    :raises TransferError: the sink failed. And whatever writing the disks raises.
    """
    package = _Package(new, options)
    if not options.compress_archive:
        return _write_archive(Tar(sink, options.timestamp), package, options, progress)
    with contextlib.closing(GzipSink(sink, options.jobs, late=True)) as packed:
        receipt = _write_archive(Tar(packed, options.timestamp, holes=False), package, options, progress)
        packed.end()
    return receipt


def _write_archive(archive: Tar, package: _Package, options: OvfOptions, progress: Progress) -> OvfReceipt:
    head = archive.reserve(package.descriptor_name, len(package.descriptor({})))
    early = not options.chunk_size
    tail = [archive.reserve(name, length) for name, length in package.proof_sizes()] if early else []
    written = package.write_files(archive, progress)
    descriptor = package.descriptor(written)
    # Blanks behind the last element are nothing in XML.
    descriptor = descriptor[:-1].ljust(head.size - 1) + b"\n"
    head.fill(descriptor)
    proof = package.proof(descriptor, written)
    if not early:
        tail = [archive.reserve(name, len(data)) for name, data in proof]
    for room, (_, data) in zip(tail, proof, strict=True):
        room.fill(data)
    archive.finish()
    return package.receipt(descriptor, written)


def write_ovf(
    directory: str | os.PathLike[str],
    new: NewPackage,
    options: OvfOptions,
    progress: Progress = _SILENT,
    *,
    force: bool = False,
    refuse: Callable[[str], None] = lambda _path: None,
) -> OvfReceipt:
    """Write a package into a directory, which is made if it is not there. All files appear, or none.

    :param force: whether files that are there may be replaced.
    :param refuse: raises for the path of a file that may not be replaced all the same: one that is read.
    :raises UsageError: as :func:`write_ova`; or files that are there may not be replaced.
    :raises TransferError: as :func:`write_ova`.
    """
    package = _Package(new, options)
    package.descriptor({})  # what cannot be described is found out now
    with contextlib.closing(Folder(os.fspath(directory), force=force, refuse=refuse)) as folder:
        for name in package.first_names():
            folder.path(name)
        written = package.write_files(folder, progress)
        descriptor = package.descriptor(written)
        for name, data in (*package.proof(descriptor, written), (package.descriptor_name, descriptor)):
            folder.add(name, data)
        folder.commit()
    return package.receipt(descriptor, written)


class _Entry(NamedTuple):
    """A file that comes with the package."""

    identifier: str
    """of the disk, or of the image for a drive"""
    file: PackageFile
    content: Content
    is_disk: bool


class _Result(NamedTuple):
    """What became of one."""

    pieces: tuple[WrittenFile, ...]
    stored: int

    @property
    def size(self) -> int:
        return sum(piece.size for piece in self.pieces)


_Written: TypeAlias = "Mapping[str, _Result]"


class _Package:
    def __init__(self, new: NewPackage, options: OvfOptions) -> None:
        self._machines = new.machines
        self._networks = new.networks
        self._options = options
        self._name = options.name or (new.machines[0].name if new.machines else "")
        self._base = base_name(self._name)
        self.descriptor_name = f"{self._base}.ovf"
        self._signer: Signer | None = load_signer(*options.sign) if options.sign else None
        self._entries = [*self._disk_entries(new.disks), *self._image_entries(new.images)]
        self._disks = {each.identifier: each for each in self._entries if each.is_disk}
        self._images = {each.identifier: each.file.identifier for each in self._entries if not each.is_disk}

    # What there is

    def _disk_entries(self, disks: Mapping[str, Content]) -> Iterator[_Entry]:
        names = (disk.identifier for machine in self._machines for disk in machine.disks)
        present = dict.fromkeys(name for name in names if name in disks)
        for number, name in enumerate(present, 1):
            yield self._entry(name, f"disk{number}", f".{self._options.disk_format}", disks[name], is_disk=True)

    def _image_entries(self, images: Mapping[str, Content]) -> Iterator[_Entry]:
        names = (name for machine in self._machines for name in machine.cdroms)
        present = dict.fromkeys(name for name in names if name in images)
        for number, name in enumerate(present, 1):
            yield self._entry(name, f"image{number}", ".iso", images[name], is_disk=False)

    def _entry(self, identifier: str, what: str, suffix: str, content: Content, *, is_disk: bool) -> _Entry:
        file = PackageFile(
            identifier=what,
            name=f"{self._base}-{what}{suffix}{'.gz' if self._options.compress else ''}",
            compression="gzip" if self._options.compress else "",
            chunk_size=self._options.chunk_size,
        )
        return _Entry(identifier, file, content, is_disk)

    def first_names(self) -> Iterator[str]:
        """Names of the files to be written, as far as they are known beforehand."""
        piece = f".{0:0{DIGITS}}" if self._options.chunk_size else ""
        yield self.descriptor_name
        yield from (name for name, _ in self._proof_names())
        yield from (f"{each.file.name}{piece}" for each in self._entries)

    def _proof_names(self) -> list[tuple[str, str]]:
        names = [(f"{self._base}.mf", "manifest")]
        return [*names, (f"{self._base}.cert", "certificate")] if self._signer else names

    # Describing

    def descriptor(self, written: _Written) -> bytes:
        """The descriptor; as long as it can become, where *written* is empty."""
        machines = [self._described(machine, written) for machine in self._machines]
        files = [
            dataclasses.replace(each.file, size=written[each.file.identifier].size if written else _WIDEST)
            for each in self._entries
        ]
        return compose(machines, files, self._networks, self._name)

    def _described(self, machine: Machine, written: _Written) -> Machine:
        return dataclasses.replace(
            machine,
            disks=tuple(self._described_disk(disk, written) for disk in machine.disks),
            cdroms=tuple(self._images.get(name, "") for name in machine.cdroms),
        )

    def _described_disk(self, disk: MachineDisk, written: _Written) -> MachineDisk:
        entry = self._disks.get(disk.identifier)
        if entry is None:
            return dataclasses.replace(disk, file="", format="", parent="", populated=None)
        file = entry.file.identifier
        size = entry.content.size
        return dataclasses.replace(
            disk,
            file=file,
            format=FORMATS[self._options.disk_format],
            parent="",
            capacity=size,
            populated=min(written[file].stored, size) if written else size,
        )

    # Writing

    def write_files(self, place: Place, progress: Progress) -> dict[str, _Result]:
        """Write all that comes with the descriptor, in the order of the references."""
        return {each.file.identifier: self._write(place, each, progress) for each in self._entries}

    def _write(self, place: Place, entry: _Entry, progress: Progress) -> _Result:
        file = NewFile(place, entry.file.name, self._options.digest, self._options.chunk_size)
        plain_name = entry.file.name.removesuffix(".gz") if self._options.compress else entry.file.name
        if not self._options.compress:
            stored = entry.content.write(file, plain_name)
        else:
            packed = GzipSink(file, self._options.jobs)
            with contextlib.closing(packed):
                stored = entry.content.write(packed, plain_name)
                packed.end()
        return _Result(file.end(progress), stored if entry.is_disk else 0)

    # Proving

    def proof_sizes(self) -> list[tuple[str, int]]:
        """Names and lengths of manifest and certificate of files in one piece."""
        blank = "0" * (2 * hashlib.new(self._options.digest, usedforsecurity=False).digest_size)
        pieces = {
            each.file.identifier: _Result((WrittenFile(name=each.file.name, size=0, digest=blank),), 0)
            for each in self._entries
        }
        return [(name, len(data)) for name, data in self.proof(b"", pieces)]

    def proof(self, descriptor: bytes, written: _Written) -> list[tuple[str, bytes]]:
        """The manifest, and the certificate if there is one, by their names."""
        lines = (
            f"{self._options.digest.upper()}({each.name})= {each.digest}\n" for each in self._all(descriptor, written)
        )
        manifest = "".join(lines).encode("ascii")
        name = f"{self._base}.mf"
        if self._signer is None:
            return [(name, manifest)]
        certificate = self._signer.sign(manifest, name, self._options.digest)
        return [(name, manifest), (f"{self._base}.cert", certificate)]

    def _all(self, descriptor: bytes, written: _Written) -> tuple[WrittenFile, ...]:
        digest = hashlib.new(self._options.digest, descriptor, usedforsecurity=False).hexdigest()
        first = WrittenFile(name=self.descriptor_name, size=len(descriptor), digest=digest)
        return first, *(piece for result in written.values() for piece in result.pieces)

    # Telling

    def receipt(self, descriptor: bytes, written: _Written) -> OvfReceipt:
        """What became of it all."""
        files = self._all(descriptor, written)
        return OvfReceipt(
            descriptor=self.descriptor_name,
            files=files,
            data_size=sum(result.stored for result in written.values()),
            signed=self._signer is not None,
            findings=(*self._lost(), *(found("file.large", name=each.name) for each in files if _is_large(each))),
        )

    def _lost(self) -> Iterator[Finding]:
        for machine in self._machines:
            if count := lost(machine):
                yield found("text", machine=machine.identifier, count=count)


def _is_large(file: WrittenFile) -> bool:
    return file.size > USTAR_MOST
