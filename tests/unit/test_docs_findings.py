"""The reference page of findings: it has every code that the sources can make, and no other."""

from __future__ import annotations

import ast
import itertools
import pathlib
import re
from typing import TYPE_CHECKING

from tests.base import TestCase

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "doc" / "source" / "reference" / "findings.rst"

WORDERS = {
    "xenimage/checks/bundle.py": ("bundle.", {"_error", "_warning", "_info", "report"}),
    "xenimage/formats/vhd/checks": ("vhd.", {"error", "warning", "info", "report"}),
}
"""helpers that put a group in front of the code: where they are used, the group, and what they are called"""


def documented() -> set[str]:
    """Codes on the page: the first column of its tables. NAME stands for any name."""
    return set(re.findall(r"^   \* - ``([^`]+)``$", PAGE.read_text(encoding="utf-8"), re.MULTILINE))


def made() -> set[str]:
    """Codes in the sources; what is only known at run time is ``*``."""
    found: set[str] = set()
    for path in sorted((ROOT / "xenimage").rglob("*.py")):
        place = path.relative_to(ROOT).as_posix()
        prefix, names = next((value for start, value in WORDERS.items() if place.startswith(start)), ("", set()))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                found.update(f"{group}{code}" for group, code in _codes(node, prefix, names))
    return found


def _codes(call: ast.Call, prefix: str, names: set[str]) -> Iterator[tuple[str, str]]:
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    if name in names and call.args:
        yield from ((prefix, code) for code in _texts(call.args[0]))
    elif name == "Finding":
        for keyword in call.keywords:
            # The helpers' own Finding, whose code is nothing but their argument, says nothing.
            if keyword.arg == "code":
                yield from (("", code) for code in _texts(keyword.value) if code not in ("*", "vhd.*", "bundle.*"))


def _texts(node: ast.expr) -> list[str]:
    """Every text that an expression can be."""
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.IfExp):
        return [*_texts(node.body), *_texts(node.orelse)]
    if isinstance(node, ast.JoinedStr):
        return ["".join(parts) for parts in itertools.product(*map(_texts, node.values))]
    return ["*"]


def matches(code: str, pattern: str) -> bool:
    """Whether a documented code is one that *pattern* can make."""
    return re.fullmatch(re.escape(pattern).replace(r"\*", "[A-Za-z_]+"), code) is not None


class FindingsPageTest(TestCase):
    def test_every_code_is_documented(self) -> None:
        page = documented()
        missing = [code for code in made() if not any(matches(entry, code) for entry in page)]
        self.assertEqual([], sorted(missing))

    def test_every_documented_code_exists(self) -> None:
        codes = made()
        self.assertEqual([], sorted(entry for entry in documented() if not any(matches(entry, c) for c in codes)))

    def test_the_codes_are_found(self) -> None:
        self.assertLess(100, len(made()))
