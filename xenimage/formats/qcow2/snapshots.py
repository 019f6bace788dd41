"""The internal snapshots of an image: their table, and the choice of one.

Reference: QEMU, docs/interop/qcow2.rst, section "Snapshots".
"""

from __future__ import annotations

import dataclasses
import datetime
from typing import TYPE_CHECKING

from xenimage.exceptions import FormatError, UsageError
from xenimage.formats.qcow2 import layout
from xenimage.units import round_up

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xenimage.formats.qcow2.layout import Header
    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource

_NAME_MAX = 1023
"""bytes of an id or a name that are kept, four times what QEMU writes: a table full of 64 KiB names is an attack"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Snapshot:
    """One internal snapshot."""

    identity: str
    """unique within the image; QEMU counts from 1"""
    name: str
    date: datetime.datetime
    """in UTC"""
    vm_state_size: int
    """bytes of the stored memory of the guest; 0 where only the disk was kept"""
    virtual_size: int
    """bytes of the disk at that time"""
    l1_offset: int
    """bytes from the start of the file"""
    l1_entries: int

    def __str__(self) -> str:
        state = ", with VM state" if self.vm_state_size else ""
        return f"{self.identity} {self.name!r} {self.date:%Y-%m-%dT%H:%M:%SZ}{state}"


def read_snapshots(source: ByteSource, header: Header, limits: Limits) -> tuple[Snapshot, ...]:
    """Read the snapshot table.

    :raises FormatError: the table or an entry of it does not lie within the file.
    :raises LimitError: more snapshots, or a longer table, than the limits allow.
    """
    limits.require("snapshots", header.snapshot_count, "the number of snapshots")
    if not header.snapshot_count:
        return ()
    if not header.snapshot_offset or header.snapshot_offset % header.cluster_size:
        raise FormatError(
            f"stands at {header.snapshot_offset:#x}",
            expected=f"a multiple of the cluster size {header.cluster_size:#x}",
            where="snapshot table",
        )
    snapshots = []
    position = header.snapshot_offset
    for index in range(header.snapshot_count):
        try:
            snapshot, length = _read_one(source, position, header)
        except FormatError as error:
            raise error.within(f"snapshot table, entry {index} at {position:#x}") from None
        position += length
        limits.require("table_size", position - header.snapshot_offset, "the length of the snapshot table in bytes")
        snapshots.append(snapshot)
    return tuple(snapshots)


def _read_one(source: ByteSource, position: int, header: Header) -> tuple[Snapshot, int]:
    _require(source, position, layout.SNAPSHOT_LENGTH)
    head = layout.parse_snapshot_head(source.read(position, layout.SNAPSHOT_LENGTH))
    if head.extra_length > layout.MAX_SNAPSHOT_EXTRA:
        raise FormatError(
            f"has {head.extra_length} bytes of extra data", expected=f"at most {layout.MAX_SNAPSHOT_EXTRA}"
        )
    _require(source, position + layout.SNAPSHOT_LENGTH, head.tail_length)
    tail = source.read(position + layout.SNAPSHOT_LENGTH, head.tail_length)
    vm_state_size, virtual_size = layout.parse_snapshot_extra(tail[: head.extra_length])
    name_start = head.extra_length + head.id_length
    snapshot = Snapshot(
        identity=layout.decode(tail[head.extra_length : name_start][:_NAME_MAX]),
        name=layout.decode(tail[name_start:][:_NAME_MAX]),
        date=datetime.datetime.fromtimestamp(head.seconds, datetime.UTC),
        vm_state_size=head.vm_state_size if vm_state_size is None else vm_state_size,
        # Writers before QEMU 1.1 left it out, because disks with snapshots could not be resized.
        virtual_size=header.virtual_size if virtual_size is None else virtual_size,
        l1_offset=head.l1_offset,
        l1_entries=head.l1_entries,
    )
    return snapshot, round_up(layout.SNAPSHOT_LENGTH + head.tail_length, 8)


def _require(source: ByteSource, position: int, length: int) -> None:
    if position + length > source.size:
        raise FormatError(
            f"needs {length} bytes at {position:#x}", expected=f"an entry within the file of {source.size} bytes"
        )


def choose(snapshots: Sequence[Snapshot], wanted: str) -> Snapshot:
    """Find the snapshot that the user means: by id first, then by name.

    :raises UsageError: there is none, or several bear the name.
    """
    for found in ([s for s in snapshots if s.identity == wanted], [s for s in snapshots if s.name == wanted]):
        if len(found) == 1:
            return found[0]
        if found:
            listed = ", ".join(snapshot.identity for snapshot in found)
            raise UsageError(
                f"snapshot {wanted!r} exists {len(found)} times, with the ids {listed}",
                expected="a name or an id that only one has",
                tip="Name the snapshot by its id.",
            )
    listed = "; ".join(map(str, snapshots[:20])) or "no snapshots"
    more = f" and {len(snapshots) - 20} more" if len(snapshots) > 20 else ""
    raise UsageError(f"has no snapshot {wanted!r}", expected=f"one of those that exist: {listed}{more}")
