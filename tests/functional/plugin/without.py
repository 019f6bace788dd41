"""Glance alone: that the cloud works, and what it does when no plugin is listed."""

from __future__ import annotations

from tests.functional.plugin.base import PluginTestCase


class WithoutPluginCases(PluginTestCase):
    plugins = "[]"

    def test_an_upload_is_stored_as_it_is(self) -> None:
        source = self.make("qcow2")
        image = self.create(disk_format="qcow2")
        self.images.upload(image, source)
        record = self.images.show(image)
        self.assertEqual(
            ("active", "qcow2", "bare"), tuple(map(record.get, ("status", "disk_format", "container_format")))
        )
        stored = self.images.download(image, self.scratch / "stored")
        self.assert_same_bytes(source.read_bytes(), stored.read_bytes())

    def test_an_import_is_stored_as_it_is(self) -> None:
        source = self.make("qcow2")
        image, task = self.run_import(source, disk_format="qcow2")
        stored = self.assert_stored(image, task, disk_format="qcow2", container_format="bare")
        self.assert_same_bytes(source.read_bytes(), stored.read_bytes())


class UploadCases(PluginTestCase):
    """With the plugin: what is uploaded never comes by."""

    def test_an_upload_is_stored_as_it_is(self) -> None:
        source = self.make("qcow2")
        image = self.create(disk_format="qcow2")
        self.images.upload(image, source)
        record = self.images.show(image)
        self.assertEqual(
            ("active", "qcow2", "bare"), tuple(map(record.get, ("status", "disk_format", "container_format")))
        )
        stored = self.images.download(image, self.scratch / "stored")
        self.assert_same_bytes(source.read_bytes(), stored.read_bytes())
