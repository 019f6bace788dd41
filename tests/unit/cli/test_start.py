"""What a start imports: the libraries that are slow to import stay away from the commands that do not need them."""

from __future__ import annotations

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
