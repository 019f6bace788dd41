"""Disks written anew: raw with holes, and the VHD that a bundle would hold."""

from __future__ import annotations

import os
import random
import unittest.mock

import ddt

from tests.base import TestCase
from tests.fakes.vhd_util import Vhd, unpack_bundle
from tests.unit.engine.support import BLOCK, MIB, FakeDisk, Watcher
from xenimage import api
from xenimage.engine.converter import convert
from xenimage.exceptions import TransferError, UnsupportedError, UsageError
from xenimage.limits import STRICT
from xenimage.model.plan import BundleOptions, ConvertOptions, SourceOptions

NOISE = random.Random(15).randbytes(3 * MIB)
SIZE = 5 * BLOCK + 1536


@ddt.ddt
class ConvertTest(TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.output = self.scratch / "out"
        self.disk = FakeDisk(SIZE, {0: NOISE, 3 * BLOCK: bytes(BLOCK), 4 * BLOCK + 70_000: b"x", SIZE - 1: b"end"[:1]})
        self.content = bytearray(SIZE)
        self.disk.read_into(0, memoryview(self.content))

    def convert(self, form, disk=None, jobs=3, wished=None, **wishes):
        source = SourceOptions(path="x")
        options = ConvertOptions(source=source, output=str(self.output), format=form, jobs=wished, **wishes)
        return convert(disk or self.disk, options, jobs, STRICT, Watcher())

    @ddt.data(1, 4)
    def test_raw(self, jobs):
        report = self.convert("raw", jobs=jobs)
        self.assert_same_bytes(self.output.read_bytes(), self.content)
        self.assertEqual(("raw", SIZE, SIZE), (report.format, report.virtual_size, report.output_size))
        self.assertEqual(3 * MIB + 65536 + 1536, report.data_size)

    def test_raw_has_holes_where_there_are_zeros(self):
        self.convert("raw")
        self.assertLess(self.output.stat().st_blocks * 512, 3 * MIB + 4 * 65536)

    def test_raw_of_nothing_is_one_hole(self):
        for size in (512, 100 * MIB):
            self.convert("raw", FakeDisk(size), force=True)
            self.assertEqual((size, 0), (self.output.stat().st_size, self.output.stat().st_blocks))

    @ddt.data(1, 4)
    def test_vhd(self, jobs):
        report = self.convert("vhd", jobs=jobs)
        disk = Vhd(self.output.read_bytes())
        disk.check()
        self.assertEqual([0, 1, 4, 5], [number for number, _, _ in disk.stored()])
        self.assert_same_bytes(disk.content(), self.content.ljust(6 * BLOCK, b"\0"))
        self.assertEqual((6 * BLOCK, 4 * BLOCK), (report.virtual_size, report.data_size))
        self.assertEqual(self.output.stat().st_size, report.output_size)

    def test_vhd_of_nothing(self):
        self.convert("vhd", FakeDisk(100 * MIB))
        self.assertEqual(3584, self.output.stat().st_size)
        Vhd(self.output.read_bytes()).check()

    def test_the_vhd_is_that_of_the_bundle(self):
        source, bundle = self.scratch / "disk.raw", self.scratch / "a.tgz"
        source.write_bytes(self.content)
        options = SourceOptions(path=str(source))
        api.create_bundle(BundleOptions(source=options, output=str(bundle), timestamp=1_600_000_000))
        api.convert_disk(ConvertOptions(source=options, output=str(self.output), format="vhd", timestamp=1_600_000_000))
        self.assert_same_bytes(unpack_bundle(bundle)[1], self.output.read_bytes())

    def test_a_random_uuid(self):
        found = set()
        for _ in range(2):
            self.convert("vhd", random_uuid=True, force=True)
            found.add(Vhd(self.output.read_bytes()).footer["uuid"])
        self.assertEqual(2, len(found))

    @ddt.data("qcow2", "", "RAW")
    def test_another_format(self, form):
        with self.assertRaisesRegex(UsageError, f"cannot write '{form}', expected raw or vhd"):
            self.convert(form)

    @ddt.data(0, -1)
    def test_no_thread_at_all(self, jobs):
        with self.assertRaisesRegex(UsageError, f"{jobs} jobs are asked for, expected at least 1"):
            self.convert("raw", wished=jobs)

    def test_too_large_for_a_vhd(self):
        with self.assertRaises(UnsupportedError):
            self.convert("vhd", FakeDisk(2041 << 30))
        self.assertEqual([], os.listdir(self.scratch))

    def test_an_output_that_exists(self):
        self.output.write_bytes(b"old")
        with self.assertRaisesRegex(UsageError, "exists already"):
            self.convert("raw")
        self.assertEqual(b"old", self.output.read_bytes())

    @ddt.data("raw", "vhd")
    def test_a_failing_device_leaves_nothing(self, form):
        self.output.write_bytes(b"old")
        for name in ("os.pwrite", "os.pwritev"):
            if (form, name) == ("raw", "os.pwritev"):
                continue
            with (
                unittest.mock.patch(name, side_effect=OSError(28, "No space left on device")),
                self.assertRaisesRegex(TransferError, "no space left"),
            ):
                self.convert(form, force=True)
            self.assertEqual(["out"], os.listdir(self.scratch))
            self.assertEqual(b"old", self.output.read_bytes())
