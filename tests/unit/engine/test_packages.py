"""Packages where a disk is taken: recognised, the machine and the disk chosen, and proved before they are trusted."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import TYPE_CHECKING

import ddt

from tests.base import TestCase
from tests.builders import bundle, ovf, xva
from tests.builders.pattern import pattern
from tests.unit.engine.support import Watcher
from xenimage.engine.opener import open_chain, open_leaf, open_source, stored_bundle
from xenimage.engine.packages import choose_disk, choose_machine, disks_of, is_package, open_packaged, verify
from xenimage.exceptions import FormatError, UsageError, XenimageError
from xenimage.limits import STRICT
from xenimage.model.machine import Machine, MachineDisk, Package
from xenimage.model.plan import PackageChoice, SourceOptions
from xenimage.sources.file import open_file

if TYPE_CHECKING:
    from xenimage.model.disk import Disk

MIB = 1 << 20
ONE, TWO = pattern(0, MIB), pattern(MIB, 2 * MIB)
RAW = pattern(0, 4096)


def disks(*names: tuple[str, str]) -> tuple[MachineDisk, ...]:
    return tuple(MachineDisk(identifier=identifier, label=label) for identifier, label in names)


DISKS = disks(("Ref:6", "root"), ("Ref:8", "data"), ("2", "3"), ("x", "same"), ("y", "same"))
MACHINES = (
    Machine(identifier="a", name="web", uuid="u-1"),
    Machine(identifier="b", name="a", uuid="u-2"),
    Machine(identifier="c", name="db", uuid="u-3"),
    Machine(identifier="d", name="db", uuid="u-4"),
)


@ddt.ddt
class ChoiceTest(TestCase):
    @ddt.data(
        ("Ref:6", 0),
        ("root", 0),
        ("data", 1),
        ("1", 0),
        ("5", 4),
        ("2", 2),  # an identifier is surer than a number
        ("3", 2),  # and so is a label
    )
    @ddt.unpack
    def test_a_disk(self, wish: str, place: int) -> None:
        self.assertIs(DISKS[place], choose_disk(Machine(identifier="m", name="m", disks=DISKS), wish, "p"))

    @ddt.data(("a", 0), ("web", 0), ("b", 1), ("u-3", 2), ("u-4", 3), ("4", 3))
    @ddt.unpack
    def test_a_machine(self, wish: str, place: int) -> None:
        self.assertIs(MACHINES[place], choose_machine(Package(path="p", kind="xva", machines=MACHINES), wish))

    @ddt.data("db", "5", "0", "-1", "²", "\u0661", "9" * 9, "WEB", " web")
    def test_no_such_machine(self, wish: str) -> None:
        with self.assertRaises(UsageError) as caught:
            choose_machine(Package(path="p.xva", kind="xva", machines=MACHINES), wish)
        found = "several machines called 'db'" if wish == "db" else f"no machine {wish!r}"
        self.assertEqual(f"p.xva: has {found}, expected one of them", str(caught.exception))
        self.assertEqual("Choose with --vm: 1 (web), 2 (a), 3 (db), 4 (db).", caught.exception.tip)

    def test_one_of_several_has_to_be_chosen(self) -> None:
        with self.assertRaises(UsageError) as caught:
            choose_disk(Machine(identifier="m", name="m", disks=DISKS), "", "p.xva")
        self.assertEqual("p.xva: has 5 disks, expected one to be chosen", str(caught.exception).split("\n")[0])
        self.assertEqual("Choose with --disk: 1 (root), 2 (data), 3 (3), 4 (same), 5 (same).", caught.exception.tip)

    def test_the_only_one_is_meant(self) -> None:
        machine = Machine(identifier="m", name="m", disks=DISKS[:1])
        self.assertIs(DISKS[0], choose_disk(machine, "", "p"))
        self.assertIs(machine, choose_machine(Package(path="p", kind="ovf", machines=(machine,)), ""))
        with self.assertRaises(UsageError):
            choose_disk(machine, "data", "p")

    def test_none(self) -> None:
        for wish in ("", "1"):
            with self.assertRaisesRegex(UsageError, "^p: has no disk, expected one"):
                choose_disk(Machine(identifier="m", name="m"), wish, "p")
            with self.assertRaisesRegex(UsageError, "^p: has no machine, expected one"):
                choose_machine(Package(path="p", kind="ovf"), wish)

    def test_many_are_not_all_listed(self) -> None:
        many = disks(*((f"d{number}", "") for number in range(12)))
        with self.assertRaises(UsageError) as caught:
            choose_disk(Machine(identifier="m", name="m", disks=many), "", "p")
        self.assertTrue(caught.exception.tip.endswith("8 (d7), and 4 more."), caught.exception.tip)


class FileCase(TestCase):
    def write(self, name: str, data: bytes) -> str:
        path = self.scratch / name
        path.write_bytes(data)
        return str(path)

    def ovf(self, *, manifest: bytes | None = None, **options: str) -> str:
        """A folder with one raw disk; the path of its descriptor."""
        descriptor = ovf.envelope(**options)
        self.write("disk.raw", RAW)
        if manifest is not None:
            self.write("web.mf", manifest)
        return self.write("web.ovf", descriptor)

    def proved(self, **changed: bytes) -> str:
        """The same with a manifest over it; *changed* afterwards: ``disk``, ``descriptor``, ``manifest``."""
        files = {"web.ovf": ovf.envelope(), "disk.raw": RAW}
        path = self.ovf(manifest=ovf.manifest(files))
        names = {"disk": "disk.raw", "descriptor": "web.ovf", "manifest": "web.mf"}
        for name, data in changed.items():
            self.write(names[name], data)
        return path

    def xva(self, **options: object) -> str:
        return self.write("vm.xva", xva.make(ONE, TWO, **options))

    def content(self, disk: Disk) -> bytes:
        buffer = bytearray(disk.facts.virtual_size)
        disk.read_into(0, memoryview(buffer))
        return bytes(buffer)


@ddt.ddt
class RecognisedTest(FileCase):
    def said(self, path: str, **options: object) -> bool:
        source = open_file(path)
        self.addCleanup(source.close)
        return is_package(SourceOptions(path=path, **options), source, STRICT)  # type: ignore[arg-type]

    @ddt.data(
        (None, True, False),
        ("xva", True, True),
        ("ovf", True, True),
        ("ova", True, True),
        ("vmx", True, True),
        ("raw", False, False),
        ("qcow2", False, False),
        ("bundle", False, False),
    )
    @ddt.unpack
    def test_what_the_user_says_wins(self, name: str | None, package: bool, disk: bool) -> None:
        self.assertEqual(package, self.said(self.xva(), format=name))
        self.assertEqual(disk, self.said(self.write("raw", RAW), format=name))

    @ddt.data(None, "xva", "ovf", "ova", "vmx")
    def test_never_for_a_strangers_file(self, name: str | None) -> None:
        for path in (self.xva(), self.ovf()):
            self.assertFalse(self.said(path, format=name, alone=True))
            options = SourceOptions(path=path, format=name, alone=True)
            for opening in (open_source, open_chain, open_leaf):
                try:
                    opened = opening(options, STRICT)  # type: ignore[operator]
                except XenimageError:
                    continue
                self.addCleanup(opened.close)
                found = opened.disks[0] if opening is open_chain else opened
                # What is not known is raw: the bytes of the file itself, and of no other.
                content = pathlib.Path(path).read_bytes()
                self.assert_same_bytes(content + bytes(-len(content) % 512), self.content(found))

    def test_a_raw_disk_that_begins_like_a_descriptor(self) -> None:
        """A guest that writes a descriptor to its disk gets none of the files beside it."""
        self.ovf()
        path = self.write("guest.raw", ovf.envelope().ljust(MIB, b"\0"))
        disk = open_source(SourceOptions(path=path), STRICT)
        self.addCleanup(disk.close)
        self.assertEqual("raw", disk.facts.format)
        self.assert_same_bytes(pathlib.Path(path).read_bytes(), self.content(disk))

    def test_a_bundle_stays_one(self) -> None:
        path = self.write("a.tgz", bundle.zipped(bytes(bundle.image().data)))
        self.assertTrue(stored_bundle(SourceOptions(path=path), STRICT))
        self.assertFalse(stored_bundle(SourceOptions(path=self.xva(compress="gzip")), STRICT))
        disk = open_source(SourceOptions(path=path), STRICT)
        self.addCleanup(disk.close)
        self.assertEqual("vhd", disk.facts.format)


@ddt.ddt
class OpenTest(FileCase):
    @ddt.data(("1", ONE), ("2", TWO), ("disk 1", TWO), ("Ref:6", ONE))
    @ddt.unpack
    def test_a_disk_of_an_xva(self, wish: str, expected: bytes) -> None:
        for compress in ("", "gzip", "zstd"):
            options = SourceOptions(path=self.xva(compress=compress), choice=PackageChoice(disk=wish))
            disk = open_packaged(options, STRICT)
            self.assert_same_bytes(expected, self.content(disk))
            self.assertEqual("Tëst <VM> & co", disk.origin.machine.name)
            disk.close()
            disk.close()

    def test_the_disk_of_a_folder(self) -> None:
        path = self.ovf()
        for opening in (open_packaged, open_source, open_leaf):
            disk = opening(SourceOptions(path=path), STRICT)  # type: ignore[operator]
            self.addCleanup(disk.close)
            self.assert_same_bytes(RAW, self.content(disk))

    @ddt.data(
        {"backing": ("other.vhd",)},
        {"snapshot": "one"},
        {"snapshots": ("one",)},
        {"snapshots": ("all",)},
    )
    def test_parents_of_the_users(self, options: dict[str, object]) -> None:
        with self.assertRaisesRegex(UsageError, "no other parents and no snapshots than its own"):
            open_packaged(SourceOptions(path=self.ovf(), **options), STRICT)  # type: ignore[arg-type]

    @ddt.data(
        ({}, "has 2 disks, expected one to be chosen"),
        ({"disk": "3"}, "has no disk '3'"),
        ({"machine": "other"}, "has no machine 'other'"),
    )
    @ddt.unpack
    def test_nothing_stays_open(self, wishes: dict[str, str], text: str) -> None:
        path = self.xva()
        before = len(list(pathlib.Path("/proc/self/fd").iterdir()))
        for opening in (open_packaged, open_source, open_chain):
            with self.assertRaisesRegex(UsageError, text):
                opening(SourceOptions(path=path, choice=PackageChoice(**wishes)), STRICT)  # type: ignore[arg-type, operator]
        disk = open_source(SourceOptions(path=path, choice=PackageChoice(disk="2")), STRICT)
        disk.close()
        self.assertEqual(before, len(list(pathlib.Path("/proc/self/fd").iterdir())))

    def test_the_output_is_not_the_source(self) -> None:
        path = self.ovf()
        with self.assertRaisesRegex(UsageError, "is the source"):
            open_chain(SourceOptions(path=path), STRICT, output=path)

    def test_the_disks_of_a_machine(self) -> None:
        self.assertEqual(["Ref:6", "Ref:8"], disks_of(SourceOptions(path=self.xva()), STRICT))
        empty = '<Disk ovf:diskId="disk1" ovf:capacity="4096"/>'
        with self.assertRaisesRegex(UsageError, "the machine 'web' has no disk with content, expected one"):
            disks_of(SourceOptions(path=self.ovf(disks=empty)), STRICT)


@ddt.ddt
class VerifyTest(FileCase):
    def verify(self, path: str, **choice: object) -> Watcher:
        watcher = Watcher()
        verify(SourceOptions(path=path, choice=PackageChoice(**choice)), STRICT, watcher)  # type: ignore[arg-type]
        return watcher

    def test_what_fits(self) -> None:
        size = len(ovf.envelope()) + len(RAW)
        self.assertEqual([["checking", size, size, True]], self.verify(self.proved()).stages)

    def test_nothing_to_verify(self) -> None:
        for path in (self.ovf(), self.write("raw", RAW), self.write("a.tgz", bundle.zipped(RAW)), self.xva(), "-"):
            choice = {"disk": "1"} if path.endswith(".xva") else {}
            self.assertEqual([], self.verify(path, **choice).stages, path)

    @ddt.data(
        {"disk": RAW[:-1] + b"x"},
        {"descriptor": ovf.envelope(content=ovf.machine(name="other"))},
        {"manifest": ovf.manifest({"web.ovf": ovf.envelope(), "disk.raw": RAW[1:]})},
    )
    def test_what_does_not_fit(self, changed: dict[str, bytes]) -> None:
        path = self.proved(**changed)
        with self.assertRaises(FormatError) as caught:
            self.verify(path)
        self.assertEqual(3, caught.exception.exit_code)
        self.assertIn("--no-verify", caught.exception.tip)
        self.assertTrue(str(caught.exception).startswith(f"{path}: "))
        self.assertEqual([], self.verify(path, verify=False).stages)

    def test_the_report_says_that_nobody_verified(self) -> None:
        path = self.proved(disk=RAW[:-1] + b"x")
        options = SourceOptions(path=path, choice=PackageChoice(verify=False))
        disk = open_source(options, STRICT)
        self.addCleanup(disk.close)
        self.assertEqual(["package.unverified"], [each.code for each in disk.facts.findings])
        self.assert_same_bytes(RAW[:-1] + b"x", self.content(disk))
        disk = open_source(dataclasses.replace(options, choice=PackageChoice()), STRICT)
        self.addCleanup(disk.close)
        self.assertEqual((), disk.facts.findings)

    def test_other_disks_are_not_read(self) -> None:
        """Damage to a disk that nobody wants does not keep from the other."""
        files = ovf.FILE + '<File ovf:id="file2" ovf:href="second.raw"/>'
        both = ovf.DISK + '<Disk ovf:diskId="disk2" ovf:fileRef="file2" ovf:capacity="4096"/>'
        drive = ovf.item(17, "6", HostResource="ovf:/disk/disk2", Parent=3, AddressOnParent=1)
        descriptor = ovf.envelope(ovf.machine(ovf.ITEMS + drive), files=files, disks=both)
        self.write("web.mf", ovf.manifest({"web.ovf": descriptor, "disk.raw": RAW, "second.raw": RAW}))
        self.write("disk.raw", RAW)
        self.write("second.raw", RAW[:-1] + b"x")
        path = self.write("web.ovf", descriptor)
        self.verify(path, disk="disk1")
        self.assertRaises(FormatError, self.verify, path, disk="disk2")
        with self.assertRaisesRegex(UsageError, "has 2 disks"):
            self.verify(path)

    def test_another_kind_than_was_said(self) -> None:
        with self.assertRaisesRegex(UsageError, "is of the kind ovf, expected xva"):
            verify(SourceOptions(path=self.proved(), format="xva"), STRICT, Watcher())
