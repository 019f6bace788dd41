"""Which internal snapshots of a qcow2 become layers of a chain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.exceptions import UsageError
from xenimage.formats.qcow2.snapshots import choose

if TYPE_CHECKING:
    from xenimage.formats.qcow2.reader import Qcow2Disk
    from xenimage.formats.qcow2.snapshots import Snapshot
    from xenimage.model.plan import SourceOptions

ALL_SNAPSHOTS = "all"


def wished_snapshots(leaf: Qcow2Disk, options: SourceOptions) -> list[Snapshot]:
    """The snapshots that become layers, the newest first; only such as are older than the leaf, if that is one.

    :raises UsageError: there is no such snapshot, or it is not older.
    """
    ordered = sorted(leaf.snapshots, key=lambda each: each.date)
    older = ordered
    if options.snapshot is not None:
        older = ordered[: ordered.index(choose(leaf.snapshots, options.snapshot))]
    if options.snapshots == (ALL_SNAPSHOTS,):
        return older[::-1]
    try:
        wished = [choose(leaf.snapshots, name) for name in options.snapshots]
    except UsageError as error:
        raise error.within(options.path) from None
    for each in wished:
        if each not in older:
            raise UsageError(
                f"the snapshot {each.name!r} is not older than {options.snapshot!r}",
                expected="older ones as layers below it",
                where=options.path,
            )
    return [each for each in reversed(older) if each in wished]
