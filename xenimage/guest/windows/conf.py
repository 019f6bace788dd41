"""Configuration files as oslo.config reads them, of cloudbase-init: sections, names, values, lines that go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_TRUE = ("true", "1", "yes", "on")
_FALSE = ("false", "0", "no", "off")

Settings = dict[tuple[str, str], str]
"""by section and name, the section in lower case; the last value of a name counts"""


def parse(text: str) -> Settings:
    """Read a configuration file. A line that makes no sense is passed over."""
    settings: Settings = {}
    section, key = "default", None
    for line in text.splitlines():
        stripped = line.strip()
        if not stripped or stripped[0] in "#;":
            continue
        if line[0].isspace() and key:
            settings[key] += f"\n{stripped}"
        elif stripped[0] == "[" and stripped[-1] == "]":
            section, key = stripped[1:-1].strip().lower(), None
        else:
            at = min((at for at in (stripped.find("="), stripped.find(":")) if at > 0), default=0)
            key = (section, stripped[:at].strip()) if at else None
            if key:
                settings[key] = _unquoted(stripped[at + 1 :].strip())
    return settings


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value


def text(settings: Mapping[tuple[str, str], str], *places: tuple[str, str], default: str = "") -> str:
    """The value at the first of *places*, section and name, that is there."""
    return next((settings[place] for place in places if place in settings), default)


def truth(settings: Mapping[tuple[str, str], str], *places: tuple[str, str], default: bool) -> bool:
    """The same as a yes or no; the default where it is neither."""
    value = text(settings, *places).lower()
    return True if value in _TRUE else False if value in _FALSE else default


def items(settings: Mapping[tuple[str, str], str], *places: tuple[str, str]) -> tuple[str, ...] | None:
    """The same as a list; None where it is not there."""
    value = text(settings, *places, default="\0")
    if value == "\0":
        return None
    return tuple(part.strip() for part in value.replace("\n", ",").split(",") if part.strip())
