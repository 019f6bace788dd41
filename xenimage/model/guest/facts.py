"""Everything that an inspection answers with."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xenimage.model.guest.layout import Layout
    from xenimage.model.guest.linux import LinuxFacts
    from xenimage.model.guest.windows import WindowsFacts


@dataclasses.dataclass(frozen=True, kw_only=True)
class Unread:
    """Something that could not be looked at. An inspection goes on without it."""

    what: str
    """a path, a key, a volume: ``\\Windows\\System32\\config\\SYSTEM on disk 0, partition 2``"""
    why: str
    """a clause: ``the hive's header is damaged``"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FirmwareFacts:
    """What can start the disk."""

    bios: bool = False
    """boot code with an active partition or a BIOS boot partition, or boot code of a loader that needs neither"""
    uefi: bool = False
    """an EFI system partition with a loader in it"""
    fallback: bool = False
    """whether the loader stands under ``\\EFI\\BOOT`` by the name that a machine without boot entries looks for"""
    loaders: tuple[str, ...] = ()
    """paths of programs on the EFI system partition, as far as they are known ones"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cost:
    """What an inspection took."""

    reads: int = 0
    bytes_read: int = 0
    seconds: float = 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class GuestFacts:
    """What a guest's disks hold. Empty where nothing was recognised; that is no error."""

    disks: tuple[Layout, ...]
    firmware: FirmwareFacts = FirmwareFacts()
    windows: WindowsFacts | None = None
    linux: LinuxFacts | None = None
    systems: tuple[str, ...] = ()
    """places of all operating systems that were found, the one described first: ``Windows on disk 0, partition 2``"""
    unread: tuple[Unread, ...] = ()
    stopped: str = ""
    """why the inspection ended early (``took longer than 30 s``); what was found till then is kept"""
    cost: Cost = dataclasses.field(default=Cost(), compare=False)
    """left out where facts are compared: the clock tells another time at each look"""
