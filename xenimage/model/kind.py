"""A kind of finding: its code, its texts and what is known of it. Messages and the reference are made from it."""

from __future__ import annotations

import dataclasses
import enum
import re
from typing import TYPE_CHECKING, Any

from xenimage.model.finding import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping


_VALUE = re.compile(r"\{(\w+)[^}]*\}")


def plain(template: str) -> str:
    """Return a template as people read it: ``{place:#x}`` becomes ``{place}``."""
    return _VALUE.sub(r"{\1}", template)


class Mend(enum.Enum):
    """What can be done about a finding."""

    SAFE = "safe"
    """the right bytes follow from the rest of the file: it can be mended where it stands"""
    CHOICE = "choice"
    """there is more than one way to mend it, and somebody who knows more has to choose"""
    ANEW = "anew"
    """the data is whole, but the disk or the bundle has to be written anew"""
    LOST = "lost"
    """data is missing or in doubt, and nothing in the file can replace it"""
    NONE = "none"
    """nothing is broken"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wording:
    """How one case of a kind differs from its usual texts; what is empty or None stays as it is."""

    severity: Severity | None = None
    what: str = ""
    why: str = ""
    act: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FindingKind:
    """One kind. *what*, *why* and *act* are templates: ``{block}`` stands for a value of the finding."""

    code: str
    """group and name: ``vhd.footer.checksum``; an upper-case part stands for any name"""
    title: str
    """what it is, in a few words"""
    severity: Severity
    what: str
    why: str
    act: str
    mend: Mend
    refused_by: tuple[str, ...] = ()
    """programs that notice, and refuse; others accept the file as it is"""
    cases: Mapping[str, Wording] = dataclasses.field(default_factory=dict)
    """other wordings, by the name that the check gives them"""

    def found(
        self,
        case: str = "",
        *,
        where: str = "",
        offset: int | None = None,
        evidence: tuple[str, ...] = (),
        **values: Any,
    ) -> Finding:
        """Make a finding of this kind.

        :param case: one of :attr:`cases`; empty for the usual texts.
        :param values: what stands in the templates; texts among them are not templates themselves.
        """
        wording = self.cases[case] if case else Wording()
        return Finding(
            code=self.code,
            severity=wording.severity or self.severity,
            what=(wording.what or self.what).format_map(values),
            why=(wording.why or self.why).format_map(values),
            act=(wording.act or self.act).format_map(values),
            where=where,
            offset=offset,
            evidence=evidence,
        )

    @property
    def severities(self) -> tuple[Severity, ...]:
        """Every severity that it can have, the usual one first."""
        return tuple(dict.fromkeys([self.severity, *(each.severity or self.severity for each in self.cases.values())]))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Describe:
    """A short way to write down the kinds of one group."""

    group: str = ""
    """what all codes begin with"""
    mend: Mend = Mend.CHOICE
    """of those that do not say it"""
    act: str = ""
    """of those that have no third text"""

    def __call__(
        self,
        severity: Severity,
        code: str,
        title: str,
        *texts: str,
        mend: Mend | None = None,
        refused_by: tuple[str, ...] = (),
        cases: Mapping[str, Wording] | None = None,
    ) -> FindingKind:
        """Describe a kind. *texts*: what, why, act."""
        what, why, act = (*texts, self.act)[:3]
        return FindingKind(
            code=f"{self.group}.{code}" if self.group else code,
            title=title,
            severity=severity,
            what=what,
            why=why,
            act=act,
            mend=self.mend if mend is None else mend,
            refused_by=refused_by,
            cases=cases or {},
        )


def by_code(*groups: tuple[FindingKind, ...]) -> dict[str, FindingKind]:
    """Put kinds into one table. A code that stands twice is a mistake of the program."""
    table: dict[str, FindingKind] = {}
    for group in groups:
        for kind in group:
            if kind.code in table:
                raise ValueError(f"{kind.code} is described twice")
            table[kind.code] = kind
    return table
