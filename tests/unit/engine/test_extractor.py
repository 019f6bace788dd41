"""Taking the VHDs out of a bundle."""

from __future__ import annotations

import gzip
import os
import tarfile

import ddt

from tests.base import TestCase
from tests.builders import bundle as build
from tests.builders.bundle import Entry
from xenimage import api
from xenimage.exceptions import FormatError, UnsafeError, UsageError
from xenimage.model.plan import ConvertOptions, SourceOptions


@ddt.ddt
class ExtractTest(TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.base, self.child = bytes(build.image().data), bytes(build.image("child").data)
        self.target = str(self.scratch / "out")

    def bundle(self, *entries: Entry) -> str:
        path = str(self.scratch / "x.tgz")
        with open(path, "wb") as file:
            file.write(build.packed(*entries))
        return path

    def test_all_vhds_and_nothing_else(self) -> None:
        path = self.bundle(
            Entry("./", type=tarfile.DIRTYPE),
            Entry("./0.vhd", self.child, mode=0),
            Entry("readme", b"x"),
            Entry("../2.vhd", b"x"),
            Entry("sub/3.vhd", b"x"),
            Entry("swap.vhd", b"x"),
            Entry("./1.vhd", self.base),
        )
        report = api.extract_bundle(path, self.target)
        self.assertEqual(["0.vhd", "1.vhd"], sorted(os.listdir(self.target)))
        self.assertEqual((".", "readme", "../2.vhd", "sub/3.vhd", "swap.vhd"), report.skipped)
        for name, content in (("0.vhd", self.child), ("1.vhd", self.base)):
            with open(os.path.join(self.target, name), "rb") as file:
                self.assertEqual(content, file.read())
        self.assertEqual([len(self.child), len(self.base)], [each.size for each in report.files])

    def test_zeros_take_no_space(self) -> None:
        api.extract_bundle(self.bundle(Entry("0.vhd", bytes(50 << 20) + b"x")), self.target)
        found = os.stat(os.path.join(self.target, "0.vhd"))
        self.assertEqual((50 << 20) + 1, found.st_size)
        self.assertLess(found.st_blocks * 512, 4 << 20)

    def test_no_hole_reaches_into_the_last_block(self) -> None:
        # Zeros under set bits in a hole at the end are what a check takes for a file that was cut and made longer.
        api.extract_bundle(self.bundle(Entry("0.vhd", bytes(5 << 20) + b"x" * 512)), self.target)
        with open(os.path.join(self.target, "0.vhd"), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            self.assertEqual(0, os.lseek(file.fileno(), 0, os.SEEK_HOLE))
            self.assertEqual(size, os.lseek(file.fileno(), size - 512 - (2 << 20), os.SEEK_HOLE))

    def test_old_names_stay(self) -> None:
        api.extract_bundle(self.bundle(Entry("image.vhd", self.base)), self.target)
        self.assertEqual(["image.vhd"], os.listdir(self.target))

    @ddt.data(
        (UnsafeError, "is a symbolic link", (Entry("0.vhd", type=tarfile.SYMTYPE, target="/etc/passwd"),)),
        (UnsafeError, "is a hard link", (Entry("0.vhd", type=tarfile.LNKTYPE, target="1.vhd"),)),
        (UnsafeError, "holds 0.vhd twice", (Entry("0.vhd", b"a"), Entry("./0.vhd", b"b"))),
        (FormatError, "holds no VHD", (Entry("00.vhd", b"a"), Entry("0.VHD", b"b"))),
        (FormatError, "ends inside the member", (Entry("0.vhd", b"a", size=1 << 20),)),
    )
    @ddt.unpack
    def test_refused_and_nothing_left(self, error: type[Exception], text: str, entries: tuple[Entry, ...]) -> None:
        with self.assertRaisesRegex(error, text):
            api.extract_bundle(self.bundle(*entries), self.target)
        self.assertFalse(os.path.exists(self.target))

    def test_damage_at_the_end_leaves_nothing(self) -> None:
        path = self.bundle(Entry("0.vhd", self.base))
        with open(path, "r+b") as file:
            file.seek(-8, os.SEEK_END)
            file.write(b"\xff\xff\xff\xff")
        os.mkdir(self.target)
        with self.assertRaisesRegex(FormatError, "CRC"):
            api.extract_bundle(path, self.target)
        self.assertEqual([], os.listdir(self.target))

    def test_existing_files_are_kept_unless_forced(self) -> None:
        path = self.bundle(Entry("0.vhd", self.base))
        os.mkdir(self.target)
        there = os.path.join(self.target, "0.vhd")
        with open(there, "wb") as file:
            file.write(b"old")
        with self.assertRaisesRegex(UsageError, "exists already"):
            api.extract_bundle(path, self.target)
        with open(there, "rb") as file:
            self.assertEqual(b"old", file.read())
        api.extract_bundle(path, self.target, force=True)
        self.assertEqual(len(self.base), os.path.getsize(there))

    def test_what_is_no_bundle(self) -> None:
        path = str(self.scratch / "x")
        self.run_tool("qemu-img", "create", "-q", "-f", "qcow2", path, "8M")
        with open(path, "rb") as file:
            disk = file.read()
        for data, text, tip in (
            (disk, "is not in gzip format but qcow2", "xenimage disk show"),
            (gzip.compress(disk), "the tar header at 0x0 of the content is damaged", "gzip -d"),
            (gzip.compress(bytes(4096)), "holds no VHD", "gzip -d"),
        ):
            with open(path, "wb") as file:
                file.write(data)
            with self.assertRaisesRegex(FormatError, f"^{path}: {text}") as caught:
                api.extract_bundle(path, self.target)
            self.assertIn(tip, caught.exception.tip)
            self.assertFalse(os.path.exists(self.target))

    @ddt.data("raw", "qcow2")
    def test_conversion_names_the_file_that_is_no_bundle_too(self, form: str) -> None:
        path = str(self.scratch / "x.gz")
        with open(path, "wb") as file:
            file.write(gzip.compress(b"hello" * 200))
        wishes = ConvertOptions(source=SourceOptions(path=path), output=self.target, format=form)
        with self.assertRaisesRegex(FormatError, f"^{path}: the tar header at 0x0") as caught:
            api.convert_disk(wishes)
        self.assertIn("gzip -d", caught.exception.tip)

    def test_no_directory_to_put_it_into(self) -> None:
        with self.assertRaisesRegex(UsageError, "cannot be made"):
            api.extract_bundle(self.bundle(Entry("0.vhd", self.base)), str(self.scratch / "a/b"))
