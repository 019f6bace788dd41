"""How the checks of a VHD word what they find."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from xenimage.model.finding import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LISTED = 20
"""findings of one class that are told one by one"""

REBUILD = "Write it anew: xenimage bundle create FILE --output NEW.tgz, or disk convert FILE NEW.vhd --format vhd."
RETRANSFER = "Get the file again from where it came, and compare sizes and checksums."


def error(code: str, what: str, why: str, act: str = REBUILD, offset: int | None = None) -> Finding:
    """Something that is refused, or that loses data."""
    return Finding(code=f"vhd.{code}", severity=Severity.ERROR, what=what, why=why, act=act, offset=offset)


def warning(code: str, what: str, why: str, act: str = REBUILD, offset: int | None = None) -> Finding:
    """Something that works with a drawback."""
    return Finding(code=f"vhd.{code}", severity=Severity.WARNING, what=what, why=why, act=act, offset=offset)


def info(code: str, what: str, why: str, act: str = "", offset: int | None = None) -> Finding:
    """Something worth knowing."""
    return Finding(code=f"vhd.{code}", severity=Severity.INFO, what=what, why=why, act=act, offset=offset)


def bounded(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Pass findings of one class on; behind the first twenty only their number, in one last finding."""
    findings = iter(findings)
    last = None
    for last in itertools.islice(findings, LISTED):
        yield last
    more = sum(1 for _ in findings)
    if more and last:
        yield Finding(
            code=last.code, severity=last.severity, what=f"and {more} more of this kind", why=last.why, act=last.act
        )
