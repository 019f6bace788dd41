"""Which modules an initrd holds: archives one behind the other, plain ones first, then a packed one.

Linux, init/initramfs.c: archives may follow one another, with zeros between them, and each may be packed.
Distributions put microcode in front, not packed, and the rest behind it, packed.
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

from xenimage.exceptions import FormatError, LimitError
from xenimage.guest.linux import cpio
from xenimage.streams.unpack import MAGIC_LENGTH, packing, unpack
from xenimage.units import GIB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from xenimage.streams.forward import Forward

NAMES_MAX = 200_000
"""names in one initrd; one with all modules and firmware has ten thousand"""
ARCHIVES_MAX = 1000
"""archives one behind the other in one initrd, or in one packed stream of it; distributions make some five"""
UNPACKED_MAX = 1 * GIB
"""bytes in all initrds of one inspection together; one with all firmware has half a gigabyte"""

_MODULE = re.compile(r"(?:^|/)([^/]+)\.ko(?:\.(?:gz|xz|zst|bz2))?$")
_ZEROS = 512


class Allowance:
    """What may still be unpacked, of all initrds together: a few packed bytes can make an unpacker work for seconds.

    :param check: looks at the clock, and raises once there is no time left.
    """

    def __init__(self, check: Callable[[], None] = lambda: None) -> None:
        self.check = check
        self.unpacked = 0

    def spend(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Yield *pieces* as long as there are not too many bytes in them.

        :raises LimitError: there are.
        """
        for piece in pieces:
            self.check()
            self.unpacked += len(piece)
            if self.unpacked > UNPACKED_MAX:
                raise LimitError(f"unpacks to more than is left of {UNPACKED_MAX} bytes for all initrds")
            yield piece


@dataclasses.dataclass(frozen=True, kw_only=True)
class Listing:
    """What was seen until enough was."""

    modules: dict[str, str]
    """paths of those that were looked for, by name"""
    names: int
    complete: bool
    """whether all names were seen; else what is not among the modules may be there all the same"""


def module_name(path: str) -> str:
    """How a module's file is called, as ``xen-blkfront``; empty for other files."""
    match = _MODULE.search(path)
    return match[1].replace("_", "-") if match else ""


def list_modules(
    source: Forward, wanted: frozenset[str], enough: frozenset[str], allowance: Allowance | None = None
) -> Listing:
    """Look through an initrd for modules.

    :param wanted: names as :func:`module_name` gives them.
    :param enough: once all of these were seen, the rest is not read.
    :param allowance: what may be unpacked; without one, as much as one initrd may have.
    :raises FormatError: it is damaged.
    :raises UnsupportedError: it is packed in a way that is not read here.
    :raises LimitError: it holds too much.
    """
    found: dict[str, str] = {}
    count = 0
    allowance = allowance or Allowance()
    for name in _names(source, allowance):
        allowance.check()
        count += 1
        if count > NAMES_MAX:
            raise LimitError(f"holds more than {NAMES_MAX} names")
        module = module_name(name)
        if module in wanted and module not in found:
            found[module] = name
            if enough <= found.keys():
                return Listing(modules=found, names=count, complete=False)
    return Listing(modules=found, names=count, complete=True)


def _names(source: Forward, allowance: Allowance) -> Iterator[str]:
    some = False
    for _ in _archives(source):
        allowance.check()
        head = source.take(MAGIC_LENGTH)
        source.give_back(head)
        kind = packing(head)
        if head in cpio.MAGICS:
            yield from cpio.names(source)
        elif kind:
            yield from _packed_names(allowance.spend(unpack(kind, source)))
        elif some:
            # Boot loaders leave things behind an initrd, and Linux says no more than "junk".
            return
        else:
            raise FormatError(f"begins with {head.hex(' ')}", expected="a cpio archive, packed or not")
        some = True
    if not some:
        raise FormatError("is empty", expected="a cpio archive, packed or not")


def _archives(stream: cpio.Stream) -> Iterator[None]:
    """Go to the start of one archive after the other; each has to be taken before the next."""
    for _ in range(ARCHIVES_MAX):
        if not _past_zeros(stream):
            return
        yield
    raise LimitError(f"holds {ARCHIVES_MAX} archives or more")


def _past_zeros(stream: cpio.Stream) -> bool:
    """Skip the padding; False at the end."""
    while data := stream.take(_ZEROS):
        rest = data.lstrip(b"\0")
        if rest:
            stream.give_back(rest)
            return True
    return False


def _packed_names(pieces: Iterator[bytes]) -> Iterator[str]:
    stream = cpio.Unpacked(pieces)
    for _ in _archives(stream):
        yield from cpio.names(stream)
