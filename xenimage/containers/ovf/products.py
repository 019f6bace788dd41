"""What a machine is sold as: products, properties, licences. Source: DSP0243 1.1, 9.3, 9.4, 9.5."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from xenimage.containers.ovf.envelope import attribute, children
from xenimage.containers.ovf.kinds import found
from xenimage.containers.ovf.layout import VMWARE
from xenimage.containers.ovf.references import applies
from xenimage.model.machine import Product, ProductProperty

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lxml.etree import _Element as Element

    from xenimage.containers.ovf.envelope import Envelope

_TYPES = re.compile(r"(?:[us]int(?:8|16|32|64)|real(?:32|64)|string|boolean|int|ip|password)", re.IGNORECASE)


def products(envelope: Envelope, content: Element, machine: str, deployment: str) -> tuple[Product, ...]:
    """The products of a machine or collection.

    :param machine: its name, for findings.
    :param deployment: the one that was chosen, which may have defaults of its own.
    """
    result = []
    keys: set[str] = set()
    for section in children(content, "ProductSection"):
        around = (attribute(section, "class") or "", attribute(section, "instance") or "")
        key = ".".join(filter(None, around))
        if key in keys:
            envelope.notes.add(found("property", "product", machine=machine, key=key))
        keys.add(key)
        declared = tuple(_properties(envelope, section, machine, deployment))
        result.append(
            Product(
                name=envelope.said(section, "Product"),
                vendor=envelope.said(section, "Vendor"),
                version=envelope.said(section, "FullVersion") or envelope.said(section, "Version"),
                url=envelope.said(section, "ProductUrl"),
                key_class=around[0],
                key_instance=around[1],
                properties=tuple((each.key, each.value) for each in declared),
                declared=declared,
                passwords=tuple(dict.fromkeys(_passwords(section))),
            )
        )
    return tuple(result)


def _properties(envelope: Envelope, section: Element, machine: str, deployment: str) -> Iterator[ProductProperty]:
    known = set()
    for element in children(section, "Property"):
        key = attribute(element, "key") or ""
        if not key:
            envelope.notes.add(found("property", machine=machine))
            continue
        if key in known:
            envelope.notes.add(found("property", "twice", machine=machine, key=key))
            continue
        known.add(key)
        kind = attribute(element, "type") or ""
        if not _TYPES.match(kind):
            envelope.notes.add(found("property", "type", machine=machine, key=key, type=kind))
        yield ProductProperty(
            key=key,
            value=_default(element, deployment),
            type=kind,
            qualifiers=attribute(element, "qualifiers") or "",
            label=envelope.said(element, "Label"),
            description=envelope.said(element, "Description"),
            user_configurable=(attribute(element, "userConfigurable") or "").strip().lower() in ("true", "1"),
        )


def _passwords(section: Element) -> Iterator[str]:
    """Keys of the properties that are passwords: ``ovf:password`` by the standard, ``vmw:password`` in practice."""
    for element in children(section, "Property"):
        key, kind = attribute(element, "key"), attribute(element, "type") or ""
        said = attribute(element, "password") or attribute(element, "password", VMWARE) or ""
        if key and (said.lower() in ("true", "1") or kind.lower().startswith("password")):
            yield key


def _default(element: Element, deployment: str) -> str:
    for value in children(element, "Value"):
        if attribute(value, "configuration") and applies(value, deployment):
            return attribute(value, "value") or ""
    said = attribute(element, "value")
    if said is None:
        for value in children(element, "Value"):
            if not attribute(value, "configuration"):
                return attribute(value, "value") or ""
    return said or ""


def eulas(envelope: Envelope, content: Element) -> tuple[str, ...]:
    """The licences of a machine or collection."""
    texts = (envelope.said(section, "License") for section in children(content, "EulaSection"))
    return tuple(text for text in texts if text)


def annotation(envelope: Envelope, content: Element) -> str:
    """What somebody wrote to a machine."""
    texts = (envelope.said(section, "Annotation") for section in children(content, "AnnotationSection"))
    return "\n".join(text for text in texts if text)


def defaults(envelope: Envelope, deployment: str) -> dict[str, str]:
    """The defaults of all properties, by key, and by key between class and instance."""
    values: dict[str, str] = {}
    for section in envelope.root.iter():
        if not str(section.tag).endswith("ProductSection"):
            continue
        for element in children(section, "Property"):
            key = attribute(element, "key") or ""
            full = ".".join(filter(None, (attribute(section, "class"), key, attribute(section, "instance"))))
            for name in (key, full):
                if name:
                    values.setdefault(name, _default(element, deployment))
    return values
