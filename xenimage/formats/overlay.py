"""A disk on top of its parent, flattened into one view."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING

from xenimage.exceptions import UnsafeError
from xenimage.formats.base import clear, merged, within
from xenimage.model.extent import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from xenimage.exceptions import XenimageError
    from xenimage.model.disk import Disk, DiskFacts
    from xenimage.model.extent import Extent


def flattened(layers: Sequence[Disk]) -> Disk:
    """The one disk that *layers* show together, the leaf first."""
    return functools.reduce(lambda parent, child: Overlay(child, parent), reversed(layers))


def require_parent(child: Disk, name: str, parent: Disk, parent_name: str) -> None:
    """Prove that *child* was made on *parent* as it is now, where both say who they are.

    :param name: of the child, for messages.
    :raises UnsafeError: the parent is another one, or was changed.
    """
    reference, identity = child.facts.parent, parent.facts.identity
    if reference is not None and reference.identity and identity and reference.identity != identity:
        raise UnsafeError(
            f"its parent is {reference.identity}, but {parent_name} is {identity}",
            expected="the parent that the disk was made on, unchanged since",
            where=name,
            tip="Look for the right file: a disk over another parent, or a changed one, reads as garbage.",
        )


class Overlay:
    """*child* over *parent*: where the child is absent, the parent answers, and behind the parent's end zeros."""

    def __init__(self, child: Disk, parent: Disk) -> None:
        self._child = child
        self._parent = parent
        self.facts: DiskFacts = dataclasses.replace(
            child.facts,
            occupied=_bytes(child.facts) + _bytes(parent.facts),
            stored_size=child.facts.stored_size + parent.facts.stored_size,
            granularity=min(child.facts.granularity, parent.facts.granularity),
            sequential=child.facts.sequential or parent.facts.sequential,
            parent=None,
            compressed=child.facts.compressed or parent.facts.compressed,
            findings=child.facts.findings + parent.facts.findings,
        )

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """See :meth:`xenimage.model.disk.Disk.read_into`."""
        within(self.facts.virtual_size, offset, len(buffer))
        for extent in self._child.extents(offset, len(buffer)):
            part = buffer[extent.offset - offset : extent.end - offset]
            if extent.kind is Kind.DATA:
                self._child.read_into(extent.offset, part)
            elif extent.kind is Kind.ZERO:
                clear(part)
            else:
                self._read_parent(extent.offset, part)

    def _read_parent(self, offset: int, buffer: memoryview) -> None:
        there = max(0, min(len(buffer), self._parent.facts.virtual_size - offset))
        if there:
            self._parent.read_into(offset, buffer[:there])
        clear(buffer[there:])

    def extents(self, offset: int, length: int) -> Iterator[Extent]:
        """See :meth:`xenimage.model.disk.Disk.extents`."""
        within(self.facts.virtual_size, offset, length)
        return merged(self._ranges(offset, length))

    def _ranges(self, offset: int, length: int) -> Iterator[tuple[int, int, Kind]]:
        parent_end = self._parent.facts.virtual_size
        for extent in self._child.extents(offset, length):
            if extent.kind is not Kind.ABSENT:
                yield extent.offset, extent.length, extent.kind
                continue
            stop = min(extent.end, parent_end)
            if extent.offset < stop:
                for below in self._parent.extents(extent.offset, stop - extent.offset):
                    yield below.offset, below.length, below.kind
            start = max(extent.offset, parent_end)
            if start < extent.end:
                yield start, extent.end - start, Kind.ZERO

    def unreadable(self) -> XenimageError | None:
        """See :meth:`xenimage.model.disk.Disk.unreadable`."""
        return self._child.unreadable() or self._parent.unreadable()

    def close(self) -> None:
        """Close both."""
        self._child.close()
        self._parent.close()


def _bytes(facts: DiskFacts) -> int:
    return facts.stored_size if facts.occupied is None else facts.occupied
