"""Text for people: sections, aligned pairs, findings; as wide as the terminal, coloured only on one."""

from __future__ import annotations

import dataclasses
import os
import re
import textwrap
from typing import TYPE_CHECKING, Any, Self

from xenimage.model.finding import Severity
from xenimage.units import KIB, format_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from xenimage.model.finding import Finding

WIDTH_MAX = 120
WIDTH_WITHOUT_TERMINAL = 100

_USERINFO = re.compile(r"(\w+://)[^/@\s]+@")
_COLOURS = {"bold": "1", "error": "1;31", "warning": "1;33", "info": "1;36", "good": "1;32", "dim": "2"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Style:
    """What a stream can show."""

    width: int = WIDTH_WITHOUT_TERMINAL
    """columns"""
    unicode: bool = False
    colour: bool = False

    @classmethod
    def of(cls, stream: Any) -> Self:
        """Find out what *stream* can show."""
        encoding = (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "")
        terminal = stream.isatty()
        plain = "NO_COLOR" in os.environ or os.environ.get("TERM", "dumb") == "dumb"
        return cls(width=_width(stream), unicode=encoding.startswith("utf"), colour=terminal and not plain)

    def paint(self, text: str, colour: str) -> str:
        """Return *text*, made visible, in a colour where colours are shown."""
        text = visible(text)
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if self.colour else text


def _width(stream: Any) -> int:
    try:
        return max(40, min(WIDTH_MAX, os.get_terminal_size(stream.fileno()).columns))
    except (OSError, ValueError, AttributeError):
        return WIDTH_WITHOUT_TERMINAL


def visible(text: str) -> str:
    """Show as escapes what a terminal would obey instead of showing it.

    Names come from images, and whoever made an image may have put commands for the terminal of its reader into them.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def without_secrets(text: str) -> str:
    """Take from addresses what stands in front of the host: a user and a password."""
    return _USERINFO.sub(r"\1***@", text)


def size_text(size: int) -> str:
    """Write bytes for people with the exact number behind: ``1.50 GiB (1610612736 bytes)``."""
    return format_size(size) if size < KIB else f"{format_size(size)} ({size} bytes)"


def reads_text(number: int) -> str:
    """Write how often something was read: ``1 read``, ``22 reads``."""
    return f"{number} read" if number == 1 else f"{number} reads"


def wrap(text: str, style: Style, indent: str, first: str | None = None) -> list[str]:
    """Break *text* into lines of the style's width behind *indent*; *first* stands before the first line instead."""
    lines = textwrap.wrap(
        visible(text),
        style.width,
        initial_indent=indent if first is None else first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return lines or [(indent if first is None else first).rstrip()]


def section(title: str, pairs: Sequence[tuple[str, object]], style: Style) -> Iterator[str]:
    """Yield a title and aligned pairs below it; pairs without a value are left out."""
    shown = [(name, str(value)) for name, value in pairs if value is not None and value != ""]
    if not shown:
        return
    yield style.paint(title, "bold")
    column = max(len(name) for name, _ in shown) + 4
    for name, value in shown:
        yield from wrap(value, style, " " * column, f"  {name}".ljust(column))
    yield ""


def table(
    header: Sequence[str], rows: Iterable[Sequence[object]], style: Style, right: Sequence[int] = ()
) -> list[str]:
    """Return aligned columns; those with an index in *right* end flush. The last column wraps."""
    texts = [[visible(str(cell)) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [list(header), *texts]) for i in range(len(header))]

    def line(cells: Sequence[str]) -> list[str]:
        parts = [
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(cells[:-1], widths, strict=False))
        ]
        lead = "".join(f"{part}  " for part in parts)
        last = cells[-1].rjust(widths[-1]) if len(cells) - 1 in right else cells[-1]
        if len(cells) - 1 in right:
            return [lead + last]
        return wrap(last, style, " " * len(lead), lead)

    title, *more = line(header)
    body = [text for row in texts for text in line(row)]
    return [style.paint(title.rstrip(), "bold"), *more, *body]


def finding_lines(finding: Finding, style: Style) -> Iterator[str]:
    """Yield a finding: severity, code and place, then what, why and what to do, then what was seen."""
    place = finding.where
    if finding.offset is not None:
        place = f"{place} at {finding.offset:#x}".strip()
    head = f"{style.paint(finding.severity.value.ljust(7), finding.severity.value)}  {finding.code}"
    yield f"{head}  [{visible(place)}]" if place else head
    yield from wrap(finding.what, style, " " * 9)
    yield from wrap(finding.why, style, " " * 14, " " * 9 + "why: ")
    yield from wrap(finding.act, style, " " * 14, " " * 9 + "act: ")
    for line in finding.evidence:
        yield from wrap(line, style, " " * 15, " " * 9 + "seen: ")


def findings_section(findings: Sequence[Finding], style: Style) -> Iterator[str]:
    """Yield all findings, the worst first."""
    if not findings:
        return
    yield style.paint("Findings", "bold")
    order = list(Severity)
    for finding in sorted(findings, key=lambda each: order.index(each.severity)):
        for line in finding_lines(finding, style):
            yield f"  {line}"
    yield ""


def counted(findings: Sequence[Finding]) -> str:
    """Return how many findings there are of which kind: ``1 error, 2 warnings``."""
    parts = []
    for severity, plural in ((Severity.ERROR, "errors"), (Severity.WARNING, "warnings"), (Severity.INFO, "notes")):
        number = sum(each.severity is severity for each in findings)
        if number:
            parts.append(f"{number} {plural if number > 1 else plural[:-1]}")
    return ", ".join(parts) or "no findings"
