"""What a package says of its machine, as image properties."""

from __future__ import annotations

import dataclasses

import ddt

from tests.base import TestCase
from xenimage.model.machine import Machine, MachineDisk, Nic
from xenimage.model.profile import PropertyRule, Rule
from xenimage.profiles.machines import machine_suggestions
from xenimage.profiles.registry import BUILTIN

NOVA = BUILTIN["nova-xenapi"]
ALL = (
    "vm_mode", "os_type", "architecture", "hw_firmware_type", "os_secure_boot", "hw_tpm_version", "hw_cpu_cores",
    "hw_cpu_sockets", "hw_disk_bus", "hw_vif_model", "hw_device_id", "os_command_line",
)  # fmt: skip
READER = dataclasses.replace(
    NOVA,
    name="reader",
    properties=tuple(PropertyRule(name=name, rule=Rule.ALLOW, reason="It is read.", source="a test") for name in ALL),
)
"""a consumer that reads everything"""


def machine(**fields: object) -> Machine:
    return Machine(identifier="m", name="web", **fields)  # type: ignore[arg-type]


def nics(*models: str) -> dict[str, object]:
    return {"nics": tuple(Nic(network="LAN", model=model) for model in models)}


def disks(*buses: str) -> dict[str, object]:
    return {"disks": tuple(MachineDisk(identifier=str(number), bus=bus) for number, bus in enumerate(buses))}


def platform(text: str) -> dict[str, object]:
    return {"settings": {"platform": text}}


@ddt.ddt
class SuggestionsTest(TestCase):
    def values(self, **fields: object) -> dict[str, str]:
        return {each.name: each.value for each in machine_suggestions(machine(**fields), READER)}

    @ddt.data(
        ({}, {}),
        ({"firmware": "uefi"}, {"hw_firmware_type": "uefi"}),
        ({"firmware": "bios"}, {"hw_firmware_type": "bios"}),
        ({"vm_mode": "hvm"}, {"hw_vm_mode": "hvm"}),
        ({"vm_mode": "xen"}, {"hw_vm_mode": "xen"}),
        ({"secure_boot": True}, {"os_secure_boot": "required"}),
        ({"secure_boot": False}, {}),
        (platform("nx=true; secureboot=auto"), {"os_secure_boot": "optional"}),
        (platform("secureboot=false"), {}),
        ({"tpm": True}, {"hw_tpm_version": "2.0"}),
        ({"cpus": 8}, {}),
        ({"cpus": 8, "cores_per_socket": 4}, {"hw_cpu_cores": "4", "hw_cpu_sockets": "2"}),
        ({"cpus": 6, "cores_per_socket": 4}, {"hw_cpu_cores": "4"}),
        ({"cores_per_socket": 4}, {"hw_cpu_cores": "4"}),
        (disks("scsi", "ide"), {"hw_disk_bus": "scsi"}),
        (disks("xen"), {"hw_disk_bus": "xen"}),
        (disks("", "ide"), {}),
        (disks("nvme"), {}),
        (nics("VmxNet3", "vmxnet3"), {"hw_vif_model": "vmxnet3"}),
        (nics("PCNet32"), {"hw_vif_model": "pcnet"}),
        (nics("E1000", "VmxNet3"), {}),
        (nics("E1000", ""), {}),
        (nics("Sriov"), {}),
        (platform("device_id=0002;acpi=1"), {"hw_device_id": "0002"}),
        (platform("device_id;acpi=1"), {}),
        ({"virtual_system_types": ("xen-3.0-x86_64",)}, {"architecture": "x86_64"}),
        ({"virtual_system_types": ("hvm-3.0-x86_32",)}, {"architecture": "i686"}),
        ({"virtual_system_types": ("vmx-19", "hvm-3.0-unknown")}, {}),
        ({"vm_mode": "hvm", "settings": {"PV_args": "root=/dev/xvda1"}}, {"hw_vm_mode": "hvm"}),
        (
            {"vm_mode": "xen", "settings": {"PV_args": "root=/dev/xvda1"}},
            {"hw_vm_mode": "xen", "os_command_line": "root=/dev/xvda1"},
        ),
    )
    @ddt.unpack
    def test_what_follows(self, fields: dict[str, object], expected: dict[str, str]) -> None:
        self.assertEqual(expected, self.values(**fields))

    @ddt.data(
        ("windows2019srv_64Guest", None, "windows"),
        ("winServer2008Standard-64", None, "windows"),
        ("Windows Server 2022 (64-bit)", 36, "windows"),
        ("Windows10_64", None, "windows"),
        ("debian12_64Guest", None, "linux"),
        ("Ubuntu Jammy Jellyfish 22.04", None, "linux"),
        ("Red Hat Enterprise Linux 9", None, "linux"),
        ("other5xLinux64Guest", 1, "linux"),
        ("sles15-64", None, "linux"),
        ("Other install media", None, None),
        ("darwin20_64Guest", None, None),
        ("freebsd13-64", None, None),
        ("XenOVF Created Export", 0, None),
        ("", 121, "windows"),
        ("", 58, "windows"),
        ("", 96, "linux"),
        ("", 107, "linux"),
        ("otherGuest64", 80, "linux"),
        ("", 1, None),
        ("", 42, None),
        ("", None, None),
    )
    @ddt.unpack
    def test_the_system(self, name: str, number: int | None, expected: str | None) -> None:
        self.assertEqual(expected, self.values(os_name=name, os_id=number).get("os_type"))

    def test_each_says_who_says_so(self) -> None:
        (found,) = machine_suggestions(machine(firmware="uefi"), READER)
        self.assertTrue(found.claimed)
        self.assertEqual("the package says firmware=uefi", found.evidence)
        self.assertEqual("The machine started with UEFI.", found.reason)

    @ddt.data("", "x" * 256, "root=/dev/xvda1\n", "\x1b[2J")
    def test_words_that_are_no_property(self, text: str) -> None:
        self.assertEqual({"hw_vm_mode": "xen"}, self.values(vm_mode="xen", settings={"PV_args": text}))
        self.assertEqual({}, self.values(settings={"platform": f"device_id={text.rstrip() or text}\x07"}))

    @ddt.data(
        ("nova-xenapi", ["hw_vm_mode", "os_type", "hw_device_id", "hw_firmware_type"]),
        ("cloudstack", []),
        ("xcp-ng", []),
    )
    @ddt.unpack
    def test_only_what_the_consumer_reads(self, profile: str, expected: list[str]) -> None:
        full = machine(
            vm_mode="hvm", os_name="debian", firmware="bios", cpus=4, cores_per_socket=2, tpm=True, secure_boot=True,
            **platform("device_id=0001"), **nics("E1000"), **disks("ide"),
        )  # fmt: skip
        found = [each.name for each in machine_suggestions(full, BUILTIN[profile])]
        self.assertEqual(sorted(expected), sorted(found))
