"""What cloud-init's YAML files say: those few keys, without a reader of all of YAML.

Files are merged by cloud-init in the order of their names, and a list in a later file replaces one in an earlier file.
A value is found by the keys that lead to it and by how far they are indented; anchors, tags and the like are not known.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from xenimage.model.guest.linux import Setting

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LINE = re.compile(r"""^(?P<indent> *)(?P<dashes>(?:- +)*)(?P<key>['"]?[\w.-]+['"]?)\s*:(?:\s+(?P<value>.*))?$""")
_ITEM = re.compile(r"^(?P<indent> *)- +(?P<value>.*)$")
_COMMENT = re.compile(r"""(?:^|\s)#.*$""")
_LIST_MAX = 200
_LINE_MAX = 4096
_LINES_MAX = 5000


def find(text: str, where: str, keys: str) -> Setting | None:
    """The value at a path of keys, as ``network.config``; the last, should there be several. None for none.

    A value on the lines below its key is none, but that of a list is found by :func:`find_list`.
    """
    found = None
    for path, value, line in _walk(text):
        if path == keys and value:
            found = Setting(value=value.strip("\"'"), where=where, line=line.strip())
        elif value.startswith("{") and keys.startswith(f"{path}."):
            inner = re.search(rf"""{re.escape(keys.removeprefix(f"{path}."))}['"]?\s*:\s*([^,}}]+)""", value)
            if inner:
                found = Setting(value=inner[1].strip().strip("\"'"), where=where, line=line.strip())
    return found


def find_list(text: str, where: str, key: str) -> tuple[tuple[str, ...], Setting, bool] | None:
    """The list at a key without indentation: its items, where it is, and whether it stands on one line."""
    lines = _lines(text)
    found = None
    for number, line in enumerate(lines):
        match = _LINE.match(_COMMENT.sub("", line).rstrip())
        if match and not match["indent"] and not match["dashes"] and match["key"].strip("\"'") == key:
            items, one_line = _items(match["value"] or "", lines[number + 1 : number + 1 + _LIST_MAX])
            found = items, Setting(value=", ".join(items), where=where, line=line.strip()), one_line
    return found


def _lines(text: str) -> list[str]:
    return [line[:_LINE_MAX] for line in text.split("\n", _LINES_MAX)[:_LINES_MAX]]


def _items(value: str, below: Sequence[str]) -> tuple[tuple[str, ...], bool]:
    value = value.strip()
    if value.startswith("["):
        one_line = "]" in value
        for line in () if one_line else below:
            value += " " + _COMMENT.sub("", line).strip()
            if "]" in line:
                break
        words = value[1:].partition("]")[0].split(",")
        return tuple(word.strip().strip("\"'") for word in words if word.strip()), one_line
    if value:
        return (value.strip("\"'"),), True
    items = []
    for line in below:
        bare = _COMMENT.sub("", line).rstrip()
        match = _ITEM.match(bare)
        if match:
            items.append(match["value"].strip().strip("\"'"))
        elif bare:
            break
    return tuple(items), False


def _walk(text: str) -> Iterator[tuple[str, str, str]]:
    """(path of keys, value, line) of everything that looks like ``key: value``."""
    above: list[tuple[int, str]] = []
    for line in _lines(text):
        match = _LINE.match(_COMMENT.sub("", line).rstrip())
        if match is None:
            continue
        indent = len(match["indent"]) + len(match["dashes"])
        while above and above[-1][0] >= indent:
            above.pop()
        above.append((indent, match["key"].strip("\"'")))
        yield ".".join(key for _, key in above), (match["value"] or "").strip(), line
