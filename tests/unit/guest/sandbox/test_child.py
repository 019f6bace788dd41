"""What the sources of the inspection may not do, because the child can open no file once it has begun."""

from __future__ import annotations

import ast
import codecs
import pathlib
import unittest
from typing import TYPE_CHECKING

import xenimage.guest
from xenimage.guest.sandbox.child import CODECS

if TYPE_CHECKING:
    from collections.abc import Iterator

GUEST = pathlib.Path(xenimage.guest.__file__).parent
OWN = GUEST / "sandbox"


def sources() -> Iterator[tuple[pathlib.Path, ast.Module]]:
    for path in sorted(GUEST.rglob("*.py")):
        if OWN not in path.parents:
            yield path, ast.parse(path.read_text("utf-8"))


def codec_names(tree: ast.Module) -> Iterator[str]:
    """Texts that name a codec, as arguments of anything."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
                for each in ast.walk(argument):
                    if isinstance(each, ast.Constant) and isinstance(each.value, str) and is_codec(each.value):
                        yield each.value


def is_codec(text: str) -> bool:
    try:
        codecs.lookup(text)
    except (LookupError, ValueError):
        return False
    return True


class SourcesTest(unittest.TestCase):
    def test_codecs_are_loaded_before(self) -> None:
        known = {codecs.lookup(name).name for name in CODECS}
        count = 0
        for path, tree in sources():
            for name in codec_names(tree):
                count += 1
                self.assertIn(codecs.lookup(name).name, known, f"{path}: {name} is missing in sandbox/child.py")
        self.assertLess(3, count)

    def test_nothing_is_imported_later(self) -> None:
        for path, tree in sources():
            for node in ast.walk(tree):
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    for inner in ast.walk(node):
                        self.assertNotIsInstance(inner, (ast.Import, ast.ImportFrom), f"{path}: {node.name}")
