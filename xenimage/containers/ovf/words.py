"""What all kinds of findings about an OVF package have in common: words, and a short way to write one down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.model.finding import Severity
from xenimage.model.kind import FindingKind, Mend

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xenimage.model.kind import Wording

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
ANEW = "Write the package anew with xenimage package convert."
EXPORT = "Export the machine again, or correct the descriptor by hand."


def kind(
    severity: Severity,
    code: str,
    title: str,
    *texts: str,
    mend: Mend = Mend.CHOICE,
    refused_by: tuple[str, ...] = (),
    cases: Mapping[str, Wording] | None = None,
) -> FindingKind:
    """*texts*: what, why, act."""
    what, why, act = texts
    return FindingKind(
        code=f"ovf.{code}",
        title=title,
        severity=severity,
        what=what,
        why=why,
        act=act,
        mend=mend,
        refused_by=refused_by,
        cases=cases or {},
    )
