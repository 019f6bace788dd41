"""What a package holds and nobody should find in a log: passwords that it brings, keys in a machine's firmware."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.model.machine import Product

HIDDEN = "(hidden)"
_NAME = re.compile(r"passw|pwd|passphrase|secret|token|credential|private.?key|api.?key|license.?key", re.IGNORECASE)
_WORD = re.compile(
    r"(?<![\w.-])(?=[\w.-]*(?:passw|pwd|passphrase|secret|token|credential|rootpw))([\w.-]++)(\s*+[=:]\s*+)[^\s;,]++",
    re.IGNORECASE,
)
"""each word is looked at once, from its start: a text may have megabytes of one"""
_BLOBS = ("NVRAM", "bios_strings")
"""settings that are bytes for the firmware, Secure Boot's keys among them, or the licence of whoever sold the host"""


def setting(name: str, value: str) -> str:
    """A setting as it may be shown: of a blob its length, and of a text no passwords (``rootpw=``)."""
    if name in _BLOBS:
        return f"({len(value)} characters)"
    return HIDDEN if value and _NAME.search(name) else _WORD.sub(rf"\1\2{HIDDEN}", value)


def defaults(product: Product) -> Iterator[tuple[str, str]]:
    """Yield keys and defaults of properties as they may be shown. What only a name gives away is hidden, too."""
    passwords = frozenset(product.passwords)
    for key, value in product.properties:
        hidden = value and (key in passwords or _NAME.search(key))
        yield key, HIDDEN if hidden else _WORD.sub(rf"\1\2{HIDDEN}", value)
