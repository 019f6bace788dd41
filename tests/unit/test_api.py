"""The library's door: typed in, typed out, nothing printed."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import unittest.mock

import ddt

from tests.base import TestCase
from tests.builders import qcow2
from tests.builders.pattern import pattern
from xenimage import api
from xenimage.exceptions import FormatError, LimitError, NotReadyError, UnsafeError, UsageError
from xenimage.limits import Limits
from xenimage.model.extent import Extent, Kind
from xenimage.model.finding import Severity
from xenimage.model.plan import BundleOptions, ConvertOptions, SourceOptions
from xenimage.model.report import DiskMap, Verdict

MIB = 1 << 20


class ApiTestCase(TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.source = self.scratch / "disk.raw"
        with self.source.open("wb") as stream:
            stream.write(pattern(0, 65536))
            stream.truncate(5 * MIB)
        self.output = self.scratch / "out.tgz"
        self.said = io.StringIO()
        stack = contextlib.ExitStack()
        stack.enter_context(contextlib.redirect_stdout(self.said))
        stack.enter_context(contextlib.redirect_stderr(self.said))
        self.addCleanup(self.assert_silent)
        self.addCleanup(stack.close)

    def assert_silent(self) -> None:
        self.assertEqual("", self.said.getvalue())

    def options(self, **wishes: object) -> BundleOptions:
        options = BundleOptions(source=SourceOptions(path=str(self.source)), output=str(self.output))
        return dataclasses.replace(options, **wishes)


@ddt.ddt
class BundleTest(ApiTestCase):
    def test_a_plan_writes_nothing_and_reads_no_data(self):
        plan = api.plan_bundle(self.options())
        self.assertEqual((6 * MIB, ((0, 1),), 1), (plan.virtual_size, plan.layers[0].blocks, plan.min_disk))
        self.assertEqual(api.usable_cpus(), plan.jobs)
        self.assertEqual([self.source], list(self.scratch.iterdir()))

    def test_a_plan_is_what_is_done(self):
        plan = api.plan_bundle(self.options())
        report = api.create_bundle(self.options())
        self.assertEqual(plan, report.plan)
        self.assertEqual(str(self.output), report.receipt.path)

    def test_show_and_check(self):
        report = api.create_bundle(self.options())
        facts = api.show_bundle(str(self.output))
        self.assertEqual((report.receipt.size, 6 * MIB, ("0.vhd",)), (facts.size, facts.virtual_size, facts.chain))
        self.assertEqual(report.uuid, facts.members[0].vhd.uuid)
        for profile in api.profiles():
            with self.subTest(profile=profile):
                found = api.check_bundle(str(self.output), profile=profile)
                self.assertIs(Verdict.SOUND, found.verdict, found.findings)

    def test_findings_that_are_errors_refuse_the_work(self):
        options = self.options(vm_mode="HVM")
        self.assertIn(Severity.ERROR, {finding.severity for finding in api.plan_bundle(options).findings})
        with self.assertRaises(NotReadyError) as caught:
            api.create_bundle(options)
        self.assertEqual(f"{self.source}: cannot be a bundle for nova-xenapi", str(caught.exception))
        self.assertIn("property.vm_mode.value", {finding.code for finding in caught.exception.findings})
        self.assertFalse(self.output.exists())

    def test_an_unknown_profile(self):
        for call in (
            lambda: api.plan_bundle(self.options(profile="bogus")),
            lambda: api.create_bundle(self.options(profile="bogus")),
            lambda: api.check_bundle(str(self.source), profile="bogus"),
        ):
            with self.assertRaisesRegex(UsageError, "no profile is called 'bogus'"):
                call()

    def test_limits_are_those_given(self):
        with self.assertRaisesRegex(LimitError, "limit virtual_size"):
            api.plan_bundle(self.options(), limits=Limits(virtual_size=MIB))

    def test_a_bundle_that_is_none(self):
        with self.assertRaises(FormatError):
            api.show_bundle(str(self.source))
        with self.assertRaisesRegex(UsageError, "cannot be opened"):
            api.check_bundle(str(self.scratch / "missing"))


class DiskTest(ApiTestCase):
    def test_show_and_map(self):
        source = SourceOptions(path=str(self.source))
        self.assertEqual(("raw", 5 * MIB), (api.show_disk(source).format, api.show_disk(source).virtual_size))
        wanted = (Extent(0, 65536, Kind.DATA), Extent(65536, 5 * MIB - 65536, Kind.ZERO))
        self.assertEqual(DiskMap(extents=wanted), api.map_disk(source))

    def test_a_child_without_its_parent_is_shown_but_not_read(self):
        state = qcow2.State(size=MIB)
        path = qcow2.Image(state=state, backing=b"base.raw").write(self.scratch / "leaf.qcow2")
        source = SourceOptions(path=str(path))
        self.assertEqual("base.raw", api.show_disk(source).parent.name)
        for call in (api.map_disk, lambda source: api.compare_disks(source, source)):
            with self.assertRaisesRegex(UnsafeError, "wants the parent"):
                call(source)

    def test_convert_and_compare(self):
        first = SourceOptions(path=str(self.source))
        for form in ("raw", "vhd"):
            output = str(self.scratch / f"out.{form}")
            api.convert_disk(ConvertOptions(source=first, output=output, format=form))
            self.assertTrue(api.compare_disks(first, SourceOptions(path=output)).equal)
        with open(output, "r+b") as stream:
            stream.seek(3584 + 512 + 1000)
            stream.write(b"?")
        found = api.compare_disks(first, SourceOptions(path=output))
        self.assertEqual((False, 1000, (5 * MIB, 6 * MIB)), (found.equal, found.first_difference, found.sizes))

    def test_what_is_wrong_with_a_source_is_told(self):
        state = qcow2.State(size=MIB, forms=("plain",))
        path = str(qcow2.Image(state=state, incompatible=2).write(self.scratch / "corrupt.qcow2"))
        source, sound = SourceOptions(path=path), SourceOptions(path=str(self.source))
        converted = api.convert_disk(ConvertOptions(source=source, output=str(self.scratch / "out.vhd"), format="vhd"))
        for findings in (
            api.map_disk(source).findings,
            converted.findings,
            api.compare_disks(sound, source).findings,
            api.plan_bundle(self.options(source=source)).findings,
        ):
            self.assertEqual(("qcow2.corrupt", path), (findings[0].code, findings[0].where))

    def test_a_disk_with_itself(self):
        source = SourceOptions(path=str(self.source))
        self.assertTrue(api.compare_disks(source, source).equal)

    def test_everything_is_closed_again(self):
        before = os.listdir("/proc/self/fd")
        source = SourceOptions(path=str(self.source))
        api.show_disk(source)
        api.map_disk(source)
        api.compare_disks(source, source)
        with self.assertRaises(UsageError):
            api.compare_disks(source, SourceOptions(path=str(self.scratch / "missing")))
        api.create_bundle(self.options())
        api.show_bundle(str(self.output))
        api.check_bundle(str(self.output))
        self.assertEqual(before, os.listdir("/proc/self/fd"))


class RestTest(TestCase):
    def test_the_default_profile_is_there(self):
        self.assertEqual(api.DEFAULT_PROFILE, next(iter(api.profiles())))
        self.assertEqual(api.DEFAULT_PROFILE, BundleOptions(source=SourceOptions(path=""), output="").profile)

    def test_cpus_are_those_that_this_process_may_use(self):
        with unittest.mock.patch("os.sched_getaffinity", return_value={3, 5, 7}):
            self.assertEqual(3, api.usable_cpus())
