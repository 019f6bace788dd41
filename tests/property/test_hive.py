"""Any hive that a writer of its own makes is read back, key for key and byte for byte."""

from __future__ import annotations

import random
import unittest
from typing import TYPE_CHECKING

import hypothesis
import hypothesis.strategies as st

from tests.builders.guests import regf
from xenimage.guest.hive import Hive

if TYPE_CHECKING:
    from xenimage.guest.hive import Key

SOME = hypothesis.settings(max_examples=40, deadline=None, database=None, derandomize=True)
NAMES = st.text(
    st.characters(codec="latin-1", exclude_characters="\\/", min_codepoint=32), min_size=1, max_size=20
).filter(
    # Names that differ in case alone are one name; two letters of Latin-1 have their capital outside of it.
    lambda name: name.upper().lower() == name and name.isprintable() and name.strip() == name
)
DATA = st.one_of(
    st.binary(max_size=8),
    st.binary(max_size=40),
    st.integers(16340, 33000).map(lambda size: random.Random(size).randbytes(size)),
)
VALUES = st.dictionaries(st.one_of(st.just(""), NAMES), st.tuples(st.integers(0, 11), DATA), max_size=4)
TREES = st.recursive(
    st.tuples(VALUES, st.just({})),
    lambda below: st.tuples(VALUES, st.dictionaries(NAMES, below, max_size=5)),
    max_leaves=12,
)


def build(key: regf.Key, tree: tuple) -> None:
    """Put *tree*, values and keys below, into *key*."""
    values, below = tree
    for name, (kind, data) in values.items():
        key.set(name, kind, data)
    for name, inner in below.items():
        build(key.key(name), inner)


def read(key: Key) -> tuple:
    """The tree below *key*, as :func:`build` takes it."""
    kinds = {"none": 0, "sz": 1, "expand_sz": 2, "binary": 3, "dword": 4, "dword_be": 5, "link": 6, "multi_sz": 7,
             "0x8": 8, "0x9": 9, "0xa": 10, "qword": 11}  # fmt: skip
    values = {value.name: (kinds[value.kind], value.data) for value in key.values()}
    return values, {below.name: read(below) for below in key.subkeys()}


class HiveTestCase(unittest.TestCase):
    """Written by :mod:`tests.builders.guests.regf`, read by :mod:`xenimage.guest.hive`."""

    @SOME
    @hypothesis.given(TREES)
    def test_a_hive_is_read_as_it_was_written(self, tree: tuple) -> None:
        made = regf.Hive()
        build(made.root, tree)
        hive = Hive(made.build(), "SYSTEM")
        self.assertEqual(tree, read(hive.root))
        for name in tree[1]:
            key = hive.key(name.upper() if name.isascii() else name)
            assert key is not None
            self.assertEqual(tree[1][name], read(key))
