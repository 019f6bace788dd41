"""From the operator's options and the user's own properties to those that the bundle's image shall have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.glance.errors import RefusedError
from xenimage.model.profile import Rule
from xenimage.profiles.properties import CORE, CURRENT_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from xenimage.conf.glance import PluginSettings
    from xenimage.model.plan import Property
    from xenimage.model.profile import Profile

_RESERVED = ("os_glance", "xenimage_")
"""beginnings of names that are Glance's own, and ours"""


def wishes(profile: Profile, user: Mapping[str, str], settings: PluginSettings) -> dict[str, str]:
    """Merge what the user set with what the operator wants; the profile's own defaults come in later.

    :param user: the properties of the image.
    :raises RefusedError: they contradict each other, and nobody may decide.
    """
    given = {name: text for name, text in user.items() if is_users(name)}
    _take_current_names(profile, given)
    wanted = {rule.name: rule.value for rule in profile.properties if rule.rule is Rule.SET} | dict(settings.properties)
    for name, value in wanted.items():
        theirs = given.get(name, value)
        if theirs == value or settings.user_properties == "lose":
            _put(given, name, value, must=name in settings.properties or theirs != value)
        elif settings.user_properties == "refuse":
            raise RefusedError(
                f"The image property {name} is {theirs!r}, but images of this cloud's Xen hosts have {value!r}. Remove"
                " the property or set it to that, and import the image again."
            )
    return given


def is_users(name: str) -> bool:
    """Whether a property of that name is the user's own."""
    return not name.startswith(_RESERVED) and name not in CORE


def _take_current_names(profile: Profile, given: dict[str, str]) -> None:
    """Read today's name of a property as a wish for the legacy one, which alone the target reads."""
    known = {rule.name for rule in profile.properties}
    for current, legacy in CURRENT_NAMES.items():
        if current not in given or legacy not in known:
            continue
        if given.setdefault(legacy, given[current]) != given[current]:
            raise RefusedError(
                f"The image properties {current} ({given[current]!r}) and {legacy} ({given[legacy]!r}) mean the same"
                " and differ. Remove one of them, and import the image again."
            )


def _put(given: dict[str, str], name: str, value: str, *, must: bool) -> None:
    """Set a property under both of its names, as far as they are there; if it *must* be, under its own."""
    if must or name in given:
        given[name] = value
    for current, legacy in CURRENT_NAMES.items():
        if legacy == name and current in given:
            given[current] = value


def changed(user: Mapping[str, str], wanted: Iterable[Property]) -> dict[str, str]:
    """Return the properties that have to be written."""
    return {each.name: each.value for each in wanted if user.get(each.name) != each.value}
