"""A VHD as a disk: fixed, dynamic, differencing, by any creator. The parent it names is never opened.

What is read follows Microsoft's specification and, where that is silent, blktap: the footer at the end counts before
the copy at the start, the size is the footer's current size and never the product of its geometry, and a block's bitmap
says which of its sectors exist. The batmap, a shortcut of blktap's, is not trusted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.exceptions import XenimageError
from xenimage.formats.base import merged, within
from xenimage.formats.vhd import layout
from xenimage.formats.vhd.bodies import Blocks, Body, Linear
from xenimage.formats.vhd.describe import facts
from xenimage.formats.vhd.metadata import Tables, add_body, find_footer
from xenimage.model.extent import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.limits import Limits
    from xenimage.model.disk import ByteSource
    from xenimage.model.extent import Extent


class VhdDisk:
    """See :class:`xenimage.model.disk.Disk`. *footer*, *header*, *table*: the metadata for those who judge it."""

    def __init__(self, source: ByteSource, tables: Tables) -> None:
        self._source = source
        self._refusal = tables.refusal
        self.tables = tables
        self.footer = tables.footer
        self.footer_offset = tables.footer_offset
        self.header = tables.header
        self.table = tables.table
        self.facts = facts(tables, source.size)
        self._body: Body = Linear(source, min(tables.data_end, tables.virtual_size))
        if tables.header is not None:
            missing = Kind.ABSENT if tables.footer.type == layout.DIFFERENCING else Kind.ZERO
            self._body = Blocks(source, tables.header, tables, missing)

    def unreadable(self) -> XenimageError | None:
        """See :meth:`xenimage.model.disk.Disk.unreadable`: encrypted, in the middle of a resize, of unknown kind."""
        return self._refusal().within(self._source.name) if self._refusal else None

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """See :meth:`xenimage.model.disk.Disk.read_into`."""
        within(self._readable_size(), offset, len(buffer))
        self._body.read_into(offset, buffer)

    def extents(self, offset: int, length: int) -> Iterator[Extent]:
        """See :meth:`xenimage.model.disk.Disk.extents`: what a dynamic disk does not store is zero."""
        within(self._readable_size(), offset, length)
        return merged(self._body.ranges(offset, length))

    def _readable_size(self) -> int:
        error = self.unreadable()
        if error is not None:
            raise error
        return self.facts.virtual_size

    def close(self) -> None:
        """Close the source."""
        self._source.close()


def open_vhd(source: ByteSource, limits: Limits) -> VhdDisk:
    """Take *source* as a VHD; reads its metadata, never its data. The caller closes *source* if this raises.

    :raises FormatError: the metadata breaks the format's rules, or the file is truncated.
    :raises UnsupportedError: the header is of an unknown version; for all else see :meth:`VhdDisk.unreadable`.
    :raises LimitError: the size, the block size or the BAT passes its limit.
    """
    try:
        tables = find_footer(source)
        limits.require("virtual_size", tables.virtual_size, "the virtual size of the VHD")
        if tables.refusal is None:
            tables = add_body(source, tables, limits)
        return VhdDisk(source, tables)
    except XenimageError as error:
        raise error if error.where.startswith(source.name) else error.within(source.name) from error.__cause__
