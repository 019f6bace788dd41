"""Elements of HTML. Text becomes markup here alone, and only escaped: names come from images."""

from __future__ import annotations

import html

from xenimage.cli.text import visible

_VOID = frozenset({"br", "col", "hr", "meta", "rect", "line"})
"""without content; those of SVG are closed as XML wants it"""


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def escaped(text: str) -> Markup:
    """Return *text* as people shall see it: what is not printable as an escape, and nothing of it as markup."""
    return Markup(html.escape(visible(text)))


def joined(*parts: str | None) -> Markup:
    """Put parts behind each other: markup as it is, text escaped; None is left out."""
    return Markup("".join(part if isinstance(part, Markup) else escaped(part) for part in parts if part is not None))


def element(tag: str, *content: str | None, **attributes: str | None) -> Markup:
    """Make an element.

    :param content: markup, or text that is escaped here.
    :param attributes: ``class_`` stands for ``class``, ``aria_label`` for ``aria-label``; None is left out.
    """
    words = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escaped(value)}"'
        for name, value in attributes.items()
        if value is not None
    )
    if tag in _VOID:
        return Markup(f"<{tag}{words}/>")
    return Markup(f"<{tag}{words}>{joined(*content)}</{tag}>")
