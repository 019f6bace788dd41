"""The link to the parent: which paths a child names, and writing another one."""

from __future__ import annotations

import dataclasses
import errno
import os
from typing import TYPE_CHECKING

from xenimage.exceptions import FormatError, UnsupportedError
from xenimage.formats.vhd import layout, locators
from xenimage.units import KIB, SECTOR

if TYPE_CHECKING:
    from xenimage.formats.vhd.editing.disk import EditableVhd
    from xenimage.model.disk import ByteSource

_PATH_MAX = 8 * KIB
"""bytes of a locator's data that are read: two for each character of the longest path"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Link:
    """What a child is told of its parent."""

    path: str
    """from the child's directory, with slashes"""
    uuid: bytes
    """of the parent's footer; 16 zeros for a raw parent"""
    timestamp: int
    """when the parent was last changed, Unix seconds"""


def locator_path(source: ByteSource, locator: layout.Locator) -> str | None:
    """The path that a locator names, as blktap reads it; None where there is none to be had."""
    length = locator.data_length
    whole = locator.data_space < SECTOR or locator.data_space % SECTOR == 0
    if not whole or not 0 < length <= min(locator.space, _PATH_MAX) or locator.data_offset + length > source.size:
        return None
    return locators.decode(locator, source.read(locator.data_offset, length))


def set_parent(disk: EditableVhd, link: Link, *, create: bool = False) -> None:
    """Link the differencing *disk* to another parent. Nothing is known of the parent's content.

    First the locators, then, in one write, the header: ended between them the locators lead to the new parent, whose
    uuid differs from the one in the header. Run again, it is whole.

    :param create: make the locators anew in a place of their own; otherwise only those that are there are rewritten.
    :raises UnsupportedError: the disk is no differencing one; the path is not ASCII or too long; there is no locator
        to be rewritten.
    :raises FormatError: a locator's place is not its own.
    """
    header = disk.dynamic_header
    if disk.footer.type != layout.DIFFERENCING:
        raise UnsupportedError(
            f"the disk is {layout.TYPE_NAMES[disk.footer.type]}", expected="a differencing one", where=disk.file.name
        )
    name = locators.encode_name(os.path.basename(link.path))
    timestamp = min(max(link.timestamp - layout.EPOCH, 0), 0xFFFFFFFF)
    slots = _created(disk, link.path) if create else _rewritten(disk, link.path)
    disk.write_header(
        dataclasses.replace(header, parent_uuid=link.uuid, parent_timestamp=timestamp, parent_name=name, locators=slots)
    )


def _rewritten(disk: EditableVhd, path: str) -> tuple[layout.Locator, ...]:
    """Write the path into the data of each usable locator; the locators as they are then."""
    slots = list(disk.dynamic_header.locators)
    used = [index for index, slot in enumerate(slots) if slot.code in locators.WRITTEN]
    if not used:
        raise UnsupportedError(
            "the disk has no locator of the kinds MacX, W2ku and W2ru",
            expected="one that the new path can be written to",
            where=disk.file.name,
        )
    padded = []
    for index in used:
        data = locators.encode(slots[index].code, path)
        room = max(SECTOR, slots[index].space // SECTOR * SECTOR)
        _require_own(disk, index, room)
        if len(data) > room:
            raise UnsupportedError(
                f"the parent's path takes {len(data)} bytes",
                expected=f"{room} at most in locator {index}",
                where=disk.file.name,
            ) from OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        slots[index] = dataclasses.replace(slots[index], data_space=room, data_length=len(data), reserved=0)
        padded.append((slots[index].data_offset, data.ljust(room, b"\0")))
    for at, data in padded:
        disk.file.write(at, data)
    return tuple(slots)


def _require_own(disk: EditableVhd, index: int, room: int) -> None:
    """Prove that writing a locator's data changes nothing else: the file says where it stands."""
    header = disk.dynamic_header
    start = header.locators[index].data_offset
    taken = [
        ("the footer's copy", 0, layout.FOOTER_SIZE),
        ("the header", disk.footer.data_offset, layout.HEADER_SIZE),
        ("the BAT", header.table_offset, header.bat_size),
    ]
    if disk.batmap is not None:
        taken += [
            ("the batmap", header.batmap_offset, layout.BATMAP_HEADER_SIZE),
            ("the batmap", disk.batmap.offset, disk.batmap.sectors * SECTOR),
        ]
    others = [(number, each) for number, each in enumerate(header.locators) if each.code and number != index]
    taken += [(f"locator {number}", each.data_offset, each.space) for number, each in others]
    for what, at, size in taken:
        if start < at + size and at < start + room:
            raise FormatError(
                f"locator {index} stands at {start:#x}, over {what}",
                expected="a place of its own",
                where=disk.file.name,
            )
    if start % SECTOR or start + room > disk.head_end:
        raise FormatError(
            f"locator {index} stands at {start:#x}", expected="whole sectors of its own", where=disk.file.name
        )


def _created(disk: EditableVhd, path: str) -> tuple[layout.Locator, ...]:
    """Write three new locators behind the head, blocks moved out of their way; the locators."""
    start = disk.head_end
    slots, data = locators.encode_locators(path, start)
    disk.require_room()
    disk.reserve_head(start + len(data))
    disk.file.write(start, data)
    return slots
