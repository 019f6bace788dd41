"""What was seen of a Linux system. What was read from a file is kept with its place, as evidence."""

from __future__ import annotations

import dataclasses
import enum


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """A value and where it stands."""

    value: str
    where: str
    """path of the file: ``/etc/ssh/sshd_config``"""
    line: str = ""
    """the line as it stands there, without blanks at its ends; empty where the path alone says it"""

    def __str__(self) -> str:
        return f"{self.where}: {self.line}" if self.line else self.where


@dataclasses.dataclass(frozen=True, kw_only=True)
class Distribution:
    """What ``os-release`` says, or an older file in its place."""

    id: str = ""
    """in lower case: ``debian``, ``rhel``"""
    id_like: tuple[str, ...] = ()
    name: str = ""
    version: str = ""
    version_id: str = ""
    codename: str = ""
    where: str = ""
    """the file that says so; where links led, the end of them"""


class Presence(enum.Enum):
    """How a kernel has a driver."""

    BUILTIN = "builtin"
    MODULE = "module"
    ABSENT = "absent"
    UNKNOWN = "unknown"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Driver:
    """A driver of one kernel."""

    name: str
    """as the module is called, with dashes: ``xen-blkfront``"""
    presence: Presence
    evidence: str = ""
    """``/boot/config-6.1.0: CONFIG_XEN_BLKDEV_FRONTEND=m``"""
    path: str = ""
    """the module's file in the root, as far as it is there"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Initrd:
    """The first file system of a kernel."""

    path: str
    size: int
    """bytes, packed"""
    modules: tuple[str, ...] = ()
    """of the drivers that were looked for, those whose module was seen in it"""
    complete: bool = False
    """whether it was read to its end; else what was not seen may be in it"""
    unread: str = ""
    """why it could not be read, or not to its end"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kernel:
    """A kernel that can be started."""

    version: str
    """as ``uname -r`` will say; the file's suffix where nothing better is known"""
    path: str
    drivers: tuple[Driver, ...] = ()
    initrd: Initrd | None = None
    default: bool = False
    """whether this one starts if nobody chooses"""
    rescue: bool = False
    """whether it is only there for repairs"""

    def driver(self, name: str) -> Driver:
        """What is known of a driver."""
        for each in self.drivers:
            if each.name == name:
                return each
        return Driver(name=name, presence=Presence.UNKNOWN)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bootloader:
    """A boot loader that was installed."""

    name: str
    """``grub``, ``shim``, ``systemd-boot``, ``extlinux``"""
    firmware: str
    """``bios`` or ``uefi``"""
    path: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class CommandLine:
    """What a kernel is started with."""

    text: str
    where: str
    kernel: str = ""
    """path that is started with it, as the boot loader has it; empty where it is a default for all"""
    initrd: str = ""
    default: bool = False
    """whether it belongs to what starts if nobody chooses, or is the default of what will be written later"""

    def value(self, name: str) -> str:
        """What ``name=`` says, the last one; empty for none."""
        return (self.values(name) or ("",))[-1]

    def values(self, name: str) -> tuple[str, ...]:
        """What each ``name=`` says."""
        words = (word.strip('"') for word in self.text.split())
        return tuple(word.partition("=")[2].strip('"') for word in words if word.startswith(f"{name}="))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mount:
    """A line of ``/etc/fstab`` or of ``/etc/crypttab``."""

    device: str
    """as it stands there: ``UUID=...``, ``/dev/sda1``"""
    path: str
    """mount point; ``none`` of swap; the mapped name in crypttab"""
    type: str = ""
    options: tuple[str, ...] = ()
    where: str = ""
    line: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CloudInit:
    """What is set for cloud-init, which is installed."""

    version: str = ""
    """empty where it could not be told"""
    enabled: str = ""
    """the link or file by which it starts; empty for none"""
    disabled: tuple[str, ...] = ()
    """everything that keeps it from starting"""
    datasources: tuple[str, ...] | None = None
    """the list that holds in the end; None where no file has one"""
    datasources_from: Setting | None = None
    one_line: bool = True
    """whether the list stands on one line, as ds-identify needs it"""
    identifies: bool = False
    """whether ds-identify is there, which starts cloud-init only where it sees a data source"""
    policy: Setting | None = None
    """of ds-identify; None for its default"""
    datasource: Setting | None = None
    """that ds-identify is told to take without looking"""
    default_user: Setting | None = None
    network: Setting | None = None
    """where it is told to leave the network alone"""
    keeps_host_keys: Setting | None = None
    """where it is told not to replace the host keys of ssh"""
    instances: tuple[str, ...] = ()
    """paths of what an earlier boot left"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ssh:
    """What is set for the ssh server, which is installed. What no file says holds by sshd's own default."""

    path: str
    enabled: str = ""
    """the link by which it starts; empty for none"""
    masked: str = ""
    password: Setting | None = None
    root: Setting | None = None
    """``PermitRootLogin``"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Identity:
    """What should be different in each instance and is already there."""

    machine_id: Setting | None = None
    host_keys: tuple[str, ...] = ()
    hostname: Setting | None = None
    net_rules: tuple[Setting, ...] = ()
    """of udev, naming network cards by their MAC address"""
    macs: tuple[Setting, ...] = ()
    """in the configuration of the network"""
    histories: tuple[str, ...] = ()
    authorized_keys: tuple[Setting, ...] = ()
    """of root: their comments"""
    random_seed: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinuxFacts:
    """A Linux installation."""

    place: str
    """where its root lies: ``disk 0, partition 1``, ``vg/root``"""
    distribution: Distribution = Distribution()
    architecture: str = ""
    """as Linux calls it: ``x86_64``, ``i686``, ``aarch64``; empty where it could not be told"""
    kernels: tuple[Kernel, ...] = ()
    """the one that starts first, then the newest"""
    bootloaders: tuple[Bootloader, ...] = ()
    command_lines: tuple[CommandLine, ...] = ()
    mounts: tuple[Mount, ...] = ()
    """swap is among them"""
    crypts: tuple[Mount, ...] = ()
    resume: tuple[Setting, ...] = ()
    """devices that an initrd waits for, to wake from hibernation; not those of command lines"""
    blacklist: tuple[Setting, ...] = ()
    """modules that are kept from loading, those of Xen only"""
    cloud_init: CloudInit | None = None
    ssh: Ssh | None = None
    identity: Identity = Identity()
    tools: tuple[Setting, ...] = ()
    """agents of hypervisors, by their package's name"""
    mounted: tuple[str, ...] = ()
    """``/boot: UUID=...``: volumes besides the root that were looked into"""
    unmounted: tuple[Mount, ...] = ()
    """volumes that ``/etc/fstab`` names for the system's own directories, and that were not found"""
