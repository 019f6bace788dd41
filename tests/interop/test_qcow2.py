"""The qcow2 reader against the real qemu-img and qemu-io: what they write, we read; what they say, we say."""

from __future__ import annotations

import functools
import json
import subprocess

import ddt

from tests.base import TestCase
from tests.builders.pattern import pattern
from tests.builders.qcow2 import Image, State, Taken
from xenimage.exceptions import UnsafeError, UnsupportedError
from xenimage.formats.overlay import Overlay
from xenimage.formats.qcow2 import open_qcow2
from xenimage.limits import STRICT
from xenimage.model.extent import Kind
from xenimage.sources.file import open_file

MIB = 1 << 20
SIZE = 6 * MIB + 5 * 512

# What qemu-img create -o is asked for.
CREATED = (
    "cluster_size=512",
    "cluster_size=4k",
    "cluster_size=64k",
    "cluster_size=2M",
    "compat=0.10",
    "compat=0.10,cluster_size=512",
    "lazy_refcounts=on",
    "refcount_bits=1",
    "preallocation=metadata",
    "preallocation=falloc",
    "preallocation=full",
    "extended_l2=on",
    "extended_l2=on,cluster_size=16k",
    "extended_l2=on,cluster_size=2M",
    "extended_l2=on,preallocation=metadata",
)
CONVERTED = ("", "cluster_size=512", "cluster_size=4k", "cluster_size=2M", "compat=0.10", "extended_l2=on")
PACKED = (
    "cluster_size=512",
    "cluster_size=4k",
    "cluster_size=64k",
    "cluster_size=2M",
    "compat=0.10",
    "compat=0.10,cluster_size=1k",
    "compression_type=zstd",
    "compression_type=zstd,cluster_size=4k",
    "compression_type=zstd,cluster_size=2M",
    "extended_l2=on",
    "extended_l2=on,compression_type=zstd",
)

# qemu-io: writes of all sizes, over the borders of clusters, zeros with and without space, discards.
WRITES = (
    "write -P 0x11 0 64k",
    "write -P 0x22 100k 300k",
    "write -P 0x33 1000k 3k",
    "write -z 120k 70k",
    "write -z -u 256k 128k",
    "discard 64k 64k",
    "write -P 0x44 3M 2M",
    "write -z 3500k 700k",
    "discard 4M 128k",
    "write -P 0x55 6290944 1536",
    "write -c -P 0x66 2M 64k",
    "write -P 0x77 2080k 1k",
)


@functools.cache
def content():
    """Data, holes, and zeros that are stored."""
    tail = pattern(5 * MIB + 1024, 300_000) + bytes(70_000)
    return (pattern(0, 3 * MIB).ljust(5 * MIB + 1024, b"\0") + tail).ljust(SIZE, b"\0")


class QemuTestCase(TestCase):
    def content(self):
        """The content as a raw file with holes."""
        path = self.scratch / "content.raw"
        with path.open("wb") as stream:
            stream.write(content()[: 3 * MIB])
            stream.seek(5 * MIB + 1024)
            stream.write(content()[5 * MIB + 1024 :].rstrip(b"\0") + bytes(70_000))
            stream.truncate(SIZE)
        return path

    def create(self, name, options, *more):
        words = ["-o", options] if options else []
        self.run_tool("qemu-img", "create", "-q", "-f", "qcow2", *words, *more, name, str(SIZE))

    def io(self, name, *commands):
        self.run_tool("qemu-io", "-f", "qcow2", *[word for command in commands for word in ("-c", command)], name)

    def raw(self, name, *options):
        self.run_tool("qemu-img", "convert", "-f", "qcow2", "-O", "raw", *options, name, "out.raw")
        return (self.scratch / "out.raw").read_bytes()

    def open(self, name, **options):
        disk = open_qcow2(open_file(self.scratch / name), STRICT, **options)
        self.addCleanup(disk.close)
        return disk

    def read(self, disk, step=1 << 21):
        content = bytearray(disk.facts.virtual_size)
        view = memoryview(content)
        for offset in range(0, len(content), step):
            disk.read_into(offset, view[offset : offset + step])
        return bytes(content)

    def assert_same(self, found, wanted):
        """Compare without printing megabytes."""
        if found != wanted:
            self.assertEqual(len(wanted), len(found))
            place = next(index for index, (a, b) in enumerate(zip(found, wanted, strict=True)) if a != b)
            self.fail(f"differs from {place:#x} on: {found[place : place + 16]!r}, not {wanted[place : place + 16]!r}")

    def assert_map(self, disk, name):
        """What qemu-img calls present and not zero is data here, and the other way round."""
        text = self.run_tool("qemu-img", "map", "-f", "qcow2", "--output=json", name)
        covered = 0
        for part in json.loads(text):
            kinds = {extent.kind for extent in disk.extents(part["start"], part["length"])}
            if part["data"] and part["zero"]:
                # Clusters in holes of the file; the file system says how finely it knows them.
                self.assertLessEqual(kinds, {Kind.DATA, Kind.ZERO}, part)
            else:
                self.assertEqual({Kind.DATA} if part["data"] else kinds - {Kind.DATA}, kinds, part)
            if part["depth"] == 0 and part["zero"] and not part["data"] and not part.get("present", True):
                self.assertEqual({Kind.ABSENT}, kinds, part)
            covered += part["length"]
        self.assertEqual(disk.facts.virtual_size, covered)


@ddt.ddt
class QemuWritesTest(QemuTestCase):
    @ddt.data(*CONVERTED)
    def test_converted(self, options):
        self.run_tool("qemu-img", "convert", "-O", "qcow2", "-o", options or "compat=1.1", self.content(), "a.qcow2")
        disk = self.open("a.qcow2")
        self.assert_same(self.read(disk), content())
        self.assert_map(disk, "a.qcow2")

    @ddt.data(*PACKED)
    def test_compressed(self, options):
        self.run_tool("qemu-img", "convert", "-c", "-O", "qcow2", "-o", options, self.content(), "a.qcow2")
        disk = self.open("a.qcow2")
        self.assert_same(self.read(disk), content())
        self.assert_same(self.read(disk, 70_001), content())
        self.assert_map(disk, "a.qcow2")

    @ddt.data(*CREATED)
    def test_written_in_place(self, options):
        self.create("a.qcow2", options)
        self.assert_same(self.read(self.open("a.qcow2")), self.raw("a.qcow2"))
        # A compressed write takes whole clusters that nothing is stored in yet.
        packable = "preallocation" not in options and "2M" not in options
        self.io("a.qcow2", *[command for command in WRITES if packable or " -c " not in command])
        disk = self.open("a.qcow2")
        wanted = self.raw("a.qcow2")
        self.assert_same(self.read(disk), wanted)
        self.assert_same(self.read(disk, 33_333), wanted)
        self.assert_map(disk, "a.qcow2")

    @ddt.data("", "compat=0.10", "extended_l2=on", "cluster_size=4k")
    def test_snapshots(self, options):
        self.create("a.qcow2", options)
        states = {}
        for number, name in enumerate(("one", "two", "three"), 1):
            self.io("a.qcow2", f"write -P {number} {number * 300}k 500k", f"discard {number * 64}k 64k")
            self.run_tool("qemu-img", "snapshot", "-c", name, "a.qcow2")
            states[name] = self.raw("a.qcow2")
        self.io("a.qcow2", *WRITES)
        self.assert_same(self.read(self.open("a.qcow2")), self.raw("a.qcow2"))
        for name, wanted in states.items():
            disk = self.open("a.qcow2", snapshot=name)
            self.assert_same(self.read(disk), wanted)
            self.assertEqual(["one", "two", "three"], [snapshot.name for snapshot in disk.snapshots])
        self.assert_same(self.read(self.open("a.qcow2", snapshot="2")), states["two"])

    def test_a_snapshot_keeps_its_size(self):
        self.create("a.qcow2", "")
        self.io("a.qcow2", "write -P 1 0 6M")
        self.run_tool("qemu-img", "snapshot", "-c", "small", "a.qcow2")
        self.run_tool("qemu-img", "resize", "-q", "-f", "qcow2", "a.qcow2", "9M")
        self.assertEqual(9 * MIB, self.open("a.qcow2").facts.virtual_size)
        self.assertEqual(SIZE, self.open("a.qcow2", snapshot="small").facts.virtual_size)

    @ddt.data("", "extended_l2=on", "compat=0.10")
    def test_a_chain(self, options):
        self.run_tool("qemu-img", "convert", "-c", "-O", "qcow2", self.content(), "base.qcow2")
        self.create("middle.qcow2", options, "-b", "base.qcow2", "-F", "qcow2")
        self.io("middle.qcow2", *WRITES)
        self.create("leaf.qcow2", options, "-b", "middle.qcow2", "-F", "qcow2")
        self.run_tool("qemu-img", "resize", "-q", "-f", "qcow2", "leaf.qcow2", "8M")
        self.io("leaf.qcow2", "write -P 0x99 1M 100k", "write -z 2M 100k", "write -P 0xaa 7M 5k")
        leaf, middle = self.open("leaf.qcow2"), self.open("middle.qcow2")
        self.assertEqual(("middle.qcow2", "qcow2"), (leaf.facts.parent.name, leaf.facts.parent.format))
        chain = Overlay(leaf, Overlay(middle, self.open("base.qcow2")))
        self.assert_same(self.read(chain), self.raw("leaf.qcow2"))
        self.assert_same(self.read(chain, 99_999), self.raw("leaf.qcow2"))

    def test_facts_agree_with_qemu_img_info(self):
        self.create("a.qcow2", "lazy_refcounts=on,refcount_bits=64,cluster_size=128k,compression_type=zstd")
        info = json.loads(self.run_tool("qemu-img", "info", "--output=json", "a.qcow2"))
        disk = self.open("a.qcow2")
        special = info["format-specific"]["data"]
        details = dict(disk.facts.details)
        self.assertEqual(info["virtual-size"], disk.facts.virtual_size)
        self.assertEqual(info["cluster-size"], disk.facts.granularity)
        self.assertEqual(str(special["refcount-bits"]), details["refcount bits"])
        self.assertEqual(special["compression-type"], details["compression type"])
        self.assertEqual("yes" if special["lazy-refcounts"] else "no", details["lazy refcounts"])

    def test_an_empty_disk_of_size_0(self):
        self.run_tool("qemu-img", "create", "-q", "-f", "qcow2", "a.qcow2", "0")
        self.assertEqual(0, self.open("a.qcow2").facts.virtual_size)

    def test_an_external_data_file_is_refused(self):
        self.create("a.qcow2", "data_file=a.data")
        disk = self.open("a.qcow2")
        self.assertIsInstance(disk.unreadable(), UnsafeError)
        self.assertIn(("external data file", "a.data"), disk.facts.details)

    def test_luks_is_refused(self):
        command = (
            "qemu-img", "create", "-q", "-f", "qcow2", "--object", "secret,id=s,data=abc",
            "-o", "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10", "a.qcow2", "1M",
        )  # fmt: skip
        # QEMU measures the processor for its key, and gives up on a busy machine: "Unable to get accurate CPU usage".
        for _ in range(50):
            if subprocess.run(command, cwd=self.scratch, capture_output=True, check=False).returncode == 0:
                break
        disk = self.open("a.qcow2")
        self.assertIsInstance(disk.unreadable(), UnsupportedError)
        self.assertEqual(MIB, disk.facts.virtual_size)


@ddt.ddt
class QemuReadsTest(QemuTestCase):
    """The builder of the other tests writes what QEMU reads in the same way."""

    FORMS = ("plain", "packed", "absent", "packed", "zero", "zero-allocated", "plain", "packed")

    @ddt.data({}, {"compression": 1}, {"extended": True}, {"cluster_bits": 9}, {"cluster_bits": 21}, {"version": 2})
    def test_built(self, options):
        forms = self.FORMS if options.get("version") != 2 else ("plain", "packed", "absent") * 2
        if options.get("extended"):
            forms += ((0xFFFF0000, 0x0000FF00), (1, 2))
        size = len(forms) << options.get("cluster_bits", 16)
        taken = Taken(identity="1", name="old", state=State(size=size, forms=("packed", "plain"), seed=7))
        Image(state=State(size=size, forms=forms), taken=(taken,), **options).write(self.scratch / "a.qcow2")
        self.assert_same(self.read(self.open("a.qcow2")), self.raw("a.qcow2"))
        self.assert_same(self.read(self.open("a.qcow2", snapshot="old")), self.raw("a.qcow2", "-l", "old"))
