"""The language in which LVM2 describes a volume group: sections in braces, names with numbers, strings or lists.

Source: LVM2, ``libdm/libdm-config.c``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from xenimage.exceptions import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator

Section = dict[str, Any]
"""names to sections, to int, str, or lists of them"""

_DEPTH = 16
_TOKEN = re.compile(
    r"""\s+ | \#[^\n]* | (?P<number>-?\d+(?:\.\d+)?(?![\w.+-])) | "(?P<text>(?:[^"\\]|\\.)*)" """
    r"| (?P<name>[\w.+/@-]+) | (?P<mark>[={}\[\],])",
    re.VERBOSE | re.DOTALL,
)


def parse(text: str) -> Section:
    """Read a description.

    :raises FormatError: it is none.
    """
    top: Section = {}
    open_sections = [top]
    tokens = _tokens(text)
    for kind, value in tokens:
        if (kind, value) == ("mark", "}") and len(open_sections) > 1:
            open_sections.pop()
            continue
        if kind not in ("name", "number"):
            raise _wrong(value)
        follows = next(tokens, ("", ""))
        if follows == ("mark", "{") and len(open_sections) < _DEPTH:
            section: Section = {}
            open_sections[-1][value] = section
            open_sections.append(section)
        elif follows == ("mark", "="):
            open_sections[-1][value] = _value(tokens)
        else:
            raise _wrong(follows[1])
    if len(open_sections) > 1:
        raise FormatError("the description of the volume group ends in the middle")
    return top


def _value(tokens: Iterator[tuple[str, str]]) -> Any:
    kind, value = next(tokens, ("", ""))
    if (kind, value) != ("mark", "["):
        return _single(kind, value)
    found: list[int | str] = []
    for item_kind, item in tokens:
        if (item_kind, item) == ("mark", "]"):
            return found
        if (item_kind, item) != ("mark", ","):
            found.append(_single(item_kind, item))
    raise FormatError("a list in the description of the volume group does not end")


def _single(kind: str, value: str) -> int | str:
    if kind == "number":
        # Python reads no integers of more than some thousand digits.
        return int(value) if len(value) < 20 and "." not in value else value
    if kind == "text":
        return re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL)
    raise _wrong(value)


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _wrong(text[at])
        at = match.end()
        if match.lastgroup:
            yield match.lastgroup, match[match.lastgroup]


def _wrong(what: str) -> FormatError:
    return FormatError(f"{what[:20]!r} stands in the description of the volume group where it makes no sense")
