"""The package as others get it: built from git and from an unpacked archive, and what it declares."""

from __future__ import annotations

import configparser
import email
import os
import pathlib
import pkgutil
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile

from tests.base import TestCase

ROOT = pathlib.Path(__file__).resolve().parent.parent
UNRELEASED = "0.1.0.dev0"


class DeclarationTestCase(TestCase):
    """What pyproject.toml and the requirements promise."""

    def setUp(self) -> None:
        super().setUp()
        self.project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

    def test_every_entry_point_leads_somewhere(self) -> None:
        groups = {"console_scripts": self.project["scripts"], **self.project["entry-points"]}
        # Its host is not here: the functional tests run it there.
        del groups["tempest.test_plugins"]
        for group, points in groups.items():
            for name, target in points.items():
                with self.subTest(group=group, name=name):
                    self.assertIsNotNone(pkgutil.resolve_name(target))

    def test_every_requirement_has_a_lower_bound_and_a_licence(self) -> None:
        requirement = re.compile(
            r"[\w.-]+>=[\w.]+(,<[\w.]+)? # (Apache-2.0|LGPL-3.0-or-later|PSF-2.0|BSD-[23]-Clause|MIT)"
        )
        for line in (ROOT / "requirements.txt").read_text("utf-8").splitlines():
            with self.subTest(line=line):
                self.assertTrue(line.startswith("#") or requirement.fullmatch(line), line)

    def test_the_extras_are_what_the_tests_run_with(self) -> None:
        extras = {name: set(wanted) for name, wanted in self.project["optional-dependencies"].items()}
        self.assertLess(extras["client"], extras["openstack"])
        lines = (ROOT / "test-requirements.txt").read_text("utf-8").splitlines()
        self.assertLessEqual(extras["openstack"], {line.partition(" #")[0] for line in lines})

    def test_a_typed_package_says_so(self) -> None:
        self.assertTrue((ROOT / "xenimage" / "py.typed").exists())


class BuildTestCase(TestCase):
    """The sources as they are, committed or not, built in several surroundings."""

    def setUp(self) -> None:
        super().setUp()
        self.tree = self.scratch / "tree"
        for name in self._sources():
            target = self.tree / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target)

    def _sources(self) -> list[str]:
        """Names of the files that a build reads."""
        names = ["README.rst", "LICENSE", "MANIFEST.in", "pyproject.toml", "requirements.txt", "setup.cfg", "setup.py"]
        names += [".git_archival.txt", ".gitattributes", "share/bin/vhd-util"]
        names += [path.relative_to(ROOT).as_posix() for path in (ROOT / "xenimage").rglob("*.py")]
        return [name for name in names if (ROOT / name).exists()]

    def _git(self, *words: str) -> str:
        who = ("-c", "user.name=Tester", "-c", "user.email=tester@example.org")
        return self.run_tool("git", "-C", self.tree, *who, *words)

    def _commit(self, message: str) -> None:
        self._git("add", "--all")
        self._git("commit", "--quiet", "--allow-empty", "--message", message)

    def _build(self, source: pathlib.Path, kind: str = "wheel") -> pathlib.Path:
        """Build *source* by its own build backend, as pip does; the one file that came out."""
        output = self.scratch / f"{source.name}-{kind}"
        output.mkdir()
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PBR_", "GIT_"))}
        code = f"import pbr.build as b; b.build_{kind}({os.fspath(output)!r})"
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=source, env=environment, capture_output=True, check=False, text=True
        )
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        (built,) = output.iterdir()
        return built

    def _assert_whole(self, wheel: pathlib.Path, version: str) -> None:
        """All modules, the licence, the requirements and the entry points are in it, and nothing of the tests."""
        modules = {path.relative_to(self.tree).as_posix() for path in (self.tree / "xenimage").rglob("*.py")}
        with zipfile.ZipFile(wheel) as archive:
            information = f"xenimage-{version}.dist-info"
            names = set(archive.namelist())
            modes = {each.filename.partition(".data/")[2]: each.external_attr >> 16 for each in archive.infolist()}
            metadata = email.message_from_bytes(archive.read(f"{information}/METADATA"))
            points = configparser.ConfigParser()
            points.read_string(archive.read(f"{information}/entry_points.txt").decode())
        self.assertEqual(modules, {name for name in names if name.endswith(".py")})
        self.assertIn(f"{information}/licenses/LICENSE", names)
        self.assertEqual(version, metadata["Version"])
        self.assertEqual("Apache-2.0", metadata["License-Expression"])
        self.assertIn("cliff", " ".join(metadata.get_all("Requires-Dist", [])))
        self.assertEqual("xenimage.cli.app:main", points["console_scripts"]["xenimage"])
        self.assertEqual("xenimage.vhdutil.app:main", points["console_scripts"]["xenimage-vhd-util"])
        self.assertTrue(modes["data/share/xenimage/bin/vhd-util"] & 0o111, "pip keeps the mode that it has here")

    def test_from_git_before_the_first_tag(self) -> None:
        self._git("init", "--quiet")
        self._commit("All of it")
        self._commit("More")
        self._assert_whole(self._build(self.tree), "0.1.0.dev2")

    def test_from_a_shallow_clone(self) -> None:
        self._git("init", "--quiet")
        self._commit("All of it")
        self._git("tag", "1.2.3")
        self._commit("More")
        clone = self.scratch / "clone"
        self.run_tool("git", "clone", "--quiet", "--depth=1", self.tree.as_uri(), clone)
        self._assert_whole(self._build(clone), "0.1.0.dev1")

    def test_from_git_at_a_tag(self) -> None:
        self._git("init", "--quiet")
        self._commit("All of it")
        self._git("tag", "1.2.3")
        self._assert_whole(self._build(self.tree), "1.2.3")

    def test_from_a_directory_without_git(self) -> None:
        self._assert_whole(self._build(self.tree), UNRELEASED)

    def test_from_a_directory_within_another_checkout(self) -> None:
        self.run_tool("git", "init", "--quiet", self.scratch)
        self._assert_whole(self._build(self.tree), UNRELEASED)

    def test_from_an_archive_made_at_and_behind_a_tag(self) -> None:
        self._git("init", "--quiet")
        self._commit("All of it")
        self._git("tag", "1.2.3")
        self._assert_whole(self._build(self._archive("at")), "1.2.3")
        self._commit("More")
        self._commit("And more")
        self._assert_whole(self._build(self._archive("behind")), "1.2.4.dev2")

    def _archive(self, name: str) -> pathlib.Path:
        packed = self.scratch / f"{name}.tar"
        self._git("archive", f"--output={packed}", "HEAD")
        unpacked = self.scratch / name
        unpacked.mkdir()
        self.run_tool("tar", "-xf", packed, "-C", unpacked)
        return unpacked

    def test_from_a_source_distribution_made_without_git(self) -> None:
        packed = self._build(self.tree, "sdist")
        self.run_tool("tar", "-xzf", packed, "-C", self.scratch)
        self._assert_whole(self._build(self.scratch / f"xenimage-{UNRELEASED}"), UNRELEASED)
