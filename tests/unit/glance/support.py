"""What the tests of the plugins share: a Glance, its configuration, and a child of these very sources."""

from __future__ import annotations

import hashlib
import pathlib
import sys
from typing import TYPE_CHECKING, Any
from unittest import mock

import fixtures

from tests.base import TestCase
from tests.fakes import glance as fakes
from xenimage import api
from xenimage.conf.glance import PluginSettings
from xenimage.engine.sample import write_sample
from xenimage.glance import plugin, supervisor
from xenimage.glance.request import Request
from xenimage.model.plan import BundleOptions, ConvertOptions, SourceOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = str(pathlib.Path(__file__).resolve().parents[3])
COMMAND = [
    sys.executable,
    "-c",
    f"import sys; sys.path.insert(0, {ROOT!r}); from xenimage.glance.worker import main; sys.exit(main())",
]
FORWARD = plugin.get_flow
REVERSE = plugin.get_extract_flow


class GlanceTestCase(TestCase):
    """A test with images, :attr:`glance` and an option file."""

    requeues = True

    def setUp(self) -> None:
        super().setUp()
        self.log = fixtures.FakeLogger()
        self.useFixture(self.log)
        self.useFixture(fakes.GlanceModules(requeues=self.requeues))
        self.staging = self.scratch / "staging"
        self.locks = self.scratch / "locks"
        self.images = self.scratch / "images"
        for directory in (self.staging, self.locks, self.images):
            directory.mkdir()
        self.glance = fakes.Glance(self.staging, requeues=self.requeues)
        self.configure()
        self.patch(supervisor, "find_command", lambda configured, host: COMMAND)

    def useFixture(self, fixture: Any) -> None:
        fixture.setUp()
        self.addCleanup(fixture.cleanUp)

    def patch(self, target: object, name: str, value: object) -> None:
        patcher = mock.patch.object(target, name, value)
        patcher.start()
        self.addCleanup(patcher.stop)

    def configure(self, text: str = "", plugins: Sequence[str] = ("xenimage", "xenimage_extract")) -> None:
        path = self.scratch / "glance-image-import.conf"
        path.write_text(f"[oslo_concurrency]\nlock_path = {self.locks}\n[xenimage]\nmin_free = 1M\n{text}\n")
        config = fakes.configuration(path, plugins=plugins)
        self.patch(sys.modules["xenimage.conf.glance"], "glance_configuration", lambda: config)

    def qcow2(self) -> bytes:
        path = self.images / "sample.qcow2"
        if not path.exists():
            write_sample(path)
        return path.read_bytes()

    def bundle(self) -> bytes:
        """What ``bundle create`` makes of the sample."""
        self.qcow2()
        path = self.images / "sample.tgz"
        if not path.exists():
            api.create_bundle(BundleOptions(source=self.source(), output=str(path)))
        return path.read_bytes()

    def written(self, form: str, **options: Any) -> bytes:
        """The sample in another format."""
        self.qcow2()
        path = self.images / f"sample.{form}"
        api.convert_disk(ConvertOptions(source=self.source(), output=str(path), format=form, force=True, **options))
        return path.read_bytes()

    def source(self) -> SourceOptions:
        return SourceOptions(path=str(self.images / "sample.qcow2"))

    def request(self, action: str, data: bytes, **fields: Any) -> Request:
        path = self.staging / "0f0f"
        path.write_bytes(data)
        settings = PluginSettings(**fields.pop("settings", {}))
        base = {
            "source": str(path),
            "output": f"{path}.xenimage",
            "temporary": f"{path}.xenimage-part",
            "disk_format": "qcow2",
            "container_format": "bare",
            "properties": {},
        }
        return Request(action=action, settings=settings, **{**base, **fields})

    def message(self) -> str:
        return self.glance.tasks.task.message

    def assert_clean(self, image: fakes.Image, disk_format: str, container_format: str = "bare") -> None:
        """A failed import leaves the record as declared, no lock, and nothing in staging."""
        self.assertEqual("queued", image.status)
        self.assertEqual((disk_format, container_format), (image.disk_format, image.container_format))
        self.assertEqual([], self.glance.staged())
        left = {name for name in image.extra_properties if name.startswith("xenimage_")}
        self.assertEqual(set(), left)
        self.assertNotIn(fakes.LOCK, image.extra_properties)
        self.assertEqual("", image.extra_properties[fakes.IMPORTING])
        self.assertEqual("one,two", image.extra_properties[fakes.FAILED])
        self.assertEqual("failure", self.glance.tasks.task.status)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
