"""What was read once and may be wanted again."""

from __future__ import annotations

from tests.base import TestCase
from xenimage.guest.kept import Kept


class KeptTest(TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.made: list[object] = []

    def make(self, value):
        self.made.append(value)
        return value

    def test_a_value_is_made_once(self) -> None:
        kept = Kept(2)
        for _ in range(3):
            self.assertEqual("a", kept.get(1, lambda: self.make("a")))
            self.assertIsNone(kept.get(2, lambda: self.make(None)))
        self.assertEqual(["a", None], self.made)

    def test_the_one_that_was_not_wanted_for_longest_goes(self) -> None:
        kept = Kept(2)
        for key in "abacab":
            kept.get(key, lambda key=key: self.make(key))
        self.assertEqual(["a", "b", "c", "b"], self.made)

    def test_weights(self) -> None:
        kept = Kept(10, len)
        for key in ("xxxx", "yyyy", "zz", "xxxx", "v", "yyyy"):
            kept.get(key, lambda key=key: self.make(key))
        self.assertEqual(["xxxx", "yyyy", "zz", "v", "yyyy"], self.made)

    def test_one_that_is_too_heavy_is_kept_alone(self) -> None:
        kept = Kept(3, len)
        for key in ("a", "heavy", "heavy", "a"):
            kept.get(key, lambda key=key: self.make(key))
        self.assertEqual(["a", "heavy", "a"], self.made)

    def test_what_fails_is_not_kept(self) -> None:
        kept = Kept(3)
        with self.assertRaises(ZeroDivisionError):
            kept.get(1, lambda: 1 // 0)
        self.assertEqual(5, kept.get(1, lambda: 5))

    def test_clearing(self) -> None:
        kept = Kept(3)
        for _ in range(2):
            kept.get(1, lambda: self.make(1))
            kept.clear()
        self.assertEqual([1, 1], self.made)
