"""From wishes to properties."""

from __future__ import annotations

import dataclasses

import ddt

from tests.base import TestCase
from xenimage.exceptions import UsageError
from xenimage.model.finding import Severity
from xenimage.model.plan import BundleOptions, SourceOptions
from xenimage.profiles.properties import decide
from xenimage.profiles.registry import BUILTIN

NOVA = BUILTIN["nova-xenapi"]


def wish(*properties: tuple[str, str], vm_mode: str | None = None, os_type: str | None = None) -> BundleOptions:
    source = SourceOptions(path="disk.qcow2")
    return BundleOptions(source=source, output="-", vm_mode=vm_mode, os_type=os_type, properties=properties)


@ddt.ddt
class DecideTest(TestCase):
    def codes(self, options: BundleOptions, profile: str = "nova-xenapi") -> list[tuple[str, Severity]]:
        return [(each.code, each.severity) for each in decide(BUILTIN[profile], options)[1]]

    def values(self, options: BundleOptions, profile: str = "nova-xenapi") -> dict[str, str]:
        return {each.name: each.value for each in decide(BUILTIN[profile], options)[0]}

    def test_nova_says_the_mode_explicitly_and_guesses_no_os_type(self) -> None:
        properties, findings = decide(NOVA, wish())
        self.assertEqual([("vm_mode", "hvm")], [(each.name, each.value) for each in properties])
        self.assertEqual((), findings)
        self.assertIn("paravirtualised", properties[0].reason)

    def test_the_users_values_win_and_unknown_ones_pass_in_order(self) -> None:
        options = wish(("os_distro", "debian"), ("architecture", "x86_64"), vm_mode="xen", os_type="linux")
        self.assertEqual(
            [("vm_mode", "xen"), ("os_type", "linux"), ("architecture", "x86_64"), ("os_distro", "debian")],
            list(self.values(options).items()),
        )
        self.assertEqual([], self.codes(options))

    def test_rackspace_sets_what_its_document_asks_for(self) -> None:
        self.assertEqual({"vm_mode": "hvm", "img_config_drive": "mandatory"}, self.values(wish(), "rackspace"))
        self.assertEqual([("property.ssh_user.missing", Severity.WARNING)], self.codes(wish(), "rackspace"))
        self.assertEqual([], self.codes(wish(("ssh_user", "debian")), "rackspace"))

    def test_a_missing_property_says_what_to_add(self) -> None:
        finding = decide(BUILTIN["rackspace"], wish())[1][0]
        self.assertEqual("Add --property ssh_user=VALUE.", finding.act)

    @ddt.data("cloudstack", "xcp-ng")
    def test_a_consumer_without_properties_gets_none(self, profile: str) -> None:
        self.assertEqual({}, self.values(wish(), profile))
        self.assertEqual([], self.codes(wish(), profile))
        self.assertEqual([("property.all.unread", Severity.INFO)], self.codes(wish(vm_mode="hvm"), profile))

    @ddt.data(
        ("vm_mode", "foo", "Write --property vm_mode=hvm|xen."),
        ("vm_mode", "HVM", "Write --property vm_mode=hvm."),
        ("os_type", "Windows", "Write --property os_type=windows."),
        ("hypervisor_type", "XenServer", "Write --property hypervisor_type=xen|xapi."),
        ("hw_firmware_type", "uefi", "Write --property hw_firmware_type=bios."),
    )
    @ddt.unpack
    def test_an_illegal_value_is_an_error_that_names_the_right_ones(self, name: str, value: str, act: str) -> None:
        findings = decide(NOVA, wish((name, value)))[1]
        self.assertEqual([(f"property.{name}.value", Severity.ERROR)], [(f.code, f.severity) for f in findings])
        self.assertEqual(act, findings[0].act)

    @ddt.data(
        ("hw_vm_mode", "xen", "The property hw_vm_mode is xen, but vm_mode is hvm."),
        ("img_use_agent", "true", "The property img_use_agent is true, but xenapi_use_agent is not set."),
    )
    @ddt.unpack
    def test_todays_name_alone_is_a_trap(self, name: str, value: str, what: str) -> None:
        findings = decide(NOVA, wish((name, value)))[1]
        self.assertEqual([(f"property.{name}.unread", what)], [(f.code, f.what) for f in findings])

    def test_todays_name_beside_the_legacy_one_is_fine(self) -> None:
        self.assertEqual([], self.codes(wish(("hw_vm_mode", "hvm"))))
        self.assertEqual([], self.codes(wish(("hw_vm_mode", "xen")), "xcp-ng")[1:])

    def test_the_device_id_comes_with_its_trap(self) -> None:
        expected = [("property.xenapi_device_id.trap", Severity.WARNING)]
        self.assertEqual(expected, self.codes(wish(("xenapi_device_id", "0002"))))

    def test_rackspace_takes_no_windows(self) -> None:
        options = wish(("ssh_user", "admin"), ("xenapi_device_id", "2"), os_type="windows")
        self.assertEqual(
            [("property.os_type.refused", Severity.ERROR), ("property.xenapi_device_id.forbidden", Severity.ERROR)],
            self.codes(options, "rackspace"),
        )

    def test_an_attribute_of_the_image_is_no_property(self) -> None:
        self.assertEqual([("property.min_disk.core", Severity.ERROR)], self.codes(wish(("min_disk", "5"))))

    def test_giving_a_property_twice(self) -> None:
        self.assertEqual("xen", self.values(wish(("vm_mode", "xen"), vm_mode="xen"))["vm_mode"])
        with self.assertRaises(UsageError) as caught:
            decide(NOVA, wish(("vm_mode", "xen"), vm_mode="hvm"))
        self.assertEqual("property vm_mode is given as 'hvm' and as 'xen', expected one value", str(caught.exception))

    def test_every_finding_is_complete(self) -> None:
        options = wish(("hw_vm_mode", "xen"), ("kernel_id", "x"), ("os_type", "Linux"), ("min_ram", "1"))
        findings = decide(NOVA, options)[1]
        self.assertEqual(4, len(findings))
        for finding in findings:
            for name, text in dataclasses.asdict(finding).items():
                self.assertTrue(text or name == "offset", f"{finding.code}: {name}")
