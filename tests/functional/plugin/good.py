"""What is taken: formats, properties, the ways to Glance and its stores."""

from __future__ import annotations

import hashlib
from typing import ClassVar

import ddt

from tests.functional.plugin.base import MIB, PluginTestCase

# qemu-img's name of the format, Glance's, options.
FORMATS = {
    "qcow2": ("qcow2", "qcow2", ()),
    "old": ("qcow2", "qcow2", ("-o", "compat=0.10,cluster_size=4k")),
    "packed": ("qcow2", "qcow2", ("-c", "-o", "compression_type=zstd")),
    "sparse": ("vmdk", "vmdk", ()),
    "stream": ("vmdk", "vmdk", ("-o", "subformat=streamOptimized")),
    "dynamic": ("vpc", "vhd", ("-o", "subformat=dynamic,force_size=on")),
    "fixed": ("vpc", "vhd", ("-o", "subformat=fixed,force_size=on")),
    "raw": ("raw", "raw", ()),
}


@ddt.ddt
class GoodCases(PluginTestCase):
    @ddt.data(*FORMATS)
    def test_a_disk_becomes_a_bundle(self, name: str) -> None:
        form, declared, options = FORMATS[name]
        source = self.make(form, *options)
        image, task = self.run_import(source, disk_format=declared, min_disk=3, colour="blue")
        self.assert_bundle(
            image, task, source, form,
            min_disk=3, colour="blue", xenimage_source_format=declared, xenimage_profile="nova-xenapi",
            xenimage_source_sha256=hashlib.sha256(source.read_bytes()).hexdigest(),
        )  # fmt: skip

    def test_a_bundle_is_checked_and_stored_as_it_is(self) -> None:
        source = self.kit("bundle")
        image, task = self.run_import(source, disk_format="vhd", container_format="ovf")
        stored = self.assert_stored(
            image, task, disk_format="vhd", container_format="ovf", virtual_size=64 * MIB, vm_mode=None
        )
        self.assert_same_bytes(source.read_bytes(), stored.read_bytes())

    def test_other_formats_are_stored_as_they_are(self) -> None:
        source = self.make("vdi")
        image, task = self.run_import(source, disk_format="vdi")
        stored = self.assert_stored(image, task, disk_format="vdi", container_format="bare", vm_mode=None)
        self.assert_same_bytes(source.read_bytes(), stored.read_bytes())

    def test_properties_of_the_user_stay(self) -> None:
        source = self.make("qcow2")
        image, task = self.run_import(source, disk_format="qcow2", vm_mode="xen", os_type="linux")
        self.assert_bundle(image, task, source, "qcow2", vm_mode="xen", os_type="linux")

    def test_a_property_that_no_xen_host_understands_is_refused(self) -> None:
        image, task = self.run_import(self.make("qcow2"), disk_format="qcow2", vm_mode="uml")
        self.assert_refused(image, task, "vm_mode", disk_format="qcow2", container_format="bare", vm_mode="uml")

    def test_from_the_web(self) -> None:
        source = self.make("qcow2")
        image = self.create(disk_format="qcow2")
        self.images.start(image, uri=self.web.url(source))
        self.assert_bundle(image, self.images.finish(image), source, "qcow2")

    @ddt.data(True, False)
    def test_into_two_stores(self, must: bool) -> None:
        source = self.make("qcow2")
        image = self.create(disk_format="qcow2")
        self.images.stage(image, source)
        self.images.start(image, all_stores=True, all_stores_must_succeed=must)
        self.assert_bundle(image, self.images.finish(image), source, "qcow2")
        self.assertEqual(["one", "two"], sorted(self.images.show(image)["stores"].split(",")))

    def test_copied_to_another_store_as_it_is(self) -> None:
        source = self.make("qcow2")
        image, task = self.run_import(source, disk_format="qcow2")
        bundle = self.assert_bundle(image, task, source, "qcow2").read_bytes()
        administrator = self.cloud.images(self.glance, "admin")
        administrator.start(image, copy=True, stores=["two"])
        administrator.finish(image)
        self.assertEqual(["one", "two"], sorted(self.images.show(image)["stores"].split(",")))
        self.assert_same_bytes(bundle, self.images.download(image, self.scratch / "again").read_bytes())

    def test_several_at_once(self) -> None:
        source = self.make("qcow2", size=40 * MIB)
        images = [self.create(disk_format="qcow2") for _ in range(4)]
        for image in images:
            self.images.stage(image, source)
        for image in images:
            self.images.start(image)
        for task in [(image, self.images.finish(image)) for image in images]:
            self.assert_bundle(*task, source, "qcow2")


class StrangerCases(PluginTestCase):
    """A user who may not set vm_mode, by the rules of protected properties."""

    user = "stranger"

    def test_a_protected_property_is_told(self) -> None:
        image, task = self.run_import(self.make("qcow2"), disk_format="qcow2")
        self.assert_refused(
            image, task, "does not let its owner set all properties", disk_format="qcow2", container_format="bare"
        )


@ddt.ddt
class ReverseCases(PluginTestCase):
    plugins = "[xenimage_extract]"
    form: ClassVar[str] = "qcow2"

    @ddt.data(("bundle", "ovf"), ("vhd-dynamic", "bare"))
    @ddt.unpack
    def test_a_bundle_becomes_a_disk(self, name: str, container: str) -> None:
        image, task = self.run_import(
            self.kit(name), disk_format="vhd", container_format=container, vm_mode="hvm", colour="blue"
        )
        stored = self.assert_stored(
            image,
            task,
            disk_format=self.form,
            container_format="bare",
            virtual_size=64 * MIB,
            vm_mode=None,
            colour="blue",
        )
        self.run_tool("qemu-img", "compare", "-f", self.form, "-F", "qcow2", stored, self.kit("qcow2"))

    def test_what_is_no_bundle_is_refused(self) -> None:
        image, task = self.run_import(
            self.kit("qcow2-as-bundle"), disk_format="vhd", container_format="ovf", vm_mode="hvm"
        )
        self.assert_refused(
            image, task, "its content is qcow2", disk_format="vhd", container_format="ovf", vm_mode="hvm"
        )


class RawReverseCases(ReverseCases):
    settings: ClassVar = {"xenimage": {"extract_format": "raw"}}
    form = "raw"


class BothCases(PluginTestCase):
    """Both in the list: what one made the other leaves alone."""

    plugins = "[xenimage, xenimage_extract]"

    def test_a_disk_becomes_a_bundle(self) -> None:
        source = self.make("qcow2")
        image, task = self.run_import(source, disk_format="qcow2")
        self.assert_bundle(image, task, source, "qcow2")

    def test_a_bundle_becomes_a_disk(self) -> None:
        image, task = self.run_import(self.kit("bundle"), disk_format="vhd", container_format="ovf")
        stored = self.assert_stored(image, task, disk_format="qcow2", container_format="bare")
        self.run_tool("qemu-img", "compare", "-f", "qcow2", "-F", "qcow2", stored, self.kit("qcow2"))


class OtherWayRoundCases(BothCases):
    plugins = "[xenimage_extract, xenimage]"


class BehindConversionCases(PluginTestCase):
    """Behind Glance's own plugin, which makes raw images of all."""

    plugins = "[image_conversion, xenimage]"
    settings: ClassVar = {"image_conversion": {"output_format": "raw"}}

    def test_a_disk_becomes_a_bundle(self) -> None:
        source = self.make("qcow2")
        image, task = self.run_import(source, disk_format="qcow2")
        self.assert_bundle(image, task, source, "qcow2", xenimage_source_format="raw")

    def test_a_failure_leaves_nothing_but_the_formats(self) -> None:
        image, task = self.run_import(self.make("qcow2"), disk_format="qcow2", vm_mode="uml")
        self.assert_refused(image, task, "vm_mode", vm_mode="uml", disk_format="raw", container_format="bare")
