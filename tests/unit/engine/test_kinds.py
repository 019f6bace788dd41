"""The table of all findings: it has every code that the sources can make, and no other, and its words fit the calls."""

from __future__ import annotations

import ast
import dataclasses
import itertools
import pathlib
import re
import string
from typing import TYPE_CHECKING

from tests.base import TestCase
from xenimage.checks.guest.registry import KINDS as GUEST_KINDS
from xenimage.engine.kinds import KINDS
from xenimage.model.finding import Severity
from xenimage.model.kind import FindingKind, Mend, Wording, by_code, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parents[3]

WORDERS = {
    "xenimage/checks/bundle.py": ("_found", 0, "bundle."),
    "xenimage/checks/chain.py": ("_found", 1, "chain."),
    "xenimage/checks/package/openstack.py": ("_found", 0, "package.openstack-xenserver."),
    "xenimage/checks/package/proxmox.py": ("_found", 0, "package.proxmox."),
    "xenimage/checks/package/virtualbox.py": ("_found", 0, "package.virtualbox."),
    "xenimage/checks/package/vmware.py": ("_found", 0, "package.vmware."),
    "xenimage/checks/package/xcpng.py": ("_found", 0, "package.xcp-ng."),
    "xenimage/containers/ovf/": ("found", 0, "ovf."),
    "xenimage/containers/vmx/": ("found", 0, "vmx."),
    "xenimage/formats/vhd/": ("found", 0, "vhd."),
    "xenimage/engine/checker.py": ("vhd_found", 0, "vhd."),
    "xenimage/engine/rebaser.py": ("found", 0, "vhd."),
    "xenimage/engine/repairer.py": ("found", 0, "vhd."),
}
"""where helpers make findings: their name, which argument is the code, and the group that they put in front"""
GIVEN = {"where", "offset", "evidence"}


@dataclasses.dataclass(frozen=True)
class Call:
    """One call that makes a finding: codes and cases that it can be for (``*`` is anything), and the values given."""

    place: str
    codes: tuple[str, ...]
    cases: tuple[str, ...]
    values: frozenset[str]
    open: bool
    """whether more values may come from a mapping"""


def calls() -> Iterator[Call]:
    for path in sorted((ROOT / "xenimage").rglob("*.py")):
        place = path.relative_to(ROOT).as_posix()
        worder = next((value for start, value in WORDERS.items() if place.startswith(start)), ("", 0, ""))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield from _calls(node, f"{place}:{node.lineno}", *worder)


def _calls(node: ast.Call, place: str, name: str, index: int, group: str) -> Iterator[Call]:
    values = frozenset(word.arg for word in node.keywords if word.arg)
    more = any(word.arg is None for word in node.keywords)
    function = node.func
    if isinstance(function, ast.Name) and function.id == name and len(node.args) > index:
        codes = tuple(group + code for code in _texts(node.args[index]))
        cases = tuple(_texts(node.args[index + 1])) if len(node.args) > index + 1 else ("",)
        yield Call(place, codes, cases, values, more)
    elif isinstance(function, ast.Attribute) and function.attr == "found" and isinstance(function.value, ast.Subscript):
        codes = tuple(code for code in _texts(function.value.slice) if "." in code and "*" not in code)
        if codes:
            yield Call(place, codes, tuple(_texts(node.args[0])) if node.args else ("",), values, more)
    elif isinstance(function, ast.Name) and function.id == "Finding":
        for word in node.keywords:
            if word.arg == "code" and (codes := tuple(code for code in _texts(word.value) if code != "*")):
                yield Call(place, codes, ("*",), frozenset(), open=True)


def _texts(node: ast.expr) -> list[str]:
    """Every text that an expression can be."""
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.IfExp):
        return [*_texts(node.body), *_texts(node.orelse)]
    if isinstance(node, ast.FormattedValue):
        return _texts(node.value)
    if isinstance(node, ast.JoinedStr):
        return ["".join(parts) for parts in itertools.product(*map(_texts, node.values))]
    return ["*"]


def matching(code: str) -> list[FindingKind]:
    """The kinds that a code of the sources, perhaps with ``*`` in it, can be."""
    pattern = re.compile(re.escape(code).replace(r"\*", "[A-Za-z_]+"))
    return [kind for known, kind in KINDS.items() if pattern.fullmatch(known)]


def wanted(kind: FindingKind, case: str) -> set[str]:
    """The values that a wording asks for."""
    wording = kind.cases.get(case, Wording())
    texts = (wording.what or kind.what, wording.why or kind.why, wording.act or kind.act)
    return {name for text in texts for _, name, _, _ in string.Formatter().parse(text) if name is not None}


class SourcesTest(TestCase):
    """The calls of the sources, held against the table."""

    def test_every_code_is_described(self) -> None:
        missing = [f"{call.place}: {code}" for call in calls() for code in call.codes if not matching(code)]
        self.assertEqual([], missing)

    def test_every_described_code_is_made(self) -> None:
        made = {kind.code for call in calls() for code in call.codes for kind in matching(code)}
        # Some checks of guests choose among kinds in another way than by a literal: a test has to have seen those.
        tests = "".join(path.read_text("utf-8") for path in (ROOT / "tests" / "unit" / "checks").rglob("*.py"))
        seen = {code for code in GUEST_KINDS if f'"{code}"' in tests}
        self.assertEqual([], sorted(set(KINDS) - made - seen))

    def test_every_case_exists(self) -> None:
        for call in calls():
            for code, case in itertools.product(call.codes, call.cases):
                if case not in ("", "*"):
                    self.assertTrue(any(case in kind.cases for kind in matching(code)), f"{call.place}: {case}")

    def test_every_value_is_given(self) -> None:
        for call in calls():
            if call.open:
                continue
            for code, case in itertools.product(call.codes, call.cases):
                for kind in matching(code):
                    for each in [case] if case != "*" else ["", *kind.cases]:
                        lacking = wanted(kind, each) - call.values - GIVEN
                        self.assertEqual(set(), lacking, f"{call.place}: {code} {each}")

    def test_the_calls_are_found(self) -> None:
        self.assertLess(120, len(list(calls())))


class TableTest(TestCase):
    def test_every_kind_says_all(self) -> None:
        for code, kind in KINDS.items():
            self.assertRegex(code, r"^[a-z0-9]+(\.[A-Za-z0-9_-]+)+$")
            self.assertEqual(code, kind.code)
            for text in (kind.title, kind.what, kind.why, kind.act):
                self.assertTrue(text.strip(), code)
            self.assertFalse(kind.title.endswith("."), code)

    def test_what_loses_data_is_no_information(self) -> None:
        for kind in KINDS.values():
            if kind.mend is Mend.LOST:
                self.assertIsNot(Severity.INFO, kind.severity, kind.code)

    def test_two_of_one_code_are_refused(self) -> None:
        kind = KINDS["vhd.footer.uuid"]
        with self.assertRaisesRegex(ValueError, "vhd.footer.uuid is described twice"):
            by_code((kind,), (kind,))


class FoundTest(TestCase):
    kind = FindingKind(
        code="a.b",
        title="T",
        severity=Severity.ERROR,
        what="{name!r} at {place:#x}",
        why="because",
        act="do {name}",
        mend=Mend.SAFE,
        cases={"mild": Wording(severity=Severity.WARNING, why="hardly {name}")},
    )

    def test_values_are_filled_in_and_are_no_templates(self) -> None:
        found = self.kind.found(where="f", offset=7, name="{place}", place=255)
        self.assertEqual(("'{place}' at 0xff", "because", "do {place}"), (found.what, found.why, found.act))
        self.assertEqual((Severity.ERROR, "f", 7), (found.severity, found.where, found.offset))

    def test_a_case_changes_what_it_names(self) -> None:
        found = self.kind.found("mild", name="x", place=1)
        self.assertEqual(
            (Severity.WARNING, "'x' at 0x1", "hardly x", "do x"), (found.severity, found.what, found.why, found.act)
        )
        self.assertEqual((Severity.ERROR, Severity.WARNING), self.kind.severities)

    def test_a_template_as_people_read_it(self) -> None:
        self.assertEqual("{name} at {place}", plain(self.kind.what))
