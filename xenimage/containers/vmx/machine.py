"""From the keys of a VMX to the machine that they describe."""

from __future__ import annotations

import dataclasses
import os
import re
from typing import TYPE_CHECKING

from xenimage.containers.vmx.drives import Drives
from xenimage.containers.vmx.kinds import few, found
from xenimage.model.machine import Machine, Network, Nic
from xenimage.units import MIB

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xenimage.containers.vmx.dictionary import Dictionary
    from xenimage.containers.vmx.folder import Folder
    from xenimage.exceptions import UnsafeError
    from xenimage.model.finding import Finding
    from xenimage.model.machine import PackageFile

_DEFAULT_MEMORY = 32
_MOST_MEMORY = 1 << 26
"""MiB: twice as much as VMware gives to a machine, and more"""
_MOST_CPUS = 4096
_CARDS = 10
_FIRMWARES = {"": "bios", "bios": "bios", "efi": "uefi"}
"""a machine has a BIOS where nothing is said"""
_BOOT_DEVICES = {"hdd": "c", "cdrom": "d", "ethernet": "n"}
"""as Xen calls them"""
_CARD = re.compile(r"ethernet([0-9]{1,9})\.present", re.ASCII)
_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")
_HARDWARE = re.compile(
    r"(floppy|serial|parallel|usb|usb_xhci|ehci|sound|sharedfolder|pcipassthru)[0-9]{0,9}\.present", re.ASCII
)
_PHRASES = {
    "floppy": "floppy drive",
    "serial": "serial port",
    "parallel": "parallel port",
    "usb": "USB controller",
    "usb_xhci": "USB controller",
    "ehci": "USB controller",
    "sound": "sound card",
    "sharedfolder": "shared folder",
    "pcipassthru": "PCI device of the host",
}
# VMware's server writes what may not stand in the name of a directory in this way.
_ESCAPED = re.compile(r"%(2f|25|5c)", re.IGNORECASE)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Description:
    """What a VMX describes."""

    machine: Machine
    version: str
    files: tuple[PackageFile, ...]
    networks: tuple[Network, ...]
    refused: Mapping[str, UnsafeError]
    """disks whose files are not opened, by their identifiers, and why"""
    findings: tuple[Finding, ...]


def read_description(dictionary: Dictionary, folder: Folder) -> Description:
    """Find the machine. Looks which of its files are there."""
    drives = Drives(dictionary, folder)
    reader = _Reader(dictionary)
    machine = reader.machine(os.path.splitext(folder.descriptor)[0], drives)
    networks = dict.fromkeys(nic.network for nic in machine.nics)
    lock = f"{folder.descriptor}.lck"
    locked = (found("locked", name=lock),) if folder.locked else ()
    return Description(
        machine=machine,
        version=dictionary.text("config.version"),
        files=tuple(drives.files.values()),
        networks=tuple(Network(name=name) for name in networks),
        refused=drives.refused,
        findings=few((*dictionary.findings, *reader.findings, *drives.findings, *locked)),
    )


class _Reader:
    """Reads what is no drive."""

    def __init__(self, dictionary: Dictionary) -> None:
        self._dictionary = dictionary
        self.findings: list[Finding] = []

    def machine(self, stem: str, drives: Drives) -> Machine:
        """The machine; *stem* is its file's name, which stands in for what it is not called."""
        text = self._dictionary.text
        stem = os.fsencode(stem).decode("utf-8", "backslashreplace")
        cpus = self._cpus()
        version = self._versions()
        annotation = text("annotation")
        return Machine(
            identifier=stem,
            name=_ESCAPED.sub(lambda match: chr(int(match[1], 16)), text("displayname")) or stem,
            description=annotation,
            uuid=self._uuid(),
            cpus=cpus,
            cores_per_socket=self._cores(cpus),
            memory=self._memory(),
            firmware=self._firmware(),
            secure_boot=self._dictionary.flag("uefi.secureboot.enabled") if text("uefi.secureboot.enabled") else None,
            tpm=self._dictionary.flag("vtpm.present") or bool(text("managedvm.autoaddvtpm")),
            vm_mode="hvm",
            os_name=text("guestos"),
            disks=drives.disks,
            nics=self._nics(),
            cdroms=drives.cdroms,
            annotation=annotation,
            virtual_system_types=(f"vmx-{int(version):02}",) if version else (),
            settings=self._settings(),
            ignored=tuple(dict.fromkeys([*self._ignored(), *drives.ignored])),
        )

    def _versions(self) -> str:
        """The version of the virtual hardware; empty where it is not known."""
        for key, name in (("config.version", "config.version"), ("virtualhw.version", "virtualHW.version")):
            if self._dictionary.number(key, 999) is None:
                self.findings.append(found("version", key=name))
        if self._dictionary.text("checkpoint.vmstate"):
            self.findings.append(found("suspended", name=self._dictionary.text("checkpoint.vmstate")))
        return str(self._dictionary.number("virtualhw.version", 999) or "")

    def _uuid(self) -> str:
        digits = re.sub(r"[\s-]", "", self._dictionary.text("uuid.bios").lower())
        if not re.fullmatch(r"[0-9a-f]{32}", digits):
            return ""
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

    def _memory(self) -> int | None:
        """Bytes."""
        said = self._dictionary.text("memsize")
        if not said:
            self.findings.append(found("memory", "unset"))
            return _DEFAULT_MEMORY * MIB
        value = self._dictionary.number("memsize", _MOST_MEMORY)
        if value is None:
            self.findings.append(found("memory", value=_short(said)))
            return None
        if value % 4:
            self.findings.append(found("memory", "odd", value=value))
        return value * MIB

    def _cpus(self) -> int | None:
        said = self._dictionary.text("numvcpus")
        value = self._dictionary.number("numvcpus", _MOST_CPUS) if said else 1
        if value is None:
            self.findings.append(found("cpu", value=_short(said)))
        return value

    def _cores(self, cpus: int | None) -> int | None:
        said = self._dictionary.text("cpuid.corespersocket")
        if said in ("", "0") or cpus is None:  # 0: as the host likes
            return None
        value = self._dictionary.number("cpuid.corespersocket", _MOST_CPUS)
        if value is None or cpus % value:
            self.findings.append(found("cpu", "cores", value=_short(said), cpus=cpus))
            return None
        return value

    def _firmware(self) -> str:
        said = self._dictionary.text("firmware").lower()
        if said not in _FIRMWARES:
            self.findings.append(found("firmware", value=_short(said)))
        return _FIRMWARES.get(said, "")

    def _nics(self) -> tuple[Nic, ...]:
        numbers, strange = set(), []
        for key in self._dictionary.values:
            match = _CARD.fullmatch(key)
            if match is None or not self._dictionary.flag(key):
                continue
            if int(match[1]) < _CARDS and key == f"ethernet{int(match[1])}.present":
                numbers.add(int(match[1]))
            else:
                strange.append(key.removesuffix(".present"))
        if strange:
            self.findings.append(found("device", count=len(strange), device=strange[0]))
        return tuple(self._nic(f"ethernet{number}") for number in sorted(numbers))

    def _nic(self, device: str) -> Nic:
        def said(key: str) -> str:
            return self._dictionary.text(f"{device}.{key}")

        network = said("networkname") or said("dvs.portgroupid") or said("vnet") or said("connectiontype") or "bridged"
        return Nic(network=network, label=device, mac=self._mac(device), model=said("virtualdev"))

    def _mac(self, device: str) -> str:
        """The address of a card: that which its owner gave it, or that which VMware made."""
        keys = [f"{device}.address", f"{device}.generatedaddress"]
        if self._dictionary.text(f"{device}.addresstype").lower() in ("generated", "vpx"):
            keys.reverse()
        said = self._dictionary.text(keys[0]) or self._dictionary.text(keys[1])
        mac = said.lower().replace("-", ":")
        if mac and not _MAC.fullmatch(mac):
            self.findings.append(found("card.mac", device=device, value=_short(said)))
            return ""
        return mac

    def _settings(self) -> dict[str, str]:
        """The order in which kinds of devices are tried at the start, in Xen's words, where it is said."""
        said = self._dictionary.text("bios.bootorder").lower().split(",")
        devices = (_BOOT_DEVICES.get(device.strip().rstrip("0123456789"), "") for device in said)
        order = "".join(dict.fromkeys(devices))
        return {"HVM_boot_params": f"order={order}"} if order else {}

    def _ignored(self) -> list[str]:
        keys = [key for key in self._dictionary.values if self._dictionary.flag(key)]
        return [_PHRASES[match[1]] for key in keys if (match := _HARDWARE.fullmatch(key))]


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:60] + "…"
