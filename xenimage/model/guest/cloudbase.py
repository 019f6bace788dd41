"""What was seen of cloudbase-init in a Windows system. Paths are those of the volume, with ``/``."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xenimage.model.guest.xendrivers import Service


@dataclasses.dataclass(frozen=True, kw_only=True)
class Program:
    """A file that is needed."""

    path: str
    present: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class CloudbaseConf:
    """A configuration file of cloudbase-init. What it does not say has cloudbase-init's default, or is None."""

    path: str
    metadata_services: tuple[str, ...] | None = None
    """class names in their order: ``cloudbaseinit.metadata.services.configdrive.ConfigDriveService``"""
    plugins: tuple[str, ...] | None = None
    """class names in their order"""
    username: str = "Admin"
    raw_hdd: bool = True
    """whether a config drive is looked for on whole disks"""
    cdrom: bool = True
    vfat: bool = True
    types: tuple[str, ...] = ("vfat", "iso")
    locations: tuple[str, ...] = ("cdrom", "hdd", "partition")
    bsdtar: Program | None = None
    """what reads a config drive of ISO 9660; None where the path is not one of this volume"""
    mtools: Program | None = None
    """what reads one of FAT"""
    metadata_url: str = "http://169.254.169.254/"
    allow_reboot: bool = True
    stop_service_on_exit: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class AnswerFile:
    """An answer file of Windows Setup."""

    path: str
    keeps_devices: bool
    """PersistAllDeviceInstalls is true in its generalize pass"""
    runs_cloudbase: bool
    """a command of its specialize pass runs cloudbase-init"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SetupComplete:
    """The script that Windows runs once, when its set-up is through."""

    path: str
    starts_cloudbase: bool
    """a line of it starts the service, or has it start by itself"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PastInstance:
    """A server that this system was."""

    id: str
    key: str
    plugins: tuple[str, ...]
    """those that are done"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CloudbaseFacts:
    """cloudbase-init, or what there is of it."""

    folder: str = ""
    """where it is installed; empty where it is not"""
    version: str = ""
    service: Service | None = None
    programs: tuple[Program, ...] = ()
    """what the service needs to run"""
    conf: CloudbaseConf | None = None
    unattend_conf: CloudbaseConf | None = None
    """the one for the specialize pass"""
    answers: tuple[AnswerFile, ...] = ()
    """Setup's own copies first, which are those that were used"""
    setup_complete: SetupComplete | None = None
    instances: tuple[PastInstance, ...] = ()
    logs: tuple[Program, ...] = ()
    """log files that are there"""
    keeps_devices: bool = False
    """the registry says PersistAllDeviceInstalls, whatever the answer file says"""
    keeps_devices_key: str = ""
