"""Windows systems in every state that a check of readiness must tell apart, each with what is to be found.

Findings are those for a target that takes a device id and shows its config drive as a plain disk; of the properties
only those that are not the same everywhere.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from tests.builders.guests import windows, winhives
from tests.builders.guests.regf import DWORD, MULTI_SZ
from tests.builders.guests.windows import FOLDER, PLUGINS, READY_BIOS, SERVICES, SETUP_COMPLETE, STATES, Guest, State
from tests.builders.guests.winhives import CLASS_HDC, CLASS_SYSTEM, CURRENT, add_package, service

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.builders.guests.regf import Key

SERVICES_KEY = "ControlSet001\\Services"
CLASSES_KEY = "ControlSet001\\Control\\Class"
VERSION_KEY = "Microsoft\\Windows NT\\CurrentVersion"
DRIVERS = "Windows/System32/drivers"
STORED = "PCI\\VEN_5853&DEV_"


@dataclasses.dataclass(frozen=True)
class Case:
    """One system, and what is to be said of it."""

    name: str
    state: State = windows.READY_UEFI
    edit: Callable[[Guest], object] = lambda guest: None
    errors: frozenset[str] = frozenset()
    warnings: frozenset[str] = frozenset()
    infos: frozenset[str] = frozenset()
    device_id: str | None = "2"
    """the property xenapi_device_id; empty where it must not be set, None where nothing is said of it"""
    properties: tuple[tuple[str, str], ...] = ()
    """others than usual"""

    def guest(self) -> Guest:
        """The system, ready to be written."""
        guest = Guest(self.state)
        self.edit(guest)
        return guest


def _case(
    name: str,
    edit: Callable[[Guest], object] = lambda guest: None,
    *,
    state: State = windows.READY_UEFI,
    errors: str = "",
    warnings: str = "",
    infos: str = "",
    device_id: str | None = "2",
    **properties: str,
) -> Case:
    found = (frozenset(f"windows.{code}" for code in text.split()) for text in (errors, warnings, infos))
    return Case(name, state, edit, *found, device_id, tuple(properties.items()))


def _services(guest: Guest) -> Key:
    return guest.system.key(SERVICES_KEY)


def start(name: str, value: int) -> Callable[[Guest], object]:
    """Give a service another start type."""
    return lambda guest: _services(guest).key(name).number(Start=value)


def without(*paths: str) -> Callable[[Guest], object]:
    """Take files away."""
    return lambda guest: [guest.files.pop(path) for path in paths]


def conf(**settings: str) -> Callable[[Guest], object]:
    """Change settings of cloudbase-init.conf."""
    return lambda guest: guest.conf.update(settings)


def _legacy(guest: Guest) -> None:
    control_set = guest.system.key("ControlSet001")
    for name in ("xenevtchn", "xenvbd", "xenutil", "scsifilt"):
        service(control_set, name, 0)
        guest.files[f"{DRIVERS}/{name}.sys"] = windows.portable_executable()
    service(control_set, "xennet", 3)
    control_set.key(f"Control\\Class\\{CLASS_HDC}").set("UpperFilters", MULTI_SZ, ["scsifilt"])


def _seven(guest: Guest) -> None:
    """Drivers of XenServer 7.0, which keep a whole instance path."""
    services = _services(guest)
    services.key("xenfilt\\Parameters").drop("ActiveDeviceID").drop("ActiveInstanceID")
    path = f"{guest.state.device_id}\\3&13c0b0c5&0&18"
    services.key("xenbus\\Parameters").words(ActiveDevice=path)
    bus = guest.system.key(f"{CLASSES_KEY}\\{CLASS_SYSTEM}\\0010")
    bus.words(DriverVersion="7.2.0.25", ProviderName="Citrix Systems, Inc.")


def _old(guest: Guest) -> None:
    guest.system.key(f"{CLASSES_KEY}\\{CLASS_SYSTEM}\\0012").words(DriverVersion="9.1.12.93")


def _second_vendor(guest: Guest) -> None:
    name = "xenbus.inf_amd64_fedcba9876543210"
    add_package(guest.system, name, "oem7.inf", "Citrix Systems, Inc.", "9.1.11.115", (winhives.VENDOR_DEVICE,))


def _no_filter(guest: Guest) -> None:
    for guid in (CLASS_SYSTEM, CLASS_HDC):
        guest.system.key(f"{CLASSES_KEY}\\{guid}").drop("UpperFilters")


def _precedence(guest: Guest) -> None:
    ranks = _services(guest).key("xenfilt\\Parameters\\Precedence")
    for number in (1, 2):
        ranks.set(f"{STORED}000{number}", DWORD, number)


def _children_alone(guest: Guest) -> None:
    _services(guest).key("xenfilt\\Parameters").drop("ActiveDeviceID")


def _stored(text: str) -> Callable[[Guest], object]:
    return lambda guest: _services(guest).key("xenfilt\\Parameters").words(ActiveDeviceID=text)


def _devices_off(guest: Guest) -> None:
    pci = guest.system.key("ControlSet001\\Enum").key(guest.state.device_id)
    pci.key("3&13c0b0c5&0&18").number(ConfigFlags=1)


def _orphan(guest: Guest) -> None:
    guest.system.key(f"{CLASSES_KEY}\\{CLASS_HDC}").set("UpperFilters", MULTI_SZ, ["XENFILT"])


def _override(guest: Guest) -> None:
    _services(guest).key("stornvme\\StartOverride").set("0", DWORD, 3)


def setup(image_state: str, kind: int, command: str) -> Callable[[Guest], object]:
    """Put the set-up of Windows into another state."""

    def edit(guest: Guest) -> None:
        guest.software.key(f"{CURRENT}\\Setup\\State").words(ImageState=image_state)
        guest.system.key("Setup").number(SetupType=kind).words(CmdLine=command)

    return edit


def _script(text: str) -> Callable[[Guest], object]:
    return lambda guest: guest.files.update({SETUP_COMPLETE: text.encode()})


def _no_answers(guest: Guest) -> None:
    without("Windows/Panther/unattend.xml", f"{FOLDER}conf/Unattend.xml")(guest)
    guest.software.drop(f"{CURRENT}\\Setup\\Sysprep\\Settings\\sppnp")


def _commented_answers(guest: Guest) -> None:
    for path in ("Windows/Panther/unattend.xml", f"{FOLDER}conf/Unattend.xml"):
        text = guest.files[path].replace(b'<settings pass="specialize">', b'<!-- <settings pass="specialize">')
        guest.files[path] = text.replace(b"</unattend>", b"--></unattend>")


def _loader(path: str) -> Callable[[Guest], object]:
    key = f"Objects\\{winhives.LOADER}\\Elements\\12000002"
    return lambda guest: guest.bcd.key(key).words(Element=path)


def _version(**words: str) -> Callable[[Guest], object]:
    return lambda guest: guest.software.key(VERSION_KEY).words(**words)


def _restart(guest: Guest) -> None:
    guest.software.key(f"{CURRENT}\\Component Based Servicing\\RebootPending")
    session = guest.system.key("ControlSet001\\Control\\Session Manager")
    session.set("PendingFileRenameOperations", MULTI_SZ, ["\\??\\C:\\x"])


def _address(guest: Guest) -> None:
    interfaces = _services(guest).key("Tcpip\\Parameters\\Interfaces")
    interfaces.key("{1}").number(EnableDHCP=0).set("IPAddress", MULTI_SZ, ["192.0.2.7"])
    interfaces.key("{2}").number(EnableDHCP=1).words(DhcpIPAddress="192.0.2.8")
    interfaces.key("{3}").number(EnableDHCP=0)


def _autologon(guest: Guest) -> None:
    logon = guest.software.key(f"{VERSION_KEY}\\Winlogon")
    logon.words(AutoAdminLogon="1", DefaultUserName="Administrator", DefaultPassword="secret")


def _remote_desktop(guest: Guest) -> None:
    guest.system.key("ControlSet001\\Control\\Terminal Server").number(fDenyTSConnections=1)


def _policy(guest: Guest) -> None:
    guest.software.key("Policies\\Microsoft\\Windows\\DeviceInstall\\Restrictions").number(DenyUnspecified=1)


def _move_control_set(guest: Guest) -> None:
    """Make the second control set the current one; the first says that everything is disabled."""
    keys = guest.system.root.subkeys
    moved = keys["CONTROLSET001"]
    moved.name = "ControlSet002"
    keys["CONTROLSET002"] = moved
    del keys["CONTROLSET001"]
    service(guest.system.key("ControlSet001"), "xenvbd", 4)
    guest.system.key("Select").number(Current=2)


_BAD = dataclasses.replace
_UEFI = windows.READY_UEFI
_NO_PV = _BAD(_UEFI, pv="none")
_CITRIX = _BAD(_UEFI, pv="citrix")
_DRIVE_SERVICE, _HTTP_SERVICE = f"{SERVICES}configdrive.ConfigDriveService", f"{SERVICES}httpservice.HttpService"
_GENERALIZED = "IMAGE_STATE_GENERALIZE_RESEAL_TO_"

CASES = (
    _case("good-uefi", state=STATES["good-uefi"]),
    _case("good-bios", state=STATES["good-bios"]),
    _case(
        "bad-bios",
        state=STATES["bad-bios"],
        errors="state.hibernated sysprep.installed",
        warnings="pv-drivers.none leftovers.tools state.dirty cloudbase-init.booted",
        device_id=None,
    ),
    _case("c000-uefi", state=STATES["c000-uefi"], errors="device-id.vendor"),
    _case("staged-uefi", state=STATES["staged-uefi"]),
    _case("disabled-uefi", state=STATES["disabled-uefi"], errors="cloudbase-init.disabled", device_id="1"),
    # Device id.
    _case("0001-uefi", state=_BAD(_UEFI, active="0001"), device_id="1"),
    _case("0001-bios", state=_BAD(READY_BIOS, active="0001"), device_id="1"),
    _case(
        "0001-unset",
        _stored(f"{STORED}0001&SUBSYS_00015853&REV_01"),
        state=_BAD(READY_BIOS, active="0001"),
        device_id="",
    ),
    _case("c000-bios", state=_BAD(READY_BIOS, pv="citrix", active="C000"), errors="device-id.vendor"),
    _case("c200", _stored(f"{STORED}C200&SUBSYS_C2005853&REV_01"), errors="device-id.vendor"),
    _case("unknown-id", _stored("PCI\\VEN_FFFD&DEV_0101"), warnings="device-id.unknown", device_id=None),
    _case("bios-to-uefi", state=_BAD(_UEFI, bound="bios"), warnings="device-id.firmware"),
    _case("uefi-to-bios", state=_BAD(READY_BIOS, bound="uefi"), warnings="device-id.firmware"),
    _case("children-alone", _children_alone),
    _case("precedence", _precedence, state=_BAD(_UEFI, active="0001")),
    _case("xenserver-7", _seven, state=_CITRIX, warnings="pv-drivers.old"),
    # Drivers.
    _case("none", state=_NO_PV, warnings="pv-drivers.none", device_id=None),
    _case("legacy", _legacy, state=_BAD(READY_BIOS, pv="none"), warnings="pv-drivers.legacy", device_id=""),
    _case("mixed", _second_vendor, errors="pv-drivers.mixed"),
    _case("xenvbd-4", start("xenvbd", 4), errors="pv-drivers.start"),
    _case("xenbus-3", start("xenbus", 3), errors="pv-drivers.start"),
    _case("xenvif-4", start("xenvif", 4), warnings="pv-drivers.start"),
    _case("no-file", without(f"{DRIVERS}/xenvbd.sys"), errors="pv-drivers.file"),
    _case("no-filter", _no_filter, errors="pv-drivers.filter"),
    _case("no-filter-yet", _no_filter, state=_BAD(_UEFI, active="none")),
    _case("device-off", _devices_off, errors="pv-drivers.disabled"),
    _case("orphan", _orphan, state=_NO_PV, errors="pv-drivers.orphan", warnings="pv-drivers.none", device_id=None),
    _case("no-xenvbd", lambda guest: _services(guest).drop("xenvbd"), warnings="pv-drivers.incomplete"),
    _case("old", _old, state=_CITRIX, warnings="pv-drivers.old"),
    # Start.
    _case(
        "override",
        _override,
        state=_NO_PV,
        warnings="pv-drivers.none boot.emulated",
        device_id=None,
    ),
    _case(
        "no-nvme",
        start("stornvme", 3),
        state=_NO_PV,
        errors="boot.emulated",
        warnings="pv-drivers.none",
        device_id=None,
    ),
    _case("nvme-not-needed", start("stornvme", 3)),
    _case("no-loader", without("Windows/System32/winload.efi"), errors="boot.loader"),
    _case("loader-of-bios", _loader("\\Windows\\system32\\winload.exe"), errors="boot.loader"),
    _case("loader-of-uefi", _loader("\\Windows\\system32\\winload.efi"), state=READY_BIOS, errors="boot.loader"),
    _case("no-default", lambda guest: guest.bcd.drop("Objects"), errors="boot.loader"),
    # cloudbase-init.
    _case("delayed", state=_BAD(_UEFI, cbi="delayed")),
    _case("early", state=_BAD(_UEFI, cbi="auto"), warnings="cloudbase-init.early"),
    _case("no-cloudbase", state=_BAD(_UEFI, cbi="none"), errors="cloudbase-init.none", os_admin_user=""),
    _case("idle", without(SETUP_COMPLETE), errors="cloudbase-init.idle"),
    _case("idle-comment", _script("rem net start cloudbase-init\r\n"), errors="cloudbase-init.idle"),
    _case(
        "revived",
        _script("sc config cloudbase-init start= auto && net start cloudbase-init\r\n"),
        state=_BAD(_UEFI, cbi="disabled"),
        warnings="cloudbase-init.disabled",
    ),
    _case("no-service-program", without(f"{FOLDER}bin/OpenStackService.exe"), errors="cloudbase-init.file"),
    _case("no-conf", lambda guest: guest.conf.clear(), errors="cloudbase-init.file", os_admin_user=""),
    _case("http-only", conf(metadata_services=_HTTP_SERVICE), warnings="cloudbase-init.http"),
    _case("default-services", lambda guest: guest.conf.pop("metadata_services"), infos="cloudbase-init.http"),
    _case(
        "drive-only",
        conf(metadata_services=_DRIVE_SERVICE, username="Cloud"),
        img_config_drive="mandatory",
        os_admin_user="Cloud",
    ),
    _case("maas", conf(metadata_services=f"{SERVICES}maasservice.MaaSHttpService"), errors="cloudbase-init.metadata"),
    _case("no-disks", conf(config_drive_raw_hhd="false"), errors="cloudbase-init.drive"),
    _case("no-hdd", conf(config_drive_locations="cdrom,partition"), errors="cloudbase-init.drive"),
    _case("no-iso", conf(config_drive_types="vfat"), errors="cloudbase-init.drive"),
    _case("no-bsdtar", without(f"{FOLDER}bin/bsdtar.exe"), errors="cloudbase-init.helper"),
    _case("no-mcopy", without(f"{FOLDER}bin/mcopy.exe"), warnings="cloudbase-init.helper"),
    _case(
        "few-plugins",
        conf(plugins=f"{PLUGINS}common.mtu.MTUPlugin,{PLUGINS}common.sethostname.SetHostNamePlugin"),
        warnings="cloudbase-init.plugins",
    ),
    _case(
        "unattend-reboots",
        lambda guest: guest.unattend_conf.pop("allow_reboot"),
        warnings="cloudbase-init.unattend-conf",
    ),
    _case("no-answers", _no_answers, warnings="cloudbase-init.specialize cloudbase-init.devices"),
    _case("commented-answers", _commented_answers, warnings="cloudbase-init.specialize"),
    _case("booted", state=_BAD(_UEFI, booted=True), warnings="cloudbase-init.booted"),
    # Sysprep.
    _case("installed", setup("IMAGE_STATE_COMPLETE", 0, ""), errors="sysprep.installed"),
    _case("half-done", setup(f"{_GENERALIZED}OOBE", 0, ""), errors="sysprep.half-done"),
    _case("no-windeploy", setup(f"{_GENERALIZED}OOBE", 2, "cmd.exe"), errors="sysprep.half-done"),
    _case("specialize", setup("IMAGE_STATE_SPECIALIZE_RESEAL_TO_OOBE", 2, ""), errors="sysprep.half-done"),
    _case("audit", setup(f"{_GENERALIZED}AUDIT", 2, "oobe\\windeploy.exe"), errors="sysprep.audit"),
    _case("undeployable", setup("IMAGE_STATE_UNDEPLOYABLE", 2, "x"), errors="sysprep.undeployable"),
    # Condition and leftovers.
    _case("dirty", state=_BAD(_UEFI, dirty=True), warnings="state.dirty"),
    _case("hibernated", state=_BAD(_UEFI, hibernated=True), errors="state.hibernated"),
    _case("hibernation-file", lambda guest: guest.files.update({"hiberfil.sys": bytes(8192)})),
    _case("restart", _restart, warnings="state.restart"),
    _case("tools", state=_BAD(_UEFI, vmtools=True), warnings="leftovers.tools"),
    _case("address", _address, warnings="leftovers.address"),
    _case("autologon", _autologon, warnings="leftovers.autologon"),
    _case("remote-desktop", _remote_desktop, infos="leftovers.remote-desktop"),
    _case("evaluation", _version(EditionID="ServerStandardEval"), warnings="leftovers.evaluation"),
    _case("policy", _policy, warnings="leftovers.policy"),
    # Other versions.
    _case(
        "windows-11",
        _version(CurrentBuildNumber="22631", InstallationType="Client", EditionID="Pro", ProductName="Windows 10 Pro"),
        os_version="11",
    ),
    _case("2019", _version(CurrentBuildNumber="17763", ProductName="Windows Server 2019"), os_version="2019"),
    _case(
        "i686",
        lambda guest: guest.system.key("ControlSet001\\Control\\Session Manager\\Environment").words(
            PROCESSOR_ARCHITECTURE="x86"
        ),
        architecture="i686",
    ),
    _case("second-control-set", _move_control_set),
)

BY_NAME = {case.name: case for case in CASES}
