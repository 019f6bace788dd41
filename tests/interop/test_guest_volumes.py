"""File systems and other volumes of real makers: what blkid and the makers' own tools say of them, and what we say."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

import ddt

from tests.base import TestCase
from tests.builders.guests.windows import PROGRAM_PATH
from xenimage.formats.raw import open_raw
from xenimage.guest.filesystems.registry import is_read, open_volume
from xenimage.guest.volumes.recognise import recognise
from xenimage.guest.window import Budget, DiskReader
from xenimage.limits import STRICT
from xenimage.sources.file import open_file
from xenimage.units import MIB

if TYPE_CHECKING:
    import pathlib

    from xenimage.model.guest.layout import Volume

MAKERS = {
    "ext2": (16, "mke2fs -q -t ext2 -L a-label DISK"),
    "ext3": (16, "mke2fs -q -t ext3 DISK"),
    "ext4": (16, "mke2fs -q -t ext4 -L sixteen-letters. DISK"),
    "ext4-64bit": (16, "mke2fs -q -t ext4 -O 64bit,metadata_csum -b 4096 DISK"),
    "ext4-bigalloc": (64, "mke2fs -q -t ext4 -O bigalloc -C 65536 DISK"),
    "xfs": (320, "mkfs.xfs -q -L xfs-label DISK"),
    "xfs-v4": (320, "mkfs.xfs -q -m crc=0 -b size=1024 DISK"),
    "ntfs": (16, "mkntfs -F -Q -q -L Windows DISK"),
    "ntfs-64k": (64, "mkntfs -F -Q -q -c 65536 DISK"),
    "fat12": (4, "mkfs.vfat -F 12 -n LABEL DISK"),
    "fat16": (32, "mkfs.vfat -F 16 DISK"),
    "fat32": (64, "mkfs.vfat -F 32 -n ESP DISK"),
    "fat32-4k": (300, "mkfs.vfat -F 32 -S 4096 DISK"),
    "btrfs": (128, "mkfs.btrfs -q -L btrfs-label DISK"),
    "swap": (4, "mkswap -L swap-label DISK"),
    "swap-64k": (4, "mkswap -p 65536 DISK"),
}
TYPES = {"vfat": ("fat12", "fat16", "fat32")}


def run(*command: str) -> str:
    environment = {"PATH": PROGRAM_PATH, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, check=True, text=True, capture_output=True, env=environment)
    return done.stdout


@ddt.ddt
class MakersTest(TestCase):
    def made(self, name: str) -> pathlib.Path:
        size, command = MAKERS[name]
        image = self.scratch / name
        with open(image, "wb") as file:
            file.truncate(size * MIB)
        run(*(str(image) if word == "DISK" else word for word in command.split()))
        return image

    def reader(self, image: pathlib.Path) -> DiskReader:
        disk = open_raw(open_file(image), STRICT)
        self.addCleanup(disk.close)
        return DiskReader(disk, Budget(STRICT))

    def found(self, image: pathlib.Path) -> Volume:
        reader = self.reader(image)
        volume = recognise(reader)
        if not is_read(volume.kind):
            return volume
        filesystem = open_volume(reader, STRICT, volume)
        self.addCleanup(filesystem.close)
        self.assertEqual([], filesystem.losses)
        return filesystem.volume

    @ddt.data(*MAKERS)
    def test_kind_label_and_uuid_are_those_of_blkid(self, name: str) -> None:
        image = self.made(name)
        told = dict(re.findall(r"^(\w+)=(.*)$", run("blkid", "-p", "-o", "export", str(image)), re.MULTILINE))
        found = self.found(image)
        self.assertIn(found.kind, TYPES.get(told["TYPE"], (told["TYPE"],)))
        self.assertEqual(name.partition("-")[0], found.kind)
        label = told.get("LABEL", "").replace("\\", "")
        self.assertEqual((told["UUID"], label), (found.uuid, found.label))
        self.assertFalse(found.dirty or found.needs_recovery)
        slack = MIB if found.kind != "btrfs" else 0
        self.assertTrue(os.path.getsize(image) - slack <= found.size <= os.path.getsize(image), found.size)

    @ddt.data("ext2", "ext4", "ext4-64bit", "ext4-bigalloc")
    def test_free_space_of_ext(self, name: str) -> None:
        image = self.made(name)
        told = dict(re.findall(r"^([\w ]+): +(.*)$", run("dumpe2fs", "-h", str(image)), re.MULTILINE))
        found = self.found(image)
        self.assertEqual(int(told["Free blocks"]) * int(told["Block size"]), found.free)
        self.assertEqual(int(told.get("Cluster size", told["Block size"])), found.cluster_size)
        self.assertEqual(int(told["Block count"]) * int(told["Block size"]), found.size)

    @ddt.data("xfs", "xfs-v4")
    def test_free_space_of_xfs(self, name: str) -> None:
        image = self.made(name)
        told = run("xfs_db", "-r", "-c", "sb 0", "-c", "print fdblocks blocksize dblocks", str(image))
        free, size, blocks = (int(word) for word in re.findall(r"= (\d+)", told))
        found = self.found(image)
        self.assertEqual((free * size, size, blocks * size), (found.free, found.cluster_size, found.size))

    @ddt.data("ntfs", "ntfs-64k")
    def test_free_space_of_ntfs(self, name: str) -> None:
        image = self.made(name)
        told = run("ntfsinfo", "-m", str(image))
        cluster = int(re.search(r"Cluster Size: (\d+)", told)[1])
        free = int(re.search(r"Free Clusters: (\d+)", told)[1])
        found = self.found(image)
        self.assertEqual((free * cluster, cluster), (found.free, found.cluster_size))

    def test_free_space_of_fat(self) -> None:
        image = self.made("fat32")
        told = run("fsck.vfat", "-n", "-v", str(image))
        used, clusters = re.search(r"files?, (\d+)/(\d+) clusters", told).groups()
        found = self.found(image)
        self.assertEqual((int(clusters) - int(used)) * found.cluster_size, found.free)

    def test_a_dirty_ext(self) -> None:
        image = self.made("ext4")
        run("debugfs", "-w", "-R", "feature needs_recovery", str(image))
        self.assertTrue(self.found(image).needs_recovery)
        image = self.made("ext2")
        run("debugfs", "-w", "-R", "ssv state 0", str(image))
        self.assertTrue(self.found(image).dirty)
        run("debugfs", "-w", "-R", "ssv state 3", str(image))
        self.assertTrue(self.found(image).dirty)

    def test_another_label_of_fat(self) -> None:
        """The label is the entry in the root directory, not the copy in the boot sector."""
        image = self.made("fat32")
        run("mlabel", "-i", str(image), "::OTHER")
        told = run("blkid", "-p", "-o", "value", "-s", "LABEL", str(image)).strip()
        self.assertEqual(("OTHER", told), (told, self.found(image).label))
