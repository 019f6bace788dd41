"""A package's claims against what is on the disk, and the user's wishes over both."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import ddt

from tests.base import TestCase
from tests.unit.engine.support import BLOCK
from tests.unit.profiles.test_machines import READER, machine, platform
from xenimage.engine.claims import weigh
from xenimage.engine.mapper import BlockMap
from xenimage.engine.planner import Found, bare_vhd_command, plan
from xenimage.model.check import Readiness, Suggestion
from xenimage.model.disk import DiskFacts
from xenimage.model.finding import Severity
from xenimage.model.guest.facts import GuestFacts
from xenimage.model.machine import MachineDisk, Origin
from xenimage.model.plan import BundleOptions, PackageChoice, SourceOptions
from xenimage.profiles.registry import BUILTIN

if TYPE_CHECKING:
    from xenimage.model.machine import Machine
    from xenimage.model.plan import Plan

NOVA = BUILTIN["nova-xenapi"]
DISK = MachineDisk(identifier="Ref:6")
LINUX = Suggestion(name="os_type", value="linux", reason="The guest is Linux.", evidence="/etc/os-release")
MODE = Suggestion(name="hw_vm_mode", value="hvm", reason="It has a boot loader.", evidence="/boot/grub")
EITHER = Suggestion(name="hw_firmware_type", value="bios", also=("uefi",), reason="Either.", evidence="")
NO_DEVICE = Suggestion(name="xenapi_device_id", value="", also=("1",), reason="Linux crashes.", evidence="disk 0")


def guest(*suggestions: Suggestion) -> Readiness:
    return Readiness(facts=GuestFacts(disks=()), findings=(), suggestions=suggestions)


@ddt.ddt
class WeighTest(TestCase):
    def codes(self, described: Machine, *seen: Suggestion, profile: str = "nova-xenapi") -> list[str]:
        return [each.code for each in weigh(described, guest(*seen), BUILTIN[profile])[1]]

    def test_no_package(self) -> None:
        self.assertEqual(((), ()), weigh(None, None, NOVA))
        self.assertEqual(((LINUX,), ()), weigh(None, guest(LINUX), NOVA))

    def test_nobody_looked(self) -> None:
        found, findings = weigh(machine(vm_mode="xen", os_name="debian"), None, NOVA)
        self.assertEqual({("os_type", "linux"), ("hw_vm_mode", "xen")}, {(each.name, each.value) for each in found})
        self.assertEqual((), findings)

    def test_the_disk_is_believed(self) -> None:
        described = machine(os_name="Windows Server 2019 (64-bit)", vm_mode="hvm")
        found, findings = weigh(described, guest(LINUX), NOVA)
        self.assertEqual([("os_type", "linux"), ("hw_vm_mode", "hvm")], [(each.name, each.value) for each in found])
        (finding,) = findings
        self.assertEqual(("package.property.contradiction", Severity.WARNING), (finding.code, finding.severity))
        self.assertEqual(
            "The package asks for os_type=windows, but what is on the disk asks for os_type=linux.", finding.what
        )
        self.assertEqual(("the package says system=Windows Server 2019 (64-bit)", "/etc/os-release"), finding.evidence)

    @ddt.data(
        ({"os_name": "debian"}, (LINUX,), 0),
        ({"vm_mode": "hvm"}, (MODE,), 0),
        ({"vm_mode": "xen"}, (MODE,), 1),  # hw_vm_mode and vm_mode are one
        ({"firmware": "uefi"}, (EITHER,), 0),
        (platform("device_id=0001"), (NO_DEVICE,), 0),
        (platform("device_id=0002"), (NO_DEVICE,), 1),
    )
    @ddt.unpack
    def test_contradictions(self, fields: dict[str, object], seen: tuple[Suggestion, ...], count: int) -> None:
        self.assertEqual(["package.property.contradiction"] * count, self.codes(machine(**fields), *seen))

    @ddt.data(("nova-xenapi", 1), ("rackspace", 1), ("cinder", 0), ("xcp-ng", 0))
    @ddt.unpack
    def test_a_firmware_that_the_target_does_not_have(self, profile: str, count: int) -> None:
        self.assertEqual(["package.firmware"] * count, self.codes(machine(firmware="uefi"), profile=profile))
        self.assertEqual([], self.codes(machine(firmware="bios"), profile=profile))
        self.assertEqual([], self.codes(machine(), profile=profile))
        # Whether the disk starts is then for the checks of the guest to say.
        seen = dataclasses.replace(EITHER, value="uefi")
        self.assertNotIn("package.firmware", self.codes(machine(firmware="uefi"), seen, profile=profile))


@ddt.ddt
class PlanTest(TestCase):
    def plan(
        self, described: Machine | None, *seen: Suggestion, profile: str = "nova-xenapi", **wishes: object
    ) -> Plan:
        facts = DiskFacts(format="raw", virtual_size=BLOCK, granularity=512, stored_size=BLOCK)
        origin = Origin(kind="xva", machine=described, disk=DISK) if described else None
        found = Found(path="vm.xva", facts=facts, blocks=BlockMap(ranges=(), blocks=0, data_size=0), origin=origin)
        options = BundleOptions(source=SourceOptions(path="vm.xva"), output="o", profile=profile, **wishes)  # type: ignore[arg-type]
        return plan(options, BUILTIN[profile], [found], guest(*seen) if seen else None, jobs=1, now=10**9)

    def test_properties_of_the_package_are_set(self) -> None:
        found = {each.name: each for each in self.plan(machine(vm_mode="xen", os_name="debian12-64")).properties}
        self.assertEqual(("xen", "linux"), (found["vm_mode"].value, found["os_type"].value))
        self.assertEqual("the package says vm_mode=xen", found["vm_mode"].evidence)

    def test_no_package_no_properties(self) -> None:
        self.assertEqual([("vm_mode", "hvm")], [(each.name, each.value) for each in self.plan(None).properties])

    def test_the_disk_wins_over_the_package(self) -> None:
        made = self.plan(machine(vm_mode="xen"), MODE)
        self.assertEqual([("vm_mode", "hvm")], [(each.name, each.value) for each in made.properties])
        self.assertEqual(["package.property.contradiction"], [each.code for each in made.findings])
        self.assertFalse(made.refused)

    @ddt.data(
        ({"os_name": "Windows 10"}, {"os_type": "linux"}, "os_type"),
        ({"vm_mode": "xen"}, {"vm_mode": "hvm"}, "vm_mode"),
    )
    @ddt.unpack
    def test_the_user_wins_over_the_package(self, fields: dict[str, object], wishes: dict[str, str], name: str) -> None:
        made = self.plan(machine(**fields), **wishes)
        self.assertEqual(wishes[name], {each.name: each.value for each in made.properties}[name])
        (finding,) = made.findings
        self.assertEqual((f"property.{name}.contradicts", Severity.WARNING), (finding.code, finding.severity))
        self.assertIn(", but the package asks for ", finding.what)
        self.assertFalse(made.refused)

    def test_the_user_wins_over_both(self) -> None:
        made = self.plan(machine(os_name="Windows 10"), LINUX, os_type="windows")
        self.assertEqual("windows", {each.name: each.value for each in made.properties}["os_type"])
        self.assertEqual(
            ["property.os_type.contradicts", "package.property.contradiction"], [each.code for each in made.findings]
        )
        self.assertIn(", but what is on the disk asks for os_type=linux", made.findings[0].what)
        self.assertTrue(made.refused)

    @ddt.data(("nova-xenapi", None), ("nova-xenapi-6", "0002"))
    @ddt.unpack
    def test_a_device_id_only_where_a_server_starts_with_it(self, profile: str, expected: str | None) -> None:
        made = self.plan(machine(**platform("device_id=0002")), profile=profile)
        self.assertEqual(expected, {each.name: each.value for each in made.properties}.get("xenapi_device_id"))

    def test_a_consumer_that_reads_more_is_told_more(self) -> None:
        found = {each.name for each in weigh(machine(cpus=4, cores_per_socket=2, tpm=True), None, READER)[0]}
        self.assertEqual({"hw_cpu_cores", "hw_cpu_sockets", "hw_tpm_version"}, found)

    def test_the_command_for_the_disk_alone_names_the_disk(self) -> None:
        choice = PackageChoice(machine="web", disk="2", deployment="large")
        options = BundleOptions(source=SourceOptions(path="two.ovf", choice=choice), output="o.tgz")
        self.assertEqual(["--vm", "web", "--disk", "2", "--deployment", "large"], bare_vhd_command(options)[-6:])
