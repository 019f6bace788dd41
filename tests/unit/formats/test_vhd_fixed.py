"""A fixed VHD: the size that Azure asks for, the footer byte by byte, and how QEMU reads it."""

from __future__ import annotations

import json
import struct

import ddt

from tests.base import TestCase
from xenimage.formats.vhd.fixed import NewFixedVhd, fixed_size
from xenimage.formats.vhd.geometry import Geometry, chs_size, geometry
from xenimage.formats.vhd.layout import SIZE_MAX
from xenimage.units import GIB, MIB

UUID = bytes(range(16))


@ddt.ddt
class FixedTest(TestCase):
    @ddt.data(
        (512, 20 * MIB),
        (20 * MIB, 20 * MIB),
        (20 * MIB + 512, 21 * MIB),
        (100 * MIB, 100 * MIB),
        (100 * GIB - 1, 100 * GIB),
        (SIZE_MAX, SIZE_MAX),
    )
    @ddt.unpack
    def test_sizes(self, source, size):
        self.assertEqual(size, fixed_size(source))

    @ddt.data(19 * MIB, 20 * MIB + 512, SIZE_MAX + MIB, 0)
    def test_sizes_that_cannot_be(self, size):
        with self.assertRaisesRegex(ValueError, f"no fixed VHD can have {size} bytes"):
            NewFixedVhd(virtual_size=size, timestamp=946684800)

    @ddt.data(946684799, 946684800 + (1 << 32))
    def test_times_that_cannot_be(self, time):
        with self.assertRaisesRegex(ValueError, f"no VHD can be of the time {time}"):
            NewFixedVhd(virtual_size=20 * MIB, timestamp=time)

    def test_the_footer(self):
        footer = NewFixedVhd(virtual_size=100 * MIB, timestamp=946684800 + 77).footer(UUID)
        wanted = struct.pack(
            ">8sIIQI4sIIQQHBBII16sBB426x",
            b"conectix",
            2,
            0x10000,
            0xFFFF_FFFF_FFFF_FFFF,
            77,
            b"tap\0",
            0x10003,
            0,
            100 * MIB,
            100 * MIB,
            1003,
            12,
            17,
            2,
            0,
            UUID,
            0,
            0,
        )
        total = ~sum(wanted) & 0xFFFF_FFFF
        self.assertEqual(wanted[:64] + total.to_bytes(4) + wanted[68:], footer)

    @ddt.data(20 * MIB, 100 * MIB, 1 * GIB + MIB, 130 * GIB)
    def test_qemu_sees_the_whole_size(self, size):
        """Though the geometry spans less: qemu knows the creator."""
        path = self.scratch / "a.vhd"
        with path.open("wb") as stream:
            stream.truncate(size)
            stream.seek(size)
            stream.write(NewFixedVhd(virtual_size=size, timestamp=946684800).footer(UUID))
        told = json.loads(self.run_tool("qemu-img", "info", "--output=json", "-f", "vpc", path))
        self.assertEqual(size, told["virtual-size"])


class ChsTest(TestCase):
    def test_the_largest_geometry_tells_no_size(self):
        self.assertIsNone(chs_size(Geometry(65535, 16, 255)))
        self.assertIsNone(chs_size(geometry(500 * GIB)))
        self.assertEqual(1003 * 12 * 17 * 512, chs_size(geometry(100 * MIB)))
        self.assertEqual(0, chs_size(Geometry(0, 0, 0)))
