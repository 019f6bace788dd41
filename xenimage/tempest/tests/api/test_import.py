"""Import the images of the kit as a tenant: good ones become bundles, the others are refused with a reason."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from typing import TYPE_CHECKING, Any

import testscenarios
from tempest import config
from tempest.api.image import base
from tempest.lib import decorators

from xenimage import api
from xenimage.model.plan import SourceOptions

if TYPE_CHECKING:
    from xenimage.model.kit import KitImage

CONF = config.CONF

_INTERNAL = "Internal Error"
"""what Glance says where a plugin gave no reason"""


def load_tests(loader: Any, standard_tests: Any, _pattern: Any) -> Any:
    """Make a test of each image of the kit, as tempest's own image format tests do."""
    result = loader.suiteClass()
    result.addTests(testscenarios.generate_scenarios(standard_tests))
    return result


def _scenarios(*, usable: bool) -> list[tuple[str, dict[str, KitImage]]]:
    return [(image.name, {"kit_image": image}) for image in api.kit_images() if image.usable is usable]


class BaseImportTest(base.BaseV2ImageTest):  # type: ignore[misc]
    """A tenant who imports images of the kit."""

    kit_image: KitImage

    @classmethod
    def skip_checks(cls) -> None:
        """Skip where the cloud has no plugin."""
        super().skip_checks()
        if not (CONF.service_available.xenimage and CONF.image_feature_enabled.import_image):
            raise cls.skipException("[service_available] xenimage or [image-feature-enabled] import_image is off")

    @classmethod
    def resource_setup(cls) -> None:
        """Write a kit, if there is none."""
        super().resource_setup()
        cls.kit = CONF.xenimage.kit
        if not cls.kit:
            cls.kit = tempfile.mkdtemp(prefix="xenimage-kit-")
            cls.addClassResourceCleanup(shutil.rmtree, cls.kit)
            api.write_kit(cls.kit)

    def kit_path(self, name: str) -> str:
        """Return the path of an image of the kit."""
        (found,) = [image for image in api.kit_images() if image.name == name]
        return os.path.join(self.kit, found.filename)

    def run_import(self, kit_image: KitImage, **properties: str) -> dict[str, Any]:
        """Create, stage, import, and wait until Glance is done with it; return the record."""
        image = self.create_image(
            container_format=kit_image.container, disk_format=kit_image.format, visibility="private", **properties
        )
        with open(os.path.join(self.kit, kit_image.filename), "rb") as file:
            self.client.stage_image_file(image["id"], file)
        self.client.image_import(image["id"], method="glance-direct")
        end = time.monotonic() + CONF.xenimage.import_timeout
        # The request has set this property; it goes when all is over, well or not.
        while "os_glance_import_task" in (record := self.client.show_image(image["id"])):
            self.assertLess(time.monotonic(), end, "the import takes longer than import_timeout")
            time.sleep(CONF.xenimage.import_interval)
        return dict(record)

    def download(self, record: dict[str, Any]) -> str:
        """Store the image's data in a file, which is that of the record; return its path."""
        directory = tempfile.mkdtemp(prefix="xenimage-tempest-")
        self.addCleanup(shutil.rmtree, directory)
        data = self.client.show_image_file(record["id"]).data
        digest = hashlib.new(record["os_hash_algo"], data).hexdigest()
        self.assertEqual((record["size"], record["os_hash_value"]), (len(data), digest))
        path = os.path.join(directory, "image")
        with open(path, "wb") as file:
            file.write(data)
        return path

    def task(self, image_id: str) -> dict[str, Any]:
        """Return the image's only task, once it is marked: that is a moment after the image is."""
        end = time.monotonic() + CONF.xenimage.import_timeout
        while True:
            (task,) = self.client.show_image_tasks(image_id)["tasks"]
            if task["status"] in ("success", "failure"):
                return dict(task)
            self.assertLess(time.monotonic(), end, "the task is never marked")
            time.sleep(CONF.xenimage.import_interval)

    def assert_same_disk(self, name: str, path: str, form: str) -> None:
        """Compare what a guest would see."""
        one, other = SourceOptions(path=self.kit_path(name)), SourceOptions(path=path, format=form)
        self.assertTrue(api.compare_disks(one, other).equal)


class GoodImagesTest(BaseImportTest):
    """What is taken."""

    scenarios = _scenarios(usable=True)

    @classmethod
    def skip_checks(cls) -> None:
        """Skip where bundles do not stay bundles."""
        super().skip_checks()
        if CONF.xenimage.extract:
            raise cls.skipException("[xenimage] extract is on")

    @decorators.idempotent_id("f0c2a3de-6b55-4c43-8d4d-5b0d0f6e8a31")  # type: ignore[untyped-decorator]
    def test_becomes_a_sound_bundle(self) -> None:
        """A disk becomes a bundle with the right record; a bundle stays one."""
        record = self.run_import(self.kit_image, tempest_colour="blue")
        self.assertEqual("success", self.task(record["id"])["status"])
        found = tuple(record[name] for name in ("status", "disk_format", "container_format", "tempest_colour"))
        self.assertEqual(("active", "vhd", "ovf", "blue"), found)
        self.assertEqual(64 * 1024 * 1024, record["virtual_size"])
        path = self.download(record)
        self.assertEqual("sound", api.check_bundle(path, profile=CONF.xenimage.profile).verdict.value)
        self.assert_same_disk("qcow2", path, "bundle")


class ExtractTest(BaseImportTest):
    """What the other plugin does."""

    scenarios = [(image.name, {"kit_image": image}) for image in api.kit_images() if image.name == "bundle"]  # noqa: RUF012

    @classmethod
    def skip_checks(cls) -> None:
        """Skip where the cloud does not have it."""
        super().skip_checks()
        if not CONF.xenimage.extract:
            raise cls.skipException("[xenimage] extract is off")

    @decorators.idempotent_id("9d1f4a3c-0be4-4b74-a0a5-0b3a3f6b2a57")  # type: ignore[untyped-decorator]
    def test_a_bundle_becomes_a_disk(self) -> None:
        """The disk in it is stored as qcow2 or raw."""
        record = self.run_import(self.kit_image)
        self.assertEqual("success", self.task(record["id"])["status"])
        self.assertEqual(("active", "bare"), (record["status"], record["container_format"]))
        self.assertIn(record["disk_format"], ("qcow2", "raw"))
        self.assert_same_disk("qcow2", self.download(record), record["disk_format"])


class BadImagesTest(BaseImportTest):
    """What is refused."""

    scenarios = _scenarios(usable=False)

    @decorators.attr(type=["negative"])  # type: ignore[untyped-decorator]
    @decorators.idempotent_id("3f8d6f0e-19a0-4f5c-9a39-2f1e1c5b7d66")  # type: ignore[untyped-decorator]
    def test_is_refused_with_a_reason(self) -> None:
        """The image is queued again, as declared and without data, and the task says why."""
        record = self.run_import(self.kit_image)
        task = self.task(record["id"])
        self.assertEqual("failure", task["status"])
        self.assertNotIn(_INTERNAL, task["message"])
        self.assertGreater(len(task["message"].split()), 5)
        found = tuple(record[name] for name in ("status", "disk_format", "container_format", "checksum"))
        self.assertEqual(("queued", self.kit_image.format, self.kit_image.container, None), found)
        self.assertEqual([], [name for name in record if name.startswith("xenimage_")])
