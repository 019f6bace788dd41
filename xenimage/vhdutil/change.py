"""``modify``, ``set``, ``repair``, ``resize``: what changes one VHD in place."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import uuid
from typing import TYPE_CHECKING

from xenimage.exceptions import XenimageError
from xenimage.formats.vhd import layout, locators
from xenimage.formats.vhd.editing.disk import open_editable
from xenimage.formats.vhd.editing.parent import Link, set_parent
from xenimage.formats.vhd.editing.repair import repair as mend
from xenimage.formats.vhd.editing.resize import grow
from xenimage.limits import STRICT
from xenimage.sources.inplace import open_inplace
from xenimage.units import MIB, round_up
from xenimage.vhdutil.image import ancestors, open_image
from xenimage.vhdutil.terminal import INVALID, Options, UtilError, WordsError, status_of, warn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from xenimage.formats.vhd.editing.disk import EditableVhd

MODIFY_USAGE = (
    "*** Dangerous operations, use with care ***\n"
    "options: <-n name> [-p NEW_PARENT set parent [-m raw]] [-s NEW_SIZE set size] [-h help]"
)
SET_USAGE = "options: <-n name> <-f field> <-v value> [-h help]"
REPAIR_USAGE = "options: <-n name> [-b use backup footer] [-h help]"
RESIZE_USAGE = "options: <-j journal> <-n name> <-s size (in MB)> [-f fast resize] [-h help]"
_BYTE_MAX = 255
_JOURNAL_FAILED = "creating journal failed: -{}"


@contextlib.contextmanager
def editable(name: str) -> Iterator[EditableVhd]:
    """Open *name* for changing.

    :raises UtilError: it cannot be; the line is upstream's.
    """
    try:
        file = open_inplace(name)
    except XenimageError as error:
        raise UtilError(f"error opening {name}: -{status_of(error)}", status_of(error)) from error
    with contextlib.closing(file):
        try:
            disk = open_editable(file, STRICT)
        except XenimageError as error:
            raise UtilError(f"error opening {name}: -{status_of(error)}", status_of(error)) from error
        yield disk


@contextlib.contextmanager
def failing(line: str) -> Iterator[None]:
    """Turn an error of the library into *line*, with the status in place of its ``{}``."""
    try:
        yield
    except XenimageError as error:
        raise UtilError(line.format(f"-{status_of(error)}"), status_of(error)) from error


def modify(words: Sequence[str]) -> int:
    """``modify``: another parent, or another length of the file."""
    options = Options(words, "n:s:p:m", MODIFY_USAGE)
    name = options.name()
    size = options.number("s") if "s" in options else None
    with editable(name) as disk:
        if size is not None:
            _set_length(disk, size)
        if "p" in options:
            _relink(disk, options.text("p"), raw="m" in options)
    return 0


def _set_length(disk: EditableVhd, size: int) -> None:
    """Put the footer to the end of a file of *size* bytes, as on a volume of that size."""
    if size % layout.FOOTER_SIZE or size < disk.data_end + layout.FOOTER_SIZE or size > layout.SIZE_MAX * 2:
        raise UtilError(f"failed to set physical size to {size}: -{INVALID}")
    before = disk.file.size
    disk.file.write(size - layout.FOOTER_SIZE, disk.footer.pack())
    disk.file.sync()
    if before > size:
        disk.file.resize(size)


def _relink(disk: EditableVhd, parent: str, *, raw: bool) -> None:
    path = os.path.realpath(parent)
    line = f"failed to set parent to '{path}': {{}}"
    try:
        timestamp = int(os.stat(path).st_mtime)
    except OSError as error:
        number = error.errno or INVALID
        raise UtilError(line.format(-number), number) from None
    if disk.footer.type != layout.DIFFERENCING:
        raise UtilError(line.format(-INVALID))
    identity = bytes(16)
    if not raw:
        try:
            with open_image(path) as image:
                identity = image.footer.uuid
        except UtilError as error:
            raise UtilError(line.format(-error.status), error.status) from error
    _require_no_loop(disk, path, line)
    link = Link(path=locators.relative_path(disk.file.name, path), uuid=identity, timestamp=timestamp)
    create = not any(slot.code in locators.WRITTEN for slot in disk.dynamic_header.locators)
    with failing(line):
        set_parent(disk, link, create=create)


def _require_no_loop(disk: EditableVhd, path: str, line: str) -> None:
    """Refuse a parent that is the child itself or one of its descendants: no program could read the chain again."""
    own = os.path.realpath(disk.file.name)
    above = [path]
    # A chain that ends nowhere is no loop; the import relinks from the base upwards.
    with contextlib.suppress(UtilError):
        above.extend(each for each, _ in ancestors(path))
    if own in above:
        warn(f"{path} is {disk.file.name} or depends on it")
        raise UtilError(line.format(-errno.ELOOP), errno.ELOOP)


def set_field(words: Sequence[str]) -> int:
    """``set``: the hidden flag, or the marker in the batmap."""
    options = Options(words, "n:f:v:", SET_USAGE)
    name, field, value = options.name(), options.text("f"), options.number("v")
    if field not in ("hidden", "marker"):
        print(f"invalid field {field}")
        raise WordsError(SET_USAGE)
    if value > (1 if field == "hidden" else _BYTE_MAX):
        print(f"invalid value {value}")
        raise WordsError(SET_USAGE)
    with editable(name) as disk:
        if field == "hidden":
            disk.write_footers(dataclasses.replace(disk.footer, hidden=value))
            return 0
        if disk.batmap is None:
            warn("the disk has no batmap, where the marker stands")
            raise UtilError("", errno.ENOSYS)
        disk.batmap = dataclasses.replace(disk.batmap, marker=value)
        disk.write_batmap()
    return 0


def repair(words: Sequence[str]) -> int:
    """``repair``: both footers, and what else can be mended without guessing."""
    options = Options(words, "n:b", REPAIR_USAGE)
    name = options.name()
    try:
        with open_image(name) as image:
            if image.footer.cookie == layout.POISON_COOKIE:
                raise UtilError("", INVALID)
    except UtilError as error:
        raise UtilError(f"error opening {name}: -{error.status}", error.status) from error
    with failing(f"error opening {name}: {{}}"):
        file = open_inplace(name)
    with contextlib.closing(file), failing("error writing footer: {}"):
        mend(file, STRICT, uuid.uuid4().bytes)
    return 0


def resize(words: Sequence[str]) -> int:
    """``resize``: grow, with no journal; -j is looked at as upstream does, and nothing is written there."""
    options = Options(words, "n:s:j:f", RESIZE_USAGE)
    name, size = options.name(), options.number("s") * MIB
    if ("j" in options) == ("f" in options):
        raise WordsError(RESIZE_USAGE)
    with editable(name) as disk:
        if not disk.footer.is_tap:
            raise UtilError(f"{name} not created by xen; resize not supported")
        if "f" in options:
            return _resize_fast(disk, round_up(size, layout.BLOCK_SIZE))
        _require_journal(options.text("j"))
        if disk.header is None:
            raise UtilError(_JOURNAL_FAILED.format(INVALID))
        if round_up(size, layout.BLOCK_SIZE) < disk.footer.current_size:
            print("dynamic shrink not fully implemented")
            raise UtilError(f"resize failed: -{errno.ENOSYS}", errno.ENOSYS)
        with failing("resize failed: {}"):
            grow(disk, size)
    return 0


def _require_journal(path: str) -> None:
    if os.path.lexists(path):
        raise UtilError(_JOURNAL_FAILED.format(errno.EEXIST), errno.EEXIST)
    if not os.path.isdir(os.path.dirname(path) or "."):
        raise UtilError(_JOURNAL_FAILED.format(errno.ENOENT), errno.ENOENT)


def _resize_fast(disk: EditableVhd, size: int) -> int:
    """Grow within the tables that are there."""
    if size < disk.footer.current_size:
        present = disk.footer.current_size
        raise UtilError(f"{disk.file.name}: size ({size}) < curr size ({present})")
    if disk.header is None or size > disk.header.max_entries * layout.BLOCK_SIZE:
        return INVALID
    with failing("resize failed: {}"):
        grow(disk, size)
    return 0
