"""Every kind of finding about an OVF package by its code, and the list that findings are collected in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xenimage.containers.ovf.archive_kinds import ARCHIVE
from xenimage.containers.ovf.files_kinds import DISKS, FILES
from xenimage.containers.ovf.hardware_kinds import MACHINES
from xenimage.containers.ovf.proof_kinds import PROOF
from xenimage.containers.ovf.structure_kinds import ENVELOPE
from xenimage.exceptions import LimitError
from xenimage.model.kind import by_code

if TYPE_CHECKING:
    from xenimage.model.finding import Finding

KINDS = ENVELOPE + MACHINES + DISKS + FILES + ARCHIVE + PROOF
BY_CODE = by_code(KINDS)


def found(code: str, case: str = "", *, where: str = "", **values: Any) -> Finding:
    """Make the finding of the kind ``ovf.CODE``."""
    return BY_CODE[f"ovf.{code}"].found(case, where=where, **values)


class Notes:
    """Findings as they are made. Of each code only some are kept: a hostile file may give rise to any number."""

    _MOST = 50
    _TOO_MANY = 10_000

    def __init__(self) -> None:
        self._found: list[Finding] = []
        self._counts: dict[str, int] = {}

    def add(self, finding: Finding) -> None:
        """Keep *finding*, unless there are many of its code.

        :raises LimitError: there are so many that the file can only be meant to keep us busy.
        """
        count = self._counts[finding.code] = self._counts.get(finding.code, 0) + 1
        if count > self._TOO_MANY:
            raise LimitError(
                f"has more than {self._TOO_MANY} faults of one kind ({finding.code})", expected="a package with fewer"
            )
        if count <= self._MOST and finding not in self._found:
            self._found.append(finding)

    def all(self) -> tuple[Finding, ...]:
        """What was kept, in order."""
        return tuple(self._found)
