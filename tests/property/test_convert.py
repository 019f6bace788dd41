"""Any disk is written anew in any format, and read back the same: by QEMU, and by our own readers."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import random
import subprocess
import tempfile
from typing import TYPE_CHECKING, Literal

import ddt
import hypothesis
import hypothesis.strategies as st

from tests.base import TestCase
from xenimage import api
from xenimage.model.plan import BundleOptions, ConvertOptions, ConvertPlan, SourceOptions

if TYPE_CHECKING:
    from xenimage.model.report import ConvertReport

KIB = 1024
MIB = 1024 * KIB
STEP = 32 * KIB
NOISE = random.Random(5).randbytes(2 * MIB)
FEW = hypothesis.settings(max_examples=12, deadline=None, database=None, derandomize=True)

Form = Literal["zeros", "noise", "text", "first", "last"]
FORMS: tuple[Form, ...] = ("zeros", "noise", "text", "first", "last")
TARGETS = (
    ("raw", {}),
    ("vhd", {}),
    ("vhd", {"subformat": "fixed"}),
    ("qcow2", {}),
    ("qcow2", {"cluster_size": 4 * KIB}),
    ("qcow2", {"cluster_size": 2 * MIB}),
    ("qcow2", {"compression": "zlib"}),
    ("qcow2", {"compression": "zlib", "cluster_size": 4 * KIB}),
    ("qcow2", {"compression": "zstd"}),
    ("qcow2", {"compression": "zstd", "cluster_size": 2 * MIB}),
    ("vmdk", {}),
    ("vmdk", {"adapter": "ide"}),
)


def piece(form: Form, length: int) -> bytes:
    return {
        "zeros": bytes(length),
        "noise": NOISE[:length],
        "text": b"the same again and again \n".ljust(32) * (length // 32),
        "first": b"x".ljust(length, b"\0"),
        "last": b"x".rjust(length, b"\0"),
    }[form]


@dataclasses.dataclass(frozen=True)
class Disk:
    """Pieces of 32 KiB, one form after the other; the last sectors are cut off."""

    pieces: tuple[tuple[Form, int], ...]
    cut: int
    """sectors"""

    def content(self) -> bytes:
        content = b"".join(piece(form, count * STEP) for form, count in self.pieces)
        return content[: len(content) - self.cut * 512]


disks = st.builds(
    Disk,
    st.lists(st.tuples(st.sampled_from(FORMS), st.integers(1, 40)), min_size=1, max_size=8).map(tuple),
    st.integers(0, 63),
)


@ddt.ddt
class ConvertTest(TestCase):
    @ddt.data(*TARGETS)
    @ddt.unpack
    def test_is_read_back_the_same(self, form, wishes):
        @FEW
        @hypothesis.given(disks, st.integers(1, 3))
        @hypothesis.example(Disk((("zeros", 1),), 0), 1)
        @hypothesis.example(
            Disk((("noise", 1), ("text", 30), ("noise", 2), ("text", 3), ("zeros", 80), ("text", 9)), 5), 2
        )
        def check(disk: Disk, jobs: int) -> None:
            with tempfile.TemporaryDirectory(dir=self.scratch) as place:
                self.check(pathlib.Path(place), disk.content(), form, wishes, jobs)

        check()

    def check(self, place: pathlib.Path, content: bytes, form: str, wishes: dict[str, object], jobs: int) -> None:
        source, output = place / "in.raw", place / "out"
        source.write_bytes(content)
        options = ConvertOptions(
            source=SourceOptions(path=str(source), format="raw"), output=str(output), format=form, jobs=jobs, **wishes
        )
        plan = api.plan_conversion(options)
        report = api.convert_disk(options)
        self.check_report(plan, report, output, len(content))
        self.assertTrue(
            api.compare_disks(
                SourceOptions(path=str(source), format="raw"), SourceOptions(path=str(output), format=form)
            ).equal
        )
        qemu = "vpc" if form == "vhd" else form
        if form in ("qcow2", "vmdk"):
            self.assertIn("No errors were found", self.run_tool("qemu-img", "check", "-f", qemu, output))
        self.run_tool("qemu-img", "convert", "-f", qemu, "-O", "raw", output, place / "back.raw")
        self.assert_same_bytes(content.ljust(report.virtual_size, b"\0"), (place / "back.raw").read_bytes())

    def check_report(self, plan: ConvertPlan, report: ConvertReport, output: pathlib.Path, size: int) -> None:
        self.assertEqual(os.path.getsize(output), report.output_size)
        self.assertLessEqual(report.output_size, plan.output_size_max)
        self.assertLessEqual(report.data_size, plan.data_size)
        self.assertEqual(plan.virtual_size, report.virtual_size)
        if report.format != "vhd":
            self.assertEqual(size, report.virtual_size)
        shown = api.show_disk(SourceOptions(path=str(output), format=report.format))
        self.assertEqual(report.virtual_size, shown.virtual_size)
        self.assertEqual(report.chs_size, shown.chs_size)


class CompareTest(TestCase):
    def test_qemu_compares_it(self):
        """The same disk by QEMU's own conversion and by ours, over several L2 tables and blocks of counts."""
        source = self.scratch / "in.raw"
        with source.open("wb") as stream:
            for number in range(40):
                stream.seek(number * 3 * MIB + number * 512)
                stream.write(NOISE[: MIB // 2] + b"text" * 40000)
            stream.truncate(700 * MIB)
        self.run_tool("qemu-img", "convert", "-O", "qcow2", source, "theirs.qcow2")
        for compression in ("none", "zlib", "zstd"):
            output = str(self.scratch / f"{compression}.qcow2")
            options = ConvertOptions(
                source=SourceOptions(path=str(source)),
                output=output,
                format="qcow2",
                compression=compression,
                cluster_size=4 * KIB,
            )
            api.convert_disk(options)
            self.assertIn("Images are identical", self.run_tool("qemu-img", "compare", "theirs.qcow2", output))
            self.assertIn("No errors were found", self.run_tool("qemu-img", "check", output))
        done = subprocess.run(["qemu-img", "info", output], capture_output=True, text=True, check=True).stdout
        self.assertIn("compression type: zstd", done)
        self.assertIn("compat: 1.1", done)
        self.assertIn("corrupt: false", done)


@ddt.ddt
class BundleTest(TestCase):
    """From a bundle, which passes by in one stream, come the same bytes as from the disk that it was made of."""

    @ddt.data(*TARGETS)
    @ddt.unpack
    def test_gives_what_its_disk_gives(self, form, wishes):
        source, bundle = self.scratch / "in.raw", self.scratch / "a.tgz"
        with source.open("wb") as stream:
            stream.write(NOISE[:MIB] + b"text" * MIB + bytes(3 * MIB) + NOISE)
            stream.seek(30 * MIB + 4096)
            stream.write(b"the end")
            stream.truncate(32 * MIB)
        api.create_bundle(BundleOptions(source=SourceOptions(path=str(source)), output=str(bundle)))
        found = []
        for number, path in enumerate((source, bundle)):
            place = self.scratch / str(number)
            place.mkdir()
            output = place / "out"
            options = ConvertOptions(
                source=SourceOptions(path=str(path)), output=str(output), format=form, jobs=3, **wishes
            )
            found.append((api.convert_disk(options).virtual_size, output.read_bytes()))
        self.assertEqual(found[0][0], found[1][0])
        self.assert_same_bytes(found[0][1], found[1][1])
