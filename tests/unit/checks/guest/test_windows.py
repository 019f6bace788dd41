"""Windows systems with one fault each, and exactly the findings and the properties that follow."""

from __future__ import annotations

import dataclasses
import unittest

import ddt

from tests.builders.guests.windows import Guest
from tests.builders.guests.windows_states import BY_NAME, CASES, Case
from tests.fakes.guests import look_at
from xenimage.checks.guest import registry, windows
from xenimage.model.finding import Severity
from xenimage.model.guest.facts import GuestFacts, Unread
from xenimage.profiles import properties
from xenimage.profiles.registry import BUILTIN as PROFILES

# A target that takes everything that a Windows can ask for.
TARGET = dataclasses.replace(PROFILES["nova-xenapi-6"], firmwares=("bios", "uefi"))
USUAL = {
    "os_type": "windows",
    "os_distro": "windows",
    "os_version": "2022",
    "architecture": "x86_64",
    "vm_mode": "hvm",
    "auto_disk_config": "false",
    "os_admin_user": "Admin",
}
"""properties of every state that says nothing else; an empty one there means that nothing is suggested"""


def expected_properties(case: Case) -> dict[str, str]:
    """What is to be suggested for *case*."""
    wanted = {**USUAL, "hw_firmware_type": case.state.firmware, **dict(case.properties)}
    wanted = {name: value for name, value in wanted.items() if value}
    return wanted if case.device_id is None else {**wanted, "xenapi_device_id": case.device_id}


@ddt.ddt
class StatesTest(unittest.TestCase):
    maxDiff = None

    @ddt.data(*sorted(BY_NAME))
    def test_exactly_the_expected_is_found(self, name: str) -> None:
        case = BY_NAME[name]
        facts = look_at(case.guest())
        self.assertEqual((), facts.unread)
        found = registry.judge(facts, TARGET)
        for severity, codes in (
            (Severity.ERROR, case.errors),
            (Severity.WARNING, case.warnings),
            (Severity.INFO, case.infos),
        ):
            self.assertEqual(set(codes), {each.code for each in found if each.severity is severity}, severity)
        for each in found:
            self.assertTrue(each.evidence, each.code)
        suggested = registry.suggest(facts, TARGET)
        self.assertEqual(expected_properties(case), {each.name: each.value for each in suggested})
        for suggestion in suggested:
            self.assertTrue(suggestion.evidence, suggestion.name)
            self.assertTrue(suggestion.reason.endswith("."), suggestion.name)

    def test_every_kind_has_a_state(self) -> None:
        kinds = {kind.code for check in windows.CHECKS for kind in check.kinds}
        made = {code for case in CASES for code in (*case.errors, *case.warnings, *case.infos)}
        elsewhere = {
            "windows.device-id.trap", "windows.state.hive", "windows.state.volume", "windows.boot.store",
            "windows.boot.manager",
        }  # fmt: skip
        self.assertEqual(kinds, made | elsewhere)


class TargetTest(unittest.TestCase):
    """What depends on the target."""

    def codes(self, name: str, profile: str) -> dict[str, Severity]:
        target = dataclasses.replace(PROFILES[profile], firmwares=("bios", "uefi"))
        return {each.code: each.severity for each in registry.judge(look_at(BY_NAME[name].guest()), target)}

    def test_no_device_id_can_be_given_to_new_hosts(self) -> None:
        self.assertEqual({"windows.device-id.trap": Severity.WARNING}, self.codes("good-uefi", "nova-xenapi"))
        self.assertEqual({}, self.codes("good-uefi", "nova-xenapi-6"))
        for name in ("0001-uefi", "staged-uefi", "precedence"):
            self.assertEqual({}, self.codes(name, "nova-xenapi"), name)

    def test_a_machine_that_is_made_by_hand_can_have_any_device(self) -> None:
        self.assertEqual({}, self.codes("good-uefi", "xcp-ng"))
        self.assertEqual({"windows.device-id.vendor": Severity.WARNING}, self.codes("c000-uefi", "xcp-ng"))

    def test_a_guest_that_goes_on_as_itself_needs_no_cloud(self) -> None:
        self.assertEqual({"windows.sysprep.installed": Severity.INFO}, self.codes("installed", "xcp-ng"))
        self.assertEqual({"windows.cloudbase-init.none": Severity.INFO}, self.codes("no-cloudbase", "xcp-ng"))
        self.assertEqual({"windows.sysprep.half-done": Severity.ERROR}, self.codes("half-done", "xcp-ng"))

    def test_windows_gets_no_grub(self) -> None:
        found = registry.judge(look_at(BY_NAME["good-uefi"].guest()), PROFILES["nova-xenapi-6"])
        self.assertEqual(["disk.firmware.uefi"], [each.code for each in found])
        self.assertTrue(found[0].act.startswith("Install Windows anew"), found[0].act)

    def test_profiles_weigh_what_there_is(self) -> None:
        for profile in PROFILES.values():
            self.assertEqual(set(), set(profile.severities) - set(registry.KINDS), profile.name)

    def test_where_there_is_no_config_drive_nobody_misses_it(self) -> None:
        profile = dataclasses.replace(TARGET, config_drive="")
        for name in ("no-disks", "no-iso", "no-bsdtar"):
            self.assertEqual((), registry.judge(look_at(BY_NAME[name].guest()), profile), name)

    def test_a_config_drive_on_a_cd_is_looked_for_there(self) -> None:
        profile = dataclasses.replace(TARGET, config_drive="cdrom")
        guest = Guest()
        guest.conf["config_drive_cdrom"] = "false"
        self.assertEqual(["windows.cloudbase-init.drive"], [e.code for e in registry.judge(look_at(guest), profile)])
        self.assertEqual((), registry.judge(look_at(BY_NAME["no-disks"].guest()), profile))


@ddt.ddt
class ContradictionTest(unittest.TestCase):
    """What the user says stays, and is held against the guest."""

    @ddt.data(
        ("good-bios", "xenapi_device_id", "0002", None),
        ("good-bios", "xenapi_device_id", "1", Severity.ERROR),
        ("0001-bios", "xenapi_device_id", "2", Severity.ERROR),
        ("0001-bios", "xenapi_device_id", "0001", None),
        ("legacy", "xenapi_device_id", "2", Severity.ERROR),
        ("legacy", "xenapi_device_id", "1", None),
        ("staged-uefi", "xenapi_device_id", "1", None),
        ("precedence", "xenapi_device_id", "1", None),
        ("none", "xenapi_device_id", "2", None),
        ("good-bios", "os_type", "linux", Severity.ERROR),
        ("good-bios", "vm_mode", "xen", Severity.ERROR),
        ("good-bios", "hw_firmware_type", "uefi", Severity.ERROR),
        ("good-uefi", "hw_firmware_type", "uefi", None),
        ("good-bios", "auto_disk_config", "true", Severity.WARNING),
        ("good-bios", "architecture", "i686", Severity.WARNING),
        ("good-bios", "os_admin_user", "Administrator", Severity.INFO),
    )
    @ddt.unpack
    def test_a_property_of_the_user(self, name: str, key: str, value: str, severity: Severity | None) -> None:
        suggested = registry.suggest(look_at(BY_NAME[name].guest()), TARGET)
        found = list(properties.contradictions({key: value}, properties.named(TARGET, suggested)))
        self.assertEqual([] if severity is None else [severity], [each.severity for each in found])


class EvidenceTest(unittest.TestCase):
    """Findings say where they come from."""

    maxDiff = None

    def evidence(self, name: str) -> tuple[str, ...]:
        (found,) = registry.judge(look_at(BY_NAME[name].guest()), TARGET)
        return found.evidence

    def test_of_a_start_type(self) -> None:
        self.assertEqual(("SYSTEM\\ControlSet001\\Services\\xenvbd: Start=4 (disabled)",), self.evidence("xenvbd-4"))

    def test_of_the_active_device(self) -> None:
        self.assertEqual(
            (
                "SYSTEM\\ControlSet001\\Services\\xenfilt\\Parameters: ActiveDeviceID="
                "PCI\\VEN_5853&DEV_C000&SUBSYS_C0005853&REV_01",
            ),
            self.evidence("c000-uefi"),
        )

    def test_of_the_set_up(self) -> None:
        guest = BY_NAME["half-done"].guest()
        guest.files["Windows/System32/Sysprep/Panther/setuperr.log"] = "\ufeffone\r\n\r\ntwo\r\n".encode("utf-16-le")
        (found,) = registry.judge(look_at(guest), TARGET)
        self.assertEqual(
            (
                "SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Setup\\State: ImageState="
                "IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE",
                "SYSTEM\\Setup: SetupType=0, CmdLine=''",
                "SYSTEM\\Setup\\Status\\SysprepStatus: GeneralizationState=3",
                "Windows/System32/Sysprep/Sysprep_succeeded.tag: there",
                "Windows/System32/Sysprep/Panther/setuperr.log: one",
                "Windows/System32/Sysprep/Panther/setuperr.log: two",
            ),
            found.evidence,
        )

    def test_a_password_is_never_shown(self) -> None:
        facts = look_at(BY_NAME["autologon"].guest())
        self.assertNotIn("secret", repr(facts) + repr(registry.judge(facts, TARGET)))


class DamageTest(unittest.TestCase):
    """What cannot be read is said, and not taken for missing."""

    def found(self, facts: GuestFacts) -> list[str]:
        return [each.code for each in registry.judge(facts, TARGET)]

    def test_a_hive_that_is_none(self) -> None:
        guest = Guest()
        for name, others in (("SYSTEM", []), ("SOFTWARE", [])):
            drive = guest.drive() | {f"Windows/System32/config/{name}": b"regf" + bytes(4096)}
            facts = look_at(guest, drive)
            self.assertEqual(
                ["windows.state.hive", "guest.inspection.unread", *others],
                self.found(facts),
                name,
            )

    def test_a_hive_that_cannot_be_read(self) -> None:
        facts = look_at(Guest(), broken=["Windows/System32/config/SYSTEM"])
        self.assertEqual(["windows.state.hive", "guest.inspection.unread"], self.found(facts))
        (found,) = (each for each in registry.judge(facts, TARGET) if each.code == "windows.state.hive")
        self.assertEqual("The registry hive SYSTEM cannot be read.", found.what)
        self.assertIn("disk 0, partition 3", found.evidence[0])

    def test_an_inspection_that_ended_early_condemns_nothing(self) -> None:
        facts = look_at(Guest(), broken=["Windows/System32/config/SYSTEM"])
        facts = dataclasses.replace(facts, stopped="took longer than 30 s", unread=())
        self.assertEqual(["guest.inspection.stopped"], self.found(facts))

    def test_no_boot_configuration(self) -> None:
        facts = look_at(Guest())
        assert facts.windows is not None
        facts = dataclasses.replace(facts, windows=dataclasses.replace(facts.windows, boot=()))
        self.assertEqual(["windows.boot.store"], self.found(facts))
        # Where something could not be read it may be there.
        facts = dataclasses.replace(facts, unread=(Unread(what="the FAT on disk 0, partition 1", why="it is damaged"),))
        self.assertEqual(["guest.inspection.unread"], self.found(facts))

    def test_no_boot_manager(self) -> None:
        facts = look_at(Guest())
        assert facts.windows is not None
        store = dataclasses.replace(facts.windows.boot[0], manager_present=False)
        facts = dataclasses.replace(facts, windows=dataclasses.replace(facts.windows, boot=(store,)))
        self.assertEqual(["windows.boot.manager"], self.found(facts))
