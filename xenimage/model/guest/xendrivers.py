"""What was seen of services, and of the Xen PV drivers in a Windows system. Keys begin with the name of their hive."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Service:
    """A service or driver as the registry describes it."""

    name: str
    key: str
    """``SYSTEM\\ControlSet001\\Services\\xenbus``"""
    start: int | None = None
    """0 boot, 1 system, 2 automatic, 3 on demand, 4 disabled; None where it is not said"""
    override: int | None = None
    """the start value that StartOverride has for the hardware configuration 0; None where there is none"""
    delayed: bool = False
    """an automatic start waits until the others are through"""
    image_path: str = ""
    """as stored"""
    file: str = ""
    """the program's path on the volume; empty where it cannot be told from the image path"""
    present: bool | None = None
    """whether that file is there; None where it is not known"""
    version: str = ""
    """of the file, ``9.1.200.0``; empty where it has none"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ActiveDevice:
    """The PCI device that the PV drivers take for their own, all others being ignored."""

    device: str
    """``0002``, upper case; empty where the id is in no known form"""
    id: str
    """as stored: ``PCI\\VEN_5853&DEV_0002&SUBSYS_00025853&REV_02``, in old releases a whole instance path"""
    where: str
    """key and value name, or the key of a child that tells it"""
    stored: bool
    """whether the drivers keep it, rather than it following from the devices that were started"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PciDevice:
    """A Xen device that Windows has seen on a PCI bus, be it there still or not."""

    device: str
    """``0002``, upper case"""
    id: str
    """``VEN_5853&DEV_0002&SUBSYS_00025853&REV_02``"""
    key: str
    service: str = ""
    driver: str = ""
    """its key below ``Control\\Class``"""
    config_flags: int = 0
    """bit 0: disabled"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ChildDevice:
    """A device that the bus driver made: a disk, a network interface."""

    kind: str
    """``VBD``, ``VIF``, ``IFACE``, ``CONS``"""
    prefix: str
    """whose driver made it: ``XS``, ``XN``, ``XP``"""
    parent: str
    """device number of the bus that made it, ``0002``; empty where that is not known"""
    hardware_id: str
    key: str
    config_flags: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class BoundDriver:
    """A driver that was installed for a Xen device."""

    matching_id: str
    """the id by which it was chosen, in lower case"""
    provider: str
    vendor: str
    """whose it is, as in :attr:`XenDrivers.vendors`"""
    version: str
    inf: str
    key: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class DriverPackage:
    """A package of the driver store that accepts a Xen PCI device."""

    name: str
    """``xenbus.inf_amd64_0123456789abcdef``"""
    inf: str
    """``oem3.inf``"""
    provider: str = ""
    vendor: str = ""
    version: str = ""
    ids: tuple[str, ...] = ()
    """``VEN_5853&DEV_0002``"""
    key: str = ""
    """empty where only its directory was seen"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassFilter:
    """The upper filters of a class of devices."""

    name: str
    """``System``, ``hdc``, ``SCSIAdapter``"""
    key: str
    filters: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Precedence:
    """The order in which drivers of a forced build choose their device."""

    id: str
    rank: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Unplug:
    """What xen.sys takes away at the next start: a number of disks or interfaces above 0 for all of them."""

    key: str
    disks: int | None = None
    nics: int | None = None
    forced: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class XenDrivers:
    """The Xen PV drivers. All of it empty where there are none."""

    generation: str = ""
    """``legacy`` (XenServer 6.0.2 and older), ``7``, ``8``, ``9``; empty where there are none or it is not known"""
    version: str = ""
    """of the bus driver"""
    vendors: tuple[str, ...] = ()
    """of drivers and packages, sorted: ``XCP-ng``, ``XenServer``, ``Xen Project``, else the provider as stored"""
    services: tuple[Service, ...] = ()
    """of the drivers"""
    agents: tuple[Service, ...] = ()
    """programs of the tools that run as services"""
    active: ActiveDevice | None = None
    precedence: tuple[Precedence, ...] = ()
    precedence_key: str = ""
    devices: tuple[PciDevice, ...] = ()
    children: tuple[ChildDevice, ...] = ()
    drivers: tuple[BoundDriver, ...] = ()
    packages: tuple[DriverPackage, ...] = ()
    filters: tuple[ClassFilter, ...] = ()
    """those that hold a filter of Xen's, and the System and hdc classes where they hold none"""
    unplug: Unplug | None = None

    def service(self, name: str) -> Service | None:
        """The driver's service called *name*, in any case; None if there is none."""
        return next((each for each in self.services if each.name.lower() == name.lower()), None)

    @property
    def bound(self) -> bool:
        """Whether the drivers were ever active on a device."""
        return self.active is not None or bool(self.devices)
