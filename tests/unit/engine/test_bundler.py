"""A run from the plan to the receipt: what is told on the way, and what is left out."""

from __future__ import annotations

import dataclasses
import hashlib
import random
import tracemalloc
import uuid

import ddt

from tests.base import TestCase
from tests.fakes.vhd_util import Vhd, unpack_bundle
from tests.unit.engine.support import BLOCK, FakeDisk, Watcher
from xenimage.engine import bundler, planner
from xenimage.engine.layers import View
from xenimage.engine.mapper import map_blocks
from xenimage.limits import STRICT
from xenimage.model.plan import BundleOptions, Compression, SourceOptions
from xenimage.profiles.registry import BUILTIN

NOISE = random.Random(16).randbytes(BLOCK)


@ddt.ddt
class MakeTest(TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.output = self.scratch / "out.tgz"
        self.watcher = Watcher()

    def make(self, disk: FakeDisk, jobs: int = 2, **wishes: object):
        options = BundleOptions(source=SourceOptions(path="x"), output=str(self.output), force=True, jobs=jobs)
        options = dataclasses.replace(options, **wishes)
        blocks = map_blocks(disk, STRICT)
        found = planner.Found(path="x", facts=disk.facts, blocks=blocks)
        plan = planner.plan(options, BUILTIN["nova-xenapi"], [found], jobs=2, now=1_800_000_000)
        return bundler.make(plan, [View(disk=disk, below=None)], STRICT, self.watcher)

    def test_the_report_adds_up(self):
        disk = FakeDisk(8 * BLOCK, {0: NOISE, 2 * BLOCK: bytes(2 * BLOCK), 7 * BLOCK: b"x"})
        report = self.make(disk)
        self.assertEqual((2 * BLOCK, 2 * BLOCK), (report.data_size, report.zero_size))
        self.assertEqual(report.plan.data_size, report.data_size + report.zero_size)
        self.assertEqual(self.output.stat().st_size, report.receipt.size)
        self.assertLessEqual(report.receipt.size, report.plan.output_size_max)
        self.assertFalse(report.verified)
        self.assertGreaterEqual(report.seconds, 0)

    def test_the_watcher_sees_every_stage_to_its_end(self):
        disk = FakeDisk(8 * BLOCK, {0: NOISE, 2 * BLOCK: bytes(2 * BLOCK)})
        report = self.make(disk, verify=True)
        names = [stage[0] for stage in self.watcher.stages]
        self.assertEqual(["bundle", "checksums"], names[:2])
        self.assertIn("compare", names)
        self.assertEqual(["bundle", 3 * BLOCK, 3 * BLOCK, True], self.watcher.stages[0])
        self.assertEqual(["checksums", report.receipt.size, report.receipt.size, True], self.watcher.stages[1])
        self.assertTrue(all(stage[3] for stage in self.watcher.stages))

    def test_one_pass_over_the_data_for_a_file(self):
        disk = FakeDisk(8 * BLOCK, {number * BLOCK: NOISE[:4096] for number in range(8)})
        self.make(disk)
        self.assertEqual([number * BLOCK for number in range(8)], sorted(disk.offsets))

    @ddt.data((), ("sha512",), ("md5", "sha256"))
    def test_digests_asked_for(self, names):
        receipt = self.make(FakeDisk(BLOCK, {0: NOISE}), digests=names).receipt
        packed = self.output.read_bytes()
        for name in ("md5", "sha256", "sha512"):
            wanted = hashlib.new(name, packed).hexdigest() if name in names else ""
            self.assertEqual(wanted, getattr(receipt, name))

    def test_the_uuid_is_that_of_the_vhd(self):
        seen = set()
        for random_uuid in (False, False, True, True):
            report = self.make(FakeDisk(BLOCK, {0: NOISE}), random_uuid=random_uuid)
            footer = Vhd(unpack_bundle(self.output)[1]).footer
            self.assertEqual(uuid.UUID(report.uuid), uuid.UUID(bytes=footer["uuid"]))
            self.assertEqual(4 if random_uuid else 8, uuid.UUID(report.uuid).version)
            seen.add(report.uuid)
        self.assertEqual(3, len(seen))

    def test_memory_does_not_grow_with_the_disk(self):
        disk = FakeDisk(200 * BLOCK, {number * BLOCK: NOISE for number in range(200)})
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        self.make(disk, compression=Compression.STORE, digests=())
        self.assertLess(tracemalloc.get_traced_memory()[1], 2 * 5 * BLOCK + 16 * BLOCK)

    def test_an_empty_disk(self):
        report = self.make(FakeDisk(20 * BLOCK), verify=True)
        self.assertEqual((0, 3584), (report.data_size, report.vhd_size))
        Vhd(unpack_bundle(self.output)[1]).check()
