"""The group [xenimage] in Glance's configuration."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import ddt

from tests.base import TestCase
from tests.fakes import glance as fakes
from xenimage.conf.glance import PluginSettings, host_settings, list_opts, plugin_settings, settings_from
from xenimage.exceptions import ConfigError


@ddt.ddt
class PluginSettingsTest(TestCase):
    def read(self, *texts: str) -> PluginSettings:
        paths = []
        for number, text in enumerate(texts):
            paths.append(self.scratch / f"{number}.conf")
            paths[-1].write_text(text)
        return plugin_settings(fakes.configuration(*paths))

    def test_without_a_word_the_defaults(self) -> None:
        self.assertEqual(PluginSettings(), self.read("[xenimage]\n"))
        self.assertEqual(PluginSettings(), self.read("[DEFAULT]\ndebug = true\n"))

    def test_every_setting_has_its_option(self) -> None:
        options = [option.dest for option in dict(list_opts())["xenimage"]]
        self.assertEqual(sorted(field.name for field in dataclasses.fields(PluginSettings)), sorted(options))

    def test_what_can_be_said(self) -> None:
        found = self.read(
            "[xenimage]\nformats = raw,vhd\nproperties = os_type:linux,a:b\nmax_output_size = 3G\ncheck_bundles = no\n"
            "extract_remove_properties =\n",
            "[xenimage]\nmemory = 1G\nformats = raw\n",
        )
        expected = PluginSettings(
            formats=("raw",),
            properties={"os_type": "linux", "a": "b"},
            max_output_size=3 << 30,
            check_bundles=False,
            extract_remove_properties=(),
            memory=1 << 30,
        )
        self.assertEqual(expected, found)

    @ddt.data(
        ("formats = vdi", "0.conf:2: formats in [xenimage]: "),
        ("convert = sometimes", "0.conf:2: convert in [xenimage]: "),
        ("concurrency = 0", "0.conf:2: concurrency in [xenimage]: Should be greater than or equal to 1"),
        ("max_virtual_size = big", "0.conf:2: max_virtual_size in [xenimage]: 'big' is no size"),
        ("memory = 100M", "0.conf:2: memory in [xenimage]: 104857600 bytes, expected at least 512M"),
        ("profil = x", "0.conf:2: no option of [xenimage] is called profil, expected one of check_bundles"),
        ("properties = a", "0.conf:2: properties in [xenimage]: "),
    )
    @ddt.unpack
    def test_what_makes_no_sense(self, line: str, expected: str) -> None:
        with self.assertRaises(ConfigError) as caught:
            self.read(f"[xenimage]\n{line}\n")
        self.assertIn(expected, str(caught.exception))

    def test_a_setting_of_another_version(self) -> None:
        with self.assertRaises(TypeError):
            settings_from({"colour": "red"})

    def test_what_glance_says_itself(self) -> None:
        path = self.scratch / "glance-api.conf"
        path.write_text("[wsgi]\npython_interpreter = /opt/python\n[oslo_concurrency]\nlock_path = /locks\n")
        expected = {
            "lock_path": "/locks",
            "python_interpreter": "/opt/python",
            "plugins": ["xenimage"],
            "nonfatal": [],
            "match": True,
        }
        self.assertEqual(expected, host_settings(fakes.configuration(path, plugins=["xenimage"])))

    def test_a_release_without_those_options(self) -> None:
        from oslo_config import cfg

        config = cfg.ConfigOpts()
        config([], default_config_files=[], default_config_dirs=[])
        self.assertEqual({}, host_settings(config))

    def test_the_import_does_not_pull_in_oslo_config(self) -> None:
        code = "import sys, xenimage.conf.glance, xenimage.conf.host; print('oslo_config' in sys.modules)"
        self.assertEqual("False\n", subprocess.check_output([sys.executable, "-c", code], text=True))
