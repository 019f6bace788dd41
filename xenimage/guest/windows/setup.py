"""How far a set-up of Windows is, and what sysprep left behind.

Source: Microsoft, Windows Setup States; Sysprep process overview.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.guest.windows import programs
from xenimage.model.guest.windows import SysprepFacts
from xenimage.units import KIB

if TYPE_CHECKING:
    from xenimage.guest.windows.registry import Registry

_STATE = "Microsoft\\Windows\\CurrentVersion\\Setup\\State"
_STATE_FILE = "Setup/State/State.ini"
_PROTECTION = "Microsoft\\Windows NT\\CurrentVersion\\SoftwareProtectionPlatform"
_STATUS = "Setup\\Status\\SysprepStatus"
_TAG = "System32/Sysprep/Sysprep_succeeded.tag"
_ERRORS = "System32/Sysprep/Panther/setuperr.log"
_TAIL, _LINES = 4 * KIB, 5
_STATE_MAX = 64 * KIB


def sysprep(registry: Registry) -> SysprepFacts:
    """Read the state of the set-up."""
    setup, status = registry.system("Setup"), registry.system(_STATUS)
    state, where = _image_state(registry)
    tag, errors = f"{registry.root}/{_TAG}", f"{registry.root}/{_ERRORS}"
    lines = _tail(registry, errors)
    return SysprepFacts(
        image_state=state,
        image_state_where=where,
        setup_type=registry.integer(setup, "SetupType"),
        command=registry.text(setup, "CmdLine"),
        setup_key=setup.path if setup else "",
        in_progress=registry.integer(setup, "SystemSetupInProgress"),
        oobe_in_progress=registry.integer(setup, "OOBEInProgress"),
        generalization=registry.integer(status, "GeneralizationState"),
        cleanup=registry.integer(status, "CleanupState"),
        status_key=status.path if status else "",
        tag=bool(programs.is_there(registry.tree, tag, registry.place, registry.notes)),
        tag_path=tag,
        errors=lines,
        errors_path=errors if lines else "",
        skip_rearm=registry.integer(registry.software(_PROTECTION), "SkipRearm"),
    )


def _image_state(registry: Registry) -> tuple[str, str]:
    key = registry.software(_STATE)
    text = registry.text(key, "ImageState")
    if key is not None and text:
        return text, f"{key.path}: ImageState={text}"
    path = f"{registry.root}/{_STATE_FILE}"
    with registry.notes.tried(f"{path} on {registry.place}"):
        for line in (registry.tree.text(path, _STATE_MAX) or "").splitlines():
            name, _, value = line.partition("=")
            if name.strip().lower() == "imagestate":
                return value.strip(), f"{path}: ImageState={value.strip()}"
    return "", ""


def _tail(registry: Registry, path: str) -> tuple[str, ...]:
    """The last lines of a log."""
    with registry.notes.tried(f"{path} on {registry.place}"):
        entry = registry.tree.entry(path)
        if entry is None or not entry.size:
            return ()
        start = max(0, entry.size - _TAIL) & -2
        data = registry.tree.part(path, start, _TAIL + 1) or b""
        wide = data[1::2].count(0) > len(data) // 4
        text = data.decode("utf-16-le" if wide else "utf-8", errors="replace")
        lines = (line.strip("\ufeff\0 \t") for line in text.splitlines())
        return tuple(line for line in lines if line)[-_LINES:]
    return ()
