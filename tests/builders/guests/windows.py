"""A small Windows in any state: its hives and files, to be changed at will, and a disk made of them.

Programs and drivers are bare PE32+ headers.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile
from typing import TYPE_CHECKING

from tests.builders.guests import ntfs, winhives
from tests.builders.guests.winhives import CLOUDBASE, VENDORS, XENBUS_PACKAGE, State

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.builders.guests.regf import Hive

MIB = 1 << 20
SECTOR = 512
X86_64, I386, ARM64 = 0x8664, 0x14C, 0xAA64
SERVICES = "cloudbaseinit.metadata.services."
PLUGINS = "cloudbaseinit.plugins."
CONFIG = "Windows/System32/config/"
FOLDER = CLOUDBASE[3:].replace("\\", "/")
"""of cloudbase-init"""
CONF, UNATTEND_CONF = f"{FOLDER}conf/cloudbase-init.conf", f"{FOLDER}conf/cloudbase-init-unattend.conf"
SETUP_COMPLETE = "Windows/Setup/Scripts/SetupComplete.cmd"
STATE_INI = "Windows/Setup/State/State.ini"
PROGRAM_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"

# Sizes in MiB and starts, after what Windows' own setup makes.
ESP_SIZE, RESERVED_SIZE, SYSTEM_SIZE, DRIVE_SIZE = 64, 16, 32, 96
EFI_TABLE = """label: gpt
label-id: 6F1D8E52-8B0E-4A0F-9C1B-7D3A5E2B4C61
start={esp},size={esp_size},type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B,name="EFI system partition"
start={reserved},size={reserved_size},type=E3C9E316-0B5C-4DB8-817D-F92DF00215AE,name="Microsoft reserved partition"
start={drive},size={drive_size},type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7,name="Basic data partition"
"""
BIOS_TABLE = """label: dos
label-id: 0x12345678
start={system},size={system_size},type=7,bootable
start={drive},size={drive_size},type=7
"""
UNATTEND = f"""<?xml version="1.0" encoding="utf-8"?>
<unattend xmlns="urn:schemas-microsoft-com:unattend">
  <settings pass="generalize">
    <component name="Microsoft-Windows-PnpSysprep" processorArchitecture="amd64">
      <PersistAllDeviceInstalls>true</PersistAllDeviceInstalls>
    </component>
  </settings>
  <settings pass="specialize">
    <component name="Microsoft-Windows-Deployment" processorArchitecture="amd64">
      <RunSynchronous>
        <RunSynchronousCommand>
          <Order>1</Order>
          <Path>"{CLOUDBASE}Python\\Scripts\\cloudbase-init.exe" --config-file "{CLOUDBASE}conf\\\
cloudbase-init-unattend.conf"</Path>
        </RunSynchronousCommand>
      </RunSynchronous>
    </component>
  </settings>
</unattend>
"""


def portable_executable(machine: int = X86_64) -> bytes:
    """The smallest bytes that are taken for a PE32+ program."""
    data = bytearray(512)
    data[:2] = b"MZ"
    struct.pack_into("<I", data, 60, 128)
    data[128:132] = b"PE\0\0"
    struct.pack_into("<HHIIIHHH", data, 132, machine, 0, 0, 0, 0, 240, 0x22, 0x20B)
    return bytes(data)


def with_version(version: str) -> bytes:
    """A program with a version resource, as far as its fixed part goes."""
    major, minor, build, private = (int(part) for part in version.split("."))
    fixed = struct.pack("<IIIIII", 0xFEEF04BD, 0x10000, major << 16 | minor, build << 16 | private, 0, 0)
    return portable_executable() * 3 + "VS_VERSION_INFO\0".encode("utf-16-le") + fixed + bytes(512)


def ini(settings: Mapping[str, str], section: str = "DEFAULT") -> bytes:
    """A configuration file with one section."""
    return "\r\n".join([f"[{section}]", *(f"{name}={value}" for name, value in settings.items()), ""]).encode()


class Guest:
    """Windows in a state; hives and files may be changed before it is written."""

    def __init__(self, state: State | None = None) -> None:
        self.state = state or State()
        self.system = winhives.system(self.state)
        self.software = winhives.software(self.state)
        self.bcd = winhives.bcd(self.state)
        self.conf = _settings()
        """settings of cloudbase-init.conf; empty: no such file"""
        self.unattend_conf = _unattend_settings(self.conf)
        self.files: dict[str, bytes] = {}
        """of drive C:, but for hives and configuration files"""
        for part in (_windows, _drivers, _cloudbase):
            self.files.update(part(self.state))

    def drive(self) -> dict[str, bytes]:
        """All files of drive C:."""
        dirty = self.state.dirty
        files = dict(self.files)
        files[f"{CONFIG}SYSTEM"] = self.system.build(dirty=dirty)
        files[f"{CONFIG}SOFTWARE"] = self.software.build(dirty=dirty)
        if self.state.cbi != "none":
            for path, settings in ((CONF, self.conf), (UNATTEND_CONF, self.unattend_conf)):
                if settings:
                    files[path] = ini(settings)
        return files

    def boot(self) -> dict[str, bytes]:
        """All files of the EFI system partition, or of the active partition of a BIOS."""
        if self.state.firmware == "bios":
            return {"bootmgr": b"bootmgr\n", "Boot/BCD": self.bcd.build()}
        loader = portable_executable()
        return {
            "EFI/Microsoft/Boot/BCD": self.bcd.build(),
            "EFI/Microsoft/Boot/bootmgfw.efi": loader,
            "EFI/Boot/bootx64.efi": loader,
        }

    def set_in(self, hive: Hive, path: str, **numbers: int) -> None:
        """Set DWORDs of a key; shorter than two calls."""
        hive.key(path).number(**numbers)

    def write(self, path: pathlib.Path, *, cluster: int = 4096) -> None:
        """Write the whole disk as a raw image."""
        write_disk(path, self.state.firmware, self.drive(), self.boot(), cluster=cluster)


def _settings() -> dict[str, str]:
    return {
        "username": "Admin",
        "groups": "Administrators",
        "inject_user_password": "true",
        "config_drive_raw_hhd": "true",
        "config_drive_cdrom": "true",
        "config_drive_vfat": "true",
        "bsdtar_path": f"{CLOUDBASE}bin\\bsdtar.exe",
        "mtools_path": f"{CLOUDBASE}bin\\",
        "log_dir": f"{CLOUDBASE}log\\",
        "log_file": "cloudbase-init.log",
        "local_scripts_path": f"{CLOUDBASE}LocalScripts\\",
        "metadata_services": f"{SERVICES}configdrive.ConfigDriveService,{SERVICES}httpservice.HttpService",
    }


def _unattend_settings(settings: Mapping[str, str]) -> dict[str, str]:
    plugins = (
        "common.mtu.MTUPlugin",
        "common.sethostname.SetHostNamePlugin",
        "windows.extendvolumes.ExtendVolumesPlugin",
    )
    return {
        **settings,
        "log_file": "cloudbase-init-unattend.log",
        "allow_reboot": "false",
        "stop_service_on_exit": "false",
        "plugins": ",".join(PLUGINS + name for name in plugins),
    }


def _windows(state: State) -> Iterator[tuple[str, bytes]]:
    for name in ("cmd.exe", "ntoskrnl.exe", "winload.efi", "winload.exe"):
        yield f"Windows/System32/{name}", portable_executable()
    yield STATE_INI, f"[State]\r\nImageState={winhives.image_state(state)}\r\n".encode()
    yield "Users/Public/desktop.ini", b"\r\n"
    yield "pagefile.sys", bytes(65536)
    if state.hibernated:
        yield "hiberfil.sys", b"HIBR" + bytes(4092)
    if state.sysprep == "generalized":
        yield "Windows/System32/Sysprep/Sysprep_succeeded.tag", b""
        yield "Windows/System32/Sysprep/Panther/setuperr.log", b""
        yield "Windows/Panther/unattend.xml", UNATTEND.encode()


def _drivers(state: State) -> Iterator[tuple[str, bytes]]:
    if state.pv == "none":
        return
    vendor = VENDORS[state.pv]
    for name in ("xen", "xenbus", "xenfilt", "xenvbd", "xendisk", "xencrsh", "xenvif", "xennet", "xeniface"):
        yield f"Windows/System32/drivers/{name}.sys", with_version(vendor.bus)
    ids = ",".join(f"PCI\\{name}" for name in winhives.staged_ids(state))
    lines = (
        "[Version]", 'Signature="$Windows NT$"', "Class=System", "Provider=%Vendor%",
        f"DriverVer=06/01/2025,{vendor.bus}", "[Manufacturer]", "%Vendor%=Inst,NTamd64", "[Inst.NTamd64]",
        f"%XenBusName%=XenBus_Inst,{ids}", "[Strings]", f'Vendor="{vendor.name}"', 'XenBusName="PV Bus"', "",
    )  # fmt: skip
    inf = b"\xff\xfe" + "\r\n".join(lines).encode("utf-16-le")
    yield "Windows/INF/oem3.inf", inf
    yield f"Windows/System32/DriverStore/FileRepository/{XENBUS_PACKAGE}/xenbus.inf", inf


def _cloudbase(state: State) -> Iterator[tuple[str, bytes]]:
    if state.cbi == "none":
        return
    for name in ("OpenStackService.exe", "bsdtar.exe", "mcopy.exe", "mdir.exe", "mlabel.exe"):
        yield f"{FOLDER}bin/{name}", portable_executable()
    yield f"{FOLDER}Python/Scripts/cloudbase-init.exe", portable_executable()
    yield f"{FOLDER}conf/Unattend.xml", UNATTEND.encode()
    yield f"{FOLDER}LocalScripts/readme.txt", b"\r\n"
    if state.booted:
        yield f"{FOLDER}log/cloudbase-init.log", b"2025-01-01 00:00:00.000 INFO Plugins execution done\r\n" * 200
    if state.sysprep == "generalized" and state.cbi == "demand":
        yield SETUP_COMPLETE, b"sc config cloudbase-init start= auto && net start cloudbase-init\r\n"


def write_disk(
    path: pathlib.Path, firmware: str, drive: Mapping[str, bytes], boot: Mapping[str, bytes], *, cluster: int = 4096
) -> None:
    """Write a disk as Windows lays it out: *drive* as its C:, *boot* where its firmware looks.

    bios: MBR; 1 active NTFS with bootmgr and BCD, 2 NTFS. uefi: GPT; 1 ESP (FAT32), 2 Microsoft reserved, 3 NTFS.
    """
    first = ESP_SIZE + RESERVED_SIZE if firmware == "uefi" else SYSTEM_SIZE
    starts = {"esp": 1, "system": 1, "reserved": 1 + ESP_SIZE, "drive": 1 + first}
    sizes = {"esp": ESP_SIZE, "system": SYSTEM_SIZE, "reserved": RESERVED_SIZE, "drive": DRIVE_SIZE}
    sectors = {name: start * MIB // SECTOR for name, start in starts.items()}
    sectors |= {f"{name}_size": size * MIB // SECTOR for name, size in sizes.items()}
    with tempfile.TemporaryDirectory() as directory:
        work = pathlib.Path(directory)
        with open(path, "wb") as file:
            file.truncate((1 + first + DRIVE_SIZE + 1) * MIB)
        table = EFI_TABLE if firmware == "uefi" else BIOS_TABLE
        run("sfdisk", "-q", str(path), text=table.format_map(sectors))
        if firmware == "uefi":
            _write_esp(work / "boot", boot)
        else:
            _write_ntfs(work / "boot", SYSTEM_SIZE, "System Reserved", sectors["system"], boot)
        _write_ntfs(work / "drive", DRIVE_SIZE, "Windows", sectors["drive"], drive, cluster=cluster)
        with open(path, "r+b") as disk:
            if firmware == "bios":
                disk.write(b"\x33\xc0\x8e\xd0")  # something where the boot code stands
            for name, start in (("boot", 1), ("drive", starts["drive"])):
                _place(work / name, disk.fileno(), start * MIB)


def _write_ntfs(
    path: pathlib.Path, size: int, label: str, start: int, files: Mapping[str, bytes], *, cluster: int = 4096
) -> None:
    run("cp", "--sparse=always", str(_empty_ntfs(size, label, start, cluster)), str(path))
    ntfs.fill(path, files)


@functools.cache
def _scratch() -> tempfile.TemporaryDirectory[str]:
    """A directory that is gone when the process ends."""
    return tempfile.TemporaryDirectory(prefix="xenimage-guests-")


@functools.cache
def _empty_ntfs(size: int, label: str, start: int, cluster: int) -> pathlib.Path:
    path = pathlib.Path(_scratch().name) / f"{size}-{start}-{cluster}.ntfs"
    ntfs.format_volume(path, size * MIB, label=label, start=start, cluster=cluster)
    return path


def _write_esp(path: pathlib.Path, files: Mapping[str, bytes]) -> None:
    with open(path, "wb") as file:
        file.truncate(ESP_SIZE * MIB)
    run("mkfs.vfat", "-F", "32", "-n", "SYSTEM", str(path))
    folders = sorted({str(above) for name in files for above in pathlib.PurePosixPath(name).parents} - {"."})
    if folders:
        run("mmd", "-i", str(path), *(f"::/{folder}" for folder in folders))
    for name, data in files.items():
        content = path.with_suffix(".file")
        content.write_bytes(data)
        run("mcopy", "-i", str(path), str(content), f"::/{name}")


def run(*command: str, text: str = "") -> None:
    """Run a program of the system."""
    program = shutil.which(command[0], path=PROGRAM_PATH) or command[0]
    environment = {**os.environ, "MTOOLS_SKIP_CHECK": "1"}
    done = subprocess.run(
        [program, *command[1:]], input=text, capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stdout}{done.stderr}")


def _place(volume: pathlib.Path, disk: int, offset: int) -> None:
    """Copy what is stored of the sparse file *volume* into a disk."""
    with open(volume, "rb") as source:
        end, size = 0, volume.stat().st_size
        while end < size:
            try:
                start = os.lseek(source.fileno(), end, os.SEEK_DATA)
            except OSError:
                return
            end = os.lseek(source.fileno(), start, os.SEEK_HOLE)
            for at in range(start, end, MIB):
                os.pwrite(disk, os.pread(source.fileno(), min(MIB, end - at), at), offset + at)


@functools.cache
def disk(state: State) -> pathlib.Path:
    """A raw disk of the system in *state*, made once in a process. It must not be written to."""
    path = pathlib.Path(_scratch().name) / f"{len(list(pathlib.Path(_scratch().name).iterdir()))}.raw"
    Guest(state).write(path)
    return path


READY_BIOS, READY_UEFI = State(firmware="bios"), State()
STATES = {
    "good-uefi": READY_UEFI,
    "good-bios": READY_BIOS,
    "bad-bios": dataclasses.replace(
        READY_BIOS, pv="none", sysprep="complete", cbi="auto", booted=True, vmtools=True, hibernated=True, dirty=True
    ),
    "c000-uefi": State(pv="citrix", active="C000"),
    "staged-uefi": State(active="none"),
    "disabled-uefi": State(active="0001", cbi="disabled"),
}
"""six that any check of readiness has to tell apart"""
