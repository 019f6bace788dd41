"""Whose PV drivers they are, by the provider that they name or the prefix of the devices that they make.

Source: xcp-ng/win-pv-drivers, XenDriverUtils; xenserver/win-installer.
"""

from __future__ import annotations

_VENDORS = (
    ("xcp-ng", "XCP-ng"),
    ("vates", "XCP-ng"),
    ("xen project", "Xen Project"),
    ("citrix", "XenServer"),
    ("xenserver", "XenServer"),
    ("cloud software", "XenServer"),
)
_PREFIXES = {"XS": "XenServer", "XN": "XCP-ng", "XCPNG": "XCP-ng", "XP": "Xen Project"}


def vendor(provider: str) -> str:
    """The vendor by the provider of a package; the provider itself where it is none of those known."""
    text = provider.lower()
    return next((name for word, name in _VENDORS if word in text), provider)


def maker(prefix: str) -> str:
    """The vendor by the prefix of a child's hardware id; empty where it is none of those known."""
    return _PREFIXES.get(prefix.upper(), "")
