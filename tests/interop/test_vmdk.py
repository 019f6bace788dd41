"""Every VMDK that qemu-img writes, read here and by qemu-img."""

from __future__ import annotations

import functools
import os
import random
from typing import TYPE_CHECKING

import ddt

from tests.base import TestCase
from xenimage.formats.overlay import Overlay
from xenimage.formats.vmdk import VmdkDisk, open_vmdk
from xenimage.limits import STRICT
from xenimage.model.extent import Kind
from xenimage.sources.file import open_beside, open_file
from xenimage.units import KIB, MIB, SECTOR

if TYPE_CHECKING:
    import pathlib

    from xenimage.model.disk import Disk

SUBFORMATS = (
    "monolithicSparse",
    "monolithicFlat",
    "twoGbMaxExtentSparse",
    "twoGbMaxExtentFlat",
    "streamOptimized",
)
SIZE = 40 * MIB + 3 * SECTOR


@ddt.ddt
class QemuTest(TestCase):
    def sample(self) -> pathlib.Path:
        """A raw disk with data that deflates badly, data that deflates well, and holes."""
        numbers = random.Random(4)
        path = self.scratch / "plain.raw"
        with open(path, "wb") as file:
            for offset in range(0, SIZE, 1 * MIB):
                if offset // MIB % 3 == 0:
                    file.seek(offset)
                    file.write(numbers.randbytes(300 * KIB) + b"xenimage" * (20 * KIB))
            file.seek(SIZE - 1000)
            file.write(b"the end" * 100)
            file.truncate(SIZE)
        return path

    def opened(self, path: pathlib.Path) -> VmdkDisk:
        disk = open_vmdk(open_file(path), STRICT, open_extent=functools.partial(open_beside, path))
        self.addCleanup(disk.close)
        return disk

    def by_qemu(self, path: pathlib.Path) -> bytes:
        raw = self.scratch / "by-qemu.raw"
        self.run_tool("qemu-img", "convert", "-f", "vmdk", "-O", "raw", path, raw)
        return raw.read_bytes()

    def assert_same(self, wanted: bytes, disk: Disk) -> None:
        self.assertEqual(len(wanted), disk.facts.virtual_size)
        buffer = bytearray(2 * MIB)
        for offset in range(0, len(wanted), len(buffer)):
            part = memoryview(buffer)[: min(len(buffer), len(wanted) - offset)]
            disk.read_into(offset, part)
            self.assertTrue(wanted[offset : offset + len(part)] == part, f"differs in the 2 MiB at {offset:#x}")
        numbers = random.Random(5)
        for _ in range(50):
            offset = numbers.randrange(len(wanted))
            length = min(numbers.randrange(300_000), len(wanted) - offset)
            odd = bytearray(length)
            disk.read_into(offset, memoryview(odd))
            self.assertTrue(wanted[offset : offset + length] == odd, f"differs at {offset:#x}+{length:#x}")

    @ddt.data(*SUBFORMATS)
    def test_subformat(self, subformat: str) -> None:
        plain = self.sample()
        path = self.scratch / "disk.vmdk"
        self.run_tool("qemu-img", "convert", "-O", "vmdk", "-o", f"subformat={subformat}", plain, path)
        disk = self.opened(path)
        self.assert_same(plain.read_bytes(), disk)
        self.assertEqual(self.by_qemu(path), plain.read_bytes())
        self.assertEqual((subformat, ()), (disk.facts.variant, disk.facts.findings))
        stored = sum(os.path.getsize(self.scratch / name) for name in os.listdir(self.scratch) if name[:4] == "disk")
        self.assertEqual(stored, disk.facts.stored_size)

    @ddt.data("twoGbMaxExtentSparse", "twoGbMaxExtentFlat")
    def test_more_than_one_extent(self, subformat: str) -> None:
        path = self.scratch / "disk.vmdk"
        self.run_tool("qemu-img", "create", "-f", "vmdk", "-o", f"subformat={subformat}", path, "5G")
        for position in ("1M", "2047M", "4100M"):
            self.run_tool("qemu-io", "-f", "vmdk", "-c", f"write -P 7 {position} 2M", path)
        disk = self.opened(path)
        self.assertEqual(5 * 1024 * MIB, disk.facts.virtual_size)
        for number in (1, 2047, 4100):
            buffer = bytearray(4 * MIB)
            disk.read_into((number - 1) * MIB, memoryview(buffer))
            self.assertEqual(bytes(MIB) + b"\7" * (2 * MIB) + bytes(MIB), buffer)

    def test_compressed_by_several_workers_out_of_order(self) -> None:
        plain = self.sample()
        path = self.scratch / "disk.vmdk"
        self.run_tool(
            "qemu-img", "convert", "-O", "vmdk", "-m", "8", "-W", "-o", "subformat=streamOptimized", plain, path
        )
        self.assert_same(plain.read_bytes(), self.opened(path))

    def test_zeroed_grains(self) -> None:
        path = self.scratch / "disk.vmdk"
        self.run_tool("qemu-img", "create", "-f", "vmdk", "-o", "zeroed_grain=on", path, "8M")
        self.run_tool("qemu-io", "-f", "vmdk", "-c", "write -P 5 0 1M", "-c", "write -z 256k 256k", path)
        disk = self.opened(path)
        kinds = [(extent.offset // KIB, extent.kind) for extent in disk.extents(0, 8 * MIB)]
        self.assertEqual([(0, Kind.DATA), (256, Kind.ZERO), (512, Kind.DATA), (1024, Kind.ABSENT)], kinds)
        self.assert_same(self.by_qemu(path), disk)

    def test_delta(self) -> None:
        base, leaf = self.scratch / "base.vmdk", self.scratch / "leaf.vmdk"
        self.run_tool("qemu-img", "convert", "-O", "vmdk", self.sample(), base)
        self.run_tool(
            "qemu-img", "create", "-f", "vmdk", "-F", "vmdk", "-b", "base.vmdk", "-o", "zeroed_grain=on", leaf
        )
        self.run_tool("qemu-io", "-f", "vmdk", "-c", "write -P 9 100k 3M", "-c", "write -z 6M 128k", leaf)
        parent, child = self.opened(base), self.opened(leaf)
        reference = child.facts.parent
        assert reference is not None
        self.assertEqual("base.vmdk", reference.name)
        self.assertEqual(parent.facts.identity, reference.identity)
        self.assert_same(self.by_qemu(leaf), Overlay(child, parent))
