"""Imports on a running Glance, and what has to be true behind each: the record, the task, staging, the bytes."""

from __future__ import annotations

import hashlib
import pathlib
from typing import TYPE_CHECKING, Any, ClassVar

from tests.base import TestCase
from tests.functional.cloud.cloud import shared
from tests.functional.cloud.process import wait_for
from tests.functional.cloud.rest import HttpError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.functional.cloud.glance import Glance
    from tests.functional.cloud.settings import Sections

MIB = 1 << 20
MEMORY = 48 * MIB
"""bytes that Glance may grow by in a few imports; an image read into it would be more"""
INTERNAL = "Task failed due to Internal Error"
"""what Glance says of an error that is not for users"""


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
        cloud = shared()
        self.glance = cloud.glance(self.release)
        self.glance.start(self.plugins, self.settings, self.api)
        self.web = cloud.web
        self.images = cloud.images(self.glance, self.user)

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
        path = self.scratch / f"disk.{form}"
        self.run_tool("qemu-img", "convert", "-f", "raw", "-O", form, *options, raw, path)
        return path

    def assert_idle(self) -> None:
        """Staging is empty, Glance runs, and no child of it."""
        self.assertTrue(self.glance.server.alive())
        wait_for("an end of the children", lambda: not list(self.glance.children()))
        wait_for(f"an empty staging area, not {self.glance.staged()}", lambda: not self.glance.staged(), 20)

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
    ) -> None:
        """A bundle of one disk is stored, which shows a guest what *source* does."""
        size = max(pathlib.Path(self.scratch / "disk.raw").stat().st_size, 0)
        path = self.assert_stored(
            image, task, disk_format="vhd", container_format="ovf", virtual_size=-(-size // (2 * MIB)) * 2 * MIB, **more
        )
        self.assertEqual("0.vhd\n", self.run_tool("tar", "-tzf", path))
        self.run_tool("tar", "-xzf", path)
        self.run_tool("qemu-img", "compare", "-f", "vpc", "-F", form, "0.vhd", source)

    def assert_refused(self, image: str, task: Mapping[str, Any], message: str, **declared: object) -> None:
        """The import failed, for a reason that its user can read, and all is as it was."""
        self.assertEqual("failure", task["status"])
        self.assertIn(message, task["message"])
        self.assert_queued(image, **declared)

    def assert_queued(self, image: str, **declared: object) -> None:
        """The image can be staged again, its record is as declared, and nothing is left over."""
        record = self.images.show(image)
        self.assertEqual("queued", record["status"])
        self.assertEqual(declared, {name: record.get(name) for name in declared})
        left = {name: value for name, value in record.items() if name.startswith(("os_glance", "xenimage")) and value}
        left.pop("os_glance_failed_import", None)
        left.pop("os_glance_stage_host", None)
        self.assertEqual({}, left)
        for name in ("vm_mode", "hypervisor_type"):
            self.assertEqual(declared.get(name), record.get(name))
        self.assert_idle()
