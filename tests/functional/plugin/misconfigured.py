"""A set-up that is wrong, each in another way: no image gets through unconverted where we can help it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import ddt

from tests.functional.cloud.process import wait_for
from tests.functional.plugin.base import UNUSABLE, PluginTestCase

if TYPE_CHECKING:
    from tests.functional.cloud.settings import Sections

OPTIONS: dict[str, dict[str, object]] = {
    "an unknown profile": {"profile": "hyper-v"},
    "an unknown option": {"profle": "nova-xenapi"},
    "an unknown choice": {"compression": "hardest"},
    "no size": {"max_virtual_size": "large"},
    "too little memory": {"memory": "1M"},
    "no directory for locks": {"lock_path": "/nonexistent/locks"},
    "no worker": {"worker": "/nonexistent/worker"},
    "a worker that fails": {"worker": "/bin/false"},
}


class UnusableCases(PluginTestCase):
    settings: ClassVar[Sections] = {"xenimage": OPTIONS["an unknown profile"]}

    def test_no_disk_gets_through(self) -> None:
        image, task = self.run_import(self.kit("qcow2"), disk_format="qcow2")
        self.assert_refused(image, task, UNUSABLE, disk_format="qcow2", container_format="bare")

    def test_no_bundle_gets_through(self) -> None:
        image, task = self.run_import(self.kit("bundle"), disk_format="vhd", container_format="ovf")
        self.assert_refused(image, task, UNUSABLE, disk_format="vhd", container_format="ovf")


@ddt.ddt
class OptionCases(PluginTestCase):
    """Each option: for one release, since it is our own code that reads them, and each takes another start."""

    plugins = "[]"

    @ddt.data(*OPTIONS)
    def test_nothing_gets_through(self, name: str) -> None:
        self.glance.start("[xenimage]", {"xenimage": OPTIONS[name]})
        image, task = self.run_import(self.kit("qcow2"), disk_format="qcow2")
        self.assert_refused(image, task, UNUSABLE, disk_format="qcow2", container_format="bare")


class ListCases(PluginTestCase):
    """The list of plugins, which is Glance's own matter."""

    plugins: ClassVar[str] = "[]"
    settings: ClassVar[Sections] = {}

    def test_without_brackets_nothing_gets_through(self) -> None:
        self.glance.start("xenimage")
        image = self.create(disk_format="qcow2")
        self.images.stage(image, self.kit("qcow2"))
        self.images.start(image)
        # Before the first of our code runs: Glance itself leaves image and file as they are, 26 the task, too.
        wait_for("what Glance says of it", lambda: 'Value should start with "["' in self.glance.log.read_text())
        self.assertEqual("uploading", self.images.show(image)["status"])
        self.images.delete(image)
        self.assert_idle()

    def test_glance_ignores_a_name_that_it_does_not_know(self) -> None:
        # What we cannot help, and what "xenimage doctor" and the tempest plugin are there for.
        self.glance.start("[xenimag]")
        image, task = self.run_import(self.kit("qcow2"), disk_format="qcow2")
        self.assert_stored(image, task, disk_format="qcow2", container_format="bare")
