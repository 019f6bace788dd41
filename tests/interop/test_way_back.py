"""Bundles and chains back to what QEMU runs, held against qemu-img."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import subprocess
import sys

import ddt

from tests.base import TestCase
from tests.builders import bundle as build
from tests.builders import vhd
from tests.builders.bundle import Entry
from xenimage import api
from xenimage.exceptions import FormatError, UnsupportedError, UsageError
from xenimage.model.plan import BundleOptions, ConvertOptions, SourceOptions

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SECTOR, MIB = 512, 1 << 20


def chain_entries(*, reverse: bool = False) -> tuple[list[Entry], bytes]:
    """A leaf that is larger than its parents, over partial bitmaps, blocks in no order; and what it shows."""
    common = {"kind": vhd.DIFFERENCING, "parent": build.BASE_ID, "locators": vhd.blktap_locators("base.vhd")}
    base = vhd.Vhd(
        size=20 * MIB, blocks={3: range(4096), 0: range(4096), 5: range(9, 2000)}, identity=build.BASE_ID
    ).build()
    middle = vhd.Vhd(
        size=20 * MIB,
        blocks={5: range(100, 200), 1: [*range(8), *range(77, 1000)]},
        identity=build.CHILD_ID,
        seed=1,
        **common,
    ).build()
    leaf = vhd.Vhd(size=25 * MIB, blocks={12: range(4), 0: [0, 4095], 5: range(150, 160)}, seed=2, **common).build()
    content = leaf.content(middle.content(base.content()).ljust(26 * MIB, b"\0"))[: 25 * MIB]
    entries = [Entry(f"{number}.vhd", bytes(each.data)) for number, each in enumerate((leaf, middle, base))]
    return entries[::-1] if reverse else entries, content


class WayBackTestCase(TestCase):
    def file(self, name: str, content: bytes) -> str:
        path = self.scratch / name
        path.write_bytes(content)
        return str(path)

    def convert(self, source: str, form: str, **wishes: object) -> pathlib.Path:
        output = self.scratch / f"out.{form}"
        options = ConvertOptions(
            source=SourceOptions(path=source),
            output=str(output),
            format=form,
            force=True,
            **wishes,  # type: ignore[arg-type]
        )
        api.convert_disk(options)
        return output

    def read(self, path: pathlib.Path, form: str) -> bytes:
        """The content of an image in the eyes of QEMU."""
        raw = self.scratch / "read.raw"
        self.run_tool("qemu-img", "convert", "-f", form, "-O", "raw", path, raw)
        return raw.read_bytes()


@ddt.ddt
class BundleTest(WayBackTestCase):
    @ddt.data("raw", "qcow2", "vmdk")
    def test_a_chain_is_flattened(self, form):
        entries, content = chain_entries()
        output = self.convert(self.file("x.tgz", build.packed(*entries)), form)
        self.assert_same_bytes(content, self.read(output, form))

    @ddt.data("raw", "qcow2")
    def test_a_chain_in_another_order(self, form):
        entries, content = chain_entries(reverse=True)
        output = self.convert(self.file("x.tgz", build.packed(*entries)), form)
        self.assert_same_bytes(content, self.read(output, form))

    def test_a_fixed_vhd(self):
        entries, content = chain_entries()
        output = self.convert(self.file("x.tgz", build.packed(*entries)), "vhd", subformat="fixed")
        self.assert_same_bytes(content, self.read(output, "vpc"))

    @ddt.data("raw", "qcow2")
    def test_blocks_out_of_order(self, form):
        image = vhd.Vhd(size=30 * MIB, blocks={9: range(4096), 2: range(40), 14: range(2000), 0: range(4096)}).build()
        output = self.convert(self.file("x.tgz", build.zipped(bytes(image.data))), form)
        self.assert_same_bytes(image.content(), self.read(output, form))

    def test_a_size_that_geometry_would_shorten(self):
        size = 100 * MIB - 3 * SECTOR
        image = vhd.Vhd(size=size, blocks={49: range(4000)}).build()
        output = self.convert(self.file("x.tgz", build.zipped(bytes(image.data))), "raw")
        self.assertEqual(size, output.stat().st_size)
        self.assert_same_bytes(image.content()[:size], output.read_bytes())

    def test_damage_at_the_end_leaves_nothing(self):
        packed = bytearray(build.zipped(bytes(build.image().data)))
        packed[-6] ^= 1
        for form in ("raw", "qcow2", "vmdk"):
            with self.assertRaisesRegex(FormatError, "CRC"):
                self.convert(self.file("x.tgz", bytes(packed)), form)
        self.assertEqual(["x.tgz"], os.listdir(self.scratch))


@ddt.ddt
class PipeTest(WayBackTestCase):
    def pipe(self, data: bytes, form: str) -> tuple[pathlib.Path, subprocess.CompletedProcess[bytes]]:
        output = self.scratch / "piped" / f"out.{form}"  # a VMDK holds its own name
        output.parent.mkdir()
        command = [sys.executable, "-m", "xenimage", "disk", "convert", "-", str(output), "--format", form]
        done = subprocess.run(command, input=data, capture_output=True, check=False, cwd=ROOT)
        return output, done

    @ddt.data("raw", "qcow2", "vmdk", "vhd")
    def test_a_single_vhd(self, form):
        data = build.zipped(bytes(build.image().data))
        output, done = self.pipe(data, form)
        self.assertEqual(0, done.returncode, done.stderr)
        self.assert_same_bytes(self.convert(self.file("x.tgz", data), form).read_bytes(), output.read_bytes())

    def test_a_chain(self):
        entries, content = chain_entries()
        output, done = self.pipe(build.packed(*entries), "raw")
        self.assertEqual(0, done.returncode, done.stderr)
        self.assert_same_bytes(content, output.read_bytes())

    @ddt.data(("raw", True), ("qcow2", False))
    @ddt.unpack
    def test_what_needs_a_file_says_so(self, form, reverse):
        entries, _ = chain_entries(reverse=reverse)
        output, done = self.pipe(build.packed(*entries), form)
        self.assertEqual(UnsupportedError.exit_code, done.returncode)
        self.assertIn(b"standard input: cannot be read from its start to its end", done.stderr)
        self.assertIn(b"Save it to a file first", done.stderr)
        self.assertFalse(output.exists())


class LayersTest(WayBackTestCase):
    def layers(self, source: SourceOptions, **wishes: object) -> api.LayersReport:
        options = ConvertOptions(
            source=source,
            output=str(self.scratch / "layers"),
            format="qcow2",
            layers=True,
            **wishes,  # type: ignore[arg-type]
        )
        return api.convert_layers(options)

    def test_a_bundle(self):
        entries, content = chain_entries()
        report = self.layers(SourceOptions(path=self.file("x.tgz", build.packed(*entries))))
        names = [os.path.basename(layer.path) for layer in report.layers]
        self.assertEqual(["leaf.qcow2", "layer1.qcow2", "base.qcow2"], names)
        for name in names:
            self.run_tool("qemu-img", "check", f"layers/{name}")
        self.assert_same_bytes(content, self.read(self.scratch / "layers/leaf.qcow2", "qcow2"))
        for number, name in ((1, "layer1"), (2, "base")):
            rest = [dataclasses.replace(entry, name=f"{n}.vhd") for n, entry in enumerate(entries[number:])]
            expected = self.convert(self.file(f"{number}.tgz", build.packed(*rest)), "raw").read_bytes()
            self.assert_same_bytes(expected, self.read(self.scratch / f"layers/{name}.qcow2", "qcow2"))

    def test_snapshots(self):
        disk = self.scratch / "disk.qcow2"
        self.run_tool("qemu-img", "create", "-q", "-f", "qcow2", disk, "30M")
        for number in (1, 2):
            self.run_tool("qemu-io", "-f", "qcow2", "-c", f"write -P {number} {number}M 3M", disk)
            self.run_tool("qemu-img", "snapshot", "-c", f"s{number}", disk)
        self.run_tool("qemu-io", "-f", "qcow2", "-c", "write -z 2M 1M", "-c", "write -P 9 12345k 1k", disk)
        self.layers(SourceOptions(path=str(disk), snapshots=("all",)), compression="zlib")
        self.run_tool("qemu-img", "compare", disk, "layers/leaf.qcow2")
        for name, snapshot in (("base", "s1"), ("layer1", "s2")):
            self.run_tool("qemu-img", "check", f"layers/{name}.qcow2")
            self.run_tool("qemu-img", "convert", "-l", f"snapshot.name={snapshot}", "-O", "raw", disk, "snapshot.raw")
            self.run_tool("qemu-img", "compare", "snapshot.raw", f"layers/{name}.qcow2")

    def test_there_and_back(self):
        self.run_tool("qemu-img", "create", "-q", "-f", "qcow2", "base.qcow2", "20M")
        self.run_tool("qemu-io", "-c", "write -P 1 0 6M", "base.qcow2")
        self.run_tool("qemu-img", "create", "-q", "-f", "qcow2", "-b", "base.qcow2", "-F", "qcow2", "leaf.qcow2", "26M")
        self.run_tool("qemu-io", "-c", "write -z 1M 1M", "-c", "write -P 2 25M 5k", "leaf.qcow2")
        source = SourceOptions(path=str(self.scratch / "leaf.qcow2"), follow=str(self.scratch))
        bundle = str(self.scratch / "x.tgz")
        api.create_bundle(BundleOptions(source=source, output=bundle, chain=True))
        self.layers(SourceOptions(path=bundle), cluster_size=4096)
        for name in ("leaf", "base"):
            self.run_tool("qemu-img", "compare", f"{name}.qcow2", f"layers/{name}.qcow2")

    def test_a_chain_of_one(self):
        with self.assertRaisesRegex(UsageError, "has no layers"):
            self.layers(SourceOptions(path=self.file("x.tgz", build.zipped(bytes(build.image().data)))))
        self.assertFalse((self.scratch / "layers").exists())

    def test_damage_leaves_nothing(self):
        entries, _ = chain_entries()
        packed = bytearray(build.packed(*entries))
        packed[len(packed) // 2] ^= 0xFF
        with self.assertRaises(FormatError):
            self.layers(SourceOptions(path=self.file("x.tgz", bytes(packed))))
        self.assertFalse((self.scratch / "layers").exists())
