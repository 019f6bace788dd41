"""What is in a guest's disks. Whatever the facts have grown to, all of it is shown, but for where each was read."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from xenimage.cli.text import reads_text, section, size_text, table, wrap
from xenimage.model.plain import to_plain
from xenimage.units import format_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.cli.text import Style
    from xenimage.model.guest.facts import GuestFacts
    from xenimage.model.guest.layout import Layout, Partition, Volume

_SIZES = ("size", "length", "bytes", "free")
"""how the names of fields end whose values are bytes"""
_PLACES = ("key", "where")
"""how the names of fields end that tell where something was read: evidence for programs, and too much for people"""
_SCHEMES = {"mbr": "MBR", "gpt": "GPT", "none": "no partitions"}


def record(facts: GuestFacts) -> dict[str, Any]:
    """Return the facts for programs, as they are."""
    plain: dict[str, Any] = to_plain(facts)
    return plain


def lines(facts: GuestFacts, style: Style) -> Iterator[str]:
    """Yield the facts for people."""
    for disk in facts.disks:
        yield from _disk(disk, style)
    yield from section("Firmware", _pairs(facts.firmware), style)
    if len(facts.systems) > 1:
        yield from section("Systems", [(str(number), each) for number, each in enumerate(facts.systems, 1)], style)
    yield from _record("Windows", facts.windows, style)
    yield from _record("Linux", facts.linux, style)
    if facts.windows is None and facts.linux is None:
        yield "No operating system was recognised."
        yield ""
    if facts.unread:
        yield style.paint("Not read", "bold")
        for each in facts.unread:
            yield from wrap(f"{each.what}: {each.why}", style, "    ", "  ")
        yield ""
    if facts.stopped:
        yield from wrap(
            f"The inspection ended early: it {facts.stopped}. What is above was found until then.", style, ""
        )
    cost = facts.cost
    yield f"{reads_text(cost.reads)}, {format_size(cost.bytes_read)}, {cost.seconds:.2f} s"


def _disk(disk: Layout, style: Style) -> Iterator[str]:
    pairs: list[tuple[str, object]] = [
        ("file", disk.name),
        ("size", size_text(disk.size)),
        ("partitions", f"{_SCHEMES.get(disk.scheme, disk.scheme or 'not recognised')} {disk.identifier}".strip()),
        *((name, value) for name, value in _pairs(disk) if name not in _SHOWN),
    ]
    yield from section(f"Disk {disk.index}", pairs, style)
    if disk.partitions:
        rows = [_partition(each, disk.size) for each in disk.partitions]
        yield from table(("", "start", "size", "type", "holds", "label", "free", ""), rows, style, right=(0, 1, 2, 6))
        yield ""


_SHOWN = ("index", "name", "size", "scheme", "identifier", "partitions")
"""fields of a disk that have a place of their own"""


def _partition(partition: Partition, disk_size: int) -> tuple[str, ...]:
    volume = partition.volume
    return (
        str(partition.number or ""),
        f"{partition.offset:#x}" if partition.number or partition.offset else "",
        format_size(partition.length),
        partition.type_name or partition.type,
        volume.kind if volume else "",
        (volume.label if volume else "") or partition.name,
        format_size(volume.free) if volume and volume.free is not None else "",
        ", ".join(_remarks(partition, volume, disk_size)),
    )


def _remarks(partition: Partition, volume: Volume | None, disk_size: int) -> Iterator[str]:
    if partition.active:
        yield "active"
    if partition.offset + partition.length > disk_size:
        yield "ends behind the disk" if partition.offset < disk_size else "outside of the disk"
    if volume is None:
        return
    if volume.dirty:
        yield "dirty"
    if volume.needs_recovery:
        yield "needs recovery"
    if volume.kind and not volume.readable:
        yield "not read"


def _record(title: str, value: object, style: Style) -> Iterator[str]:
    """Yield a record with all that is in it; records in it become sections of their own."""
    if value is None:
        return
    yield from section(title, _pairs(value), style)
    for field in _fields(value):
        inner = getattr(value, field.name)
        name = f"{title}: {_name(field.name)}"
        if dataclasses.is_dataclass(inner):
            yield from _record(name, inner, style)
        elif isinstance(inner, tuple) and inner and dataclasses.is_dataclass(inner[0]):
            yield style.paint(name, "bold")
            for each in inner:
                yield from wrap(_line(each), style, "      ", "  ")
            yield ""


def _fields(value: object) -> list[dataclasses.Field[Any]]:
    """The fields of a record that people want to see."""
    return [field for field in dataclasses.fields(value) if field.name.rpartition("_")[2] not in _PLACES]  # type: ignore[arg-type]


def _pairs(value: object) -> list[tuple[str, object]]:
    """The simple fields of a record that say something."""
    pairs: list[tuple[str, object]] = []
    for field in _fields(value):
        inner = getattr(value, field.name)
        text = "no" if _denied(field, inner) else _text(field.name, inner)
        if text:
            pairs.append((_name(field.name), text))
    return pairs


def _line(value: object) -> str:
    """A record in one line: its first field, and behind it the others that say something."""
    fields = _fields(value)
    first, *others = fields or dataclasses.fields(value)  # type: ignore[arg-type]
    parts = []
    for field in others:
        inner = getattr(value, field.name)
        text = _inner(inner) or _text(field.name, inner)
        if _denied(field, inner):
            parts.append(f"not {_name(field.name)}")
        elif text:
            parts.append(_name(field.name) if inner is True else f"{_name(field.name)} {text}")
    lead = _text(first.name, getattr(value, first.name))
    return f"{lead}: {', '.join(parts)}" if parts else lead


def _denied(field: dataclasses.Field[Any], value: object) -> bool:
    """Whether it is known that something is not so, where that could also be not known."""
    return value is False and "None" in str(field.type)


def _inner(value: object) -> str:
    """Records in a line, in brackets."""
    if dataclasses.is_dataclass(value):
        return f"({_line(value)})"
    if isinstance(value, tuple) and value and dataclasses.is_dataclass(value[0]):
        return f"({'; '.join(_line(each) for each in value)})"
    return ""


def _text(name: str, value: object) -> str:
    """A simple value for people; empty for records, and for what says nothing."""
    if value is None or value is False or dataclasses.is_dataclass(value):
        return ""
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={each}" for key, each in value.items())
    if isinstance(value, tuple):
        return ", ".join(_text("", each) for each in value if not dataclasses.is_dataclass(each))
    if isinstance(value, int) and name.endswith(_SIZES):
        return size_text(value) if value else ""
    if value is True:
        return "yes"
    return str(value.value if isinstance(value, enum.Enum) else value)


def _name(name: str) -> str:
    return name.replace("_", " ")
