"""VMDKs that other programs wrote: their content is known (tests/golden/vmdk/README.md)."""

from __future__ import annotations

import hashlib
import pathlib

import ddt

from tests.base import TestCase
from xenimage.formats.vmdk import open_vmdk
from xenimage.limits import STRICT
from xenimage.model.extent import Kind
from xenimage.sources.file import open_file
from xenimage.units import MIB

GOLDEN = pathlib.Path(__file__).parents[2] / "golden" / "vmdk"


@ddt.ddt
class GoldenTest(TestCase):
    @ddt.data(
        ("streamOptimized.vmdk", 10 * MIB, "a3bcf05f07a1c06a3380eeca8571f0efb2b85afafa1e21662b8cad436d1f7727"),
        ("ext2.vmdk", 4 * MIB, "a6c2f0e39afe6c6ab432ca5465349fcefe8dc944398e97b2d957d3f89dbb5d80"),
    )
    @ddt.unpack
    def test_content(self, name: str, size: int, digest: str) -> None:
        disk = open_vmdk(open_file(GOLDEN / name), STRICT)
        self.addCleanup(disk.close)
        self.assertEqual((size, ()), (disk.facts.virtual_size, disk.facts.findings))
        buffer = bytearray(size)
        disk.read_into(0, memoryview(buffer))
        self.assertEqual(digest, hashlib.sha256(buffer).hexdigest())

    def test_empty_disk(self) -> None:
        disk = open_vmdk(open_file(GOLDEN / "ubuntu.2.0-disk1.vmdk"), STRICT)
        self.addCleanup(disk.close)
        self.assertEqual(8 * 1024 * MIB, disk.facts.virtual_size)
        self.assertEqual([Kind.ABSENT], [extent.kind for extent in disk.extents(0, disk.facts.virtual_size)])
