"""SYSTEM, SOFTWARE and BCD of a Windows Server 2022, in the states that a check of readiness must tell apart.

HiberbootEnabled is 1 in every state, as on real systems; that alone is no finding.
"""

from __future__ import annotations

import dataclasses
import struct
from typing import TYPE_CHECKING, Literal

from tests.builders.guests.regf import BINARY, DWORD, EXPAND_SZ, FILETIME, MULTI_SZ, SZ, Hive

if TYPE_CHECKING:
    from tests.builders.guests.regf import Key

CLASS_SYSTEM = "{4d36e97d-e325-11ce-bfc1-08002be10318}"
CLASS_HDC = "{4d36e96a-e325-11ce-bfc1-08002be10318}"
CLASS_SCSI = "{4d36e97b-e325-11ce-bfc1-08002be10318}"
CLOUDBASE = "C:\\Program Files\\Cloudbase Solutions\\Cloudbase-Init\\"
XENBUS_PACKAGE = "xenbus.inf_amd64_0123456789abcdef"
INSTANCE = "2b0f1bb2-4f58-4f9a-9c1e-2d3f5a0e9d11"
LOADER = "{bb3f7e5d-3afe-11e1-908d-0010184c4562}"
BOOT_MANAGER = "{9dea862c-5cdd-4e70-acc1-f32b344d4795}"
CURRENT = "Microsoft\\Windows\\CurrentVersion"
VENDOR_DEVICE = "VEN_5853&DEV_C000&SUBSYS_C0005853&REV_01"
"""what the INF names, unlike the two plain ids"""
DRIVERS = (
    ("xenbus", 0, "Boot Bus Extender"),
    ("xenfilt", 0, "Boot Bus Extender"),
    ("xenvbd", 0, "Scsi Miniport"),
    ("xendisk", 0, "Scsi Miniport"),
    ("xenvif", 3, "NDIS"),
    ("xennet", 3, "NDIS"),
    ("xeniface", 3, "Extended Base"),
)
"""service, start type, load order group"""
START_TYPES = {"auto": 2, "delayed": 2, "demand": 3, "disabled": 4}


@dataclasses.dataclass(frozen=True)
class Vendor:
    """Whose PV drivers they are."""

    name: str
    prefix: str
    """of the ids of children"""
    bus: str
    """version"""
    interface: str
    """version"""
    agent: str
    program: str


VENDORS = {
    "xcpng": Vendor(
        "XCP-ng", "XN", "9.1.200.0", "9.1.200.0", "xenagent", "C:\\Windows\\System32\\xenagent_9_1_200_0.exe"
    ),
    "citrix": Vendor(
        "XenServer", "XS", "9.1.11.115", "9.1.12.94", "XenSvc", "C:\\Program Files\\Citrix\\XenTools\\XenGuestAgent.exe"
    ),
}


@dataclasses.dataclass(frozen=True)
class State:
    """What can be chosen; the default of each makes a system that is ready."""

    firmware: Literal["uefi", "bios"] = "uefi"
    pv: Literal["xcpng", "citrix", "none"] = "xcpng"
    active: Literal["0002", "0001", "C000", "none"] = "0002"
    """the PCI device that the drivers are active on; none: installed, never bound"""
    bound: Literal["", "bios", "uefi"] = ""
    """firmware of the machine in which they were bound, where it is another"""
    sysprep: Literal["generalized", "complete"] = "generalized"
    cbi: Literal["demand", "auto", "delayed", "disabled", "none"] = "demand"
    """start type of the service cloudbase-init"""
    booted: bool = False
    """cloudbase-init already ran for an instance"""
    vmtools: bool = False
    hibernated: bool = False
    dirty: bool = False
    """SYSTEM and SOFTWARE were not closed cleanly"""

    @property
    def device_id(self) -> str:
        """The whole id of the active device.

        XenServer's BIOS machines carry the device number in SUBSYS and have revision 2; its UEFI machines show QEMU's
        own SUBSYS and revision 1; the vendor device has its own.
        """
        if self.active == "C000":
            subsystem, revision = "C000", 1
        elif (self.bound or self.firmware) == "bios":
            subsystem, revision = self.active, 2
        else:
            subsystem, revision = "0001", 1
        return f"PCI\\VEN_5853&DEV_{self.active}&SUBSYS_{subsystem}5853&REV_{revision:02d}"


def service(control_set: Key, name: str, start: int, kind: int = 1, image: str = "") -> Key:
    """Add a service."""
    key = control_set.key(f"Services\\{name}").number(Start=start, Type=kind, ErrorControl=1)
    return key.set("ImagePath", EXPAND_SZ, image or f"\\SystemRoot\\System32\\drivers\\{name}.sys")


def system(state: State) -> Hive:
    """The SYSTEM hive."""
    hive = Hive("\\SystemRoot\\System32\\Config\\SYSTEM")
    hive.key("Select").number(Current=1, Default=1, Failed=0, LastKnownGood=1)
    control_set = hive.key("ControlSet001")
    control = control_set.key("Control")
    control.key("Session Manager\\Environment").words(PROCESSOR_ARCHITECTURE="AMD64")
    control.key("Session Manager\\Power").number(HiberbootEnabled=1)
    control.key("Power").number(HibernateEnabled=int(state.hibernated))
    control.key("Session Manager\\Memory Management").set("PagingFiles", MULTI_SZ, ["?:\\pagefile.sys"])
    control.key("ComputerName\\ComputerName").words(ComputerName="WIN-TEMPLATE")
    control.key("TimeZoneInformation").number(RealTimeIsUniversal=1)
    for name in ("disk", "partmgr", "volmgr", "pci", "atapi", "intelide", "storahci", "stornvme"):
        service(control_set, name, 0)
    ide = control_set.key("Enum\\PCI\\VEN_8086&DEV_7010&SUBSYS_11001AF4&REV_00\\3&13c0b0c5&0&09")
    ide.words(Service="intelide", ClassGUID=CLASS_HDC)
    if state.pv != "none":
        _pv_services(control_set, VENDORS[state.pv])
        _pv_package(hive, state)
        if state.active != "none":
            _pv_devices(control_set, state)
    if state.cbi != "none":
        _cloudbase_service(control_set, state)
    _setup(hive, generalized=state.sysprep == "generalized")
    hive.key("MountedDevices").set("\\DosDevices\\C:", BINARY, bytes.fromhex("785634120000100000000000"))
    return hive


def _pv_services(control_set: Key, vendor: Vendor) -> None:
    for name, start, group in DRIVERS:
        service(control_set, name, start).words(Group=group)
    control_set.key("Services\\xenvif").number(BootFlags=0x81)
    monitor = f"C:\\Windows\\System32\\xenbus_monitor_{vendor.bus.replace('.', '_')}.exe"
    service(control_set, "xenbus_monitor", 2, 0x10, monitor)
    service(control_set, vendor.agent, 2, 0x10, vendor.program)
    control_set.key("Services\\XEN\\Unplug").number(NICS=1, DISKS=1)
    classes = control_set.key("Services\\xenbus\\Parameters")
    classes.set("SupportedClasses", MULTI_SZ, ["VIF", "VBD", "IFACE", "CONS"])
    filters = control_set.key("Services\\xenfilt\\Parameters")
    filters.set("*PNP0A03", SZ, "PCI").set("Internal_IDE_Channel", SZ, "IDE")
    for guid in (CLASS_SYSTEM, CLASS_HDC):
        control_set.key(f"Control\\Class\\{guid}").set("UpperFilters", MULTI_SZ, ["XENFILT"])


def _pv_package(hive: Hive, state: State) -> None:
    """What the driver store knows of the staged bus driver."""
    vendor = VENDORS[state.pv]
    add_package(hive, XENBUS_PACKAGE, "oem3.inf", vendor.name, vendor.bus, staged_ids(state))


def add_package(hive: Hive, name: str, inf: str, provider: str, version: str, ids: tuple[str, ...]) -> None:
    """Put a package into the driver store's database."""
    database = hive.key("DriverDatabase")
    for device in ids:
        database.key(f"DeviceIds\\PCI\\{device}").set(inf, BINARY, b"\x01\xff\x00\x00")
    database.key(f"DriverInfFiles\\{inf}").set("", MULTI_SZ, [name]).words(Active=name)
    package = database.key(f"DriverPackages\\{name}")
    package.set("", SZ, inf).words(Provider=provider, InfName=name.partition("_")[0])
    words = [int(word) for word in reversed(version.split("."))]
    head = b"\xff\xff\x09\0\0\0\0\0" + _guid(CLASS_SYSTEM)
    package.set("Version", BINARY, head + struct.pack("<Q4H8x", FILETIME, *words))


def staged_ids(state: State) -> tuple[str, ...]:
    """The ids that the bus driver's INF accepts: only Citrix's names a vendor device."""
    plain = ("VEN_5853&DEV_0002", "VEN_5853&DEV_0001")
    return (VENDOR_DEVICE, *plain) if state.pv == "citrix" else plain


def _guid(text: str) -> bytes:
    parts = text.strip("{}").split("-")
    return b"".join(bytes.fromhex(part)[::-1] for part in parts[:3]) + bytes.fromhex("".join(parts[3:]))


def _pv_devices(control_set: Key, state: State) -> None:
    """What Windows and the drivers remember of the device that they are active on."""
    vendor, of_vendor = VENDORS[state.pv], state.active == "C000"
    slot, location = (0x30, 6) if of_vendor else (0x18, 3)
    instance = f"3&13c0b0c5&0&{slot:02x}"
    parameters = control_set.key("Services\\xenfilt\\Parameters")
    parameters.words(ActiveDeviceID=state.device_id, ActiveInstanceID=instance)
    parameters.words(ActiveLocationInformation=f"PCI bus 0, device {location}, function 0")
    pci_device(control_set, state.device_id, instance, "0010")
    if of_vendor:
        # The machine has the platform device as well; xenbus is bound to it, but not active.
        platform = dataclasses.replace(state, active="0002")
        pci_device(control_set, platform.device_id, "3&13c0b0c5&0&18", "0011")
    match = f"PCI\\{VENDOR_DEVICE if of_vendor else f'VEN_5853&DEV_{state.active}'}"
    driver(control_set, CLASS_SYSTEM, "0010", vendor, (match, vendor.bus, "oem3.inf"))
    for kind, name, guid, number, version in (
        ("IFACE", "xeniface", CLASS_SYSTEM, "0012", vendor.interface),
        ("VBD", "xenvbd", CLASS_SCSI, "0001", vendor.bus),
        ("VIF", "xenvif", CLASS_SYSTEM, "0013", vendor.bus),
    ):
        child = f"XENBUS\\VEN_{vendor.prefix}{state.active}&DEV_{kind}&REV_0900000B"
        driver(control_set, guid, number, vendor, (child, version, f"oem{number[-1]}.inf"))
        node = control_set.key(f"Enum\\XENBUS\\VEN_{vendor.prefix}&DEV_{kind}\\_")
        node.set("HardwareID", MULTI_SZ, [child]).words(Service=name, ClassGUID=guid, Driver=f"{guid}\\{number}")
        node.number(ConfigFlags=0)


def driver(control_set: Key, guid: str, number: str, vendor: Vendor, bound: tuple[str, str, str]) -> None:
    """Add an installed driver: *bound* is the id that it was chosen by, its version and its INF."""
    match, version, inf = bound
    key = control_set.key(f"Control\\Class\\{guid}\\{number}")
    key.words(InfPath=inf, ProviderName=vendor.name, DriverVersion=version, DriverDate="6-1-2025")
    key.words(MatchingDeviceId=match.lower())


def pci_device(control_set: Key, device_id: str, instance: str, number: str) -> Key:
    """Add a Xen device that Windows has seen."""
    node = control_set.key(f"Enum\\{device_id}\\{instance}")
    node.set("HardwareID", MULTI_SZ, [device_id, device_id.rpartition("&")[0]])
    node.set("CompatibleIDs", MULTI_SZ, [device_id.partition("&SUBSYS")[0]])
    node.words(Service="xenbus", ClassGUID=CLASS_SYSTEM, Driver=f"{CLASS_SYSTEM}\\{number}")
    return node.number(ConfigFlags=0)


def _cloudbase_service(control_set: Key, state: State) -> None:
    image = (
        f'"{CLOUDBASE}bin\\OpenStackService.exe" cloudbase-init "{CLOUDBASE}Python\\Scripts\\cloudbase-init.exe" '
        f'--config-file "{CLOUDBASE}conf\\cloudbase-init.conf"'
    )
    key = service(control_set, "cloudbase-init", START_TYPES[state.cbi], 0x10, image)
    key.words(ObjectName=".\\cloudbase-init").set("DependOnService", MULTI_SZ, ["winmgmt", "nsi", "profsvc"])
    if state.cbi == "delayed":
        key.number(DelayedAutostart=1)


def _setup(hive: Hive, *, generalized: bool) -> None:
    key = hive.key("Setup").number(SystemSetupInProgress=int(generalized), OOBEInProgress=int(generalized))
    key.number(SetupType=2 if generalized else 0).words(CmdLine="oobe\\windeploy.exe" if generalized else "")
    key.words(OsLoaderPath="\\", SystemPartition="\\Device\\HarddiskVolume1")
    status = hive.key("Setup\\Status\\SysprepStatus")
    status.number(GeneralizationState=3 if generalized else 7, CleanupState=2)


def software(state: State) -> Hive:
    """The SOFTWARE hive, with 600 CLSID keys as ballast: an ``ri`` list."""
    hive = Hive("\\SystemRoot\\System32\\Config\\SOFTWARE")
    version = hive.key("Microsoft\\Windows NT\\CurrentVersion")
    version.words(ProductName="Windows Server 2022 Standard", EditionID="ServerStandard", InstallationType="Server")
    version.words(CurrentBuild="20348", CurrentBuildNumber="20348", CurrentVersion="6.3", ReleaseId="2009")
    version.words(DisplayVersion="21H2", BuildLabEx="20348.1.amd64fre.fe_release.210507-1500")
    version.number(CurrentMajorVersionNumber=10, CurrentMinorVersionNumber=0, UBR=2762)
    current = hive.key(CURRENT)
    current.key("Setup\\State").words(ImageState=image_state(state))
    current.key("Setup\\Sysprep\\Settings\\sppnp").number(PersistAllDeviceInstalls=1)
    if state.cbi != "none":
        product(hive, "{ED85F19F-057A-4EE6-BC8D-F576DEACE78D}", "Cloudbase-Init 1.1.8", "Cloudbase Solutions Srl")
    if state.vmtools:
        product(hive, "{F32C4E7B-2BF8-4788-8408-824C6896E1BB}", "VMware Tools", "VMware, Inc.")
    if state.pv == "xcpng":
        hive.key("XCP-ng").number(PVBusFeatureInstalled=1, PVDiskFeatureInstalled=1, PVNetworkFeatureInstalled=1)
    if state.pv == "citrix":
        hive.key("Citrix\\XenTools").number(MajorVersion=9, MinorVersion=4, MicroVersion=1, BuildVersion=150)
    if state.booted:
        plugins = hive.key(f"Cloudbase Solutions\\Cloudbase-Init\\{INSTANCE}\\Plugins")
        for name in ("SetHostName", "CreateUser", "NetworkConfig", "UserData", "ExtendVolumes"):
            plugins.set(f"{name}Plugin", DWORD, 1)
    for number in range(600):
        server = hive.key(f"Classes\\CLSID\\{{{number:08X}-0000-0000-0000-000000000000}}")
        server.set("", SZ, f"C:\\Windows\\System32\\x{number}.dll")
    return hive


def product(hive: Hive, guid: str, name: str, publisher: str, version: str = "1.1.8") -> None:
    """Add a row to the list of installed programs."""
    key = hive.key(f"{CURRENT}\\Uninstall\\{guid}")
    key.words(DisplayName=name, DisplayVersion=version, Publisher=publisher)


def image_state(state: State) -> str:
    """What Windows Setup says of how far it is."""
    return "IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE" if state.sysprep == "generalized" else "IMAGE_STATE_COMPLETE"


def bcd(state: State) -> Hive:
    """The boot configuration: boot manager and one loader."""
    hive = Hive("BCD")
    hive.key("Description").words(KeyName="BCD00000001").number(System=1, TreatAsSystem=1)
    manager = hive.key(f"Objects\\{BOOT_MANAGER}")
    manager.key("Description").number(Type=0x10100002)
    manager.key("Elements\\12000004").words(Element="Windows Boot Manager")
    manager.key("Elements\\23000003").words(Element=LOADER)
    suffix = "exe"
    if state.firmware == "uefi":
        suffix = "efi"
        manager.key("Elements\\12000002").words(Element="\\EFI\\Microsoft\\Boot\\bootmgfw.efi")
    entry = hive.key(f"Objects\\{LOADER}")
    entry.key("Description").number(Type=0x10200003)
    entry.key("Elements\\12000002").words(Element=f"\\Windows\\system32\\winload.{suffix}")
    entry.key("Elements\\22000002").words(Element="\\Windows")
    return hive
