"""The checks of guests by name: the built-in ones from a literal table, others' through the entry points.

A further check of our own is a row here; a module from which image properties follow has a row for these, too.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, NoReturn

from xenimage import extensions
from xenimage.checks.guest import (
    absence,
    disk_layout,
    inspection,
    linux_cloud,
    linux_devices,
    linux_drivers,
    linux_leftovers,
    linux_properties,
    windows,
)
from xenimage.exceptions import ExtensionError
from xenimage.model.check import Check, Suggestion
from xenimage.model.finding import Finding, Severity
from xenimage.model.kind import FindingKind, by_code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from xenimage.model.guest.facts import GuestFacts
    from xenimage.model.profile import Profile

GROUP = "xenimage.checks"

_CHECKS: tuple[Check, ...] = (
    inspection.CHECK,
    *disk_layout.CHECKS,
    *windows.CHECKS,
    linux_drivers.BLKFRONT_CHECK,
    linux_drivers.NETFRONT_CHECK,
    linux_devices.FSTAB_CHECK,
    linux_devices.BOOT_CHECK,
    linux_cloud.CHECK,
    linux_leftovers.IDENTITY_CHECK,
    linux_leftovers.SSH_CHECK,
    linux_leftovers.STATE_CHECK,
)
"""in the order in which their findings are shown"""
_SUGGESTERS: tuple[Callable[[GuestFacts, Profile], Iterable[Suggestion]], ...] = (
    absence.suggest,
    *windows.SUGGESTERS,
    linux_properties.suggest,
    disk_layout.suggest_firmware,
)
"""the first that suggests a property is believed"""

BUILTIN: dict[str, Check] = {check.name: check for check in _CHECKS}
KINDS: Mapping[str, FindingKind] = by_code(*(check.kinds for check in BUILTIN.values()))
"""of the built-in checks"""

_ORDER = tuple(Severity)


def all_checks() -> dict[str, Check]:
    """Return every check by name: the built-in ones first, then the installed ones by name.

    :raises ExtensionError: an installed check cannot be loaded, says another name than it is registered under, or its
        codes do not begin with that name.
    """
    found = extensions.load_all(GROUP, Check, builtin=BUILTIN)
    for name, check in found.items():
        if check.name != name:
            _refuse(name, f"the check calls itself {check.name!r}", repr(name))
        for kind in check.kinds:
            if not (isinstance(kind, FindingKind) and kind.code.startswith(f"{name}.")):
                _refuse(name, f"the check has the kind {kind!r}", f"kinds whose codes begin with {name}.")
    return BUILTIN | dict(sorted(found.items()))


def installed_kinds(known: Mapping[str, FindingKind]) -> dict[str, FindingKind]:
    """Return every kind of finding of the installed checks, by code.

    :param known: kinds that there are already.
    :raises ExtensionError: as for :func:`all_checks`; or a code stands twice.
    """
    table: dict[str, FindingKind] = {}
    for name, check in all_checks().items():
        if name in BUILTIN:
            continue
        for kind in check.kinds:
            if kind.code in known or kind.code in table:
                _refuse(name, f"{kind.code} is described twice", "a code of its own for each kind")
            table[kind.code] = kind
    return table


def judge(facts: GuestFacts, profile: Profile, checks: Mapping[str, Check] | None = None) -> tuple[Finding, ...]:
    """Judge a guest as *profile* weighs what is found; the errors first, else in the order of the checks.

    :param checks: by name; by default all that there are.
    :raises ExtensionError: an installed check cannot be loaded; or it raises, or finds what it does not describe.
    """
    found = [
        dataclasses.replace(finding, severity=profile.severities.get(finding.code, finding.severity))
        for name, check in (all_checks() if checks is None else checks).items()
        for finding in (check.judge(facts, profile) if name in BUILTIN else _guarded(name, check, facts, profile))
    ]
    return tuple(sorted(found, key=lambda each: _ORDER.index(each.severity)))


def suggest(facts: GuestFacts, profile: Profile) -> tuple[Suggestion, ...]:
    """Collect the image properties that follow from what was found, each name once."""
    found: dict[str, Suggestion] = {}
    for each in (suggestion for suggester in _SUGGESTERS for suggestion in suggester(facts, profile)):
        found.setdefault(each.name, each)
    return tuple(found.values())


def _guarded(name: str, check: Check, facts: GuestFacts, profile: Profile) -> Iterator[Finding]:
    """Run somebody else's check: whatever goes wrong in it is an error that names it."""
    codes = {kind.code for kind in check.kinds}
    try:
        found: list[object] = list(check.judge(facts, profile))
    except Exception as error:  # noqa: BLE001 - whatever a check may raise
        _refuse(name, f"the check failed: {type(error).__name__}: {error}", "", error)
    for finding in found:
        if not isinstance(finding, Finding) or finding.code not in codes:
            what = finding.code if isinstance(finding, Finding) else repr(finding)
            _refuse(name, f"the check found {what}", "findings of the kinds that it describes")
        yield finding


def _refuse(name: str, what: str, expected: str, cause: Exception | None = None) -> NoReturn:
    raise ExtensionError(
        what,
        expected=expected,
        where=f"extension {name!r} of {GROUP}",
        tip="Repair or uninstall the package that provides it.",
    ) from cause
