"""What the child does, in this process: the rest of the refusals, and the bounds."""

from __future__ import annotations

import pathlib
from typing import ClassVar

import ddt

from tests.builders import vmdk
from tests.builders.guests import windows
from tests.builders.guests.winhives import State
from tests.unit.glance.support import GlanceTestCase
from xenimage import api, conf
from xenimage.glance import confinement, conversion
from xenimage.glance.errors import RefusedError, UnusableError
from xenimage.model.finding import Finding, Severity
from xenimage.model.plan import BundleOptions, SourceOptions
from xenimage.model.report import CheckReport, Verdict
from xenimage.model.transfer import Silent

GIB = 1 << 30


class Room(Silent):
    def __init__(self) -> None:
        self.asked: list[int] = []

    def ask_room(self, needed: int) -> None:
        self.asked.append(needed)


class ConversionTestCase(GlanceTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.room = Room()
        self.bounds: list[int] = []
        self.patch(confinement, "limit_output", self.bounds.append)

    def perform(self, action, data, **fields):
        return conversion.perform(self.request(action, data, **fields), self.room)

    def refused(self, action, data, **fields):
        with self.assertRaises(RefusedError) as caught:
            self.perform(action, data, **fields)
        self.assertNotIn(str(self.scratch), caught.exception.text)
        return caught.exception.text


@ddt.ddt
class GuestTest(ConversionTestCase):
    """A disk with a Windows on it."""

    good = State(firmware="bios", active="0001")
    bad = State(firmware="bios", pv="none", sysprep="complete", hibernated=True)

    def disk(self, state: State) -> bytes:
        path = self.scratch / "guest.qcow2"
        self.run_tool("qemu-img", "convert", "-f", "raw", "-O", "qcow2", windows.disk(state), path)
        return path.read_bytes()

    def test_what_was_found_sets_properties_and_the_users_stay(self):
        found = self.perform("bundle", self.disk(self.good), properties={"os_version": "2022"})["properties"]
        self.assertEqual(
            ("windows", "hvm", "x86_64", "sound"),
            tuple(found[name] for name in ("os_type", "vm_mode", "architecture", "xenimage_verdict")),
        )
        self.assertNotIn("os_version", found)

    def test_a_guest_that_is_not_ready_is_refused_with_what_to_do_in_it(self):
        text = self.refused("bundle", self.disk(self.bad))
        self.assertTrue(text.startswith("The Xen hosts of this cloud would not run the image: "), text)
        self.assertTrue(text.endswith(" Then upload it again. xenimage guest check tells more, with what was seen."))
        self.assertIn("generali", text)
        self.assertLess(len(text), 1500)
        self.assertEqual([], self.room.asked)

    def test_it_is_taken_and_marked_where_the_operator_wants_that(self):
        found = self.perform("bundle", self.disk(self.bad), settings={"on_not_ready": "warn"})
        self.assertEqual("not ready", found["properties"]["xenimage_verdict"])
        self.assertTrue(any(note.startswith("windows.sysprep.") for note in found["notes"]), found["notes"])

    def test_nobody_looks_where_the_operator_does_not_want_it(self):
        found = self.perform("bundle", self.disk(self.bad), settings={"inspect": False})
        self.assertNotIn("os_type", found["properties"])

    def test_a_property_that_says_other_than_the_disk(self):
        text = self.refused("bundle", self.disk(self.good), properties={"os_type": "linux"})
        self.assertIn("The property os_type is linux, but what is on the disk asks for os_type=windows.", text)
        self.assertIn("Change or remove that property of the image", text)

    @ddt.data(("good", {}, None), ("bad", {}, "refused"), ("bad", {"on_not_ready": "warn"}, "not ready"))
    @ddt.unpack
    def test_a_bundle_is_looked_into(self, state, settings, verdict):
        made = str(self.scratch / "guest.tgz")
        source = SourceOptions(path=str(windows.disk(getattr(self, state))), format="raw")
        api.create_bundle(BundleOptions(source=source, output=made, inspect=False))
        bundle = pathlib.Path(made).read_bytes()
        if verdict == "refused":
            self.assertIn("generali", self.refused("check", bundle, settings=settings))
        else:
            found = self.perform("check", bundle, settings=settings)
            self.assertEqual({"xenimage_verdict": verdict} if verdict else {}, found["properties"])


@ddt.ddt
class BundleTest(ConversionTestCase):
    def test_room_is_asked_for_before_anything_is_written(self):
        found = self.perform("bundle", self.qcow2())
        (asked,) = self.room.asked
        self.assertLess(found["attributes"]["size"], asked)
        self.assertEqual([asked], self.bounds)
        self.assertEqual(["0f0f", "0f0f.xenimage"], self.glance.staged())

    def test_a_larger_disk_than_allowed(self):
        text = self.refused("bundle", self.qcow2(), settings={"max_virtual_size": 32 << 20})
        self.assertIn("67108864, expected at most 33554432", text)

    def test_a_larger_result_than_allowed(self):
        text = self.refused("bundle", self.qcow2(), settings={"max_output_size": 1 << 20})
        self.assertIn("this server allows 1 MiB", text)
        self.assertEqual([], self.room.asked)

    def test_a_small_file_that_claims_much(self):
        self.patch(conversion, "_RATIO_FROM", 1 << 20)
        text = self.refused("bundle", self.qcow2(), settings={"max_ratio": 2})
        self.assertIn("this server allows 2 times its size", text)

    def test_the_file_of_another_tenant(self):
        (self.staging / "f00d").write_bytes(b"secret" * 512)
        text = vmdk.descriptor("monolithicFlat", ['RW 6 FLAT "f00d" 0'])
        self.assertIn("consists of several files", self.refused("bundle", text, disk_format="vmdk"))

    @ddt.data("store", "balanced")
    def test_compression(self, name):
        found = self.perform("bundle", self.qcow2(), settings={"compression": name})
        self.assertNotEqual(len(self.bundle()), found["attributes"]["size"])

    def test_the_size_policy(self):
        found = self.perform("bundle", self.qcow2(), settings={"size_policy": "gib"})
        self.assertEqual(GIB, found["attributes"]["virtual_size"])

    def test_another_profile(self):
        found = self.perform("bundle", self.qcow2(), settings={"profile": "rackspace"})
        self.assertEqual("mandatory", found["properties"]["img_config_drive"])
        self.assertEqual("usable", found["properties"]["xenimage_verdict"])
        self.assertIn("property.ssh_user.missing", " ".join(found["notes"]))

    def test_a_profile_that_nobody_provides(self):
        with self.assertRaises(UnusableError) as caught:
            self.perform("bundle", self.qcow2(), settings={"profile": "nobody"})
        self.assertIn("no profile is called 'nobody'", caught.exception.detail)

    def test_the_librarys_own_configuration_counts(self):
        path = self.scratch / "xenimage.conf"
        path.write_text("[limits]\nvirtual_size = 1M\n")
        self.patch(conf, "DEFAULT_FILE", str(path))
        self.assertIn("expected at most 1048576", self.refused("bundle", self.qcow2()))
        path.write_text("[limits]\nvirtual_size = much\n")
        with self.assertRaises(UnusableError):
            self.perform("bundle", self.qcow2())


class CheckTest(ConversionTestCase):
    FIELDS: ClassVar = {"disk_format": "vhd", "container_format": "ovf"}

    def test_a_sound_one(self):
        found = self.perform("check", self.bundle(), **self.FIELDS)
        self.assertEqual({"attributes": {"virtual_size": 64 << 20}, "properties": {}, "notes": []}, found)
        self.assertEqual([], self.room.asked)

    def test_one_that_is_not_ready(self):
        self.patch(conversion.api, "check_bundle", self._not_ready())
        text = self.refused("check", self.bundle(), **self.FIELDS)
        self.assertIn("The Xen hosts of this cloud would not run the image: It is broken. Nothing boots.", text)

    def test_one_that_is_not_ready_and_taken(self):
        self.patch(conversion.api, "check_bundle", self._not_ready())
        found = self.perform("check", self.bundle(), settings={"on_not_ready": "warn"}, **self.FIELDS)
        self.assertEqual({"xenimage_verdict": "not ready"}, found["properties"])
        self.assertEqual(["vhd.x: It is broken."], found["notes"])

    def _not_ready(self):
        finding = Finding(
            code="vhd.x", severity=Severity.ERROR, what="It is broken.", why="Nothing boots.", act="Mend it."
        )
        report = CheckReport(path="x", profile="x", verdict=Verdict.NOT_READY, findings=(finding,))
        return lambda path, **more: report

    def test_cut_short(self):
        self.assertIn("none that can be used", self.refused("check", self.bundle()[:5000], **self.FIELDS))


@ddt.ddt
class ExtractTest(ConversionTestCase):
    FIELDS: ClassVar = {"disk_format": "vhd", "container_format": "ovf"}

    def raw_bundle(self, content: bytes) -> bytes:
        """A bundle of a disk with this content, made by qemu-img and tar."""
        raw, disk = self.images / "0.raw", self.images / "0.vhd"
        raw.write_bytes(content.ljust(4 << 20, b"\0"))
        self.run_tool("qemu-img", "convert", "-f", "raw", "-O", "vpc", "-o", "force_size=on", raw, disk)
        self.run_tool("tar", "-C", self.images, "-czf", self.images / "0.tgz", "0.vhd")
        return (self.images / "0.tgz").read_bytes()

    def extract(self, content, **fields):
        return self.refused(
            "extract", self.raw_bundle(content), settings={"extract_format": "raw"}, **self.FIELDS, **fields
        )

    @ddt.data(b"QFI\xfb\0\0\0\3", b"conectix", b"\x1f\x8b\x08\0", b"LUKS\xba\xbe", b"# Disk DescriptorFile\n")
    def test_a_disk_that_would_be_taken_for_something_else(self, content):
        """As raw such a disk would be another image to whoever opens it: one with a backing file of its choice."""
        text = self.extract(content)
        self.assertIn("would take it for an image of another format. As qcow2 it could be", text)

    def test_as_qcow2_it_is_taken(self):
        data = self.raw_bundle(b"QFI\xfb\0\0\0\3".ljust(512, b"\0"))
        self.assertEqual("qcow2", self.perform("extract", data, **self.FIELDS)["attributes"]["disk_format"])

    def test_a_boot_signature_without_a_partition(self):
        sector = bytes(510) + b"\x55\xaa"
        self.assertIn("a boot signature, but no partition", self.extract(sector, strict_mbr=True))
        (self.staging / "0f0f.xenimage").unlink()
        found = self.perform("extract", self.raw_bundle(sector), settings={"extract_format": "raw"}, **self.FIELDS)
        self.assertEqual("raw", found["attributes"]["disk_format"])

    def test_the_room_for_a_raw_disk_is_that_of_its_data(self):
        found = self.perform("extract", self.bundle(), settings={"extract_format": "raw"}, **self.FIELDS)
        self.assertEqual([7 << 20], self.room.asked)
        self.assertEqual([64 << 20], self.bounds)
        output = pathlib.Path(self.staging / "0f0f.xenimage")
        self.assertEqual(found["attributes"]["size"], output.stat().st_size)
