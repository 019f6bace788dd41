"""Kinds of findings about packages, whichever way they are packed."""

from __future__ import annotations

from xenimage.model.finding import Severity
from xenimage.model.kind import FindingKind, Mend, by_code

KINDS = (
    FindingKind(
        code="package.unverified",
        title="Package that was not verified",
        severity=Severity.INFO,
        what="The package was not held against its manifest, as was asked for.",
        why="Damage on its way here, or a change by somebody else, would not be seen.",
        act="Run xenimage package check on it.",
        mend=Mend.NONE,
    ),
)
BY_CODE = by_code(KINDS)
