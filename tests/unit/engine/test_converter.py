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
from xenimage.engine.conversion import plan_conversion
from xenimage.engine.converter import convert
from xenimage.engine.mapper import map_blocks
from xenimage.exceptions import TransferError, UnsupportedError, UsageError
from xenimage.limits import STRICT
from xenimage.model.plan import BundleOptions, ConvertOptions, SourceOptions
from xenimage.streams.digest import fingerprint

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
        disk = disk or self.disk
        plan = plan_conversion(options, disk.facts, map_blocks(disk, STRICT), jobs=jobs, now=1_700_000_000)
        report = convert(disk, plan, Watcher())
        self.assertLessEqual(self.output.stat().st_size, plan.output_size_max)
        return report

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

    @ddt.data(("raw", {}, 0), ("qcow2", {}, 0), ("vhd", {}, 4), ("vhd", {"subformat": "fixed"}, 4), ("vmdk", {}, 4))
    @ddt.unpack
    def test_blocks_are_marked_where_an_identity_is_made_of_them(self, form, wishes, count):
        with unittest.mock.patch("xenimage.engine.passes.fingerprint", wraps=fingerprint) as taken:
            self.convert(form, **wishes)
        self.assertEqual(count, taken.call_count)

    @ddt.data("vhdx", "", "RAW")
    def test_another_format(self, form):
        with self.assertRaisesRegex(UsageError, f"cannot write '{form}', expected one of raw, vhd, qcow2, vmdk"):
            self.convert(form)

    @ddt.data(
        ("raw", {"subformat": "fixed"}, "a subformat is asked for, which raw does not have, expected vhd or vmdk"),
        ("qcow2", {"subformat": "fixed"}, "a subformat is asked for, which qcow2 does not have, expected vhd or vmdk"),
        ("vhd", {"subformat": "thin"}, "'thin' is no subformat of vhd, expected dynamic or fixed"),
        ("vmdk", {"subformat": "fixed"}, "'fixed' is no subformat of vmdk, expected streamOptimized"),
        ("vhd", {"compression": "zlib"}, "a compression is asked for, which vhd does not have, expected qcow2"),
        ("vmdk", {"compression": "none"}, "a compression is asked for, which vmdk does not have, expected qcow2"),
        ("qcow2", {"compression": "xz"}, "'xz' is no compression of qcow2, expected none or zlib or zstd"),
        ("raw", {"cluster_size": 65536}, "a cluster size is asked for, which raw does not have, expected qcow2"),
        ("qcow2", {"cluster_size": 512}, r"clusters of 512 B are asked for, expected one of 4k, 8k, .*, 2048k"),
        ("qcow2", {"cluster_size": 0}, "clusters of 0 B are asked for"),
        ("qcow2", {"cluster_size": 65537}, "clusters of 64.00 KiB are asked for"),
        ("qcow2", {"adapter": "ide"}, "an adapter type is asked for, which qcow2 does not have, expected vmdk"),
        ("vmdk", {"adapter": "sata"}, "'sata' is no adapter type of vmdk, expected lsilogic or buslogic or ide"),
        ("qcow2", {"random_uuid": True}, "a random uuid is asked for, which qcow2 does not have, expected vhd or vmdk"),
        ("raw", {"random_uuid": True}, "a random uuid is asked for, which raw does not have, expected vhd or vmdk"),
    )
    @ddt.unpack
    def test_wishes_that_make_no_sense(self, form, wishes, text):
        with self.assertRaisesRegex(UsageError, f"^{text}"):
            self.convert(form, **wishes)
        self.assertEqual([], os.listdir(self.scratch))

    @ddt.data(("raw", False), ("vmdk", False), ("vhd", True))
    @ddt.unpack
    def test_layers_of_another_format(self, form, chained):
        with self.assertRaisesRegex(UsageError, f"^layers are to be kept as {form}, expected --format qcow2") as caught:
            self.convert(form, layers=True)
        self.assertIn("Leave out --layers", caught.exception.tip)
        self.assertEqual(chained, "xenimage bundle create --chain" in caught.exception.tip)

    @ddt.data(
        ("qcow2", {}),
        ("qcow2", {"compression": "zlib"}),
        ("qcow2", {"compression": "zstd", "cluster_size": 4096}),
        ("vmdk", {}),
        ("vhd", {"subformat": "fixed"}),
        ("raw", {}),
    )
    @ddt.unpack
    def test_the_same_bytes_whatever_the_threads(self, form, wishes):
        found = set()
        for jobs in (1, 2, 5):
            for disk in (self.disk, FakeDisk(SIZE, self.disk.data, sequential=True)):
                self.convert(form, disk, jobs=jobs, force=True, **wishes)
                found.add(self.output.read_bytes())
        self.assertEqual(1, len(found))

    def test_qcow2_tells_what_it_did(self):
        report = self.convert("qcow2", compression="zlib", cluster_size=4096)
        self.assertEqual(
            ("qcow2", "", "zlib", 4096, SIZE, SIZE, None, None),
            (
                report.format,
                report.subformat,
                report.compression,
                report.cluster_size,
                report.virtual_size,
                report.source_size,
                report.chs_size,
                report.source_chs_size,
            ),
        )
        self.assertEqual(3 * MIB + 2 * 4096, report.data_size)
        self.assertEqual(["hw_firmware_type", "hw_disk_bus", "hw_vif_model"], [each.name for each in report.needs])
        self.assertEqual({None}, {each.value for each in report.needs})
        self.assertEqual((), report.findings)

    def test_fixed_vhd(self):
        report = self.convert("vhd", subformat="fixed", timestamp=1_600_000_000)
        found = self.output.read_bytes()
        self.assertEqual((20 * MIB, 20 * MIB + 512), (report.virtual_size, len(found)))
        self.assert_same_bytes(bytes(self.content).ljust(20 * MIB, b"\0"), found[:-512])
        self.assertLess(self.output.stat().st_blocks * 512, 5 * MIB)
        self.assertEqual(["size.rounded"], [each.code for each in report.findings])
        self.assertIn("Azure", report.findings[0].why)
        # 602/4/17: 20 MiB are 40960 sectors, 2409 whole tracks of 17.
        self.assertEqual((602 * 4 * 17 * 512, SIZE), (report.chs_size, report.source_size))
        self.assertEqual(["hw_firmware_type"], [each.name for each in report.needs])

    def test_fixed_vhds_of_whole_mib_keep_their_size(self):
        for size, wanted in ((20 * MIB, 20 * MIB), (20 * MIB + 512, 21 * MIB), (33 * MIB, 33 * MIB), (512, 20 * MIB)):
            report = self.convert("vhd", FakeDisk(size), subformat="fixed", force=True)
            self.assertEqual((wanted, wanted + 512), (report.virtual_size, report.output_size))

    @ddt.data("dynamic", "fixed")
    def test_too_large_for_a_vhd_of_either_kind(self, subformat):
        with self.assertRaisesRegex(
            UnsupportedError, "the disk has 2191507062784 bytes .*, expected at most 2190433320960"
        ):
            self.convert("vhd", FakeDisk(2041 << 30), subformat=subformat)
        self.assertEqual([], os.listdir(self.scratch))

    def test_a_random_identity_of_vmdk_and_fixed_vhd(self):
        for form, wishes in (("vmdk", {}), ("vhd", {"subformat": "fixed"})):
            found = set()
            for _ in range(2):
                self.convert(form, random_uuid=True, force=True, **wishes)
                found.add(self.output.read_bytes())
            self.assertEqual(2, len(found), form)

    @ddt.data(0, -1)
    def test_no_thread_at_all(self, jobs):
        with self.assertRaisesRegex(UsageError, f"{jobs} jobs are asked for, expected at least 1"):
            self.convert("raw", wished=jobs)

    def test_an_output_that_exists(self):
        self.output.write_bytes(b"old")
        with self.assertRaisesRegex(UsageError, "exists already"):
            self.convert("raw")
        self.assertEqual(b"old", self.output.read_bytes())

    @ddt.data("raw", "vhd", "qcow2", "vmdk")
    def test_a_failing_device_leaves_nothing(self, form):
        self.output.write_bytes(b"old")
        for name in ("os.pwrite", "os.pwritev"):
            if form in ("raw", "qcow2") and name == "os.pwritev":
                continue
            with (
                unittest.mock.patch(name, side_effect=OSError(28, "No space left on device")),
                self.assertRaisesRegex(TransferError, "no space left"),
            ):
                self.convert(form, force=True)
            self.assertEqual(["out"], os.listdir(self.scratch))
            self.assertEqual(b"old", self.output.read_bytes())
