"""What the standard wants of the elements of a descriptor, as far as importers insist on it. Source: DSP8023."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.containers.ovf.envelope import attribute, child, children, is_ovf, local
from xenimage.containers.ovf.kinds import found

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

    from xenimage.containers.ovf.envelope import Envelope

_ENVELOPE, _SYSTEM, _COLLECTION = "Envelope", "VirtualSystem", "VirtualSystemCollection"
_CONTENTS = frozenset({_SYSTEM, _COLLECTION})
_PLACES = {
    "DiskSection": frozenset({_ENVELOPE}),
    "SharedDiskSection": frozenset({_ENVELOPE}),
    "NetworkSection": frozenset({_ENVELOPE}),
    "DeploymentOptionSection": frozenset({_ENVELOPE}),
    "PlacementGroupSection": frozenset({_ENVELOPE}),
    "EncryptionSection": frozenset({_ENVELOPE}),
    "SecuritySection": frozenset({_ENVELOPE}),
    "VirtualHardwareSection": frozenset({_SYSTEM}),
    "OperatingSystemSection": frozenset({_SYSTEM}),
    "InstallSection": frozenset({_SYSTEM}),
    "BootDeviceSection": frozenset({_SYSTEM}),
    "AnnotationSection": _CONTENTS,
    "ProductSection": _CONTENTS,
    "EulaSection": _CONTENTS,
    "EnvironmentFilesSection": _CONTENTS,
    "PlacementSection": _CONTENTS,
    "ResourceAllocationSection": frozenset({_COLLECTION}),
    "StartupSection": frozenset({_COLLECTION}),
    "ScaleOutSection": frozenset({_COLLECTION}),
    "NetworkPortProfileSection": frozenset({_ENVELOPE}),
}
_FILLED = {"NetworkSection": "Network", "DeploymentOptionSection": "Configuration"}


def judge(envelope: Envelope) -> None:
    """Note what is missing, stands in the wrong place, or is required and not known."""
    _judge_within(envelope, envelope.root, _ENVELOPE)


def _judge_within(envelope: Envelope, parent: Element, name: str) -> None:
    contents = 0
    for element in parent:
        kind = local(element)
        if kind in _CONTENTS:
            contents += 1
            _judge_info(envelope, element)
            _judge_within(envelope, element, kind)
        elif kind.endswith("Section"):
            _judge_section(envelope, element, kind, name)
    if name == _ENVELOPE and contents > 1:
        envelope.notes.add(found("structure", "twice", parent=_ENVELOPE, element="machine or collection"))


def _judge_section(envelope: Envelope, element: Element, kind: str, parent: str) -> None:
    places = _PLACES.get(kind)
    if places is None:
        required = (attribute(element, "required") or "true").lower() in ("true", "1")
        if required:
            envelope.notes.add(found("structure", "unknown", parent=parent, element=kind))
    elif parent not in places:
        envelope.notes.add(found("structure", element=kind, parent=parent, where=f"{parent}/{kind}"))
    _judge_info(envelope, element)
    needed = _FILLED.get(kind)
    if needed and child(element, needed) is None:
        envelope.notes.add(found("structure", "missing", parent=kind, element=needed))
    if kind == "VirtualHardwareSection":
        _judge_system(envelope, element)


def _judge_info(envelope: Envelope, element: Element) -> None:
    if is_ovf(element) and child(element, "Info") is None:
        envelope.notes.add(found("structure", "missing", parent=local(element), element="Info"))


def _judge_system(envelope: Envelope, section: Element) -> None:
    for system in children(section, "System"):
        # ElementName, which the schema wants too, is missing from half of all packages.
        if not any(local(each).lower() == "instanceid" for each in system):
            envelope.notes.add(found("structure", "missing", parent="System", element="InstanceID"))
