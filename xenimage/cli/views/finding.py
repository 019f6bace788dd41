"""A kind of finding: what it means, who refuses it, and what can be done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xenimage.cli.text import section
from xenimage.model.kind import Mend, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.cli.text import Style
    from xenimage.model.kind import FindingKind

MENDS = {
    Mend.SAFE: "yes: the right bytes follow from the rest of the file",
    Mend.CHOICE: "after a choice: there is more than one way, and somebody who knows more has to decide",
    Mend.ANEW: "by writing it anew: the data is whole",
    Mend.LOST: "no: data is missing or in doubt",
    Mend.NONE: "there is nothing to mend",
}


def row(kind: FindingKind) -> dict[str, Any]:
    """Return a kind as a row of the list."""
    return {
        "code": kind.code,
        "title": kind.title,
        "severities": [severity.value for severity in kind.severities],
        "refused_by": list(kind.refused_by),
        "mend": kind.mend.value,
    }


def record(kind: FindingKind) -> dict[str, Any]:
    """Return a kind for programs."""
    return row(kind) | {
        "what": plain(kind.what),
        "why": plain(kind.why),
        "act": plain(kind.act),
        "cases": [
            {
                "name": name,
                "severity": (case.severity or kind.severity).value,
                "what": plain(case.what or kind.what),
                "why": plain(case.why or kind.why),
                "act": plain(case.act or kind.act),
            }
            for name, case in kind.cases.items()
        ],
    }


def lines(kind: FindingKind, style: Style) -> Iterator[str]:
    """Yield a kind for people."""
    yield from section(
        f"{kind.code}: {kind.title}",
        [
            ("severity", kind.severity.value),
            ("what", plain(kind.what)),
            ("why", plain(kind.why)),
            ("act", plain(kind.act)),
            ("refused by", ", ".join(kind.refused_by)),
            ("can be mended", MENDS[kind.mend]),
        ],
        style,
    )
    for name, case in kind.cases.items():
        severity = case.severity.value if case.severity else ""
        texts = [("what", case.what), ("why", case.why), ("act", case.act)]
        pairs = [("severity", severity), *((title, plain(text)) for title, text in texts)]
        yield from section(f"In the case {name!r}", pairs, style)
