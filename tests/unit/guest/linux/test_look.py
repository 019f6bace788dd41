from __future__ import annotations

import dataclasses
import unittest
from typing import TYPE_CHECKING, Any

import ddt

from tests.builders.guests import linux as build
from tests.builders.guests.files import Link, MemoryFileSystem
from tests.builders.guests.linux import GOOD, UUID, VERSION, State
from xenimage.guest.linux import look
from xenimage.guest.linux.initrd import UNPACKED_MAX, Allowance
from xenimage.guest.notes import Notes, Stopped
from xenimage.guest.tree import Tree
from xenimage.limits import STRICT
from xenimage.model.guest.layout import Volume
from xenimage.model.guest.linux import Bootloader, LinuxFacts, Presence, Setting

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Content = bytes | str | Link | None

GRUB = "boot/grub/grub.cfg"
EFI_PROGRAMS = {"EFI/BOOT/BOOTX64.EFI": b"MZ", "EFI/debian/shimx64.efi": b"MZ", "EFI/debian/grubx64.efi": b"MZ"}


def seen(
    changes: Mapping[str, Content] | None = None,
    *,
    without: Iterable[str] = (),
    state: State = GOOD,
    esp: Mapping[str, Content] | None = None,
    volumes: Mapping[str, Mapping[str, Content]] | None = None,
    notes: Notes | None = None,
    broken: Iterable[str] = (),
) -> LinuxFacts:
    """The facts of a false system with changes."""
    files = {path: content for path, content in build.files(state).items() if not path.startswith(tuple(without))}
    root = MemoryFileSystem({**files, **(changes or {})}, broken=broken)
    part = None
    if esp is not None:
        part = Tree(MemoryFileSystem(esp, ignores_case=True, volume=Volume(kind="fat32")), STRICT)
    others = {name: MemoryFileSystem(each) for name, each in (volumes or {}).items()}
    found = look(Tree(root, STRICT), "disk 0, partition 1", notes or Notes(), part, others, STRICT)
    assert found is not None
    return found


class LookTest(unittest.TestCase):
    def test_nothing_of_linux(self) -> None:
        for files in ({}, {"Windows/System32/ntoskrnl.exe": b""}, {"vmlinuz-6.1": b"", "grub/grub.cfg": ""}):
            tree = Tree(MemoryFileSystem(files), STRICT)
            self.assertIsNone(look(tree, "disk 0", Notes(), None, {}, STRICT))

    def test_a_good_system(self) -> None:
        notes = Notes()
        facts = seen(notes=notes)
        self.assertEqual([], notes.unread)
        self.assertEqual("disk 0, partition 1", facts.place)
        self.assertEqual(
            ("debian", "Debian GNU/Linux 12 (bookworm)", "12", "bookworm", "/usr/lib/os-release"),
            (
                facts.distribution.id,
                facts.distribution.name,
                facts.distribution.version_id,
                facts.distribution.codename,
                facts.distribution.where,
            ),
        )
        self.assertEqual("x86_64", facts.architecture)
        self.assertEqual((Bootloader(name="grub", firmware="bios", path="/boot/grub/i386-pc"),), facts.bootloaders)
        self.assertEqual(
            [(f"UUID={UUID}", "/", "ext4")], [(each.device, each.path, each.type) for each in facts.mounts]
        )
        self.assertEqual(((), (), (), ()), (facts.crypts, facts.resume, facts.blacklist, facts.tools))

    def test_the_kernel_of_a_good_system(self) -> None:
        (kernel,) = seen().kernels
        self.assertEqual((VERSION, f"/boot/vmlinuz-{VERSION}", True), (kernel.version, kernel.path, kernel.default))
        blkfront = kernel.driver("xen-blkfront")
        self.assertEqual(Presence.MODULE, blkfront.presence)
        self.assertEqual(f"/boot/config-{VERSION}: CONFIG_XEN_BLKDEV_FRONTEND=m", blkfront.evidence)
        self.assertEqual(f"/lib/modules/{VERSION}/kernel/drivers/block/xen-blkfront.ko", blkfront.path)
        self.assertEqual(Presence.BUILTIN, kernel.driver("xen-pvhvm").presence)
        self.assertEqual(Presence.UNKNOWN, kernel.driver("another").presence)
        initrd = kernel.initrd
        assert initrd is not None
        self.assertEqual(f"/boot/initrd.img-{VERSION}", initrd.path)
        self.assertEqual(("ata-piix", "xen-blkfront"), initrd.modules)
        self.assertEqual((False, ""), (initrd.complete, initrd.unread))

    def test_the_command_lines_of_a_good_system(self) -> None:
        menu, defaults = seen().command_lines
        self.assertEqual(
            (f"root=UUID={UUID} ro console=hvc0", f"/{GRUB}", f"/boot/vmlinuz-{VERSION}", True),
            (menu.text, menu.where, menu.kernel, menu.default),
        )
        self.assertEqual(
            ("console=hvc0 quiet", "/etc/default/grub", ""), (defaults.text, defaults.where, defaults.kernel)
        )
        self.assertEqual(
            (f"UUID={UUID}", "hvc0", ""), (menu.value("root"), menu.value("console"), menu.value("resume"))
        )

    def test_the_rest_of_a_good_system(self) -> None:
        facts = seen()
        cloud, ssh, identity = facts.cloud_init, facts.ssh, facts.identity
        assert cloud is not None
        assert ssh is not None
        self.assertEqual("22.4.2", cloud.version)
        self.assertEqual("/etc/systemd/system/cloud-init.target.wants/cloud-init-local.service", cloud.enabled)
        self.assertEqual(("ConfigDrive", "OpenStack", "None"), cloud.datasources)
        self.assertEqual(
            "/etc/cloud/cloud.cfg.d/90_datasources.cfg: datasource_list: [ ConfigDrive, OpenStack, None ]",
            str(cloud.datasources_from),
        )
        self.assertEqual((True, True, ()), (cloud.one_line, cloud.identifies, cloud.disabled))
        self.assertEqual(Setting(value="debian", where="/etc/cloud/cloud.cfg", line="name: debian"), cloud.default_user)
        self.assertEqual("/etc/systemd/system/multi-user.target.wants/ssh.service", ssh.enabled)
        self.assertEqual("no", ssh.password.value if ssh.password else "")
        self.assertIsNone(ssh.root)
        self.assertIsNone(identity.machine_id)
        self.assertEqual((), identity.host_keys)

    def test_what_a_start_leaves(self) -> None:
        facts = seen(state=State(used=True))
        identity = facts.identity
        self.assertEqual(build.MACHINE_ID, identity.machine_id.value if identity.machine_id else "")
        self.assertEqual(("/etc/ssh/ssh_host_ed25519_key",), identity.host_keys)
        self.assertEqual(("/root/.bash_history",), identity.histories)
        assert facts.cloud_init is not None
        self.assertEqual(
            (f"/var/lib/cloud/instances/{build.INSTANCE}", "/var/lib/cloud/instance"), facts.cloud_init.instances
        )

    def test_damage_is_noted_and_the_rest_is_seen(self) -> None:
        for path in ("etc/fstab", GRUB, f"boot/initrd.img-{VERSION}", f"boot/config-{VERSION}", "etc/cloud/cloud.cfg"):
            notes = Notes()
            facts = seen(notes=notes, broken=(path,))
            self.assertIn(f"/{path} on disk 0, partition 1", [each.what for each in notes.unread])
            self.assertEqual("debian", facts.distribution.id)
            self.assertEqual(1, len(facts.kernels))

    def test_an_initrd_that_cannot_be_read(self) -> None:
        notes = Notes()
        (kernel,) = seen({f"boot/initrd.img-{VERSION}": b"\x28\xb5\x2f\xfdjunk"}, notes=notes).kernels
        assert kernel.initrd is not None
        self.assertRegex(kernel.initrd.unread, "^the zstd stream is damaged near ")
        self.assertEqual([f"/boot/initrd.img-{VERSION} on disk 0, partition 1"], [each.what for each in notes.unread])

    def test_other_volumes_are_mounted(self) -> None:
        files = build.files()
        boot = {path.removeprefix("boot/"): each for path, each in files.items() if path.startswith("boot/")}
        usr = {path.removeprefix("usr/"): each for path, each in files.items() if path.startswith("usr/")}
        table = f"UUID={UUID} / ext4\nUUID=b00f /boot ext4\n/dev/mapper/vg-usr /usr xfs\nLABEL=none /var xfs\n"
        facts = seen(
            {"etc/fstab": table},
            without=("boot/", "usr/"),
            volumes={"UUID=B00F": boot, "/dev/mapper/vg-usr": usr, "LABEL=var": {}},
        )
        self.assertEqual(("/usr: /dev/mapper/vg-usr", "/boot: UUID=b00f"), facts.mounted)
        self.assertEqual(["/var"], [each.path for each in facts.unmounted])
        self.assertEqual(("debian", "x86_64"), (facts.distribution.id, facts.architecture))
        self.assertEqual([VERSION], [kernel.version for kernel in facts.kernels])

    def test_the_efi_system_partition(self) -> None:
        facts = seen(esp=EFI_PROGRAMS, state=State(efi=True))
        self.assertEqual(("/boot/efi: EFI system partition",), facts.mounted)
        self.assertEqual(
            [
                ("grub", "/boot/grub/x86_64-efi"),
                ("fallback", "/EFI/BOOT/BOOTX64.EFI"),
                ("grub", "/EFI/debian/grubx64.efi"),
                ("shim", "/EFI/debian/shimx64.efi"),
            ],
            [(each.name, each.path) for each in facts.bootloaders],
        )
        self.assertEqual((), facts.unmounted)


@ddt.ddt
class DistributionTest(unittest.TestCase):
    @ddt.unpack
    @ddt.data(
        ({"etc/centos-release": "CentOS release 6.10 (Final)\n", "etc/redhat-release": "x"}, "centos", "6.10"),
        ({"etc/redhat-release": "Red Hat Enterprise Linux Server release 7.9 (Maipo)\n"}, "rhel", "7.9"),
        (
            {"etc/lsb-release": "DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=12.04\nDISTRIB_CODENAME=precise\n"},
            "ubuntu",
            "12.04",
        ),
        ({"etc/debian_version": "6.0.10\n"}, "debian", "6.0.10"),
        ({"etc/alpine-release": "3.19.1\n"}, "alpine", "3.19.1"),
        ({"etc/os-release": 'ID="ol"\nVERSION_ID="8.9"\nID_LIKE="fedora"\nBROKEN="\n'}, "ol", "8.9"),
        ({}, "", ""),
    )
    def test_of_older_files(self, files: dict[str, str], name: str, version: str) -> None:
        found = seen(files, without=("etc/os-release", "usr/lib/os-release")).distribution
        self.assertEqual((name, version), (found.id, found.version_id))

    @ddt.unpack
    @ddt.data((3, 1, "i686"), (183, 1, "aarch64"), (22, 2, "s390x"), (21, 1, "ppc64le"), (21, 2, "ppc64"), (999, 1, ""))
    def test_architecture(self, machine: int, order: int, name: str) -> None:
        head = b"\x7fELF\x02" + bytes([order]) + bytes(12) + machine.to_bytes(2, "little" if order == 1 else "big")
        self.assertEqual(name, seen({"usr/bin/sh": head}).architecture)


@ddt.ddt
class KernelsTest(unittest.TestCase):
    def kernels(self, changes: dict[str, Any], *versions: str, without: Iterable[str] = ()) -> list[tuple[str, bool]]:
        for version in versions:
            changes = {**dict(build.kernel(State(version=version))), **changes}
        return [(each.version, each.default) for each in seen(changes, without=without).kernels]

    def test_the_one_of_the_menu_is_first_then_the_newest(self) -> None:
        self.assertEqual(
            [(VERSION, True), ("6.1.0-100-amd64", False), ("6.1.0-9-amd64", False)],
            self.kernels({}, "6.1.0-9-amd64", "6.1.0-100-amd64"),
        )

    def test_the_newest_without_a_menu(self) -> None:
        self.assertEqual(
            [("6.1.0-100-amd64", True), (VERSION, False)], self.kernels({}, "6.1.0-100-amd64", without=(GRUB,))
        )

    def test_saved_entry(self) -> None:
        menu = "".join(
            f"menuentry 'Linux {version}' --id 'id-{version}' {{\n  linux /vmlinuz-{version} root=LABEL=root\n}}\n"
            for version in (VERSION, "5.10")
        )
        for entry in ("1", "Linux 5.10", "id-5.10", "submenu>id-5.10"):
            changes = {GRUB: menu, "boot/grub/grubenv": f"# GRUB Environment Block\nsaved_entry={entry}\n####"}
            self.assertEqual([("5.10", True), (VERSION, False)], self.kernels(changes, "5.10"), entry)
        self.assertEqual([("5.10", True), (VERSION, False)], self.kernels({GRUB: f'set default="1"\n{menu}'}, "5.10"))

    def test_boot_loader_specification(self) -> None:
        entry = (
            "title x\nversion {0}\nlinux /vmlinuz-{0}\ninitrd /initramfs-{0}.img $tuned_initrd\noptions $kernelopts\n"
        )
        changes: dict[str, Any] = {
            f"boot/loader/entries/abc-{version}.conf": entry.format(version) for version in ("5.14.0-9", "5.14.0-70")
        }
        changes["boot/loader/entries/abc-0-rescue.conf"] = entry.format("0-rescue-abc")
        changes["boot/grub2/grubenv"] = "kernelopts=root=/dev/sda3 ro\n"
        for version in ("5.14.0-9", "5.14.0-70", "0-rescue-abc"):
            changes[f"boot/vmlinuz-{version}"] = b"MZ"
            changes[f"boot/initramfs-{version}.img"] = build.initrd(["xen-blkfront.ko"])
        facts = seen(changes, without=("boot/",))
        self.assertEqual(
            [("5.14.0-70", True, False), ("5.14.0-9", False, False), ("0-rescue-abc", False, True)],
            [(each.version, each.default, each.rescue) for each in facts.kernels],
        )
        self.assertEqual(
            {f"/boot/initramfs-{version}.img" for version in ("5.14.0-70", "5.14.0-9", "0-rescue-abc")},
            {each.initrd.path for each in facts.kernels if each.initrd},
        )
        line = facts.command_lines[0]
        self.assertEqual(("/dev/sda3", True), (line.value("root"), line.default))
        self.assertEqual("/boot/loader/entries/abc-5.14.0-70.conf", line.where)

    def test_grub_1_and_syslinux(self) -> None:
        legacy = "default=1\ntitle old\n kernel /vmlinuz-2 root=/dev/hda1\n"
        legacy += f"title new\n\tkernel /vmlinuz-{VERSION} root=/dev/hda2 ro\n"
        syslinux = f"DEFAULT a\nLABEL b\n LINUX x\nLABEL a\n  LINUX vmlinuz-{VERSION}\n  APPEND root=/dev/hda2\n"
        for changes in (
            {"boot/grub/grub.conf": legacy},
            {"boot/extlinux.conf": syslinux},
        ):
            line = next(each for each in seen(changes, without=(GRUB,)).command_lines if each.kernel and each.default)
            self.assertEqual("/dev/hda2", line.value("root"))

    def test_version_inside_the_kernel(self) -> None:
        image = bytearray(0x1000)
        image[0x202:0x206], image[0x20E:0x210] = b"HdrS", (0x600).to_bytes(2, "little")
        image[0x800:0x820] = b"6.6.4-0-virt (builder@alpine)".ljust(32, b"\0")
        version = "6.6.4-0-virt"
        facts = seen(
            {
                "boot/vmlinuz-virt": bytes(image),
                "boot/initramfs-virt": build.initrd(["xen-blkfront.ko.gz"], "gzip"),
                f"usr/lib/modules/{version}/modules.builtin": "kernel/drivers/nvme/host/nvme.ko\n",
                f"usr/lib/modules/{version}/modules.dep": "kernel/drivers/block/xen-blkfront.ko.gz:\n",
            },
            without=("boot/",),
        )
        (kernel,) = facts.kernels
        self.assertEqual(
            (version, "/boot/initramfs-virt"), (kernel.version, kernel.initrd.path if kernel.initrd else "")
        )
        self.assertEqual(
            [Presence.MODULE, Presence.ABSENT, Presence.BUILTIN, Presence.ABSENT, Presence.UNKNOWN],
            [each.presence for each in kernel.drivers],
        )
        self.assertEqual(
            f"/lib/modules/{version}/modules.dep: kernel/drivers/block/xen-blkfront.ko.gz", kernel.drivers[0].evidence
        )

    def test_without_configuration_and_lists(self) -> None:
        (kernel,) = seen(without=(f"boot/config-{VERSION}",)).kernels
        self.assertEqual({Presence.UNKNOWN}, {each.presence for each in kernel.drivers})

    def test_kernels_outside_of_boot(self) -> None:
        for path in ("usr/lib/modules/6.9/vmlinuz", "boot/efi/" + "a" * 32 + "/6.9/linux"):
            (kernel,) = seen({path: b"MZ"}, without=("boot/",)).kernels
            self.assertEqual("6.9", kernel.version, path)

    def test_what_is_no_kernel(self) -> None:
        changes: dict[str, Any] = {
            f"boot/{name}": b"" for name in ("vmlinuz", "vmlinuz-6.old", "System.map-6.1", "vmlinux-6.gz")
        }
        self.assertEqual([(VERSION, True)], self.kernels(changes))

    def test_hundreds_of_kernels(self) -> None:
        changes: dict[str, Any] = {f"boot/vmlinuz-{number}": b"" for number in range(300)}
        self.assertEqual(16, len(seen(changes).kernels))


@ddt.ddt
class SettingsTest(unittest.TestCase):
    def cloud(self, changes: dict[str, Any], without: Iterable[str] = ()) -> Any:
        return seen(changes, without=without).cloud_init

    @ddt.unpack
    @ddt.data(
        ("datasource_list: [OpenStack]", ("OpenStack",), True),
        ("datasource_list: ['ConfigDrive', \"None\"] # why", ("ConfigDrive", "None"), True),
        ("datasource_list:\n  - ConfigDrive\n  # why\n  - None\nother: 1\n", ("ConfigDrive", "None"), False),
        ("datasource_list: [ ConfigDrive,\n  OpenStack ]\n", ("ConfigDrive", "OpenStack"), False),
        ("datasource_list: []", (), True),
        ("nested:\n  datasource_list: [Ec2]\n", ("ConfigDrive", "OpenStack", "None"), True),
    )
    def test_lists(self, text: str, expected: tuple[str, ...], one_line: bool) -> None:
        found = self.cloud({"etc/cloud/cloud.cfg.d/99.cfg": text})
        self.assertEqual((expected, one_line), (found.datasources, found.one_line))

    def test_the_last_file_wins(self) -> None:
        found = self.cloud({
            "etc/cloud/cloud.cfg": "datasource_list: [A]\n",
            "etc/cloud/cloud.cfg.d/00.cfg": "datasource_list: [B]\nsystem_info:\n  default_user: {name: x, a: b}\n",
            "etc/cloud/cloud.cfg.d/zz.txt": "datasource_list: [C]\n",
        })  # fmt: skip
        self.assertEqual("ConfigDrive", found.datasources[0])
        self.assertEqual("x", found.default_user.value)

    def test_switched_off(self) -> None:
        for changes, disabled in (
            ({"etc/cloud/cloud-init.disabled": ""}, "/etc/cloud/cloud-init.disabled"),
            (
                {"etc/systemd/system/cloud-init.target": Link("/dev/null")},
                "/etc/systemd/system/cloud-init.target -> /dev/null",
            ),
            (
                {"etc/default/grub": 'GRUB_CMDLINE_LINUX="cloud-init=disabled"\n'},
                "/etc/default/grub: cloud-init=disabled",
            ),
        ):
            self.assertEqual((disabled,), self.cloud(changes).disabled)
        self.assertEqual("", self.cloud({}, without=("etc/systemd/system/cloud-init",)).enabled)

    def test_settings(self) -> None:
        found = self.cloud({
            "etc/cloud/ds-identify.cfg": "# x\npolicy: search,notfound=enabled\ndatasource: OpenStack\n",
            "etc/cloud/cloud.cfg.d/99.cfg": "network: {config: disabled}\nssh_deletekeys: false\n",
        })  # fmt: skip
        self.assertEqual("search,notfound=enabled", found.policy.value)
        self.assertEqual("/etc/cloud/ds-identify.cfg: datasource: OpenStack", str(found.datasource))
        self.assertEqual("/etc/cloud/cloud.cfg.d/99.cfg: network: {config: disabled}", str(found.network))
        self.assertEqual("ssh_deletekeys: false", found.keeps_host_keys.line)
        self.assertEqual(
            "disabled", self.cloud({"etc/cloud/cloud.cfg.d/99.cfg": "network:\n  config: disabled\n"}).network.value
        )

    def test_none_of_it(self) -> None:
        self.assertIsNone(seen(state=State(cloud_init="none")).cloud_init)

    @ddt.unpack
    @ddt.data(
        ("PasswordAuthentication yes\nPermitRootLogin yes\n", "", "yes", "yes"),
        (
            "Include /etc/ssh/sshd_config.d/*.conf\nPasswordAuthentication yes\n",
            "PasswordAuthentication no\n",
            "no",
            None,
        ),
        ("PasswordAuthentication yes\nInclude sshd_config.d/*.conf\n", "passwordauthentication no\n", "yes", None),
        ("Match User x\nPasswordAuthentication yes\n", "", None, None),
        ("Include /etc/ssh/sshd_config.d/*.conf\n", "Match all\nPermitRootLogin yes\n", None, None),
        (
            "Include /etc/ssh/sshd_config.d/*.conf\n",
            "Include /etc/ssh/sshd_config.d/*.conf\nPermitRootLogin=no\n",
            None,
            "no",
        ),
    )
    def test_ssh(self, config: str, part: str, password: str | None, root: str | None) -> None:
        found = seen({"etc/ssh/sshd_config": config, "etc/ssh/sshd_config.d/50-x.conf": part}).ssh
        assert found is not None
        self.assertEqual((password, root), tuple(each and each.value for each in (found.password, found.root)))

    def test_ssh_that_does_not_start(self) -> None:
        found = seen({"etc/systemd/system/ssh.service": Link("/dev/null")}, without=("etc/systemd/system/multi",)).ssh
        assert found is not None
        self.assertEqual(("", "/etc/systemd/system/ssh.service"), (found.enabled, found.masked))
        self.assertIsNone(seen(without=("usr/sbin/sshd",)).ssh)

    @ddt.data(
        "etc/rc3.d/S02ssh",
        "etc/runlevels/default/sshd",
        "etc/init/ssh.conf",
        "usr/lib/systemd/system/sockets.target.wants/ssh.socket",
    )
    def test_other_ways_to_start(self, path: str) -> None:
        found = seen({path: Link("anywhere")}, without=("etc/systemd/system/multi",)).ssh
        self.assertEqual(f"/{path}", found.enabled if found else None)


class TablesTest(unittest.TestCase):
    def test_fstab(self) -> None:
        facts = seen({
            "etc/fstab": "# x\n\n/dev/sda1\t/data\\040x auto defaults,nofail 0 0\n/dev/sda2 none swap sw 0 0\nbroken\n"
            'UUID="ab" /b ext4\n',
            "etc/crypttab": "# x\ncrypt /dev/sda3 none luks,discard\n",
        })  # fmt: skip
        self.assertEqual(
            [
                ("/dev/sda1", "/data x", "auto", ("defaults", "nofail")),
                ("/dev/sda2", "none", "swap", ("sw",)),
                ("UUID=ab", "/b", "ext4", ()),
            ],
            [(each.device, each.path, each.type, each.options) for each in facts.mounts],
        )
        self.assertEqual([("/dev/sda3", "crypt")], [(each.device, each.path) for each in facts.crypts])
        self.assertEqual("/dev/sda2 none swap sw 0 0", facts.mounts[1].line)

    def test_resume_and_blacklist(self) -> None:
        facts = seen({
            "etc/initramfs-tools/conf.d/resume": "RESUME=UUID=dead\n",
            "etc/modprobe.d/x.conf": "blacklist xen_blkfront\ninstall xen-netfront /bin/true\nblacklist floppy\n",
        })  # fmt: skip
        self.assertEqual(["/etc/initramfs-tools/conf.d/resume: RESUME=UUID=dead"], [str(each) for each in facts.resume])
        self.assertEqual(["xen-blkfront", "xen-netfront"], [each.value for each in facts.blacklist])

    def test_identity(self) -> None:
        rule = 'SUBSYSTEM=="net", ATTR{address}=="52:54:00:AA:bb:01", NAME="eth0"'
        facts = seen({
            "etc/udev/rules.d/70-persistent-net.rules": f"# x\n{rule}\n",
            "etc/sysconfig/network-scripts/ifcfg-eth0": "DEVICE=eth0\nHWADDR=52:54:00:aa:bb:02\n",
            "etc/netplan/50.yaml": "a:\n  match:\n    macaddress: '52:54:00:aa:bb:03'\n",
            "etc/NetworkManager/system-connections/a": "mac-address=52:54:00:AA:BB:04\ncloned-mac-address=2:3:4\n",
            "root/.ssh/authorized_keys": "ssh-ed25519 " + "A" * 80 + " me@home\n",
            "home/x/.bash_history": "",
            "var/lib/systemd/random-seed": b"x" * 32,
            "var/lib/dbus/machine-id": "fedcba\n",
        }).identity  # fmt: skip
        self.assertEqual(["52:54:00:aa:bb:01"], [each.value for each in facts.net_rules])
        self.assertEqual(
            {"52:54:00:aa:bb:02", "52:54:00:aa:bb:03", "52:54:00:aa:bb:04"}, {each.value for each in facts.macs}
        )
        self.assertEqual(["me@home"], [each.value for each in facts.authorized_keys])
        self.assertLess(len(facts.authorized_keys[0].line), 60)
        self.assertEqual(((), "/var/lib/systemd/random-seed"), (facts.histories, facts.random_seed))
        self.assertEqual("/var/lib/dbus/machine-id", facts.machine_id.where if facts.machine_id else "")

    def test_tools(self) -> None:
        facts = seen({"usr/sbin/xe-daemon": b"", "usr/bin/vmtoolsd": b"", "usr/sbin/qemu-ga": b""})
        self.assertEqual(
            ["xe-guest-utilities", "open-vm-tools", "qemu-guest-agent"], [each.value for each in facts.tools]
        )


class BoundsTest(unittest.TestCase):
    def test_an_early_end_loses_one_step(self) -> None:
        told: list[LinuxFacts] = []

        class Ending(MemoryFileSystem):
            def read(self, path: str, length: int, offset: int = 0) -> bytes:
                if "initrd" in path:
                    raise Stopped("took longer than 30 s")
                return super().read(path, length, offset)

        tree = Tree(Ending(build.files()), STRICT)
        with self.assertRaises(Stopped):
            look(tree, "disk 0", Notes(), None, {}, STRICT, tell=told.append)
        self.assertEqual(3, len(told))
        self.assertEqual(dataclasses.replace(seen(), kernels=(), place="disk 0"), told[-1])

    def test_kernels_are_told_one_by_one(self) -> None:
        told: list[LinuxFacts] = []

        class Ending(MemoryFileSystem):
            def read(self, path: str, length: int, offset: int = 0) -> bytes:
                if path == "boot/initrd.img-1.0-old":
                    raise Stopped("took longer than 30 s")
                return super().read(path, length, offset)

        older = {"boot/vmlinuz-1.0-old": b"", "boot/initrd.img-1.0-old": b"x"}
        with self.assertRaises(Stopped):
            look(Tree(Ending(build.files() | older), STRICT), "disk 0", Notes(), None, {}, STRICT, tell=told.append)
        self.assertEqual([(0, 0, 0, 1)], [tuple(len(each.kernels) for each in told)])
        self.assertEqual(VERSION, told[-1].kernels[0].version)

    def test_initrds_share_what_may_be_unpacked(self) -> None:
        notes, allowance = Notes(), Allowance()
        allowance.unpacked = UNPACKED_MAX
        found = look(Tree(MemoryFileSystem(build.files()), STRICT), "disk 0", notes, None, {}, STRICT,
                     allowance=allowance)  # fmt: skip
        assert found is not None and found.kernels[0].initrd is not None
        self.assertIn("unpacks to more than is left of ", found.kernels[0].initrd.unread)
        self.assertEqual([found.kernels[0].initrd.unread], [each.why for each in notes.unread])

    def test_long_and_wide_files(self) -> None:
        line = "UUID=x /x ext4\n"
        facts = seen({"etc/fstab": line * 30_000, GRUB: "menuentry x {\nlinux /a root=b\n}\n" * 5000})
        self.assertEqual(200, len(facts.mounts))
        self.assertLessEqual(len(facts.command_lines), 300)

    def test_large_files_are_noted(self) -> None:
        notes = Notes()
        facts = seen({"etc/fstab": "#" * (1 << 21)}, notes=notes)
        self.assertEqual((), facts.mounts)
        self.assertEqual(["has 2097152 bytes"], [each.why.split(": ")[-1].split(",")[0] for each in notes.unread])

    def test_an_initrd_beyond_the_limit(self) -> None:
        root = MemoryFileSystem(build.files())
        limits = dataclasses.replace(STRICT, guest_file=100)
        found = look(Tree(root, limits), "disk 0", Notes(), None, {}, limits)
        assert found is not None
        self.assertRegex(found.kernels[0].initrd.unread if found.kernels[0].initrd else "", "limit guest_file")
