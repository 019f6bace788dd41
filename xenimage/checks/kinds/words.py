"""How the kinds of this package are written down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.model.kind import FindingKind, Mend

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xenimage.model.finding import Severity
    from xenimage.model.kind import Wording

PACK = "Pack the VHDs alone: tar -czf BUNDLE --owner=0 --group=0 --mode=0644 0.vhd ..."


def kind(
    severity: Severity,
    code: str,
    title: str,
    *texts: str,
    mend: Mend = Mend.ANEW,
    by: tuple[str, ...] = (),
    cases: Mapping[str, Wording] | None = None,
) -> FindingKind:
    """*texts*: what, why and act; without the last: pack it again."""
    what, why, act = (*texts, PACK)[:3]
    return FindingKind(
        code=code,
        title=title,
        severity=severity,
        what=what,
        why=why,
        act=act,
        mend=mend,
        refused_by=by,
        cases=cases or {},
    )
