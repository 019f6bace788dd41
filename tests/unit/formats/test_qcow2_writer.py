"""The writer of qcow2: what it refuses, tables of large disks, layers over a backing file, the very bytes."""

from __future__ import annotations

import hashlib
import random
import tracemalloc

import ddt

from tests.base import TestCase
from xenimage.exceptions import UnsupportedError, UsageError
from xenimage.formats.qcow2 import layout, open_qcow2
from xenimage.formats.qcow2.writer import CLUSTER, CLUSTER_SIZES, PACKERS, NewQcow2, Qcow2Writer, Run
from xenimage.limits import STRICT
from xenimage.model.extent import Kind
from xenimage.sinks.file import FileSink
from xenimage.sources.file import open_file
from xenimage.units import GIB, KIB, MIB, TIB

NOISE = random.Random(17).randbytes(2 * MIB)


class WriterTestCase(TestCase):
    def write(self, new, *steps):
        """Make out.qcow2. A step is a list of runs, or a tuple of first cluster and count to make zeros of."""
        path = self.scratch / "out.qcow2"
        sink = FileSink(str(path), force=True)
        try:
            writer = Qcow2Writer(sink, new)
            for step in steps:
                if isinstance(step, tuple):
                    writer.zero(*step)
                else:
                    writer.add(step)
            writer.finish()
            sink.flush()
            sink.commit()
        finally:
            sink.close()
        self.assertIn("No errors were found", self.run_tool("qemu-img", "check", path))
        return path

    def open(self, path):
        disk = open_qcow2(open_file(path), STRICT)
        self.addCleanup(disk.close)
        return disk

    def read(self, disk, offset, length):
        buffer = bytearray(length)
        disk.read_into(offset, memoryview(buffer))
        return bytes(buffer)


@ddt.ddt
class RefusalTest(TestCase):
    @ddt.data(
        ({"virtual_size": 0}, UsageError, "a disk of 0 bytes, expected whole sectors of 512 bytes"),
        ({"virtual_size": 513}, UsageError, "a disk of 513 bytes, expected whole sectors of 512 bytes"),
        ({"cluster_size": 2048}, UsageError, "clusters of 2048 bytes, expected a power of two from 4 KiB to 2 MiB"),
        ({"cluster_size": 4 * MIB}, UsageError, "clusters of 4194304 bytes, expected a power of two"),
        ({"compression": "lzo"}, UsageError, "compression 'lzo', expected one of none, zlib, zstd"),
        ({"backing_name": "a"}, UsageError, "a backing file without its format, expected both, or neither"),
        ({"backing_format": "raw"}, UsageError, "a backing file without its format, expected both, or neither"),
        (
            {"backing_name": "ä" * 512, "backing_format": "raw"},
            UsageError,
            "the backing file's name is too long, expected 1023 bytes at most",
        ),
        (
            {"virtual_size": 4 * TIB + 512, "cluster_size": 4096},
            UnsupportedError,
            "a disk of 4.00 TiB in clusters of 4 KiB, expected at most 4 TiB",
        ),
    )
    @ddt.unpack
    def test_what_cannot_be(self, wishes, error, text):
        with self.assertRaisesRegex(error, f"^{text}"):
            NewQcow2(**{"virtual_size": GIB, **wishes})


@ddt.ddt
class LargeTest(WriterTestCase):
    @ddt.data((2 * TIB, 64 * KIB), (4 * TIB, 4 * KIB), (16 * TIB, 2 * MIB), (512 * MIB, 64 * KIB))
    @ddt.unpack
    def test_first_and_last_cluster(self, size, cluster):
        new = NewQcow2(virtual_size=size, cluster_size=cluster)
        last = size // cluster - 1
        path = self.write(new, [Run(0, NOISE[:cluster])], [Run(last, NOISE[:cluster])])
        disk = self.open(path)
        self.assertEqual(size, disk.facts.virtual_size)
        self.assert_same_bytes(NOISE[:cluster], self.read(disk, 0, cluster))
        self.assert_same_bytes(NOISE[:cluster], self.read(disk, size - cluster, cluster))
        self.assertEqual(
            [(Kind.DATA, cluster), (Kind.ABSENT, size - 2 * cluster), (Kind.DATA, cluster)],
            [(each.kind, each.length) for each in disk.extents(0, size)],
        )

    def test_an_empty_disk(self):
        for size in (512, 700 * MIB, 16 * TIB):
            path = self.write(NewQcow2(virtual_size=size))
            self.assertLessEqual(path.stat().st_size, 4 * CLUSTER + (256 * KIB if size == 16 * TIB else 0))

    def test_memory_does_not_grow_with_the_disk(self):
        """4 GiB of clusters of 4 KiB, all written: they have 8 MiB of L2 tables and 2 MiB of reference counts."""

        class Nowhere:
            size = 0

            def write(self, parts):
                raise AssertionError(parts)

            def skip(self, length):
                self.size += length

            def patch(self, offset, data):
                assert 0 <= offset <= offset + len(data) <= self.size

        new = NewQcow2(virtual_size=4 * GIB, cluster_size=4 * KIB)
        writer = Qcow2Writer(Nowhere(), new)
        data = bytes(2 * MIB)
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for block in range(2 * 1024):
            writer.add([Run(block * 512, data)])
        writer.finish()
        self.assertLess(tracemalloc.get_traced_memory()[1], MIB // 2)


@ddt.ddt
class PackedTest(WriterTestCase):
    @ddt.data(*[(name, size) for name in ("zlib", "zstd") for size in CLUSTER_SIZES])
    @ddt.unpack
    def test_clusters_that_share_clusters(self, name, size):
        """Compressed ones in between plain ones, over borders, many in one cluster."""
        chance = random.Random(size)
        new = NewQcow2(virtual_size=64 * size, cluster_size=size, compression=name)
        contents = {}
        runs = []
        for number in sorted(chance.sample(range(64), 40)):
            kind = chance.randrange(3)
            content = (b"%d " % number * size)[:size] if kind == 0 else NOISE[:size]
            if kind == 2:
                content = NOISE[: size * 2 // 3].ljust(size, b"a")
            contents[number] = content
            packed = PACKERS[name](memoryview(content))
            fits = len(packed) < size
            runs.append(Run(number, packed if fits else content, packed=fits))
        path = self.write(new, runs[:17], runs[17:30], runs[30:])
        disk = self.open(path)
        for number in range(64):
            self.assert_same_bytes(contents.get(number, bytes(size)), self.read(disk, number * size, size))
        self.run_tool("qemu-img", "convert", "-O", "raw", path, "out.raw")
        back = (self.scratch / "out.raw").read_bytes()
        self.assert_same_bytes(b"".join(contents.get(number, bytes(size)) for number in range(64)), back)

    def test_noise_is_stored_plain(self):
        new = NewQcow2(virtual_size=2 * MIB, compression="zlib")
        runs = new.pack(bytearray(b"?" * 100 + NOISE[:MIB] + b"text" * (MIB // 4)), 100, 0)
        self.assertEqual([False] * 16 + [True] * 16, [run.packed for run in runs])
        self.assertEqual(list(range(32)), [run.first for run in runs])


class BackingTest(WriterTestCase):
    """A layer: what it leaves out is its parent's, what it calls zeros is not."""

    def test_over_a_raw_parent(self):
        base = self.scratch / "base.raw"
        base.write_bytes(NOISE + NOISE)
        new = NewQcow2(virtual_size=4 * MIB, backing_name="base.raw", backing_format="raw")
        path = self.write(new, [Run(1, b"a" * CLUSTER)], (2, 3), [Run(7, b"b" * 2 * CLUSTER)], (40, 24))
        wanted = bytearray(NOISE + NOISE)
        wanted[CLUSTER : 2 * CLUSTER] = b"a" * CLUSTER
        wanted[2 * CLUSTER : 5 * CLUSTER] = bytes(3 * CLUSTER)
        wanted[7 * CLUSTER : 9 * CLUSTER] = b"b" * 2 * CLUSTER
        wanted[40 * CLUSTER :] = bytes(24 * CLUSTER)
        self.run_tool("qemu-img", "convert", "-O", "raw", path, "out.raw")
        self.assert_same_bytes(bytes(wanted), (self.scratch / "out.raw").read_bytes())
        told = self.run_tool("qemu-img", "info", path)
        self.assertIn("backing file: base.raw", told)
        self.assertIn("backing file format: raw", told)
        disk = self.open(path)
        self.assertEqual(("base.raw", "raw"), (disk.facts.parent.name, disk.facts.parent.format))
        kinds = [(each.kind.value, each.length // CLUSTER) for each in disk.extents(0, 4 * MIB)]
        self.assertEqual(
            [("absent", 1), ("data", 1), ("zero", 3), ("absent", 2), ("data", 2), ("absent", 31), ("zero", 24)], kinds
        )

    def test_zeros_over_many_tables(self):
        base = self.scratch / "base.raw"
        with base.open("wb") as stream:
            stream.write(b"not zero")
            stream.truncate(3 * GIB)
        new = NewQcow2(virtual_size=3 * GIB, backing_name="base.raw", backing_format="raw")
        path = self.write(new, (0, 3 * GIB // CLUSTER))
        disk = self.open(path)
        self.assertEqual([Kind.ZERO], [each.kind for each in disk.extents(0, 3 * GIB)])
        self.assertLess(path.stat().st_size, 12 * CLUSTER)


class BytesTest(WriterTestCase):
    def test_the_header(self):
        """Field by field, as docs/interop/qcow2.rst has them."""
        path = self.write(NewQcow2(virtual_size=5 * MIB, compression="zstd"), [Run(3, NOISE[:CLUSTER])])
        head = path.read_bytes()[:1024]

        def number(at, size):
            return int.from_bytes(head[at : at + size])

        self.assertEqual(
            (b"QFI\xfb", 3, 0, 0, 16), (head[:4], *(number(*f) for f in ((4, 4), (8, 8), (16, 4), (20, 4))))
        )
        self.assertEqual((5 * MIB, 0, 1, CLUSTER), tuple(number(*f) for f in ((24, 8), (32, 4), (36, 4), (40, 8))))
        # Header, L1, data, L2, block of counts, their table
        self.assertEqual((5 * CLUSTER, 1, 0, 0), tuple(number(*f) for f in ((48, 8), (56, 4), (60, 4), (64, 8))))
        self.assertEqual(
            (1 << 3, 0, 0, 4, 112, 1),
            tuple(number(*f) for f in ((72, 8), (80, 8), (88, 8), (96, 4), (100, 4), (104, 1))),
        )
        self.assertEqual(6 * CLUSTER, path.stat().st_size)
        extensions = dict(layout.parse_extensions(head[112:], 112))
        names = layout.parse_feature_names(extensions[layout.FEATURE_NAMES])
        self.assertEqual(("dirty bit", "lazy refcounts", "raw external data"), (names[0, 0], names[1, 0], names[2, 1]))

    def test_golden(self):
        path = self.write(
            NewQcow2(virtual_size=700 * MIB, cluster_size=4096),
            [Run(1, b"one".ljust(4096, b".")), Run(3, b"three".ljust(8192, b"."))],
            (100, 5),
            [Run(600, b"last".ljust(4096, b"."))],
        )
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        self.assertEqual("6cf88f645509024368ccc5331503a752ee88e9c18a134bf4f48596a04262dd4e", digest)
