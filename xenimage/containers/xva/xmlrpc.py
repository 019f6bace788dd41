"""Values of XML-RPC, as the XenAPI writes its records: numbers are bare text, dates too.

Source: XML-RPC specification; xen-api, ocaml/xapi-types (rpclib's Xmlrpc).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias
from xml.sax.saxutils import escape

from xenimage.exceptions import FormatError

if TYPE_CHECKING:
    from lxml.etree import _Element

Value: TypeAlias = "str | bool | list[Value] | dict[str, Value]"

_TEXTS = frozenset({"string", "int", "i4", "i8", "double", "dateTime.iso8601", "base64", "nil"})
_NO_TEXT = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""what XML 1.0 cannot hold"""


class Date(str):
    """A text that is written as a date."""

    __slots__ = ()


class Real(str):
    """A text that is written as a floating-point number."""

    __slots__ = ()


def parse(element: _Element) -> Value:
    """Read a ``value``. Numbers and dates are given as texts.

    :raises FormatError: it is none, or a member stands twice in a struct.
    """
    if element.tag != "value":
        raise _strange(element, "value")
    if not len(element):
        return element.text or ""
    (child, *others) = element
    if others:
        raise _strange(others[0], "one element in a value")
    if child.tag in _TEXTS:
        return child.text or ""
    if child.tag == "boolean":
        return (child.text or "").strip() in ("1", "true")
    if child.tag == "array":
        return [parse(each) for data in child for each in data]
    if child.tag == "struct":
        return _struct(child)
    raise _strange(child, "struct, array or a scalar")


def _struct(element: _Element) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for member in element:
        name, value = member.find("name"), member.find("value")
        if member.tag != "member" or name is None or value is None:
            raise _strange(member, "a member with a name and a value")
        key = name.text or ""
        if key in values:
            raise FormatError(f"a struct has the member {key!r} twice", where=_line(element))
        values[key] = parse(value)
    return values


def _strange(element: _Element, expected: str) -> FormatError:
    return FormatError(f"has the element {element.tag!r}", expected=expected, where=_line(element))


def _line(element: _Element) -> str:
    return f"line {element.sourceline}"


def dump(value: Value) -> str:
    """Write a value. What XML cannot hold becomes U+FFFD."""
    if isinstance(value, bool):
        return f"<value><boolean>{value:d}</boolean></value>"
    if isinstance(value, list):
        return f"<value><array><data>{''.join(map(dump, value))}</data></array></value>"
    if isinstance(value, dict):
        members = (f"<member><name>{_text(name)}</name>{dump(each)}</member>" for name, each in value.items())
        return f"<value><struct>{''.join(members)}</struct></value>"
    if isinstance(value, Date):
        return f"<value><dateTime.iso8601>{_text(value)}</dateTime.iso8601></value>"
    if isinstance(value, Real):
        return f"<value><double>{_text(value)}</double></value>"
    return f"<value>{_text(value)}</value>" if value else "<value/>"


def _text(text: str) -> str:
    # A parser would turn a carriage return into a line feed.
    return escape(_NO_TEXT.sub("\ufffd", text), {"\r": "&#13;"})
