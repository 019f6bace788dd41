"""From the records of an export to the machines that they describe. Source: XenAPI reference, classes VM, VBD, VIF."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

from xenimage.containers.xva.description import virtual_size
from xenimage.containers.xva.kinds import BY_CODE
from xenimage.model.machine import Machine, MachineDisk, Network, Nic, PackageFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xenimage.containers.xva.description import Description, Record
    from xenimage.limits import Limits
    from xenimage.model.finding import Finding

VHD_LARGEST = 2040 << 30
"""bytes"""
_TEXTS = (
    "PV_args", "PV_bootloader", "PV_bootloader_args", "PV_kernel", "PV_legacy_args", "PV_ramdisk",
    "hardware_platform_version", "recommendations", "reference_label",
)  # fmt: skip
_MAPPINGS = ("HVM_boot_params", "platform", "NVRAM")
_DELAYS = ("order", "start_delay", "shutdown_delay")
_NOT_KEPT = (
    ("VGPUs", "virtual GPU"),
    ("VUSBs", "USB device"),
    ("attached_PCIs", "PCI device"),
)
_NO_DISKS = frozenset(
    {"suspend", "crashdump", "ha_statefile", "metadata", "redo_log", "rrd", "pvs_cache", "cbt_metadata"}
)
"""types of a VDI that a guest does not see"""
_PARAVIRTUAL = frozenset({"pv", "pvh", "pv_in_pvh"})
_DEVICE = re.compile(r"(?:xvd|sd|hd)([a-z])(?:[0-9]*)")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contents:
    """What an export describes."""

    machines: tuple[Machine, ...]
    files: tuple[PackageFile, ...]
    networks: tuple[Network, ...]
    findings: tuple[Finding, ...]


def mapping_text(values: dict[str, str]) -> str:
    """How a mapping stands among the settings of a machine, as in XenCenter's OVF: ``nx=true;acpi=1``."""
    return ";".join(f"{key}={value}" for key, value in values.items())


def read_contents(description: Description, limits: Limits, *, chunks: bool) -> Contents:
    """Find the machines.

    :param chunks: whether anything follows ``ova.xml``; without it the disks come without content.
    :raises FormatError: records contradict each other, or a disk has no sensible size.
    :raises LimitError: a disk is too large.
    """
    machines = [vm for vm in description.of_class("VM") if not vm.flag("is_control_domain")]
    proper = [vm for vm in machines if not vm.flag("is_a_snapshot")]
    devices = {cls: _by_machine(description, cls) for cls in ("VBD", "VIF")}
    found = tuple(_Reader(description, vm, devices, limits, chunks=chunks).machine() for vm in proper)
    disks = {disk.identifier: disk for machine in found for disk in machine.disks}
    return Contents(
        machines=found,
        files=tuple(PackageFile(identifier=each, name=each) for each in sorted(disks)) if chunks else (),
        networks=tuple(
            Network(name=each.text("name_label"), description=each.text("name_description"))
            for each in description.of_class("network")
        ),
        findings=(*_of_machines(machines), *_of_disks([disks[each] for each in sorted(disks)])),
    )


def _by_machine(description: Description, cls: str) -> dict[str, list[Record]]:
    """The devices of a class by the machine that they belong to."""
    devices: dict[str, list[Record]] = {}
    for each in description.of_class(cls):
        vm = description.follow(each, "VM", "VM")
        if vm is not None:
            devices.setdefault(vm.reference, []).append(each)
    return devices


def _of_machines(machines: list[Record]) -> Iterator[Finding]:
    snapshots: dict[str, list[str]] = {}
    for each in machines:
        if each.flag("is_a_snapshot"):
            snapshots.setdefault(each.text("snapshot_of"), []).append(each.text("name_label"))
    for vm in machines:
        own = snapshots.get(vm.reference, [])
        if own:
            count = "one snapshot" if len(own) == 1 else f"{len(own)} snapshots"
            yield BY_CODE["xva.snapshots"].found(count=count, machine=vm.text("name_label"), names=", ".join(own))
        if vm.flag("is_a_template") and not vm.flag("is_a_snapshot"):
            yield BY_CODE["xva.template"].found(machine=vm.text("name_label"))


def _of_disks(disks: list[MachineDisk]) -> Iterator[Finding]:
    """:param disks: in the order of their references as text, in which they are stored."""
    for number, disk in enumerate(disks):
        size = disk.capacity or 0
        if number == 0 and size < 1 << 20 and len(disks) > 1:
            yield BY_CODE["xva.disk.first"].found(reference=disk.identifier, size=size)
        if size > VHD_LARGEST:
            yield BY_CODE["xva.disk.large"].found(reference=disk.identifier, size=size)


class _Reader:
    """One machine."""

    def __init__(
        self,
        description: Description,
        vm: Record,
        devices: dict[str, dict[str, list[Record]]],
        limits: Limits,
        *,
        chunks: bool,
    ) -> None:
        self._description = description
        self._vm = vm
        self._devices = {cls: each.get(vm.reference, []) for cls, each in devices.items()}
        self._limits = limits
        self._chunks = chunks
        self._ignored: list[str] = []
        self._cdroms: list[str] = []

    def machine(self) -> Machine:
        """Read it."""
        vm = self._vm
        platform, boot = vm.mapping("platform"), vm.mapping("HVM_boot_params")
        mode = self._mode()
        disks = self._disks()
        for field, phrase in _NOT_KEPT:
            self._ignored += [phrase] * len(vm.items(field))
        return Machine(
            identifier=vm.text("uuid") or vm.reference,
            name=vm.text("name_label"),
            description=vm.text("name_description"),
            uuid=vm.text("uuid"),
            cpus=vm.number("VCPUs_at_startup"),
            cpus_max=vm.number("VCPUs_max"),
            cores_per_socket=_positive(platform.get("cores-per-socket", "")),
            memory=vm.number("memory_dynamic_max") or vm.number("memory_static_max"),
            firmware=(boot.get("firmware", "").lower() or "bios") if mode == "hvm" else "",
            secure_boot={"true": True, "false": False}.get(platform.get("secureboot", "").lower()),
            tpm=bool(vm.items("VTPMs")) or platform.get("vtpm", "").lower() == "true",
            vm_mode=mode,
            os_name=self._os_name(),
            disks=disks,
            nics=self._nics(),
            cdroms=tuple(self._cdroms),
            virtual_system_types=(f"{mode}-3.0-{vm.text('domarch') or 'unknown'}",),
            settings=self._settings(),
            ignored=tuple(self._ignored),
        )

    def _mode(self) -> str:
        kind = self._vm.text("domain_type")
        if kind in _PARAVIRTUAL:
            return "xen"
        return "hvm" if kind == "hvm" or self._vm.text("HVM_boot_policy") else "xen"

    def _os_name(self) -> str:
        template = self._vm.mapping("other_config").get("base_template_name", "")
        return template or self._vm.text("reference_label")

    def _settings(self) -> dict[str, str]:
        """What has no place of its own, by its name in the XenAPI."""
        vm = self._vm
        settings = {"HVM_boot_policy": vm.text("HVM_boot_policy")}
        settings |= {name: mapping_text(vm.mapping(name)) for name in _MAPPINGS if vm.mapping(name)}
        settings |= {name: vm.text(name) for name in _TEXTS if vm.text(name) not in ("", "0")}
        settings |= {name: vm.text(name) for name in _DELAYS if vm.number(name)}
        if vm.text("HVM_shadow_multiplier") not in ("", "1", "1.0", "1.000"):
            settings["HVM_shadow_multiplier"] = vm.text("HVM_shadow_multiplier")
        if vm.flag("has_vendor_device"):
            settings["has_vendor_device"] = "true"
        return settings

    def _disks(self) -> tuple[MachineDisk, ...]:
        disks = []
        for vbd in self._devices["VBD"]:
            vdi = self._description.follow(vbd, "VDI", "VDI")
            kind = vbd.text("type")
            if kind == "Floppy":
                self._ignored.append("floppy drive")
            elif kind == "CD" or (vdi is not None and self._on_iso(vdi)):
                self._cdroms.append("")
                if vdi is not None:
                    self._ignored.append(f"image {vdi.text('name_label')!r} in a CD drive")
            elif vdi is not None and vdi.text("type") in _NO_DISKS:
                self._ignored.append(f"{vdi.text('type')} volume")
            elif vdi is not None and not vbd.flag("empty"):
                disks.append(self._disk(vbd, vdi))
        return tuple(sorted(disks, key=lambda disk: (not disk.bootable, disk.address)))

    def _on_iso(self, vdi: Record) -> bool:
        repository = self._description.follow(vdi, "SR", "SR")
        return repository is not None and repository.text("content_type") == "iso"

    def _disk(self, vbd: Record, vdi: Record) -> MachineDisk:
        return MachineDisk(
            identifier=vdi.reference,
            label=vdi.text("name_label"),
            capacity=virtual_size(vdi, self._limits),
            populated=vdi.number("physical_utilisation"),
            file=vdi.reference if self._chunks else "",
            bus="xen",
            address=(0, _device(vbd.text("userdevice"))),
            bootable=vbd.flag("bootable"),
            read_only=vbd.text("mode") == "RO",
        )

    def _nics(self) -> tuple[Nic, ...]:
        found = []
        for vif in self._devices["VIF"]:
            network = self._description.follow(vif, "network", "network")
            label = vif.text("device")
            nic = Nic(
                network=network.text("name_label") if network else "",
                label=label,
                mac=vif.text("MAC").lower(),
                mtu=vif.number("MTU") or None,
            )
            found.append((_device(label), nic))
        return tuple(nic for _, nic in sorted(found, key=lambda each: each[0]))


def _positive(text: str) -> int | None:
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
    return number or None


def _device(text: str) -> int:
    """Number of a device: ``0``, or by its name, ``xvda``."""
    match = _DEVICE.fullmatch(text)
    if match:
        return ord(match[1]) - ord("a")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
