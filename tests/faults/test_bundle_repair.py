"""Bundles as others make them: the new one is sound, and shows the guest what the old one held."""

from __future__ import annotations

import dataclasses
import gzip
import tarfile
from typing import TYPE_CHECKING

import ddt

from tests.base import TestCase
from tests.builders.bundle import MTIME, Entry, packed, tar
from tests.builders.vhd import CREATORS, DIFFERENCING, Image, Vhd, blktap_locators
from xenimage import api
from xenimage.exceptions import FormatError, NotReadyError, UsageError
from xenimage.model.plan import BundleOptions, ConvertOptions, RepairBundleOptions, SourceOptions
from xenimage.model.report import Verdict

if TYPE_CHECKING:
    from xenimage.model.report import BundleRepairReport

MIB = 1 << 20
SIZE = 20 * MIB
BASE = Vhd(size=SIZE, blocks={0: range(4096), 5: range(4096)}, identity=b"\x01" * 16)
MIDDLE = Vhd(
    size=SIZE,
    kind=DIFFERENCING,
    blocks={5: range(9), 7: range(4096)},
    identity=b"\x02" * 16,
    parent=b"\x01" * 16,
    locators=blktap_locators("base.vhd"),
    seed=1,
)
LEAF = dataclasses.replace(MIDDLE, blocks={0: range(100, 200)}, identity=b"\x03" * 16, parent=b"\x02" * 16, seed=2)


def entry(name: str, disk: Vhd | Image, **fields: object) -> Entry:
    image = disk.build() if isinstance(disk, Vhd) else disk
    return Entry(name, bytes(image.data), **fields)  # type: ignore[arg-type]


QEMU = dataclasses.replace(BASE, creator=CREATORS["qemu"])
PACKED = dataclasses.replace(BASE, creator=dataclasses.replace(CREATORS["tap"], aligned=False))
FULL = range(4096)

# Members of the bundle; the layers that the disk then has, the leaf first; names that are left out.
BUNDLES: dict[str, tuple[list[Entry], list[Vhd], list[str]]] = {
    "sound": ([entry("0.vhd", BASE)], [BASE], []),
    "qemu": ([entry("0.vhd", QEMU)], [BASE], []),
    "packed": ([entry("0.vhd", PACKED)], [BASE], []),
    "dot": ([Entry("./", type=tarfile.DIRTYPE), entry("./0.vhd", BASE)], [BASE], ["."]),
    "alone": ([entry("foo.vhd", BASE)], [BASE], []),
    "alone with company": ([entry("foo.vhd", BASE), Entry("README", b"x")], [BASE], ["README"]),
    "below": ([entry("dir/disk.vhd", BASE)], [BASE], []),
    "swap": ([entry("0.vhd", BASE), Entry("swap.vhd", b"x" * 512)], [BASE], ["swap.vhd"]),
    "macos": ([Entry("._0.vhd", b"x" * 4096), entry("0.vhd", BASE)], [BASE], ["._0.vhd"]),
    "link": ([entry("0.vhd", BASE), Entry("1.vhd", type=tarfile.SYMTYPE, target="/etc/passwd")], [BASE], ["1.vhd"]),
    "twice": ([entry("0.vhd", MIDDLE), entry("0.vhd", BASE)], [BASE], ["0.vhd"]),
    "image and base": ([entry("base.vhd", BASE), entry("image.vhd", MIDDLE)], [MIDDLE, BASE], []),
    "three": ([entry("2.vhd", BASE), entry("1.vhd", MIDDLE), entry("0.vhd", LEAF)], [LEAF, MIDDLE, BASE], []),
    "reversed": ([entry("0.vhd", BASE), entry("1.vhd", MIDDLE)], [MIDDLE, BASE], []),
    "any names": ([entry("b.vhd", BASE), entry("a.vhd", MIDDLE)], [MIDDLE, BASE], []),
    "links by name alone": (
        [entry("0.vhd", dataclasses.replace(MIDDLE, parent=b"\x09" * 16)), entry("1.vhd", BASE)],
        [MIDDLE, BASE],
        [],
    ),
    "no locators": (
        [entry("0.vhd", dataclasses.replace(MIDDLE, locators=())), entry("1.vhd", BASE)],
        [MIDDLE, BASE],
        [],
    ),
    "old times": ([entry("0.vhd", MIDDLE, mtime=0), entry("1.vhd", BASE, mtime=0)], [MIDDLE, BASE], []),
    "times to come": ([entry("0.vhd", BASE, mtime=1 << 32, mode=0, uid=12345)], [BASE], []),
}


@ddt.ddt
class BundleRepairTestCase(TestCase):
    """``bundle repair``."""

    def _repair(self, data: bytes, **options: object) -> BundleRepairReport:
        (self.scratch / "old.tgz").write_bytes(data)
        dry_run = bool(options.pop("dry_run", False))
        accept_loss = bool(options.pop("accept_loss", False))
        bundle = BundleOptions(
            source=SourceOptions(path=f"{self.scratch}/old.tgz", format="bundle"),
            output=f"{self.scratch}/new.tgz",
            verify=True,
            **options,  # type: ignore[arg-type]
        )
        return api.repair_bundle(RepairBundleOptions(bundle=bundle, accept_loss=accept_loss), dry_run=dry_run)

    def _content(self) -> bytes:
        api.convert_disk(
            ConvertOptions(
                source=SourceOptions(path=f"{self.scratch}/new.tgz"),
                output=f"{self.scratch}/new.raw",
                format="raw",
                force=True,
            )
        )
        return (self.scratch / "new.raw").read_bytes()

    def _assert_sound(self, layers: list[Vhd]) -> None:
        report = api.check_bundle(f"{self.scratch}/new.tgz")
        self.assertIs(Verdict.SOUND, report.verdict, report.findings)
        names = self.run_tool("tar", "-tzf", "new.tgz").split()
        self.assertEqual([f"{number}.vhd" for number in range(len(layers))], names)
        with tarfile.open(self.scratch / "new.tgz") as archive:
            self.assertEqual({(MTIME, 0o644, 0)}, {(each.mtime, each.mode, each.uid) for each in archive})
            hidden = [archive.extractfile(each).read(512)[85] for each in archive]  # type: ignore[union-attr]
        self.assertEqual([0] + [1] * (len(layers) - 1), hidden)
        expected = b""
        for layer in reversed(layers):
            expected = layer.build().content(expected)
        self.assert_same_bytes(expected, self._content())

    @ddt.data(*BUNDLES)
    def test_made_anew(self, name: str) -> None:
        entries, layers, dropped = BUNDLES[name]
        report = self._repair(packed(*entries))
        self._assert_sound(layers)
        self.assertEqual(dropped, [each.rstrip("/") for each in report.dropped])
        assert report.made is not None
        self.assertTrue(report.made.verified)
        self.assertEqual(len(layers), len(report.members))

    def test_pax_headers_and_several_gzip_members(self) -> None:
        data = tar([entry("0.vhd", BASE, mtime=MTIME + 0.5)], tarfile.PAX_FORMAT)
        self._repair(gzip.compress(data[:5000]) + gzip.compress(data[5000:]))
        self._assert_sound([BASE])

    def test_damaged_members_are_mended(self) -> None:
        image = BASE.build()
        image.footer("checksum", 1, front=False)
        image.batmap("cookie", b"garbage!")
        child = MIDDLE.build()
        child.footer("uuid", bytes(16))
        report = self._repair(packed(entry("0.vhd", child), entry("1.vhd", image)))
        self._assert_sound([MIDDLE, BASE])
        self.assertIn("vhd.footer.checksum", {each.code for each in report.mendings})

    def test_a_loss_has_to_be_accepted(self) -> None:
        image = BASE.build()
        data = packed(Entry("0.vhd", bytes(image.data[:-MIB])))
        with self.assertRaisesRegex(NotReadyError, "lost or in doubt"):
            self._repair(data)
        self.assertFalse((self.scratch / "new.tgz").exists())
        report = self._repair(data, accept_loss=True)
        self.assertEqual(MIB - 512, report.lost_size)
        expected = bytearray(image.content())
        expected[6 * 2 * MIB - (MIB - 512) : 6 * 2 * MIB] = bytes(MIB - 512)
        self.assert_same_bytes(bytes(expected), self._content())

    @ddt.data(
        [Entry("README", b"x")],
        [entry("0.vhd", MIDDLE)],
        [entry("a.vhd", BASE), entry("b.vhd", BASE)],
        [entry("0.vhd", BASE), entry("1.vhd", BASE)],
        [entry("0.vhd", dataclasses.replace(MIDDLE, parent=b"\x02" * 16)), entry("5.vhd", BASE)],
    )
    def test_no_disk(self, entries: list[Entry]) -> None:
        with self.assertRaises(FormatError):
            self._repair(packed(*entries))
        self.assertFalse((self.scratch / "new.tgz").exists())

    def test_too_many_layers(self) -> None:
        links = [
            entry(
                f"{16 - number}.vhd",
                dataclasses.replace(MIDDLE, blocks={}, identity=bytes([number + 1]) * 16, parent=bytes([number]) * 16),
            )
            for number in range(1, 17)
        ]
        with self.assertRaisesRegex(UsageError, "has 17 layers"):
            self._repair(packed(*links, entry("16.vhd", BASE)))

    def test_dry_run(self) -> None:
        report = self._repair(packed(*BUNDLES["reversed"][0]), dry_run=True)
        self.assertIsNone(report.made)
        self.assertEqual([("1.vhd", "0.vhd"), ("0.vhd", "1.vhd")], [(e.old_name, e.name) for e in report.members])
        self.assertEqual(
            ("the order of the layers is that of their links; by their names it was another",), report.notes
        )
        self.assertEqual(["old.tgz"], [each.name for each in self.scratch.iterdir()])
