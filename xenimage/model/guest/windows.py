"""What was seen of a Windows system. Paths are those of its volume, with ``/``; keys begin with their hive's name."""

from __future__ import annotations

import dataclasses
import enum
from typing import TYPE_CHECKING

from xenimage.model.guest.xendrivers import XenDrivers

if TYPE_CHECKING:
    from xenimage.model.guest.cloudbase import CloudbaseFacts
    from xenimage.model.guest.xendrivers import Service


@dataclasses.dataclass(frozen=True, kw_only=True)
class WindowsVersion:
    """Which Windows it is, as the hive SOFTWARE says."""

    product: str = ""
    """the product's name; Windows 11 calls itself 10 there"""
    edition: str = ""
    """``ServerStandard``, ``Professional``; with ``Eval`` at its end one that expires"""
    installation: str = ""
    """``Client``, ``Server``, ``Server Core``"""
    major: int = 0
    minor: int = 0
    build: int = 0
    revision: int | None = None
    """the update build revision"""
    display: str = ""
    """``21H2``"""
    build_lab: str = ""
    release: str = ""
    """what people call it: ``2022``, ``11``, ``8.1``; empty where the build is not known"""
    key: str = ""


class Firmware(enum.StrEnum):
    """What a machine starts with."""

    BIOS = "bios"
    UEFI = "uefi"


@dataclasses.dataclass(frozen=True, kw_only=True)
class BootStore:
    """A boot configuration, and whether what it needs is there."""

    firmware: Firmware
    """``uefi`` where it stands on the EFI system partition, else ``bios``"""
    path: str
    """of the BCD, and where: ``EFI/Microsoft/Boot/BCD on the EFI system partition``"""
    manager: str
    """path of the boot manager, and where"""
    manager_present: bool
    loader: str = ""
    """path of the default loader, as stored: ``\\Windows\\system32\\winload.efi``; empty where none is named"""
    loader_present: bool | None = None
    """None where it is not said which volume it stands on, or none is named"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SysprepFacts:
    """How far a set-up of Windows is: what tells a generalised system from one that is in use."""

    image_state: str = ""
    """``IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE``"""
    image_state_where: str = ""
    """key and value name, or the path of State.ini"""
    setup_type: int | None = None
    """0 log on, 1 run the command and start again, 2 run the command and log on"""
    command: str = ""
    """what Windows runs at its next start"""
    setup_key: str = ""
    in_progress: int | None = None
    oobe_in_progress: int | None = None
    generalization: int | None = None
    """7 in systems that were never generalised, too; 3 while sysprep or the specialize pass is at work"""
    cleanup: int | None = None
    status_key: str = ""
    tag: bool = False
    """sysprep left its sign of success, now or in an earlier run"""
    tag_path: str = ""
    errors: tuple[str, ...] = ()
    """last lines of sysprep's log of errors"""
    errors_path: str = ""
    skip_rearm: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class HiveFile:
    """A hive that was read. Size in bytes."""

    name: str
    path: str
    size: int
    dirty: bool
    """it was not closed: its logs hold newer values"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class HibernationFile:
    """hiberfil.sys. Size in bytes."""

    path: str
    size: int
    signature: str
    """its first four bytes as text: ``HIBR``; empty where they are zeros"""
    holds_system: bool
    """whether Windows would resume from it"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class StaticAddress:
    """A network interface without DHCP."""

    key: str
    addresses: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Autologon:
    """Somebody is logged on when Windows starts."""

    key: str
    user: str
    password: bool
    """whether it stands in the registry as text; the text itself is not kept"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class InstalledProgram:
    """A row of the list of programs."""

    name: str
    version: str
    publisher: str
    key: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class WindowsFacts:
    """A Windows installation."""

    place: str
    """where it lies: ``disk 0, partition 2``"""
    root: str = "Windows"
    """its directory on that volume"""
    version: WindowsVersion = WindowsVersion()
    architecture: str = ""
    """``x86_64``, ``i686``, ``aarch64``; empty where it is not known"""
    architecture_where: str = ""
    control_set: str = ""
    """``ControlSet001``"""
    computer_name: str = ""
    boot: tuple[BootStore, ...] = ()
    xen: XenDrivers = dataclasses.field(default_factory=XenDrivers)
    emulated: tuple[Service, ...] = ()
    """drivers for the disks that a machine has before PV drivers run: those of them that are installed"""
    cloudbase: CloudbaseFacts | None = None
    """None where there is no trace of it"""
    sysprep: SysprepFacts = SysprepFacts()
    hives: tuple[HiveFile, ...] = ()
    hibernation: HibernationFile | None = None
    fast_startup: int | None = None
    """HiberbootEnabled; 1 is usual, and says nothing of whether a system is saved"""
    pagefile_size: int | None = None
    """bytes of pagefile.sys; None where there is none"""
    paging_files: tuple[str, ...] = ()
    """as configured"""
    reboot_pending: tuple[str, ...] = ()
    """keys, or key and value name, that ask for a restart"""
    static_addresses: tuple[StaticAddress, ...] = ()
    autologon: Autologon | None = None
    remote_desktop_denied: bool | None = None
    """None where it is not said"""
    remote_desktop_key: str = ""
    driver_policies: tuple[str, ...] = ()
    """keys and values of group policy that restrict which drivers may be installed"""
    clock_is_utc: bool | None = None
    programs: tuple[InstalledProgram, ...] = ()
