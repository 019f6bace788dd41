"""From a disk with a guest to a bundle of it, and to what keeps one from being made."""

from __future__ import annotations

import pathlib
import shutil
from unittest import mock

import ddt

from tests.base import TestCase
from tests.builders.guests import linux, windows
from tests.builders.guests.winhives import State
from xenimage import api
from xenimage.exceptions import NotReadyError
from xenimage.model.finding import Severity
from xenimage.model.plan import BundleOptions, GuestOptions, SourceOptions
from xenimage.model.report import Verdict

GOOD = State(firmware="bios", active="0001")
BAD = State(firmware="bios", pv="none", sysprep="complete", hibernated=True)


class GuestTestCase(TestCase):
    def options(self, state: State, **wishes: object) -> BundleOptions:
        values: dict[str, object] = {
            "source": SourceOptions(path=str(windows.disk(state)), format="raw"),
            "output": str(self.scratch / "a.tgz"),
        }
        return BundleOptions(**(values | wishes))  # type: ignore[arg-type]


@ddt.ddt
class BundleTest(GuestTestCase):
    def test_a_good_guest_sets_its_properties(self) -> None:
        report = api.create_bundle(self.options(GOOD))
        found = {each.name: each.value for each in report.plan.properties}
        self.assertEqual(
            {
                "vm_mode": "hvm",
                "os_type": "windows",
                "architecture": "x86_64",
                "os_distro": "windows",
                "os_version": "2022",
            },
            {name: found.get(name) for name in ("vm_mode", "os_type", "architecture", "os_distro", "os_version")},
        )
        self.assertEqual([], [each.code for each in report.plan.findings])
        assert report.plan.guest is not None
        self.assertTrue(report.plan.guest.facts.systems[0].startswith("Windows"))

    def test_a_bad_guest_leaves_no_output_and_tells_all(self) -> None:
        options = self.options(BAD)
        with self.assertRaises(NotReadyError) as caught:
            api.create_bundle(options)
        error = caught.exception
        self.assertEqual(api.plan_bundle(options).findings, error.findings)
        self.assertLess(1, sum(each.severity is Severity.ERROR for each in error.findings))
        self.assertEqual(f"{options.source.path}: cannot be a bundle for nova-xenapi", str(error))
        self.assertEqual("Mend it in the guest. To make it nevertheless: --allow-not-ready.", error.tip)
        self.assertEqual([], list(self.scratch.iterdir()))

    def test_it_is_made_of_a_bad_guest_if_that_is_allowed(self) -> None:
        report = api.create_bundle(self.options(BAD, allow_not_ready=True))
        self.assertIn(Severity.ERROR, {each.severity for each in report.plan.findings})
        self.assertTrue(pathlib.Path(report.receipt.path).exists())

    def test_what_is_wrong_with_the_wishes_is_never_allowed(self) -> None:
        with self.assertRaises(NotReadyError) as caught:
            api.create_bundle(self.options(BAD, allow_not_ready=True, os_type="Windows"))
        self.assertEqual("", caught.exception.tip)

    def test_a_contradiction_is_an_error_that_can_be_allowed(self) -> None:
        with self.assertRaises(NotReadyError):
            api.create_bundle(self.options(GOOD, os_type="linux"))
        report = api.create_bundle(self.options(GOOD, os_type="linux", allow_not_ready=True))
        self.assertEqual("linux", {each.name: each.value for each in report.plan.properties}["os_type"])

    def test_nobody_looks_where_that_is_wished(self) -> None:
        report = api.create_bundle(self.options(BAD, inspect=False))
        self.assertIsNone(report.plan.guest)
        self.assertEqual(["vm_mode"], [each.name for each in report.plan.properties])

    def test_looking_changes_no_byte(self) -> None:
        digests = {
            api.create_bundle(self.options(GOOD, inspect=each, force=True)).receipt.sha256 for each in (True, False)
        }
        self.assertEqual(1, len(digests))

    def test_what_is_known_already_is_not_looked_at_once_more(self) -> None:
        options = self.options(GOOD)
        plan = api.plan_bundle(options)
        with mock.patch("xenimage.engine.readiness.look", side_effect=AssertionError):
            self.assertEqual(plan, api.create_bundle(options, guest=plan.guest).plan)

    @ddt.data(False, True)
    def test_the_leaf_is_looked_at_over_its_parents(self, chain: bool) -> None:
        base, leaf = self.scratch / "base.raw", self.scratch / "leaf.qcow2"
        shutil.copy(windows.disk(GOOD), base)
        self.run_tool("qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "raw", leaf)
        # The child has data of its own, on blocks that the guest does not use.
        self.run_tool("qemu-io", "-c", "write -P 7 700k 4k", leaf)
        source = SourceOptions(path=str(leaf), backing=(str(base),))
        plan = api.plan_bundle(self.options(GOOD, source=source, chain=chain))
        self.assertEqual([], [each.code for each in plan.findings])
        self.assertIn(("os_type", "windows"), [(each.name, each.value) for each in plan.properties])

    def test_a_bundle_is_looked_into(self) -> None:
        made = api.create_bundle(self.options(BAD, inspect=False)).receipt.path
        report = api.check_guest(GuestOptions(sources=(SourceOptions(path=made),)))
        expected = api.check_guest(GuestOptions(sources=(self.options(BAD).source,)))
        self.assertEqual([each.code for each in expected.findings], [each.code for each in report.findings])
        self.assertIs(Verdict.NOT_READY, report.verdict)


class OthersTest(GuestTestCase):
    def test_a_good_linux_sets_its_properties(self) -> None:
        path = linux.make_disk(self.scratch / "linux.raw")
        report = api.create_bundle(self.options(GOOD, source=SourceOptions(path=str(path), format="raw")))
        found = {each.name: each.value for each in report.plan.properties}
        self.assertEqual(
            {"vm_mode": "hvm", "os_type": "linux", "os_distro": "debian"},
            {name: found.get(name) for name in ("vm_mode", "os_type", "os_distro")},
        )
        self.assertNotIn("xenapi_device_id", found)
        self.assertEqual([], [each.code for each in report.plan.findings if each.severity is not Severity.INFO])

    def test_a_disk_for_data_is_nothing_to_remark_on(self) -> None:
        path = self.scratch / "data.raw"
        with path.open("wb") as file:
            file.truncate(8 << 20)
        self.run_tool("/sbin/mke2fs", "-q", "-t", "ext4", path)
        plan = api.plan_bundle(self.options(GOOD, source=SourceOptions(path=str(path), format="raw")))
        self.assertEqual((), plan.findings)
        self.assertEqual([("vm_mode", "hvm")], [(each.name, each.value) for each in plan.properties])
