"""From wishes to properties."""

from __future__ import annotations

import dataclasses

import ddt

from tests.base import TestCase
from xenimage.exceptions import UsageError
from xenimage.model.check import Suggestion
from xenimage.model.finding import Severity
from xenimage.model.plan import BundleOptions, SourceOptions
from xenimage.profiles.properties import decide
from xenimage.profiles.registry import BUILTIN
from xenimage.profiles.rules import VM_MODE_REASON

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
                self.assertTrue(text or name in ("offset", "evidence"), f"{finding.code}: {name}")


def saw(name: str, value: str, *also: str) -> Suggestion:
    return Suggestion(name=name, value=value, reason="It is so.", evidence="etc/os-release: ID=x", also=also)


@ddt.ddt
class GuestTest(TestCase):
    """What follows from the guest, between the profile's defaults and what the user says."""

    def values(self, *seen: Suggestion, profile: str = "nova-xenapi") -> dict[str, str]:
        return {each.name: each.value for each in decide(BUILTIN[profile], wish(), seen)[0]}

    def found(
        self, given: tuple[str, str], *seen: Suggestion, profile: str = "nova-xenapi"
    ) -> list[tuple[str, Severity]]:
        return [(each.code, each.severity) for each in decide(BUILTIN[profile], wish(given), seen)[1]]

    def test_the_profiles_come_first_and_each_has_its_reason_and_evidence(self) -> None:
        properties = decide(NOVA, wish(("a", "b")), (saw("os_distro", "debian"), saw("os_type", "linux")))[0]
        self.assertEqual(
            [
                ("vm_mode", "hvm", VM_MODE_REASON, ""),
                ("os_type", "linux", "It is so.", "etc/os-release: ID=x"),
                ("os_distro", "debian", "It is so.", "etc/os-release: ID=x"),
                ("a", "b", "Given by you.", ""),
            ],
            [(each.name, each.value, each.reason, each.evidence) for each in properties],
        )

    def test_the_guest_wins_over_the_default_and_the_user_over_the_guest(self) -> None:
        seen = saw("img_config_drive", "optional")
        self.assertEqual("optional", decide(NOVA, wish(), (seen,))[0][1].value)
        properties, findings = decide(NOVA, wish(("img_config_drive", "mandatory")), (seen,))
        self.assertEqual(("mandatory", "Given by you."), (properties[1].value, properties[1].reason[:13]))
        finding = findings[0]
        self.assertEqual("property.img_config_drive.contradicts", finding.code)
        self.assertEqual(
            "The property img_config_drive is mandatory, but what is on the disk asks for img_config_drive=optional.",
            finding.what,
        )
        self.assertEqual(("It is so.", ("etc/os-release: ID=x",)), (finding.why, finding.evidence))

    def test_legacy_names_where_only_those_are_read(self) -> None:
        self.assertEqual({"vm_mode": "hvm"}, self.values(saw("hw_vm_mode", "hvm")))
        self.assertEqual(
            [("property.vm_mode.contradicts", Severity.WARNING)],
            self.found(("vm_mode", "xen"), saw("hw_vm_mode", "hvm")),
        )
        seen = (saw("hw_device_id", "2"),)
        self.assertEqual("2", self.values(*seen, profile="nova-xenapi-6")["xenapi_device_id"])

    @ddt.data("nova-xenapi", "nova-vdi-stream", "cinder", "rackspace", "xcp-ng")
    def test_no_device_id_where_it_keeps_servers_from_starting(self, profile: str) -> None:
        self.assertNotIn("xenapi_device_id", self.values(saw("xenapi_device_id", "2"), profile=profile))

    @ddt.data("cloudstack", "xcp-ng")
    def test_nothing_for_a_target_without_properties(self, profile: str) -> None:
        self.assertEqual({}, self.values(saw("os_type", "linux"), profile=profile))

    def test_what_the_target_does_not_understand_is_left_out(self) -> None:
        self.assertEqual({"vm_mode": "hvm"}, self.values(saw("hw_firmware_type", "uefi")))
        self.assertNotIn("xenapi_device_id", self.values(saw("xenapi_device_id", "2"), profile="rackspace"))

    @ddt.data("a" * 256, "8\x1b[31m", "8\n", "8\u202e", "8\0")
    def test_a_word_that_is_none_becomes_no_property(self, value: str) -> None:
        self.assertNotIn("os_version", self.values(saw("os_version", value)))

    def test_a_long_word_becomes_a_property(self) -> None:
        self.assertEqual("ä" * 255, self.values(saw("os_version", "ä" * 255))["os_version"])

    def test_a_system_that_the_target_does_not_take_is_refused(self) -> None:
        properties, findings = decide(BUILTIN["rackspace"], wish(("ssh_user", "x")), (saw("os_type", "windows"),))
        self.assertIn("windows", [each.value for each in properties])
        self.assertEqual(["property.os_type.refused"], [each.code for each in findings])

    @ddt.data(
        ("os_type", "linux", "windows", Severity.ERROR),
        ("os_version", "2016", "2022", Severity.WARNING),
        ("os_admin_user", "me", "Admin", Severity.INFO),
        ("architecture", "i686", "x86_64", Severity.WARNING),
        ("auto_disk_config", "true", "false", Severity.WARNING),
    )
    @ddt.unpack
    def test_a_contradiction_weighs_what_it_breaks(self, name: str, given: str, seen: str, severity: Severity) -> None:
        self.assertEqual([(f"property.{name}.contradicts", severity)], self.found((name, given), saw(name, seen)))

    @ddt.data(("hvm", []), ("xen", [("property.vm_mode.contradicts", Severity.ERROR)]))
    @ddt.unpack
    def test_windows_cannot_be_paravirtualised(self, mode: str, codes: list[object]) -> None:
        seen = (saw("os_type", "windows"), saw("hw_vm_mode", "hvm"))
        self.assertEqual(codes, self.found(("vm_mode", mode), *seen))

    @ddt.data(
        ("architecture", "amd64", saw("architecture", "x86_64")),
        ("auto_disk_config", "0", saw("auto_disk_config", "false")),
        ("hw_firmware_type", "bios", saw("hw_firmware_type", "uefi", "bios")),
    )
    @ddt.unpack
    def test_the_same_in_other_words_is_no_contradiction(self, name: str, given: str, seen: Suggestion) -> None:
        self.assertEqual([], self.found((name, given), seen))

    @ddt.data(
        ("0002", saw("xenapi_device_id", "2"), []),
        ("1", saw("xenapi_device_id", "2"), [("property.xenapi_device_id.contradicts", Severity.ERROR)]),
        ("2", saw("xenapi_device_id", "", "1"), [("property.xenapi_device_id.contradicts", Severity.ERROR)]),
        ("0001", saw("xenapi_device_id", "", "1"), []),
    )
    @ddt.unpack
    def test_the_device_that_the_guest_was_bound_to(self, given: str, seen: Suggestion, codes: list[object]) -> None:
        self.assertEqual(codes, self.found(("xenapi_device_id", given), seen, profile="nova-xenapi-6"))

    def test_one_that_must_not_be_set_is_not(self) -> None:
        self.assertNotIn("xenapi_device_id", self.values(saw("xenapi_device_id", ""), profile="nova-xenapi-6"))
        what = decide(BUILTIN["nova-xenapi-6"], wish(("xenapi_device_id", "2")), (saw("xenapi_device_id", ""),))[1][
            0
        ].what
        self.assertIn("asks for no xenapi_device_id.", what)
