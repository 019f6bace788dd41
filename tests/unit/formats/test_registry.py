"""The way from a file to its reader."""

from __future__ import annotations

import ddt

from tests.base import TestCase
from tests.builders.pattern import pattern
from tests.builders.vhd import DYNAMIC, FIXED, MemorySource, Vhd
from xenimage.exceptions import FormatError, UnsafeError, UsageError
from xenimage.formats import registry
from xenimage.limits import STRICT, Limits
from xenimage.sources.file import open_file


@ddt.ddt
class OpenDiskTest(TestCase):
    def opened(self, path, **options):
        source = open_file(path)
        self.addCleanup(source.close)
        return registry.open_disk(source, STRICT, **options)

    def content(self, disk):
        buffer = bytearray(disk.facts.virtual_size)
        disk.read_into(0, memoryview(buffer))
        return bytes(buffer)

    @ddt.data(
        ("qcow2", ()),
        ("vmdk", ("-o", "subformat=monolithicSparse")),
        ("vmdk", ("-o", "subformat=streamOptimized")),
        ("vpc", ("-o", "force_size=on")),
        ("vpc", ("-o", "force_size=on,subformat=fixed")),
        ("raw", ()),
    )
    @ddt.unpack
    def test_what_qemu_writes(self, name, options):
        raw, path = self.scratch / "disk.raw", self.scratch / "disk"
        raw.write_bytes(pattern(0, 1 << 20))
        self.run_tool("qemu-img", "convert", "-f", "raw", "-O", name, *options, raw, path)
        disk = self.opened(path)
        self.assertEqual({"vpc": "vhd"}.get(name, name), disk.facts.format)
        self.assertIsNone(disk.unreadable())
        self.assertEqual(raw.read_bytes(), self.content(disk))

    def test_further_files_come_from_the_caller(self):
        raw, path = self.scratch / "disk.raw", self.scratch / "disk.vmdk"
        raw.write_bytes(pattern(0, 1 << 20))
        self.run_tool("qemu-img", "convert", "-O", "vmdk", "-o", "subformat=monolithicFlat", raw, path)
        asked = []

        def open_extent(name):
            asked.append(name)
            return open_file(self.scratch / name)

        disk = self.opened(path, open_extent=open_extent)
        self.addCleanup(disk.close)
        self.assertEqual(raw.read_bytes(), self.content(disk))
        self.assertEqual(["disk-flat.vmdk"], asked)

    def test_a_format_given_reads_a_polyglot(self):
        data = b"QFI\xfb".ljust(4096, b"\1") + bytes(Vhd(size=4096, kind=FIXED).build().data[-512:])
        with self.assertRaises(UnsafeError):
            registry.open_disk(MemorySource(data), STRICT)
        self.assertEqual(data, self.content(registry.open_disk(MemorySource(data), STRICT, format="raw")))
        self.assertEqual(data[:4096], self.content(registry.open_disk(MemorySource(data), STRICT, format="vhd")))

    def test_the_least_limit_makes_no_raw_of_it(self):
        data = b"#\n" * 2000 + b"# Disk DescriptorFile\n"
        self.assertEqual("vmdk", registry.detect(MemorySource(data), Limits(scratch=0)))

    def test_a_vhd_that_lost_both_footers_is_not_raw(self):
        path = self.scratch / "disk"
        path.write_bytes(bytes(512) + b"cxsparse" + bytes(4096))
        with self.assertRaisesRegex(FormatError, "has the header of a VHD at 0x200 and no footer"):
            self.opened(str(path))
        self.assertEqual("raw", self.opened(str(path), format="raw").facts.format)

    def test_a_format_given_reads_what_is_foreign(self):
        data = b"LUKS\xba\xbe".ljust(1024, b"\2")
        self.assertEqual(data, self.content(registry.open_disk(MemorySource(data), STRICT, format="raw")))

    @ddt.data("qcow2", "vmdk", "vhd")
    def test_a_format_that_does_not_match(self, name):
        with self.assertRaises(FormatError):
            registry.open_disk(MemorySource(pattern(0, 4096)), STRICT, format=name)

    def test_no_such_format(self):
        with self.assertRaises(UsageError) as caught:
            registry.open_disk(MemorySource(b""), STRICT, format="vhdx")
        self.assertEqual("'vhdx' is no format, expected one of qcow2, vmdk, vhd, raw", str(caught.exception))

    @ddt.data(None, "vhd")
    def test_only_qcow2_has_snapshots(self, name):
        image = Vhd(size=1 << 20, kind=DYNAMIC).build()
        with self.assertRaises(UsageError) as caught:
            registry.open_disk(MemorySource(image.data), STRICT, format=name, snapshot="one")
        self.assertEqual(
            "disk.vhd: the snapshot 'one' of a vhd is asked for, expected a qcow2 image", str(caught.exception)
        )

    def test_snapshot_of_a_qcow2(self):
        path = self.scratch / "disk.qcow2"
        self.run_tool("qemu-img", "create", "-q", "-f", "qcow2", path, "1M")
        self.run_tool("qemu-img", "snapshot", "-c", "one", path)
        self.run_tool("qemu-io", "-c", "write -P 7 0 64k", path)
        self.assertEqual(bytes(1 << 20), self.content(self.opened(path, snapshot="one")))
        self.assertEqual(b"\7", self.content(self.opened(path))[:1])
