"""The image properties that a Windows guest asks for, besides those of its drivers and of cloudbase-init."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.checks.guest.windows_common import firmwares
from xenimage.model.check import Suggestion

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.model.guest.facts import GuestFacts
    from xenimage.model.guest.windows import WindowsFacts
    from xenimage.model.profile import Profile

_FIRMWARES = {"bios": "a BIOS", "uefi": "UEFI"}


def suggest(facts: GuestFacts, profile: Profile) -> Iterator[Suggestion]:
    """Say what it is, and what it needs of its machine."""
    del profile
    windows = facts.windows
    if windows is None:
        return
    seen = f"{windows.root} on {windows.place}"
    yield Suggestion(name="os_type", value="windows", reason="The guest is Windows.", evidence=seen)
    yield Suggestion(name="os_distro", value="windows", reason="The guest is Windows.", evidence=seen)
    yield from _version(windows)
    yield Suggestion(
        name="vm_mode",
        value="hvm",
        reason="Windows runs on a whole machine alone, never paravirtualised.",
        evidence=seen,
    )
    yield Suggestion(
        name="auto_disk_config",
        value="false",
        reason="The host can grow Linux file systems alone; cloudbase-init grows the volume from inside.",
        evidence=seen,
    )
    names = firmwares(facts)
    if names:
        stores = tuple(store.path for store in windows.boot if store.firmware == names[0])
        yield Suggestion(
            name="hw_firmware_type",
            value=names[0],
            reason=f"Windows starts with {' or '.join(_FIRMWARES[each] for each in names)}.",
            evidence=stores[0] if stores else seen,
            also=names[1:],
        )


def _version(windows: WindowsFacts) -> Iterator[Suggestion]:
    version = windows.version
    if version.release:
        yield Suggestion(
            name="os_version",
            value=version.release,
            reason=f"The guest is {version.product or 'Windows'}, build {version.build}.",
            evidence=f"{version.key}: CurrentBuildNumber={version.build}",
        )
    if windows.architecture:
        yield Suggestion(
            name="architecture",
            value=windows.architecture,
            reason="The guest is built for this processor.",
            evidence=windows.architecture_where,
        )
