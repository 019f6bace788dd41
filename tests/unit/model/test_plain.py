from __future__ import annotations

import dataclasses
import enum
import json
import unittest
from collections.abc import Mapping  # noqa: TC003 - the reader looks for it at run time

import ddt

from xenimage.exceptions import FormatError
from xenimage.model.plain import Reader, to_plain


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Leaf:
    name: str
    count: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tree:
    leaf: Leaf
    leaves: tuple[Leaf, ...] = ()
    pair: tuple[str, int] = ("", 0)
    colour: Colour = Colour.RED
    share: float = 0.0
    good: bool = False
    maybe: Leaf | None = None
    number: int | None = None
    named: Mapping[str, str] = dataclasses.field(default_factory=dict)


NAMES = {"Leaf": Leaf, "Colour": Colour}
TREE = Tree(
    leaf=Leaf(name="é\n\x1b", count=1 << 70),
    leaves=(Leaf(name="a"), Leaf(name="b", count=-1)),
    pair=("x", 3),
    share=0.5,
    good=True,
    maybe=Leaf(name="c"),
    named={"k": "v"},
)


def read(plain: object) -> Tree:
    return Reader(NAMES).read(Tree, plain)


@ddt.ddt
class PlainTest(unittest.TestCase):
    def test_there_and_back(self) -> None:
        for tree in (TREE, Tree(leaf=Leaf(name=""))):
            self.assertEqual(tree, read(json.loads(json.dumps(to_plain(tree)))))

    def test_what_has_no_form_is_a_fault_of_ours(self) -> None:
        with self.assertRaisesRegex(TypeError, "bytes has no plain form"):
            to_plain(Tree(leaf=Leaf(name=b"")))  # type: ignore[arg-type]

    @ddt.data(
        ("leaf", [], "leaf: is list, expected an object for Leaf"),
        ("leaf", {"name": "x"}, "leaf: has fields that differ at 'count', expected those of Leaf"),
        ("leaf", {"name": "x", "count": 1, "x": 1}, "leaf: has fields that differ at 'x', expected those of Leaf"),
        ("leaf", {"name": 1, "count": 1}, "leaf: name: is int, expected text"),
        ("leaf", {"name": "", "count": True}, "leaf: count: is bool, expected a whole number"),
        ("leaf", {"name": "", "count": 1.0}, "leaf: count: is float, expected a whole number"),
        ("leaf", {"name": "", "count": 1 << 200}, "leaf: count: is a number of 201 bits, expected at most 128"),
        ("leaves", {}, "leaves: is dict, expected a list"),
        ("leaves", [None], "leaves: [0]: is NoneType, expected an object for Leaf"),
        ("pair", ["a"], "pair: is a list of 1, expected 2 values"),
        ("pair", ["a", "b"], "pair: [1]: is str, expected a whole number"),
        ("colour", "blue", "colour: is str, expected a Colour"),
        ("colour", [], "colour: is list, expected a Colour"),
        ("share", 1e999, "share: is float, expected a finite number"),
        ("share", 1 << 2000, "share: is float, expected a finite number"),
        ("good", 1, "good: is int, expected true or false"),
        ("maybe", "x", "maybe: is str, expected an object for Leaf"),
        ("named", {"a": 1}, "named: 'a': is int, expected text"),
    )
    @ddt.unpack
    def test_refused(self, name: str, value: object, message: str) -> None:
        plain = to_plain(TREE)
        plain[name] = value
        with self.assertRaises(FormatError) as caught:
            read(plain)
        self.assertEqual(message, str(caught.exception))

    def test_numbers_may_be_whole(self) -> None:
        self.assertEqual(2.0, read({**to_plain(TREE), "share": 2}).share)

    def test_half_a_pair_is_made_printable(self) -> None:
        plain = to_plain(TREE)
        plain["leaf"]["name"] = "a\ud800b"
        self.assertEqual("a\\ud800b", read(plain).leaf.name)
