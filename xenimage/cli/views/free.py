"""What was left out of a disk because its guest does not use it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from xenimage.cli.text import size_text, table
from xenimage.units import format_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.cli.text import Style
    from xenimage.model.guest.free import FreeSpace, FreeVolume


def free_record(free: FreeSpace | None) -> dict[str, Any] | None:
    """Return it for programs: sizes in bytes; None where nobody looked."""
    if free is None:
        return None
    return {
        "free_size": free.free_size,
        "dropped_size": free.dropped_size,
        "volumes": [dataclasses.asdict(volume) for volume in free.volumes],
    }


def free_section(free: FreeSpace | None, style: Style) -> Iterator[str]:
    """Yield it for people, a line for each volume."""
    if free is None:
        return
    yield style.paint("Free space", "bold")
    rows = [(each.place, each.kind or "unknown", format_size(each.size), _told(each)) for each in free.volumes]
    yield from table(("volume", "holds", "size", "what became of it"), rows, style, right=(2,))
    yield f"  {size_text(free.dropped_size)} of stored data left out"
    yield ""


def _told(volume: FreeVolume) -> str:
    if volume.why:
        return f"left as it is: {volume.why}"
    return f"{format_size(volume.free_size)} free, {format_size(volume.dropped_size)} of it stored and left out"
