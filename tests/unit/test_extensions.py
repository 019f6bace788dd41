"""Extensions fail closed."""

from __future__ import annotations

import importlib.metadata
from unittest import mock

import stevedore

from tests.base import TestCase
from xenimage.exceptions import ExtensionError
from xenimage.extensions import load_all

GROUP = "xenimage.test"


class LoadAllTest(TestCase):
    def installed(self, **targets: str) -> None:
        points = [importlib.metadata.EntryPoint(name, value, GROUP) for name, value in targets.items()]
        self.install(points)

    def install(self, points: list[importlib.metadata.EntryPoint]) -> None:
        patcher = mock.patch.dict(stevedore.ExtensionManager.ENTRY_POINT_CACHE, {GROUP: points})
        patcher.start()
        self.addCleanup(patcher.stop)

    def refused(self, **builtin: object) -> str:
        with self.assertRaises(ExtensionError) as caught:
            load_all(GROUP, str, builtin=builtin)
        return str(caught.exception)

    def test_nothing_installed(self) -> None:
        self.installed()
        self.assertEqual({}, load_all(GROUP, str))

    def test_an_extension_is_loaded_by_name(self) -> None:
        self.installed(letters="string:ascii_lowercase")
        self.assertEqual({"letters": "abcdefghijklmnopqrstuvwxyz"}, load_all(GROUP, str))

    def test_a_broken_one_is_an_error(self) -> None:
        self.installed(broken="no_such_module:x")
        self.assertEqual(
            "extension 'broken' of xenimage.test: no_such_module:x cannot be loaded: "
            "ModuleNotFoundError: No module named 'no_such_module'",
            self.refused(),
        )

    def test_another_type_is_an_error(self) -> None:
        self.installed(number="sys:maxsize")
        self.assertEqual("extension 'number' of xenimage.test: sys:maxsize is a int, expected str", self.refused())

    def test_two_of_one_name_are_an_error(self) -> None:
        self.install([importlib.metadata.EntryPoint("twin", f"string:{v}", GROUP) for v in ("digits", "hexdigits")])
        self.assertEqual(
            "extension 'twin' of xenimage.test: two installed packages provide it, expected one", self.refused()
        )

    def test_a_built_in_name_is_taken(self) -> None:
        self.installed(own="string:digits")
        self.assertEqual(
            "extension 'own' of xenimage.test: string:digits takes a name that xenimage itself provides, "
            "expected a name of its own",
            self.refused(own=1),
        )

    def test_our_own_entry_points_are_the_built_in_ones(self) -> None:
        self.installed(own="xenimage.units:GIB")
        self.assertEqual({}, load_all(GROUP, str, builtin={"own": 1}))
