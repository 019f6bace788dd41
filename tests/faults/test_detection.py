"""Which format a file is taken for, by its content alone, and which files are refused."""

from __future__ import annotations

import struct
import unittest

import ddt

from tests.builders.pattern import pattern
from tests.builders.vhd import CREATORS, FIXED, MemorySource, Vhd
from xenimage.exceptions import FormatError, UnsafeError, UnsupportedError
from xenimage.formats.registry import NAMES, detect, foreign
from xenimage.limits import STRICT

QCOW2 = b"QFI\xfb" + struct.pack(">I", 3)
QCOW1 = b"QFI\xfb" + struct.pack(">I", 1)
DESCRIPTOR = b"# Disk DescriptorFile\nversion=1\n"
FOOTER = bytes(Vhd(size=512, kind=FIXED).build().data[-512:])
DISK = pattern(0, 4096)
MBR = bytes(510) + b"\x55\xaa" + DISK
GPT = MBR[:512] + b"EFI PART" + DISK

KNOWN = (
    ("zeros", bytes(4096), "raw"),
    ("one byte", b"\0", "raw"),
    ("pattern", DISK, "raw"),
    ("MBR", MBR, "raw"),
    ("GPT", GPT, "raw"),
    ("ISO 9660", bytes(0x8001) + b"CD001" + bytes(4096), "raw"),
    ("ext4 without partitions", bytes(0x438) + b"\x53\xef" + bytes(4096), "raw"),
    ("LVM without partitions", bytes(512) + b"LABELONE" + bytes(4096), "raw"),
    ("footer elsewhere", DISK + FOOTER + DISK, "raw"),
    ("footer one byte off", DISK + FOOTER + b"\0", "raw"),
    ("qcow2 magic elsewhere", DISK + QCOW2, "raw"),
    ("qcow2 v3", QCOW2 + DISK, "qcow2"),
    ("qcow v1, which its reader refuses", QCOW1 + DISK, "qcow2"),
    ("VMDK sparse", b"KDMV" + DISK, "vmdk"),
    ("VMDK of ESX 2", b"COWD" + DISK, "vmdk"),
    ("VMDK seSparse", struct.pack("<Q", 0xCAFEBABE) + DISK, "vmdk"),
    ("VMDK descriptor", DESCRIPTOR, "vmdk"),
    ("VMDK descriptor, other case", b"#disk descriptorfile\r\n", "vmdk"),
    ("VMDK descriptor, byte order mark", b"\xef\xbb\xbf" + DESCRIPTOR, "vmdk"),
    ("VMDK descriptor, comments first", b"\n# by hand\n\n  # Disk DescriptorFile\n", "vmdk"),
    ("no descriptor, text first", b"version=1\n# Disk DescriptorFile\n", "raw"),
    ("VHD, both footers", FOOTER + DISK + FOOTER, "vhd"),
    ("VHD, only the copy", FOOTER + DISK, "vhd"),
    ("VHD, fixed with a partition table", MBR + FOOTER, "vhd"),
    ("VHD, fixed and 511 bytes", MBR + FOOTER[:-1], "vhd"),
    ("VHD, only the footer", FOOTER, "vhd"),
    ("VHD in a resize", b"v_poison" + FOOTER[8:] + DISK, "vhd"),
    ("VHD in a resize, end", DISK + b"v_poison" + FOOTER[8:], "vhd"),
)
FOREIGN = (
    ("VHDX", b"vhdxfile", "qemu-img convert -O qcow2 disk.vhd"),
    ("VDI", bytes(0x40) + b"\x7f\x10\xda\xbe", "qemu-img convert"),
    ("QED", b"QED\0", "qemu-img convert"),
    ("Parallels", b"WithoutFreeSpace", "qemu-img convert"),
    ("Parallels", b"WithouFreSpacExt", "qemu-img convert"),
    ("LUKS", b"LUKS\xba\xbe", "--source-format raw"),
    ("gzip", b"\x1f\x8b\x08\0", "disk convert"),
    ("xz", b"\xfd7zXZ\0", "xz -d"),
    ("zstd", b"\x28\xb5\x2f\xfd", "zstd -d"),
    ("bzip2", b"BZh91AY&SY", "bzip2 -d"),
    ("zip", b"PK\x03\x04", "Unpack it"),
    ("7z", b"7z\xbc\xaf\x27\x1c", "Unpack it"),
    ("tar", bytes(257) + b"ustar", "Unpack it"),
)
POLYGLOTS = (
    (QCOW2 + DISK + FOOTER, "qcow2 and vhd", "qcow2"),
    (QCOW2 + DISK + b"v_poison" + FOOTER[8:], "qcow2 and vhd", "qcow2"),
    (QCOW2 + bytes(512 - len(QCOW2)) + FOOTER[:-1], "qcow2 and vhd", "qcow2"),
    (DESCRIPTOR.ljust(4096, b"\n") + FOOTER, "vmdk and vhd", "vmdk"),
    (b"KDMV" + DISK + FOOTER, "vmdk and vhd", "vmdk"),
    (b"\x1f\x8b\x08\0" + DISK + FOOTER, "vhd and gzip", "vhd"),
    (bytes(257) + b"ustar" + DISK + FOOTER, "vhd and tar", "vhd"),
    (b"QFI\xfb".ljust(257, b"\0") + b"ustar" + DISK, "qcow2 and tar", "qcow2"),
    (DESCRIPTOR.ljust(0x40, b"\n") + b"\x7f\x10\xda\xbe" + DISK, "vmdk and VDI", "vmdk"),
)


@ddt.ddt
class DetectionTest(unittest.TestCase):
    @ddt.data(*KNOWN)
    @ddt.unpack
    def test_known(self, title, data, name):
        self.assertEqual(name, detect(MemorySource(data), STRICT), title)

    @ddt.data(*CREATORS)
    def test_vhds(self, creator):
        for kind in (2, 3, 4):
            image = Vhd(size=1 << 20, kind=kind, creator=CREATORS[creator]).build()
            self.assertEqual("vhd", detect(MemorySource(image.data), STRICT))

    @ddt.data(*FOREIGN)
    @ddt.unpack
    def test_foreign(self, name, head, tip):
        with self.assertRaises(UnsupportedError) as caught:
            detect(MemorySource(head + DISK), STRICT)
        self.assertEqual(
            f"disk.vhd: is of the format {name}, expected one of qcow2, vmdk, vhd, raw", str(caught.exception)
        )
        self.assertIn(tip, caught.exception.tip)
        self.assertEqual(name, foreign(head))

    def test_nothing_foreign_about_a_disk(self):
        for data in (b"", MBR, GPT, QCOW2, FOOTER):
            self.assertIsNone(foreign(data))

    @ddt.data(*POLYGLOTS)
    @ddt.unpack
    def test_two_in_one(self, data, names, tip):
        with self.assertRaises(UnsafeError) as caught:
            detect(MemorySource(data), STRICT)
        self.assertEqual(f"disk.vhd: is {names} at once, expected one format", str(caught.exception))
        self.assertIn(f"--source-format {tip}.", caught.exception.tip)
        self.assertIn(tip, NAMES)

    def test_empty(self):
        with self.assertRaises(FormatError) as caught:
            detect(MemorySource(b""), STRICT)
        self.assertEqual("disk.vhd: is empty, expected a disk image", str(caught.exception))

    def test_reads_no_more_than_the_limit(self):
        source = MemorySource(bytes(1 << 20))
        detect(source, STRICT)
        self.assertLessEqual(source.read_bytes, STRICT.scratch + 512)

    def test_many_comments_take_no_time(self):
        self.assertEqual("raw", detect(MemorySource(b"#\n" * 100000), STRICT))
