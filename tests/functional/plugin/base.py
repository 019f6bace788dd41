"""Imports on a running Glance, and what has to be true behind each: the record, the task, staging, the bytes."""

from __future__ import annotations

import atexit
import functools
import hashlib
import json
import pathlib
from typing import TYPE_CHECKING, Any, ClassVar

import fixtures

from tests.base import TestCase
from tests.functional.cloud.cloud import shared
from tests.functional.cloud.process import wait_for
from tests.functional.cloud.rest import HttpError
from xenimage import api

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.functional.cloud.glance import Glance
    from tests.functional.cloud.settings import Sections
    from xenimage.model.kit import KitImage

MIB = 1 << 20
MEMORY = 48 * MIB
"""bytes that Glance may grow by in a few imports; an image read into it would be more"""
UNUSABLE = "This server cannot convert images at present"
"""how the text begins that tells a tenant of a fault of the set-up"""


class PluginTestCase(TestCase):
    """A test with a Glance of :attr:`release`, started as the class attributes say, and a user of it."""

    release: ClassVar[str]
    plugins: ClassVar[str] = "[xenimage]"
    settings: ClassVar[Sections] = {}
    """sections of glance-image-import.conf"""
    api: ClassVar[Sections] = {}
    """sections of glance-api.conf"""
    user: ClassVar[str] = "tenant"

    glance: Glance

    def setUp(self) -> None:
        super().setUp()
        cloud = self.cloud = shared()
        self.glance = cloud.glance(self.release)
        self.glance.start(self.plugins, self.settings, self.api)
        self.web = cloud.web
        self.images = cloud.images(self.glance, self.user)

    def kit(self, name: str) -> pathlib.Path:
        """An image of the kit, which all tests of a process share: nobody writes into it."""
        return pathlib.Path(_kit()) / self._in_kit(name).filename

    def declared(self, name: str) -> dict[str, str]:
        """What it says that it is."""
        image = self._in_kit(name)
        return {"disk_format": image.format, "container_format": image.container}

    def _in_kit(self, name: str) -> KitImage:
        (image,) = [image for image in api.kit_images() if image.name == name]
        return image

    def create(self, **record: object) -> str:
        """A new record, which goes with the test."""
        image = self.images.create(name=self.id().rpartition(".")[2], **record)
        self.addCleanup(self._remove, image)
        return image

    def _remove(self, image: str) -> None:
        try:
            self.images.delete(image)
        except HttpError as error:
            self.assertEqual(404, error.status)

    def run_import(self, path: pathlib.Path, **record: object) -> tuple[str, Mapping[str, Any]]:
        """Create, stage, import and wait; the image's id and its task."""
        image = self.create(**record)
        self.images.stage(image, path)
        self.images.start(image)
        return image, self.images.finish(image)

    def make_raw(self, size: int = 6 * MIB) -> pathlib.Path:
        """A disk with a partition table, so that it is no data that could be anything; some of it is zeros."""
        path = self.scratch / "disk.raw"
        with path.open("wb") as file:
            file.truncate(size)
            file.seek(446)
            # One active Linux partition from sector 2048 on; then the mark of a boot record.
            file.write(bytes.fromhex("80feffff83feffff00080000") + (size // 512 - 2048).to_bytes(4, "little"))
            file.seek(510)
            file.write(b"\x55\xaa")
            for offset in range(MIB, size, 3 * MIB):
                file.seek(offset)
                file.write(hashlib.shake_128(b"%d" % offset).digest(MIB))
        return path

    def make(self, form: str, *options: str, size: int = 6 * MIB) -> pathlib.Path:
        """That disk in a format of qemu-img's."""
        raw = self.make_raw(size)
        if form == "raw":
            return raw
        path = self.scratch / f"disk.{form}"
        self.run_tool("qemu-img", "convert", "-f", "raw", "-O", form, *options, raw, path)
        return path

    def assert_idle(self) -> None:
        """Staging is empty, Glance runs, and no child of it."""
        self.assertTrue(self.glance.server.alive())
        wait_for("an end of the children", lambda: not list(self.glance.children()))
        wait_for(f"an empty staging area, not {self.glance.staged()}", lambda: not self.glance.staged())

    def assert_stored(self, image: str, task: Mapping[str, Any], **expected: object) -> pathlib.Path:
        """The import went well, and the bytes are those of the record; returns them."""
        self.assertEqual("success", task["status"], task["message"])
        record = self.images.show(image)
        self.assertNotIn("os_glance_import_task", record)
        self.assertEqual("", record.get("os_glance_failed_import", ""))
        found = {name: record.get(name) for name in expected}
        self.assertEqual({"status": "active"} | expected, {"status": record["status"]} | found)
        path = self.images.download(image, self.scratch / f"{image}.stored")
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha512").hexdigest()
        self.assertEqual((record["size"], record["os_hash_value"]), (path.stat().st_size, digest))
        self.assert_idle()
        return path

    def assert_bundle(
        self, image: str, task: Mapping[str, Any], source: pathlib.Path, form: str, **more: object
    ) -> pathlib.Path:
        """A bundle of one disk is stored, which shows a guest what *source* does, a file in a format of qemu-img's."""
        size = json.loads(self.run_tool("qemu-img", "info", "--output=json", "-f", form, source))["virtual-size"]
        rounded = -(-size // (2 * MIB)) * 2 * MIB
        expected = {"disk_format": "vhd", "container_format": "ovf", "vm_mode": "hvm", "virtual_size": rounded} | more
        path = self.assert_stored(image, task, **expected)
        self.assertEqual("0.vhd\n", self.run_tool("tar", "-tzf", path))
        self.run_tool("tar", "-xzf", path)
        self.run_tool("qemu-img", "compare", "-f", "vpc", "-F", form, "0.vhd", source)
        return path

    def assert_refused(self, image: str, task: Mapping[str, Any], message: str, **declared: object) -> None:
        """The import failed, for a reason that its owner can read, and all is as it was."""
        self.assert_readable(task, message)
        self.assert_queued(image, **declared)

    def assert_readable(self, task: Mapping[str, Any], message: str) -> None:
        """The task failed and says why, in words for its owner: nothing of the server is in them."""
        self.assertEqual("failure", task["status"], task["message"])
        self.assertIn(message, task["message"])
        self.assertNotIn(str(self.glance.staging), task["message"])
        self.assertTrue(task["message"].isprintable())

    def assert_queued(self, image: str, **declared: object) -> None:
        """The image can be staged again, its record is as declared, and nothing is left over."""
        record = self.images.show(image)
        self.assertEqual("queued", record["status"])
        self.assertEqual(declared, {name: record.get(name) for name in declared})
        ours = {name for name in record if name.startswith("xenimage_") or name == "vm_mode"}
        self.assertLessEqual(ours, {*declared})
        self.assertFalse(record.get("os_glance_import_task"))
        self.assertFalse(record.get("os_glance_importing_to_stores"))
        self.assert_idle()


@functools.cache
def _kit() -> str:
    directory = fixtures.TempDir()
    directory.setUp()
    atexit.register(directory.cleanUp)
    api.write_kit(directory.path)
    return str(directory.path)
