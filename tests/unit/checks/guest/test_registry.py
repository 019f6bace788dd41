"""The checks by name, how a profile weighs them, and what becomes of somebody else's that misbehaves."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING
from unittest import mock

import ddt

from tests.base import TestCase
from xenimage import extensions
from xenimage.checks.guest import registry
from xenimage.exceptions import ExtensionError
from xenimage.model.check import Check, Suggestion
from xenimage.model.finding import Finding, Severity
from xenimage.model.guest.facts import GuestFacts
from xenimage.model.kind import FindingKind, Mend
from xenimage.profiles.registry import BUILTIN as PROFILES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from xenimage.model.profile import Profile

FACTS = GuestFacts(disks=())
PROFILE = PROFILES["nova-xenapi"]
ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO


def kind(code: str, severity: Severity) -> FindingKind:
    return FindingKind(code=code, title="T", severity=severity, what="what", why="why", act="act", mend=Mend.CHOICE)


def check(name: str, *severities: Severity, judge: Callable[..., Iterable[Finding]] | None = None) -> Check:
    kinds = tuple(kind(f"{name}.{severity.value}", severity) for severity in severities)

    def find(facts: GuestFacts, profile: Profile) -> list[Finding]:
        del facts, profile
        return [each.found() for each in kinds]

    return Check(name=name, title="T", kinds=kinds, judge=judge or find)


class InstalledTestCase(TestCase):
    def installed(self, **checks: object) -> None:
        named = {name.replace("_", "."): value for name, value in checks.items()}
        patcher = mock.patch.object(extensions, "load_all", return_value=named)
        self.load_all = patcher.start()
        self.addCleanup(patcher.stop)

    def refused(self) -> str:
        with self.assertRaises(ExtensionError) as caught:
            registry.judge(FACTS, PROFILE)
        self.assertEqual("Repair or uninstall the package that provides it.", caught.exception.tip)
        return str(caught.exception)


@ddt.ddt
class NamesTest(InstalledTestCase):
    @ddt.data(*registry.BUILTIN.values())
    def test_codes_begin_with_the_name(self, builtin: Check) -> None:
        for each in builtin.kinds:
            self.assertTrue(each.code.startswith(f"{builtin.name}."), each.code)

    def test_installed_ones_come_behind_by_name(self) -> None:
        self.installed(own_z=check("own.z"), own_a=check("own.a"))
        self.assertEqual([*registry.BUILTIN, "own.a", "own.z"], list(registry.all_checks()))
        self.load_all.assert_called_once_with("xenimage.checks", Check, builtin=registry.BUILTIN)

    def test_a_check_is_called_what_it_is_registered_as(self) -> None:
        self.installed(own=check("other"))
        self.assertEqual(
            "extension 'own' of xenimage.checks: the check calls itself 'other', expected 'own'", self.refused()
        )

    def test_its_codes_are_its_own(self) -> None:
        self.installed(own=dataclasses.replace(check("own"), kinds=(kind("disk.format", ERROR),)))
        self.assertRegex(
            self.refused(),
            r"^extension 'own' of xenimage.checks: the check has the kind FindingKind\(code='disk.format'.*"
            r"expected kinds whose codes begin with own\.$",
        )

    def test_its_kinds_are_listed_once(self) -> None:
        self.installed(own=check("own", ERROR))
        self.assertEqual(["own.error"], list(registry.installed_kinds(registry.KINDS)))
        with self.assertRaisesRegex(
            ExtensionError, "^extension 'own' of xenimage.checks: own.error is described twice"
        ):
            registry.installed_kinds({"own.error": kind("own.error", ERROR)})


@ddt.ddt
class JudgeTest(InstalledTestCase):
    def codes(self, profile: Profile = PROFILE, **checks: Check) -> list[tuple[str, Severity]]:
        found = registry.judge(FACTS, profile, {each.name: each for each in checks.values()})
        return [(each.code, each.severity) for each in found]

    def test_the_worst_first_and_else_as_the_checks_are_ordered(self) -> None:
        found = self.codes(a=check("z", INFO, WARNING), b=check("a", WARNING, ERROR))
        self.assertEqual([("a.error", ERROR), ("z.warning", WARNING), ("a.warning", WARNING), ("z.info", INFO)], found)

    def test_a_profile_raises_and_lowers(self) -> None:
        profile = dataclasses.replace(PROFILE, severities={"a.info": ERROR, "a.error": WARNING, "a.warning": INFO})
        found = self.codes(profile, a=check("a", ERROR, WARNING, INFO))
        self.assertEqual([("a.info", ERROR), ("a.error", WARNING), ("a.warning", INFO)], found)

    def test_an_installed_check_is_asked(self) -> None:
        self.installed(own=check("own", ERROR))
        self.assertEqual("own.error", registry.judge(FACTS, PROFILE)[0].code)

    def test_one_that_raises_is_an_error_with_its_name(self) -> None:
        self.installed(own=check("own", judge=mock.Mock(side_effect=KeyError("x"))))
        self.assertEqual("extension 'own' of xenimage.checks: the check failed: KeyError: 'x'", self.refused())

    @ddt.data(
        (kind("own.other", ERROR).found(), "own.other"),
        ("text", "'text'"),
    )
    @ddt.unpack
    def test_one_that_finds_what_it_does_not_describe(self, found: object, told: str) -> None:
        self.installed(own=check("own", ERROR, judge=lambda _facts, _profile: [found]))  # type: ignore[list-item]
        self.assertEqual(
            f"extension 'own' of xenimage.checks: the check found {told}, expected findings of the kinds that it"
            " describes",
            self.refused(),
        )


class SuggestTest(TestCase):
    def test_each_property_is_suggested_once(self) -> None:
        first = Suggestion(name="os_type", value="linux", reason="R.")
        others = [
            Suggestion(name="os_type", value="windows", reason="S."),
            Suggestion(name="a", value="b", reason="T."),
        ]
        with mock.patch.object(registry, "_SUGGESTERS", (lambda *_: [first], lambda *_: others)):
            self.assertEqual((first, others[1]), registry.suggest(FACTS, PROFILE))
