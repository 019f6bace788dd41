"""What a new package is made of: machines of one or several sources, and each of their disks with its fate."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
from typing import TYPE_CHECKING

from xenimage.checks.package.kinds import BY_CODE
from xenimage.containers.registry import open_container
from xenimage.engine.feeds import Feed, called, fate
from xenimage.engine.opener import is_packaged, open_source
from xenimage.engine.outfitting import machine_around, outfit, outfit_networks
from xenimage.engine.packages import choose_disk, choose_machine, files_beside, pick, require_proof
from xenimage.engine.salvage import Guarded, Salvaged
from xenimage.engine.samefile import refuse_output
from xenimage.exceptions import FormatError, UsageError, XenimageError
from xenimage.model.machine import Origin
from xenimage.model.packaging import DiskState, OnDiskError
from xenimage.model.plan import SourceOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from xenimage.containers.base import Container
    from xenimage.limits import Limits
    from xenimage.model.disk import Disk
    from xenimage.model.finding import Finding
    from xenimage.model.machine import Machine, MachineDisk, Network
    from xenimage.model.packaging import PackagingOptions
    from xenimage.model.transfer import Progress

_SKIPPED = "as was asked for (--skip-disk)"


class Load:
    """Sources, opened. Made by :func:`loaded`."""

    def __init__(self, options: PackagingOptions, limits: Limits, stack: contextlib.ExitStack) -> None:
        self._options = options
        self._limits = limits
        self._stack = stack
        self._machines: list[Machine] = []
        self._networks: list[Network] = []
        self._counter = itertools.count(1)
        self._taken: set[str] = set()
        self._repeated: dict[str, int] = {}
        """the number behind a name that stands several times"""
        self.feeds: list[Feed] = []
        self.findings: list[Finding] = []
        self.name = ""
        """of the whole, where the one source has one"""
        self.single = len(options.sources) == 1
        self.read: list[str] = []
        """paths of all files that are read: nothing may be written there"""
        self.folders: list[str] = []
        """directories of packages whose files lie beside their description"""

    # Opening

    def add(self, source: SourceOptions) -> None:
        """Open one source."""
        self.read += (source.path, *source.backing)
        if is_packaged(source, self._limits):
            self._add_package(source)
            return
        opening = _opening(source, self._limits)
        files = (source.path, *source.backing)
        self._add_machine(machine_around(source.path), files, lambda _disk: opening, None)

    def _add_package(self, source: SourceOptions) -> None:
        container = self._container(source)
        self._stack.callback(container.close)
        beside = list(files_beside(source.path, container))
        self.read += beside
        if beside:
            self.folders.append(os.path.dirname(source.path) or ".")
        package = container.package
        machines = [choose_machine(package, source.choice.machine)] if source.choice.machine else package.machines
        if not machines:
            raise UsageError("has no machine", expected="one at least", where=source.path)
        if source.choice.disk:
            if len(machines) > 1:
                raise UsageError(
                    "one disk of several machines", expected="one machine", where=source.path, tip="Add --vm NAME."
                )
            chosen = choose_disk(machines[0], source.choice.disk, source.path)
            machines = [dataclasses.replace(machines[0], disks=(chosen,))]
        if self.single:
            self.name = package.name
        for machine in machines:
            self._add_machine(machine, (source.path, *beside), lambda disk: lambda: _opened(container, disk), container)
        self._networks += package.networks
        self.findings += package.findings
        if not source.choice.verify:
            self.findings.append(BY_CODE["package.unverified"].found(where=source.path))

    def _container(self, source: SourceOptions) -> Container:
        """Open a package; a damaged one where not all of it is wanted."""
        options = self._options
        damaged = options.on_disk_error is not OnDiskError.FAIL or bool(
            options.metadata_only or options.skip or options.replace
        )
        choice = dataclasses.replace(source.choice, damaged=damaged)
        try:
            return open_container(source.path, self._limits, choice, kind=source.format or "")
        except FormatError as error:
            if not damaged and self._is_cut(source):
                error.tip = f"{error.tip} To go on with what is left: --on-disk-error salvage or skip.".strip()
            raise

    def _is_cut(self, source: SourceOptions) -> bool:
        """Whether a package that does not open does so as a damaged one."""
        choice = dataclasses.replace(source.choice, damaged=True)
        with contextlib.suppress(XenimageError):
            open_container(source.path, self._limits, choice, kind=source.format or "").close()
            return True
        return False

    def _add_machine(
        self,
        machine: Machine,
        files: tuple[str, ...],
        opening: Callable[[MachineDisk], Callable[[], Disk]],
        container: Container | None,
    ) -> None:
        path = files[0]
        identifier = self._unique(machine.identifier)
        disks = []
        for disk in machine.disks:
            # Delta disks come over their parents, so that each is whole.
            self._limits.require("extents", len(self.feeds) + 1, "the number of disks of all machines")
            new = dataclasses.replace(disk, identifier=self._unique(disk.identifier), file="", format="", parent="")
            disks.append(new)
            feed = Feed(
                disk=new, machine=identifier, machine_name=machine.name, number=next(self._counter), path=path,
                files=files, original=disk.identifier, open=opening(disk), container=container, described=disk,
                size=disk.capacity,
            )  # fmt: skip
            if container is not None:
                feed.origin = Origin(kind=container.package.kind, machine=machine, disk=disk)
            if not disk.file:
                feed.state = DiskState.EMPTY
            self.feeds.append(feed)
        if any(machine.cdroms):
            self.findings.append(BY_CODE["package.cdrom.left-out"].found(machine=machine.name, where=path))
        empty = ("",) * len(machine.cdroms)
        # A uuid that stands twice would be that of neither.
        uuid = "" if any(each.uuid == machine.uuid for each in self._machines) else machine.uuid
        self._machines.append(
            dataclasses.replace(machine, identifier=identifier, uuid=uuid, disks=tuple(disks), cdroms=empty)
        )

    def _unique(self, identifier: str) -> str:
        name = identifier
        while name in self._taken:
            # A package may give one name to any number of disks.
            number = self._repeated[identifier] = self._repeated.get(identifier, 1) + 1
            name = f"{identifier}-{number}"
        self._taken.add(name)
        return name

    # Deciding

    def decide(self) -> None:
        """Give each disk the fate that the options name.

        :raises UsageError: they name a disk that there is not, or one twice.
        """
        self._machines = list(outfit(self._machines, self._options.wishes))
        names = {machine.identifier: machine.name for machine in self._machines}
        for feed in self.feeds:
            feed.machine_name = names[feed.machine]
        chosen: set[str] = set()
        for wish in self._options.skip:
            self._chosen(wish, "--skip-disk", chosen).leave_out(_SKIPPED)
        for wish, path in self._options.replace:
            feed = self._chosen(wish, "--replace-disk", chosen)
            self.read.append(path)
            feed.state, feed.path, feed.container, feed.size, feed.origin = DiskState.REPLACED, path, None, None, None
            feed.files = (path,)
            feed.open = _opening(SourceOptions(path=path), self._limits)
        if self._options.metadata_only:
            for feed in self.feeds:
                if feed.state in (DiskState.KEPT, DiskState.EMPTY):
                    feed.state = DiskState.DESCRIBED

    def refuse(self, path: str) -> None:
        """Refuse to write to a file that is read.

        :raises UsageError: *path* is one.
        """
        for each in self.read:
            refuse_output(path, each)

    def _chosen(self, wish: str, option: str, chosen: set[str]) -> Feed:
        path = ", ".join(source.path for source in self._options.sources)
        names = [(feed.original, feed.disk.label) for feed in self.feeds]
        feed = self.feeds[pick(names, wish, "disk", option, path)]
        if feed.disk.identifier in chosen:
            raise UsageError(f"the disk {wish!r} is named twice", expected="one fate for each disk", where=path)
        chosen.add(feed.disk.identifier)
        return feed

    # Proving

    def prove(self, progress: Progress) -> None:
        """Hold what is wanted against the manifests.

        :raises FormatError: something does not fit; of a disk only where damage is not allowed.
        """
        verified = {source.path for source in self._options.sources if source.choice.verify}
        for container in {id(feed.container): feed.container for feed in self.feeds}.values():
            if container is None or container.package.path not in verified:
                continue
            feeds = [feed for feed in self.feeds if feed.container is container and feed.wanted]
            if self._options.on_disk_error is OnDiskError.FAIL:
                self._prove_all(container, feeds, progress)
                continue
            self.findings += require_proof(container, [], progress)
            for feed in feeds:
                self._prove_disk(container, feed, progress)

    def _prove_all(self, container: Container, feeds: Sequence[Feed], progress: Progress) -> None:
        try:
            disks = [feed.described for feed in feeds if feed.described]
            self.findings += require_proof(container, disks, progress)
        except FormatError as error:
            error.tip = error.tip.replace("--no-verify", "--no-verify, or --on-disk-error salvage or skip")
            raise

    def _prove_disk(self, container: Container, feed: Feed, progress: Progress) -> None:
        assert feed.described is not None
        try:
            require_proof(container, [feed.described], progress)
        except FormatError as error:
            if self._options.on_disk_error is OnDiskError.SKIP:
                feed.leave_out(str(error))
            else:
                kind = BY_CODE["package.disk.lost"]
                self.findings.append(kind.found("manifest", disk=called(feed), error=error.found, where=feed.path))

    # Disks

    def open_disks(self) -> None:
        """Open all disks whose content is wanted; one that does not open is left out where that is allowed.

        :raises XenimageError: it is not allowed.
        """
        for feed in self.feeds:
            if feed.wanted and feed.content is None:
                self._open(feed)
            elif feed.state is DiskState.EMPTY or (feed.state is DiskState.DESCRIBED and feed.size is None):
                self._measure(feed)

    def _open(self, feed: Feed) -> None:
        try:
            disk = feed.open()
        except UsageError:
            raise
        except XenimageError as error:
            self._failed(feed, error)
            return
        salvage = self._options.on_disk_error is OnDiskError.SALVAGE
        feed.content = Salvaged(disk) if salvage else Guarded(disk)
        self._stack.callback(feed.content.close)
        said, feed.size = feed.size, disk.facts.virtual_size
        if said not in (None, feed.size):
            kind = BY_CODE["package.disk.size"]
            self.findings.append(kind.found(disk=feed.original, size=feed.size, capacity=said, where=feed.path))

    def _measure(self, feed: Feed) -> None:
        """Find the size of a disk that is described alone: its image says it, where the description does not."""
        if feed.size is None and feed.described is not None and feed.described.file:
            with contextlib.suppress(XenimageError), contextlib.closing(feed.open()) as disk:
                feed.size = disk.facts.virtual_size
        if not feed.size:
            feed.leave_out("it has no content, and nothing tells its size")

    def _failed(self, feed: Feed, error: XenimageError) -> None:
        if self._options.on_disk_error is OnDiskError.FAIL or feed.state is DiskState.REPLACED:
            ways = f"--on-disk-error salvage or skip, or --skip-disk {feed.number}"
            error.tip = f"{error.tip} To go on all the same: {ways}.".strip()
            raise error
        feed.leave_out(str(error))

    def drop_failed(self) -> bool:
        """Leave those disks out that failed while they were read, if that is allowed; whether there was one."""
        if self._options.on_disk_error is not OnDiskError.SKIP:
            return False
        failed = [feed for feed in self.feeds if feed.wanted and feed.content and feed.content.failure]
        for feed in failed:
            assert feed.content is not None
            feed.leave_out(str(feed.content.failure))
        return bool(failed)

    # What there is

    @property
    def content(self) -> Mapping[str, Disk]:
        """The open disks by their identifier in the new package."""
        return {feed.disk.identifier: feed.content for feed in self.feeds if feed.wanted and feed.content}

    @property
    def machines(self) -> tuple[Machine, ...]:
        """The machines of the new package, with the disks that it has."""
        disks: dict[str, list[MachineDisk]] = {machine.identifier: [] for machine in self._machines}
        for feed in self.feeds:
            if feed.state is not DiskState.SKIPPED:
                populated = feed.disk.populated if feed.container else None
                disks[feed.machine].append(dataclasses.replace(feed.disk, capacity=feed.size, populated=populated))
        return tuple(dataclasses.replace(machine, disks=tuple(disks[machine.identifier])) for machine in self._machines)

    @property
    def networks(self) -> tuple[Network, ...]:
        """The networks, under their new names."""
        return outfit_networks(self._networks, self._options.wishes)

    def all_findings(self) -> tuple[Finding, ...]:
        """Findings of the sources, and of what became of the disks."""
        disks = [feed.content for feed in self.feeds if feed.content and feed.wanted]
        # What is said of an archive each of its disks says.
        told = dict.fromkeys(finding for disk in disks for finding in disk.facts.findings)
        left = [
            BY_CODE["package.words.left-out"].found(machine=machine.name)
            for machine in self._machines
            if self._options.to == "xva" and (machine.eulas or machine.products)
        ]
        return (*self.findings, *left, *told, *(found for feed in self.feeds for found in fate(feed)))


def _opening(source: SourceOptions, limits: Limits) -> Callable[[], Disk]:
    return lambda: open_source(source, limits, scattered=False)


def _opened(container: Container, disk: MachineDisk) -> Disk:
    opened = container.disk(disk)
    reason = opened.unreadable()
    if reason is not None:
        opened.close()
        raise reason if reason.where else reason.within(container.package.path)
    return opened


@contextlib.contextmanager
def loaded(options: PackagingOptions, limits: Limits) -> Iterator[Load]:
    """Open the sources, and decide about their disks; these are opened by :meth:`Load.open_disks`.

    :raises UsageError: a wish that does not fit the sources. Else as the registry and the opener.
    """
    with contextlib.ExitStack() as stack:
        load = Load(options, limits, stack)
        for source in options.sources:
            load.add(source)
        load.decide()
        yield load
