"""``doctor --print-path``: where a program called vhd-util stands."""

from __future__ import annotations

import contextlib
import io
import os
import pathlib
import subprocess
import sysconfig
import unittest.mock

from tests.base import TestCase
from xenimage.cli import vhdutil
from xenimage.cli.app import main


class PrintPathTest(TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.state = self.scratch / "state with spaces"
        values = {"XDG_STATE_HOME": str(self.state)}
        for patch in (
            unittest.mock.patch.dict(os.environ, values),
            unittest.mock.patch.object(sysconfig, "get_path", lambda _: str(self.scratch / "prefix")),
        ):
            patch.start()
            self.addCleanup(patch.stop)

    def ask(self, *words: str) -> str:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            self.assertEqual(0, main(["doctor", "--print-path", *words]))
        return out.getvalue()

    def test_from_a_checkout_one_is_made_and_runs(self) -> None:
        path = self.ask().rstrip("\n")
        self.assertTrue(path.startswith(f"{self.state}/xenimage/"))
        self.assertEqual(["vhd-util"], os.listdir(path))
        before = os.stat(f"{path}/vhd-util")
        self.assertEqual(path, self.ask().rstrip("\n"))
        self.assertEqual(before.st_ino, os.stat(f"{path}/vhd-util").st_ino)
        command = ["sh", "-c", 'PATH="$1:$PATH"; vhd-util create -n a.vhd -s 2 && vhd-util check -n a.vhd', "sh", path]
        self.assertEqual("a.vhd is valid\n", self.run_tool(*command))

    def test_a_damaged_one_is_mended(self) -> None:
        program = pathlib.Path(self.ask().rstrip("\n"), "vhd-util")
        for text, mode in (("something else", 0o755), (program.read_text(), 0o644)):
            program.write_text(text)
            program.chmod(mode)
            self.ask()
            self.assertIn("xenimage.vhdutil", program.read_text())
            self.assertTrue(os.access(program, os.X_OK))

    def test_of_an_installation_it_is_its_own(self) -> None:
        prefix = self.scratch / "prefix"
        for name in ("bin/xenimage-vhd-util", "share/xenimage/bin/vhd-util"):
            path = prefix / name
            path.parent.mkdir(parents=True)
            path.write_text("#!/bin/sh\n")
            path.chmod(0o755)
        with unittest.mock.patch.object(vhdutil, "_ROOT", prefix / "lib" / "python3" / "site-packages"):
            self.assertEqual(f"{prefix}/share/xenimage/bin\n", self.ask())
        self.assertFalse(self.state.exists())
        # Another installation's is not ours.
        self.assertTrue(self.ask().startswith(str(self.state)))

    def test_as_json(self) -> None:
        self.assertIn('"what": "vhd-util"', self.ask("-f", "json"))

    def test_where_nothing_can_be_made(self) -> None:
        self.state.write_text("in the way")
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            self.assertEqual(2, main(["doctor", "--print-path"]))
        self.assertIn("TIP: Set XDG_STATE_HOME", said.getvalue())


class ShippedScriptTest(TestCase):
    """share/bin/vhd-util, installed below a prefix."""

    def test_finds_its_installation_also_through_links(self) -> None:
        shipped = pathlib.Path(__file__).parents[3] / "share" / "bin" / "vhd-util"
        target = self.scratch / "my prefix" / "share" / "xenimage" / "bin" / "vhd-util"
        target.parent.mkdir(parents=True)
        target.write_bytes(shipped.read_bytes())
        target.chmod(0o755)
        program = self.scratch / "my prefix" / "bin" / "xenimage-vhd-util"
        program.parent.mkdir()
        program.write_text('#!/bin/sh\nprintf "<%s>" "$@"\n')
        program.chmod(0o755)
        link = self.scratch / "vhd-util"
        link.symlink_to(target)
        for path in (target, link):
            done = subprocess.run([path, "query", "-n", "a b"], capture_output=True, text=True, check=True)
            self.assertEqual("<query><-n><a b>", done.stdout)
        self.assertTrue(os.access(shipped, os.X_OK))
