"""The profiles by name: the built-in ones from a literal table, others' through the entry points."""

from __future__ import annotations

from xenimage import extensions
from xenimage.exceptions import ExtensionError, UsageError
from xenimage.model.profile import Profile
from xenimage.profiles import cinder, cloudstack, nova_vdi_stream, nova_xenapi, nova_xenapi_6, rackspace, xcp_ng

GROUP = "xenimage.profiles"

BUILTIN: dict[str, Profile] = {
    module.PROFILE.name: module.PROFILE
    for module in (nova_xenapi, nova_xenapi_6, nova_vdi_stream, cinder, rackspace, cloudstack, xcp_ng)
}
"""in the order in which they are shown; the first is the default"""


def all_profiles() -> dict[str, Profile]:
    """Return every profile by name: the built-in ones first, then the installed ones by name.

    :raises ExtensionError: an installed profile cannot be loaded, or says another name than it is registered under.
    """
    found = extensions.load_all(GROUP, Profile, builtin=BUILTIN)
    for name, profile in found.items():
        if profile.name != name:
            raise ExtensionError(
                f"the profile calls itself {profile.name!r}",
                expected=repr(name),
                where=f"extension {name!r} of {GROUP}",
            )
    return BUILTIN | dict(sorted(found.items()))


def get_profile(name: str) -> Profile:
    """Return the profile called *name*; extensions are looked at only if it is no built-in one.

    :raises UsageError: nobody provides it.
    :raises ExtensionError: as for :func:`all_profiles`.
    """
    if name in BUILTIN:
        return BUILTIN[name]
    profiles = all_profiles()
    if name not in profiles:
        raise UsageError(
            f"no profile is called {name!r}",
            expected=f"one of {', '.join(profiles)}",
            tip="See: xenimage profile list",
        )
    return profiles[name]
