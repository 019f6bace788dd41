"""Small hands for building a descriptor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lxml import etree

from xenimage.containers.ovf.layout import ENVELOPE

if TYPE_CHECKING:
    from lxml.etree import _Element as Element


def ovf(name: str) -> str:
    """A name of the standard's, in full."""
    return f"{{{ENVELOPE}}}{name}"


def child(parent: Element, name: str, text: str | None = None) -> Element:
    """Add an element of the standard's."""
    element = etree.SubElement(parent, ovf(name))
    element.text = text
    return element


def attributes(element: Element, **values: str | int | None) -> Element:
    """Set attributes of the standard's; those that are None are left out."""
    for name, value in values.items():
        if value is not None:
            element.set(ovf(name), str(value))
    return element
