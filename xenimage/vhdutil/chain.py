"""``coalesce``, ``create``, ``snapshot``: what makes and shortens chains."""

from __future__ import annotations

import contextlib
import errno
import os
import time
import uuid
from typing import TYPE_CHECKING

from xenimage.exceptions import FormatError, XenimageError
from xenimage.formats.vhd import layout, locators
from xenimage.formats.vhd.editing.coalesce import coalesce as merge
from xenimage.formats.vhd.editing.coalesce import coalesce_raw, open_child
from xenimage.formats.vhd.editing.create import Parent, empty_disk, fixed_footer
from xenimage.formats.vhd.metadata import find_footer
from xenimage.limits import STRICT
from xenimage.sinks.file import FileSink
from xenimage.sources.file import open_file
from xenimage.sources.inplace import open_inplace
from xenimage.units import MIB, round_up
from xenimage.vhdutil.change import editable, failing
from xenimage.vhdutil.image import ancestors, open_image
from xenimage.vhdutil.terminal import INVALID, Options, UtilError, explain, status_of, warn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xenimage.sources.inplace import InplaceFile

COALESCE_USAGE = "options: <-n name> [-s sparse] [-p progress] [-h help]"
CREATE_USAGE = "options: <-n name> <-s size (MB)> [-r reserve] [-S size (MB) for metadata preallocation] [-h help]"
SNAPSHOT_USAGE = (
    "options: <-n name> <-p parent name> [-l snapshot depth limit] [-m parent_is_raw]"
    " [-S size (MB) for metadata preallocation] [-e link to supplied parent name even if it might be empty] [-h help]"
)


def coalesce(words: Sequence[str]) -> int:
    """``coalesce``: a child's sectors into its parent."""
    options = Options(words, "n:sp", COALESCE_USAGE)
    name = options.name()
    try:
        count = _coalesce(name)
    except UtilError as error:
        if isinstance(error.__cause__, XenimageError):
            explain(error.__cause__)
        if error.line:
            print(error.line)
        raise UtilError(f"error coalescing: -{error.status}", error.status) from None
    print(f"Coalesced {count} sectors", end="")
    return 0


def _coalesce(name: str) -> int:
    try:
        image = open_image(name)
    except UtilError as error:
        raise UtilError(f"error opening {name}: -{error.status}", error.status) from error
    with image:
        if not image.is_child:
            raise UtilError("coalescing of non-differencing disks is not supported")
        try:
            # The whole chain: a loop would make the disk its own parent.
            _require_no_loop(name)
            parent = image.parent()
            if image.has_linked_parent():
                warn(f"{parent} is reached through a symbolic link, and is not written to")
                raise UtilError("", errno.ELOOP)
        except UtilError as error:
            raise UtilError(f"error finding {name} parent: -{error.status}", error.status) from error
        raw = image.has_raw_parent
    with failing(f"error opening {name}: {{}}"):
        source = open_file(name)
    with contextlib.closing(source):
        with failing(f"error opening {name}: {{}}"):
            child = open_child(source, STRICT)
        if raw:
            with failing(f"failed to open parent {parent}: {{}}"):
                file = open_inplace(parent)
            with contextlib.closing(file), failing(""):
                _require_raw(file)
                return coalesce_raw(child, file)
        with editable(parent) as disk, failing(""):
            return merge(child, disk)


def _require_raw(parent: InplaceFile) -> None:
    """Refuse a VHD: a child without its parent's uuid calls it raw, and its tables would be written over.

    :raises UtilError: it is one.
    """
    try:
        find_footer(parent)
    except FormatError:
        return
    warn(f"{parent.name} is a VHD, but its child's null uuid says that it is raw; relink the child with modify -p")
    raise UtilError(f"failed to open parent {parent.name}: -{INVALID}", INVALID)


def _require_no_loop(name: str) -> None:
    """Refuse a chain that comes back to itself; a missing grandparent does not matter here.

    :raises UtilError: it does.
    """
    try:
        list(ancestors(name))
    except UtilError as error:
        if error.status == errno.ELOOP:
            raise


def create(words: Sequence[str]) -> int:
    """``create``: an empty dynamic disk, or with -r a fixed one of zeros."""
    options = Options(words, "n:s:rS:b", CREATE_USAGE)
    name, size = options.name(), round_up(options.number("s") * MIB, layout.BLOCK_SIZE)
    room = round_up(options.number("S", 0) * MIB, layout.BLOCK_SIZE)
    if room and room < size:
        warn("the size for preallocation is below the disk's")
        return INVALID
    identity, now = uuid.uuid4().bytes, int(time.time())
    if "r" in options:
        _make(name, fixed_footer(size, uuid=identity, now=now), at=size)
    else:
        _make(name, empty_disk(size, uuid=identity, now=now, room=room))
    return 0


def _make(name: str, content: bytes, *, at: int = 0) -> None:
    """Write a new file: holes up to *at*, then *content*. Whatever has the name stays, unless it is empty."""
    try:
        taken = os.stat(name).st_size > 0 or not os.path.isfile(name)
    except FileNotFoundError:
        taken = False
    if taken:
        warn(f"{name} exists already and is not overwritten")
        raise UtilError("", errno.EEXIST)
    with contextlib.closing(FileSink(name, force=os.path.exists(name))) as sink:
        sink.skip(at)
        sink.write([content])
        sink.flush()
        sink.commit()


def snapshot(words: Sequence[str]) -> int:
    """``snapshot``: an empty child."""
    options = Options(words, "n:p:l:mS:eb", SNAPSHOT_USAGE)
    name, named = options.name(), options.text("p")
    room = round_up(options.number("S", 0) * MIB, layout.BLOCK_SIZE)
    if "m" in options:
        _make_child(name, named, _raw_size(named), room, raw=True)
        return 0
    with open_image(named) as image:
        size = round_up(image.footer.current_size, layout.BLOCK_SIZE)
    target = named if "e" in options else _not_empty(named)
    limit = options.number("l", 0)
    depth = 1 + sum(1 for _ in ancestors(target))
    if limit and depth >= limit:
        raise UtilError(f"snapshot depth exceeded: current depth: {depth}, limit: {limit}", errno.ENOSPC)
    _make_child(name, target, size, room, raw=False)
    return 0


def _raw_size(name: str) -> int:
    source = open_file(name)
    source.close()
    return round_up(source.size, layout.BLOCK_SIZE)


def _not_empty(name: str) -> str:
    """The nearest disk of the chain that holds anything, so that chains do not grow for nothing."""
    below = [path for path, raw in ancestors(name) if not raw]
    for path in [name, *below]:
        with open_image(path) as image:
            if not image.is_child or image.has_raw_parent or image.stored():
                return path
    return name


def _make_child(name: str, parent: str, size: int, room: int, *, raw: bool) -> None:
    identity, key = bytes(16), (0, bytes(64))
    if not raw:
        with open_image(parent) as image:
            identity = image.footer.uuid
            batmap = image.tables.batmap if image.wants_batmap else None
            key = (batmap.key_cookie, batmap.key_hash) if batmap else key
    link = Parent(
        path=locators.relative_path(name, parent), uuid=identity, timestamp=int(os.stat(parent).st_mtime), key=key
    )
    try:
        content = empty_disk(size, uuid=uuid.uuid4().bytes, now=int(time.time()), room=max(room, size), parent=link)
    except XenimageError as error:
        raise UtilError("", status_of(error)) from error
    _make(name, content)
