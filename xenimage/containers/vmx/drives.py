"""The drives of a VMX and what is in them: ``scsi0:1.fileName`` and its neighbours."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, NamedTuple

from xenimage.containers.vmx.folder import safe_name
from xenimage.containers.vmx.kinds import found
from xenimage.exceptions import UnsafeError
from xenimage.model.machine import MachineDisk, PackageFile

if TYPE_CHECKING:
    from collections.abc import Iterable

    from xenimage.containers.vmx.dictionary import Dictionary
    from xenimage.containers.vmx.folder import Folder
    from xenimage.model.finding import Finding

_ROOM = {"ide": (2, 2), "scsi": (4, 65), "sata": (4, 30), "nvme": (4, 64)}
"""controllers of each bus, and units of each controller"""
_PRESENT = re.compile(r"(ide|scsi|sata|nvme)([0-9]{1,9}):([0-9]{1,9})\.present", re.ASCII)
_DISKS = frozenset({"", "disk", "ata-harddisk", "scsi-harddisk", "rawdisk", "plaindisk"})
_RAW = frozenset({"rawdisk"})
_NO_FILES = frozenset({"", "auto detect", "emptybackingstring"})
_FORGETFUL = ("nonpersistent", "undoable", "append")


class Drive(NamedTuple):
    """A drive, by its address."""

    bus: str
    controller: int
    unit: int

    @property
    def device(self) -> str:
        """How keys begin that are about it: ``scsi0:1``."""
        return f"{self.bus}{self.controller}:{self.unit}"


class Drives:
    """All drives. What is odd with them is in :attr:`findings`."""

    def __init__(self, dictionary: Dictionary, folder: Folder) -> None:
        self._dictionary = dictionary
        self._folder = folder
        self.findings: list[Finding] = []
        self.files: dict[str, PackageFile] = {}
        self.refused: dict[str, UnsafeError] = {}
        """disks whose files are not opened, by their identifiers, and why"""
        self.ignored: list[str] = []
        self.disks: tuple[MachineDisk, ...] = ()
        """in the order of their addresses, that from which the machine starts first"""
        self.cdroms: tuple[str, ...] = ()
        self._read()

    def _read(self) -> None:
        disks: dict[Drive, MachineDisk] = {}
        cdroms = []
        for drive in self._present():
            kind = self._said(drive, "devicetype").lower()
            name = self._said(drive, "filename")
            if "cdrom" in kind or (not kind and (name.lower().endswith(".iso") or name.lower() == "auto detect")):
                cdroms.append(self._cdrom(drive, kind, name))
            elif kind not in _DISKS:
                self.ignored.append(f"{drive.bus.upper()} device of the host")
            elif not name:
                self.findings.append(found("disk.unattached", device=drive.device))
            else:
                disks[drive] = self._disk(drive, kind, name)
        self.cdroms = tuple(cdroms)
        self.disks = self._ordered(disks)

    def _present(self) -> list[Drive]:
        """The drives that the machine has."""
        drives, strange = set(), []
        for key in self._dictionary.values:
            match = _PRESENT.fullmatch(key)
            if match is None or not self._dictionary.flag(key):
                continue
            drive = Drive(match[1], int(match[2]), int(match[3]))
            controllers, units = _ROOM[drive.bus]
            # A number with a zero in front is not the same key: VMware would not know it.
            if drive.controller < controllers and drive.unit < units and key == f"{drive.device}.present":
                drives.add(drive)
            else:
                strange.append(key.removesuffix(".present"))
        if strange:
            self.findings.append(found("device", count=len(strange), device=strange[0]))
        buses = list(_ROOM)
        return sorted(drives, key=lambda drive: (buses.index(drive.bus), drive.controller, drive.unit))

    def _said(self, drive: Drive, key: str) -> str:
        return self._dictionary.text(f"{drive.device}.{key}")

    # Disks

    def _disk(self, drive: Drive, kind: str, said: str) -> MachineDisk:
        name = self._file(drive, said)
        controller = f"{drive.bus}{drive.controller}"
        if drive.bus != "ide" and not self._dictionary.flag(f"{controller}.present"):
            self.findings.append(found("disk.controller", disk=said, device=drive.device, controller=controller))
        mode = self._said(drive, "mode").lower()
        if mode.endswith(_FORGETFUL):
            self.findings.append(found("disk.mode", disk=said, mode=mode))
        if kind in _RAW:
            self.findings.append(found("disk.raw", disk=said))
        return MachineDisk(
            identifier=name or said,
            label=drive.device,
            file=name or said,
            format="vmdk" if said.lower().endswith(".vmdk") else "",
            bus=drive.bus,
            bus_model=self._dictionary.text(f"{controller}.virtualdev"),
            address=(drive.controller, drive.unit),
        )

    def _file(self, drive: Drive, said: str) -> str:
        """Identifier of the file of a disk; empty where it is not opened: then opening the disk tells why."""
        try:
            name = safe_name(said)
            if not self._folder.has(name):
                self.findings.append(found("file.missing", name=name, device=drive.device))
        except UnsafeError as error:
            self.findings.append(found("file.name", device=drive.device, error=error))
            self.refused[said] = error
            return ""
        self.files[name] = PackageFile(identifier=name, name=name)
        return name

    def _ordered(self, disks: dict[Drive, MachineDisk]) -> tuple[MachineDisk, ...]:
        self._judge_twice(disks.values())
        if not disks:
            self.findings.append(found("disk.none"))
            return ()
        said = self._dictionary.text("bios.hddorder").lower().split(",")
        order = {device.strip(): place for place, device in reversed(list(enumerate(said)))}
        ordered = [disks[drive] for drive in sorted(disks, key=lambda drive: order.get(drive.device, len(order)))]
        buses = sorted({drive.bus for drive in disks})
        if len(buses) > 1 and ordered[0].label not in order:
            self.findings.append(found("disk.order", buses=", ".join(buses), disk=ordered[0].identifier))
        return (dataclasses.replace(ordered[0], bootable=True), *ordered[1:])

    def _judge_twice(self, disks: Iterable[MachineDisk]) -> None:
        first: dict[str, str] = {}
        for disk in disks:
            if disk.identifier in first:
                self.findings.append(
                    found("disk.twice", disk=disk.identifier, device=first[disk.identifier], other=disk.label)
                )
            first.setdefault(disk.identifier, disk.label)

    # CD drives

    def _cdrom(self, drive: Drive, kind: str, said: str) -> str:
        """Identifier of the file in a CD drive; empty for an empty drive, and for one of the host."""
        if said.lower() in _NO_FILES or (kind and kind != "cdrom-image"):
            return ""
        try:
            name = safe_name(said)
            if not self._folder.has(name):
                self.findings.append(found("file.missing", "cdrom", name=name, device=drive.device))
                return ""
        except UnsafeError as error:
            self.findings.append(found("file.name", "cdrom", device=drive.device, error=error))
            return ""
        self.files[name] = PackageFile(identifier=name, name=name)
        return name
