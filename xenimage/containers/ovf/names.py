"""Names of files in a package, as references give them: relative, never leading out. Source: DSP0243 1.1, 7.1."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING
from urllib.parse import unquote

from xenimage.exceptions import UnsafeError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterator

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_LONGEST = 255
"""bytes that a part of a name has at most"""
_DEEPEST = 16
"""parts"""


def is_remote(href: str) -> bool:
    """Whether a reference leads out into the network."""
    return href.lower().startswith(("http:", "https:", "ftp:"))


def safe_name(href: str) -> str:
    """Check the name that a reference gives, and return it with ``/`` between its parts.

    :raises UnsafeError: it leads, or could lead, out of the package.
    :raises UnsupportedError: it is the address of something elsewhere.
    """
    if len(href) > _LONGEST * _DEEPEST:
        raise UnsafeError(f"refers to a name of {len(href)} characters", expected=f"at most {_LONGEST} bytes a part")
    for name in dict.fromkeys((href, unquote(href, errors="replace"))):
        _require_safe(name, href)
    parts = [part for part in href.split("/") if part != "."]
    return "/".join(parts)


def _require_safe(name: str, href: str) -> None:
    if not name:
        raise UnsafeError("a reference has no name", expected="the name of a file")
    if is_remote(name):
        raise UnsupportedError(
            f"refers to {href!r}", expected="a file of the package", tip="Fetch the file, and name it by its bare name."
        )
    if "\\" in name or name.startswith("/") or _SCHEME.match(name):
        raise UnsafeError(f"refers to {href!r}", expected="a name within the package")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        raise UnsafeError(f"refers to {href!r}, with control characters", expected="a name that can be printed")
    parts = name.split("/")
    if ".." in parts or "" in parts or parts[-1] == "." or len(parts) > _DEEPEST:
        raise UnsafeError(f"refers to {href!r}", expected="a name within the package, without '..'")
    if any(len(part.encode(errors="replace")) > _LONGEST for part in parts):
        raise UnsafeError(f"refers to a name of {len(name)} characters", expected=f"at most {_LONGEST} bytes a part")


def spellings(name: str) -> Iterator[str]:
    """Yield the names that a checked one may stand for, the likeliest first: literal, decoded, composed in two ways.

    Writers disagree on whether a blank is ``%20``, and file systems on whether an accent is a character of its own.
    """
    seen = set()
    for text in (name, unquote(name, errors="replace")):
        for spelling in (text, unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text)):
            if spelling not in seen:
                seen.add(spelling)
                yield spelling
