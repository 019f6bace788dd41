"""Cinder's own code, from PyPI, given bundles, with xenimage's vhd-util on its PATH.

``tools/consumers.sh`` installs it; without it these tests fail.
"""

from __future__ import annotations

import io
import os
import pathlib
import subprocess
import sys
import tarfile

import ddt

from tests.base import TestCase
from tests.builders import vhd as build
from tests.builders.chain import chain, shown

HERE = pathlib.Path(__file__).resolve().parent
MIB = 1 << 20
PROGRAM = pathlib.Path(sys.executable).with_name("xenimage")
CINDER = pathlib.Path(os.environ.get("XENIMAGE_CONSUMERS") or HERE.parent.parent / ".venv-consumers", "bin", "python")


@ddt.ddt
class CinderTest(TestCase):
    def coalesce(self, members: list[build.Image]) -> subprocess.CompletedProcess[str]:
        """Let Cinder replace a bundle of *members*, ``disk.tgz`` in the scratch directory."""
        self.assertTrue(CINDER.exists(), f"{CINDER} is missing: run tools/consumers.sh")
        self.bundle = self.scratch / "disk.tgz"
        with tarfile.open(self.bundle, "w:gz", compresslevel=1) as archive:
            for index, image in enumerate(members):
                member = tarfile.TarInfo(f"{index}.vhd")
                member.size, member.mtime = len(image.data), 946684800
                archive.addfile(member, io.BytesIO(image.data))
        directory = self.run_tool(PROGRAM, "doctor", "--print-path").strip()
        self.assertTrue(os.access(f"{directory}/vhd-util", os.X_OK))
        path = f"{directory}:{os.environ['PATH']}"
        conversion = self.scratch / "conversion"
        conversion.mkdir()
        return subprocess.run(
            [CINDER, HERE / "coalesce_with_cinder.py", conversion, self.bundle],
            env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False, cwd=self.scratch,
        )  # fmt: skip

    def assert_shows(self, expected: bytes) -> None:
        """What Cinder made, by qemu-img, which Cinder calls next."""
        self.run_tool("qemu-img", "convert", "-f", "vpc", "-O", "raw", self.bundle, "found.raw")
        self.assert_same_bytes(expected, (self.scratch / "found.raw").read_bytes())
        os.rename(self.bundle, self.scratch / "found.vhd")
        self.run_tool(PROGRAM.with_name("xenimage-vhd-util"), "check", "-n", "found.vhd", "-b")

    @ddt.data(1, 2, 3, 4)
    def test_chains(self, length):
        members = chain(length)
        done = self.coalesce(members)
        self.assertEqual(0, done.returncode, done.stderr)
        self.assert_shows(shown(members))

    @ddt.data(10 * MIB, 300 * MIB)
    def test_a_leaf_that_grew(self, size):
        """Within the room that its parents' tables have, and beyond."""
        members = chain(3, leaf_size=size)
        done = self.coalesce(members)
        self.assertEqual(0, done.returncode, done.stderr)
        self.assert_shows(shown(members))

    def test_a_leaf_that_shrank_is_refused(self) -> None:
        leaf, base = chain(2)
        small = build.Vhd(
            size=4 * MIB, kind=build.DIFFERENCING, identity=leaf.data[68:84], locators=build.blktap_locators("base.vhd")
        ).build()
        done = self.coalesce([small, base])
        self.assertIn("dynamic shrink not fully implemented", done.stderr)
        self.assertEqual(1, done.returncode)
