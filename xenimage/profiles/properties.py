"""From a profile and the user's wishes to the image's properties: a pure function, all findings at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.exceptions import UsageError
from xenimage.model.finding import Finding, Severity
from xenimage.model.plan import Property
from xenimage.model.profile import Rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from xenimage.model.check import Suggestion
    from xenimage.model.plan import BundleOptions
    from xenimage.model.profile import Profile, PropertyRule

CURRENT_NAMES = {
    "hw_vm_mode": "vm_mode",
    "hw_auto_disk_config": "auto_disk_config",
    "hw_device_id": "xenapi_device_id",
    "img_use_agent": "xenapi_use_agent",
    "os_skip_agent_inject_ssh": "xenapi_skip_agent_inject_ssh",
    "os_skip_agent_inject_files_at_boot": "xenapi_skip_agent_inject_files_at_boot",
    "img_cache_in_nova": "cache_in_nova",
}
"""names of today, and the legacy names that the driver reads instead"""

ALIASES = {
    "vm_mode": {"pv": "xen", "hv": "hvm", "baremetal": "hvm"},
    "hypervisor_type": {"xenserver": "xen", "xcp": "xen"},
    "architecture": {"amd64": "x86_64", "x64": "x86_64"},
}
"""values that people write, in lower case, and what the consumers read (nova, objects/fields.py)"""

READ_BOTH = ("hw_device_id",)
"""names of today that the driver reads as well"""

OS_TYPES = ("linux", "windows")
"""what there is; a profile may take fewer of them"""

CORE = ("name", "size", "checksum", "disk_format", "container_format", "min_disk", "min_ram", "virtual_size", "status")
"""attributes of every Glance image, which are no properties"""

_BY_USER = "Given by you."
_DEVICE_ID = ("xenapi_device_id", "hw_device_id")
_VALUE_MAX = 255
"""characters of a property that follows from a guest"""
_TRUE = ("true", "1", "t", "on", "y", "yes")
"""as oslo.utils reads them"""
_GRAVE = ("os_type", "hw_firmware_type", *_DEVICE_ID)
"""a guest does not start, or not as it should, if these are wrong"""
_MILD = {"os_admin_user": Severity.INFO}
"""people may well want another value than the guest's own"""


def decide(
    profile: Profile, options: BundleOptions, suggestions: Sequence[Suggestion] = ()
) -> tuple[tuple[Property, ...], tuple[Finding, ...]]:
    """Merge the profile's defaults, what follows from the guest, and what the user asked for; each wins over the last.

    :param suggestions: what follows from the guest and its package, each name once.
    :returns: the properties, the profile's in its order, then the guest's and the user's others in theirs; and what is
        wrong or worth knowing about them.
    :raises UsageError: a property was given twice with different values.
    """
    given = _wishes(options)
    rules = {rule.name: rule for rule in profile.properties}
    seen = named(profile, suggestions)
    usable = {name: each for name, each in seen.items() if _is_taken(profile, rules.get(name), each)}
    defaults = {name for name, rule in rules.items() if rule.rule is Rule.SET}
    properties = tuple(
        _property(name, given, usable, rules)
        for name in dict.fromkeys([*rules, *usable, *given])
        if name in given or name in usable or name in defaults
    )
    chosen = {each.name: each.value for each in properties}
    findings = (
        *_judge_rules(profile, chosen),
        *_judge_current_names(profile, chosen),
        *_judge_core(chosen),
        *_judge_audience(profile, given),
        *contradictions(given, seen),
    )
    return properties, findings


def named(profile: Profile, suggestions: Sequence[Suggestion]) -> dict[str, Suggestion]:
    """Return suggestions by the names that *profile* reads: the legacy ones, where its consumer reads only those."""
    known = {rule.name for rule in profile.properties}
    found: dict[str, Suggestion] = {}
    for each in suggestions:
        legacy = CURRENT_NAMES.get(each.name, each.name)
        found.setdefault(legacy if legacy in known else each.name, each)
    return found


def _is_taken(profile: Profile, rule: PropertyRule | None, suggestion: Suggestion) -> bool:
    """Whether what follows from the guest is set where *profile* reads it.

    A system that the target does not take is named nevertheless, so that the rule for it refuses the image.
    """
    if not profile.properties or not is_sane(suggestion.value):
        return False
    if suggestion.name in _DEVICE_ID and not profile.takes_device_id:
        return False
    if rule is None or suggestion.name == "os_type":
        return True
    return rule.rule is not Rule.FORBID and (not rule.values or suggestion.value in rule.values)


def is_sane(value: str) -> bool:
    """Whether a word out of a guest or a package may become a property, which services, logs and terminals read."""
    return 0 < len(value) <= _VALUE_MAX and value.isprintable()


def _property(
    name: str, given: Mapping[str, str], seen: Mapping[str, Suggestion], rules: Mapping[str, PropertyRule]
) -> Property:
    rule = rules.get(name)
    if name in given:
        return Property(name=name, value=given[name], reason=f"{_BY_USER} {rule.reason}" if rule else _BY_USER)
    if name in seen:
        found = seen[name]
        return Property(name=name, value=found.value, reason=found.reason, evidence=found.evidence)
    assert rule is not None
    return Property(name=name, value=rule.value, reason=rule.reason)


def contradictions(given: Mapping[str, str], seen: Mapping[str, Suggestion]) -> Iterator[Finding]:
    """Tell where the user says other than the guest or its package; what the user says stays.

    :param seen: by the names that the target reads. One without a value means that the property must not be set.
    """
    windows = "os_type" in seen and seen["os_type"].value == "windows"
    for name, suggestion in seen.items():
        value = given.get(name)
        if value is None or any(same(name, value, each) for each in (suggestion.value, *suggestion.also)):
            continue
        severity = Severity.ERROR if name in _GRAVE or (name == "vm_mode" and windows) else Severity.WARNING
        # A package may be wrong, and who says other than it often knows.
        severity = Severity.WARNING if suggestion.claimed else severity
        asks = "the package asks for" if suggestion.claimed else "what is on the disk asks for"
        rather = f"{name}={suggestion.value}" if suggestion.value else f"no {name}"
        yield Finding(
            code=f"property.{name}.contradicts",
            severity=_MILD.get(name, severity),
            what=f"The property {name} is {value}, but {asks} {rather}.",
            why=suggestion.reason,
            act=f"Leave out --property {name}={value}" + (", unless you know better." if suggestion.value else "."),
            where=f"property {name}",
            evidence=(suggestion.evidence,) if suggestion.evidence else (),
        )


def same(name: str, one: str, other: str) -> bool:
    """Whether two values of a property mean the same to who reads it."""
    return _meaning(name, one) == _meaning(name, other)


def _meaning(name: str, value: str) -> str:
    text = value.strip().lower()
    text = ALIASES.get(name, {}).get(text, text)
    if name in _DEVICE_ID:
        return text.lstrip("0")
    if name in ("auto_disk_config", "hw_auto_disk_config"):
        return "true" if text in _TRUE else "false"
    return text


def judge(profile: Profile, properties: Mapping[str, str]) -> tuple[Finding, ...]:
    """Hold the properties that an image has against *profile*: also those that :func:`decide` would have set."""
    return (
        *(
            _missing(profile, rule)
            for rule in profile.properties
            if rule.rule is Rule.SET and rule.name not in properties
        ),
        *_judge_rules(profile, properties),
        *_judge_current_names(profile, properties),
    )


def _wishes(options: BundleOptions) -> dict[str, str]:
    """Return the user's properties by name, options of their own included."""
    given: dict[str, str] = {}
    pairs = [("vm_mode", options.vm_mode), ("os_type", options.os_type), *options.properties]
    for name, value in pairs:
        if value is None:
            continue
        if given.setdefault(name, value) != value:
            raise UsageError(f"property {name} is given as {given[name]!r} and as {value!r}", expected="one value")
    return given


def _judge_rules(profile: Profile, chosen: Mapping[str, str]) -> Iterator[Finding]:
    """Hold every property against its rule."""
    for rule in profile.properties:
        value = chosen.get(rule.name)
        if value is None:
            if rule.rule is Rule.REQUIRE:
                yield _missing(profile, rule)
        elif rule.rule is Rule.FORBID:
            yield Finding(
                code=f"property.{rule.name}.forbidden",
                severity=Severity.ERROR,
                what=f"The property {rule.name} must not be set for {profile.name}.",
                why=rule.reason,
                act=f"Leave out --property {rule.name}={value}.",
                where=f"property {rule.name}",
            )
        elif rule.name == "os_type" and value in OS_TYPES and value not in profile.os_types:
            yield Finding(
                code="property.os_type.refused",
                severity=Severity.ERROR,
                what=f"{profile.title} takes no image with os_type {value}.",
                why=f"It accepts {' and '.join(profile.os_types)} only.",
                act="Choose another profile (xenimage profile list).",
                where="property os_type",
            )
        elif rule.values and value not in rule.values:
            yield _illegal(rule, value)
        elif rule.name == "xenapi_device_id" and not profile.takes_device_id:
            yield Finding(
                code="property.xenapi_device_id.trap",
                severity=Severity.WARNING,
                what="The property xenapi_device_id is set.",
                why=rule.reason,
                act="Leave it out. If all hosts run XenServer 6.1 to 6.5, choose the profile nova-xenapi-6.",
                where="property xenapi_device_id",
            )


def _missing(profile: Profile, rule: PropertyRule) -> Finding:
    return Finding(
        code=f"property.{rule.name}.missing",
        severity=Severity.WARNING,
        what=f"{profile.title} wants the property {rule.name}, and it is not given.",
        why=rule.reason,
        act=f"Add --property {rule.name}=VALUE.",
        where=f"property {rule.name}",
    )


def _illegal(rule: PropertyRule, value: str) -> Finding:
    """Return the finding for a value that the consumer does not understand; the right one if only its case is wrong."""
    right = value.lower() if value.lower() in rule.values else "|".join(rule.values)
    return Finding(
        code=f"property.{rule.name}.value",
        severity=Severity.ERROR,
        what=f"The property {rule.name} is {value!r}, expected {' or '.join(rule.values)}.",
        why=rule.reason,
        act=f"Write --property {rule.name}={right}.",
        where=f"property {rule.name}",
    )


def _judge_current_names(profile: Profile, chosen: Mapping[str, str]) -> Iterator[Finding]:
    """Warn of today's name where the consumer reads the legacy one, and that one says something else."""
    known = {rule.name for rule in profile.properties}
    for current, legacy in CURRENT_NAMES.items():
        value = chosen.get(current)
        if value is None or legacy not in known or current in READ_BOTH or chosen.get(legacy) == value:
            continue
        state = f"is {chosen[legacy]}" if legacy in chosen else "is not set"
        yield Finding(
            code=f"property.{current}.unread",
            severity=Severity.WARNING,
            what=f"The property {current} is {value}, but {legacy} {state}.",
            why=f"When a server is built the driver reads {legacy}; {current} alone changes nothing.",
            act=f"Add --property {legacy}={value}.",
            where=f"property {current}",
        )


def _judge_core(chosen: Mapping[str, str]) -> Iterator[Finding]:
    """Refuse attributes of the image itself in the place of properties."""
    for name in CORE:
        if name in chosen:
            yield Finding(
                code=f"property.{name}.core",
                severity=Severity.ERROR,
                what=f"{name} is an attribute of the image, not a property.",
                why="Glance refuses the upload or overrides what the bundle needs.",
                act=f"Leave out --property {name}={chosen[name]}.",
                where=f"property {name}",
            )


def _judge_audience(profile: Profile, given: Mapping[str, str]) -> Iterator[Finding]:
    """Say that a consumer without image properties cannot read any."""
    if given and not profile.properties:
        yield Finding(
            code="property.all.unread",
            severity=Severity.INFO,
            what=f"{profile.title} knows no image properties: {', '.join(given)} will not be read.",
            why="It takes the VHD itself, which carries no properties.",
            act="Set what they mean where you create the template or the VM.",
        )
