"""The example of the page on the Python API: it runs, and prints what the page says."""

from __future__ import annotations

import contextlib
import io
import os
import pathlib
import re
import textwrap

from tests.base import TestCase
from xenimage.engine.sample import write_sample

PAGE = pathlib.Path(__file__).resolve().parents[2] / "doc" / "source" / "reference" / "api.rst"
_BLOCK = re.compile(r"^\.\. code-block:: (python|text)\n\n((?:   .*\n|\n)+)", re.MULTILINE)


class ExampleTest(TestCase):
    def test_runs_and_prints_what_the_page_says(self) -> None:
        blocks = {kind: textwrap.dedent(text).strip() for kind, text in _BLOCK.findall(PAGE.read_text("utf-8"))}
        write_sample(self.scratch / "sample.qcow2")
        printed = io.StringIO()
        here = pathlib.Path.cwd()
        os.chdir(self.scratch)
        self.addCleanup(os.chdir, here)
        with contextlib.redirect_stdout(printed):
            exec(compile(blocks["python"], str(PAGE), "exec"), {})
        # The digest is the compressor's matter, whose level or library may change.
        self.assertEqual(_without_digests(blocks["text"]), _without_digests(printed.getvalue().strip()))


def _without_digests(text: str) -> str:
    return re.sub(r"\b[0-9a-f]{64}\b", "DIGEST", text)
