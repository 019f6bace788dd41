"""Names, sizes and sums of what an XVA's tar holds.

Source: xen-api, ocaml/xapi/stream_vdi.ml (chunks), export.ml and importexport.ml (``ova.xml`` and its version).
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

from xenimage.streams.digest import sha1, xxh64
from xenimage.units import MIB

if TYPE_CHECKING:
    from collections.abc import Callable

DESCRIPTOR = "ova.xml"
OLD_TABLE = "checksum.xml"
"""sums of all members, behind them, in exports of the versions 0 and 1"""
CHUNK = 1 * MIB
LARGEST_NUMBER = 99_999_999
"""of a chunk: its name has eight digits"""
REFERENCE = re.compile(r"Ref:[0-9]{1,9}")
NULL = "OpaqueRef:NULL"
EXPORT_VERSION = 2
"""of Miami (XenServer 4.1) and all after it"""

_MEMBER = re.compile(r"([^/]+)/([^/]+?)(\.checksum|\.xxhash)?")
_NUMBER = re.compile(r"[0-9]{8}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sum:
    """A kind of checksum."""

    name: str
    suffix: str
    digits: int
    """of its hexadecimal form"""
    digest: Callable[[bytes | bytearray | memoryview], bytes]
    upper: bool
    """whether it is written in capitals"""

    def text(self, data: bytes | bytearray | memoryview) -> str:
        """The sum as it stands in its member."""
        text = self.digest(data).hex()
        return text.upper() if self.upper else text


SHA1 = Sum(name="sha1", suffix=".checksum", digits=40, digest=sha1, upper=False)
"""of all releases before 8.1, and of most other writers"""
XXH64 = Sum(name="xxh64", suffix=".xxhash", digits=16, digest=xxh64, upper=True)
SUMS = {each.suffix: each for each in (SHA1, XXH64)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Name:
    """A member's name, taken apart."""

    reference: str
    """of the disk"""
    number: str
    """of the chunk, as it stands there"""
    sum: Sum | None
    """the kind, where the member is a sum"""

    @property
    def numbered(self) -> bool:
        """Whether the number has its eight digits."""
        return bool(_NUMBER.fullmatch(self.number))


def parse_name(name: str) -> Name | None:
    """Take a member's name apart; None where it is no name of a chunk or sum."""
    match = _MEMBER.fullmatch(name)
    return Name(reference=match[1], number=match[2], sum=SUMS.get(match[3])) if match else None


def chunk_name(reference: str, number: int) -> str:
    """The name of a chunk."""
    return f"{reference}/{number:08d}"
