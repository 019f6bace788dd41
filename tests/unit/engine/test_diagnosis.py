"""What doctor finds, good and bad."""

from __future__ import annotations

import importlib.metadata
import unittest.mock

from tests.base import TestCase
from xenimage import api
from xenimage.engine import diagnosis
from xenimage.exceptions import ExtensionError
from xenimage.model.report import Diagnosis


class DiagnosisTest(TestCase):
    def found(self, directory=None) -> dict[str, Diagnosis]:
        return {each.what: each for each in diagnosis.diagnose(str(directory or self.scratch))}

    def test_here_all_is_well_but_perhaps_the_space(self):
        found = self.found()
        self.assertEqual([], [each for name, each in found.items() if not each.good and name != "space"])
        self.assertEqual(importlib.metadata.version("isal"), found["isal"].found)
        self.assertIn("nova-xenapi", found["profiles"].found)

    def test_an_old_python(self):
        with unittest.mock.patch("sys.version_info", (3, 10, 12)):
            found = self.found()["python"]
        self.assertFalse(found.good)
        self.assertIn("3.11", found.act)

    def test_a_missing_library(self):
        error = importlib.metadata.PackageNotFoundError
        with unittest.mock.patch("importlib.metadata.version", side_effect=error):
            found = self.found()
        self.assertEqual((False, "not installed", "pip install xxhash"), self.fields(found["xxhash"]))

    def fields(self, one: Diagnosis) -> tuple[bool, str, str]:
        return one.good, one.found, one.act

    def test_without_isal(self):
        with unittest.mock.patch.object(diagnosis, "has_isal", return_value=False):
            found = self.found()["deflate"]
        self.assertFalse(found.good)
        self.assertEqual("pip install isal", found.act)

    def test_a_profile_that_cannot_be_loaded(self):
        error = ExtensionError("the module is missing", where="extension 'x'", tip="pip install x")
        with unittest.mock.patch("xenimage.profiles.registry.all_profiles", side_effect=error):
            found = self.found()["profiles"]
        self.assertEqual((False, "extension 'x': the module is missing", "pip install x"), self.fields(found))

    def test_space(self):
        usage = unittest.mock.Mock(free=(1 << 30) - 1)
        with unittest.mock.patch("shutil.disk_usage", return_value=usage):
            self.assertFalse(self.found()["space"].good)
            usage.free += 1
            found = self.found()["space"]
        self.assertTrue(found.good)
        self.assertEqual(f"1 GiB free in {self.scratch}", found.found)

    def test_no_right_to_write(self):
        with unittest.mock.patch("os.access", return_value=False):
            found = self.found()["space"]
        self.assertFalse(found.good)
        self.assertIn("no right to write", found.found)

    def test_no_directory(self):
        found = self.found(self.scratch / "missing")["space"]
        self.assertEqual((False, f"{self.scratch}/missing: No such file or directory"), self.fields(found)[:2])

    def test_known_problems_stand_first(self):
        problem = Diagnosis(what="configuration", good=False, found="does not parse")
        self.assertIs(problem, api.doctor(str(self.scratch), [problem])[0])
