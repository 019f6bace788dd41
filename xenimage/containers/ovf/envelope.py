"""The elements of a descriptor, the same for all versions: by their names, whatever prefixes and drafts they use."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from xenimage.containers.ovf.kinds import Notes, found
from xenimage.containers.ovf.layout import CITRIX, NAMESPACES, VERSIONS, VIRTUALBOX, VMWARE, XML_LANG, XSI_TYPE
from xenimage.containers.ovf.units import number
from xenimage.exceptions import FormatError, LimitError, UnsupportedError
from xenimage.streams.xml import decode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lxml.etree import _Element as Element

    from xenimage.limits import Limits

_OF_ENVELOPES = re.compile(r"http://schemas\.dmtf\.org/(?:wbem/)?ovf/envelope/[0-9.]+")
_LONGEST = 65536
"""characters of a text that is kept"""
_MESSAGES = 10_000


def local(element: Element) -> str:
    """The name without its namespace; a draft's ``<Section xsi:type="ovf:DiskSection_Type">`` is a DiskSection."""
    name = str(element.tag).rpartition("}")[2]
    if name in ("Section", "Content"):
        kind = element.get(XSI_TYPE) or ""
        if kind:
            return kind.rpartition(":")[2].removesuffix("_Type")
    return name


def namespace(element: Element) -> str:
    """The namespace of the name; empty for none."""
    return str(element.tag).rpartition("}")[0].removeprefix("{")


def is_ovf(element: Element) -> bool:
    """Whether the standard defines the element, in any of its versions."""
    return namespace(element) in NAMESPACES or not namespace(element)


def children(element: Element, *names: str) -> Iterator[Element]:
    """Children of these names, in order; all of them where none is given."""
    for child in element:
        if not names or local(child) in names:
            yield child


def child(element: Element, name: str) -> Element | None:
    """The first child of that name."""
    return next(children(element, name), None)


def attribute(element: Element, name: str, space: str = "") -> str | None:
    """An attribute by its name, qualified or not, for writers do as they please.

    :param space: a namespace that it must be in.
    """
    if space:
        return _text_or_none(element.get(f"{{{space}}}{name}"))
    for known in NAMESPACES:
        value = element.get(f"{{{known}}}{name}")
        if value is not None:
            return str(value)
    return _text_or_none(element.get(name))


def _text_or_none(value: object) -> str | None:
    return None if value is None else str(value)


class Envelope:
    """A descriptor that was parsed, with the words that it keeps apart and what was wrong."""

    def __init__(self, data: bytes, limits: Limits) -> None:
        self.limits = limits
        self.notes = Notes()
        document = decode(data, limits, lax=True)
        self.root = document.root
        for repair in document.repairs:
            self.notes.add(found("xml", repair=repair))
        self.version = self._version()
        self.messages: dict[str, str] = {}
        self._borrowed = 0
        self._read_messages(self.root)
        self.producer = self._producer()

    @property
    def is_citrix(self) -> bool:
        """Whether XenCenter, XenConvert or Kensho wrote it."""
        return CITRIX in self.root.nsmap.values() or any(
            str(name).startswith(f"{{{CITRIX}}}") for name in self.root.attrib
        )

    def _producer(self) -> str:
        spaces = set(self.root.nsmap.values())
        if self.is_citrix:
            # Citrix's programs know nothing of VMware's namespace, and say more of the envelope.
            own = VMWARE in spaces and not any(str(name).startswith(f"{{{CITRIX}}}") for name in self.root.attrib)
            return "xenimage" if own else "Citrix"
        for space, name in ((VIRTUALBOX, "VirtualBox"), (VMWARE, "VMware")):
            if space in spaces:
                return name
        return "VMware" if self.version == "0.9" else ""

    def _version(self) -> str:
        space = namespace(self.root)
        if local(self.root) != "Envelope":
            raise FormatError(f"begins with the element {local(self.root)!r}", expected="an Envelope of OVF")
        if space not in NAMESPACES:
            if _OF_ENVELOPES.fullmatch(space):
                raise UnsupportedError(f"is an OVF of the namespace {space}", expected="one of OVF 0.9, 1.x or 2.x")
            raise FormatError(f"has an Envelope of the namespace {space!r}", expected=", ".join(NAMESPACES))
        said = attribute(self.root, "version")
        base = NAMESPACES[space]
        default = {"0.9": "0.9", "1": "1.0", "2": "2.0"}[base]
        if said is None:
            if base != "0.9":
                self.notes.add(found("version", "unset", version=default))
        elif said not in VERSIONS:
            self.notes.add(found("version", version=said))
        if base == "1" and any(namespace(each) in NAMESPACES and NAMESPACES[namespace(each)] == "2"
                               for each in self.root.iterchildren()):  # fmt: skip
            self.notes.add(found("version", "mixed", version=said or default))
        return said if said in VERSIONS and base != "0.9" else default

    def _read_messages(self, root: Element) -> None:
        """Take the words of the first language that has them; English goes before all others."""
        bundles = [root] if local(root) == "Strings" else list(children(root, "Strings"))
        bundles.sort(key=lambda each: not (each.get(XML_LANG) or "en").lower().startswith("en"))
        for bundle in bundles:
            for message in children(bundle, "Msg"):
                key = attribute(message, "msgid")
                if key and len(self.messages) < _MESSAGES:
                    self.messages.setdefault(key, (message.text or "").strip()[:_LONGEST])

    def external_bundles(self) -> Iterator[str]:
        """Yield the ids of the files that words are kept in."""
        for bundle in children(self.root, "Strings"):
            reference = attribute(bundle, "fileRef")
            if reference:
                yield reference

    def add_bundle(self, data: bytes) -> None:
        """Take words from a bundle that is a file of its own.

        :raises FormatError: it is none; and as :func:`xenimage.streams.xml.decode`.
        """
        root = decode(data, self.limits, lax=True).root
        if local(root) != "Strings":
            raise FormatError(f"begins with the element {local(root)!r}", expected="Strings")
        self._read_messages(root)

    def text(self, element: Element | None) -> str:
        """What an element says, from a bundle where it only names its words."""
        if element is None:
            return ""
        own = (element.text or "").strip()
        if own:
            return own[:_LONGEST]
        words = self.messages.get(attribute(element, "msgid") or "", "")
        # Any number of elements can name the same words, and all that is told of the package would repeat them.
        self._borrowed += len(words)
        self.limits.require("xml_size", self._borrowed, "the size of the texts with what they take from bundles")
        return words

    def said(self, element: Element, name: str) -> str:
        """What the first child of that name says."""
        return self.text(child(element, name))

    def count(self, element: Element, name: str) -> int | None:
        """A number in an attribute; None where it is absent or no number, which is noted."""
        value = attribute(element, name)
        if value is None:
            return None
        result = number(value)
        if result is None or result >= 1 << 63:
            self.notes.add(found("number", attribute=name, element=local(element), value=value))
            return None
        return result

    def unique(self, table: Mapping[str, object], element: Element, name: str) -> str:
        """The id of an element; empty where it has none, or another has it, which is noted.

        :raises LimitError: it is longer than any that somebody could want: findings repeat it.
        """
        identifier = attribute(element, name) or ""
        if len(identifier) > _LONGEST:
            raise LimitError(
                f"has an id of {len(identifier)} characters ({local(element)})", expected=f"at most {_LONGEST}"
            )
        if not identifier:
            self.notes.add(found("identifier", "missing", element=local(element), identifier=""))
        elif identifier in table:
            self.notes.add(found("identifier", element=local(element), identifier=identifier))
            return ""
        return identifier
