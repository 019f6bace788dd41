"""From disks to a verdict."""

from __future__ import annotations

import dataclasses
from unittest import mock

from tests.base import TestCase
from xenimage import api
from xenimage.checks.guest import registry
from xenimage.exceptions import UsageError
from xenimage.model.check import Suggestion
from xenimage.model.finding import Severity
from xenimage.model.plan import GuestOptions, SourceOptions
from xenimage.model.report import GuestReport, Verdict
from xenimage.units import GIB, MIB


class CheckTest(TestCase):
    def disk(self, name: str = "a.raw", size: int = 3 * MIB) -> SourceOptions:
        path = self.scratch / name
        with path.open("wb") as file:
            file.truncate(size)
        return SourceOptions(path=str(path), format="raw")

    def check(self, *sources: SourceOptions, properties: tuple[tuple[str, str], ...] = ()) -> GuestReport:
        return api.check_guest(GuestOptions(sources=sources or (self.disk(),), properties=properties))

    def test_a_disk_for_data_is_sound(self) -> None:
        report = self.check()
        self.assertEqual(["guest.inspection.nothing"], [each.code for each in report.findings])
        self.assertEqual((Verdict.SOUND, 1, ()), (report.verdict, report.min_disk, report.facts.systems))
        self.assertEqual([("vm_mode", "hvm")], [(each.name, each.value) for each in report.properties])

    def test_every_disk_is_measured_and_the_first_says_the_flavor(self) -> None:
        report = self.check(self.disk(size=GIB + 512), self.disk("b.raw", MIB))
        self.assertEqual([GIB + 512, MIB], [each.size for each in report.usage])
        self.assertEqual((2, 2), (len(report.facts.disks), report.min_disk))

    def test_all_findings_stand_with_the_worst_first(self) -> None:
        seen = Suggestion(name="os_type", value="windows", reason="R.")
        with mock.patch.object(registry, "_SUGGESTERS", (lambda *_: [seen],)):
            report = self.check(properties=(("os_type", "linux"),))
        self.assertEqual(
            [("property.os_type.contradicts", Severity.ERROR), ("guest.inspection.nothing", Severity.INFO)],
            [(each.code, each.severity) for each in report.findings],
        )
        self.assertIs(Verdict.NOT_READY, report.verdict)
        self.assertIn("linux", [each.value for each in report.properties])

    def test_no_disk_at_all(self) -> None:
        with self.assertRaisesRegex(UsageError, "^no disk is given, expected one disk or more$"):
            api.check_guest(GuestOptions(sources=()))

    def test_no_such_profile(self) -> None:
        with self.assertRaisesRegex(UsageError, "no profile is called 'x'"):
            api.check_guest(dataclasses.replace(GuestOptions(sources=(self.disk(),)), profile="x"))
