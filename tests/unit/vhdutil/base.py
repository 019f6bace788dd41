"""The command in this process, on files in the scratch directory."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import os
import pathlib

from tests.base import TestCase
from tests.builders import vhd as build
from xenimage.vhdutil.app import main

MIB = 1 << 20
SIZE = 100 * MIB
BASE_ID, CHILD_ID = b"\x0b" * 16, b"\x0c" * 16


@functools.cache
def _base() -> build.Image:
    geometry = 1003 << 16 | 12 << 8 | 17
    return build.Vhd(size=SIZE, blocks={0: range(128), 5: range(4096)}, identity=BASE_ID, geometry=geometry).build()


class Output(io.TextIOWrapper):
    """Standard output that keeps bytes and text apart from those of the test."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", errors="surrogateescape", newline="")

    def content(self) -> bytes:
        self.flush()
        return self.buffer.getvalue()  # type: ignore[attr-defined]


class UtilTestCase(TestCase):
    def setUp(self) -> None:
        super().setUp()
        before = pathlib.Path.cwd()
        self.addCleanup(os.chdir, before)
        os.chdir(self.scratch)

    def run_raw(self, *words: str) -> tuple[int, bytes]:
        """Exit status and the bytes of standard output; standard error is in :attr:`said`."""
        out, said = Output(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
            status = main(list(words))
        self.said = said.getvalue()
        return status, out.content()

    def run_util(self, *words: str) -> tuple[int, str]:
        status, out = self.run_raw(*words)
        return status, out.decode()

    def assert_prints(self, expected: str, *words: str, status: int = 0) -> None:
        self.assertEqual((status, expected), self.run_util(*words), self.said)

    def base(self, name: str = "a.vhd", **fields: object) -> build.Image:
        """100 MiB, 128 sectors of block 0, all of block 5."""
        if not fields:
            image = _base()
            return self.write(name, dataclasses.replace(image, data=bytearray(image.data)))
        wanted = {"size": SIZE, "blocks": {0: range(128), 5: range(4096)}, "identity": BASE_ID, **fields}
        return self.write(name, build.Vhd(**wanted).build())  # type: ignore[arg-type]

    def child(self, name: str = "b.vhd", parent: str = "a.vhd", **fields: object) -> build.Image:
        wanted = {
            "size": SIZE,
            "kind": build.DIFFERENCING,
            "blocks": {0: [0, 200]},
            "identity": CHILD_ID,
            "parent": BASE_ID,
            "parent_name": parent,
            "locators": build.blktap_locators(parent),
            "seed": 7,
            **fields,
        }
        return self.write(name, build.Vhd(**wanted).build())  # type: ignore[arg-type]

    def write(self, name: str, image: build.Image) -> build.Image:
        pathlib.Path(name).write_bytes(image.data)
        return image
