"""Where an image comes from: told again, and told from others."""

from __future__ import annotations

import gzip
import hashlib
from unittest import mock

import ddt

from tests.builders import ovf, vmdk, vmx, xva
from tests.builders.pattern import pattern
from tests.unit.containers.xva.test_old import XML as APPLIANCE
from tests.unit.engine.support import Watcher
from tests.unit.engine.test_packages import MIB, RAW, FileCase
from xenimage import api
from xenimage.containers.xva import old
from xenimage.engine.opener import open_whole
from xenimage.engine.packages import files_of
from xenimage.engine.provenance import image_name, package_digest, source_digest, source_format
from xenimage.limits import STRICT
from xenimage.model.image import ImageOptions, ImagePlan
from xenimage.model.machine import Machine, MachineDisk, Origin
from xenimage.model.plan import BundleOptions, PackageChoice, SourceOptions
from xenimage.model.transfer import Silent

TWO_FILES = ovf.FILE + '<File ovf:id="file2" ovf:href="sub/second.raw"/>'
TWO_DISKS = ovf.DISK + '<Disk ovf:diskId="disk2" ovf:fileRef="file2" ovf:capacity="4096"/>'
SECOND_DRIVE = ovf.item(17, "6", HostResource="ovf:/disk/disk2", Parent=3, AddressOnParent=1)


class PackageCase(FileCase):
    def folder(self, *, manifest: bool = False) -> str:
        """A package of two disks in a folder."""
        (self.scratch / "sub").mkdir(exist_ok=True)
        descriptor = ovf.envelope(ovf.machine(ovf.ITEMS + SECOND_DRIVE), files=TWO_FILES, disks=TWO_DISKS)
        files = {"web.ovf": descriptor, "disk.raw": RAW, "sub/second.raw": RAW}
        for name, data in files.items():
            self.write(name, data)
        if manifest:
            self.write("web.mf", ovf.manifest(files))
        return str(self.scratch / "web.ovf")

    def origin(self, options: SourceOptions) -> Origin:
        disk, origin = open_whole(options, STRICT)
        disk.close()
        assert origin is not None
        return origin

    def digest(self, path: str, disk: str = "", machine: str = "") -> str:
        options = SourceOptions(path=path, choice=PackageChoice(disk=disk, machine=machine))
        return package_digest(options, self.origin(options), STRICT, Silent())


@ddt.ddt
class DigestTest(PackageCase):
    def test_each_disk_of_a_file_is_a_source_of_its_own(self) -> None:
        path = self.xva()
        self.assertNotEqual(self.digest(path, "1"), self.digest(path, "2"))
        self.assertEqual(self.digest(path, "2"), self.digest(path, "Ref:8"))
        self.assertEqual(self.digest(path, "2"), self.digest(path, "disk 1"))

    def test_a_file_of_another_name_is_the_same_source(self) -> None:
        path = self.xva()
        other = self.write("copy", (self.scratch / "vm.xva").read_bytes())
        self.assertEqual(self.digest(path, "1"), self.digest(other, "1"))
        self.write("vm.xva", xva.make(pattern(0, MIB), pattern(0, 2 * MIB)))
        self.assertNotEqual(self.digest(path, "1"), self.digest(other, "1"))

    def test_what_is_hashed(self) -> None:
        path = self.folder(manifest=True)
        names = ("web.ovf", "web.mf", "disk.raw", "sub/second.raw")
        digests = [hashlib.sha256((self.scratch / name).read_bytes()).hexdigest() for name in names]
        text = "".join(f"{each}\n" for each in [*digests, "('vm', 'disk2')"])
        self.assertEqual(hashlib.sha256(text.encode()).hexdigest(), self.digest(path, "2"))

    @ddt.data("disk.raw", "sub/second.raw", "web.ovf", "web.mf")
    def test_every_file_of_a_folder_counts(self, name: str) -> None:
        path = self.folder(manifest=True)
        before = self.digest(path, "1")
        self.assertEqual(before, self.digest(path, "disk1"))
        self.assertNotEqual(before, self.digest(path, "2"))
        data = (self.scratch / name).read_bytes()
        self.write(name, data.replace(b">web<", b">wEb<") if name == "web.ovf" else data + b"\n")
        self.assertNotEqual(before, self.digest(path, "1"))

    def test_files_that_do_not_belong_to_it_do_not_count(self) -> None:
        path = self.folder()
        before = self.digest(path, "1")
        self.write("other.raw", RAW)
        self.assertEqual(before, self.digest(path, "1"))

    def test_progress(self) -> None:
        options = SourceOptions(path=self.folder(), choice=PackageChoice(disk="1"))
        watcher = Watcher()
        package_digest(options, self.origin(options), STRICT, watcher)
        total = len((self.scratch / "web.ovf").read_bytes())
        self.assertEqual([["source digest", size, size, True] for size in (total, 4096, 4096)], watcher.stages)

    def test_a_disk_in_no_package(self) -> None:
        path = self.write("disk.raw", RAW)
        found = source_digest(SourceOptions(path=path), [4096], Silent())
        self.assertEqual(hashlib.sha256(RAW).hexdigest(), found)
        # More is stored than the files that are named hold.
        self.assertEqual("", source_digest(SourceOptions(path=path), [4097], Silent()))


class FilesTest(PackageCase):
    def files(self, path: str) -> list[str]:
        return [each.removeprefix(f"{self.scratch}/") for each in files_of(SourceOptions(path=path), STRICT)]

    def test_a_folder(self) -> None:
        self.assertEqual(["web.ovf", "disk.raw", "sub/second.raw"], self.files(self.folder()))
        self.assertEqual(["web.ovf", "web.mf", "disk.raw", "sub/second.raw"], self.files(self.folder(manifest=True)))

    def test_an_extent_that_only_its_descriptor_names(self) -> None:
        text = vmdk.descriptor("monolithicFlat", ['RW 8 FLAT "flat.raw" 0'])
        self.write("flat.raw", RAW)
        self.write("disk.vmdk", text if isinstance(text, bytes) else text.encode())
        path = self.write("web.ovf", ovf.envelope(files=ovf.FILE.replace("disk.raw", "disk.vmdk")))
        self.assertEqual(["web.ovf", "disk.vmdk", "flat.raw"], self.files(path))

    def test_one_file(self) -> None:
        self.assertEqual(["vm.xva"], self.files(self.xva()))
        self.assertEqual(["vm.xva"], self.files(self.xva(compress="gzip")))

    def test_a_vmx(self) -> None:
        path = vmx.write(self.scratch, web=vmx.disk({0: pattern(0, 65536)}))
        self.assertEqual(["web.vmx", "web.vmdk"], self.files(str(path)))

    def test_the_old_form(self) -> None:
        path = self.write("ova.xml", APPLIANCE.encode())
        for directory, data in (("sda", pattern(0, 25_088)), ("sdb", bytes(512))):
            (self.scratch / directory).mkdir()
            for number, start in enumerate(range(0, len(data), 10_000)):
                name = f"{directory}/chunk-{number:09d}.gz"
                self.write(name, gzip.compress(data[start : start + 10_000]))
        with mock.patch.object(old, "PIECE", 10_000):
            self.assertEqual(
                ["ova.xml", *(f"sda/chunk-{number:09d}.gz" for number in range(3)), "sdb/chunk-000000000.gz"],
                self.files(path),
            )
            disk, _ = open_whole(SourceOptions(path=path, choice=PackageChoice(disk="sda")), STRICT)
            self.addCleanup(disk.close)
            self.assertEqual(25_088, disk.facts.virtual_size)


@ddt.ddt
class NameTest(PackageCase):
    @ddt.data(
        ("web", "web", "web-2"),
        ("Tëst <VM> & co", "Tëst <VM> & co", "Tëst <VM> & co-2"),
        ("--public", "two", "two"),  # an option, where the command is pasted
        ("", "two", "-2"),
        ("a\x1b[2J", "two", "two"),
        ("a\nb", "two", "two"),
        ("x" * 300, "two", "two"),
    )
    @ddt.unpack
    def test_of_a_machine(self, name: str, first: str, second: str) -> None:
        disks = (MachineDisk(identifier="a"), MachineDisk(identifier="b"))
        machine = Machine(identifier="m", name=name, disks=disks)
        found = [image_name("/x/two.xva", Origin(kind="xva", machine=machine, disk=disk)) for disk in disks]
        self.assertEqual([first, second if not second.startswith("-") else "two"], found)

    @ddt.data(("/x/debian.qcow2", "debian"), ("vm.raw.gz", "vm.raw"), ("/", "image"), (".hidden", ".hidden"))
    @ddt.unpack
    def test_of_a_file(self, path: str, expected: str) -> None:
        self.assertEqual(expected, image_name(path))

    def test_the_format(self) -> None:
        machine = Machine(identifier="m", name="m")
        origins = {
            kind: Origin(kind=kind, machine=machine, disk=MachineDisk(identifier="a")) for kind in ("ova", "xva")
        }
        self.assertEqual("qcow2", source_format("qcow2", None))
        self.assertEqual("ova/vmdk", source_format("vmdk", origins["ova"]))
        self.assertEqual("xva", source_format("xva", origins["xva"]))


@ddt.ddt
class ImageTest(PackageCase):
    def plan(self, path: str, name: str = "", **choice: str) -> ImagePlan:
        source = SourceOptions(path=path, choice=PackageChoice(**choice))  # type: ignore[arg-type]
        options = ImageOptions(bundle=BundleOptions(source=source, output="-", inspect=False), name=name)
        return api.plan_image(options)

    def told(self, plan: ImagePlan) -> dict[str, str]:
        return {each.name: each.value for each in plan.properties}

    def test_an_xva(self) -> None:
        one, two = (self.plan(self.xva(boot="pv", name="web"), disk=disk) for disk in "12")
        self.assertEqual(("web", "web-2"), (one.name, two.name))
        self.assertEqual("xva", self.told(one)["xenimage_source_format"])
        self.assertNotEqual(one.source_sha256, two.source_sha256)
        self.assertEqual(one.source_sha256, self.told(one)["xenimage_source_sha256"])
        self.assertEqual("xen", self.told(one)["vm_mode"])

    def test_an_ovf(self) -> None:
        plan = self.plan(self.folder(manifest=True), disk="disk2")
        self.assertEqual("web-2", plan.name)
        self.assertEqual("ovf/raw", self.told(plan)["xenimage_source_format"])
        self.assertEqual(64, len(plan.source_sha256))

    def test_a_name_of_ones_own(self) -> None:
        self.assertEqual("mine", self.plan(self.xva(), "mine", disk="1").name)
        self.assertEqual("disk", self.plan(self.write("disk.raw", RAW)).name)
