"""What a consumer forgives in a VHD, because it reads the content only and writes a VHD of its own."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from xenimage.model.finding import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from xenimage.model.profile import Profile

_STREAMED = ("nova-vdi-stream", "xcp-ng")
"""profiles whose consumer sends the VHD through XAPI's import, which looks at header, BAT, bitmaps and data"""
_REWRITTEN = (
    "vhd.creator.foreign",
    "vhd.creator.space",
    "vhd.creator.new",
    "vhd.creator.no_batmap",
    "vhd.batmap.",
    "vhd.block.packed",
    "vhd.block.unaligned",
    "vhd.footer.geometry",
    "vhd.footer.timestamp",
    "vhd.bat.long",
    "vhd.size.residue",
)
_KEPT = ("vhd.batmap.encrypted",)


def weighed(findings: Iterable[Finding], profile: Profile) -> Iterator[Finding]:
    """Pass findings on with the weight that they have for the consumer of *profile*."""
    for finding in findings:
        if profile.name in _STREAMED and finding.code.startswith(_REWRITTEN) and finding.code not in _KEPT:
            why = f"not for {profile.name}, where XenServer writes the stored disk itself; elsewhere: {finding.why}"
            yield dataclasses.replace(finding, severity=Severity.INFO, why=why)
        else:
            yield finding
