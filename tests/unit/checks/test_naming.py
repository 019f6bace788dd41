from __future__ import annotations

import unittest

import ddt

from xenimage.checks.naming import bare_name, numbered
from xenimage.model.report import Member


def members(*names: str) -> list[Member]:
    """Members in this order; a name that ends in a slash is a directory."""
    kinds = ["directory" if name.endswith("/") else "file" for name in names]
    return [
        Member(name=name.rstrip("/") or ".", kind=kind, size=1, mode=0o644, owner="0:0", mtime=0)
        for name, kind in zip(names, kinds, strict=True)
    ]


@ddt.ddt
class NumberedTest(unittest.TestCase):
    """What os-xenapi makes of the names."""

    @ddt.data(
        (["0.vhd"], ["0.vhd"]),
        (["1.vhd", "0.vhd"], ["0.vhd", "1.vhd"]),
        (["./", "./0.vhd"], ["./0.vhd"]),
        (["/0.vhd"], ["/0.vhd"]),
        (["image.vhd"], ["image.vhd"]),
        (["base.vhd", "image.vhd"], ["image.vhd", "base.vhd"]),
        (["image.vhd", "snap.vhd"], ["snap.vhd", "image.vhd"]),
        (["foo.vhd"], ["foo.vhd"]),
        (["1.vhd"], ["1.vhd"]),
        (["swap.vhd"], ["swap.vhd"]),
        (["foo.vhd", "readme"], []),
        (["0.vhd", "swap.vhd", "readme.txt", "sub/"], ["0.vhd"]),
        (["1.vhd", "2.vhd"], []),
        (["0.vhd", "2.vhd"], ["0.vhd"]),
        (["0.VHD"], []),
        (["x/0.vhd"], []),
        (["x/0.vhd", "foo.vhd"], []),
        (["0.vhd", "snap.vhd"], ["snap.vhd"]),
        ([], []),
    )
    @ddt.unpack
    def test_order(self, names: list[str], chain: list[str]) -> None:
        self.assertEqual(chain, [member.name for member in numbered(members(*names))])

    def test_many(self) -> None:
        names = [f"{number}.vhd" for number in range(20)]
        self.assertEqual(names, [member.name for member in numbered(members(*reversed(names)))])

    def test_the_last_of_a_name_wins(self) -> None:
        first, last = members("0.vhd", "./0.vhd")
        self.assertEqual([last], numbered([first, last]))

    def test_a_directory_is_no_disk(self) -> None:
        self.assertEqual([], numbered(members("0.vhd/")))

    @ddt.data(("./0.vhd", "0.vhd"), ("//a/./b", "a/b"), ("./", ""), ("../0.vhd", "../0.vhd"))
    @ddt.unpack
    def test_bare_name(self, name: str, bare: str) -> None:
        self.assertEqual(bare, bare_name(name))
