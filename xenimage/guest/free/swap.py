"""Swap space of Linux: behind its first page nothing outlives a start, unless the system sleeps there.

The header is that of ``union swap_header`` in the kernel's ``include/linux/swap.h``; its signature ends the first page,
whose size is that of the machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.exceptions import FormatError, NotReadyError, UnsupportedError
from xenimage.guest.free.ranges import Ranges
from xenimage.units import KIB

if TYPE_CHECKING:
    from xenimage.guest.free.area import Area

PAGES = tuple(KIB << shift for shift in range(2, 7))
"""4 to 64 KiB"""
SIGNATURE, OLD = b"SWAPSPACE2", b"SWAP-SPACE"
ASLEEP = (b"S1SUSPEND", b"S2SUSPEND", b"ULSUSPEND", b"LINHIB0001", b"\xed\xc3\x02\xe9\x98\x56\xe5\x0c")
"""what the kernel, uswsusp and TuxOnIce put in place of the signature"""
_LENGTH = len(SIGNATURE)


def page_size(area: Area) -> int:
    """The size of the page that ends with a signature of swap space; 0 if there is none."""
    for page in PAGES:
        if page <= area.size and area.read(page - _LENGTH, _LENGTH).startswith((SIGNATURE, OLD, *ASLEEP)):
            return page
    return 0


def free_ranges(area: Area, most: int) -> Ranges:
    """Find what may be forgotten of the swap space in *area*.

    :param most: ranges that are kept.
    :raises NotReadyError: a system sleeps in it.
    :raises UnsupportedError: it is of the form that ended with Linux 2.4.
    :raises FormatError: its numbers make no sense.
    """
    page = page_size(area)
    if not page:
        raise FormatError("the signature of swap space is missing")
    signature = area.read(page - _LENGTH, _LENGTH)
    if signature.startswith(ASLEEP):
        raise NotReadyError("Linux is hibernated: its memory stands in this swap space")
    if signature == OLD:
        raise UnsupportedError("it is swap space of the form before 2.4")
    header = area.read(KIB, 12)
    version, last, bad = (int.from_bytes(header[at : at + 4], "little") for at in (0, 4, 8))
    if version != 1 or not 0 < last < area.size // page or bad > last:
        raise FormatError(f"its header tells of version {version} and {last + 1} pages of {page} bytes")
    found = Ranges(most)
    found.add(page, (last + 1) * page)
    return found
