"""Whether Windows was generalised: three traces have to agree, for sysprep's own exit code tells little.

Source: Microsoft, Windows Setup States; ConvoyPanel/cofoundry, assert-generalized.sh, held against a good and a broken
template.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.model.check import Check
from xenimage.model.finding import Severity
from xenimage.model.kind import FindingKind, Mend, by_code

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.model.finding import Finding
    from xenimage.model.guest.facts import GuestFacts
    from xenimage.model.guest.windows import SysprepFacts
    from xenimage.model.profile import Profile

_READY = "IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE"
_SYSPREP = "Run sysprep /generalize /oobe /shutdown in a VM with this disk, and copy the disk as soon as it is off."
_AGAIN = "Take the disk from before sysprep, run it again, and look at setuperr.log if it fails again."

KINDS = by_code(
    (
        FindingKind(
            code="windows.sysprep.installed",
            title="Windows that is not generalised",
            severity=Severity.ERROR,
            what="Windows is not generalised: it is set up, or in use.",
            why="All servers of the image would have one identity, and its first start would not be Windows' first:"
            " passwords, host names and licences are not set.",
            act=_SYSPREP,
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="windows.sysprep.audit",
            title="Windows that starts in audit mode",
            severity=Severity.ERROR,
            what="Windows is generalised for audit mode.",
            why="It starts for somebody who completes the image, and never gets to the set-up that a server needs.",
            act=_SYSPREP,
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="windows.sysprep.half-done",
            title="Set-up of Windows that is half done",
            severity=Severity.ERROR,
            what="The set-up of Windows is half done: sysprep failed, or the disk was started after it.",
            why="Servers of the image stop in the middle of the set-up, or start with the identity of this one.",
            act=_AGAIN,
            mend=Mend.CHOICE,
        ),
        FindingKind(
            code="windows.sysprep.undeployable",
            title="Windows that calls itself undeployable",
            severity=Severity.ERROR,
            what="Windows says that its image is undeployable: its set-up was cut off, or sysprep is at work.",
            why="Servers of the image do not come up.",
            act=_AGAIN,
            mend=Mend.CHOICE,
        ),
    )
)


def judge(facts: GuestFacts, profile: Profile) -> Iterator[Finding]:
    """Generalised is what says so in all three places; whatever is not is not ready."""
    del profile
    windows = facts.windows
    if windows is None or len(windows.hives) < 2:
        return
    state = windows.sysprep
    will_set_up = state.setup_type == 2 and "windeploy" in state.command.lower()
    if state.image_state == _READY and will_set_up:
        return
    evidence = tuple(_seen(state))
    if state.image_state.endswith("UNDEPLOYABLE"):
        yield KINDS["windows.sysprep.undeployable"].found(evidence=evidence)
    elif state.image_state.endswith("_TO_AUDIT"):
        yield KINDS["windows.sysprep.audit"].found(evidence=evidence)
    elif state.image_state.startswith("IMAGE_STATE_SPECIALIZE") or state.image_state == _READY or will_set_up:
        yield KINDS["windows.sysprep.half-done"].found(evidence=evidence)
    else:
        yield KINDS["windows.sysprep.installed"].found(evidence=evidence)


def _seen(state: SysprepFacts) -> Iterator[str]:
    yield state.image_state_where or "no ImageState"
    yield f"{state.setup_key}: SetupType={state.setup_type}, CmdLine={state.command!r}"
    if state.generalization is not None:
        yield f"{state.status_key}: GeneralizationState={state.generalization}"
    if state.tag:
        yield f"{state.tag_path}: there"
    yield from (f"{state.errors_path}: {line}" for line in state.errors)


CHECK = Check(
    name="windows.sysprep",
    title="Whether Windows is generalised",
    kinds=tuple(KINDS.values()),
    judge=judge,
)
