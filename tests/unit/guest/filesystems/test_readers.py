"""File systems of real makers, file by file, and what is asked of them in odd ways."""

from __future__ import annotations

import functools
import os
import pathlib
import stat
import subprocess
import tempfile
from typing import TYPE_CHECKING
from unittest import mock

import ddt
import pyfsntfs

from tests.base import TestCase
from tests.builders.guests import linux, ntfs
from tests.builders.guests.files import Link, write
from tests.builders.pattern import pattern
from xenimage.exceptions import FormatError, LimitError, UnsupportedError
from xenimage.formats.raw import open_raw
from xenimage.guest.filesystems.base import Kind
from xenimage.guest.filesystems.registry import is_read, open_volume
from xenimage.guest.notes import Stopped
from xenimage.guest.window import Budget, DiskReader
from xenimage.limits import STRICT, Limits
from xenimage.sources.file import open_file
from xenimage.units import KIB, MIB

if TYPE_CHECKING:
    from collections.abc import Callable

    from xenimage.guest.filesystems.base import FileSystem

FILES: dict[str, bytes] = {
    "etc/os-release": b"ID=debian\n",
    "etc/empty": b"",
    "big": bytes(range(256)) * 9000,
    "boot/grub/grub.cfg": b"x" * 5000,
    "Grüße": b"umlauts",
    **{f"many/file with a long name {number:04}.txt": b"%d" % number for number in range(200)},
}
LINKS = {
    "bin": Link("usr/bin"),
    "usr/bin/sh": Link("/usr/bin/dash"),
    "etc/long": Link("x" * 59),
    "etc/longer": Link("x" * 60),
    "etc/longest": Link("y" * 900),
}
UNIX = {
    "ext2": "-t ext2",
    "ext3": "-t ext3 -b 4096",
    "ext4": "-t ext4",
    "ext4-new": "-t ext4 -O metadata_csum_seed,orphan_file,64bit",
    "ext4-old": "-t ext4 -O ^extents,^64bit,^metadata_csum -I 128",
    "xfs": "",
    "xfs-old": "-m crc=0",
    "xfs-new": "-i nrext64=1 -m rmapbt=1,reflink=1,bigtime=1,inobtcount=1",
    "xfs-directories": "-n size=16384",
}
OTHERS = ("ntfs", "ntfs-64k", "fat12", "fat16", "fat32")


@functools.cache
def _scratch() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="xenimage-volumes-")


@functools.cache
def volume(name: str) -> pathlib.Path:
    """The image of a volume, made once in a process."""
    path = pathlib.Path(_scratch().name) / name
    kind, _, variant = name.partition("-")
    if name in UNIX:
        _unix(path, kind, UNIX[name].split())
    elif kind == "ntfs":
        ntfs.format_volume(path, 64 * MIB, label="Windows", cluster=65536 if variant == "64k" else 4096)
        ntfs.fill(path, FILES)
    else:
        _fat(path, kind)
    return path


def _unix(path: pathlib.Path, kind: str, options: list[str]) -> None:
    # No names with white space: mkfs.xfs cannot express them.
    with tempfile.TemporaryDirectory() as directory:
        folder = pathlib.Path(directory)
        write({name.replace(" ", "_"): content for name, content in (FILES | LINKS).items()}, folder)
        (folder / "usr/bin/dash").write_bytes(b"ELF")
        (folder / "usr/bin/dash").chmod(0o4755)
        with path.open("wb") as file:
            file.truncate((320 if kind == "xfs" else 32) * MIB)
        if kind == "xfs":
            prototype = path.with_suffix(".proto")
            prototype.write_bytes(b"".join(os.fsencode(line) + b"\n" for line in linux._prototype(folder)))
            linux.run("mkfs.xfs", "-q", *options, "-p", prototype, path)
        else:
            linux.run("mke2fs", "-q", "-F", *options, "-d", folder, path)


def _fat(path: pathlib.Path, kind: str) -> None:
    with path.open("wb") as file:
        file.truncate({"fat12": 8, "fat16": 32, "fat32": 64}[kind] * MIB)
    linux.run("mkfs.vfat", "-F", kind[3:], "-n", "LABEL", path)
    with tempfile.TemporaryDirectory() as directory:
        folder = pathlib.Path(directory)
        write(FILES, folder)
        with mock.patch.dict(os.environ, {"LC_ALL": "C.UTF-8"}):
            subprocess.run(["mcopy", "-s", "-i", path, *folder.iterdir(), "::/"], check=True, capture_output=True)


class Case(TestCase):
    def opened(self, path: pathlib.Path, limits: Limits = STRICT) -> FileSystem:
        disk = open_raw(open_file(path), STRICT)
        self.addCleanup(disk.close)
        self.budget = Budget(limits)
        filesystem = open_volume(DiskReader(disk, self.budget), limits)
        self.addCleanup(filesystem.close)
        return filesystem

    def changed(self, name: str, change: Callable[[bytearray], None]) -> pathlib.Path:
        """A copy of a volume with something else in its first mebibyte."""
        path = self.scratch / name
        linux.run("cp", "--sparse=always", volume(name), path)
        with path.open("r+b") as file:
            data = bytearray(file.read(MIB))
            change(data)
            file.seek(0)
            file.write(data)
        return path


@ddt.ddt
class ContentTest(Case):
    @ddt.data(*UNIX, *OTHERS)
    def test_every_file(self, name: str) -> None:
        found = self.opened(volume(name))
        spaces = " " if name in OTHERS else "_"
        wanted = {path.replace(" ", spaces): content for path, content in FILES.items()}
        for path, content in wanted.items():
            entry = found.entry(path)
            self.assertIsNotNone(entry, path)
            self.assertEqual((path, Kind.FILE, len(content)), (entry.path, entry.kind, entry.size))
            self.assert_same_bytes(content, found.read(path, len(content) + 1))
        self.assertEqual(sorted(path[5:] for path in wanted if path.startswith("many/")), found.names("many"))
        own = {one for one in found.names("") if one == "lost+found" or one.startswith("$")}
        links = {path.split("/")[0] for path in LINKS} if name in UNIX else set()
        self.assertEqual({path.split("/")[0] for path in wanted} | links, set(found.names("")) - own)
        self.assertEqual([], found.losses)

    @ddt.data(*UNIX, *OTHERS)
    def test_a_part_of_a_file(self, name: str) -> None:
        found = self.opened(volume(name))
        content = FILES["big"]
        for offset, length in ((0, 3), (1000, 100_000), (len(content) - 4, 4), (len(content) - 4, 40)):
            self.assert_same_bytes(content[offset : offset + length], found.read("big", length, offset))
        self.assertEqual(
            [b"", b"", b""], [found.read("big", *where) for where in ((0, 5), (5, len(content)), (5, 2**50))]
        )

    @ddt.data(*UNIX, *OTHERS)
    def test_what_is_not_there(self, name: str) -> None:
        found = self.opened(volume(name))
        for path in (
            "nothing", "etc/nothing", "nothing/nothing", "big/x", "etc/os-release/x/y", "etc\\os-release", "a\0b",
            "\udcff", "x" * 300, "/".join(["etc"] * 3000), "etc//os-release",
        ):  # fmt: skip
            self.assertIsNone(found.entry(path), path)
            self.assertEqual((), found.names(path), path)
            with self.assertRaisesRegex(FormatError, "is no file"):
                found.read(path, 5)
        self.assertEqual((), found.names("big"))

    @ddt.data(*UNIX, *OTHERS)
    def test_a_directory(self, name: str) -> None:
        found = self.opened(volume(name))
        self.assertEqual(
            (Kind.DIRECTORY, 0, "etc"), (found.entry("etc").kind, found.entry("etc").size, found.entry("etc").name)
        )
        self.assertEqual(("", Kind.DIRECTORY), (found.entry("").path, found.entry("").kind))
        with self.assertRaisesRegex(FormatError, "^etc: is no file$"):
            found.read("etc", 5)

    @ddt.data(*UNIX)
    def test_links_are_told_and_not_followed(self, name: str) -> None:
        found = self.opened(volume(name))
        for path, link in LINKS.items():
            entry = found.entry(path)
            self.assertEqual((Kind.LINK, link.target), (entry.kind, entry.target), path)
            with self.assertRaisesRegex(FormatError, "is no file"):
                found.read(path, 5)
        self.assertIsNone(found.entry("bin/dash"))
        self.assertEqual((0o4755, 0o755), (found.entry("usr/bin/dash").mode, stat.S_IMODE(found.entry("etc").mode)))
        self.assertTrue(found.has_links)
        self.assertFalse(found.ignores_case)
        self.assertIsNone(found.entry("ETC"))

    @ddt.data(*OTHERS)
    def test_case_does_not_count(self, name: str) -> None:
        found = self.opened(volume(name))
        self.assertEqual(b"ID=debian\n", found.read("ETC/Os-Release", 100))
        self.assertEqual("ETC", found.entry("ETC").path)
        self.assertEqual((True, False), (found.ignores_case, found.has_links))
        self.assertEqual(b"umlauts", found.read("GRÜßE", 100))

    @ddt.data(*UNIX, *OTHERS)
    def test_closing_twice(self, name: str) -> None:
        found = self.opened(volume(name))
        found.close()
        found.close()


@ddt.ddt
class BoundsTest(Case):
    @ddt.data("ext4", "xfs", "ntfs", "fat32")
    def test_names_of_a_directory(self, name: str) -> None:
        self.assertEqual(200, len(self.opened(volume(name), Limits(guest_entries=200)).names("many")))
        with self.assertRaisesRegex(LimitError, r"names in .* is .*, expected at most 199 \(limit guest_entries\)"):
            self.opened(volume(name), Limits(guest_entries=199)).names("many")

    @ddt.data("ext4", "xfs", "ntfs", "fat32")
    def test_bytes_of_a_file(self, name: str) -> None:
        found = self.opened(volume(name), Limits(guest_file=100 * KIB))
        self.assertEqual(100 * KIB, len(found.read("big", 100 * KIB)))
        with self.assertRaisesRegex(LimitError, "the number of bytes to read of big is 102401, .*guest_file"):
            found.read("big", 100 * KIB + 1)

    @ddt.data("ext4", "xfs", "ntfs", "fat32")
    def test_the_budget_ends_a_library_in_the_middle(self, name: str) -> None:
        found = self.opened(volume(name), Limits(guest_bytes=2 * MIB))
        with self.assertRaisesRegex(Stopped, "limit guest_bytes"):
            found.read("big", 3 * MIB)


@ddt.ddt
class DamageTest(Case):
    def test_kinds_that_are_not_read(self) -> None:
        path = self.scratch / "none"
        path.write_bytes(bytes(MIB))
        with self.assertRaisesRegex(UnsupportedError, "^holds nothing known, expected NTFS, FAT, ext or XFS$"):
            self.opened(path)
        path.write_bytes(bytes(4086) + b"SWAPSPACE2" + bytes(MIB))
        with self.assertRaisesRegex(UnsupportedError, "^holds swap, "):
            self.opened(path)
        self.assertEqual([True, True, False, False], [is_read(kind) for kind in ("fat12", "ext3", "btrfs", "")])

    @ddt.data("ext4", "xfs", "ntfs", "fat32")
    def test_a_volume_that_was_cut_off(self, name: str) -> None:
        path = self.scratch / "cut"
        with volume(name).open("rb") as file:
            path.write_bytes(file.read(100 * KIB))
        with self.assertRaises(FormatError) as caught:
            found = self.opened(path)
            found.names("many")
            found.read("big", 10)
        self.assertNotRegex(str(caught.exception), "lib[a-z]|py[a-z]")

    def test_inline_data_is_refused_rather_than_read_as_zeros(self) -> None:
        path = self.scratch / "inline"
        with path.open("wb") as file:
            file.truncate(16 * MIB)
        linux.run("mke2fs", "-q", "-t", "ext4", "-O", "inline_data", path)
        with self.assertRaisesRegex(UnsupportedError, "inline_data"):
            self.opened(path)

    def test_a_journal_that_was_not_replayed(self) -> None:
        def change(data: bytearray) -> None:
            data[1024 + 96] |= 4

        path = self.changed("ext2", change)
        self.assertTrue(self.opened(path).volume.needs_recovery)
        self.assertEqual(b"ID=debian\n", self.opened(path).read("etc/os-release", 100))

    def test_a_dirty_ntfs(self) -> None:
        """The flag stands in the value of attribute 0x70 of record 3."""

        def change(data: bytearray) -> None:
            record = int.from_bytes(data[48:56], "little") * 4096 + 3 * 1024
            at = data.index(bytes([0x70, 0, 0, 0, 0x28]), record, record + 1024)
            data[at + 24 + 10] |= 1

        self.assertTrue(self.opened(self.changed("ntfs", change)).volume.dirty)
        self.assertFalse(self.opened(volume("ntfs")).volume.dirty)

    def test_a_volume_record_that_is_damaged(self) -> None:
        def change(data: bytearray) -> None:
            record = int.from_bytes(data[48:56], "little") * 4096 + 3 * 1024
            data[record : record + 4] = b"BAAD"

        found = self.opened(self.changed("ntfs", change))
        self.assertEqual(["$Volume"], [one.what for one in found.losses])
        self.assertEqual(b"ID=debian\n", found.read("etc/os-release", 100))

    def test_a_name_that_is_no_text(self) -> None:
        folder = self.scratch / "tree"
        folder.mkdir()
        (folder / "good").write_bytes(b"1")
        with open(bytes(folder) + b"/bad\xff", "wb") as file:
            file.write(b"2")
        path = self.scratch / "bad.ext4"
        linux.run("mke2fs", "-q", "-t", "ext4", "-d", folder, path, "8M")
        found = self.opened(path)
        self.assertEqual(["good", "lost+found"], found.names(""))
        self.assertEqual(["an entry of /"], [one.what for one in found.losses])


class SplitIndexTest(Case):
    """A directory whose index blocks lie in two runs of clusters, on which libfsntfs fails."""

    def test_every_file(self) -> None:
        path = self.scratch / "split.ntfs"
        ntfs.format_volume(path, 24 * MIB, cluster=512)
        ntfs.crowd(path, 10_000)
        found = self.opened(path)
        names = [name for name in found.names("") if not name.startswith("$")]
        self.assertEqual([f"t{number:06d}" for number in range(1, 10_000, 2)], names)
        library = pyfsntfs.volume()
        library.open(str(path))
        with self.assertRaises(OSError, msg="libfsntfs reads it by now: own code for directories may go"):
            library.get_root_directory()
        for name in names[::50]:
            self.assertEqual(name.encode() * 100, found.read(name.upper(), 1000))
            self.assertEqual((name, Kind.FILE, 700), (name, found.entry(name).kind, found.entry(name).size))
        self.assertIsNone(found.entry("t000000"))
        self.assertIsNone(found.entry("t000001/x"))
        self.assertEqual((Kind.DIRECTORY, Kind.DIRECTORY), (found.entry("").kind, found.entry("$Extend").kind))
        self.assertIn("$Quota", found.names("$Extend"))
        self.assertEqual((), found.names("t000001"))
        self.assertLess(self.budget.bytes_read, 40 * MIB)


class LargeFileTest(Case):
    def test_a_file_that_is_larger_than_what_is_asked_for_at_once(self) -> None:
        folder, path = self.scratch / "tree", self.scratch / "large.ext4"
        folder.mkdir()
        content = pattern(0, 70 * MIB)
        (folder / "large").write_bytes(content)
        linux.run("mke2fs", "-q", "-t", "ext4", "-d", folder, path, "96M")
        found = self.opened(path)
        self.assert_same_bytes(content, found.read("large", 80 * MIB))
        self.assert_same_bytes(content[5 * MIB + 1 : 55 * MIB], found.read("large", 50 * MIB - 1, 5 * MIB + 1))
