"""``scan``: a line a file, or with -p the tree of parents and children."""

from __future__ import annotations

import dataclasses
import errno
import glob
import itertools
import os
import re
from typing import TYPE_CHECKING

from xenimage.formats.vhd import locators
from xenimage.vhdutil.image import open_image
from xenimage.vhdutil.terminal import Options, UtilError, WordsError, shown, warn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from xenimage.vhdutil.image import Image

USAGE = (
    "usage: [OPTIONS] FILES\n"
    "options: [-m match filter] [-f fast] [-c continue on failure] [-p pretty print] [-a scan parents] [-v verbose]"
    " [-h help] [-M show markers]"
)
_BRACES = re.compile(r"\{([^{}]*)\}")
_INDENT = 3
_ALTERNATIVES = 4096


@dataclasses.dataclass(frozen=True, kw_only=True)
class Found:
    """What is printed of one file."""

    name: str
    capacity: int = 0
    size: int = 0
    hidden: int = 0
    marker: int = 0
    keyhash: str = ""
    parent: str = ""
    error: int = 0
    message: str = ""


class Scan:
    """One call: its options, and what was found."""

    def __init__(self, options: Options) -> None:
        self.pretty = "p" in options
        self.fast = "f" in options and not self.pretty
        self.go_on = "c" in options
        self.verbose = "v" in options
        self.markers = "M" in options
        self.parents = "a" in options
        self.found: dict[str, Found] = {}

    def run(self, names: list[str]) -> int:
        """Look at all files; the status of the one that ended it."""
        status = 0
        known = {os.path.basename(name) for name in names}
        for name in names:
            each = self._look(os.path.realpath(name) if self.pretty else name)
            if each.error or not self.pretty:
                self.show(each)
            else:
                self.found.setdefault(each.name, each)
            base = os.path.basename(each.parent)
            if self.parents and base and base not in known:
                known.add(base)
                names.append(each.parent)
            status = each.error
            if status and not self.go_on:
                break
        self._show_tree()
        return 0 if self.go_on else status

    def _look(self, name: str) -> Found:
        try:
            with open_image(name) as image:
                return self._describe(name, image)
        except UtilError as error:
            return Found(name=name, error=error.status, message=error.line or "opening file")

    def _describe(self, name: str, image: Image) -> Found:
        footer, batmap = image.footer, image.tables.batmap if image.wants_batmap else None
        if self.fast and image.tables.front is None:
            raise UtilError("opening file")
        return Found(
            name=name,
            capacity=footer.current_size,
            size=image.tables.size,
            hidden=footer.hidden,
            marker=batmap.marker if batmap else 0,
            keyhash=batmap.key_hash[32:].hex() if batmap and batmap.key_cookie else "",
            parent=self._parent_of(image) if image.is_child else "",
        )

    def _parent_of(self, image: Image) -> str:
        """The path that leads somewhere, or else the text that does not."""
        name = locators.decode_name(image.header.parent_name) if self.fast and image.header else None
        if name is not None:
            return name
        try:
            return image.parent()
        except UtilError:
            for text in image.locator_texts():
                return text
            raise UtilError("getting parent") from None

    def show(self, each: Found, depth: int = 0) -> None:
        """Print one line."""
        pad = " " * (depth * _INDENT)
        if each.error:
            print(f"{pad}vhd={each.name} scan-error=-{each.error} error-message='{each.message}'")
            return
        name, parent = each.name, shown(each.parent)
        if not self.verbose:
            name, parent = os.path.basename(name), os.path.basename(parent)
        extra = f" marker={each.marker} keyhash={each.keyhash}" if self.markers else ""
        missing = " (not found in scan)" if self.pretty and parent and each.parent not in self.found else ""
        print(
            f"{pad}vhd={name} capacity={each.capacity} size={each.size} hidden={each.hidden}{extra} "
            f"parent={parent or 'none'}{missing}"
        )

    def _show_tree(self) -> None:
        """Print parents before their children: hidden roots first, hidden children last, as upstream does."""
        images = sorted(self.found.values(), key=lambda each: os.fsencode(each.name))
        children: dict[str, list[Found]] = {}
        for each in images:
            children.setdefault(each.parent if each.parent in self.found else "", []).append(each)
        roots = sorted(children.get("", []), key=lambda each: not each.hidden)
        # What is left over stands in a loop of parents: upstream recurses until it crashes.
        printed: set[str] = set()
        for root in itertools.chain(roots, images):
            stack = [(root, 0)]
            while stack:
                each, depth = stack.pop()
                if each.name in printed:
                    continue
                printed.add(each.name)
                self.show(each, depth)
                below = sorted(children.get(each.name, []), key=lambda child: bool(child.hidden))
                stack.extend((child, depth + 1) for child in reversed(below))


def _targets(options: Options) -> Iterator[str]:
    """The files that -m matches and the words name.

    :raises UtilError: one does not exist, and -c was not given.
    """
    names = list(options.words)
    if "m" in options:
        matched = [
            path for text in _braced(options.text("m")) for path in sorted(glob.glob(text, include_hidden=False))
        ]
        if not matched:
            _missing(options.text("m"), options)
        names = matched + names
    for name in names:
        if os.path.exists(name):
            yield name
        else:
            _missing(name, options)


def _missing(name: str, options: Options) -> None:
    print(f"vhd={name} scan-error=-{errno.ENOENT} error-message='failure scanning target'")
    if "c" not in options:
        warn(f"scan failed: -{errno.ENOENT}")
        raise UtilError("", errno.ENOENT)


def _braced(text: str) -> list[str]:
    """All patterns that the alternatives in braces stand for, as the shell and upstream's glob() take them."""
    match = _BRACES.search(text)
    if match is None:
        return [text]
    parts = match[1].split(",")
    return [each for part in parts for each in _braced(text[: match.start()] + part + text[match.end() :])][
        :_ALTERNATIVES
    ]


def scan(words: Sequence[str]) -> int:
    """Run the sub-command."""
    options = Options(words, "m:fcl:pavM", USAGE, help_status=0)
    if "m" not in options and not options.words:
        raise WordsError(USAGE)
    if "l" in options:
        warn("LVM volumes are not scanned here")
        return errno.ENOSYS
    return Scan(options).run(list(_targets(options)))
