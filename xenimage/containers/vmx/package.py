"""A folder of VMware as a package: what the VMX says, and its disks over the parents of their snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.containers.vmx.dictionary import read_dictionary
from xenimage.containers.vmx.folder import Folder, safe_name
from xenimage.containers.vmx.kinds import few, found
from xenimage.containers.vmx.machine import read_description
from xenimage.exceptions import FormatError, TransferError, UnsafeError, UnsupportedError, XenimageError
from xenimage.formats.overlay import flattened, require_parent
from xenimage.formats.registry import detect, open_disk
from xenimage.model.machine import Package, Proof
from xenimage.model.transfer import Silent
from xenimage.sources.file import open_file

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Collection, Iterator

    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource, Disk, ParentReference
    from xenimage.model.finding import Finding
    from xenimage.model.machine import MachineDisk
    from xenimage.model.transfer import Progress

_FORMAT = "vmdk"
_MERGE = "Merge the snapshots in VMware, or clone the machine in full, and copy the folder again."


class VmxPackage:
    """See :class:`xenimage.containers.base.Container`.

    :param data: the VMX.
    """

    def __init__(self, folder: Folder, data: bytes, limits: Limits) -> None:
        self._folder = folder
        self._limits = limits
        self._description = read_description(read_dictionary(data), folder)
        machine = self._description.machine
        self.package = Package(
            path=folder.path,
            kind="vmx",
            version=self._description.version,
            producer="VMware",
            name=machine.name,
            machines=(machine,),
            files=self._description.files,
            networks=self._description.networks,
            findings=self._description.findings,
        )

    # Disks

    def disk(self, disk: MachineDisk) -> Disk:
        """See :meth:`xenimage.containers.base.Container.disk`."""
        try:
            return flattened(self._layers(disk))
        except XenimageError as error:
            raise self._placed(error) from error.__cause__

    def _layers(self, disk: MachineDisk) -> list[Disk]:
        """*disk* and the disks that it stands on, the leaf first. Names in files are hostile: none leads elsewhere."""
        if disk.identifier in self._description.refused:
            raise _again(self._description.refused[disk.identifier])
        if not disk.file:
            raise UnsupportedError(f"the disk {disk.identifier!r} has no file", expected="a disk with content")
        name: str | None = disk.file
        names: list[str] = []
        layers: list[Disk] = []
        try:
            while name is not None:
                if name in names:
                    raise FormatError(f"the disk {name!r} stands on itself", expected="a chain with an end")
                self._limits.require("chain_depth", len(names) + 1, "the number of disks over each other")
                layers.append(self._alone(name))
                names.append(name)
                if len(layers) > 1:
                    require_parent(layers[-2], names[-2], layers[-1], name)
                name = _parent(name, layers[-1].facts.parent)
        except BaseException:
            for layer in layers:
                layer.close()
            raise
        return layers

    def _alone(self, name: str) -> Disk:
        source = self._folder.open(name)
        try:
            kind = detect(source, self._limits)
            if kind != _FORMAT:
                raise FormatError(f"is {kind}", expected="a VMDK", where=source.name)
            opened = open_disk(source, self._limits, format=_FORMAT, open_extent=self._beside(name))
        except BaseException:
            source.close()
            raise
        reason = opened.unreadable()
        if reason is not None:
            opened.close()
            raise reason
        return opened

    def _beside(self, name: str) -> Callable[[str], ByteSource]:
        """Opens an extent of a VMDK: a file in the directory of the descriptor."""

        def opening(bare_name: str) -> ByteSource:
            return self._folder.open(_neighbour(name, bare_name))

        return opening

    def file(self, identifier: str) -> ByteSource:
        """See :meth:`xenimage.containers.base.Container.file`."""
        try:
            if all(file.identifier != identifier for file in self.package.files):
                raise FormatError(f"refers to no file {identifier!r}")
            return self._folder.open(identifier)
        except XenimageError as error:
            raise self._placed(error) from error.__cause__

    # Judging

    def prove(self, progress: Progress) -> tuple[Proof, tuple[Finding, ...]]:
        """See :meth:`xenimage.containers.base.Container.prove`. There are no sums: the disks are opened, not read."""
        progress.start("opening the disks", 0)
        try:
            return Proof(), few(self._judge_disks())
        except XenimageError as error:
            raise self._placed(error) from error.__cause__
        finally:
            progress.stop()

    def prove_disks(self, disks: Collection[MachineDisk], progress: Progress) -> tuple[Finding, ...]:  # noqa: ARG002
        """See :meth:`xenimage.containers.base.Container.prove_disks`: there is nothing to prove them by."""
        return ()

    def _judge_disks(self) -> Iterator[Finding]:
        for disk in {each.identifier: each for each in self.package.machines[0].disks}.values():
            try:
                layers = self._layers(disk)
            except TransferError:
                raise
            except XenimageError as error:
                yield found("disk.content", disk=disk.identifier, error=error)
                continue
            for layer in layers:
                layer.close()
            if len(layers) > 1:
                yield found("disk.snapshots", disk=disk.identifier, count=len(layers) - 1)

    def parts(self) -> Iterator[str]:
        """See :meth:`xenimage.containers.base.Container.parts`. Disks are opened, for some consist of several files."""
        yield self._folder.descriptor
        self.prove(Silent())
        names = [file.name for file in self.package.files]
        yield from dict.fromkeys([*names, *self._folder.opened])

    def close(self) -> None:
        """Do nothing: files are opened one by one."""

    def _placed(self, error: XenimageError) -> XenimageError:
        return error if error.where.startswith(self._folder.path) else error.within(self._folder.path)


def _again(error: UnsafeError) -> UnsafeError:
    """Return a fresh one: an error gathers its places on its way, and this one is kept."""
    return UnsafeError(error.found, expected=error.expected, where=error.where, tip=error.tip)


def _neighbour(name: str, bare_name: str) -> str:
    directory = name.rpartition("/")[0]
    return safe_name(f"{directory}/{bare_name}" if directory else bare_name)


def _parent(name: str, reference: ParentReference | None) -> str | None:
    """Name of the disk that the disk *name* stands on; None if it stands on none.

    :raises UnsafeError: it is no bare name: neither a machine's disks nor those of others are looked for elsewhere.
    """
    if reference is None:
        return None
    hint = reference.name
    if not hint or "/" in hint or "\\" in hint or ":" in hint:
        raise UnsafeError(
            f"stands on the disk {hint!r}", expected="a bare name in its own directory", where=name, tip=_MERGE
        )
    return _neighbour(name, hint)


def open_vmx(path: str | os.PathLike[str], limits: Limits) -> VmxPackage:
    """Open the machine whose VMX is at *path*. Reads the VMX, and looks for its files.

    :raises UsageError: the VMX is missing.
    :raises FormatError: it is no VMX.
    :raises UnsupportedError: it is encrypted.
    :raises LimitError: it is larger than the limit descriptor_size, or has too many keys.
    """
    source = open_file(path)
    try:
        limits.require("descriptor_size", source.size, "the bytes of the VMX")
        return VmxPackage(Folder(source.name), source.read(0, source.size), limits)
    except XenimageError as error:
        raise error if error.where.startswith(source.name) else error.within(source.name) from error.__cause__
    finally:
        source.close()
