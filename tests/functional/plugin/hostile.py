"""What is refused, and what goes wrong on the way: the owner is told, and nothing is left."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, ClassVar

import ddt

from tests.functional.cloud.process import wait_for
from tests.functional.cloud.rest import HttpError
from tests.functional.plugin.base import MEMORY, MIB, PluginTestCase

if TYPE_CHECKING:
    import pathlib

# The kit's name, and what its owner is told.
REFUSED = {
    "qcow2-backing-file": "wants the parent",
    "qcow2-data-file": "keeps its data in another file",
    "qcow2-cut-short": "refcount table",
    "qcow2-entry-outside": "L2 table of L1 entry 0",
    "qcow2-bomb": "guard against harmful images",
    "qcow2-as-raw": "declared as raw, but its content is qcow2",
    "qcow2-as-vmdk": "declared as vmdk, but its content is qcow2",
    "qcow2-as-bundle": "declared as a bundle for XenServer",
    "vmdk-flat": "names the file",
    "bundle-link": "is a symbolic link",
}


@ddt.ddt
class HostileCases(PluginTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.memory = self.glance.memory
        self.worker = self.glance.worker

    @ddt.data(*REFUSED)
    def test_it_is_refused(self, name: str) -> None:
        image, task = self.run_import(self.kit(name), **self.declared(name))
        self.assert_refused(image, task, REFUSED[name], **self.declared(name))
        self.assertEqual(self.worker, self.glance.worker)
        self.assertLess(self.glance.memory, self.memory + MEMORY)

    def test_no_secret_of_the_host_is_told(self) -> None:
        for name in ("qcow2-backing-file", "qcow2-data-file", "vmdk-flat"):
            image, task = self.run_import(self.kit(name), **self.declared(name))
            self.assert_queued(image)
            self.assertNotIn("root:", task["message"])

    def test_after_a_refusal_the_good_one_is_taken(self) -> None:
        image, task = self.run_import(self.kit("qcow2-cut-short"), disk_format="qcow2")
        self.assert_refused(image, task, REFUSED["qcow2-cut-short"], disk_format="qcow2", container_format="bare")
        self.images.stage(image, self.kit("qcow2"))
        self.images.start(image)
        wait_for("the second import", lambda: self.images.show(image)["status"] == "active")
        wait_for("its end", lambda: not self.images.show(image).get("os_glance_import_task"))
        self.assertEqual("vhd", self.images.show(image)["disk_format"])
        self.assert_idle()

    def test_from_the_web(self) -> None:
        image = self.create(disk_format="qcow2")
        self.images.start(image, uri=self.web.url(self.kit("qcow2-backing-file")))
        self.assert_refused(
            image,
            self.images.finish(image),
            REFUSED["qcow2-backing-file"],
            disk_format="qcow2",
            container_format="bare",
        )

    def test_for_two_stores(self) -> None:
        image = self.create(disk_format="qcow2")
        self.images.stage(image, self.kit("qcow2-backing-file"))
        self.images.start(image, all_stores=True, all_stores_must_succeed=False)
        self.assert_refused(
            image,
            self.images.finish(image),
            REFUSED["qcow2-backing-file"],
            disk_format="qcow2",
            container_format="bare",
        )
        self.assertEqual("one,two", self.images.show(image)["os_glance_failed_import"])


class FullCases(PluginTestCase):
    settings: ClassVar = {"xenimage": {"min_free": "1000T"}}

    def test_there_is_no_room(self) -> None:
        image, task = self.run_import(self.kit("qcow2"), disk_format="qcow2")
        self.assert_refused(
            image, task, "more than this server has room for", disk_format="qcow2", container_format="bare"
        )


class SlowCases(PluginTestCase):
    """What happens during a conversion, which therefore is slow."""

    settings: ClassVar = {"xenimage": {"compression": "best", "jobs": 1}}

    def start(self) -> tuple[str, int, pathlib.Path]:
        """Begin a long import; the image, the pid of the child, and the source."""
        source = self.make_raw(240 * MIB)
        image = self.create(disk_format="raw")
        self.images.stage(image, source)
        self.images.start(image)
        wait_for("a child", lambda: list(self.glance.children()))
        wait_for("a result that grows", lambda: len(self.glance.staged()) > 1)
        return image, next(iter(self.glance.children())), source

    def test_the_child_is_killed(self) -> None:
        image, child, _ = self.start()
        os.kill(child, signal.SIGKILL)
        self.assert_refused(image, self.images.finish(image), "was stopped", disk_format="raw", container_format="bare")

    def test_the_owner_deletes_the_image(self) -> None:
        image, _, _ = self.start()
        self.images.delete(image)
        self.assert_idle()
        with self.assertRaisesRegex(HttpError, "404"):
            self.images.show(image)

    def test_the_owner_changes_the_image(self) -> None:
        image, _, source = self.start()
        self.images.change(
            image,
            {"op": "replace", "path": "/name", "value": "changed"},
            {"op": "add", "path": "/late", "value": "yes"},
        )
        self.assert_bundle(image, self.images.finish(image), source, "raw", name="changed", late="yes")

    def test_glance_is_killed(self) -> None:
        image, child, _ = self.start()
        self.glance.kill()
        wait_for("the end of the child", lambda: not _lives(child), 30)
        self.glance.start(self.plugins, self.settings, self.api)
        # Nobody can tell Glance how far it was: the image keeps its lock until its owner deletes it.
        self.assertEqual("importing", self.images.show(image)["status"])
        self.images.delete(image)
        self.glance.stop()
        self.glance.start(self.plugins, self.settings, self.api)
        self.assert_idle()
        image, task = self.run_import(self.kit("qcow2"), disk_format="qcow2")
        self.assert_bundle(image, task, self.kit("qcow2"), "qcow2")

    def test_glance_is_told_to_stop(self) -> None:
        image, _, source = self.start()
        self.glance.stop()
        self.glance.start(self.plugins, self.settings, self.api)
        self.assert_bundle(image, self.images.finish(image), source, "raw")


class TimeoutCases(PluginTestCase):
    settings: ClassVar = {"xenimage": {"compression": "best", "jobs": 1, "timeout": 1}}

    def test_it_takes_too_long(self) -> None:
        image, task = self.run_import(self.make_raw(240 * MIB), disk_format="raw")
        self.assert_refused(image, task, "took longer than", disk_format="raw", container_format="bare")


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
