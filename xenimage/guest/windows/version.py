"""Which Windows it is, and for which processor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.guest.windows import programs
from xenimage.model.guest.windows import WindowsVersion

if TYPE_CHECKING:
    from xenimage.guest.windows.registry import Registry

_KEY = "Microsoft\\Windows NT\\CurrentVersion"
_ENVIRONMENT = "Control\\Session Manager\\Environment"
_ARCHITECTURES = {"amd64": "x86_64", "x86": "i686", "arm64": "aarch64"}

# The first build of each, newest first. Source: Microsoft, Windows Server and Windows release information.
_SERVERS = (
    (26100, "2025"),
    (20348, "2022"),
    (17763, "2019"),
    (14393, "2016"),
    (9600, "2012 R2"),
    (9200, "2012"),
    (7600, "2008 R2"),
    (6001, "2008"),
    (3790, "2003"),
)
_CLIENTS = (
    (22000, "11"),
    (10240, "10"),
    (9600, "8.1"),
    (9200, "8"),
    (7600, "7"),
    (6000, "Vista"),
    (2600, "XP"),
)


def windows_version(registry: Registry) -> WindowsVersion:
    """Read the version from SOFTWARE."""
    key = registry.software(_KEY)
    if key is None:
        return WindowsVersion()
    installation = registry.text(key, "InstallationType")
    product, edition = registry.text(key, "ProductName"), registry.text(key, "EditionID")
    # CurrentBuild is another number in XP.
    build = _number(registry.text(key, "CurrentBuildNumber") or registry.text(key, "CurrentBuild"))
    old_major, _, old_minor = registry.text(key, "CurrentVersion").partition(".")
    major = registry.integer(key, "CurrentMajorVersionNumber")
    minor = registry.integer(key, "CurrentMinorVersionNumber")
    server = "server" in f"{installation} {edition} {product}".lower()
    return WindowsVersion(
        product=product,
        edition=edition,
        installation=installation,
        major=_number(old_major) if major is None else major,
        minor=_number(old_minor) if minor is None else minor,
        build=build,
        revision=registry.integer(key, "UBR"),
        display=registry.text(key, "DisplayVersion") or registry.text(key, "ReleaseId"),
        build_lab=registry.text(key, "BuildLabEx") or registry.text(key, "BuildLab"),
        release=release(build, server=server),
        key=key.path,
    )


def release(build: int, *, server: bool) -> str:
    """What people call the build: ``2022``, ``11``; empty where it is older than all that are known."""
    return next((name for first, name in (_SERVERS if server else _CLIENTS) if build >= first), "")


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def architecture(registry: Registry) -> tuple[str, str]:
    """The processor, ``x86_64``, and where that was seen; both empty where it is not known."""
    key = registry.current(_ENVIRONMENT)
    named = registry.text(key, "PROCESSOR_ARCHITECTURE")
    if key is not None and named.lower() in _ARCHITECTURES:
        return _ARCHITECTURES[named.lower()], f"{key.path}: PROCESSOR_ARCHITECTURE={named}"
    kernel = f"{registry.root}/System32/ntoskrnl.exe"
    machine = programs.machine(registry.tree, kernel, registry.place, registry.notes)
    return machine, kernel if machine else ""
