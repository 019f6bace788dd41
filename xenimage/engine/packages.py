"""Packages of machines: opened, the machine and the disk chosen, and proved before they are trusted."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from typing import TYPE_CHECKING

from xenimage.checks.package.kinds import BY_CODE
from xenimage.containers.registry import KINDS, kind_of, open_container
from xenimage.exceptions import FormatError, UsageError
from xenimage.formats.base import DiskView
from xenimage.model.finding import Severity
from xenimage.model.machine import Origin
from xenimage.sources.file import open_file

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from xenimage.containers.base import Container
    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource, Disk
    from xenimage.model.finding import Finding
    from xenimage.model.machine import Machine, MachineDisk, Package
    from xenimage.model.plan import SourceOptions
    from xenimage.model.transfer import Progress

_FOLDERS = frozenset({"ovf", "vmx"})
"""kinds of packages whose files lie beside their description; an XVA's do so in one version"""
_OLD_XVA = ("xva", "0.1")
_PIPE = "-"
_SHOWN = 8
"""names of machines or disks that a message lists"""


def is_package(options: SourceOptions, source: ByteSource, limits: Limits) -> bool:
    """Whether a file is a package, by what the user says of it or else by its content.

    Never for a stranger's file: a description says which other files belong to it.
    """
    if options.alone:
        return False
    if options.format is not None:
        return options.format in KINDS
    return bool(kind_of(source, limits))


def choose_machine(package: Package, wish: str) -> Machine:
    """The machine that is meant.

    :param wish: its identifier, name, uuid or number from 1; empty if there is only one.
    :raises UsageError: there is no such machine, or one has to be chosen.
    """
    machines = package.machines
    names = [(each.identifier, each.name, each.uuid) for each in machines]
    place = pick(names, wish, "machine", "--vm", package.path)
    return machines[place]


def choose_disk(machine: Machine, wish: str, path: str) -> MachineDisk:
    """The disk that is meant.

    :param wish: its identifier, label or number from 1; empty if there is only one.
    :param path: of the package, for messages.
    :raises UsageError: there is no such disk, or one has to be chosen.
    """
    names = [(each.identifier, each.label) for each in machine.disks]
    place = pick(names, wish, "disk", "--disk", path)
    return machine.disks[place]


def pick(names: Sequence[tuple[str, ...]], wish: str, what: str, option: str, path: str) -> int:
    """The place in *names* that *wish* means: one of the names there, or its number from 1.

    :param wish: empty if there is only one.
    :param what: what is chosen, for messages.
    :param option: by which it is chosen, for the tip.
    :raises UsageError: there is none of that name, there are several, or one has to be chosen.
    """
    if not names:
        raise UsageError(f"has no {what}", expected="one", where=path)
    if not wish:
        if len(names) == 1:
            return 0
        raise UsageError(f"has {len(names)} {what}s", expected="one to be chosen", where=path, tip=_tip(names, option))
    # What a name says is surer than a number: a disk may be called "2".
    for column in range(len(names[0])):
        places = [place for place, each in enumerate(names) if each[column] == wish]
        if len(places) == 1:
            return places[0]
    if wish.isascii() and wish.isdigit() and len(wish) < 6 and 1 <= int(wish) <= len(names):
        return int(wish) - 1
    several = any(wish in each for each in names)
    found = f"has several {what}s called {wish!r}" if several else f"has no {what} {wish!r}"
    raise UsageError(found, expected="one of them", where=path, tip=_tip(names, option))


def _tip(names: Sequence[tuple[str, ...]], option: str) -> str:
    listed = [f"{number} ({each[1] or each[0]})" for number, each in enumerate(names[:_SHOWN], 1)]
    more = [f"and {len(names) - _SHOWN} more"] if len(names) > _SHOWN else []
    return f"Choose with {option}: {', '.join(listed + more)}."


class PackagedDisk(DiskView):
    """A disk of a package, which it closes with itself."""

    def __init__(
        self, path: str, container: Container, disk: Disk, origin: Origin, findings: Sequence[Finding]
    ) -> None:
        super().__init__(disk, dataclasses.replace(disk.facts, findings=(*disk.facts.findings, *findings)))
        self._path = path
        self._container = container
        self.origin = origin

    def beside(self) -> Iterator[str]:
        """Paths of the files that lie beside the description and belong to the package too."""
        yield from files_beside(self._path, self._container)

    def close(self) -> None:
        """See :meth:`xenimage.model.disk.Disk.close`."""
        super().close()
        self._container.close()


def open_packaged(options: SourceOptions, limits: Limits) -> PackagedDisk:
    """Open the one disk of a package that is meant.

    :raises UsageError: there are parents or snapshots to it, or a machine or disk has to be chosen.
    :raises XenimageError: as :func:`xenimage.containers.registry.open_container` and ``Container.disk``.
    """
    if options.backing or options.snapshot or options.snapshots:
        raise UsageError("a package has no other parents and no snapshots than its own", where=options.path)
    container = open_container(options.path, limits, options.choice, kind=options.format or "")
    try:
        machine = choose_machine(container.package, options.choice.machine)
        disk = choose_disk(machine, options.choice.disk, options.path)
        opened = container.disk(disk)
        origin = Origin(kind=container.package.kind, machine=machine, disk=disk)
        noted = list(_noted(options, disk, opened.facts.virtual_size))
        return PackagedDisk(options.path, container, opened, origin, noted)
    except BaseException:
        container.close()
        raise


def _noted(options: SourceOptions, disk: MachineDisk, size: int) -> Iterator[Finding]:
    if not options.choice.verify:
        yield BY_CODE["package.unverified"].found(where=options.path)
    if disk.capacity not in (None, size):
        yield BY_CODE["package.disk.size"].found(
            disk=disk.identifier, size=size, capacity=disk.capacity, where=options.path
        )


def files_beside(path: str, container: Container) -> Iterator[str]:
    """Paths of the files that lie beside the description of a package, at *path*, and belong to it too."""
    package = container.package
    if package.kind in _FOLDERS or (package.kind, package.version) == _OLD_XVA:
        for name in container.parts():
            yield os.path.join(os.path.dirname(path), name)


def files_of(options: SourceOptions, limits: Limits) -> list[str]:
    """Paths of all files that a package consists of, the one that the user named first.

    :raises XenimageError: as :func:`xenimage.containers.registry.open_container`.
    """
    with contextlib.closing(open_container(options.path, limits, options.choice, kind=options.format or "")) as opened:
        return list(dict.fromkeys([options.path, *files_beside(options.path, opened)]))


def disks_of(options: SourceOptions, limits: Limits) -> list[str]:
    """Identifiers of the disks of the machine that is meant, those without content left out, in their order.

    :raises UsageError: it has none. Else as :func:`open_packaged`.
    """
    with contextlib.closing(open_container(options.path, limits, options.choice, kind=options.format or "")) as opened:
        machine = choose_machine(opened.package, options.choice.machine)
        found = [disk.identifier for disk in machine.disks if disk.file]
    if not found:
        raise UsageError(f"the machine {machine.name!r} has no disk with content", expected="one", where=options.path)
    return found


def verify(options: SourceOptions, limits: Limits, progress: Progress) -> None:
    """Hold the disk that is meant against the manifest of its package, if it stands in one, and that has one.

    :raises FormatError: a file, the manifest or the signature does not fit.
    :raises XenimageError: as :func:`open_packaged`.
    """
    if not options.choice.verify or options.path == _PIPE:
        return
    with contextlib.closing(open_file(options.path)) as source:
        if not is_package(options, source, limits):
            return
    opening = open_container(options.path, limits, options.choice, kind=options.format or "")
    with contextlib.closing(opening) as container:
        machine = choose_machine(container.package, options.choice.machine)
        disk = choose_disk(machine, options.choice.disk, options.path)
        if options.choice.password is None and _is_encrypted(container.package, disk):
            container.disk(disk).close()  # which says best that a password is missing, before all of it is read
        require_proof(container, [disk], progress)


def _is_encrypted(package: Package, disk: MachineDisk) -> bool:
    return any(file.encrypted for file in package.files if file.identifier == disk.file)


def require_proof(container: Container, disks: Collection[MachineDisk], progress: Progress) -> tuple[Finding, ...]:
    """Prove what describes a package, and these disks of it; what is worth knowing all the same.

    Disks whose checksums are looked at whenever they are read cost nothing here.

    :raises FormatError: something does not fit.
    """
    findings = container.prove_disks(disks, progress)
    for finding in findings:
        if finding.severity is Severity.ERROR:
            raise FormatError(
                finding.what.rstrip("."),
                expected="what the manifest says",
                where=container.package.path,
                tip=f"{finding.act} To read it all the same: --no-verify.".strip(),
            )
    return findings
