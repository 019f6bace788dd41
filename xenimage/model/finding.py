"""What a check found: one fact with its consequence and the act that mends it."""

from __future__ import annotations

import dataclasses
import enum


class Severity(enum.Enum):
    """How much a finding matters."""

    ERROR = "error"
    """refused, or loses data, at the consumer that was asked about"""
    WARNING = "warning"
    """works, with a drawback that somebody will notice"""
    INFO = "info"
    """worth knowing"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finding:
    """One finding. *code* is stable and documented; the texts are for people and may change."""

    code: str
    """group and name: ``vhd.footer.checksum``"""
    severity: Severity
    what: str
    """what was found, one sentence"""
    why: str
    """the consequence, naming the consumer that it breaks"""
    act: str
    """what to do about it"""
    where: str = ""
    """file, member or field"""
    offset: int | None = None
    """bytes from the start of the member or file that *where* names"""
    evidence: tuple[str, ...] = ()
    """what was seen, a line each: ``SYSTEM\\ControlSet001\\Services\\xenbus: Start=4``"""
