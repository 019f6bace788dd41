from __future__ import annotations

import dataclasses
import unittest
from typing import TYPE_CHECKING, Any

import ddt

from tests.builders.guests import linux as build
from tests.builders.guests.files import Link
from tests.builders.guests.linux import ESP_UUID, GOOD, UUID, VERSION, State
from tests.unit.guest.linux.test_look import seen
from xenimage.checks.guest import registry
from xenimage.model.finding import Finding, Severity
from xenimage.model.guest.facts import FirmwareFacts, GuestFacts, Unread
from xenimage.model.guest.layout import Layout, Partition, Volume
from xenimage.profiles import registry as profiles

if TYPE_CHECKING:
    from collections.abc import Iterable

MIB = 1 << 20
GRUB = "boot/grub/grub.cfg"
BIOS = FirmwareFacts(bios=True)
UEFI = FirmwareFacts(uefi=True, fallback=True, loaders=("\\EFI\\BOOT\\BOOTX64.EFI",))
BOTH = FirmwareFacts(bios=True, uefi=True, fallback=True)
ROOT = Partition(
    number=1,
    offset=MIB,
    length=1023 * MIB,
    type="0x83",
    uuid="12345678-01",
    active=True,
    volume=Volume(kind="ext4", label="root", uuid=UUID, size=1023 * MIB, readable=True),
)
DISK = Layout(
    index=0,
    name="disk.raw",
    size=1024 * MIB,
    scheme="mbr",
    boot_code=True,
    partitions=(ROOT,),
    table_end=1024 * MIB,
)
EFI_DISK = dataclasses.replace(
    DISK,
    scheme="gpt",
    backup_table=True,
    partitions=(
        Partition(
            number=1,
            offset=MIB,
            length=64 * MIB,
            type="C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
            volume=Volume(kind="fat32", uuid=ESP_UUID),
        ),
        dataclasses.replace(ROOT, number=2, offset=65 * MIB, length=900 * MIB),
    ),
)
MODULE = f"usr/lib/modules/{VERSION}/kernel/drivers/"


def menu(arguments: str, version: str = VERSION) -> dict[str, Any]:
    """GRUB's with one entry."""
    entry = f"linux /boot/vmlinuz-{version} {arguments}\n initrd /boot/initrd.img-{version}"
    return {GRUB: f"menuentry x {{\n {entry}\n}}\n"}


def facts(
    changes: dict[str, Any] | None = None,
    *,
    state: State = GOOD,
    without: Iterable[str] = (),
    firmware: FirmwareFacts = BIOS,
    disk: Layout = DISK,
    **linux: Any,
) -> GuestFacts:
    found = dataclasses.replace(seen(changes, state=state, without=without), **linux)
    return GuestFacts(disks=(disk,), firmware=firmware, linux=found)


def judged(given: GuestFacts, profile: str = "nova-xenapi") -> tuple[Finding, ...]:
    return registry.judge(given, profiles.get_profile(profile))


def told(given: GuestFacts, profile: str = "nova-xenapi") -> list[tuple[str, str]]:
    return [(finding.code, finding.severity.value) for finding in judged(given, profile)]


def suggested(given: GuestFacts, profile: str = "nova-xenapi") -> dict[str, str]:
    return {each.name: each.value for each in registry.suggest(given, profiles.get_profile(profile))}


def volume(**changes: Any) -> Layout:
    """The disk with its volume changed."""
    part = dataclasses.replace(ROOT, volume=dataclasses.replace(ROOT.volume, **changes))  # type: ignore[type-var]
    return dataclasses.replace(DISK, partitions=(part,))


class GoodTest(unittest.TestCase):
    def test_no_finding_for_any_profile(self) -> None:
        for name in profiles.all_profiles():
            for firmware in (BIOS, BOTH):
                self.assertEqual([], told(facts(firmware=firmware), name))
            for blkfront in ("initrd", "builtin"):
                self.assertEqual([], told(facts(state=State(blkfront=blkfront)), name))
            if "uefi" in profiles.get_profile(name).firmwares:
                self.assertEqual([], told(facts(firmware=UEFI, state=State(efi=True), disk=EFI_DISK), name))

    def test_properties(self) -> None:
        found = suggested(facts())
        self.assertEqual(
            {
                "os_type": "linux",
                "os_distro": "debian",
                "os_version": "12",
                "architecture": "x86_64",
                "hw_vm_mode": "hvm",
                "hw_firmware_type": "bios",
                "img_config_drive": "mandatory",
                "os_admin_user": "debian",
                "xenapi_device_id": "",
            },
            found,
        )

    def test_reasons_and_evidence(self) -> None:
        found = {each.name: each for each in registry.suggest(facts(), profiles.get_profile("nova-xenapi"))}
        self.assertEqual("/usr/lib/os-release", found["os_distro"].evidence)
        self.assertEqual("The guest is Debian GNU/Linux 12 (bookworm).", found["os_version"].reason)
        self.assertEqual(
            "/etc/cloud/cloud.cfg.d/90_datasources.cfg: datasource_list: [ ConfigDrive, OpenStack, None ]",
            found["img_config_drive"].evidence,
        )


@ddt.ddt
class CodesTest(unittest.TestCase):
    """Each fault alone."""

    @ddt.unpack
    @ddt.data(
        ("no module in the initrd", State(blkfront="missing"), BIOS, "nova-xenapi", "linux.blkfront.missing", "error"),
        ("the same with UEFI and nvme", State(blkfront="missing"), UEFI, "xcp-ng", "linux.blkfront.missing", "warning"),
        (
            "the same with UEFI without nvme",
            State(blkfront="missing", fallback=False),
            UEFI,
            "xcp-ng",
            "linux.blkfront.missing",
            "error",
        ),
        ("both firmwares: a BIOS counts", State(blkfront="missing"), BOTH, "xcp-ng", "linux.blkfront.missing", "error"),
    )
    def test_blkfront(
        self, name: str, state: State, firmware: FirmwareFacts, profile: str, code: str, severity: str
    ) -> None:
        self.assertEqual([(code, severity)], told(facts(state=state, firmware=firmware), profile), name)

    def test_blkfront_that_was_not_built(self) -> None:
        config = f"boot/config-{VERSION}"
        for line, fallback, severity in (
            ("# CONFIG_XEN_BLKDEV_FRONTEND is not set", True, "warning"),
            ("# CONFIG_XEN_BLKDEV_FRONTEND is not set", False, "error"),
            ("CONFIG_XEN_BLKDEV_FRONTEND=m\n# CONFIG_XEN_PVHVM is not set", False, "error"),
        ):
            changes = {
                config: f"{line}\nCONFIG_XEN_NETDEV_FRONTEND=m\n" + ("" if "PVHVM" in line else "CONFIG_XEN_PVHVM=y\n")
            }
            given = facts(changes, state=State(blkfront="missing", fallback=fallback))
            self.assertEqual([("linux.blkfront.absent", severity)], told(given))

    def test_another_kernel(self) -> None:
        older = dict(build.kernel(State(version="5.10", blkfront="missing")))
        self.assertEqual([("linux.blkfront.missing", "warning")], told(facts(older)))
        self.assertEqual([], told(facts({key.replace("5.10", "0-rescue-x"): value for key, value in older.items()})))

    def test_evidence_of_blkfront(self) -> None:
        (finding,) = judged(facts(state=State(blkfront="missing")))
        self.assertEqual(
            f"The initrd of the kernel {VERSION} does not hold xen-blkfront, which is a module of it.", finding.what
        )
        self.assertEqual(
            (
                f"/boot/config-{VERSION}: CONFIG_XEN_BLKDEV_FRONTEND=m",
                f"/boot/initrd.img-{VERSION}: no xen-blkfront.ko",
            ),
            finding.evidence,
        )
        self.assertEqual(f"/boot/initrd.img-{VERSION}", finding.where)

    def test_no_initrd_or_one_that_cannot_be_read(self) -> None:
        self.assertEqual([("linux.blkfront.missing", "error")], told(facts(without=("boot/initrd",))))
        (finding,) = judged(facts({f"boot/initrd.img-{VERSION}": b"junk"}))
        self.assertEqual("linux.blkfront.unknown", finding.code)
        self.assertIn("its initrd could not be read (begins with 6a 75 6e 6b", finding.what)

    @ddt.unpack
    @ddt.data(
        # (changes, codes with severities)
        (menu(f"root=UUID={UUID} xen_emul_unplug=never"), "linux.blkfront.off", "warning"),
        ({"etc/modprobe.d/x.conf": "blacklist xen-blkfront\n"}, "linux.blkfront.off", "error"),
        ({"etc/fstab": "/dev/sda1 / ext4 defaults 0 1\n"}, "linux.fstab.device", "error"),
        ({"etc/fstab": "/dev/disk/by-path/pci-0000:00:10.0-part1 /srv ext4\n"}, "linux.fstab.device", "error"),
        ({"etc/fstab": "/dev/vda2 none swap sw 0 0\n"}, "linux.fstab.device", "warning"),
        ({"etc/crypttab": "data /dev/nvme0n1p3 none luks\n"}, "linux.fstab.device", "error"),
        ({"etc/fstab": "UUID=dead-beef /srv ext4 defaults 0 2\n"}, "linux.fstab.missing", "warning"),
        (menu("root=/dev/sda1 ro"), "linux.boot.root", "error"),
        (menu("root=UUID=dead-beef ro"), "linux.boot.root", "error"),
        ({"etc/default/grub": 'GRUB_CMDLINE_LINUX="root=/dev/vda1"\n'}, "linux.boot.root", "warning"),
        (menu(f"root=UUID={UUID} resume=/dev/sda5"), "linux.boot.resume", "warning"),
        ({"etc/initramfs-tools/conf.d/resume": "RESUME=UUID=dead\n"}, "linux.boot.resume", "warning"),
        (menu(f"root=UUID={UUID}", "5.0"), "linux.boot.entry", "error"),
        ({GRUB: "# empty\n"}, "linux.boot.menu", "error"),
        ({"etc/cloud/cloud-init.disabled": ""}, "linux.cloud-init.disabled", "error"),
        ({"etc/cloud/ds-identify.cfg": "policy: disabled\n"}, "linux.cloud-init.disabled", "error"),
        ({"etc/cloud/cloud.cfg.d/99.cfg": "datasource_list: [ Azure ]\n"}, "linux.cloud-init.datasource", "error"),
        (
            {"etc/cloud/cloud.cfg.d/99.cfg": "datasource_list: [ Ec2, None ]\n"},
            "linux.cloud-init.datasource",
            "warning",
        ),
        (
            {"etc/cloud/cloud.cfg.d/99.cfg": "datasource_list: [ Ec2, Azure ]\n"},
            "linux.cloud-init.datasource",
            "error",
        ),
        (
            {"etc/cloud/cloud.cfg.d/99.cfg": "datasource_list: [ OpenStack, Ec2 ]\n"},
            "linux.cloud-init.datasource",
            "error",
        ),
        ({"etc/cloud/cloud.cfg.d/99.cfg": "network: {config: disabled}\n"}, "linux.cloud-init.network", "info"),
        ({"var/lib/cloud/instances/i-1/x": ""}, "linux.cloud-init.ran", "warning"),
        ({"etc/machine-id": "0123456789abcdef0123456789abcdef\n"}, "linux.identity.machine-id", "warning"),
        ({"etc/ssh/ssh_host_rsa_key": "x"}, "linux.identity.host-keys", "warning"),
        (
            {"etc/udev/rules.d/70-persistent-net.rules": 'ATTR{address}=="52:54:00:00:00:01", NAME="eth0"\n'},
            "linux.identity.net-rules",
            "warning",
        ),
        ({"etc/netplan/a.yaml": "match: x\n  macaddress: 52:54:00:00:00:01\n"}, "linux.identity.mac", "warning"),
        ({"root/.ssh/authorized_keys": "ssh-rsa AAAA me\n"}, "linux.identity.keys", "warning"),
        ({"root/.bash_history": "ls\n"}, "linux.identity.history", "info"),
        ({"var/lib/systemd/random-seed": b"x"}, "linux.identity.random-seed", "info"),
        ({"etc/ssh/sshd_config": "PasswordAuthentication yes\n"}, "linux.ssh.password", "warning"),
        ({"etc/ssh/sshd_config": "PermitRootLogin yes\n"}, "linux.ssh.root", "warning"),
        ({"etc/systemd/system/ssh.service": Link("/dev/null")}, "linux.ssh.disabled", "warning"),
        ({"usr/bin/vmtoolsd": b""}, "linux.state.tools", "info"),
    )
    def test_of_files(self, changes: dict[str, Any], code: str, severity: str) -> None:
        (finding,) = judged(facts(changes))
        self.assertEqual((code, severity), (finding.code, finding.severity.value), finding)
        self.assertTrue(finding.evidence or finding.where)

    @ddt.unpack
    @ddt.data(
        ("boot/vmlinuz", "linux.boot.kernel", "error"),
        ("usr/sbin/sshd", "linux.ssh.missing", "warning"),
        ("etc/systemd/system/multi-user", "linux.ssh.disabled", "warning"),
        ("etc/systemd/system/cloud-init", "linux.cloud-init.disabled", "error"),
        (f"{MODULE}net", "linux.netfront.missing", "error"),
    )
    def test_of_files_that_lack(self, path: str, code: str, severity: str) -> None:
        self.assertEqual([(code, severity)], told(facts(without=(path,))))

    @ddt.data(
        {"etc/fstab": "/dev/sda1 /srv ext4 defaults,nofail\n/dev/sda2 /x auto noauto\n/dev/xvda1 / ext4\n"},
        {"etc/fstab": "/dev/mapper/vg-root / xfs\n/dev/disk/by-id/dm-uuid-x /y xfs\nLABEL=root / ext4\n"},
        {"etc/fstab": f"/dev/disk/by-uuid/{UUID} / ext4\nPARTUUID=12345678-01 /x ext4\nnas:/x /x nfs\n"},
        {"etc/cloud/cloud.cfg.d/99.cfg": "datasource_list: [ OpenStack ]\n"},
        {"etc/cloud/cloud.cfg.d/99.cfg": "datasource_list: [ OpenStack, None ]\n"},
        {"etc/cloud/cloud.cfg.d/99.cfg": "datasource_list: [ ConfigDrive,\n Ec2 ]\n"},
        {"etc/cloud/ds-identify.cfg": "datasource: OpenStack\n"},
        {"etc/machine-id": "uninitialized\n"},
        {"usr/sbin/xe-daemon": b""},
        menu("root=LABEL=root resume=/dev/xvda5"),
    )
    def test_no_fault(self, changes: dict[str, Any]) -> None:
        self.assertEqual([], told(facts(changes)))

    def test_host_keys_that_nobody_replaces(self) -> None:
        key = {"etc/ssh/ssh_host_rsa_key": "x"}
        given = facts(key, state=State(cloud_init="none"))
        self.assertEqual([("linux.identity.host-keys", "error"), ("linux.cloud-init.missing", "warning")], told(given))
        given = facts({**key, "etc/cloud/cloud.cfg.d/99.cfg": "ssh_deletekeys: false\n"})
        self.assertEqual([("linux.identity.host-keys", "error")], told(given))

    def test_nova_agent(self) -> None:
        given = facts({"usr/sbin/nova-agent": b""}, state=State(cloud_init="none"))
        self.assertEqual([("linux.cloud-init.missing", "info")], told(given))

    def test_datasources_are_judged_where_the_target_is_known(self) -> None:
        changes = {"etc/cloud/cloud.cfg.d/99.cfg": "datasource_list: [ Ec2, None ]\n"}
        for name in profiles.all_profiles():
            expected = ["linux.cloud-init.datasource"] if profiles.get_profile(name).config_drive else []
            self.assertEqual(expected, [code for code, _ in told(facts(changes), name)], name)

    def test_state_of_the_volume(self) -> None:
        self.assertEqual(
            [("linux.state.recovery", "warning")], told(facts(disk=volume(needs_recovery=True, dirty=True)))
        )
        self.assertEqual([("linux.state.dirty", "warning")], told(facts(disk=volume(dirty=True))))

    def test_unknown_volumes_are_nobodys_fault_where_not_all_are_known(self) -> None:
        given = facts({"etc/fstab": "UUID=dead /srv ext4\n"})
        opaque = Partition(number=2, offset=0, length=1, type="0x83", volume=Volume(kind=""))
        disk = dataclasses.replace(DISK, partitions=(ROOT, opaque))
        self.assertEqual([], told(dataclasses.replace(given, disks=(disk,))))
        self.assertEqual([("linux.fstab.missing", "warning")], told(given))


@ddt.ddt
class DiskTest(unittest.TestCase):
    @ddt.unpack
    @ddt.data(
        (FirmwareFacts(), "nova-xenapi", "disk.firmware.none"),
        (UEFI, "nova-xenapi", "disk.firmware.uefi"),
        (FirmwareFacts(uefi=True, loaders=("\\EFI\\debian\\grubx64.efi",)), "xcp-ng", "disk.firmware.fallback"),
    )
    def test_firmware(self, firmware: FirmwareFacts, profile: str, code: str) -> None:
        self.assertEqual([(code, "error")], told(facts(firmware=firmware), profile))

    def test_a_first_disk_that_does_not_start_may_be_the_wrong_one(self) -> None:
        given = facts(firmware=FirmwareFacts())
        (alone,) = judged(given)
        self.assertNotIn("first", alone.what + alone.act)
        (second,) = judged(dataclasses.replace(given, disks=(DISK, dataclasses.replace(DISK, index=1))))
        self.assertEqual(alone.code, second.code)
        self.assertIn("the first disk has neither", second.what)
        self.assertTrue(second.act.startswith("Name the disk first"), second.act)

    def test_firmware_of_a_disk_for_data(self) -> None:
        given = GuestFacts(disks=(DISK,))
        self.assertEqual([("guest.inspection.nothing", "info")], told(given))
        self.assertEqual({}, suggested(given))

    def test_partitions(self) -> None:
        for changes, code, severity in (
            ({"table_end": 1025 * MIB}, "disk.partitions.cut", "error"),
            ({"scheme": "gpt", "backup_table": False}, "disk.partitions.backup", "warning"),
            (
                {"partitions": (ROOT, dataclasses.replace(ROOT, number=2, offset=5 * MIB, length=MIB))},
                "disk.partitions.overlap",
                "error",
            ),
        ):
            found = told(facts(disk=dataclasses.replace(DISK, **changes)))
            self.assertEqual([(code, severity)], found)

    def test_logical_partitions_lie_in_an_extended_one(self) -> None:
        extended = Partition(
            number=2, offset=ROOT.offset + ROOT.length, length=9 * MIB, type="0x05", type_name="extended"
        )
        logical = Partition(number=5, offset=extended.offset + MIB, length=MIB, type="0x83", volume=Volume(kind="swap"))
        volume_ = Partition(number=0, offset=0, length=9 * MIB, type="lvm", name="vg/x", volume=Volume(kind="swap"))
        disk = dataclasses.replace(DISK, partitions=(ROOT, extended, logical, volume_, volume_))
        self.assertEqual([], told(facts(disk=disk)))

    @ddt.unpack
    @ddt.data(
        ("bitlocker", "disk.bitlocker.volume", "error", "error"),
        ("luks", "disk.luks.volume", "error", "warning"),
        ("ldm", "disk.ldm.volume", "error", "error"),
        ("refs", "disk.refs.volume", "info", "info"),
        ("btrfs", "disk.opaque.volume", "warning", "info"),
    )
    def test_volumes(self, kind: str, code: str, alone: str, beside: str) -> None:
        part = Partition(number=2, offset=0, length=1, type="0x83", volume=Volume(kind=kind, label="x"))
        disk = dataclasses.replace(DISK, partitions=(part,))
        self.assertEqual({(code, alone), ("guest.inspection.nothing", "info")}, set(told(GuestFacts(disks=(disk,)))))
        finding = next(each for each in judged(GuestFacts(disks=(disk,))) if each.code == code)
        self.assertEqual(
            ("disk 0, partition 2", (f"disk 0, partition 2: {kind} (x)",)), (finding.where, finding.evidence)
        )
        disk = dataclasses.replace(DISK, partitions=(ROOT, dataclasses.replace(part, offset=1024 * MIB)))
        self.assertEqual([(code, beside)], told(facts(disk=disk)))

    @ddt.unpack
    @ddt.data(
        (BIOS, "xcp-ng", "bios", ()),
        (UEFI, "xcp-ng", "uefi", ()),
        (BOTH, "xcp-ng", "bios", ("uefi",)),
        (BOTH, "nova-xenapi", "bios", ("uefi",)),
        (UEFI, "nova-xenapi", "uefi", ()),
    )
    def test_property(self, firmware: FirmwareFacts, profile: str, value: str, also: tuple[str, ...]) -> None:
        found = registry.suggest(facts(firmware=firmware), profiles.get_profile(profile))
        (suggestion,) = (each for each in found if each.name == "hw_firmware_type")
        self.assertEqual((value, also), (suggestion.value, suggestion.also))


@ddt.ddt
class PropertiesTest(unittest.TestCase):
    @ddt.unpack
    @ddt.data(
        (
            {"usr/lib/os-release": "ID=opensuse-leap\nVERSION_ID=15.6\n"},
            {"os_distro": "opensuse", "os_version": "15.6"},
        ),
        ({"usr/lib/os-release": "ID=arch\n"}, {"os_distro": "arch", "os_version": None}),
        ({"etc/cloud/cloud.cfg.d/99.cfg": "datasource_list: [OpenStack]\n"}, {"img_config_drive": None}),
        ({"etc/cloud/ds-identify.cfg": "policy: enabled\n"}, {"img_config_drive": None}),
        ({"etc/cloud/cloud-init.disabled": ""}, {"img_config_drive": None, "os_admin_user": None}),
    )
    def test_changes(self, changes: dict[str, Any], expected: dict[str, str | None]) -> None:
        found = suggested(facts(changes))
        self.assertEqual(expected, {name: found.get(name) for name in expected})

    def test_auto_disk_config(self) -> None:
        alone = facts(state=State(cloud_init="none"))
        self.assertEqual("true", suggested(alone).get("hw_auto_disk_config"))
        self.assertNotIn("hw_auto_disk_config", suggested(facts()))
        for disk in (
            volume(kind="xfs"),
            volume(dirty=True),
            dataclasses.replace(DISK, scheme="gpt"),
            dataclasses.replace(DISK, size=1030 * MIB),
            dataclasses.replace(DISK, partitions=(ROOT, ROOT)),
        ):
            self.assertNotIn("hw_auto_disk_config", suggested(dataclasses.replace(alone, disks=(disk,))))

    def test_nothing_of_windows(self) -> None:
        given = GuestFacts(disks=(DISK,), unread=(Unread(what="a", why="b"),))
        self.assertEqual({}, suggested(given))


class KindsTest(unittest.TestCase):
    def test_every_kind_is_of_its_check(self) -> None:
        for name, check in registry.BUILTIN.items():
            for kind in check.kinds:
                self.assertTrue(kind.code.startswith(f"{name}."), kind.code)
                self.assertIsInstance(kind.severity, Severity)
