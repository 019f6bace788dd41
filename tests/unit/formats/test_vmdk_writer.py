"""The writer of streamOptimized VMDK: its structure marker by marker, both ways to read it, the very bytes."""

from __future__ import annotations

import hashlib
import random
import struct
import zlib
from unittest import mock

import ddt

from tests.base import TestCase
from xenimage.exceptions import UnsupportedError, UsageError
from xenimage.formats.vmdk import open_vmdk
from xenimage.formats.vmdk.writer import GRAIN, Grain, NewVmdk, VmdkWriter, pack_grains
from xenimage.limits import STRICT
from xenimage.model.extent import Kind
from xenimage.sinks.file import FileSink
from xenimage.sources.file import open_file
from xenimage.units import GIB, MIB, TIB

NOISE = random.Random(19).randbytes(2 * MIB)
IDENTITY = bytes(range(16))


class WriterTestCase(TestCase):
    def write(self, new, *blocks, identity=IDENTITY, known=None):
        """Make out.vmdk of (offset, up to 2 MiB of content). *known*: the identity, given beforehand."""
        path = self.scratch / "out.vmdk"
        sink = FileSink(str(path), force=True)
        try:
            writer = VmdkWriter(sink, new, known)
            for offset, content in blocks:
                writer.add(pack_grains(bytearray(content.ljust(2 * MIB, b"\0")), 0, offset))
            writer.finish(identity)
            sink.flush()
            sink.commit()
        finally:
            sink.close()
        return path

    def read(self, path, offset, length):
        disk = open_vmdk(open_file(path), STRICT)
        self.addCleanup(disk.close)
        buffer = bytearray(length)
        disk.read_into(offset, memoryview(buffer))
        return disk, bytes(buffer)


@ddt.ddt
class StructureTest(WriterTestCase):
    def test_a_head_that_goes_first_is_the_same(self):
        new = NewVmdk(virtual_size=100 * MIB, name="a.vmdk")
        late = self.write(new, (0, NOISE), (96 * MIB, b"end")).read_bytes()
        with mock.patch.object(FileSink, "patch", side_effect=AssertionError("nothing is to be patched")):
            early = self.write(new, (0, NOISE), (96 * MIB, b"end"), identity=b"", known=IDENTITY).read_bytes()
        self.assert_same_bytes(late, early)

    def test_marker_by_marker(self):
        """A walk that knows nothing but the specification."""
        new = NewVmdk(virtual_size=100 * MIB, name="a.vmdk")
        path = self.write(new, (0, NOISE[:GRAIN] + bytes(GRAIN) + b"x" * GRAIN), (96 * MIB, b"end"))
        raw = path.read_bytes()
        magic, version, flags, capacity, grain = struct.unpack_from("<4sIIQQ", raw)
        self.assertEqual((b"KDMV", 3, 0x30001, 204800, 128), (magic, version, flags, capacity, grain))
        self.assertEqual((1, 20, 512, 0, (1 << 64) - 1, 128), struct.unpack_from("<QQIQQQ", raw, 28))
        self.assertEqual((b"\n \r\n", 1), (raw[73:77], int.from_bytes(raw[77:79], "little")))
        at, found, tables = 128 * 512, [], []
        while at < len(raw):
            value, size, kind = struct.unpack_from("<QII", raw, at)
            if size:
                content = zlib.decompress(raw[at + 12 : at + 12 + size])
                found.append((value, content, at // 512))
                at += -(-(12 + size) // 512) * 512
            else:
                tables.append((kind, value, at // 512 + 1))
                at += 512 * (1 + value)
        self.assertEqual([0, 2 * 128, 96 * 2048], [value for value, _, _ in found])
        self.assertEqual(
            [NOISE[:GRAIN], b"x" * GRAIN, b"end".ljust(GRAIN, b"\0")], [content for _, content, _ in found]
        )
        self.assertEqual([(1, 4), (1, 4), (2, 1), (3, 1), (0, 0)], [(kind, value) for kind, value, _ in tables])
        first, second, directory, footer, _ = (sector for _, _, sector in tables)
        self.assertEqual((first, 0, 0, second), struct.unpack_from("<IIII", raw, directory * 512))
        self.assertEqual((found[0][2], 0, found[1][2], 0), struct.unpack_from("<IIII", raw, first * 512))
        self.assertEqual(found[2][2], struct.unpack_from("<I", raw, second * 512)[0])
        self.assertEqual(directory, struct.unpack_from("<Q", raw, footer * 512 + 56)[0])
        self.assertEqual(raw[:56], raw[footer * 512 : footer * 512 + 56])
        self.assertEqual(raw[64:512], raw[footer * 512 + 64 : footer * 512 + 512])
        self.assertEqual(bytes(512), raw[-512:])

    def test_the_descriptor(self):
        path = self.write(NewVmdk(virtual_size=20 * GIB, name="a b.vmdk"))
        text = path.read_bytes()[512 : 21 * 512].rstrip(b"\0").decode("ascii")
        self.assertEqual(
            """\
# Disk DescriptorFile
version=1
CID=0c0d0e0f
parentCID=ffffffff
createType="streamOptimized"

# Extent description
RW 41943040 SPARSE "a b.vmdk"

# The Disk Data Base
#DDB

ddb.adapterType = "lsilogic"
ddb.geometry.cylinders = "2610"
ddb.geometry.heads = "255"
ddb.geometry.sectors = "63"
ddb.longContentID = "000102030405060708090a0b0c0d0e0f"
ddb.toolsInstallType = "4"
ddb.toolsVersion = "2147483647"
ddb.virtualHWVersion = "4"
""",
            text,
        )

    @ddt.data('a"b', "a/b", "ä.vmdk", "a\nb", "x" * 201, "")
    def test_names_that_are_not_plain(self, name):
        self.assertIn('SPARSE "disk.vmdk"', NewVmdk(virtual_size=MIB, name=name).descriptor(IDENTITY))

    def test_an_ide_disk_has_other_geometry(self):
        text = NewVmdk(virtual_size=20 * GIB, name="x", adapter="ide").descriptor(IDENTITY)
        for line in ('adapterType = "ide"', 'cylinders = "16383"', 'heads = "16"', 'sectors = "63"'):
            self.assertIn(line, text)

    def test_reserved_content_ids(self):
        for last in (b"\xff\xff\xff\xff", b"\xff\xff\xff\xfe"):
            text = NewVmdk(virtual_size=MIB, name="x").descriptor(bytes(12) + last)
            self.assertIn("CID=ffffff00\n", text)
            self.assertIn('ffffff00"\n', text)

    def test_the_footer_is_not_needed(self):
        """Cut off, the grains are found one behind the other."""
        new = NewVmdk(virtual_size=100 * MIB, name="a.vmdk")
        path = self.write(new, (0, NOISE), (40 * MIB, b"in the second table"))
        whole = path.read_bytes()
        path.write_bytes(whole[:-1536])
        disk, content = self.read(path, 0, 42 * MIB)
        self.assert_same_bytes((NOISE.ljust(40 * MIB, b"\0") + b"in the second table").ljust(42 * MIB, b"\0"), content)
        self.assertEqual(["vmdk.grain-directory"], [each.code for each in disk.facts.findings])

    @ddt.data(512, 10 * MIB, 16 * TIB)
    def test_an_empty_disk(self, size):
        path = self.write(NewVmdk(virtual_size=size, name="a.vmdk"))
        self.run_tool("qemu-img", "check", path)
        disk, _ = self.read(path, 0, 512)
        self.assertEqual((size, ()), (disk.facts.virtual_size, disk.facts.findings))
        self.assertEqual([Kind.ABSENT], [each.kind for each in disk.extents(0, size)])

    def test_golden(self):
        path = self.write(NewVmdk(virtual_size=100 * MIB, name="a.vmdk"))
        self.assertEqual(
            "7dcecf6dfd7a3b35c1a41927f642c9f5952cacadf24226624ac06c3b004232fa",
            hashlib.sha256(path.read_bytes()).hexdigest(),
        )


class RefusalTest(TestCase):
    def test_what_cannot_be(self):
        for wishes, text in (
            ({"virtual_size": 513}, "a disk of 513 bytes, expected whole sectors of 512 bytes"),
            ({"virtual_size": 0}, "a disk of 0 bytes, expected whole sectors of 512 bytes"),
            ({"adapter": "pvscsi"}, "adapter type 'pvscsi', expected one of lsilogic, buslogic, ide"),
        ):
            with self.assertRaisesRegex(UsageError, f"^{text}"):
                NewVmdk(**{"virtual_size": MIB, "name": "a", **wishes})

    def test_sector_numbers_end_at_2_tib(self):
        class Far:
            size = 2 * TIB

            def skip(self, length):
                pass

            def write(self, parts):
                pass

        writer = VmdkWriter(Far(), NewVmdk(virtual_size=16 * TIB, name="a"))
        with self.assertRaisesRegex(UnsupportedError, "the VMDK grows beyond 2 TiB"):
            writer.add([Grain(5, bytes(512))])
