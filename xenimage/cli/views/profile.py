"""A profile: what a target takes, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xenimage.cli.text import section, wrap
from xenimage.model.profile import Rule
from xenimage.units import GIB

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.cli.text import Style
    from xenimage.model.profile import Profile, PropertyRule

_RULES = {
    Rule.SET: "set unless you say otherwise",
    Rule.REQUIRE: "you have to give it",
    Rule.ALLOW: "on request",
    Rule.FORBID: "must not be set",
}


def row(profile: Profile) -> dict[str, Any]:
    """Return a profile as a row of the list."""
    return {
        "name": profile.name,
        "title": profile.title,
        "disks_max": profile.members_max,
        "virtual_size_max": profile.virtual_size_max,
        "os_types": list(profile.os_types),
    }


def record(profile: Profile) -> dict[str, Any]:
    """Return a profile for programs."""
    return row(profile) | {
        "consumer": profile.consumer,
        "summary": profile.summary,
        "disk_format": profile.disk_format,
        "container_format": profile.container_format,
        "only_numbered": profile.only_numbered,
        "only_regular": profile.only_regular,
        "virtual_size_reason": profile.virtual_size_reason,
        "payload": profile.payload,
        "config_drive": profile.config_drive,
        "firmwares": list(profile.firmwares),
        "takes_device_id": profile.takes_device_id,
        "properties": [_rule_record(rule) for rule in profile.properties],
    }


def _rule_record(rule: PropertyRule) -> dict[str, Any]:
    return {
        "name": rule.name,
        "rule": rule.rule.value,
        "value": rule.value,
        "values": list(rule.values),
        "reason": rule.reason,
        "source": rule.source,
    }


def lines(profile: Profile, style: Style) -> Iterator[str]:
    """Yield a profile for people."""
    yield style.paint(f"{profile.name}: {profile.title}", "bold")
    yield from wrap(profile.summary, style, "  ")
    yield ""
    yield from section(
        "Takes",
        [
            ("consumer", profile.consumer),
            ("formats", f"disk_format={profile.disk_format}, container_format={profile.container_format}"),
            ("disks", "one" if profile.members_max == 1 else f"up to {profile.members_max}"),
            ("beside them", "nothing, directories included" if profile.only_regular else ""),
            ("virtual size", f"up to {profile.virtual_size_max // GIB} GiB. {profile.virtual_size_reason}"),
            ("guests", " and ".join(profile.os_types)),
            ("firmware", " or ".join(profile.firmwares)),
            ("config drive", {"disk": "a plain disk, read-only"}.get(profile.config_drive, profile.config_drive)),
            ("the VHD alone", profile.payload),
        ],
        style,
    )
    if profile.properties:
        yield style.paint("Image properties", "bold")
    for rule in profile.properties:
        value = f"={rule.value}" if rule.value else ""
        yield f"  {style.paint(rule.name + value, 'bold')}  ({_RULES[rule.rule]})"
        if rule.values:
            yield from wrap(" | ".join(rule.values), style, "      ", "      values: ")
        yield from wrap(rule.reason, style, "      ")
        yield from wrap(rule.source, style, "      ", "      source: ")
