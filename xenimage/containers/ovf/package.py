"""A package of OVF, opened: its machines, their disks, its proof. Its files may lie in any :class:`Store`."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING

from xenimage.containers.ovf.content import Contents
from xenimage.containers.ovf.descriptor import read_descriptor
from xenimage.containers.ovf.kinds import Notes, found
from xenimage.containers.ovf.names import safe_name
from xenimage.containers.ovf.proof import beside, prove, read_small
from xenimage.exceptions import FormatError, PasswordError, TransferError, UnsafeError, UnsupportedError, XenimageError
from xenimage.formats.base import DiskView
from xenimage.formats.overlay import flattened, require_parent
from xenimage.formats.registry import RAW, detect, open_disk
from xenimage.model.machine import Package, Proof

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from xenimage.containers.ovf.store import Store
    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource, Disk
    from xenimage.model.finding import Finding
    from xenimage.model.machine import MachineDisk, PackageFile
    from xenimage.model.transfer import Progress


class OvfPackage:
    """See :class:`xenimage.containers.base.Container`.

    :param data: the descriptor.
    :param deployment: id of a deployment option; empty for the default.
    :param password: of an encrypted package.
    """

    def __init__(
        self, store: Store, data: bytes, limits: Limits, *, deployment: str = "", password: str | None = None
    ) -> None:
        self._store = store
        self._limits = limits
        self._description = read_descriptor(data, limits, deployment=deployment, read_bundle=self._bundle)
        description = self._description
        self._contents = Contents(store, description, limits, password)
        notes = Notes()
        self._contents.judge(self._contents.distinct(), notes)
        store.judge(list(self._contents.parts(self._contents.distinct())), notes)
        self.package = Package(
            path=store.path,
            kind=store.kind,
            version=description.version,
            producer=description.producer,
            name=description.name,
            compression=store.compression,
            machines=description.machines,
            files=tuple(description.files.values()),
            networks=description.networks,
            deployments=description.deployments,
            deployment=description.deployment,
            proof=Proof(manifest="not verified" if beside(store, ".mf") else "", encryption=self._encryption),
            findings=(*description.findings, *notes.all()),
        )

    @property
    def _encryption(self) -> str:
        return "citrix" if any(file.encrypted for file in self._description.files.values()) else ""

    def _bundle(self, file: PackageFile) -> bytes:
        name = self._store.find(file.name)
        if name is None:
            raise FormatError("is missing", where=file.name)
        return read_small(self._store, name, self._limits, f"the bytes of {file.name!r}")

    # Disks

    def disk(self, disk: MachineDisk) -> Disk:
        """See :meth:`xenimage.containers.base.Container.disk`.

        :raises UsageError: its file is encrypted, and the password is missing or wrong.
        """
        try:
            return flattened(self._layers(disk))
        except XenimageError as error:
            if error.where.startswith(self._store.path):
                raise
            raise error.within(self._store.path) from error.__cause__

    def _layers(self, disk: MachineDisk) -> list[Disk]:
        """*disk* and the disks that it belongs over, the leaf first."""
        layers: list[Disk] = []
        names: list[str] = []
        try:
            while True:
                if disk.identifier in names:
                    raise FormatError(
                        f"the disk {disk.identifier!r} belongs over itself", expected="a chain with an end"
                    )
                self._limits.require("chain_depth", len(names) + 1, "the number of disks over each other")
                layers.append(self._alone(disk))
                if names:
                    require_parent(layers[-2], names[-1], layers[-1], disk.identifier)
                names.append(disk.identifier)
                if not disk.parent:
                    _require_whole(layers[-1], disk)
                    return layers
                parent = self._description.disks.get(disk.parent)
                if parent is None:
                    raise FormatError(f"has no disk {disk.parent!r}, over which {disk.identifier!r} belongs")
                disk = parent
        except BaseException:
            for layer in layers:
                layer.close()
            raise

    def _alone(self, disk: MachineDisk) -> Disk:
        if not disk.file:
            raise UnsupportedError(
                f"the disk {disk.identifier!r} comes without content",
                expected="a disk with a file: this one is empty, of the capacity that the descriptor says",
            )
        source, sequential = self._contents.plain(disk.file)
        try:
            name = detect(source, self._limits)
            if name == RAW:
                _refuse_mistaken(disk, source)
            opened = open_disk(source, self._limits, open_extent=self._beside(disk.file))
        except BaseException:
            source.close()
            raise
        return _sequential(opened) if sequential or self._store.compression else opened

    def _beside(self, identifier: str, opened: list[str] | None = None) -> Callable[[str], ByteSource]:
        """Opens an extent of a VMDK: a file of the package, in the directory of the disk's own.

        :param opened: gathers the extents' real names.
        """
        directory = self._description.files[identifier].name.rpartition("/")[0]

        def opening(bare_name: str) -> ByteSource:
            name = safe_name(f"{directory}/{bare_name}" if directory else bare_name)
            real = self._store.find(name)
            if real is None:
                raise FormatError(f"the extent {bare_name!r} is missing", expected="every file of the disk")
            if opened is not None:
                opened.append(real)
            return self._store.open(real)

        return opening

    def file(self, identifier: str) -> ByteSource:
        """See :meth:`xenimage.containers.base.Container.file`. Pieces are given one behind the other."""
        return self._contents.stored(identifier)

    # Judging

    def prove(self, progress: Progress) -> tuple[Proof, tuple[Finding, ...]]:
        """See :meth:`xenimage.containers.base.Container.prove`. Disks are opened too, and their sizes compared."""
        files = self._real_names(list(self._contents.distinct()))
        proof, findings = prove(self._store, files, self._limits, progress, self._encryption)
        return proof, (*findings, *self._judge_disks())

    def prove_disks(self, disks: Collection[MachineDisk], progress: Progress) -> tuple[Finding, ...]:
        """See :meth:`xenimage.containers.base.Container.prove_disks`."""
        files = {file.name: file for disk in disks for file in self._files(disk)}
        notes = Notes()
        self._contents.judge(files.values(), notes)
        names = self._real_names(files.values())
        _, findings = prove(self._store, names, self._limits, progress, self._encryption, alone=True)
        return (*notes.all(), *findings)

    def _real_names(self, files: Collection[PackageFile]) -> list[str]:
        """Names of what is there of *files*, and of the extents that VMDKs among them are read from as well."""
        extents = [name for file in files for name in self._extents(file)]
        return list(dict.fromkeys([*self._contents.parts(files), *extents]))

    def _extents(self, file: PackageFile) -> list[str]:
        """Names of the extents that are there, if *file* is a VMDK of text; one of another form has none."""
        names: list[str] = []
        if file.compression or file.encrypted:
            return names
        with contextlib.suppress(XenimageError):  # whoever opens the disk is told what is wrong with it
            source = self._contents.stored(file.identifier)
            try:
                if source.size <= self._limits.descriptor_size and detect(source, self._limits) == "vmdk":
                    open_disk(source, self._limits, open_extent=self._beside(file.identifier, names)).close()
            finally:
                source.close()
        return names

    def _files(self, disk: MachineDisk) -> Iterator[PackageFile]:
        """The files that a disk and those below it stand in."""
        below: MachineDisk | None = disk
        for _ in range(self._limits.chain_depth):
            if below is None:
                return
            file = self._description.files.get(below.file)
            if file is not None:
                yield file
            below = self._description.disks.get(below.parent)

    def _judge_disks(self) -> Iterator[Finding]:
        seen = set()
        for each in (disk for machine in self.package.machines for disk in machine.disks):
            if not each.file or each.identifier in seen or self._description.files.get(each.file, None) is None:
                continue
            seen.add(each.identifier)
            try:
                opened = self.disk(each)
            except TransferError:
                raise
            except PasswordError:
                yield found("disk.content", "locked", disk=each.identifier)
                continue
            except XenimageError as error:
                yield found("disk.content", disk=each.identifier, error=error)
                continue
            size = opened.facts.virtual_size
            opened.close()
            if each.capacity is not None and size != each.capacity:
                yield found("disk.size", disk=each.identifier, size=size, capacity=each.capacity)

    def parts(self) -> Iterator[str]:
        """See :meth:`xenimage.containers.base.Container.parts`."""
        yield self._store.descriptor
        for suffix in (".mf", ".cert"):
            name = beside(self._store, suffix)
            if name is not None:
                yield name
        yield from self._real_names(list(self._contents.distinct()))

    def close(self) -> None:
        """See :meth:`xenimage.containers.base.Container.close`."""
        self._store.close()


def _require_whole(opened: Disk, disk: MachineDisk) -> None:
    """Refuse half a disk: where it stores nothing, it would read as zeros.

    :raises UnsafeError: its image lies over another one, of which the descriptor does not know.
    """
    reference = opened.facts.parent
    if reference is not None:
        raise UnsafeError(
            f"the image of the disk {disk.identifier!r} wants the parent {reference.name!r}, which is not opened on the"
            " word of an image",
            expected="a disk that needs no other, or a parentRef in the descriptor",
            tip="Export the machine again, without snapshots.",
        )


def _refuse_mistaken(disk: MachineDisk, source: ByteSource) -> None:
    """Refuse what has no format, where the descriptor names one: taken for raw, a damaged disk would pass for whole."""
    said = disk.format.lower()
    if ("vmdk" in said and "flat" not in said) or "vhd" in said:
        raise FormatError(
            "is of no known format", expected=f"a disk of the format {disk.format}", where=source.name,
            tip="The file may be damaged: compare its checksum with the original's.",
        )  # fmt: skip


def _sequential(disk: Disk) -> Disk:
    """*disk*, marked as standing in a deflated file."""
    return DiskView(disk, dataclasses.replace(disk.facts, sequential=True, compressed=True))
