"""Looking into a guest: its disks are opened here, and read for a child process that has nothing else of them."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING

from xenimage.engine import chains, opener, packages
from xenimage.exceptions import UsageError
from xenimage.guest.sandbox import parent
from xenimage.model.transfer import Silent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from xenimage.limits import Limits
    from xenimage.model.disk import Disk
    from xenimage.model.guest.facts import GuestFacts
    from xenimage.model.machine import Origin
    from xenimage.model.plan import SourceOptions


@dataclasses.dataclass(frozen=True, kw_only=True)
class Opened:
    """The disks of one guest, in the order in which it has them, to be read here and there."""

    disks: list[Disk]
    names: list[str]
    origin: Origin | None
    """of the first one; None where it stands in no package"""


@contextlib.contextmanager
def opened(sources: Sequence[SourceOptions], limits: Limits) -> Iterator[Opened]:
    """Open the disks of one guest.

    :raises UsageError: no disk, no such file, or the same one twice.
    :raises XenimageError: a disk cannot be opened: as :func:`xenimage.engine.opener.open_source`.
    """
    if not sources:
        raise UsageError("no disk is given", expected="one disk or more")
    chains.distinct([each.path for each in sources])
    with contextlib.ExitStack() as stack:
        disks, names, origins = [], [], []
        for source, name in (each for given in sources for each in _disks(given, limits)):
            packages.verify(source, limits, Silent())
            disk, origin = opener.open_whole(source, limits, scattered=True)
            stack.callback(disk.close)
            disks.append(disk)
            names.append(name)
            origins.append(origin)
        yield Opened(disks=disks, names=names, origin=origins[0])


def _disks(source: SourceOptions, limits: Limits) -> Iterator[tuple[SourceOptions, str]]:
    """The disks that stand in one file, and what they are called: all of a machine, where it is a package."""
    if source.choice.disk or not opener.is_packaged(source, limits):
        yield source, source.path
        return
    for identifier in packages.disks_of(source, limits):
        choice = dataclasses.replace(source.choice, disk=identifier)
        yield dataclasses.replace(source, choice=choice), f"{source.path}:{identifier}"


def inspect(sources: Sequence[SourceOptions], limits: Limits) -> GuestFacts:
    """Look into the disks of one guest, in the order in which it has them.

    :raises TransferError: a source failed.
    :raises XenimageError: as :func:`opened`.
    """
    with opened(sources, limits) as found:
        return parent.inspect(found.disks, limits, found.names)
