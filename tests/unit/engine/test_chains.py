"""The tree of VHDs: by uuid, of files and of directories, whatever lies in them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.base import TestCase
from tests.builders.bundle import image
from tests.builders.vhdfaults import BASE, small
from xenimage import api
from xenimage.exceptions import UsageError
from xenimage.model.report import ChainReport, LinkState

if TYPE_CHECKING:
    from tests.builders.vhd import Image

ID = "{0}{0}{0}{0}-{0}{0}-{0}{0}-{0}{0}-{0}{0}{0}{0}{0}{0}"


class ChainsTestCase(TestCase):
    def put(self, *disks: tuple[str, Image]) -> None:
        for name, made in disks:
            (self.scratch / name).parent.mkdir(parents=True, exist_ok=True)
            (self.scratch / name).write_bytes(made.data)

    def show(self, *names: str) -> ChainReport:
        return api.show_chain([str(self.scratch / name) for name in names] or [str(self.scratch)])

    def states(self, report: ChainReport) -> dict[str, tuple[str, str | None, int]]:
        """Bare name to state, bare name of the parent, and depth."""
        names = [os.path.basename(node.file.path) for node in report.nodes]
        return {
            name: (node.state.value, None if node.parent is None else names[node.parent], node.depth)
            for name, node in zip(names, report.nodes, strict=True)
        }

    def codes(self, report: ChainReport) -> list[tuple[str, str]]:
        return sorted((finding.code, os.path.basename(finding.where)) for finding in report.findings)


class TreeTest(ChainsTestCase):
    def test_a_directory(self) -> None:
        self.put(BASE, small("a.vhd", 2, 1, hidden=True), small("b.vhd", 3, 2, "a.vhd"), small("c.vhd", 4, 1))
        (self.scratch / "read.me").write_text("no disk")
        (self.scratch / "sub").mkdir()
        report = self.show()
        self.assertEqual(
            {
                "base.vhd": ("root", None, 1),
                "a.vhd": ("linked", "base.vhd", 2),
                "b.vhd": ("linked", "a.vhd", 3),
                "c.vhd": ("linked", "base.vhd", 2),
            },
            self.states(report),
        )
        self.assertEqual([("chain.children", "base.vhd")], self.codes(report))

    def test_what_is_wrong_in_a_directory(self) -> None:
        self.put(
            small("lost.vhd", 2, 9, "gone.vhd"),
            small("orphan.vhd", 3, hidden=True),
            small("ring1.vhd", 4, 5, "ring2.vhd"),
            small("ring2.vhd", 5, 4, "ring1.vhd"),
            small("above.vhd", 6, 4, "ring1.vhd"),
            small("self.vhd", 7, 7, "self.vhd"),
            small("raw.vhd", 8, 1),
        )
        damaged = (self.scratch / "raw.vhd").read_bytes()
        (self.scratch / "junk.vhd").write_bytes(b"x" * 4096)
        (self.scratch / "noname").write_bytes(damaged)
        (self.scratch / "link.vhd").symlink_to("noname")
        (self.scratch / "raw.vhd").unlink()
        report = self.show()
        self.assertEqual(
            {
                "lost.vhd": ("missing parent", None, 1),
                "orphan.vhd": ("root", None, 1),
                "ring1.vhd": ("cycle", "ring2.vhd", 0),
                "ring2.vhd": ("cycle", "ring1.vhd", 0),
                "above.vhd": ("linked", "ring1.vhd", 0),
                "self.vhd": ("cycle", "self.vhd", 0),
                "noname": ("missing parent", None, 1),
                "junk.vhd": ("unreadable", None, 0),
            },
            self.states(report),
        )
        self.assertEqual(
            [
                ("chain.children", "ring1.vhd"),
                ("chain.cycle", "ring1.vhd"),
                ("chain.missing", "lost.vhd"),
                ("chain.missing", "noname"),
                ("chain.orphan", "orphan.vhd"),
                ("chain.self", "self.vhd"),
                ("chain.unreadable", "junk.vhd"),
            ],
            self.codes(report),
        )

    def test_a_missing_parent_is_told_with_name_and_uuid(self) -> None:
        self.put(small("lost.vhd", 2, 9, "gone.vhd"))
        (found,) = self.show().findings
        self.assertIn("'gone.vhd'", found.what)
        self.assertIn(ID.format("09"), found.what)

    def test_files_in_any_order(self) -> None:
        self.put(BASE, small("leaf.vhd", 2, 1))
        for names in (("leaf.vhd", "base.vhd"), ("base.vhd", "leaf.vhd")):
            self.assertEqual(("linked", "base.vhd", 2), self.states(self.show(*names))["leaf.vhd"])

    def test_of_two_with_the_uuid_the_one_that_the_disk_leads_to(self) -> None:
        self.put(small("acopy.vhd", 1, hidden=True), BASE, small("leaf.vhd", 2, 1))
        report = self.show()
        self.assertEqual(("linked", "base.vhd", 2), self.states(report)["leaf.vhd"])
        self.assertIn(("chain.duplicate", "acopy.vhd"), self.codes(report))

    def test_a_parent_in_another_directory(self) -> None:
        self.put(("sub/base.vhd", BASE[1]), small("leaf.vhd", 2, 1, "sub/base.vhd"))
        self.assertEqual([], self.codes(self.show("leaf.vhd", "sub/base.vhd")))
        self.put(("other/base.vhd", BASE[1]))
        self.assertEqual([("chain.name", "leaf.vhd")], self.codes(self.show("leaf.vhd", "other/base.vhd")))

    def test_a_link_to_the_parent_is_the_parent(self) -> None:
        self.put(("pool/base.vhd", BASE[1]), small("leaf.vhd", 2, 1, "pool/base.vhd"))
        (self.scratch / "alias.vhd").symlink_to("pool/base.vhd")
        self.assertEqual([], self.codes(self.show("leaf.vhd", "alias.vhd")))

    def test_long_rings_and_chains_take_no_recursion(self) -> None:
        count = 1500
        for number in range(count):
            after = (number - 1) % count
            made = small("x.vhd", 1, 1, f"{after}.vhd")[1]
            made.footer("uuid", (number + 1).to_bytes(16))
            made.header("prt_uuid", (after + 1).to_bytes(16))
            self.put((f"{number}.vhd", made))
        self.assertEqual({LinkState.CYCLE}, {node.state for node in self.show().nodes})
        (self.scratch / "0.vhd").unlink()
        depths = [depth for _, _, depth in self.states(self.show()).values()]
        self.assertEqual(list(range(1, count)), sorted(depths))

    def test_an_empty_directory(self) -> None:
        self.assertEqual(((), ()), (self.show().nodes, self.show().findings))

    def test_wrong_use(self) -> None:
        self.put(BASE)
        for names, text in (
            (("no.vhd",), "cannot be opened"),
            (("base.vhd", "base.vhd"), "is the same file as"),
            (("base.vhd", "."), "is a directory"),
        ):
            with self.assertRaisesRegex(UsageError, text):
                self.show(*names)

    def test_nothing_that_a_file_names_is_opened(self) -> None:
        target = self.scratch / "secret"
        os.mkfifo(target)  # opening it would never end
        self.put(small("leaf.vhd", 2, 1, "secret"))
        self.assertEqual([("chain.missing", "leaf.vhd")], self.codes(self.show()))

    def test_a_hostile_file_is_unreadable_or_linked(self) -> None:
        data = bytes(image("child").data)
        for at in range(0, 4096, 61):
            (self.scratch / "x.vhd").write_bytes(data[:at] + b"\xff" * 8 + data[at + 8 :])
            self.show()
