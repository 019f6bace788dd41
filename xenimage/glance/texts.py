"""From the library's errors and findings to what a tenant is told: what, why, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.checks.guest.registry import KINDS as GUEST_KINDS
from xenimage.exceptions import (
    FormatError,
    LimitError,
    NotReadyError,
    TransferError,
    UnsafeError,
    UnsupportedError,
    XenimageError,
)
from xenimage.glance.errors import RefusedError, UnusableError, presentable
from xenimage.model.finding import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

_SHOWN = 3
"""findings in one text"""

_ACTS: tuple[tuple[type[XenimageError], str], ...] = (
    (LimitError, "This is a guard against harmful images. If yours is none, ask the operator of the cloud."),
    (
        UnsafeError,
        "Make one plain file of it that needs no other (qemu-img convert -O qcow2), and upload that.",
    ),
    (FormatError, "Compare the file with its original, repair it or make it anew, and upload it again."),
    (UnsupportedError, "Convert it to a plain qcow2 (qemu-img convert -O qcow2), and upload that."),
)


def refusal(error: XenimageError, source: str, output: str) -> RefusedError:
    """Turn an error of the library into the refusal that is told; the log gets it as it was.

    :param source: path of the staged file.
    :param output: path of the result.
    """
    detail = f"{type(error).__name__}: {error}" + (f" (tip: {error.tip})" if error.tip else "")
    if isinstance(error, NotReadyError):
        return RefusedError(
            _not_ready(error, source, output), detail + "".join(f"; {_line(each)}" for each in error.findings)
        )
    for kind, act in _ACTS:
        if isinstance(error, kind):
            return RefusedError(f"The image cannot be taken: {_said(error, source, output)}. {act}", detail)
    if isinstance(error, TransferError):
        return RefusedError(
            "The server ran out of room or could not read or write a file while it converted the image. Import it again"
            " later; if that does not help, ask the operator of the cloud.",
            detail,
        )
    return UnusableError(detail)


def _said(error: XenimageError, source: str, output: str) -> str:
    place = error.where.replace(source, "").strip(": ")
    said = f"{place}: {error.found}" if place else f"it {error.found}" if _is_verb(error.found) else error.found
    return presentable(f"{said}, expected {error.expected}" if error.expected else said, source, output)


def _is_verb(found: str) -> bool:
    """Whether the phrase needs a subject: ``is empty``, ``names the file``."""
    return found.split(" ", 1)[0] in ("is", "has", "ends", "names", "needs", "starts", "consists", "claims", "holds")


def _not_ready(error: NotReadyError, source: str, output: str) -> str:
    found = [each for each in error.findings if isinstance(each, Finding)]
    # Paths in the guest are the tenant's own.
    of_guest = any(is_of_guest(each) for each in found)
    return presentable(not_ready_text(found), source, output, of_guest=of_guest)


def not_ready_text(findings: Iterable[Finding]) -> str:
    """Tell why the target would not take the image."""
    errors = [each for each in findings if each.severity is Severity.ERROR]
    told = " ".join(f"{each.what} {each.act if is_of_guest(each) else each.why}" for each in errors[:_SHOWN])
    rest = ", ".join(each.code for each in errors[_SHOWN:] if is_of_guest(each))
    more = f" And {len(errors) - _SHOWN} more{f': {rest}' if rest else ''}." if len(errors) > _SHOWN else ""
    if all(each.code.startswith("property.") for each in errors):
        act = "Change or remove that property of the image, and import it again."
    elif all(is_of_guest(each) for each in errors):
        act = "Then upload it again. xenimage guest check tells more, with what was seen."
    else:
        act = "Repair or convert the image, and upload it again."
    return f"The Xen hosts of this cloud would not run the image: {told}{more} {act}"


def is_of_guest(finding: Finding) -> bool:
    """Whether it is about the guest on the disk, which the tenant made, and has to mend."""
    return finding.code in GUEST_KINDS


def _line(finding: object) -> str:
    return f"{finding.code}: {finding.what}" if isinstance(finding, Finding) else str(finding)
