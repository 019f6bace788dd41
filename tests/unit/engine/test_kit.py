"""The kit of sample images: the good ones show one disk, each bad one is refused, the manifest says which is which."""

from __future__ import annotations

import hashlib
import pathlib

import ddt
import yaml

from tests.base import TestCase
from xenimage import api
from xenimage.engine import hostile
from xenimage.exceptions import UsageError, XenimageError
from xenimage.limits import Limits
from xenimage.model.plan import BundleOptions, SourceOptions
from xenimage.units import GIB

GOOD = [image for image in api.kit_images() if image.usable]
BAD = [image for image in api.kit_images() if not image.usable]
# What each is refused for.
REASONS = {
    "qcow2-backing-file": "/etc/passwd",
    "qcow2-data-file": "/etc/passwd",
    "qcow2-cut-short": "ends at 0x270000",
    "qcow2-entry-outside": "L1 entry 0: ends at 0x200000010000",
    "qcow2-bomb": "limit inflation",
    "qcow2-as-vmdk": "vmdk",
    "qcow2-as-bundle": "bundle",
    "vmdk-flat": "/etc/passwd",
    "bundle-link": "0.vhd",
}


@ddt.ddt
class KitTest(TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.place = self.scratch / "kit"
        self.report = api.write_kit(str(self.place))

    def path(self, name: str) -> str:
        (image,) = [image for image in self.report.images if image.name == name]
        return str(self.place / image.filename)

    def digests(self) -> dict[str, str]:
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in self.place.iterdir()}

    def test_the_manifest_lists_all_in_the_shape_of_tempest(self) -> None:
        manifest = yaml.safe_load(pathlib.Path(self.report.manifest).read_text("utf-8"))
        found = {image["filename"]: (image["name"], image["format"], image["usable"]) for image in manifest["images"]}
        self.assertEqual({each.filename: (each.name, each.format, each.usable) for each in self.report.images}, found)
        self.assertEqual({*found, "manifest.yaml"}, {path.name for path in self.place.iterdir()})

    @ddt.data(*(image.name for image in GOOD if image.name not in {"qcow2", "bundle"}))
    def test_the_good_ones_show_the_same_disk(self, name: str) -> None:
        form = {"vhd-dynamic": "vpc", "vmdk-stream": "vmdk", "qcow2-compressed": "qcow2"}.get(name, "raw")
        if name == "vhd-fixed":
            # qemu-img takes no fixed VHD that it did not size itself: what is in front of the footer is the disk.
            data = pathlib.Path(self.path(name)).read_bytes()[:-512]
            pathlib.Path(self.path(name)).write_bytes(data)
        self.run_tool("qemu-img", "compare", "-f", "qcow2", "-F", form, self.path("qcow2"), self.path(name))

    def test_the_bundle_is_sound(self) -> None:
        self.assertEqual("sound", api.check_bundle(self.path("bundle")).verdict.value)

    @ddt.data(*REASONS)
    def test_the_bad_ones_are_refused(self, name: str) -> None:
        (image,) = [image for image in BAD if image.name == name]
        form = "bundle" if image.container == "ovf" else image.format
        source = SourceOptions(path=self.path(name), format=form)
        with self.assertRaises(XenimageError) as caught:
            api.create_bundle(BundleOptions(source=source, output=str(self.scratch / "out.tgz")), limits=Limits())
        self.assertIn(REASONS[name], str(caught.exception))
        self.assertFalse((self.scratch / "out.tgz").exists())

    def test_each_bad_one_has_a_reason_but_that_which_is_a_sound_disk_of_another_format(self) -> None:
        self.assertEqual({image.name for image in BAD}, {*REASONS, "qcow2-as-raw"})
        self.assertEqual("qcow2", api.show_disk(SourceOptions(path=self.path("qcow2-as-raw"))).format)

    def test_the_bomb_is_small_and_claims_much(self) -> None:
        path = pathlib.Path(self.path("qcow2-bomb"))
        self.assertLess(path.stat().st_size * 100, hostile.BOMB_SIZE)
        self.assertEqual(8 * GIB, api.show_disk(SourceOptions(path=str(path))).virtual_size)
        # All of it is there: the first and the last cluster can be read.
        for at in (0, hostile.BOMB_SIZE - 512):
            self.assertIn("read 512/512", self.run_tool("qemu-io", "-r", "-c", f"read -P 0xaa {at} 512", path))

    def test_the_same_bytes_each_time_but_not_without_being_told(self) -> None:
        before = self.digests()
        with self.assertRaisesRegex(UsageError, "exists already"):
            api.write_kit(str(self.place))
        api.write_kit(str(self.place), force=True)
        self.assertEqual(before, self.digests())
