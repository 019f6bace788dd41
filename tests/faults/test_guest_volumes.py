"""Damaged FAT volumes and directories of NTFS: what own code reads, in tables and at random."""

from __future__ import annotations

import contextlib
import pathlib
import random
import struct
import subprocess
import tempfile
from typing import TYPE_CHECKING, ClassVar

import ddt

from tests.base import TestCase
from tests.builders.guests import linux, ntfs
from tests.builders.guests.files import write
from tests.builders.guests.tables import Area
from xenimage.exceptions import FormatError, LimitError, XenimageError
from xenimage.guest.filesystems.ntfs_index import Directories, folded
from xenimage.guest.filesystems.registry import open_volume
from xenimage.limits import STRICT, Limits
from xenimage.units import KIB, MIB

if TYPE_CHECKING:
    from collections.abc import Callable

    from xenimage.guest.filesystems.base import FileSystem

FILES = {
    "EFI/BOOT/BOOTX64.EFI": b"MZ" * 3000,
    "A long name with spaces.txt": b"long",
    "lower.txt": b"lower",
    **{f"many/file {number}": b"x" for number in range(40)},
}


def walk(filesystem: FileSystem, path: str = "", depth: int = 0) -> list[str]:
    """Touch everything, and name it."""
    found = []
    for name in filesystem.names(path):
        inside = f"{path}/{name}".strip("/")
        entry = filesystem.entry(inside)
        found.append(inside)
        if entry is not None and depth < 6:
            found += walk(filesystem, inside, depth + 1)
        if entry is not None and entry.kind.value == "file":
            filesystem.read(inside, min(entry.size, 100_000))
    return found


class FatCase(TestCase):
    images: ClassVar[dict[str, bytes]] = {}

    def image(self, bits: str) -> bytearray:
        if bits not in self.images:
            with tempfile.TemporaryDirectory() as directory:
                folder = pathlib.Path(directory)
                write(FILES, folder / "tree")
                with (folder / "fat").open("wb") as file:
                    file.truncate({"12": 2, "16": 16, "32": 34}[bits] * MIB)
                options = ("-s", "1") if bits == "32" else ()
                linux.run("mkfs.vfat", "-F", bits, *options, "-n", "LABEL", folder / "fat")
                subprocess.run(
                    ["mcopy", "-s", "-i", folder / "fat", *(folder / "tree").iterdir(), "::/"],
                    check=True,
                    capture_output=True,
                )
                self.images[bits] = (folder / "fat").read_bytes()
        return bytearray(self.images[bits])

    def places(self, data: bytes | bytearray) -> tuple[int, int, int]:
        """Where the first FAT, the root directory and the clusters stand, of FAT12 and FAT16."""
        sector, _, reserved, fats, rows = struct.unpack_from("<HBHBH", data, 11)
        size = struct.unpack_from("<H", data, 22)[0]
        root = (reserved + fats * size) * sector
        return reserved * sector, root, root + rows * 32


@ddt.ddt
class FatTest(FatCase):
    @ddt.data("12", "16", "32")
    def test_a_sound_one(self, bits: str) -> None:
        found = open_volume(Area(self.image(bits)), STRICT)
        files = [path for path in walk(found) if found.entry(path).kind.value == "file"]
        self.assertEqual(sorted(FILES), sorted(files))
        for path, content in FILES.items():
            self.assertEqual(content, found.read(path, 10_000))
        self.assertEqual((f"fat{bits}", "LABEL"), (found.volume.kind, found.volume.label))

    def test_a_short_name_finds_the_file_too(self) -> None:
        found = open_volume(Area(self.image("16")), STRICT)
        self.assertEqual(b"long", found.read("ALONGN~1.TXT", 10))
        self.assertIn("A long name with spaces.txt", found.names(""))
        self.assertNotIn("ALONGN~1.TXT", found.names(""))

    def changed(self, change: Callable[[bytearray, int, int, int], None]) -> FileSystem:
        data = self.image("16")
        change(data, *self.places(data))
        return open_volume(Area(data), STRICT)

    def row(self, data: bytearray, root: int, name: bytes) -> int:
        """Where the row of a short name stands."""
        return data.index(name, root)

    def test_a_chain_that_ends_too_early(self) -> None:
        def change(data: bytearray, fat: int, root: int, clusters: int) -> None:
            struct.pack_into("<I", data, self.row(data, root, b"LOWER   TXT") + 28, 100_000)

        found = self.changed(change)
        with self.assertRaisesRegex(FormatError, "^lower.txt: has fewer clusters than its size says$"):
            found.read("lower.txt", 100_000)
        self.assertEqual(b"lower", found.read("lower.txt", 5))

    def test_a_chain_that_leads_out(self) -> None:
        def change(data: bytearray, fat: int, root: int, clusters: int) -> None:
            struct.pack_into("<H", data, self.row(data, root, b"LOWER   TXT") + 26, 0xFFF0)

        with self.assertRaisesRegex(FormatError, "has fewer clusters"):
            self.changed(change).read("lower.txt", 5)

    def test_a_chain_that_is_a_ring(self) -> None:
        def change(data: bytearray, fat: int, root: int, clusters: int) -> None:
            row = self.row(data, root, b"LOWER   TXT")
            struct.pack_into("<I", data, row + 28, 50_000)
            cluster = struct.unpack_from("<H", data, row + 26)[0]
            struct.pack_into("<H", data, fat + 2 * cluster, cluster)

        self.assertEqual(50_000, len(self.changed(change).read("lower.txt", 50_000)))

    def test_a_directory_that_is_a_ring(self) -> None:
        def change(data: bytearray, fat: int, root: int, clusters: int) -> None:
            row = self.row(data, root, b"EFI        ")
            cluster = struct.unpack_from("<H", data, row + 26)[0]
            struct.pack_into("<H", data, fat + 2 * cluster, cluster)
            # A full cluster: an empty row would end it.
            size = data[13] * 512
            at = clusters + (cluster - 2) * size
            data[at : at + size] = data[at + 64 : at + 96] * (size // 32)

        self.assertEqual(["BOOT"], list(self.changed(change).names("EFI")))

    def test_a_directory_that_contains_itself(self) -> None:
        def change(data: bytearray, fat: int, root: int, clusters: int) -> None:
            row = self.row(data, root, b"EFI        ")
            cluster = struct.unpack_from("<H", data, row + 26)[0]
            at = clusters + (cluster - 2) * data[13] * 512 + 64
            struct.pack_into("<H", data, at + 26, cluster)

        found = self.changed(change)
        self.assertEqual(["BOOT"], list(found.names("/".join(["EFI", *["BOOT"] * 30]))))

    def test_a_long_name_of_another_file(self) -> None:
        def change(data: bytearray, fat: int, root: int, clusters: int) -> None:
            data[self.row(data, root, b"ALONGN~1TXT")] = ord("B")

        self.assertIn("BLONGN~1.TXT", self.changed(change).names(""))

    def test_names_with_slashes_are_left_out(self) -> None:
        def change(data: bytearray, fat: int, root: int, clusters: int) -> None:
            row = self.row(data, root, b"LOWER   TXT")
            data[row + 2] = ord("/")

        self.assertNotIn("LO/ER.TXT", self.changed(change).names(""))

    def test_names_are_counted(self) -> None:
        data = self.image("16")
        with self.assertRaisesRegex(LimitError, "the number of names in many is 40, expected at most 39"):
            open_volume(Area(data), Limits(guest_entries=39)).names("many")

    @ddt.data("12", "16", "32")
    def test_damage_at_random(self, bits: str) -> None:
        sound = self.image(bits)
        chance = random.Random(int(bits))
        end = len(sound.rstrip(b"\0"))
        untouched = 0
        expected = walk(open_volume(Area(sound), STRICT))
        for _ in range(60):
            data = bytearray(sound)
            for _ in range(chance.randint(1, 30)):
                at = chance.choice([chance.randrange(90), chance.randrange(end), chance.randrange(min(end, 64 * KIB))])
                data[at] = chance.choice([0, 0xFF, 0x0F, 0x2E, chance.randrange(256)])
            try:
                untouched += walk(open_volume(Area(data), STRICT)) == expected
            except XenimageError:
                continue
        self.assertLess(untouched, 60)


class NtfsDirectoriesTest(TestCase):
    def test_damage_at_random(self) -> None:
        path = self.scratch / "volume"
        ntfs.format_volume(path, 4 * MIB, cluster=512)
        ntfs.crowd(path, 300)
        sound = path.read_bytes()
        mft = int.from_bytes(sound[48:56], "little") * 512
        expected = Directories(Area(sound), STRICT).names(5)
        self.assertEqual(150, sum(name.startswith("T0") for name in expected))
        chance = random.Random(5)
        blocks = [at for at in range(0, len(sound), 512) if sound[at : at + 4] == b"INDX"]
        untouched = 0
        for _ in range(200):
            data = bytearray(sound)
            for _ in range(chance.randint(1, 6)):
                start = chance.choice([0, mft, mft + 5 * 1024, mft + 5 * 1024, chance.choice(blocks)])
                at = start + chance.randrange(80 if not start else 600)
                data[at] = chance.choice([0, 1, 0xFF, 0x7F, chance.randrange(256)])
            area = Area(data)
            with contextlib.suppress(XenimageError):
                untouched += Directories(area, STRICT).names(5) == expected
            self.assertLess(area.reads, 5000)
        self.assertLess(untouched, 200)

    def test_index_blocks_are_counted(self) -> None:
        path = self.scratch / "volume"
        ntfs.format_volume(path, 4 * MIB, cluster=512)
        ntfs.crowd(path, 300)
        with self.assertRaises(LimitError):
            Directories(Area(path.read_bytes()), Limits(guest_entries=5)).names(5)

    def test_letters_that_become_two_stay_as_they_are(self) -> None:
        self.assertEqual("STRAßE ÄÖÜ ŒÉ", folded("Straße äöü œé"))
