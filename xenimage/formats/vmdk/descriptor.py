"""The text that describes a VMDK: key and value lines, extent lines, the disk data base (``ddb.``).

The text is embedded in a sparse extent or a file of its own. Lines end in LF or CRLF, NULs pad it, keys come in any
case, and the key ``encoding`` says how names are written.
"""

from __future__ import annotations

import codecs
import dataclasses
import re
from typing import TYPE_CHECKING

from xenimage.exceptions import FormatError, LimitError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xenimage.limits import Limits

SIGNATURE = "# disk descriptorfile"
NO_PARENT = "ffffffff"
_LONGEST_LINE = 4096
_LONGEST_SHOWN = 60

# A closed list: a codec that is no text encoding (zlib) or a stateful one must not be reachable from a file.
ENCODINGS = {
    "utf-8": "utf-8", "utf8": "utf-8", "us-ascii": "ascii", "ascii": "ascii", "iso-8859-1": "latin-1",
    "windows-1250": "cp1250", "windows-1251": "cp1251", "windows-1252": "cp1252", "windows-1253": "cp1253",
    "windows-1254": "cp1254", "windows-1255": "cp1255", "windows-1256": "cp1256", "windows-1257": "cp1257",
    "gbk": "gbk", "gb2312": "gb2312", "gb18030": "gb18030", "windows-936": "gbk", "big5": "big5", "shift_jis": "cp932",
    "windows-31j": "cp932", "windows-932": "cp932", "euc-jp": "euc_jp", "euc-kr": "cp949", "windows-949": "cp949",
}  # fmt: skip
"""names of encodings as VMware writes them, to Python's"""

# Possessive throughout: with one way to match and no other, a long line of spaces cannot keep it busy for hours.
_ENCODING = re.compile(
    rb"^[ \t]*+encoding[ \t]*+=[ \t]*+\"?+([^\"\r\n]*+)\"?+[ \t]*+\r?$", re.IGNORECASE | re.MULTILINE
)
_EXTENT_START = re.compile(r"(?:RW|RDONLY|NOACCESS)\s", re.IGNORECASE)
_EXTENT = re.compile(
    r"(?P<access>\w+)\s+(?P<sectors>\d{1,20})\s+(?P<type>\w{1,32})"
    r"(?:\s+\"(?P<name>[^\"]*)\"(?:\s+(?P<offset>\d{1,20}))?(?:\s+(?P<device>\S.*))?)?",
    re.ASCII,
)
_VALUE = re.compile(r"(?P<key>[^\s=\"]+)\s*=\s*(?:\"(?P<quoted>.*)\"|(?P<bare>[^\"]*))")
# XO writes the content id as a decimal number, which can be two digits longer.
_CONTENT_ID = re.compile(r"[0-9a-f]{1,8}|[0-9]{9,10}", re.ASCII)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExtentLine:
    """One line that names a part of the disk."""

    line: int
    """of the descriptor, from 1"""
    access: str
    """``RW``, ``RDONLY`` or ``NOACCESS``"""
    sectors: int
    type: str
    """upper case: ``SPARSE``, ``FLAT``, ``ZERO``, ``VMFS``, ``VMFSSPARSE`` and others"""
    name: str | None
    """the file as written; None where the line has none"""
    offset: int
    """sectors from the start of the file, of a flat extent"""
    device: str
    """what else stands on the line: the identity of a device"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Descriptor:
    """What a descriptor says. Nothing in it has been compared with the files."""

    values: Mapping[str, str]
    """all keys in lower case, values without quotes"""
    extents: tuple[ExtentLine, ...]

    @property
    def create_type(self) -> str:
        """As written, such as ``monolithicSparse``."""
        return self.values.get("createtype", "")

    @property
    def content_id(self) -> str:
        """CID as 8 digits in lower case, or nothing."""
        stored = self.values.get("cid", "").lower()
        return stored and stored.zfill(len(NO_PARENT))

    @property
    def parent_id(self) -> str:
        """The parent's CID as 8 digits in lower case; nothing if there is no parent."""
        stored = self.values.get("parentcid", NO_PARENT).lower().zfill(len(NO_PARENT))
        return "" if stored == NO_PARENT else stored

    @property
    def sectors(self) -> int:
        """Of all extents."""
        return sum(extent.sectors for extent in self.extents)


def looks_like_descriptor(raw: bytes) -> bool:
    """Whether a file that starts with *raw* is a descriptor of its own."""
    text = raw.removeprefix(codecs.BOM_UTF8).lstrip(b" \t\r\n")
    return text[: len(SIGNATURE)].lower() == SIGNATURE.encode()


def parse_descriptor(raw: bytes, limits: Limits, where: str) -> Descriptor:
    """Read a descriptor.

    :param raw: at most the limit descriptor_size bytes; what follows a NUL is padding.
    :param where: what messages call it.
    :raises FormatError: a line of unknown shape, a key twice, an unknown encoding, no createType.
    :raises LimitError: more extents than allowed.
    """
    values: dict[str, str] = {}
    extents: list[ExtentLine] = []
    try:
        for number, line in enumerate(_decoded(raw).split("\n"), 1):
            try:
                _take(line.strip(), number, values, extents)
            except FormatError as error:
                raise error.within(f"line {number}") from None
            limits.require("extents", len(extents), "the number of extents")
        _check(values, extents)
    except (FormatError, LimitError) as error:
        raise error.within(where) from None
    return Descriptor(values=values, extents=tuple(extents))


def _decoded(raw: bytes) -> str:
    raw = raw.partition(b"\0")[0].removeprefix(codecs.BOM_UTF8)
    match = _ENCODING.search(raw)
    if match is None:
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            return raw.decode("latin-1")
    name = match[1].decode("latin-1").strip().lower()
    if name not in ENCODINGS:
        raise FormatError(f"encoding is {_shown(name)}", expected="one that VMware writes, such as UTF-8")
    try:
        return raw.decode(ENCODINGS[name])
    except UnicodeDecodeError as error:
        raise FormatError(
            f"byte {error.start:#x} is no {name}", expected="text in the encoding that it names"
        ) from None


def _take(line: str, number: int, values: dict[str, str], extents: list[ExtentLine]) -> None:
    if len(line) > _LONGEST_LINE:
        raise FormatError(f"has {len(line)} characters", expected=f"at most {_LONGEST_LINE}")
    if not line or line.startswith("#"):
        return
    if _EXTENT_START.match(line):
        extents.append(_extent(line, number))
        return
    match = _VALUE.fullmatch(line)
    if match is None:
        raise FormatError(_shown(line), expected='key="value" or an extent')
    key = match["key"].lower()
    value = match["bare"].strip() if match["quoted"] is None else match["quoted"]
    if key not in values:
        values[key] = value
    elif not key.startswith("ddb."):
        raise FormatError(f"{_shown(key)} stands there a second time", expected="each key once")


def _extent(line: str, number: int) -> ExtentLine:
    match = _EXTENT.fullmatch(line)
    if match is None:
        raise FormatError(_shown(line), expected='access, sectors, type, "file" and offset of an extent')
    sectors = int(match["sectors"])
    if sectors == 0:
        raise FormatError("an extent of 0 sectors", expected="at least one")
    if match["name"] is None and match["type"].upper() != "ZERO":
        raise FormatError(f"an extent of type {match['type']} without a file", expected="a file name in quotes")
    return ExtentLine(
        line=number,
        access=match["access"].upper(),
        sectors=sectors,
        type=match["type"].upper(),
        name=match["name"],
        offset=int(match["offset"] or 0),
        device=match["device"] or "",
    )


def _check(values: Mapping[str, str], extents: list[ExtentLine]) -> None:
    if not values.get("createtype"):
        raise FormatError("has no createType", expected="one, such as monolithicSparse")
    if values.get("version", "1") not in ("1", "2", "3", "4"):
        raise FormatError(f"version is {_shown(values['version'])}", expected="1")
    if not extents:
        raise FormatError("names no extent", expected="at least one")
    for key in ("cid", "parentcid"):
        if key in values and not _CONTENT_ID.fullmatch(values[key].lower()):
            raise FormatError(f"{key} is {_shown(values[key])}", expected="8 hex digits")


def _shown(text: str) -> str:
    return repr(text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…")
