"""The disks on their way into a new package: what becomes of each, and what is to be said of that."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from xenimage.checks.package.kinds import BY_CODE
from xenimage.model.packaging import DiskState, PackagedDiskReport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from xenimage.containers.base import Container
    from xenimage.engine.salvage import Guarded
    from xenimage.model.disk import Disk
    from xenimage.model.finding import Finding
    from xenimage.model.machine import MachineDisk, Origin
    from xenimage.model.report import LostRange


@dataclasses.dataclass(kw_only=True)
class Feed:
    """A disk on its way into the new package."""

    disk: MachineDisk
    """with an identifier that is unique in the new package"""
    machine: str
    """identifier of its machine in the new package"""
    machine_name: str
    number: int
    path: str
    """of the package or file that it comes from"""
    files: tuple[str, ...]
    """paths of all files that it may be read from"""
    original: str
    """its identifier in the source"""
    open: Callable[[], Disk]
    state: DiskState = DiskState.KEPT
    why: str = ""
    container: Container | None = None
    described: MachineDisk | None = None
    """as the source has it"""
    origin: Origin | None = None
    """what its package says of it"""
    content: Guarded | None = None
    """while it is open"""
    size: int | None = None
    """bytes; None where nobody knows"""
    known_lost: tuple[LostRange, ...] = ()
    """what an earlier run could not read of it, where its work was taken over"""

    @property
    def wanted(self) -> bool:
        """Whether its content goes into the new package."""
        return self.state in (DiskState.KEPT, DiskState.REPLACED)

    def know_lost(self, lost: Sequence[LostRange]) -> None:
        """Take down what could not be read when an earlier run made the disk."""
        self.known_lost = tuple(lost)

    @property
    def lost(self) -> tuple[LostRange, ...]:
        """What could not be read, and is zeros now."""
        if not self.wanted or self.content is None:
            return ()
        return self.known_lost or self.content.lost()

    def leave_out(self, why: str) -> None:
        """Leave it out of the new package."""
        self.state, self.why = DiskState.SKIPPED, why

    def report(self) -> PackagedDiskReport:
        """What became of it so far."""
        return PackagedDiskReport(
            machine=self.machine_name,
            identifier=self.original,
            label=self.disk.label,
            number=self.number,
            state=self.state,
            source=self.path,
            virtual_size=self.size,
            why=self.why,
            lost=self.lost,
        )


def called(feed: Feed) -> str:
    """What messages call a disk."""
    label = f" ({feed.disk.label})" if feed.disk.label and feed.disk.label != feed.original else ""
    return f"{feed.number}, {feed.original!r}{label} of {feed.machine_name!r},"


def fate(feed: Feed) -> Iterator[Finding]:
    """What is to be said of what became of a disk."""
    disk = called(feed)
    if feed.state is DiskState.SKIPPED:
        yield BY_CODE["package.disk.skipped"].found(disk=disk, why=feed.why, where=feed.path)
    elif feed.state is DiskState.EMPTY:
        yield BY_CODE["package.disk.empty"].found(disk=disk, where=feed.path)
    elif feed.state is DiskState.DESCRIBED:
        yield BY_CODE["package.disk.empty"].found("described", disk=disk, where=feed.path)
    elif feed.state is DiskState.REPLACED:
        capacity = feed.described.capacity if feed.described else None
        case = "smaller" if capacity and feed.size and feed.size < capacity else ""
        yield BY_CODE["package.disk.replaced"].found(
            case, disk=disk, path=feed.path, size=feed.size, capacity=capacity, where=feed.path
        )
    if lost := feed.lost:
        size = sum(each.length for each in lost)
        yield BY_CODE["package.disk.lost"].found(disk=disk, size=size, count=len(lost), where=feed.path)
