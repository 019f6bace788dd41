"""Chains made by other programs, kept layer by layer: what each layer shows is what ``qemu-img`` says of its source.

Members are unpacked by ``tar``, put together by the tests' own reader of VHDs, and judged by ``xenimage-vhd-util`` as
the consumers have it done.
"""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import ddt

from tests.base import TestCase
from tests.builders import vhd as builder
from tests.builders import vmdk
from tests.builders.pattern import pattern
from tests.fakes.vhd_util import BLOCK, Vhd, contents
from xenimage import api
from xenimage.model.plan import BundleOptions, Compression, SourceOptions
from xenimage.model.report import Verdict

MIB = 1 << 20
SIZE = 10 * MIB
PROFILES = ("nova-xenapi", "cinder")


def padded(content: bytes) -> bytes:
    return content.ljust(-(-len(content) // BLOCK) * BLOCK, b"\0")


class ChainTestCase(TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.bundle = self.scratch / "chain.tgz"

    def raw(self, name: str = "base.raw", size: int = SIZE) -> str:
        """Data, a hole, data."""
        path = self.scratch / name
        with path.open("wb") as stream:
            stream.write(pattern(0, 3 * MIB, 1))
            stream.seek(size - MIB)
            stream.write(pattern(size - MIB, MIB, 1))
        return name

    def qcow2(self, name: str, backing: str, *commands: str, options: str = "", size: int = SIZE) -> str:
        words = ["-o", options] if options else []
        kind = backing.rpartition(".")[2]
        self.run_tool("qemu-img", "create", "-q", "-f", "qcow2", *words, "-b", backing, "-F", kind, name, str(size))
        self.io(name, *commands)
        return name

    def io(self, name: str, *commands: str) -> None:
        self.run_tool("qemu-io", "-f", "qcow2", *[word for command in commands for word in ("-c", command)], name)

    def shown(self, name: str, kind: str = "qcow2", *options: str) -> bytes:
        """What qemu-img shows of a disk over its parents."""
        self.run_tool("qemu-img", "convert", "-f", kind, "-O", "raw", *options, name, "shown.raw")
        return (self.scratch / "shown.raw").read_bytes()

    def create(self, path: str, *backing: str, **wishes: object) -> api.BundleReport:
        source = {name: wishes.pop(name) for name in ("follow", "snapshots", "snapshot") if name in wishes}
        options = SourceOptions(
            path=str(self.scratch / path), backing=tuple(str(self.scratch / name) for name in backing), **source
        )
        values = {"chain": True, "verify": True, "force": True, **wishes}
        return api.create_bundle(BundleOptions(source=options, output=str(self.bundle), **values))  # type: ignore[arg-type]

    def unpack(self) -> list[Vhd]:
        """The members, the leaf first, as tar puts them into ``members``."""
        directory = self.scratch / "members"
        directory.mkdir(exist_ok=True)
        for old in directory.iterdir():
            old.unlink()
        self.run_tool("tar", "-zxf", self.bundle, "-C", directory)
        names = [f"{number}.vhd" for number in range(len(os.listdir(directory)))]
        return [Vhd((directory / name).read_bytes(), name) for name in names]

    def vhd_util(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "xenimage.vhdutil", *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.scratch / "members",
            env={**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parents[2])},
        )
        self.assertEqual(0, done.returncode, f"{words}: {done.stdout}{done.stderr}")
        return done.stdout

    def assert_sound(self, *layers: bytes) -> list[Vhd]:
        """The bundle is sound for everyone, its members are linked, and show *layers*, the leaf first."""
        for profile in PROFILES:
            report = api.check_bundle(str(self.bundle), profile=profile)
            self.assertIs(Verdict.SOUND, report.verdict, report.findings)
        chain = self.unpack()
        self.assertEqual(len(layers), len(chain))
        for disk, below in zip(chain, [*chain[1:], None], strict=True):
            disk.check()
            self.assertEqual(4 if below else 3, disk.footer["type"])
            self.assertEqual(below.footer["uuid"] if below else bytes(16), disk.header["parent_uuid"])
            name = below.name.encode("utf-16-be") if below else b""
            self.assertEqual(name.ljust(512, b"\0"), disk.header["parent_name"])
        self.assertEqual([0] + [1] * (len(chain) - 1), [disk.footer["hidden"] for disk in chain])
        self.assertEqual(len(chain), len({disk.footer["uuid"] for disk in chain}))
        for number, (wanted, found) in enumerate(zip(layers, contents(chain), strict=True)):
            with self.subTest(layer=number):
                self.assert_same_bytes(padded(wanted), found)
        self.assertEqual(
            len(chain),
            sum(line.endswith(" is valid") for line in self.vhd_util("check", "-n", "0.vhd", "-p").split("\n")),
        )
        return chain


WAYS = (
    {},
    {"dedup_parent": True},
    {"whole_blocks": True},
    {"dedup_parent": True, "whole_blocks": True},
    {"compression": Compression.STORE, "jobs": 1},
)


@ddt.ddt
class Qcow2Test(ChainTestCase):
    WRITES = ("write -P 2 100k 30k", "write -z 1M 64k", "write -z 5M 128k", "write -P 3 6M 512", "write -c -P 4 7M 64k")

    @ddt.data(*WAYS)
    def test_an_overlay_over_a_raw_base(self, way):
        base = self.raw()
        leaf = self.qcow2("leaf.qcow2", base, *self.WRITES)
        report = self.create(leaf, base, **way)
        child, _ = self.assert_sound(self.shown(leaf), (self.scratch / base).read_bytes())
        self.assertEqual(["0.vhd", "1.vhd"], [layer.name for layer in report.layers])
        if way.get("whole_blocks"):
            self.assertEqual({b"\xff" * 512}, {bitmap for _, _, bitmap in child.stored()})
            self.assertEqual(0, report.layers[0].partial)
            self.assertGreater(report.layers[0].completed_size, 0)
        else:
            self.assertEqual([0, 3], [block for block, _, _ in child.stored()])
            self.assertEqual(2, report.layers[0].partial)

    def test_its_bits_are_the_clusters_that_were_written(self):
        base = self.raw()
        leaf = self.qcow2("leaf.qcow2", base, *self.WRITES)
        self.create(leaf, base)
        child = self.unpack()[0]
        found = bin(child.present())[2:].zfill(SIZE // 512)
        held = {number // 128 for number, bit in enumerate(found) if bit == "1"}
        # 64 KiB each: 100 KiB, 1 MiB (zeros over data), 6 MiB, 7 MiB; not 5 MiB, zeros over a hole.
        self.assertEqual({1, 2, 16, 96, 112}, held)
        self.assertEqual(5 * 128, found.count("1"))

    def test_dedup_leaves_out_what_is_the_same(self):
        base = self.raw()
        same = self.scratch / "same"
        same.write_bytes(pattern(65536, 65536, 1))
        leaf = self.qcow2("leaf.qcow2", base, "write -s same 64k 64k", "write -P 5 70k 512", "write -s same 1M 64k")
        self.create(leaf, base)
        self.assertEqual(256, self.unpack()[0].present().bit_count())
        self.create(leaf, base, dedup_parent=True)
        child, _ = self.assert_sound(self.shown(leaf), (self.scratch / base).read_bytes())
        self.assertEqual(1 + 128, child.present().bit_count())

    @ddt.data("cluster_size=512", "cluster_size=2M", "extended_l2=on", "compat=0.10", "compression_type=zstd")
    def test_images_of_all_kinds(self, options):
        base = self.raw()
        middle = self.qcow2("middle.qcow2", base, "write -P 2 1k 3k", "write -c -P 3 2M 2M", options=options)
        leaf = self.qcow2("leaf.qcow2", middle, "write -P 4 2000k 100k", "write -P 5 9M 1M", options=options)
        self.create(leaf, middle, base)
        self.assert_sound(self.shown(leaf), self.shown(middle), (self.scratch / base).read_bytes())

    def test_each_larger_than_the_one_below(self):
        base = self.raw(size=5 * MIB + 512)
        middle = self.qcow2("middle.qcow2", base, "write -P 2 5M 1M", "write -z 6M 1M", size=7 * MIB)
        leaf = self.qcow2("leaf.qcow2", middle, "write -P 3 8M 64k", "write -z 5M 2M", size=9 * MIB)
        for way in WAYS:
            report = self.create(leaf, middle, base, **way)
            self.assert_sound(self.shown(leaf), self.shown(middle), (self.scratch / base).read_bytes())
            self.assertEqual([10 * MIB, 8 * MIB, 6 * MIB], [layer.virtual_size for layer in report.plan.layers])

    def test_a_leaf_that_grows(self):
        base = self.raw()
        leaf = self.qcow2("leaf.qcow2", base, "write -P 2 9M 1M")
        self.create(leaf, base, size=20 * MIB)
        self.assert_sound(self.shown(leaf).ljust(20 * MIB, b"\0"), (self.scratch / base).read_bytes())

    def test_an_overlay_that_holds_nothing(self):
        base = self.raw()
        leaf = self.qcow2("leaf.qcow2", base, "read 0 512")
        self.create(leaf, base)
        child, _ = self.assert_sound(self.shown(leaf), (self.scratch / base).read_bytes())
        self.assertEqual(3584 + 1536, len(child.data))

    def test_parents_that_are_looked_up(self):
        base = self.raw()
        middle = self.qcow2("middle.qcow2", base, "write -P 2 0 1M")
        leaf = self.qcow2("leaf.qcow2", middle, "write -P 3 512k 64k")
        self.create(leaf, middle, base)
        given = self.bundle.read_bytes()
        report = self.create(leaf, follow=str(self.scratch))
        self.assertEqual(["leaf.qcow2", middle, base], [os.path.basename(layer.path) for layer in report.plan.layers])
        self.assert_same_bytes(given, self.bundle.read_bytes())


@ddt.ddt
class SnapshotTest(ChainTestCase):
    """Internal snapshots as layers below the disk."""

    def image(self, options: str = "", backing: str = "") -> dict[str, bytes]:
        """An image with three snapshots; what qemu shows of each, and of the image itself."""
        words = ["-o", options] if options else []
        words += ["-b", backing, "-F", "raw"] if backing else []
        self.run_tool("qemu-img", "create", "-q", "-f", "qcow2", *words, "disk.qcow2", str(SIZE))
        steps = {
            "one": ("write -P 1 0 3M", "write -P 2 4M 2M", "write -c -P 8 9M 64k"),
            "two": ("write -P 3 100k 70k", "write -z 4M 64k", "discard 5M 128k"),
            "three": ("write -P 4 100k 5k", "write -P 1 1M 64k", "write -P 5 8M 1M", "write -P 9 9M 4k"),
        }
        for name, commands in steps.items():
            self.io("disk.qcow2", *commands)
            self.run_tool("qemu-img", "snapshot", "-c", name, "disk.qcow2")
        self.io("disk.qcow2", "write -P 6 2M 512", "write -z 8M 512k")
        shown = {name: self.shown("disk.qcow2", "qcow2", "-l", f"snapshot.name={name}") for name in steps}
        return {"": self.shown("disk.qcow2"), **shown}

    @ddt.data("", "cluster_size=4k", "extended_l2=on", "extended_l2=on,cluster_size=16k", "compat=0.10")
    def test_all_of_them(self, options):
        shown = self.image(options)
        for way in WAYS:
            self.create("disk.qcow2", snapshots=("all",), **way)
            self.assert_sound(shown[""], shown["three"], shown["two"], shown["one"])

    def test_layers_hold_what_changed_and_no_more(self):
        self.image()
        self.create("disk.qcow2", snapshots=("all",))
        leaf, three, two, _ = self.unpack()
        # Clusters of 64 KiB: 512 bytes at 2 MiB, 512 KiB of zeros; 5 KiB at 100 KiB, 64 KiB, 1 MiB, 4 KiB at 9 MiB;
        # 70 KiB at 100 KiB, zeros, a discard.
        self.assertEqual((1 + 8) * 128, leaf.present().bit_count())
        self.assertEqual((1 + 1 + 16 + 1) * 128, three.present().bit_count())
        self.assertEqual((2 + 1 + 2) * 128, two.present().bit_count())

    def test_some_of_them(self):
        shown = self.image()
        self.create("disk.qcow2", snapshots=("three", "1"))
        self.assert_sound(shown[""], shown["three"], shown["one"])
        self.create("disk.qcow2", snapshots=("2",))
        self.assert_sound(shown[""], shown["two"])

    def test_below_a_snapshot(self):
        shown = self.image()
        self.create("disk.qcow2", snapshot="three", snapshots=("all",))
        self.assert_sound(shown["three"], shown["two"], shown["one"])

    def test_over_a_parent(self):
        base = self.raw()
        shown = self.image(backing=base)
        for way in WAYS:
            self.create("disk.qcow2", base, snapshots=("all",), **way)
            content = (self.scratch / base).read_bytes()
            self.assert_sound(shown[""], shown["three"], shown["two"], shown["one"], content)

    def test_an_image_that_went_back(self):
        """After ``snapshot -a`` the image holds less than its newest snapshot."""
        base = self.raw()
        for backing in ("", base):
            shown = self.image(backing=backing)
            self.run_tool("qemu-img", "snapshot", "-a", "one", "disk.qcow2")
            self.create("disk.qcow2", *([base] if backing else []), snapshots=("all",))
            content = [(self.scratch / base).read_bytes()] if backing else []
            self.assert_sound(shown["one"], shown["three"], shown["two"], shown["one"], *content)
            (self.scratch / "disk.qcow2").unlink()


@ddt.ddt
class VhdTest(ChainTestCase):
    """VHDs that blktap wrote to: bitmaps of some sectors."""

    def members(self) -> list[str]:
        """A chain of three that we made, unpacked."""
        base = self.raw()
        middle = self.qcow2("middle.qcow2", base, "write -P 2 100k 30k", "write -P 3 2M 2M")
        leaf = self.qcow2("leaf.qcow2", middle, "write -P 4 120k 30k")
        self.create(leaf, middle, base)
        self.unpack()
        return ["members/0.vhd", "members/1.vhd", "members/2.vhd"]

    def write(self, name: str, block: int, sectors: range, value: int) -> None:
        """Write sectors of a stored block as tapdisk does: data, then the bits of the bitmap."""
        path = self.scratch / name
        data = bytearray(path.read_bytes())
        start = Vhd(bytes(data)).table()[block] * 512
        for sector in sectors:
            data[start + 512 + sector * 512 : start + 1024 + sector * 512] = bytes([value]) * 512
            data[start + (sector >> 3)] |= 0x80 >> (sector & 7)
        path.write_bytes(data)

    @ddt.data(*WAYS)
    def test_a_chain_of_three_that_was_written_to(self, way):
        names = self.members()
        self.write(names[0], 0, range(1, 2), 0x61)
        self.write(names[0], 0, range(4090, 4096), 0x62)
        self.write(names[1], 0, range(7, 18), 0x63)
        layers = contents([Vhd((self.scratch / name).read_bytes()) for name in names])
        self.assertEqual(b"\x61" * 512 + b"\x63" * 512, layers[0][512:1024] + layers[0][7 * 512 : 8 * 512])
        self.create(*names, **way)
        chain = self.assert_sound(*layers)
        if not way or "jobs" in way:
            # 128 sectors a cluster: 120..150 KiB (two), 100..130 KiB (two), and what was written beside them.
            self.assertEqual(256 + 1 + 6, chain[0].present().bit_count())
            self.assertEqual(256 + 4096 + 11, chain[1].present().bit_count())

    def test_an_unaltered_chain_comes_back_as_it_was(self):
        names = self.members()
        before = [(self.scratch / name).read_bytes() for name in names]
        self.create(*names)
        self.assertEqual(before, [disk.data for disk in self.unpack()])

    def test_a_bundle_is_a_chain(self):
        self.members()
        first = self.scratch / "first.tgz"
        os.rename(self.bundle, first)
        layers = contents(self.unpack_other(first))
        for way in WAYS:
            self.create("first.tgz", **way)
            self.assert_sound(*layers)

    def unpack_other(self, path: pathlib.Path) -> list[Vhd]:
        kept, self.bundle = self.bundle, path
        chain = self.unpack()
        self.bundle = kept
        return chain

    def test_found_by_their_names(self):
        names = self.members()
        layers = contents([Vhd((self.scratch / name).read_bytes()) for name in names])
        self.create(names[0], follow=str(self.scratch / "members"))
        self.assert_sound(*layers)

    def test_what_coalesce_makes_of_it(self):
        """As Cinder does: leaf into parent, parent into base; the base is then the disk."""
        base = self.raw(size=6 * MIB)
        middle = self.qcow2("middle.qcow2", base, "write -P 2 100k 30k", "write -z 1M 1M", size=6 * MIB)
        leaf = self.qcow2("leaf.qcow2", middle, "write -P 4 120k 30k", "write -P 5 7M 64k", size=9 * MIB)
        self.create(leaf, middle, base)
        self.unpack()
        for child, parent in (("0.vhd", "1.vhd"), ("1.vhd", "2.vhd")):
            self.vhd_util("modify", "-n", child, "-p", parent)
        for child, parent in (("0.vhd", "1.vhd"), ("1.vhd", "2.vhd")):
            size = self.vhd_util("query", "-n", child, "-v").strip()
            self.vhd_util("resize", "-n", parent, "-s", size, "-j", "journal")
            self.vhd_util("coalesce", "-n", child)
        merged = Vhd((self.scratch / "members" / "2.vhd").read_bytes())
        self.assert_same_bytes(padded(self.shown(leaf)), merged.content())

    def test_a_child_by_hand_over_a_base_of_qemu(self):
        """Of other kinds, and not by uuid: a VHD of qemu's below one that names its uuid."""
        base = builder.Vhd(size=SIZE, blocks={0: range(9, 300), 4: range(4096)}, identity=b"b" * 16, seed=1).build()
        leaf = builder.Vhd(
            size=SIZE,
            kind=builder.DIFFERENCING,
            blocks={1: [0, 7], 4: [4095]},
            parent=b"b" * 16,
            locators=builder.blktap_locators("base.vhd"),
            junk=b"\xee",
            seed=2,
        ).build()
        (self.scratch / "base.vhd").write_bytes(base.data)
        (self.scratch / "leaf.vhd").write_bytes(leaf.data)
        for way in WAYS:
            self.create("leaf.vhd", "base.vhd", **way)
            self.assert_sound(leaf.content(base.content()), base.content())


@ddt.ddt
class VmdkTest(ChainTestCase):
    def chain(self) -> tuple[list[str], list[bytes]]:
        """A monolithicSparse base and a delta link of it, by the tests' own maker; what they show."""
        capacity, grain = SIZE // 512, 65536
        below = vmdk.some_grains(range(40), seed=1)
        above = {**vmdk.some_grains([3, 4, 39, 100], seed=2), 5: None}
        text = vmdk.descriptor("monolithicSparse", [f'RW {capacity} SPARSE "base.vmdk"'], cid="11111111")
        (self.scratch / "base.vmdk").write_bytes(vmdk.monolithic(below, capacity, text=text).data)
        text = vmdk.descriptor(
            "monolithicSparse", [f'RW {capacity} SPARSE "leaf.vmdk"'], parent="11111111", hint="base.vmdk"
        )
        (self.scratch / "leaf.vmdk").write_bytes(vmdk.monolithic(above, capacity, text=text, zeroed=True).data)
        base = vmdk.flat_content(below, capacity)
        leaf = bytearray(base)
        for number, content in above.items():
            leaf[number * grain : (number + 1) * grain] = content or bytes(grain)
        return ["leaf.vmdk", "base.vmdk"], [bytes(leaf), base]

    @ddt.data(*WAYS)
    def test_a_delta_link(self, way):
        names, layers = self.chain()
        self.create(*names, **way)
        self.assert_sound(*layers)

    def test_qemu_shows_the_base_alike(self):
        names, layers = self.chain()
        self.assert_same_bytes(layers[1], self.shown(names[1], "vmdk"))

    def test_followed(self):
        names, layers = self.chain()
        self.create(names[0], follow=str(self.scratch))
        self.assert_sound(*layers)


class MixedTest(ChainTestCase):
    """Layers of several formats: all that counts is what each holds."""

    def test_a_qcow2_with_snapshots_over_one_over_a_vhd(self):
        self.run_tool("qemu-img", "create", "-q", "-f", "raw", "seed.raw", str(SIZE))
        (self.scratch / "seed.raw").write_bytes(pattern(0, SIZE, 3))
        self.run_tool(
            "qemu-img", "convert", "-O", "vpc", "-o", "force_size=on,subformat=dynamic", "seed.raw", "base.vhd"
        )
        self.run_tool(
            "qemu-img", "create", "-q", "-f", "qcow2", "-b", "base.vhd", "-F", "vpc", "middle.qcow2", str(SIZE)
        )
        self.io("middle.qcow2", "write -P 1 1M 1M")
        leaf = self.qcow2("leaf.qcow2", "middle.qcow2", "write -P 2 1500k 1M")
        self.run_tool("qemu-img", "snapshot", "-c", "before", leaf)
        self.io(leaf, "write -z 4M 100k")
        before = self.shown(leaf, "qcow2", "-l", "snapshot.name=before")
        layers = [self.shown(leaf), before, self.shown("middle.qcow2"), pattern(0, SIZE, 3)]
        for way in WAYS:
            self.create(leaf, "middle.qcow2", "base.vhd", snapshots=("all",), **way)
            self.assert_sound(*layers)

    def test_a_bundle_as_the_base(self):
        """It stands in a deflated stream: read by one thread, in order."""
        base = self.raw()
        api.create_bundle(
            BundleOptions(source=SourceOptions(path=str(self.scratch / base)), output=str(self.scratch / "base.tgz"))
        )
        leaf = self.qcow2("leaf.qcow2", base, "write -P 2 1500k 1M", "write -z 3M 512")
        for way in WAYS:
            self.create(leaf, "base.tgz", **way)
            self.assert_sound(self.shown(leaf), (self.scratch / base).read_bytes())


class FormTest(ChainTestCase):
    """The same bytes whichever way they are made."""

    def chain(self) -> tuple[str, ...]:
        base = self.raw()
        middle = self.qcow2("middle.qcow2", base, "write -P 2 100k 30k", "write -z 3M 1M")
        return self.qcow2("leaf.qcow2", middle, "write -P 3 110k 3k", "write -P 4 9M 1M"), middle, base

    def test_by_any_number_of_threads(self):
        names = self.chain()
        for way in ({}, {"dedup_parent": True}, {"whole_blocks": True}):
            made = set()
            for jobs in (1, 2, 7):
                self.create(*names, jobs=jobs, **way)
                made.add(self.bundle.read_bytes())
            self.assertEqual(1, len(made))

    def test_to_a_pipe(self):
        leaf, middle, base = self.chain()
        for options in ([], ["--dedup-parent"], ["--whole-blocks"]):
            words = ["bundle", "create", leaf, "--backing", middle, "--backing", base, "--chain", *options]
            told = []
            for output in ("file.tgz", "-"):
                done = subprocess.run(
                    [sys.executable, "-m", "xenimage", *words, "--output", output, "-f", "json"],
                    capture_output=True,
                    check=False,
                    cwd=self.scratch,
                    env={**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parents[2])},
                )
                self.assertEqual(0, done.returncode, done.stderr)
                told.append(done)
            self.assert_same_bytes((self.scratch / "file.tgz").read_bytes(), told[1].stdout)
            (self.scratch / "file.tgz").unlink()
            layers = [json.loads(text)["layers"] for text in (told[0].stdout, told[1].stderr)]
            self.assertEqual(layers[0], layers[1])

    def test_the_uuid_of_a_child_depends_on_its_parent(self):
        names = self.chain()
        before = [layer.uuid for layer in self.create(*names).layers]
        self.assertEqual(before, [layer.uuid for layer in self.create(*names).layers])
        with (self.scratch / names[2]).open("r+b") as stream:
            stream.write(b"changed")
        after = [layer.uuid for layer in self.create(*names).layers]
        self.assertEqual([], [uuid for uuid in before if uuid in after])
        self.io(names[0], "write -P 9 9M 512")
        last = [layer.uuid for layer in self.create(*names).layers]
        self.assertEqual(after[1:], last[1:])
        self.assertNotEqual(after[0], last[0])

    def test_times_are_those_of_the_parents_files(self):
        when = 1_700_000_000
        self.create(*self.chain(), timestamp=when)
        chain = self.unpack()
        listed = self.run_tool("tar", "-tvzf", self.bundle, "--full-time", "--utc")
        self.assertEqual(3, listed.count("2023-11-14 22:13:20"))
        self.assertEqual([when - 946684800] * 2 + [0], [disk.header["parent_time"] for disk in chain])
        self.assertEqual([when] * 3, [int((self.scratch / "members" / disk.name).stat().st_mtime) for disk in chain])

    def test_a_source_that_changes_between_the_passes(self):
        """A pipe is told first what follows; other blocks than that would make a disk of garbage."""
        leaf, middle, base = self.chain()
        code = (
            "import sys\n"
            "from xenimage.cli.app import main\n"
            "from xenimage.engine import runner\n"
            "real = runner._uuids\n"
            "def changed(plan, members):\n"
            "    with open('base.raw', 'r+b') as stream:\n"
            "        stream.write(bytes(3 << 20))\n"
            "    return real(plan, members)\n"
            "runner._uuids = changed\n"
            "sys.exit(main(sys.argv[1:]))\n"
        )
        words = ["bundle", "create", leaf, "--backing", middle, "--backing", base, "--chain", "--output", "-"]
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            capture_output=True,
            text=False,
            check=False,
            cwd=self.scratch,
            env={**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parents[2])},
        )
        self.assertEqual(7, done.returncode, done.stderr)
        self.assertIn(b"the source changed while it was read", done.stderr)
