"""What a start imports: the libraries that are slow to import stay away from the commands that do not need them."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import ddt

from tests.base import TestCase

SLOW = ("cliff", "cmd2", "oslo_config", "stevedore")


@ddt.ddt
class StartTest(TestCase):
    def imported(self, *words: str) -> set[str]:
        """Run the command line in a process of its own; the top packages that it imported."""
        code = (
            "import sys\n"
            "from xenimage.cli.app import main\n"
            f"main({list(words)!r})\n"
            "print('\\n' + ' '.join({name.partition('.')[0] for name in sys.modules}))\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        self.assertTrue(done.stdout, done.stderr)
        return set(done.stdout.splitlines()[-1].split())

    @ddt.data(
        ("--version",),
        ("--help",),
        ("bundle", "create", "--help"),
        ("disk", "show", "/nonexistent"),
        ("bundle", "check", "/nonexistent"),
    )
    def test_no_slow_library(self, words: tuple[str, ...]) -> None:
        # argparse ends --help by SystemExit, which main turns into a code.
        self.assertEqual(set(), self.imported(*words) & set(SLOW))

    def test_the_version_needs_no_argument_parser(self) -> None:
        self.assertEqual(set(), self.imported("--version") & {"argparse", "dataclasses", *SLOW})

    def test_the_overview_imports_no_command(self) -> None:
        code = (
            "import sys\nfrom xenimage.cli.app import main\nmain(['--help'])\n"
            "print([name for name in sys.modules if '.commands' in name or name == 'xenimage.api'])"
        )
        out = subprocess.check_output([sys.executable, "-c", code], text=True)
        self.assertEqual("[]", out.splitlines()[-1])

    def test_interrupted_while_it_starts(self) -> None:
        code = (
            "import os, signal, sys\n"
            # A shell's background job, which the tests may be, ignores it and hands that down.
            "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
            "from xenimage.cli.app import main\n"
            "class Finder:\n"
            "    def find_spec(self, name, path=None, target=None):\n"
            "        if name == 'xenimage.cli.shell':\n"
            "            os.kill(os.getpid(), signal.SIGINT)\n"
            "sys.meta_path.insert(0, Finder())\n"
            "sys.exit(main(['disk', 'show', 'x']))\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        self.assertEqual((130, "", ""), (done.returncode, done.stdout, done.stderr))


@ddt.ddt
class StreamTest(TestCase):
    """Standard streams that are closed, or take nothing."""

    def run_in_shell(self, redirections: str, *words: str) -> tuple[int, str]:
        """Exit code and standard error of the command line behind *redirections*."""
        command = ["sh", "-c", f'exec "$@" {redirections}', "sh", sys.executable, "-m", "xenimage", *words]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=pathlib.Path(__file__).parents[3]
        )
        return done.returncode, done.stderr

    @ddt.data(
        (">/dev/full", "no space left on device", "--version"),
        (">&-", "bad file descriptor", "--version"),
        (">/dev/full", "no space left on device", "--help"),
        (">&-", "bad file descriptor", "profile", "list"),
        (">/dev/full", "no space left on device", "profile", "list", "-f", "json"),
    )
    @ddt.unpack
    def test_what_takes_nothing(self, redirections: str, reason: str, *words: str) -> None:
        code, told = self.run_in_shell(redirections, *words)
        self.assertEqual(7, code, told)
        self.assertEqual(f"xenimage: {reason}", told.splitlines()[0])
        self.assertEqual(2, len(told.splitlines()))

    @ddt.data("2>/dev/full", "2>&-", "<&- >&- 2>&-")
    def test_nobody_to_tell(self, redirections: str) -> None:
        self.assertEqual((2, ""), self.run_in_shell(redirections, "disk", "show", "/nonexistent"))
        self.assertEqual((2, ""), self.run_in_shell(redirections, "disk"))

    def test_a_closed_output_is_none_for_a_bundle(self) -> None:
        source = self.scratch / "disk.raw"
        source.write_bytes(b"content".ljust(512))
        code, told = self.run_in_shell("<&- >&-", "bundle", "create", str(source), "--output", "-")
        self.assertEqual(7, code)
        self.assertIn("standard output: cannot be written: bad file descriptor", told)
        self.assertEqual(b"content".ljust(512), source.read_bytes())

    def test_progress_to_what_is_only_read(self) -> None:
        source, output = self.scratch / "disk.raw", self.scratch / "out.tgz"
        source.write_bytes(b"content".ljust(512))
        words = ("bundle", "create", str(source), "--output", str(output), "--progress-fd", "9")
        code, told = self.run_in_shell("9</dev/null", *words)
        self.assertEqual((7, "xenimage: bad file descriptor"), (code, told.splitlines()[0]))
        self.assertEqual(["disk.raw"], [path.name for path in self.scratch.iterdir()])
