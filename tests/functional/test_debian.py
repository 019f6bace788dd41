"""A real Debian on disks of every usual shape: what is found in it, and what is found once something is spoiled."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING

import ddt

from tests.base import TestCase
from tests.builders.guests.linux import GROUP, LOGICAL, UUID
from tests.functional import debian
from xenimage.checks.guest import registry
from xenimage.formats.raw import open_raw
from xenimage.guest.inspection import inspect
from xenimage.limits import STRICT
from xenimage.profiles.registry import get_profile
from xenimage.sources.file import open_file

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable

    from xenimage.model.guest.facts import GuestFacts

BY_UUID, BY_GROUP = f"UUID={UUID}", f"/dev/mapper/{GROUP}-{LOGICAL}"


@functools.cache
def made() -> debian.Debian:
    """The tree, made when the first test wants it."""
    return debian.Debian()


def look(path: pathlib.Path) -> GuestFacts:
    with contextlib.closing(open_raw(open_file(path), STRICT)) as disk:
        return inspect([disk], STRICT, [path.name])


def told(facts: GuestFacts, profile: str) -> list[tuple[str, str]]:
    return [(each.code, each.severity.value) for each in registry.judge(facts, get_profile(profile))]


def replace_initrd(name: str) -> Callable[[pathlib.Path], None]:
    """Put another initrd, which stands beside the tree, in the place of the good one."""

    def change(folder: pathlib.Path) -> None:
        target = folder / f"boot/initrd.img-{made().version}"
        debian.run("rm", target)
        debian.run("cp", made().folder / f"initrd.{name}", target)

    return change


def rewrite(path: str, old: str, new: str) -> Callable[[pathlib.Path], None]:
    def change(folder: pathlib.Path) -> None:
        text = debian.run("cat", folder / path)
        assert old in text, text
        debian.write(folder, path, text.replace(old, new))

    return change


def add(path: str, text: str) -> Callable[[pathlib.Path], None]:
    return lambda folder: debian.write(folder, path, text)


@ddt.ddt
class DebianTest(TestCase):
    maxDiff = None

    def disk(
        self, *changes: Callable[[pathlib.Path], None], kind: str = "ext4", efi: bool = False, lvm: bool = False
    ) -> pathlib.Path:
        # Hard links do not leave a file system: the copies stand beside the tree.
        folder, path = made().folder / f"copy-{id(self)}", self.scratch / "disk.raw"
        self.addCleanup(debian.run, "rm", "-rf", folder)
        made().system(folder, BY_GROUP if lvm else BY_UUID, efi=efi)
        for change in changes:
            change(folder)
        made().disk(path, folder, kind, efi=efi, lvm=lvm)
        return path

    @ddt.unpack
    @ddt.data(
        ("ext4", False, False),
        ("ext4", True, False),
        ("xfs", False, False),
        ("xfs", True, False),
        ("ext4", False, True),
        ("xfs", True, True),
    )
    def test_a_good_one_has_no_finding(self, kind: str, efi: bool, lvm: bool) -> None:
        facts = look(self.disk(kind=kind, efi=efi, lvm=lvm))
        self.assertEqual([], told(facts, "xcp-ng"))
        self.assertEqual([("disk.firmware.uefi", "error")] if efi else [], told(facts, "nova-xenapi"))
        self.assertEqual((), facts.unread)
        assert facts.linux is not None
        self.assertEqual(f"{GROUP}/{LOGICAL}" if lvm else f"disk 0, partition {2 if efi else 1}", facts.linux.place)
        self.assertEqual(("debian", "12", "x86_64"), self.names(facts))
        self.assertEqual([(made().version, True)], [(each.version, each.default) for each in facts.linux.kernels])
        self.assertLess(facts.cost.bytes_read, 60_000_000)

    def names(self, facts: GuestFacts) -> tuple[str, str, str]:
        assert facts.linux is not None
        return facts.linux.distribution.id, facts.linux.distribution.version_id, facts.linux.architecture

    def test_properties(self) -> None:
        facts = look(self.disk())
        found = {each.name: each.value for each in registry.suggest(facts, get_profile("nova-xenapi"))}
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

    @ddt.data(*debian.PACKINGS)
    def test_an_initrd_packed_otherwise(self, packing: str) -> None:
        self.assertEqual([], told(look(self.disk(replace_initrd(packing))), "nova-xenapi"))

    @ddt.unpack
    @ddt.data(
        (replace_initrd("other"), False, "linux.blkfront.missing", "error"),
        # Debian's cloud kernel has nvme built in, and UEFI machines have such a disk.
        (replace_initrd("other"), True, "linux.blkfront.missing", "warning"),
        (rewrite("etc/fstab", BY_UUID, "/dev/sda1"), False, "linux.fstab.device", "error"),
        (rewrite("boot/grub/grub.cfg", f"root={BY_UUID}", "root=/dev/sda1"), False, "linux.boot.root", "error"),
        (add("etc/cloud/cloud-init.disabled", ""), False, "linux.cloud-init.disabled", "error"),
        (
            add("etc/cloud/cloud.cfg.d/99.cfg", "datasource_list: [ Azure, None ]\n"),
            False,
            "linux.cloud-init.datasource",
            "error",
        ),
        (add("etc/machine-id", "0123456789abcdef0123456789abcdef\n"), False, "linux.identity.machine-id", "warning"),
        (add("etc/ssh/ssh_host_rsa_key", "x\n"), False, "linux.identity.host-keys", "warning"),
        (add("etc/ssh/sshd_config.d/50.conf", "PasswordAuthentication yes\n"), False, "linux.ssh.password", "warning"),
    )
    def test_a_fault_alone(self, change: Callable[[pathlib.Path], None], efi: bool, code: str, severity: str) -> None:
        facts = look(self.disk(change, efi=efi))
        profile = "xcp-ng" if efi else "nova-xenapi"
        self.assertEqual([(code, severity)], told(facts, profile))
