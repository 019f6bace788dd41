"""One VHD as libvhd opens it, which is more than other readers dare, and its way to the parent.

The file is the operator's own, as with upstream, so its locators are followed; a loop or a chain that is too long is an
error instead of a hang.
"""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING

from xenimage.exceptions import XenimageError
from xenimage.formats.vhd import layout, locators
from xenimage.formats.vhd.checks.tables import is_block_size, read_tables
from xenimage.formats.vhd.editing.disk import BLOCK_SPAN, head_end, read_batmap
from xenimage.formats.vhd.editing.parent import locator_path
from xenimage.limits import STRICT
from xenimage.sources.file import open_file
from xenimage.units import SECTOR
from xenimage.vhdutil.terminal import INVALID, UtilError, status_of, warn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.formats.vhd.checks.tables import Tables

_VERSION_0_1 = 0x00000001
CHAIN_MAX = STRICT.chain_depth


class Image:
    """An open VHD. Errors are UtilError with the status that libvhd's call would give and no line."""

    def __init__(self, name: str, tables: Tables, footer: layout.Footer) -> None:
        self.name = name
        self.tables = tables
        self.footer = footer
        self.header = tables.header if footer.type in (layout.DYNAMIC, layout.DIFFERENCING) else None
        self._table: list[int] | None = None

    def __enter__(self) -> Image:
        return self

    def __exit__(self, *_: object) -> None:
        self.tables.source.close()

    @property
    def is_child(self) -> bool:
        """Whether it is a differencing disk."""
        return self.footer.type == layout.DIFFERENCING

    @property
    def has_raw_parent(self) -> bool:
        """Whether its parent is no VHD: its uuid is null."""
        return self.is_child and self.header is not None and not any(self.header.parent_uuid)

    @property
    def wants_batmap(self) -> bool:
        """Whether libvhd uses the batmap, sound or not."""
        return self.header is not None and (self.tables.needs_batmap or self.tables.has_batmap)

    def table(self) -> list[int]:
        """The BAT's entries that the size needs.

        :raises UtilError: it cannot be read, or is too short.
        """
        bat = self.tables.bat
        if self.header is None or bat is None or self.header.max_entries < self.tables.blocks:
            raise UtilError("", INVALID)
        if self._table is None:
            self._table = bat[: self.tables.blocks].tolist()
        return self._table

    def stored(self) -> list[tuple[int, int]]:
        """(block, sector) of the stored blocks, in order of the blocks."""
        return [(block, sector) for block, sector in enumerate(self.table()) if sector != layout.UNALLOCATED]

    def batmap(self) -> tuple[layout.BatmapHeader, bytearray]:
        """The batmap and its bits.

        :raises UtilError: it is missing or damaged.
        """
        header = self.header
        found = read_batmap(self.tables.source, self.footer, header, STRICT) if header else None
        if found is None:
            raise UtilError("", INVALID)
        return found

    def head_end(self) -> int:
        """End of the tables and locators.

        :raises UtilError: the batmap, which stands behind them, is damaged.
        """
        if self.header is None:
            raise UtilError("", INVALID)
        return head_end(self.footer, self.header, self.batmap()[0] if self.wants_batmap else None)

    def data_end(self) -> int:
        """Where the footer belongs."""
        if self.header is None:
            return self.tables.data_end
        ends = [sector * SECTOR + BLOCK_SPAN for _, sector in self.stored()]
        return max([self.head_end(), *ends])

    def locator_texts(self) -> Iterator[str]:
        """The paths to the parent that can be read, in the order in which they are tried."""
        for locator in self.header.locators if self.header else ():
            path = locator_path(self.tables.source, locator)
            if path is not None:
                yield path

    def resolve(self, path: str) -> str:
        """The file that a locator's *path* leads to, links followed.

        :raises UtilError: there is none.
        """
        return os.path.realpath(self._found(path))

    def _found(self, path: str) -> str:
        beside = os.path.join(os.path.dirname(os.path.realpath(self.name)), path)
        for found in ([path] if os.path.isabs(path) else []) + [beside]:
            if os.access(found, os.R_OK):
                return found
        raise UtilError("", errno.ENOENT)

    def has_linked_parent(self) -> bool:
        """Whether a symbolic link leads to the parent."""
        for path in self.locator_texts():
            with contextlib.suppress(UtilError):
                return os.path.islink(self._found(path))
        return False

    def parent(self) -> str:
        """The absolute path of the parent: the first that a locator leads to.

        :raises UtilError: no locator leads anywhere.
        """
        status = INVALID
        for path in self.locator_texts():
            try:
                return self.resolve(path)
            except UtilError as error:
                status = error.status
        raise UtilError("", status)


def open_image(name: str) -> Image:
    """Open a VHD as libvhd does for reading.

    :raises UtilError: there is no such file, or libvhd would not open it; without a line.
    """
    try:
        source = open_file(name)
    except XenimageError as error:
        raise UtilError("", status_of(error)) from error
    try:
        if source.size < layout.FOOTER_SIZE:
            raise UtilError("", errno.EIO)
        tables = read_tables(source, STRICT)
        if tables.footer is None or not is_open(tables):
            raise UtilError("", INVALID)
        return Image(name, tables, tables.footer)
    except XenimageError as error:
        source.close()
        raise UtilError("", status_of(error)) from error
    except UtilError:
        source.close()
        raise


def is_open(tables: Tables) -> bool:
    """Whether libvhd opens a disk with these tables: less is asked than of a sound one."""
    footer, header = tables.footer, tables.header
    if footer is None or not footer.sound or (footer.is_tap and footer.creator_version == _VERSION_0_1):
        return False
    if footer.type not in (layout.DYNAMIC, layout.DIFFERENCING):
        return True
    return (
        header is not None
        and header.sound
        and header.data_offset == layout.NO_OFFSET
        and header.version == layout.FORMAT_VERSION
        and is_block_size(header.block_size)
        and all(locator.code in locators.KNOWN for locator in header.locators)
    )


def ancestors(name: str) -> Iterator[tuple[str, bool]]:
    """Yield (path, raw) of each ancestor of *name*, the parent first.

    :raises UtilError: a link leads nowhere, a disk does not open, or the chain has a loop or no end.
    """
    seen = {os.path.realpath(name)}
    present: str | None = name
    while present is not None:
        with open_image(present) as image:
            if not image.is_child:
                return
            parent, raw = image.parent(), image.has_raw_parent
        require_new(parent, seen)
        yield parent, raw
        present = None if raw else parent


def require_new(path: str, seen: set[str]) -> None:
    """Add *path* to what was seen of a chain.

    :raises UtilError: it is there already, or the chain is too long.
    """
    if path in seen:
        warn(f"{path}: the chain of parents comes back to it")
        raise UtilError("", errno.ELOOP)
    if len(seen) >= CHAIN_MAX:
        warn(f"{path}: more than {CHAIN_MAX} disks in the chain")
        raise UtilError("", errno.ELOOP)
    seen.add(path)
