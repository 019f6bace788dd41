"""Linking a differencing VHD: only to its own parent, with locators made where there are none."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import ddt

from tests.base import TestCase
from tests.builders.vhd import CREATORS, DIFFERENCING, Image, MemorySource, Vhd, blktap_locators
from xenimage import api
from xenimage.exceptions import FormatError, UnsafeError, UnsupportedError, UsageError
from xenimage.formats.vhd.reader import open_vhd
from xenimage.limits import STRICT
from xenimage.model.plan import RebaseOptions

if TYPE_CHECKING:
    from xenimage.model.report import RebaseReport

MIB = 1 << 20
SIZE = 8 * MIB
BASE = Vhd(size=SIZE, blocks={0: range(4096)}, identity=b"\x01" * 16)
CHILD = Vhd(
    size=SIZE,
    kind=DIFFERENCING,
    blocks={1: range(9), 2: range(4096)},
    identity=b"\x02" * 16,
    parent=b"\x01" * 16,
    parent_name="old.vhd",
    locators=blktap_locators("old.vhd"),
    seed=1,
)
WITHOUT = dataclasses.replace(CHILD, locators=())


@ddt.ddt
class RebaseTestCase(TestCase):
    """``disk rebase``."""

    def _put(self, name: str, disk: Vhd | Image) -> bytes:
        image = disk.build() if isinstance(disk, Vhd) else disk
        (self.scratch / name).parent.mkdir(exist_ok=True)
        (self.scratch / name).write_bytes(image.data)
        return bytes(image.data)

    def _rebase(self, parent: str = "base.vhd", **options: object) -> RebaseReport:
        return api.rebase_disk(
            RebaseOptions(path=f"{self.scratch}/child.vhd", parent=f"{self.scratch}/{parent}", **options)  # type: ignore[arg-type]
        )

    def _assert_linked(self, path: str, uuid: bytes) -> None:
        data = (self.scratch / "child.vhd").read_bytes()
        self.assertEqual(uuid, data[552:568])
        name = path.rpartition("/")[2].encode("utf-16-be")
        self.assertEqual(name.ljust(512, b"\0"), data[576:1088])
        self.assertIn(b"file://" + path.encode() + b"\0", data)
        self.assertIn(path.replace("/", "\\").encode("utf-16-le") + b"\0", data)
        disk = open_vhd(MemorySource(data), STRICT)
        buffer = bytearray(SIZE)
        disk.read_into(0, memoryview(buffer))
        self.assert_same_bytes(CHILD.build().content(), bytes(buffer))
        assert disk.facts.parent is not None
        self.assertEqual(path, disk.facts.parent.name)

    @ddt.data("base.vhd", "pool/base.vhd")
    def test_to_its_parent(self, name: str) -> None:
        self._put(name, BASE)
        self._put("child.vhd", CHILD)
        report = self._rebase(name)
        self.assertEqual(
            (True, False, True, "old.vhd"), (report.proven, report.created, report.written, report.old_name)
        )
        self.assertEqual((), report.findings)
        self._assert_linked(f"./{name}", b"\x01" * 16)

    def test_locators_are_created(self) -> None:
        self._put("base.vhd", BASE)
        self._put("child.vhd", WITHOUT)
        report = self._rebase()
        self.assertTrue(report.created)
        # A block had to move, which left a gap.
        self.assertEqual(["vhd.block.first"], [each.code for each in report.findings])
        self._assert_linked("./base.vhd", b"\x01" * 16)
        self.assertFalse(self._rebase().created)

    @ddt.data(("code", 0x57326B75), ("res", 1), ("data_len", 0), ("data_offset", 512))
    @ddt.unpack
    def test_faulty_locators_are_made_anew(self, name: str, value: int) -> None:
        self._put("base.vhd", BASE)
        image = CHILD.build()
        image.locator(0, name, value)
        self._put("child.vhd", image)
        report = self._rebase()
        self.assertTrue(report.created)
        self.assertEqual((), report.findings)
        self._assert_linked("./base.vhd", b"\x01" * 16)

    def test_another_parent(self) -> None:
        self._put("base.vhd", dataclasses.replace(BASE, identity=b"\x07" * 16))
        before = self._put("child.vhd", CHILD)
        with self.assertRaisesRegex(UnsafeError, "its parent is 01010101-.*, but .*base.vhd is 07070707-"):
            self._rebase()
        self.assertEqual(before, (self.scratch / "child.vhd").read_bytes())
        report = self._rebase(force=True)
        self.assertFalse(report.proven)
        self.assertEqual(["vhd.parent.forced"], [each.code for each in report.findings])
        self._assert_linked("./base.vhd", b"\x07" * 16)

    def test_a_raw_parent(self) -> None:
        (self.scratch / "base.raw").write_bytes(bytes(SIZE))
        self._put("child.vhd", CHILD)
        with self.assertRaises(FormatError):
            self._rebase("base.raw")
        with self.assertRaises(UnsafeError):
            self._rebase("base.raw", raw=True)
        self._rebase("base.raw", raw=True, force=True)
        self._assert_linked("./base.raw", bytes(16))
        self.assertTrue(self._rebase("base.raw", raw=True).proven)

    def test_a_larger_parent(self) -> None:
        self._put("base.vhd", dataclasses.replace(BASE, size=2 * SIZE))
        self._put("child.vhd", CHILD)
        self.assertEqual(["vhd.parent.larger"], [each.code for each in self._rebase().findings])

    def test_rings(self) -> None:
        self._put("child.vhd", CHILD)
        self._put("base.vhd", dataclasses.replace(CHILD, identity=b"\x01" * 16, parent=b"\x02" * 16))
        with self.assertRaisesRegex(UnsafeError, "as its own parent"):
            self._rebase(force=True)
        with self.assertRaises(UsageError):
            self._rebase("child.vhd")

    def test_no_child(self) -> None:
        self._put("base.vhd", BASE)
        self._put("child.vhd", dataclasses.replace(BASE, identity=b"\x05" * 16))
        with self.assertRaisesRegex(UnsupportedError, "expected a differencing one"):
            self._rebase(force=True)

    @ddt.data(("qcow2", "qemu-img rebase"), ("vmdk", ""))
    @ddt.unpack
    def test_a_disk_of_another_format(self, name: str, tip: str) -> None:
        """The disk that is no VHD is blamed, and not the one that it is to be linked to, or that is to be linked."""
        other = self.scratch / "other"
        self.run_tool("qemu-img", "create", "-q", "-f", name, str(other), "8M")
        self._put("base.vhd", BASE)
        child = self._put("child.vhd", CHILD)
        with self.assertRaisesRegex(
            UnsupportedError, f"^{other}: is of the format {name}, expected a VHD, or a raw "
        ) as caught:
            self._rebase("other")
        self.assertEqual("", caught.exception.tip)
        self.assertEqual(child, (self.scratch / "child.vhd").read_bytes())
        (self.scratch / "child.vhd").write_bytes(other.read_bytes())
        for parent in ("base.vhd", "other"):
            text = f"^{self.scratch}/child.vhd: is of the format {name}, expected a differencing VHD: only these"
            with self.assertRaisesRegex(UnsupportedError, text) as caught:
                self._rebase(parent)
            self.assertIn(tip, caught.exception.tip)
            self.assertEqual(bool(tip), bool(caught.exception.tip))
        self.assertEqual(other.read_bytes(), (self.scratch / "child.vhd").read_bytes())

    def test_a_child_without_footers_is_to_be_mended(self) -> None:
        self._put("base.vhd", BASE)
        image = CHILD.build()
        self._put("child.vhd", image)
        damaged = bytearray(image.data)
        damaged[:8] = damaged[-512:-504] = bytes(8)
        (self.scratch / "child.vhd").write_bytes(damaged)
        with self.assertRaisesRegex(FormatError, f"^{self.scratch}/child.vhd: ") as caught:
            self._rebase()
        self.assertIn("xenimage disk repair", caught.exception.tip)

    def test_names_that_blktap_does_not_take(self) -> None:
        self._put("größe.vhd", BASE)
        before = self._put("child.vhd", CHILD)
        for dry_run in (True, False):
            with self.assertRaisesRegex(UnsupportedError, "expected ASCII"):
                self._rebase("größe.vhd", dry_run=dry_run)
        self.assertEqual(before, (self.scratch / "child.vhd").read_bytes())

    def test_packed_blocks_have_to_be_laid_out_first(self) -> None:
        self._put("base.vhd", BASE)
        creator = dataclasses.replace(CREATORS["tap"], aligned=False)
        before = self._put("child.vhd", dataclasses.replace(WITHOUT, creator=creator))
        with self.assertRaises(UnsupportedError):
            self._rebase()
        self.assertEqual(before, (self.scratch / "child.vhd").read_bytes())

    def test_dry_run(self) -> None:
        self._put("base.vhd", BASE)
        before = self._put("child.vhd", WITHOUT)
        report = self._rebase(dry_run=True)
        self.assertEqual((False, True, "./base.vhd"), (report.written, report.created, report.stored_path))
        self.assertEqual(before, (self.scratch / "child.vhd").read_bytes())
