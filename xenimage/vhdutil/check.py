"""``check``: whether a VHD is sound, in upstream's order and words, and whether tapdisk will keep it so.

os-xenapi takes a file for good unless the first line has the word ``invalid``, which upstream leaves out in half of its
messages. Here each fault has it: where upstream's line lacks it, `` (invalid)`` follows.
"""

from __future__ import annotations

import dataclasses
import errno
import os
import stat
import time
from typing import TYPE_CHECKING

from xenimage.exceptions import XenimageError
from xenimage.formats.vhd import layout, locators
from xenimage.formats.vhd.editing.parent import locator_path
from xenimage.sources.file import open_file
from xenimage.vhdutil import blocks, rules
from xenimage.vhdutil.image import Image, is_open, open_image, require_new
from xenimage.vhdutil.read import print_tables
from xenimage.vhdutil.terminal import INVALID, Options, UtilError, WordsError, shown, status_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xenimage.sources.file import FileSource

USAGE = (
    "options: -n <file> [-i ignore missing primary footers] [-I ignore parent uuids] [-t ignore timestamps]"
    " [-p check parents] [-b check bitmaps] [-B do not check for overlapping blocks] [-s print stats] [-h help]"
)
_OPENED = b"\xc7" * layout.FOOTER_SIZE
"""what tapdisk puts in place of the footer while it has a disk open"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wishes:
    """What to look at."""

    ignore_footer: bool
    ignore_uuids: bool
    times: bool
    bitmaps: bool
    overlaps: bool
    statistics: bool


def check(words: Sequence[str]) -> int:
    """Run the sub-command."""
    options = Options(words, "n:iItpbBs", USAGE, help_status=0)
    name = options.name()
    if "B" in options and ("b" in options or "s" in options):
        raise WordsError(USAGE)
    wishes = Wishes(
        ignore_footer="i" in options,
        ignore_uuids="I" in options,
        times="t" not in options,
        bitmaps="b" in options,
        overlaps="B" not in options,
        statistics="s" in options,
    )
    status = _check_one(name, wishes)
    return status or (_check_parents(name, wishes) if "p" in options else 0)


def _check_parents(name: str, wishes: Wishes) -> int:
    """Check each ancestor on its own."""
    seen = {os.path.realpath(name)}
    try:
        while True:
            with open_image(name) as image:
                if not image.is_child or image.has_raw_parent:
                    return 0
                name = _parent_of(image)
            require_new(name, seen)
            status = _check_one(name, wishes)
            if status:
                raise UtilError("", status)
    except UtilError as error:
        raise UtilError(f"error checking parents: -{error.status}", error.status) from error


def _parent_of(image: Image) -> str:
    try:
        return image.parent()
    except UtilError as error:
        print(f"error getting parent: -{error.status}")
        raise


def _check_one(name: str, wishes: Wishes) -> int:
    """Check one file, and print the verdict and, behind a fault, its tables."""
    try:
        mode = os.stat(name).st_mode
    except OSError as error:
        print(f"cannot stat {name}: {error.errno}")
        return error.errno or INVALID
    if not stat.S_ISREG(mode) and not stat.S_ISBLK(mode):
        print(f"{name} is not a regular file or block device (invalid)")
        return INVALID
    try:
        verdict = _verdict(name, wishes)
    except UtilError as error:
        if error.line:
            print(error.line if error.status != INVALID or "invalid" in error.line else f"{error.line} (invalid)")
        print(f"{name} appears invalid; dumping metadata")
        print_tables(name)
        return error.status
    if verdict:
        print(verdict)
    return 0


def _verdict(name: str, wishes: Wishes) -> str:
    """What to say of a sound file: nothing of a fixed one.

    :raises UtilError: the first fault.
    """
    try:
        source = open_file(name)
    except XenimageError as error:
        raise UtilError(f"error opening {name}", status_of(error)) from error
    try:
        footer = _check_footers(source, wishes)
        if footer.type == layout.FIXED:
            if source.size < footer.current_size + layout.FOOTER_SIZE - 1:
                raise UtilError(f"invalid file size: 0x{source.size:x}")
            return ""
        _check_header(source, footer)
        with open_image(name) as image:
            return _check_inside(image, wishes)
    except XenimageError as error:
        raise UtilError(f"error reading {name}: -{status_of(error)}", status_of(error)) from error
    finally:
        source.close()


def _check_footers(source: FileSource, wishes: Wishes) -> layout.Footer:
    """Check the footer and its copy, and give the one that counts."""
    length = layout.FOOTER_SIZE - bool(source.size % layout.FOOTER_SIZE)
    if source.size < length or not source.size:
        raise UtilError(f"error calculating end of file: -{INVALID}")
    primary = source.read(source.size - length, length).ljust(layout.FOOTER_SIZE, b"\0")
    now = int(time.time())
    opened = primary == _OPENED and wishes.ignore_footer
    fault = "" if opened else rules.footer_fault(primary, now, times=wishes.times)
    if fault:
        raise UtilError(f"primary footer invalid: {fault}")
    if not opened and layout.Footer.parse(primary).type == layout.FIXED:
        return layout.Footer.parse(primary)
    backup = source.read(0, layout.FOOTER_SIZE)
    fault = rules.footer_fault(backup, now, times=wishes.times)
    if fault:
        raise UtilError(f"backup footer invalid: {fault}")
    if not opened and not _same(primary, backup):
        raise UtilError("primary and backup footers do not match")
    return layout.Footer.parse(backup if opened else primary)


def _same(primary: bytes, backup: bytes) -> bool:
    """Whether both copies say the same; two old versions of tap hid a disk in the front copy alone."""
    footer = layout.Footer.parse(backup)
    old = footer.is_tap and footer.creator_version in (0x00000001, 0x00010001)
    return primary == backup or (old and primary == rules.without_hidden(backup))


def _check_header(source: FileSource, footer: layout.Footer) -> None:
    if footer.data_offset + layout.HEADER_SIZE > source.size:
        raise UtilError(f"error reading header: -{errno.EIO}", errno.EIO)
    fault = rules.header_fault(source.read(footer.data_offset, layout.HEADER_SIZE), source.size)
    if fault:
        raise UtilError(f"header is invalid: {fault}")


def _check_inside(image: Image, wishes: Wishes) -> str:
    header = image.header
    if header is None or not is_open(image.tables):
        raise UtilError("")
    fault = rules.link_fault(header, image.footer.type, int(time.time()), times=wishes.times)
    if fault:
        raise UtilError(f"differencing header is invalid: {fault}")
    blocks.check_table(image, overlaps=wishes.overlaps)
    if image.wants_batmap:
        blocks.check_batmap(image)
    if image.is_child:
        _check_locators(image, header, wishes)
    if wishes.bitmaps:
        blocks.check_cleared(image)
    return blocks.statistics(image) if wishes.statistics else f"{image.name} is valid"


def _check_locators(image: Image, header: layout.Header, wishes: Wishes) -> None:
    name = locators.decode_name(header.parent_name) or ""
    seen: set[int] = set()
    found = False
    for index, locator in enumerate(header.locators):
        fault = rules.locator_fault(locator, image.tables.size)
        if fault:
            raise UtilError(f"invalid parent locator {index}: {fault}")
        if locator.code == locators.NONE:
            continue
        if locator.code in seen:
            raise UtilError(f"duplicate platform code in locator {index}: 0x{locator.code:x}")
        seen.add(locator.code)
        if locator.code in locators.WRITTEN:
            _check_parent(image, index, name, wishes)
            found = True
    if not found:
        raise UtilError(f"could not find parent {name}")


def _check_parent(image: Image, index: int, name: str, wishes: Wishes) -> None:
    """Follow one locator."""
    header = image.header
    path = None if header is None else locator_path(image.tables.source, header.locators[index])
    if path is None or header is None:
        raise UtilError(f"error reading parent locator {index}: -{INVALID}")
    base = path.rpartition("/")[2]
    if base != name:
        raise UtilError(f"parent locator {index} name ({shown(base)}) does not match header name ({shown(name)})")
    try:
        place = image.resolve(path)
    except UtilError as error:
        raise UtilError(f"error resolving {shown(path)}: -{error.status}", error.status) from None
    if image.has_raw_parent:
        return
    try:
        with open_image(place) as parent:
            if parent.footer.uuid != header.parent_uuid and not wishes.ignore_uuids:
                raise UtilError(f"invalid parent {place}: invalid parent uuid")
    except UtilError as error:
        raise UtilError(error.line or f"invalid parent {place}: error opening parent") from None
