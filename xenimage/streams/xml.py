"""XML from files that nobody vouches for: no DTD, no entities, nothing fetched, bounds on size, nodes and depth.

The text is decoded here, by a closed list of encodings, so that the parser sees UTF-8 only and nodes are counted before
anything is built. Source: W3C, Extensible Markup Language (XML) 1.0, appendix F; Namespaces in XML 1.0.
"""

from __future__ import annotations

import codecs
import dataclasses
import re
from typing import TYPE_CHECKING

from lxml import etree

from xenimage.exceptions import FormatError, UnsafeError, UnsupportedError

if TYPE_CHECKING:
    from xenimage.limits import Limits

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_WIDE = ((b"<\0", "utf-16-le"), (b"\0<", "utf-16-be"))
# A closed list: a codec that is no text encoding must not be reachable from a file. UTF-16 is none of them: what says
# so in ASCII contradicts itself.
_ENCODINGS = {
    "utf-8": "utf-8", "utf8": "utf-8", "us-ascii": "ascii", "ascii": "ascii", "iso-8859-1": "latin-1",
    "latin1": "latin-1", "iso-8859-2": "iso8859-2", "iso-8859-15": "iso8859-15", "windows-1250": "cp1250",
    "windows-1251": "cp1251", "windows-1252": "cp1252", "gbk": "gbk", "gb2312": "gb2312", "gb18030": "gb18030",
    "big5": "big5", "shift_jis": "cp932", "euc-jp": "euc_jp", "euc-kr": "cp949",
}  # fmt: skip
_UTF16 = frozenset({"utf-16", "utf16", "unicode", "ucs-2", "utf-16le", "utf-16be", "iso-10646-ucs-2"})

# Possessive throughout: with one way to match and no other, hostile text cannot keep it busy.
_DECLARATION = re.compile(rb"<\?xml\s[^>]{0,200}?\bencoding\s*+=\s*+[\"']([A-Za-z0-9._-]{1,40})[\"']")
_PROLOG = re.compile(rb"(?:\s++|<\?(?:[^?]++|\?(?!>))*+\?>|<!--(?:[^-]++|-(?!->))*+-->)*+")
_DOCTYPE = b"<!DOCTYPE"
_SHOWN = 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Document:
    """A document that was read. Comments and processing instructions are left out."""

    root: etree._Element
    repairs: tuple[str, ...] = ()
    """what was wrong and read all the same, a sentence without its full stop each"""


def decode(data: bytes, limits: Limits, *, lax: bool = False) -> Document:
    """Parse *data*.

    A declaration of UTF-16 in front of single bytes is taken for the mistake that it is: XenCenter writes it.

    :param lax: whether undeclared prefixes and malformed namespace names are passed over, and reported.
    :raises FormatError: it is no well-formed XML, or not in the encoding that it declares.
    :raises UnsupportedError: it declares an encoding that is not read.
    :raises UnsafeError: it has a document type declaration; :class:`xenimage.exceptions.LimitError`: it is too large.
    """
    limits.require("xml_size", len(data), "the bytes of the XML")
    content, repairs = _as_utf8(data)
    limits.require("xml_nodes", _nodes(content), "the number of elements and attributes of the XML")
    prolog = _PROLOG.match(content)
    if prolog and content.startswith(_DOCTYPE, prolog.end()):
        raise _doctype()
    root, errors = _parse(content, lax=lax)
    if root.getroottree().docinfo.internalDTD is not None:
        raise _doctype()
    _require_depth(root, limits)
    return Document(root=root, repairs=(*repairs, *errors))


def _doctype() -> UnsafeError:
    return UnsafeError(
        "the XML has a document type declaration", expected="none: it can name files and grow without end"
    )


def _as_utf8(data: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Return the text in UTF-8, without a byte order mark, and what had to be repaired."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return _recode(data[len(mark) :], encoding), ()
    for start, encoding in _WIDE:
        if data.startswith(start):
            return _recode(data, encoding), ()
    match = _DECLARATION.match(data)
    declared = match[1].decode("ascii") if match else "utf-8"
    if declared.lower() in _UTF16:
        return _recode(data, "utf-8"), (f"the XML declares the encoding {declared}, but is UTF-8",)
    if declared.lower() not in _ENCODINGS:
        raise UnsupportedError(f"the XML declares the encoding {declared!r}", expected="UTF-8")
    return _recode(data, _ENCODINGS[declared.lower()]), ()


def _recode(data: bytes, encoding: str) -> bytes:
    try:
        return data.decode(encoding).encode()
    except UnicodeDecodeError as error:
        raise FormatError(
            f"the XML has the byte {data[error.start]:#04x} at {error.start:#x}", expected=f"text in {encoding}"
        ) from error


def _nodes(content: bytes) -> int:
    """A number that elements and attributes cannot exceed, known without parsing: tags and pairs of quotes."""
    return content.count(b"<") - content.count(b"</") + (content.count(b'"') + content.count(b"'")) // 2


def _parse(content: bytes, *, lax: bool) -> tuple[etree._Element, tuple[str, ...]]:
    try:
        return etree.fromstring(content, _parser(recover=False)), ()
    except etree.XMLSyntaxError as error:
        if not lax:
            raise _malformed(error.msg) from error
    parser = _parser(recover=True)
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        raise _malformed(error.msg) from error
    errors = list(parser.error_log)
    worse = [entry for entry in errors if entry.domain != etree.ErrorDomains.NAMESPACE]
    if worse or root is None:
        raise _malformed(f"{worse[0].message}, line {worse[0].line}" if worse else "no element")
    return root, tuple(f"the XML's line {entry.line}: {entry.message.strip()}" for entry in errors[:_SHOWN])


def _parser(*, recover: bool) -> etree.XMLParser:
    return etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        recover=recover,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
    )


def _malformed(reason: str) -> FormatError:
    return FormatError(f"is not well-formed XML ({reason})", expected="an XML document")


def _require_depth(root: etree._Element, limits: Limits) -> None:
    depth = 0
    for event, _ in etree.iterwalk(root, events=("start", "end")):
        depth += 1 if event == "start" else -1
        limits.require("xml_depth", depth, "the depth of the XML")
