"""Whole imports: Glance's rules faked, taskflow and the child real."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from unittest import mock

import ddt

from tests.fakes import glance as fakes
from tests.unit.glance.support import COMMAND, FORWARD, REVERSE, ROOT, GlanceTestCase, sha256
from xenimage.glance import errors, importing, plugin, supervisor

SIGNATURE = {
    "img_signature": "a",
    "img_signature_hash_method": "SHA-256",
    "img_signature_key_type": "RSA-PSS",
    "img_signature_certificate_uuid": "b",
}


@ddt.ddt
class ForwardTest(GlanceTestCase):
    def test_a_qcow2_becomes_what_bundle_create_makes_of_it(self):
        data = self.qcow2()
        image_id = self.glance.stage(data, "qcow2", mine="kept")
        image = self.glance.run_import(image_id, [FORWARD])
        self.assertEqual("success", self.glance.tasks.task.status)
        self.assertEqual(("active", "vhd", "ovf"), (image.status, image.disk_format, image.container_format))
        self.assert_same_bytes(self.bundle(), self.glance.store[image_id])
        self.assertEqual((len(self.bundle()), 64 << 20), (image.size, image.virtual_size))
        properties = {name: text for name, text in image.extra_properties.items() if not name.startswith("os_glance")}
        version = properties.pop("xenimage_version")
        self.assertTrue(version)
        self.assertEqual(
            {
                "mine": "kept",
                "vm_mode": "hvm",
                "xenimage_profile": "nova-xenapi",
                "xenimage_source_format": "qcow2",
                "xenimage_source_sha256": sha256(data),
                "xenimage_verdict": "sound",
            },
            properties,
        )
        self.assertEqual([], self.glance.staged())

    @ddt.data("vmdk", "vhd", "raw")
    def test_other_formats(self, form):
        image_id = self.glance.stage(self.written(form), form)
        image = self.glance.run_import(image_id, [FORWARD])
        self.assertEqual(("active", "vhd", "ovf"), (image.status, image.disk_format, image.container_format))
        self.assert_same_bytes(self.bundle(), self.glance.store[image_id])

    def test_a_fixed_vhd(self):
        image_id = self.glance.stage(self.written("vhd", subformat="fixed"), "vhd")
        self.glance.run_import(image_id, [FORWARD])
        self.assertEqual(b"\x1f\x8b", self.glance.store[image_id][:2])

    @ddt.data("glance-direct", "web-download")
    def test_methods(self, method):
        image_id = self.glance.stage(self.qcow2(), "qcow2")
        self.assertEqual("active", self.glance.run_import(image_id, [FORWARD], method).status)

    def test_behind_image_conversion(self):
        self.configure(plugins=["image_conversion", "xenimage"])
        image_id = self.glance.stage(self.written("raw"), "qcow2")
        image = self.glance.run_import(image_id, ["image_conversion", FORWARD])
        self.assertEqual(("active", "vhd", "ovf"), (image.status, image.disk_format, image.container_format))
        self.assertEqual([], self.glance.staged())

    def test_a_bundle_is_checked_and_passed(self):
        data = self.bundle()
        image_id = self.glance.stage(data, "vhd", "ovf")
        image = self.glance.run_import(image_id, [FORWARD])
        self.assertEqual(("active", 64 << 20), (image.status, image.virtual_size))
        self.assert_same_bytes(data, self.glance.store[image_id])
        self.assertEqual([], [name for name in image.extra_properties if name.startswith("xenimage")])

    @ddt.data(("iso", "bare"), ("qcow2", "ovf"), ("vhd", "compressed"), ("ami", "ami"), ("vhdx", "bare"))
    @ddt.unpack
    def test_what_the_policy_does_not_cover_is_passed(self, disk_format, container_format):
        image_id = self.glance.stage(b"anything", disk_format, container_format)
        image = self.glance.run_import(image_id, [FORWARD])
        self.assertEqual(("active", disk_format), (image.status, image.disk_format))
        self.assertEqual(b"anything", self.glance.store[image_id])

    @ddt.data("glance-direct", "web-download")
    def test_the_source_is_gone_from_staging_when_a_passed_image_fails_later(self, method):
        image_id = self.glance.stage(b"anything", "iso")
        image = self.glance.run_import(image_id, [FORWARD, "fail"], method)
        self.assert_clean(image, "iso")

    def test_on_request(self):
        self.configure("convert = on-request")
        for properties, expected in (
            ({}, "qcow2"),
            ({"xenimage_convert": "false"}, "qcow2"),
            ({"xenimage_convert": "True"}, "vhd"),
            ({"hypervisor_type": "xen"}, "vhd"),
            ({"hypervisor_type": "kvm"}, "qcow2"),
        ):
            with self.subTest(properties=properties):
                image_id = self.glance.stage(self.qcow2(), "qcow2", **properties)
                self.assertEqual(expected, self.glance.run_import(image_id, [FORWARD]).disk_format)

    @ddt.data("kernel_id", "ramdisk_id")
    def test_an_image_that_boots_another_kernel(self, name):
        """It holds a file system and no whole disk."""
        image_id = self.glance.stage(self.qcow2(), "qcow2", **{name: "0f3e"})
        self.assertEqual("qcow2", self.glance.run_import(image_id, [FORWARD]).disk_format)

    def test_the_operators_properties(self):
        self.configure("properties = os_type:linux,vm_mode:xen")
        image_id = self.glance.stage(self.qcow2(), "qcow2", os_type="windows")
        image = self.glance.run_import(image_id, [FORWARD])
        self.assertEqual("xen", image.extra_properties["vm_mode"])
        self.assertEqual("windows", image.extra_properties["os_type"])


@ddt.ddt
class RefusalTest(GlanceTestCase):
    def refused(self, data, disk_format, container_format="bare", plugins=(FORWARD,), **properties):
        image_id = self.glance.stage(data, disk_format, container_format, **properties)
        image = self.glance.run_import(image_id, plugins)
        self.assert_clean(image, disk_format, container_format)
        self.assertNotIn(str(self.scratch), self.message())
        self.assertNotIn(image_id, self.message())
        for name, text in properties.items():
            self.assertEqual(text, image.extra_properties[name])
        return self.message()

    def test_another_format_than_declared(self):
        expected = (
            "The image is declared as {}, but its content is {}. Set disk_format to what it is, and upload it again."
        )
        self.assertEqual(expected.format("raw", "qcow2"), self.refused(self.qcow2(), "raw"))
        self.assertEqual(expected.format("qcow2", "raw"), self.refused(bytes(4096), "qcow2"))
        self.assertEqual(expected.format("raw", "vhd"), self.refused(self.written("vhd"), "raw"))

    def test_a_packed_image(self):
        self.assertIn("declared as raw, but it is packed with gzip", self.refused(self.bundle(), "raw"))

    def test_a_damaged_image(self):
        text = self.refused(self.qcow2()[:70000], "qcow2")
        self.assertTrue(text.startswith("The image cannot be taken: "), text)

    def test_an_empty_image(self):
        self.assertIn("it is empty, expected a disk image", self.refused(b"", "raw"))

    def test_no_bundle_at_all(self):
        self.assertIn("declared as a bundle for XenServer", self.refused(self.qcow2(), "vhd", "ovf"))

    def test_a_signed_image(self):
        self.assertIn("The image is signed", self.refused(self.qcow2(), "qcow2", **SIGNATURE))

    def test_a_signed_bundle_passes(self):
        image_id = self.glance.stage(self.bundle(), "vhd", "ovf", **SIGNATURE)
        self.assertEqual("active", self.glance.run_import(image_id, [FORWARD]).status)

    def test_properties_that_contradict_each_other(self):
        text = self.refused(self.qcow2(), "qcow2", hw_vm_mode="xen", vm_mode="hvm")
        self.assertIn("hw_vm_mode ('xen') and vm_mode ('hvm') mean the same", text)

    def test_a_property_that_the_target_does_not_understand(self):
        text = self.refused(self.qcow2(), "qcow2", os_type="Windows")
        self.assertIn("The property os_type is 'Windows', expected linux or windows.", text)
        self.assertNotIn("--property", text)

    @ddt.data("kernel_id", "ramdisk_id")
    def test_a_bundle_that_shall_boot_another_kernel(self, name):
        text = self.refused(self.qcow2(), "qcow2", hypervisor_type="xen", **{name: "0f3e"})
        self.assertIn(f"The property {name} must not be set", text)

    def test_a_property_that_nobody_may_set(self):
        self.glance.repository.protected = {"vm_mode"}
        self.assertIn("does not let its owner set", self.refused(self.qcow2(), "qcow2"))

    @ddt.data("concurency = 3", "timeout = soon", "profile = nobody", "memory = 1M", "convert = perhaps")
    def test_a_broken_configuration_fails_closed(self, line):
        self.configure(line)
        self.assertEqual(errors.UNUSABLE, self.refused(self.qcow2(), "qcow2"))

    def test_a_child_that_cannot_be_found(self):
        self.patch(supervisor, "find_command", mock.Mock(side_effect=errors.UnusableError("no such program")))
        self.assertEqual(errors.UNUSABLE, self.refused(self.qcow2(), "qcow2"))

    def test_a_child_that_does_not_start(self):
        self.patch(supervisor, "find_command", lambda configured, host: ["/nonexistent/program"])
        self.assertEqual(errors.UNUSABLE, self.refused(self.qcow2(), "qcow2"))

    def test_a_staging_area_without_room(self):
        self.configure("min_free = 900T")
        self.assertIn("more than this server has room for now", self.refused(self.qcow2(), "qcow2"))

    def test_a_child_that_is_killed(self):
        """As by the kernel's memory killer, in the midst of its work."""

        def kill(needed: int, part: str, min_free: int) -> None:
            (child,) = children()
            os.kill(child, 9)

        self.patch(importing.slots.Slot, "reserve", lambda slot, *words: kill(*words))
        self.assertIn("more memory or computing time", self.refused(self.qcow2(), "qcow2"))

    def test_a_child_that_takes_too_long(self):
        self.configure("timeout = 1")
        self.patch(supervisor, "find_command", lambda configured, host: ["/bin/sleep", "60"])
        self.assertIn("took longer than the 1 min", self.refused(self.qcow2(), "qcow2"))
        self.assertEqual([], children())

    def test_too_little_memory(self):
        self.patch(sys.modules["xenimage.conf.glance"], "_MEMORY_MIN", 0)
        self.configure("memory = 16M")
        self.assertIn("more memory than this server allows", self.refused(self.qcow2(), "qcow2"))

    def test_what_the_operator_needs_stands_in_the_log_with_the_id(self):
        image_id = self.glance.stage(self.qcow2()[:70000], "qcow2")
        self.glance.run_import(image_id, [FORWARD])
        (line,) = [each for each in self.log.output.splitlines() if "refused by" in each]
        self.assertIn(f"image {image_id}: refused by xenimage: The image cannot be taken", line)
        self.assertIn(str(self.staging / image_id), line)

    def test_a_failure_of_the_database_in_the_midst(self):
        self.patch(fakes.Actions, "set_image_attribute", boom)
        image_id = self.glance.stage(self.qcow2(), "qcow2")
        arguments = self.glance.arguments(image_id)
        (task,) = [node for node, _ in FORWARD(**arguments).iter_nodes()]
        with self.assertRaises(fakes.UploadException):
            task.execute(f"file://{self.staging / image_id}")
        task.revert()
        self.assertEqual([], self.glance.staged())


def boom(*_words, **_more):
    raise fakes.GlanceError("the database is away")


def children() -> list[int]:
    """Processes that this one has started, and that still run."""
    found = subprocess.run(
        ["ps", "-o", "pid=,stat=,comm=", "--ppid", str(os.getpid())], capture_output=True, check=False, text=True
    ).stdout
    rows = [line.split() for line in found.splitlines()]
    return [int(row[0]) for row in rows if not row[1].startswith("Z") and row[2] != "ps"]


@ddt.ddt
class RevertTest(GlanceTestCase):
    """What is left when a task behind ours fails."""

    @ddt.data("glance-direct", "web-download")
    def test_everything_is_as_it_was(self, method):
        image_id = self.glance.stage(self.qcow2(), "qcow2", os_type="linux", hw_vm_mode="xen")
        image = self.glance.run_import(image_id, [FORWARD, "fail"], method)
        self.assert_clean(image, "qcow2")
        self.assertNotIn("vm_mode", image.extra_properties)
        self.assertEqual("linux", image.extra_properties["os_type"])

    def test_properties_that_were_replaced_come_back(self):
        self.configure("user_properties = lose")
        image_id = self.glance.stage(self.qcow2(), "qcow2", vm_mode="xen")
        image = self.glance.run_import(image_id, [FORWARD, "fail"])
        self.assertEqual("xen", image.extra_properties["vm_mode"])

    def test_a_second_attempt(self):
        image_id = self.glance.stage(self.qcow2(), "qcow2")
        self.glance.run_import(image_id, [FORWARD, "fail"])
        self.glance.restage(image_id, self.qcow2())
        self.assertEqual("active", self.glance.run_import(image_id, [FORWARD]).status)

    @ddt.data(True, False)
    def test_behind_image_conversion(self, requeues):
        """Whether it sets ``queued`` or leaves that to us, exactly one does."""
        self.useFixture(fakes.GlanceModules(requeues=requeues))
        self.glance = fakes.Glance(self.staging, requeues=requeues)
        self.configure(plugins=["image_conversion", "xenimage"])
        image_id = self.glance.stage(self.written("raw"), "qcow2")
        image = self.glance.run_import(image_id, ["image_conversion", FORWARD, "fail"])
        self.assertEqual(("queued", "raw"), (image.status, image.disk_format))
        self.assertNotIn(fakes.LOCK, image.extra_properties)
        self.assertEqual([], self.glance.staged())

    def test_both_plugins(self):
        image_id = self.glance.stage(self.qcow2(), "qcow2")
        self.assert_clean(self.glance.run_import(image_id, [FORWARD, REVERSE, "fail"]), "qcow2")

    def test_an_image_that_is_deleted_meanwhile(self):
        image_id = self.glance.stage(self.qcow2(), "qcow2")

        def delete(*_words):
            del self.glance.repository.images[image_id]

        self.patch(importing.slots.Slot, "reserve", delete)
        self.assertIsNone(self.glance.run_import(image_id, [FORWARD]))
        self.assertEqual([], self.glance.staged())

    def test_a_revert_raises_nothing_and_may_be_repeated(self):
        image_id = self.glance.stage(self.qcow2(), "qcow2")
        arguments = self.glance.arguments(image_id)
        (task,) = [node for node, _ in FORWARD(**arguments).iter_nodes()]
        self.glance.repository.images[image_id].status = "importing"
        self.glance.repository.broken = True
        task.revert()
        self.glance.repository.broken = False
        task.revert(result="anything")
        task.revert()
        self.assertEqual("queued", self.glance.repository.images[image_id].status)

    def test_an_active_image_is_left_alone(self):
        """From there nothing leads back, and its formats and properties are those of what is stored."""
        image_id = self.glance.stage(self.qcow2(), "qcow2")
        arguments = self.glance.arguments(image_id)
        (task,) = [node for node, _ in FORWARD(**arguments).iter_nodes()]
        self.glance.repository.images[image_id].status = "importing"
        task.execute(f"file://{self.staging / image_id}")
        self.glance.repository.images[image_id].status = "active"
        task.revert(result="file:///somewhere")
        image = self.glance.repository.images[image_id]
        self.assertEqual(("active", "vhd", "ovf"), (image.status, image.disk_format, image.container_format))
        self.assertEqual("hvm", image.extra_properties["vm_mode"])

    def test_a_property_that_cannot_be_restored_does_not_keep_the_status(self):
        image_id = self.glance.stage(self.qcow2(), "qcow2")
        arguments = self.glance.arguments(image_id)
        (task,) = [node for node, _ in FORWARD(**arguments).iter_nodes()]
        self.glance.repository.images[image_id].status = "importing"
        task.execute(f"file://{self.staging / image_id}")
        self.glance.repository.protected = {"vm_mode"}
        task.revert()
        image = self.glance.repository.images[image_id]
        self.assertEqual(("queued", "qcow2", "bare"), (image.status, image.disk_format, image.container_format))

    def test_what_a_crash_left_is_replaced(self):
        image_id = self.glance.stage(self.qcow2(), "qcow2")
        for suffix in ("xenimage", "xenimage-part"):
            (self.staging / f"{image_id}.{suffix}").write_bytes(b"old")
        self.glance.run_import(image_id, [FORWARD])
        self.assert_same_bytes(self.bundle(), self.glance.store[image_id])

    def test_every_file_in_staging_is_named_after_the_image(self):
        """Glance's cleaner cuts a name at its first dot and wants an image's id."""
        seen: set[str] = set()
        image_id = self.glance.stage(self.qcow2(), "qcow2")
        done = threading.Event()

        def look():
            while not done.is_set():
                seen.update(self.glance.staged())
                time.sleep(0.001)

        watcher = threading.Thread(target=look)
        watcher.start()
        self.glance.run_import(image_id, [FORWARD])
        done.set()
        watcher.join()
        self.assertEqual({image_id}, {name.split(".")[0] for name in seen})


@ddt.ddt
class ReverseTest(GlanceTestCase):
    @ddt.data("qcow2", "raw")
    def test_a_bundle_becomes_a_disk(self, form):
        self.configure(f"extract_format = {form}")
        data = self.bundle()
        image_id = self.glance.stage(
            data, "vhd", "ovf", vm_mode="hvm", hypervisor_type="xen", os_type="linux", xenimage_profile="cinder"
        )
        image = self.glance.run_import(image_id, [REVERSE])
        self.assertEqual(("active", form, "bare"), (image.status, image.disk_format, image.container_format))
        self.assertEqual(64 << 20, image.virtual_size)
        self.assertEqual("linux", image.extra_properties["os_type"])
        self.assertEqual("bundle", image.extra_properties["xenimage_source_format"])
        self.assertEqual(sha256(data), image.extra_properties["xenimage_source_sha256"])
        for name in ("vm_mode", "hypervisor_type", "xenimage_profile"):
            self.assertNotIn(name, image.extra_properties)
        out = self.scratch / "out"
        out.write_bytes(self.glance.store[image_id])
        self.run_tool("qemu-img", "compare", "-f", form, "-F", "qcow2", out, self.images / "sample.qcow2")

    @ddt.data("dynamic", "fixed")
    def test_a_vhd_becomes_a_disk(self, kind):
        image_id = self.glance.stage(self.written("vhd", subformat=kind), "vhd")
        self.assertEqual("qcow2", self.glance.run_import(image_id, [REVERSE]).disk_format)

    def test_what_one_plugin_made_the_other_leaves(self):
        image_id = self.glance.stage(self.qcow2(), "qcow2")
        image = self.glance.run_import(image_id, [FORWARD, REVERSE])
        self.assertEqual(("vhd", "ovf"), (image.disk_format, image.container_format))
        image_id = self.glance.stage(self.bundle(), "vhd", "ovf")
        image = self.glance.run_import(image_id, [REVERSE, FORWARD])
        self.assertEqual(("qcow2", "bare"), (image.disk_format, image.container_format))

    def test_on_request(self):
        self.configure("extract = on-request")
        for properties, expected in (({}, "vhd"), ({"xenimage_extract": "yes"}, "qcow2")):
            image_id = self.glance.stage(self.bundle(), "vhd", "ovf", **properties)
            self.assertEqual(expected, self.glance.run_import(image_id, [REVERSE]).disk_format)

    def test_other_images_pass(self):
        image_id = self.glance.stage(b"anything", "raw")
        self.assertEqual("raw", self.glance.run_import(image_id, [REVERSE]).disk_format)

    def test_another_content_than_declared(self):
        image_id = self.glance.stage(self.qcow2(), "vhd", "ovf")
        self.assert_clean(self.glance.run_import(image_id, [REVERSE]), "vhd", "ovf")
        self.assertIn("declared as vhd, but its content is qcow2", self.message())

    def test_everything_is_as_it_was_after_a_failure(self):
        image_id = self.glance.stage(self.bundle(), "vhd", "ovf", vm_mode="hvm")
        image = self.glance.run_import(image_id, [REVERSE, "fail"])
        self.assert_clean(image, "vhd", "ovf")
        self.assertEqual("hvm", image.extra_properties["vm_mode"])


class GetFlowTest(GlanceTestCase):
    """get_flow cannot fail; the import does."""

    def execute(self, flow, path="file:///nowhere"):
        (task,) = [node for node, _ in flow.iter_nodes()]
        with self.assertRaises(fakes.UploadException) as caught:
            task.execute(path)
        task.revert()
        return str(caught.exception)

    def test_without_anything_of_what_glance_gives(self):
        for get_flow in (FORWARD, REVERSE):
            self.assertEqual(errors.UNUSABLE, self.execute(get_flow()))

    def test_with_each_of_our_modules_broken(self):
        for name in ("record", "importing"):
            module = f"xenimage.glance.{name}"
            with self.subTest(module=module):
                fixture = fakes.Module(module, None)
                fixture.setUp()
                parent = sys.modules["xenimage.glance"]
                kept = getattr(parent, name)
                delattr(parent, name)
                try:
                    image_id = self.glance.stage(b"x", "qcow2")
                    flow = FORWARD(**self.glance.arguments(image_id))
                    path = self.staging / image_id
                    self.assertEqual(errors.UNUSABLE, self.execute(flow, f"file://{path}"))
                    self.assertFalse(path.exists())
                finally:
                    setattr(parent, name, kept)
                    fixture.cleanUp()

    def test_a_whole_import_with_the_conversion_broken(self):
        fixture = fakes.Module("xenimage.glance.importing", None)
        fixture.setUp()
        parent = sys.modules["xenimage.glance"]
        kept = parent.importing
        del parent.importing
        try:
            image_id = self.glance.stage(self.qcow2(), "qcow2")
            image = self.glance.run_import(image_id, [FORWARD])
        finally:
            parent.importing = kept
            fixture.cleanUp()
        self.assert_clean(image, "qcow2")
        self.assertEqual(errors.UNUSABLE, self.message())

    def test_the_module_imports_nothing_that_can_be_missing(self):
        code = f"""
import sys
sys.path.insert(0, {ROOT!r})
import taskflow.task, taskflow.patterns.linear_flow
before = set(sys.modules)
import xenimage.glance.plugin
added = {{name for name in set(sys.modules) - before if name.partition(".")[0] not in sys.stdlib_module_names}}
print(sorted(added))
"""
        printed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout
        self.assertEqual("['xenimage', 'xenimage.glance', 'xenimage.glance.plugin']\n", printed)

    def test_its_text_is_that_of_the_errors(self):
        self.assertEqual(errors.UNUSABLE, plugin._UNUSABLE)


class ProgressTest(GlanceTestCase):
    def test_the_task_is_told_how_far_it_is(self):
        self.patch(importing, "_TELL_INTERVAL", 0)
        self.glance.run_import(self.glance.stage(self.qcow2(), "qcow2"), [FORWARD])
        self.assertEqual("converting", self.glance.tasks.messages[0])
        self.assertRegex(" ".join(self.glance.tasks.messages), r"converting \d+ %")

    def test_twice_a_minute_at_most(self):
        self.glance.run_import(self.glance.stage(self.qcow2(), "qcow2"), [FORWARD])
        self.assertEqual(["converting", "converted"], self.glance.tasks.messages)

    def test_a_note_that_cannot_be_written_stops_nothing(self):
        self.glance.tasks.broken = True
        image = self.glance.run_import(self.glance.stage(self.qcow2(), "qcow2"), [FORWARD])
        self.assertEqual("active", image.status)

    def test_the_command_is_python_here(self):
        self.assertEqual(sys.executable, COMMAND[0])
