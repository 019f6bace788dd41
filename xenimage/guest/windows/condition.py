"""In which condition Windows was left: whether it sleeps, waits for a restart, and what of its first life it keeps.

Source: Microsoft; libguestfs/virt-v2v for what makes a restart pending.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.model.guest.windows import Autologon, HibernationFile, InstalledProgram, StaticAddress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.guest.windows.registry import Registry

_CURRENT = "Microsoft\\Windows\\CurrentVersion"
_RESTART = (
    f"{_CURRENT}\\WindowsUpdate\\Auto Update\\RebootRequired",
    f"{_CURRENT}\\Component Based Servicing\\RebootPending",
)
_SESSION = "Control\\Session Manager"
_RENAMES = "PendingFileRenameOperations"
_INTERFACES = "Services\\Tcpip\\Parameters\\Interfaces"
_LOGON = "Microsoft\\Windows NT\\CurrentVersion\\Winlogon"
_RESTRICTIONS = "Policies\\Microsoft\\Windows\\DeviceInstall\\Restrictions"
_SAVED = ("HIBR", "RSTR", "WAKE")
_ENOUGH = 1000
"""programs, interfaces and policies that are kept"""


def hibernation(registry: Registry) -> HibernationFile | None:
    """hiberfil.sys; None where there is none."""
    path = "hiberfil.sys"
    with registry.notes.tried(f"{path} on {registry.place}"):
        entry = registry.tree.entry(path)
        if entry is None:
            return None
        signature = (registry.tree.head(path, 4) or b"").rstrip(b"\0").decode("ascii", errors="replace")
        saved = signature.upper() in _SAVED
        return HibernationFile(path=path, size=entry.size, signature=signature, holds_system=saved)
    return None


def pagefile_size(registry: Registry) -> int | None:
    """Bytes of pagefile.sys; None where there is none."""
    with registry.notes.tried(f"pagefile.sys on {registry.place}"):
        entry = registry.tree.entry("pagefile.sys")
        return entry.size if entry else None
    return None


def reboot_pending(registry: Registry) -> Iterator[str]:
    """Keys, and a key with the name of its value, that ask for a restart."""
    for path in _RESTART:
        key = registry.software(path)
        if key is not None:
            yield key.path
    session = registry.current(_SESSION)
    if session is not None and registry.texts(session, _RENAMES):
        yield f"{session.path}: {_RENAMES}"


def static_addresses(registry: Registry) -> Iterator[StaticAddress]:
    """Interfaces with addresses of their own; those of tunnels have neither DHCP nor an address."""
    for key in registry.below(registry.current(_INTERFACES))[:_ENOUGH]:
        addresses = tuple(each for each in registry.texts(key, "IPAddress") if each != "0.0.0.0")  # noqa: S104
        if registry.integer(key, "EnableDHCP") == 0 and addresses:
            yield StaticAddress(key=key.path, addresses=addresses)


def autologon(registry: Registry) -> Autologon | None:
    """Who is logged on at the start; None where nobody is."""
    key = registry.software(_LOGON)
    if key is None or registry.text(key, "AutoAdminLogon") != "1":
        return None
    password = bool(registry.text(key, "DefaultPassword"))
    return Autologon(key=key.path, user=registry.text(key, "DefaultUserName"), password=password)


def driver_policies(registry: Registry) -> Iterator[str]:
    """Policies that keep drivers from being installed."""
    key = registry.software(_RESTRICTIONS)
    if key is None:
        return
    with registry.notes.tried(f"{key.path} on {registry.place}"):
        for value in key.values()[:_ENOUGH]:
            if value.integer():
                yield f"{key.path}: {value.name}={value.integer()}"


def programs(registry: Registry) -> Iterator[InstalledProgram]:
    """The list of programs."""
    for branch in registry.both_software(f"{_CURRENT}\\Uninstall"):
        for key in registry.below(branch)[:_ENOUGH]:
            name = registry.text(key, "DisplayName")
            if name:
                version, publisher = registry.text(key, "DisplayVersion"), registry.text(key, "Publisher")
                yield InstalledProgram(name=name, version=version, publisher=publisher, key=key.path)
