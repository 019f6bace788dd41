"""Words that many kinds share: who refuses a VHD, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xenimage.model.finding import Severity
from xenimage.model.kind import FindingKind, Mend, Wording

if TYPE_CHECKING:
    from collections.abc import Mapping

CHECK = "vhd-util check"
OPEN = "every program of blktap"
ATTACH = "tapdisk, for writing"
IMPORT = "os-xenapi"
XAPI = "XAPI's import"
XO = "Xen Orchestra"
QEMU = "qemu"

REBUILD = "Write it anew: xenimage bundle create FILE --output NEW.tgz, or disk convert FILE NEW.vhd --format vhd."
RETRANSFER = "Get the file again from where it came, and compare sizes and checksums."
REPAIR = "Run xenimage disk repair FILE --in-place, or without it for a new file; of a bundle: xenimage bundle repair."
RESCUE = (
    "Get the file again; if there is no other, repair it: xenimage disk repair FILE --output NEW, or bundle repair."
)
RELINK = "Run xenimage disk rebase CHILD --parent PARENT, or flatten the chain."
FLATTEN = "Flatten the chain: xenimage bundle create makes one disk of it."

NOT_OPENED = "blktap, vhd-util and XAPI do not open the disk"
REFUSED = "vhd-util check refuses the disk, and os-xenapi with it"
NO_ATTACH = "vhd-util check fails and the read-write attach fails (-22); os-xenapi accepts the disk all the same"
ACCEPTED = "vhd-util check refuses the disk; os-xenapi accepts it all the same, and the data is wrong"
MODIFIED = "vhd-util check refuses the disk as it is; os-xenapi and Cinder write the field anew during an import"


def _kind(severity: Severity, code: str, title: str, texts: tuple[str, ...], **more: Any) -> FindingKind:
    what, why, act = (*texts, REBUILD)[:3]
    return FindingKind(code=f"vhd.{code}", title=title, severity=severity, what=what, why=why, act=act, **more)


def error(
    code: str,
    title: str,
    *texts: str,
    mend: Mend,
    refused_by: tuple[str, ...] = (),
    cases: Mapping[str, Wording] | None = None,
) -> FindingKind:
    """Something that is refused, or that loses data. *texts*: what, why and act; without the last: write it anew."""
    return _kind(Severity.ERROR, code, title, texts, mend=mend, refused_by=refused_by, cases=cases or {})


def warning(
    code: str,
    title: str,
    *texts: str,
    mend: Mend,
    refused_by: tuple[str, ...] = (),
    cases: Mapping[str, Wording] | None = None,
) -> FindingKind:
    """Something that works with a drawback."""
    return _kind(Severity.WARNING, code, title, texts, mend=mend, refused_by=refused_by, cases=cases or {})


def info(code: str, title: str, *texts: str, mend: Mend = Mend.NONE) -> FindingKind:
    """Something worth knowing."""
    return _kind(Severity.INFO, code, title, texts, mend=mend)
