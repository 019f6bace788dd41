"""A small Linux on disks that mke2fs, mkfs.xfs, mkfs.vfat and sfdisk made, from the disk to the findings."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import ddt

from tests.base import TestCase
from tests.builders.guests import linux as build
from tests.builders.guests.linux import GOOD, UUID, VERSION, State
from xenimage.checks.guest import registry
from xenimage.formats.raw import open_raw
from xenimage.guest.inspection import inspect
from xenimage.limits import STRICT
from xenimage.profiles.registry import get_profile
from xenimage.sources.file import open_file

if TYPE_CHECKING:
    import pathlib

    from tests.builders.guests.files import Files
    from xenimage.model.guest.facts import GuestFacts

BY_GROUP = f"/dev/mapper/{build.GROUP}-{build.LOGICAL}"


def look(*paths: pathlib.Path) -> GuestFacts:
    with contextlib.ExitStack() as stack:
        disks = [stack.enter_context(contextlib.closing(open_raw(open_file(path), STRICT))) for path in paths]
        return inspect(disks, STRICT, [path.name for path in paths])


def told(facts: GuestFacts, profile: str = "xcp-ng") -> list[tuple[str, str]]:
    return [(each.code, each.severity.value) for each in registry.judge(facts, get_profile(profile))]


@ddt.ddt
class LinuxDiskTest(TestCase):
    def disk(
        self, state: State = GOOD, kind: str = "ext4", *, lvm: bool = False, changes: Files | None = None
    ) -> pathlib.Path:
        return build.make_disk(self.scratch / "disk.raw", state, kind=kind, lvm=lvm, changes=changes)

    @ddt.unpack
    @ddt.data(
        ("ext2", False, False),
        ("ext3", False, False),
        ("ext4", False, False),
        ("ext4", True, False),
        ("xfs", False, False),
        ("xfs", True, False),
        ("ext4", False, True),
        ("xfs", True, True),
    )
    def test_a_good_one(self, kind: str, efi: bool, lvm: bool) -> None:
        state = State(efi=efi, root=BY_GROUP if lvm else f"UUID={UUID}")
        facts = look(self.disk(state, kind, lvm=lvm))
        self.assertEqual([], told(facts))
        self.assertEqual([("disk.firmware.uefi", "error")] if efi else [], told(facts, "nova-xenapi"))
        self.assertEqual((), facts.unread)
        linux = facts.linux
        assert linux is not None
        self.assertEqual("vg/root" if lvm else f"disk 0, partition {2 if efi else 1}", linux.place)
        self.assertEqual([VERSION], [kernel.version for kernel in linux.kernels])
        self.assertEqual(
            ("ata-piix", "xen-blkfront"), linux.kernels[0].initrd.modules if linux.kernels[0].initrd else ()
        )
        self.assertEqual((f"/boot/efi: UUID={build.ESP_UUID}",) if efi else (), linux.mounted)
        self.assertEqual(
            {"/boot/grub/x86_64-efi", "/EFI/BOOT/BOOTX64.EFI", "/EFI/debian/grubx64.efi"}
            if efi
            else {"/boot/grub/i386-pc"},
            {each.path for each in linux.bootloaders},
        )

    def test_faults(self) -> None:
        facts = look(self.disk(State(blkfront="missing", root="/dev/sda1", used=True, cloud_init="disabled")))
        self.assertEqual(
            {
                ("linux.blkfront.missing", "error"),
                ("linux.fstab.device", "error"),
                ("linux.boot.root", "error"),
                ("linux.cloud-init.disabled", "error"),
                ("linux.cloud-init.ran", "warning"),
                ("linux.identity.machine-id", "warning"),
                ("linux.identity.host-keys", "error"),
                ("linux.identity.history", "info"),
            },
            set(told(facts, "nova-xenapi")),
        )

    def test_a_volume_without_a_table_has_no_loader(self) -> None:
        disk, volume = self.disk(), self.scratch / "volume.raw"
        self.run_tool("dd", f"if={disk}", f"of={volume}", "bs=1M", "skip=1", "status=none")
        facts = look(volume)
        self.assertEqual([("disk.firmware.none", "error")], told(facts))
        self.assertEqual("disk 0", facts.linux.place if facts.linux else "")

    def test_boot_on_another_disk(self) -> None:
        boot_uuid = "9a1f7b52-0c58-4f0e-8a53-b36cd6d2f1aa"
        files = build.files()
        folder, volume, boot = self.scratch / "boot", self.scratch / "volume", self.scratch / "boot.raw"
        build.trees.write({path[5:]: each for path, each in files.items() if path.startswith("boot/")}, folder)
        build.make_volume(volume, folder, "ext4", 32, uuid=boot_uuid)
        build.make_mbr(boot, volume)
        table = f"UUID={UUID} / ext4 defaults 0 1\nUUID={boot_uuid} /boot ext4 defaults 0 2\n"
        root = build.make_disk(
            self.scratch / "root.raw",
            changes={path: None for path in files if path.startswith("boot/")} | {"etc/fstab": table},
        )
        facts = look(boot, root)
        self.assertEqual([], told(facts))
        self.assertEqual((f"/boot: UUID={boot_uuid}",), facts.linux.mounted if facts.linux else ())
        self.assertEqual("disk 1, partition 1", facts.linux.place if facts.linux else "")
        alone = look(root)
        self.assertEqual([("linux.fstab.missing", "warning")], told(alone))

    def test_an_encrypted_root(self) -> None:
        volume = self.scratch / "volume"
        with volume.open("wb") as file:
            file.write(b"LUKS\xba\xbe\x00\x02")
            file.truncate(32 << 20)
        build.make_mbr(self.scratch / "disk.raw", volume)
        facts = look(self.scratch / "disk.raw")
        self.assertEqual({("disk.luks.volume", "error"), ("guest.inspection.nothing", "info")}, set(told(facts)))

    def test_cut_off(self) -> None:
        disk = self.disk(State(efi=True))
        with disk.open("r+b") as file:
            file.truncate(disk.stat().st_size - (8 << 20))
        self.assertIn(("disk.partitions.cut", "error"), told(look(disk)))

    def test_enlarged(self) -> None:
        disk = self.disk(State(efi=True))
        size = disk.stat().st_size
        with disk.open("r+b") as file:
            file.truncate(size + (64 << 20))
        # A VHD is rounded up to 2 MiB: that the table ends before the disk does is nothing to warn of.
        self.assertEqual([], told(look(disk)))
        with disk.open("r+b") as file:
            file.truncate(size - 512)
            file.truncate(size + (64 << 20))
        self.assertEqual([("disk.partitions.backup", "warning")], told(look(disk)))
