"""The base of all test cases: a scratch directory of their own, and the tools that several need."""

from __future__ import annotations

import os
import pathlib
import subprocess
import unittest

import fixtures


class TestCase(unittest.TestCase):
    """A test with a scratch directory, :attr:`scratch`, that is gone afterwards."""

    def setUp(self) -> None:
        super().setUp()
        directory = fixtures.TempDir()
        directory.setUp()
        self.addCleanup(directory.cleanUp)
        self.scratch = pathlib.Path(directory.path)

    def run_tool(self, *command: str | os.PathLike[str]) -> str:
        """Run a real program of the system; its standard output. A failing or missing program fails the test."""
        done = subprocess.run(
            [os.fspath(word) for word in command], capture_output=True, check=False, text=True, cwd=self.scratch
        )
        self.assertEqual(0, done.returncode, f"{command}: {done.stdout}{done.stderr}")
        return done.stdout

    def assert_same_bytes(self, expected: bytes, found: bytes) -> None:
        """Fail, without printing megabytes, where two contents differ."""
        if expected != found:
            first = next(
                (at for at, pair in enumerate(zip(expected, found, strict=False)) if pair[0] != pair[1]),
                min(len(expected), len(found)),
            )
            self.fail(f"{len(expected)} and {len(found)} bytes differ, first at {first:#x}")
