"""``ova.xml``: records of the XenAPI that refer to each other."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from xenimage.containers.xva.layout import DESCRIPTOR, EXPORT_VERSION, NULL, REFERENCE
from xenimage.containers.xva.xmlrpc import Value, parse
from xenimage.exceptions import FormatError, UnsupportedError, XenimageError
from xenimage.streams.xml import decode
from xenimage.units import SECTOR

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lxml.etree import _Element

    from xenimage.limits import Limits

_MOST_DIGITS = 18


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record:
    """An object of the XenAPI."""

    cls: str
    reference: str
    fields: dict[str, Value]

    def text(self, field: str) -> str:
        """A field that is a text; empty where it is missing or none."""
        value = self.fields.get(field, "")
        return value if isinstance(value, str) else ""

    def flag(self, field: str) -> bool:
        """A field that is a truth value."""
        value = self.fields.get(field, False)
        return value is True or value in ("1", "true")

    def number(self, field: str) -> int | None:
        """A field that is a number, not negative; None where it is missing or none."""
        text = self.text(field)
        return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else None

    def mapping(self, field: str) -> dict[str, str]:
        """A field that maps texts to texts; empty where it is missing or none."""
        value = self.fields.get(field)
        if not isinstance(value, dict):
            return {}
        return {key: each for key, each in value.items() if isinstance(each, str)}

    def items(self, field: str) -> list[str]:
        """A field that is a list of texts; empty where it is missing or none."""
        value = self.fields.get(field)
        return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []

    @property
    def label(self) -> str:
        """What messages call it."""
        return f"{self.cls} {self.reference}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Description:
    """All records, in their order."""

    version: Record
    records: dict[str, Record]
    """by reference"""

    def of_class(self, cls: str) -> Iterator[Record]:
        """Yield the records of a class."""
        return (record for record in self.records.values() if record.cls == cls)

    def follow(self, record: Record, field: str, cls: str) -> Record | None:
        """The record that a field refers to; None where it refers to nothing.

        :raises FormatError: there is no such record, or it is of another class.
        """
        reference = record.text(field)
        if reference in ("", NULL):
            return None
        found = self.records.get(reference)
        if found is None or found.cls != cls:
            what = f"a {found.cls}" if found else "not there"
            raise FormatError(
                f"{record.label} refers to the {cls} {reference!r}, which is {what}",
                expected="records that refer to each other",
                where=DESCRIPTOR,
            )
        return found


def is_old(root: _Element) -> bool:
    """Whether it is the form of before XenServer 4."""
    return root.tag == "appliance"


def read_description(data: bytes, limits: Limits) -> Description:
    """Read ``ova.xml``.

    :raises FormatError: it breaks the rules of XML, of XML-RPC or its own.
    :raises UnsupportedError: its version is not read.
    """
    try:
        content = parse(decode(data, limits).root)
        return _description(content)
    except XenimageError as error:
        raise error if error.where.startswith(DESCRIPTOR) else error.within(DESCRIPTOR) from error.__cause__


def _description(content: Value) -> Description:
    if not isinstance(content, dict) or not isinstance(content.get("objects"), list):
        raise FormatError("has no list of objects", expected="the description that XenServer exports")
    fields = content.get("version")
    version = Record(cls="version", reference="", fields=fields if isinstance(fields, dict) else {})
    _require_version(version)
    records: dict[str, Record] = {}
    objects = content["objects"]
    assert isinstance(objects, list)
    for number, each in enumerate(objects):
        record = _record(each, number)
        if record.reference in records:
            raise FormatError(f"two objects are called {record.reference}", expected="a reference of its own for each")
        records[record.reference] = record
    return Description(version=version, records=records)


def _require_version(version: Record) -> None:
    number = version.number("export_vsn")
    if number not in (1, EXPORT_VERSION):
        raise UnsupportedError(f"has the export version {version.text('export_vsn')!r}", expected="1 or 2")


def _record(value: Value, number: int) -> Record:
    if isinstance(value, dict):
        cls, reference, fields = value.get("class"), value.get("id"), value.get("snapshot")
        if isinstance(cls, str) and isinstance(reference, str) and isinstance(fields, dict):
            if cls in ("VM", "VDI", "VBD") and not REFERENCE.fullmatch(reference):
                raise FormatError(f"object {number}, a {cls}, is called {reference!r}", expected="'Ref:' and a number")
            return Record(cls=cls, reference=reference, fields=fields)
    raise FormatError(f"object {number} is no record", expected="a class, an id and a snapshot")


def virtual_size(vdi: Record, limits: Limits) -> int:
    """Bytes of a disk.

    :raises FormatError: it is missing, 0 or no whole sectors.
    :raises LimitError: it is too large.
    """
    size = vdi.number("virtual_size")
    if not size:
        raise FormatError(
            f"{vdi.label} has the virtual_size {vdi.text('virtual_size')!r}", expected="a size", where=DESCRIPTOR
        )
    if size % SECTOR:
        raise FormatError(
            f"{vdi.label} has a virtual_size of {size} bytes", expected="whole sectors of 512 bytes", where=DESCRIPTOR
        )
    try:
        return limits.require("virtual_size", size, f"the virtual size of {vdi.label}")
    except XenimageError as error:
        raise error.within(DESCRIPTOR) from None
