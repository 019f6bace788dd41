"""Bounds, and what is said of a number that passes one."""

from __future__ import annotations

import dataclasses

from tests.base import TestCase
from xenimage.exceptions import LimitError, UnsafeError
from xenimage.limits import STRICT, Limits


class LimitsTest(TestCase):
    def test_a_number_within_its_bound_comes_back(self):
        limits = Limits(extents=7)
        for value in (0, 6, 7):
            self.assertEqual(value, limits.require("extents", value, "the number of extents"))

    def test_one_above_it_is_refused_by_name(self):
        with self.assertRaises(LimitError) as caught:
            Limits(extents=7).require("extents", 8, "the number of extents")
        self.assertEqual("the number of extents is 8, expected at most 7 (limit extents)", str(caught.exception))
        self.assertEqual(
            "If you trust the file, raise extents in the [limits] section of the configuration.", caught.exception.tip
        )
        self.assertIsInstance(caught.exception, UnsafeError)
        self.assertEqual(5, caught.exception.exit_code)

    def test_every_bound_is_a_positive_number_and_frozen(self):
        for field in dataclasses.fields(Limits):
            self.assertGreater(getattr(STRICT, field.name), 0)
        with self.assertRaises(dataclasses.FrozenInstanceError):
            STRICT.extents = 1

    def test_an_unknown_name_is_our_own_mistake(self):
        with self.assertRaises(AttributeError):
            STRICT.require("bogus", 1, "x")
