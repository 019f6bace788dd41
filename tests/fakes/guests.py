"""Guests that are looked at without a disk: facts of a Windows from its files in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fakes.files import MemoryFiles
from xenimage.guest import windows
from xenimage.guest.notes import Notes
from xenimage.guest.tree import Tree
from xenimage.limits import STRICT
from xenimage.model.guest.facts import FirmwareFacts, GuestFacts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.builders.guests.windows import Guest

PLACE = "disk 0, partition 3"


def tree(files: Mapping[str, bytes], broken: Sequence[str] = ()) -> Tree:
    """A volume of Windows."""
    return Tree(MemoryFiles(files, ignores_case=True, broken=broken, kind="ntfs"), STRICT)


def look_at(guest: Guest, drive: Mapping[str, bytes] | None = None, *, broken: Sequence[str] = ()) -> GuestFacts:
    """The facts of *guest*.

    :param drive: its drive C:, where that is not as the guest has it.
    :param broken: files that cannot be read.
    """
    notes = Notes()
    uefi = guest.state.firmware == "uefi"
    boot = tree(guest.boot())
    files = tree(guest.drive() if drive is None else drive, broken)
    found = windows.look(files, PLACE, notes, boot if uefi else None, None if uefi else boot, STRICT)
    return GuestFacts(
        disks=(),
        firmware=FirmwareFacts(bios=not uefi, uefi=uefi, fallback=uefi),
        windows=found,
        unread=tuple(notes.unread),
    )
