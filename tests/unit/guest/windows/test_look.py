"""What is read of a Windows: its facts, wherever they stand, and what is left of them when it is damaged."""

from __future__ import annotations

import dataclasses
import random
import unittest
from typing import TYPE_CHECKING

from tests.builders.guests import windows as build
from tests.builders.guests import winhives
from tests.builders.guests.regf import MULTI_SZ, SZ
from tests.builders.guests.windows import FOLDER, Guest, State
from tests.builders.guests.winhives import CLASS_SYSTEM, CURRENT
from tests.fakes.guests import look_at, tree
from xenimage.exceptions import FormatError
from xenimage.guest import windows
from xenimage.guest.notes import Notes, Stopped
from xenimage.limits import STRICT

if TYPE_CHECKING:
    from xenimage.model.guest.windows import WindowsFacts

CONFIG = "Windows/System32/config"


def facts_of(guest: Guest) -> WindowsFacts:
    facts = look_at(guest)
    assert facts.windows is not None
    return facts.windows


class FactsTest(unittest.TestCase):
    maxDiff = None

    def test_version(self) -> None:
        version = facts_of(Guest()).version
        self.assertEqual(
            ("Windows Server 2022 Standard", "ServerStandard", "Server", 10, 0, 20348, 2762, "21H2", "2022"),
            (version.product, version.edition, version.installation, version.major, version.minor, version.build,
             version.revision, version.display, version.release),
        )  # fmt: skip

    def test_an_old_version_says_less(self) -> None:
        guest = Guest()
        key = guest.software.key("Microsoft\\Windows NT\\CurrentVersion")
        for name in ("CurrentMajorVersionNumber", "CurrentMinorVersionNumber", "UBR", "DisplayVersion", "ReleaseId"):
            key.drop(name)
        key.words(CurrentVersion="6.1", CurrentBuildNumber="7601", CurrentBuild="1.511.1 ()")
        version = facts_of(guest).version
        self.assertEqual(
            (6, 1, 7601, None, "", "2008 R2"),
            (version.major, version.minor, version.build, version.revision, version.display, version.release),
        )

    def test_the_processor_by_the_kernel_where_nothing_says_it(self) -> None:
        guest = Guest()
        guest.system.drop("ControlSet001\\Control\\Session Manager\\Environment")
        for machine, name in ((build.X86_64, "x86_64"), (build.I386, "i686"), (build.ARM64, "aarch64"), (1, "")):
            guest.files["Windows/System32/ntoskrnl.exe"] = build.portable_executable(machine)
            self.assertEqual(name, facts_of(guest).architecture)

    def test_drivers(self) -> None:
        xen = facts_of(Guest(State(pv="citrix", active="C000"))).xen
        self.assertEqual(
            ("9", "9.1.11.115", ("XenServer",), True), (xen.generation, xen.version, xen.vendors, xen.bound)
        )
        assert xen.active is not None
        self.assertEqual(("C000", True), (xen.active.device, xen.active.stored))
        self.assertEqual(["0002", "C000"], sorted(each.device for each in xen.devices))
        self.assertEqual({("VBD", "XS", "C000"), ("VIF", "XS", "C000"), ("IFACE", "XS", "C000")},
                         {(each.kind, each.prefix, each.parent) for each in xen.children})  # fmt: skip
        (package,) = xen.packages
        self.assertEqual(
            ("xenbus.inf_amd64_0123456789abcdef", "oem3.inf", "XenServer", "9.1.11.115"),
            (package.name, package.inf, package.provider, package.version),
        )
        self.assertEqual({*winhives.staged_ids(State(pv="citrix"))}, {*package.ids})
        assert xen.unplug is not None
        self.assertEqual((1, 1, False), (xen.unplug.disks, xen.unplug.nics, xen.unplug.forced))
        service = xen.service("XENVBD")
        assert service is not None
        self.assertEqual(("9.1.11.115", True, 0), (service.version, service.present, service.start))

    def test_generations(self) -> None:
        def of(version: str, key: str = f"Control\\Class\\{CLASS_SYSTEM}\\0010") -> str:
            guest = Guest()
            guest.system.key(f"ControlSet001\\{key}").words(DriverVersion=version)
            return facts_of(guest).xen.generation

        self.assertEqual(["9", "8", "7", "7", ""], [of(f"{each}.1.0.0") for each in (9, 8, 7, 6, 10)])

    def test_a_package_of_an_old_windows_is_known_by_its_directory(self) -> None:
        guest = Guest(State(active="none"))
        guest.system.drop("DriverDatabase")
        (package,) = facts_of(guest).xen.packages
        self.assertEqual(("xenbus.inf_amd64_0123456789abcdef", ""), (package.name, package.inf))

    def test_children_of_two_devices_tell_nothing(self) -> None:
        guest = Guest()
        guest.system.key("ControlSet001\\Services\\xenfilt\\Parameters").drop("ActiveDeviceID")
        child = guest.system.key("ControlSet001\\Enum\\XENBUS\\VEN_XN&DEV_VIF\\_")
        child.set("HardwareID", MULTI_SZ, ["XENBUS\\VEN_XN0001&DEV_VIF&REV_0900000B"])
        xen = facts_of(guest).xen
        assert xen.active is not None
        # The one PCI device that the bus driver serves is left.
        self.assertEqual(("0002", False), (xen.active.device, xen.active.stored))

    def test_cloudbase_init_in_another_directory(self) -> None:
        guest = Guest()
        key = guest.system.key("ControlSet001\\Services\\cloudbase-init")
        image = key.values["IMAGEPATH"][2].decode("utf-16-le").rstrip("\0")
        moved = image.replace("Program Files\\Cloudbase Solutions\\Cloudbase-Init", "Cloud")
        key.set("ImagePath", SZ, moved)
        drive = {path.replace(FOLDER, "Cloud/"): data for path, data in guest.drive().items()}
        facts = look_at(guest, drive)
        assert facts.windows is not None
        cloudbase = facts.windows.cloudbase
        assert cloudbase is not None
        assert cloudbase.conf is not None
        self.assertEqual(("Cloud", "Cloud/conf/cloudbase-init.conf"), (cloudbase.folder, cloudbase.conf.path))
        self.assertTrue(all(each.present for each in cloudbase.programs))

    def test_cloudbase_init_by_its_newer_names(self) -> None:
        guest = Guest()
        text = "\ufeff[config_drive]\r\nraw_hdd=false\r\ntypes=iso\r\nlocations=CDROM\r\n[openstack]\r\n" + (
            "metadata_base_url=http://192.0.2.1/\r\n[DEFAULT]\r\nconfig_drive_raw_hhd=true\r\n"
        )
        drive = guest.drive() | {build.CONF: text.encode()}
        facts = look_at(guest, drive)
        assert facts.windows is not None
        assert facts.windows.cloudbase is not None
        conf = facts.windows.cloudbase.conf
        assert conf is not None
        self.assertEqual(
            (False, True, ("iso",), ("cdrom",), "http://192.0.2.1/", None, None, "Admin"),
            (conf.raw_hdd, conf.cdrom, conf.types, conf.locations, conf.metadata_url, conf.metadata_services,
             conf.bsdtar, conf.username),
        )  # fmt: skip

    def test_past_instances(self) -> None:
        guest = Guest(State(booted=True))
        guest.software.key("Cloudbase Solutions\\Cloudbase-Init\\Plugins").number(MTUPlugin=1)
        guest.software.key("WOW6432Node\\Cloudbase Solutions\\Cloudbase-Init\\i-2\\Plugins").number(A=1, B=2)
        cloudbase = facts_of(guest).cloudbase
        assert cloudbase is not None
        self.assertEqual(
            [(winhives.INSTANCE, 5), ("i-2", 1)], [(each.id, len(each.plugins)) for each in cloudbase.instances]
        )
        self.assertEqual([f"{FOLDER}log/cloudbase-init.log"], [each.path for each in cloudbase.logs])

    def test_the_state_of_the_image_by_its_file(self) -> None:
        guest = Guest()
        guest.software.drop(f"{CURRENT}\\Setup\\State")
        sysprep = facts_of(guest).sysprep
        self.assertEqual("IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE", sysprep.image_state)
        self.assertTrue(sysprep.image_state_where.startswith("Windows/Setup/State/State.ini: "))

    def test_hibernation(self) -> None:
        for head, signature, saved in (
            (b"HIBR", "HIBR", True), (b"hibr", "hibr", True), (b"RSTR", "RSTR", True), (b"WAKE", "WAKE", True),
            (b"\0\0\0\0", "", False), (b"wipe", "wipe", False), (b"", "", False),
        ):  # fmt: skip
            guest = Guest()
            guest.files["hiberfil.sys"] = head
            found = facts_of(guest).hibernation
            assert found is not None
            self.assertEqual((signature, saved), (found.signature, found.holds_system))

    def test_a_volume_without_windows(self) -> None:
        notes = Notes()
        self.assertIsNone(windows.look(tree({"Users/x": b""}), "disk 0", notes, None, None, STRICT))
        self.assertEqual([], notes.unread)

    def test_windows_in_another_directory(self) -> None:
        drive = {path.replace("Windows/", "WINNT/"): data for path, data in Guest().drive().items()}
        found = windows.look(tree(drive), "disk 0", Notes(), None, None, STRICT)
        assert found is not None
        self.assertEqual("WINNT", found.root)
        self.assertTrue(all(each.present for each in found.xen.services))


class DamageTest(unittest.TestCase):
    def test_a_control_set_that_is_not_there(self) -> None:
        guest = Guest()
        guest.system.key("Select").number(Current=7)
        facts = look_at(guest)
        assert facts.windows is not None
        self.assertEqual("", facts.windows.control_set)
        self.assertEqual(
            ["SYSTEM\\ControlSet007 on disk 0, partition 3: there is no such key"],
            [f"{each.what}: {each.why}" for each in facts.unread],
        )

    def test_a_hive_beyond_the_limit(self) -> None:
        notes = Notes()
        limits = dataclasses.replace(STRICT, guest_file=100_000)
        found = windows.look(tree(Guest().drive()), "disk 0", notes, None, None, limits)
        assert found is not None
        self.assertEqual(["SYSTEM"], [each.name for each in found.hives])
        (note,) = notes.unread
        self.assertEqual(f"{CONFIG}/SOFTWARE on disk 0", note.what)

    def test_an_end_is_an_end(self) -> None:
        class Spent(type(tree({}))):  # type: ignore[misc]
            def read(self, path: str, limit: int) -> bytes | None:
                raise Stopped("spent its reads")

        with self.assertRaises(Stopped):
            windows.look(Spent(tree(Guest().drive()).root, STRICT), "disk 0", Notes(), None, None, STRICT)

    def test_whatever_is_damaged_the_rest_is_told(self) -> None:
        guest = Guest(State(booted=True, hibernated=True))
        drive, dice = guest.drive(), random.Random(11)
        files = sorted(drive)
        for _ in range(150):
            damaged = dict(drive)
            for path in (f"{CONFIG}/SYSTEM", f"{CONFIG}/SOFTWARE", *dice.sample(files, 3)):
                data = bytearray(damaged[path])
                for _ in range(dice.randrange(1, 8) if data else 0):
                    # The header is left alone, for a hive with a wrong checksum is refused as a whole.
                    data[dice.randrange(min(4096, len(data) // 2), len(data))] = dice.randrange(256)
                damaged[path] = bytes(data)
            facts = look_at(guest, damaged, broken=dice.sample(files, 2))
            self.assertIsNotNone(facts.windows)

    def test_a_volume_that_cannot_be_read(self) -> None:
        class Broken(type(tree({}))):  # type: ignore[misc]
            def entry(self, path: str, *, follow: bool = True) -> None:
                raise FormatError("the index is damaged", where=path)

        notes = Notes()
        broken = Broken(tree({}).root, STRICT)
        self.assertIsNone(windows.look(broken, "disk 0", notes, None, None, STRICT))
        self.assertEqual(["Windows on disk 0", "WINNT on disk 0"], [each.what for each in notes.unread])
