"""Image properties that follow from what a package says of its machine. It may be wrong: the disk was not looked at.

Sources: XenAPI reference, class VM; DSP0004 and CIM_OperatingSystem for the systems; glance, etc/metadefs, and nova,
objects/fields.py, for names and values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.model.check import Suggestion
from xenimage.profiles.properties import is_sane, named

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from xenimage.model.machine import Machine
    from xenimage.model.profile import Profile

_WINDOWS_IDS = frozenset({58, 67, 69, 70, 73, 74, 76, 77, 103, 105, *range(112, 124)})
_LINUX_IDS = frozenset({36, 79, 80, *range(82, 86), *range(93, 97), *range(99, 102), *range(106, 110)})
"""of CIM_OperatingSystem.OSType; others are too rare, or say too little"""
_LINUXES = (
    "linux", "ubuntu", "debian", "rhel", "red hat", "redhat", "centos", "fedora", "suse", "sles", "rocky", "alma",
    "oraclelinux", "photon", "coreos", "gentoo", "mandriva", "turbolinux", "scientific", "neokylin", "asianux",
    "amazon",
)  # fmt: skip
"""in the names that VMware, VirtualBox and the templates of XenServer have"""
_BUSES = frozenset({"ide", "scsi", "sata", "virtio", "xen"})
_MODELS = {
    "e1000": "e1000",
    "e1000e": "e1000e",
    "vmxnet3": "vmxnet3",
    "pcnet32": "pcnet",
    "virtio": "virtio",
    "rtl8139": "rtl8139",
}
"""of cards: how packages call them, in lower case, and Nova"""
_ARCHITECTURES = {"x86_64": "x86_64", "x86_32": "i686"}
_SECURE = {"true": "required", "auto": "optional"}


def machine_suggestions(machine: Machine, profile: Profile) -> tuple[Suggestion, ...]:
    """Say what the image of a machine should be told, as far as the consumer of *profile* reads it.

    :returns: each name once, as the profile calls it, with what the package says as the evidence.
    """
    known = {rule.name for rule in profile.properties}
    usable = tuple(each for each in _all(machine) if is_sane(each.value))
    return tuple(each for name, each in named(profile, usable).items() if name in known)


def _all(machine: Machine) -> Iterator[Suggestion]:
    yield from _system(machine)
    if machine.vm_mode:
        reason = (
            "The machine had firmware of its own." if machine.vm_mode == "hvm" else "The machine ran paravirtualised."
        )
        yield _said("hw_vm_mode", machine.vm_mode, reason, f"vm_mode={machine.vm_mode}")
    yield from _firmware(machine)
    yield from _processors(machine)
    yield from _devices(machine)
    arguments = machine.settings.get("PV_args", "")
    if machine.vm_mode == "xen" and arguments:
        yield _said("os_command_line", arguments, "The kernel was started so.", f"PV_args={arguments}")


def _said(name: str, value: str, reason: str, evidence: str) -> Suggestion:
    return Suggestion(name=name, value=value, reason=reason, evidence=f"the package says {evidence}", claimed=True)


def _system(machine: Machine) -> Iterator[Suggestion]:
    """Linux or Windows, by the name of the system or else by its number; and for which processor."""
    name = machine.os_name.strip().lower()
    found = ""
    if name.startswith("win") or "windows" in name:
        found = "windows"
    elif any(each in name for each in _LINUXES):
        found = "linux"
    elif machine.os_id in _WINDOWS_IDS | _LINUX_IDS:
        found = "windows" if machine.os_id in _WINDOWS_IDS else "linux"
        name = ""
    if found:
        evidence = f"system={machine.os_name}" if name else f"system={machine.os_id}"
        yield _said("os_type", found, f"The machine was made for {found.capitalize()}.", evidence)
    for kind in machine.virtual_system_types:
        architecture = _ARCHITECTURES.get(kind.rpartition("-")[2])
        if architecture:
            yield _said("architecture", architecture, "The machine was made for this processor.", f"type={kind}")


def _firmware(machine: Machine) -> Iterator[Suggestion]:
    if machine.firmware:
        reason = "The machine started with UEFI." if machine.firmware == "uefi" else "The machine started with a BIOS."
        yield _said("hw_firmware_type", machine.firmware, reason, f"firmware={machine.firmware}")
    secure = _SECURE.get(_pairs(machine.settings.get("platform", "")).get("secureboot", "").lower())
    secure = "required" if machine.secure_boot else secure
    if secure:
        yield _said("os_secure_boot", secure, "The machine started with Secure Boot.", f"secure boot {secure}")
    if machine.tpm:
        yield _said("hw_tpm_version", "2.0", "The machine had a TPM.", "tpm")


def _processors(machine: Machine) -> Iterator[Suggestion]:
    cores, cpus = machine.cores_per_socket, machine.cpus
    if not cores:
        return
    reason = "Systems are licensed by sockets, and some use only a few of them."
    evidence = f"{cores} cores in each socket"
    yield _said("hw_cpu_cores", str(cores), reason, evidence)
    if cpus and cpus % cores == 0:
        yield _said("hw_cpu_sockets", str(cpus // cores), reason, f"{evidence}, {cpus} processors")


def _devices(machine: Machine) -> Iterator[Suggestion]:
    """The bus of the disk that the machine starts from, its cards, and Xen's platform device."""
    first = machine.disks[0] if machine.disks else None
    if first is not None and first.bus in _BUSES:
        yield _said(
            "hw_disk_bus", first.bus, "The system has the driver for it.", f"bus={first.bus_model or first.bus}"
        )
    models = {_MODELS.get(nic.model.lower(), "") for nic in machine.nics}
    model = next(iter(models)) if len(models) == 1 else ""
    if model:
        evidence = f"network card={machine.nics[0].model}"
        yield _said("hw_vif_model", model, "The system has the driver for it.", evidence)
    device = _pairs(machine.settings.get("platform", "")).get("device_id", "")
    if device:
        reason = "PV drivers are bound to the platform device that the machine had."
        yield _said("hw_device_id", device, reason, f"device_id={device}")


def _pairs(text: str) -> Mapping[str, str]:
    """``nx=true;acpi=1`` as a mapping."""
    pairs = (pair.partition("=") for pair in text.split(";"))
    return {key.strip(): value.strip() for key, _, value in pairs}
