"""What doctor says of a Glance service."""

from __future__ import annotations

import sys
import types
from importlib import metadata
from unittest import mock

import ddt

from tests.base import TestCase
from xenimage import api, extensions
from xenimage.conf.host import read_host
from xenimage.engine import hosting
from xenimage.exceptions import ConfigError

POINTS = {
    "xenimage": "xenimage.glance.plugin:get_flow",
    "xenimage_extract": "xenimage.glance.plugin:get_extract_flow",
    "image_conversion": "sound_plugin:get_flow",
    "image_decompression": "sound_plugin:get_flow",
    "no_op": "sound_plugin:get_flow",
    "broken": "broken_plugin:get_flow",
}


@ddt.ddt
class HostTest(TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.staging = self.scratch / "staging"
        self.staging.mkdir()
        sound = types.ModuleType("sound_plugin")
        sound.get_flow = print  # type: ignore[attr-defined]
        self.enterContext(mock.patch.dict(sys.modules, {"sound_plugin": sound, "broken_plugin": None}))
        self.points = dict(POINTS)
        self.enterContext(mock.patch.object(metadata, "entry_points", self.entry_points))
        self.worker = self.scratch / "worker"
        self.program('echo \'{"failed": "no request"}\'')

    def entry_points(self, group: str, name: str | None = None) -> list[metadata.EntryPoint]:
        self.assertEqual("glance.image_import.plugins", group)
        return [
            metadata.EntryPoint(name=key.rstrip("+"), value=value, group=group)
            for key, value in self.points.items()
            if name in (None, key.rstrip("+"))
        ]

    def program(self, text: str) -> None:
        self.worker.write_text(f"#!/bin/sh\n{text}\n")
        self.worker.chmod(0o755)

    def write(self, plugins: str = "[xenimage]", ours: str = "", more: str = "") -> None:
        (self.scratch / "glance-image-import.conf").write_text(
            f"[image_import_opts]\n{f'image_import_plugins = {plugins}' if plugins else ''}\n"
            f"[xenimage]\nworker = {self.worker}\n{ours}\n"
        )
        (self.scratch / "glance-api.conf").write_text(f"[DEFAULT]\nnode_staging_uri = file://{self.staging}\n{more}\n")

    def bad(self) -> dict[str, str]:
        found = api.doctor_glance(read_host(str(self.scratch)))
        return {each.what: each.found for each in found if not each.good}

    @ddt.data(
        "[xenimage]", "['xenimage']", '["image_conversion", "xenimage"]', "[ xenimage , no_op ]", "[xenimage_extract]"
    )
    def test_nothing_is_wrong(self, plugins: str) -> None:
        self.write(plugins)
        self.assertEqual({}, self.bad())

    @ddt.data(
        ("", "image_import_plugins is not set"),
        ("xenimage", "'xenimage' has no brackets around it"),
        ("[no_op]", "neither xenimage nor xenimage_extract stands in it"),
        ("[]", "neither xenimage nor xenimage_extract stands in it"),
        ("[xenimage, no_op, xenimage]", "xenimage stands in it twice"),
    )
    @ddt.unpack
    def test_the_list(self, plugins: str, expected: str) -> None:
        self.write(plugins)
        self.assertEqual({"plugin list": expected}, self.bad())

    def test_a_name_that_nobody_provides(self) -> None:
        self.write("[xenimagee, xenimage]")
        bad = self.bad()
        self.assertEqual(["plugin xenimagee"], list(bad))
        self.assertIn(
            "no installed package provides it, expected one of these: broken, image_conv", bad["plugin xenimagee"]
        )

    def test_a_plugin_that_does_not_load(self) -> None:
        self.write("[broken, xenimage]")
        self.assertIn("broken_plugin:get_flow cannot be loaded: ModuleNotFoundError", self.bad()["plugin broken"])

    def test_a_name_that_two_packages_provide(self) -> None:
        self.points["xenimage+"] = "another:get_flow"
        self.write()
        self.assertIn("two installed packages provide it", self.bad()["plugin xenimage"])

    @ddt.data("[xenimage, image_decompression]", "[xenimage, image_conversion]")
    def test_the_order(self, plugins: str) -> None:
        self.write(plugins)
        self.assertEqual(["plugin order"], list(self.bad()))

    @ddt.data(
        ("concurency = 3", "no option of [xenimage] is called concurency"),
        ("timeout = soon", "glance-image-import.conf:5: timeout in [xenimage]: invalid literal"),
        ("memory = 1M", "memory in [xenimage]: 1048576 bytes, expected at least 512M"),
        ("profile = nobody", "profile in [xenimage]: no profile is called 'nobody'"),
    )
    @ddt.unpack
    def test_the_options(self, line: str, expected: str) -> None:
        self.write(ours=line)
        self.assertIn(expected, self.bad()["options"])

    def test_the_staging_area(self) -> None:
        self.write()
        self.staging.rmdir()
        self.assertEqual({"staging": f"{self.staging}: No such file or directory"}, self.bad())

    def test_the_staging_area_of_several_stores(self) -> None:
        store = f"enabled_backends = a:file\n[os_glance_staging_store]\nfilesystem_store_datadir = {self.staging}\n"
        self.write(more=f"node_staging_uri = file:///nowhere\n{store}")
        self.assertEqual({}, self.bad())

    @ddt.data("exit 0", "echo hello", "echo '[]'", "exit 1")
    def test_a_worker_that_answers_something_else(self, text: str) -> None:
        self.program(text)
        self.write()
        self.assertIn("does not answer as it should", self.bad()["worker"])

    def test_a_worker_that_is_not_there(self) -> None:
        self.write()
        self.worker.unlink()
        self.assertIn("cannot be run", self.bad()["worker"])

    @ddt.data(
        ("", "not set, which means 1 MiB"),
        ("chunked-input-limit = 1048576", "1 MiB"),
        ("chunked-input-limit = x", "not set"),
    )
    @ddt.unpack
    def test_uwsgi(self, line: str, expected: str) -> None:
        self.write()
        (self.scratch / "glance-uwsgi.ini").write_text(f"[uwsgi]\n{line}\n")
        self.assertIn(f"chunked-input-limit {expected}", self.bad()["uwsgi chunks"])

    def test_uwsgi_that_is_right(self) -> None:
        self.write()
        (self.scratch / "glance-uwsgi.ini").write_text("[uwsgi]\nchunked-input-limit = 16777216\n")
        (self.scratch / "glance-api-paste.ini").write_text("[app:x]\nuse = egg\n")
        (self.scratch / "broken.ini").write_text("[uwsgi\n")
        self.assertEqual({}, self.bad())

    def test_no_configuration(self) -> None:
        with self.assertRaisesRegex(ConfigError, "holds neither of Glance's files"):
            read_host(str(self.staging))

    def test_the_default_staging_areas(self) -> None:
        self.write()
        (self.scratch / "glance-api.conf").write_text("")
        self.assertEqual("/tmp/staging/", read_host(str(self.scratch)).staging)
        (self.scratch / "glance-api.conf").write_text("[DEFAULT]\nenabled_backends = a:file\n")
        self.assertEqual("/var/lib/glance/os_glance_staging_store", read_host(str(self.scratch)).staging)

    def test_our_own_names(self) -> None:
        self.assertEqual(hosting.GROUP, "glance.image_import.plugins")
        self.assertEqual("sound_plugin:get_flow", extensions.load_one(hosting.GROUP, "no_op"))
