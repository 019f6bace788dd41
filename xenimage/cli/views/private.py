"""What a package holds and nobody should find in a log: passwords that it brings, keys in a machine's firmware."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xenimage.model.machine import Product

HIDDEN = "(hidden)"
_NAME = re.compile(r"passw|pwd|passphrase|secret|token|credential|private.?key|api.?key|license.?key", re.IGNORECASE)
_WORD = re.compile(
    r"([\w.-]*(?:passw|pwd|passphrase|secret|token|credential|rootpw)[\w.-]*)(\s*[=:]\s*)[^\s;,]+", re.IGNORECASE
)
_BLOBS = ("NVRAM", "bios_strings")
"""settings that are bytes for the firmware, Secure Boot's keys among them, or the licence of whoever sold the host"""


def setting(name: str, value: str) -> str:
    """A setting as it may be shown: of a blob its length, and of a text no passwords (``rootpw=``)."""
    if name in _BLOBS:
        return f"({len(value)} characters)"
    return HIDDEN if value and _NAME.search(name) else _WORD.sub(rf"\1\2{HIDDEN}", value)


def default(product: Product, key: str, value: str) -> str:
    """The default of a property as it may be shown. One that only its name gives away is hidden, too."""
    if value and (key in product.passwords or _NAME.search(key)):
        return HIDDEN
    return _WORD.sub(rf"\1\2{HIDDEN}", value)
