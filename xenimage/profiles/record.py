"""The record of an image that is in a cloud already: which changes make of it what a profile wants. Pure."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from xenimage.model.finding import Finding, Severity
from xenimage.model.image import PropertyChange
from xenimage.model.profile import Rule
from xenimage.profiles.properties import ALIASES, CURRENT_NAMES, READ_BOTH, judge
from xenimage.units import GIB

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from xenimage.model.image import ImageRecord
    from xenimage.model.profile import Profile, PropertyRule

MIN_DISK = "min_disk"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Judgement:
    """What is wrong with a record, and what mends it."""

    findings: tuple[Finding, ...]
    changes: tuple[PropertyChange, ...]


def judge_record(
    image: ImageRecord, profile: Profile, *, virtual_size: int, wishes: Mapping[str, str] | None = None
) -> Judgement:
    """Hold a record against *profile*.

    :param virtual_size: bytes that the guest sees; 0 where nobody knows.
    :param wishes: properties that shall have these values, whatever the profile says.
    """
    changes = (*_property_changes(image.properties, profile, wishes or {}), *_min_disk_change(image, virtual_size))
    found = (
        *_formats(image, profile),
        *_min_disk(image, virtual_size),
        *_names(image.properties, profile),
        *judge(profile, image.properties),
    )
    mended = {change.name: change for change in changes}
    return Judgement(findings=tuple(_with_act(each, mended) for each in found), changes=changes)


def _property_changes(
    properties: Mapping[str, str], profile: Profile, wishes: Mapping[str, str]
) -> Iterator[PropertyChange]:
    rules = {rule.name: rule for rule in profile.properties}
    wanted = {**_mended(properties, rules), **wishes}
    for name in dict.fromkeys([*properties, *wanted]):
        before, after = properties.get(name), wanted.get(name)
        if before == after:
            continue
        rule = rules.get(name) or rules.get(name.lower())
        reason = rule.reason if rule else ""
        yield PropertyChange(
            name=name, before=before, after=after, reason="Given by you." if name in wishes else reason
        )


def _mended(properties: Mapping[str, str], rules: Mapping[str, PropertyRule]) -> dict[str, str]:
    """The properties as they should be, as far as they follow from those that are there."""
    wanted = dict(properties)
    for name in properties:
        lower = name.lower()
        if name != lower and lower in rules:
            wanted.setdefault(lower, wanted.pop(name))
            wanted.pop(name, None)
    for current, legacy in CURRENT_NAMES.items():
        if legacy in rules and current not in READ_BOTH and current in wanted:
            wanted.setdefault(legacy, wanted[current])
    for name, rule in rules.items():
        if rule.rule is Rule.FORBID:
            wanted.pop(name, None)
        elif rule.rule is Rule.SET:
            wanted.setdefault(name, rule.value)
        if name in wanted:
            wanted[name] = _understood(rule, wanted[name])
    return wanted


def _understood(rule: PropertyRule, value: str) -> str:
    """The value that the consumer reads for what was meant; the same where nobody can tell."""
    lower = value.strip().lower()
    meant = ALIASES.get(rule.name, {}).get(lower, lower)
    aliased = meant != lower
    if rule.values:
        return meant if value not in rule.values and meant in rule.values else value
    return meant if aliased else value


def _formats(image: ImageRecord, profile: Profile) -> Iterator[Finding]:
    there = f"{image.disk_format}/{image.container_format}"
    if there != f"{profile.disk_format}/{profile.container_format}":
        yield Finding(
            code="image.format",
            severity=Severity.ERROR,
            what=f"The image is recorded as {there}, expected {profile.disk_format}/{profile.container_format}.",
            why=f"{profile.title} chooses by these two how it reads an image, and takes no other for a bundle.",
            act="Store it anew: the formats of an image cannot be changed once it has data.",
            where="disk_format, container_format",
        )


def _min_disk(image: ImageRecord, virtual_size: int) -> Iterator[Finding]:
    needed = -(-virtual_size // GIB)
    if image.min_disk < needed:
        yield Finding(
            code="image.min_disk",
            severity=Severity.WARNING,
            what=f"min_disk is {image.min_disk} GiB, but the disk needs a flavor of {needed} GiB.",
            why="On a smaller flavor the server fails while it is built, and not when it is asked for.",
            act=f"Set it: openstack image set --min-disk {needed} {image.id}.",
            where=MIN_DISK,
        )


def _min_disk_change(image: ImageRecord, virtual_size: int) -> Iterator[PropertyChange]:
    needed = -(-virtual_size // GIB)
    if image.min_disk < needed:
        yield PropertyChange(
            name=MIN_DISK,
            before=str(image.min_disk),
            after=str(needed),
            reason="The smallest flavor that the disk fits, in GiB.",
        )


def _names(properties: Mapping[str, str], profile: Profile) -> Iterator[Finding]:
    known = {rule.name for rule in profile.properties}
    for name in properties:
        lower = name.lower()
        if name != lower and lower in known:
            yield Finding(
                code="property.all.case",
                severity=Severity.WARNING,
                what=f"A property is called {name}, but {lower} is the one that is read.",
                why="Names of properties are compared letter by letter: this one is read by nobody.",
                act=f"Rename it to {lower}.",
                where=f"property {name}",
            )


def _with_act(finding: Finding, changes: Mapping[str, PropertyChange]) -> Finding:
    """Say what ``--fix`` does about a finding, where it does something."""
    name = finding.where.removeprefix("property ")
    change = changes.get(CURRENT_NAMES.get(name, name))
    if change is None:
        return finding
    act = f"set {change.name}={change.after}" if change.after is not None else f"take {change.name} away"
    return dataclasses.replace(finding, act=f"Run it with --fix, which will {act}.")
