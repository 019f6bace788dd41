"""The configuration file."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from unittest import mock

import ddt

from tests.base import TestCase
from xenimage import conf
from xenimage.exceptions import ConfigError
from xenimage.limits import STRICT, Limits
from xenimage.model.plan import Compression, SizePolicy
from xenimage.units import TIB


@ddt.ddt
class LoadTest(TestCase):
    def write(self, text: str, name: str = "xenimage.conf") -> str:
        path = self.scratch / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    def refused(self, text: str) -> str:
        with self.assertRaises(ConfigError) as caught:
            conf.load([self.write(text)])
        self.assertEqual(2, caught.exception.exit_code)
        return str(caught.exception).replace(str(self.scratch), "")

    def test_without_a_file_the_defaults(self) -> None:
        with mock.patch.object(conf, "DEFAULT_FILE", str(self.scratch / "none")):
            self.assertEqual(conf.Settings(), conf.load())
        self.assertIs(STRICT, conf.Settings().limits)

    def test_the_default_file_is_read_if_it_exists(self) -> None:
        path = self.write("[defaults]\nprofile = cinder\n")
        with mock.patch.object(conf, "DEFAULT_FILE", path):
            self.assertEqual(conf.Settings(profile="cinder", files=(path,)), conf.load())

    def test_an_empty_file_changes_nothing(self) -> None:
        path = self.write("")
        self.assertEqual(conf.Settings(files=(path,)), conf.load([path]))

    def test_everything_can_be_set(self) -> None:
        path = self.write(
            "[defaults]\nprofile = rackspace\ncompression = best\njobs = 3\nsize_policy = gib\n"
            "[limits]\nvirtual_size = 2T\nchain_depth = 5\n[other]\nunknown = fine\n"
        )
        self.assertEqual(
            conf.Settings(
                limits=Limits(virtual_size=2 * TIB, chain_depth=5),
                profile="rackspace",
                compression=Compression.BEST,
                size_policy=SizePolicy.GIB,
                jobs=3,
                files=(path,),
            ),
            conf.load([path]),
        )

    def test_later_files_win(self) -> None:
        files = [self.write(f"[defaults]\njobs = {n}\n", f"{n}.conf") for n in (1, 2)]
        self.assertEqual(2, conf.load(files).jobs)

    @ddt.data(
        ("[limits\n", "/xenimage.conf:1: Invalid section (must end with ]): '[limits'"),
        (
            "\n[limits]\nvirtual_size = banana\n",
            "/xenimage.conf:3: virtual_size in [limits]: 'banana' is no size, "
            "expected a number with a unit, such as 20G or 512M",
        ),
        (
            "[limits]\nmembers = many\n",
            "/xenimage.conf:2: members in [limits]: invalid literal for int() with base 10: 'many'",
        ),
        ("[limits]\nmembers = 0\n", "/xenimage.conf:2: members in [limits]: Should be greater than or equal to 1"),
        ("[limits]\nmembers = $members\n", "/xenimage.conf:2: members in [limits]: refers to itself"),
        (
            "[defaults]\nprofile = $none\n",
            "/xenimage.conf:2: profile in [defaults]: no such option none in group [DEFAULT]",
        ),
        ("[defaults]\nprofile = ${a.b}\n", "/xenimage.conf:2: profile in [defaults]: no such group [a]"),
        (
            "[defaults]\n\njob = 1\n",
            "/xenimage.conf:3: no option of [defaults] is called job, "
            "expected one of compression, jobs, profile, size_policy",
        ),
    )
    @ddt.unpack
    def test_a_broken_file_names_its_line(self, text: str, message: str) -> None:
        self.assertEqual(message, self.refused(text))

    def test_a_wrong_choice(self) -> None:
        message = self.refused("[defaults]\ncompression = xz\n")
        self.assertTrue(message.startswith("/xenimage.conf:2: compression in [defaults]: "), message)
        self.assertIn("xz", message)

    def test_a_missing_file(self) -> None:
        with self.assertRaises(ConfigError) as caught:
            conf.load([str(self.scratch / "none")])
        self.assertEqual(f"{self.scratch}/none: cannot be read: No such file or directory", str(caught.exception))

    def test_not_text(self) -> None:
        path = self.scratch / "x"
        path.write_bytes(b"\xff\xfe[")
        with self.assertRaises(ConfigError) as caught:
            conf.load([str(path)])
        self.assertEqual(f"{path}: not text in UTF-8, expected a configuration file", str(caught.exception))


class OptionsTest(TestCase):
    def test_every_limit_has_its_option_and_default(self) -> None:
        options = dict(conf.list_opts())["limits"]
        self.assertEqual([field.name for field in dataclasses.fields(Limits)], [option.name for option in options])
        path = self.scratch / "all.conf"
        path.write_text("[limits]\n" + "".join(f"{o.name} = {o.default}\n" for o in options), encoding="utf-8")
        self.assertEqual(STRICT, conf.load([str(path)]).limits)

    def test_the_import_does_not_pull_in_oslo_config(self) -> None:
        code = "import sys, xenimage.conf; xenimage.conf.load(); print('oslo_config' in sys.modules)"
        self.assertEqual("False\n", subprocess.check_output([sys.executable, "-c", code], text=True))
