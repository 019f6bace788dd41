"""What one view of a qcow2 image holds that an older one does not: internal snapshots as layers of a chain.

A snapshot has whole tables of its own; what did not change is in both tables the same cluster of the file, since QEMU
copies a cluster that a snapshot shares before it writes. So the layers are found without reading any data.
Reference: QEMU, docs/interop/qcow2.rst, sections "Snapshots" and "Cluster mapping".
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from xenimage.formats.base import clear, merged, within
from xenimage.model.disk import ParentReference
from xenimage.model.extent import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.exceptions import XenimageError
    from xenimage.formats.qcow2.mapping import Run
    from xenimage.formats.qcow2.reader import Qcow2Disk
    from xenimage.model.disk import Disk, DiskFacts
    from xenimage.model.extent import Extent


class Difference:
    """See :class:`xenimage.model.disk.Disk`: *newer* where it differs from *older*, another view of the same image.

    :param view: *newer* over the parents of the image, if it has any: what is read.
    :param older_name: of the older view, for display.
    """

    def __init__(self, newer: Qcow2Disk, older: Qcow2Disk, view: Disk, older_name: str) -> None:
        self._newer = newer
        self._older = older
        self._view = view
        self._alone = newer.facts.parent is None
        # What is read of the parents counts as well; what is wrong with the image is told of its oldest layer alone.
        self.facts: DiskFacts = dataclasses.replace(
            view.facts,
            identity=newer.facts.identity,
            parent=ParentReference(name=older_name, format=newer.facts.format),
            findings=(),
        )

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """See :meth:`xenimage.model.disk.Disk.read_into`."""
        for extent in self.extents(offset, len(buffer)):
            part = buffer[extent.offset - offset : extent.end - offset]
            if extent.kind is Kind.DATA:
                self._view.read_into(extent.offset, part)
            else:
                clear(part)

    def extents(self, offset: int, length: int) -> Iterator[Extent]:
        """See :meth:`xenimage.model.disk.Disk.extents`: what did not change is absent."""
        within(self.facts.virtual_size, offset, length)
        return merged(self._ranges(offset, length))

    def _ranges(self, offset: int, length: int) -> Iterator[tuple[int, int, Kind]]:
        end = offset + length
        shared = min(end, max(offset, self._older.facts.virtual_size))
        older = self._older.runs(offset, shared - offset)
        below = next(older, None)
        for run in self._newer.runs(offset, length):
            start, stop = max(run.guest, offset), min(run.guest + run.length, end)
            while start < stop:
                while below is not None and below.guest + below.length <= start:
                    below = next(older, None)
                if below is None or start >= shared:
                    yield start, stop - start, Kind.DATA if run.kind is Kind.DATA else Kind.ABSENT
                    break
                upto = min(stop, below.guest + below.length, shared)
                for part_stop, same in self._same(run, below, start, upto):
                    if same:
                        yield start, part_stop - start, Kind.ABSENT
                    else:
                        yield from self._changed(run, start, part_stop)
                    start = part_stop

    def _same(self, run: Run, below: Run, start: int, stop: int) -> Iterator[tuple[int, bool]]:
        """Yield (end, whether both runs show the same there) for the range, which lies in both runs."""
        if run.packed is not None and below.packed is not None:
            size = run.length // len(run.packed)
            while start < stop:
                upto = min(stop, start - start % size + size)
                entries = (each.packed[(start - each.guest) // size] for each in (run, below) if each.packed)
                yield upto, len(set(entries)) == 1
                start = upto
        elif run.kind is Kind.DATA and below.kind is Kind.DATA:
            plain = run.packed is None and below.packed is None
            yield stop, plain and run.host - run.guest == below.host - below.guest
        else:
            empty = (Kind.ZERO, Kind.ABSENT)
            yield stop, run.kind is below.kind or (self._alone and run.kind in empty and below.kind in empty)

    def _changed(self, run: Run, start: int, stop: int) -> Iterator[tuple[int, int, Kind]]:
        """Yield a changed range. Where it is not stored any more it shows the image's parent, or zeros without one."""
        if run.kind is not Kind.ABSENT:
            yield start, stop - start, run.kind
            return
        for extent in self._view.extents(start, stop - start):
            yield extent.offset, extent.length, Kind.DATA if extent.kind is Kind.DATA else Kind.ZERO

    def unreadable(self) -> XenimageError | None:
        """See :meth:`xenimage.model.disk.Disk.unreadable`."""
        return self._newer.unreadable() or self._older.unreadable()

    def close(self) -> None:
        """Close the newer view."""
        self._newer.close()
