"""Decisions: sizes, times, threads, findings. All before the first byte."""

from __future__ import annotations

import dataclasses

import ddt

from tests.base import TestCase
from tests.unit.engine.support import BLOCK, GIB, MIB
from xenimage.containers.bundle.writer import size_bound
from xenimage.engine.mapper import BlockMap
from xenimage.engine.planner import Found, clamp_time, plan, target_size
from xenimage.exceptions import UnsupportedError, UsageError
from xenimage.formats.vhd.writer import NewVhd
from xenimage.model.disk import DiskFacts
from xenimage.model.finding import Finding, Severity
from xenimage.model.plan import BundleOptions, SizePolicy, SourceOptions
from xenimage.profiles.registry import BUILTIN

YEAR_2000 = 946684800
NOW = 1_800_000_000
LARGEST = 2040 * GIB


@ddt.ddt
class SizeTest(TestCase):
    @ddt.data(
        (1, BLOCK), (BLOCK - 1, BLOCK), (BLOCK, BLOCK), (BLOCK + 1, 2 * BLOCK), (0, BLOCK),
        (10 * GIB, 10 * GIB), (10 * GIB - 512, 10 * GIB), (LARGEST, LARGEST), (LARGEST - BLOCK + 1, LARGEST),
    )  # fmt: skip
    @ddt.unpack
    def test_exact(self, source, size):
        self.assertEqual(size, target_size(source))

    @ddt.data((1, GIB), (GIB, GIB), (GIB + 1, 2 * GIB), (0, GIB), (2039 * GIB + 1, LARGEST))
    @ddt.unpack
    def test_whole_gib(self, source, size):
        self.assertEqual(size, target_size(source, policy=SizePolicy.GIB))

    @ddt.data((5 * MIB, 5 * MIB, 6 * MIB), (5 * MIB, 20 * GIB, 20 * GIB), (5 * MIB, 6 * MIB + 1, 8 * MIB))
    @ddt.unpack
    def test_a_wished_size_is_rounded_as_well(self, source, wished, size):
        self.assertEqual(size, target_size(source, wished))

    @ddt.data(0, 1, 5 * MIB - 1)
    def test_a_disk_is_never_shortened(self, wished):
        with self.assertRaises(UsageError) as caught:
            target_size(5 * MIB, wished)
        self.assertEqual(
            f"the size {wished} is below the {5 * MIB} bytes of the source,"
            " expected at least as much: a disk is never shortened",
            str(caught.exception),
        )

    @ddt.data((LARGEST + 1, None), (GIB, LARGEST + 1), (3000 * GIB, None), (1 << 63, None))
    @ddt.unpack
    def test_larger_than_any_vhd(self, source, wished):
        with self.assertRaises(UnsupportedError) as caught:
            target_size(source, wished)
        self.assertIn("at most 2190433320960", str(caught.exception))
        self.assertIn("qcow2", caught.exception.tip)
        self.assertIn("XCP-ng 8.3", caught.exception.tip)
        self.assertEqual(4, caught.exception.exit_code)


@ddt.ddt
class TimeTest(TestCase):
    @ddt.data(
        (None, YEAR_2000), (0, YEAR_2000), (-5, YEAR_2000), (YEAR_2000 - 1, YEAR_2000), (YEAR_2000, YEAR_2000),
        (1_700_000_000, 1_700_000_000), (NOW, NOW), (NOW + 1, NOW), (1 << 40, NOW),
    )  # fmt: skip
    @ddt.unpack
    def test_lies_between_2000_and_now(self, wished, found):
        self.assertEqual(found, clamp_time(wished, NOW))

    def test_a_clock_before_2000(self):
        self.assertEqual(YEAR_2000, clamp_time(1_000_000_000, 5))


@ddt.ddt
class PlanTest(TestCase):
    def plan(self, source_size=10 * GIB, blocks=3, profile="nova-xenapi", findings=(), **wishes):
        options = BundleOptions(**{"source": SourceOptions(path="disk.raw"), "output": "out.tgz", **wishes})
        facts = DiskFacts(
            format="raw", virtual_size=source_size, granularity=512, stored_size=source_size, findings=findings
        )
        held = BlockMap(ranges=((0, blocks),), blocks=blocks, data_size=blocks * BLOCK)
        found = Found(path="disk.raw", facts=facts, blocks=held)
        return plan(options, BUILTIN[profile], [found], jobs=7, now=NOW)

    def codes(self, made):
        return {finding.code: finding.severity for finding in made.findings}

    @ddt.data((1, 1), (MIB, 1), (GIB, 1), (GIB + 1, 2), (10 * GIB, 10), (LARGEST, 2040))
    @ddt.unpack
    def test_min_disk_is_the_flavor_that_fits(self, size, gib):
        self.assertEqual(gib, self.plan(size).min_disk)

    def test_carries_what_was_decided(self):
        made = self.plan(5 * MIB, timestamp=1_700_000_000, size=9 * MIB)
        self.assertEqual((10 * MIB, 1_700_000_000), (made.virtual_size, made.timestamp))
        self.assertEqual((((0, 3),), 3 * BLOCK), (made.layers[0].blocks, made.data_size))
        disk = NewVhd(virtual_size=10 * MIB, timestamp=1_700_000_000)
        self.assertEqual(size_bound([(disk, 3)]), made.output_size_max)

    @ddt.data(
        ((8 * MIB, 8 * MIB), None, True),
        ((8 * MIB + 512, 8 * MIB), None, True),
        ((8 * MIB, 8 * MIB + 512), None, False),
        # A VHD grows to whole blocks, or as asked: what the parent has behind its child's end would show there.
        ((7 * MIB, 8 * MIB), None, False),
        ((7 * MIB, 8 * MIB), GIB, False),
        ((8 * MIB, 7 * MIB, 8 * MIB), None, False),
    )
    @ddt.unpack
    def test_a_child_is_no_smaller_than_its_parent(self, sizes, wished, taken):
        options = BundleOptions(source=SourceOptions(path="leaf"), output="out.tgz", size=wished, chain=True)
        held = BlockMap(ranges=((0, 3),), blocks=3, data_size=3 * BLOCK)
        facts = [DiskFacts(format="raw", virtual_size=size, granularity=512, stored_size=size) for size in sizes]
        found = [Found(path=f"disk{number}", facts=each, blocks=held) for number, each in enumerate(facts)]
        if taken:
            made = plan(options, BUILTIN["nova-xenapi"], found, jobs=1, now=NOW)
            self.assertEqual(len(sizes), len(made.layers))
            return
        with self.assertRaisesRegex(UnsupportedError, "expected a child at least as large as its parent"):
            plan(options, BUILTIN["nova-xenapi"], found, jobs=1, now=NOW)

    @ddt.data((None, 7), (1, 1), (64, 64))
    @ddt.unpack
    def test_jobs(self, wished, jobs):
        self.assertEqual(jobs, self.plan(jobs=wished).jobs)

    @ddt.data(0, -1)
    def test_no_thread_at_all(self, wished):
        with self.assertRaisesRegex(UsageError, f"{wished} jobs are asked for, expected at least 1"):
            self.plan(jobs=wished)

    def test_a_digest_that_nobody_knows(self):
        with self.assertRaisesRegex(UsageError, "'crc32' is no digest, expected one of md5, sha256, sha512"):
            self.plan(digests=("sha256", "crc32"))

    def test_the_profile_has_a_maximum(self):
        self.assertNotIn("size.profile", self.codes(self.plan(LARGEST)))
        made = self.plan(160 * GIB + 1, profile="rackspace")
        self.assertIs(Severity.ERROR, self.codes(made)["size.profile"])
        self.assertNotIn("size.profile", self.codes(self.plan(160 * GIB, profile="rackspace")))

    def test_a_size_that_grows_is_told(self):
        self.assertIs(Severity.INFO, self.codes(self.plan(5 * MIB))["size.rounded"])
        self.assertNotIn("size.rounded", self.codes(self.plan(6 * MIB)))

    def test_a_large_tar_member_is_told(self):
        self.assertIs(Severity.INFO, self.codes(self.plan(9 * GIB, blocks=4608))["size.tar"])
        self.assertNotIn("size.tar", self.codes(self.plan(9 * GIB)))

    @ddt.data(*BUILTIN)
    def test_a_target_that_takes_no_bundle_is_told(self, profile):
        codes = self.codes(self.plan(profile=profile))
        if profile in ("rackspace", "cloudstack", "xcp-ng"):
            self.assertIs(Severity.WARNING, codes["profile.bare-vhd"])
        else:
            self.assertNotIn("profile.bare-vhd", codes)

    @ddt.data(
        ({}, "disk.raw out.vhd --format vhd"),
        ({"output": "-"}, "disk.raw disk.vhd --format vhd"),
        ({"source": SourceOptions(path="a b.vhd"), "output": "a b.tgz"}, "'a b.vhd' 'a b.new.vhd' --format vhd"),
        (
            {"source": SourceOptions(path="d", format="qcow2", snapshot="s", backing=("b", "c"))},
            "d out.vhd --format vhd --source-format qcow2 --snapshot s --backing b --backing c",
        ),
        ({"size": 20 * GIB}, "disk.raw out.vhd --format vhd. It has the size of the source: make that larger first."),
    )
    @ddt.unpack
    def test_and_the_command_for_it_is_given(self, wishes, words):
        found = [each for each in self.plan(profile="xcp-ng", **wishes).findings if each.code == "profile.bare-vhd"]
        self.assertEqual([f"Write the VHD alone: xenimage disk convert {words}"], [each.act for each in found])

    def test_findings_of_the_source_stay(self):
        finding = Finding(code="qcow2.dirty", severity=Severity.WARNING, what="a", why="b", act="c")
        self.assertIs(finding, self.plan(findings=(finding,)).findings[0])

    def test_properties_come_from_the_profile_and_from_the_user(self):
        made = self.plan(os_type="windows", properties=(("mine", "1"),))
        chosen = {each.name: each.value for each in made.properties}
        self.assertEqual(("windows", "1", "hvm"), (chosen["os_type"], chosen["mine"], chosen["vm_mode"]))

    def test_is_pure(self):
        self.assertEqual(self.plan(), self.plan())
        self.assertTrue(dataclasses.is_dataclass(self.plan()))
