"""Folders whose disks qemu-img made, in each form, with snapshots too: read as qemu-img reads them."""

from __future__ import annotations

import ddt

from tests.base import TestCase
from tests.builders import vmx as build
from tests.builders.pattern import pattern
from xenimage.containers.vmx.package import open_vmx
from xenimage.limits import STRICT
from xenimage.units import MIB

CONTENT = pattern(0, 3 * MIB) + bytes(4 * MIB) + pattern(7 * MIB, MIB)


@ddt.ddt
class QemuTestCase(TestCase):
    def setUp(self) -> None:
        super().setUp()
        (self.scratch / "content.raw").write_bytes(CONTENT)

    def content(self, name: str) -> bytes:
        package = open_vmx(build.write(self.scratch, {"scsi0:0.fileName": name}), STRICT)
        self.addCleanup(package.close)
        self.assertEqual((), package.package.findings)
        disk = package.disk(package.package.machines[0].disks[0])
        self.addCleanup(disk.close)
        buffer = bytearray(disk.facts.virtual_size)
        disk.read_into(0, memoryview(buffer))
        self.parts = list(package.parts())
        return bytes(buffer)

    @ddt.data(
        ("monolithicSparse", ["web.vmdk"]),
        ("monolithicFlat", ["web.vmdk", "web-flat.vmdk"]),
        ("twoGbMaxExtentSparse", ["web.vmdk", "web-s001.vmdk"]),
        ("twoGbMaxExtentFlat", ["web.vmdk", "web-f001.vmdk"]),
        ("streamOptimized", ["web.vmdk"]),
    )
    def test_disks(self, case: tuple[str, list[str]]) -> None:
        form, files = case
        self.run_tool(
            "qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", f"subformat={form}", "content.raw", "web.vmdk"
        )
        self.assert_same_bytes(CONTENT, self.content("web.vmdk"))
        self.assertEqual(["web.vmx", *files], self.parts)

    @ddt.data("monolithicSparse", "twoGbMaxExtentSparse")
    def test_snapshots(self, form: str) -> None:
        self.run_tool("qemu-img", "convert", "-f", "raw", "-O", "vmdk", "content.raw", "web.vmdk")
        parent = "web.vmdk"
        for number in (1, 2):
            name = f"web-{number:06}.vmdk"
            form = form if number == 1 else "monolithicSparse"
            self.run_tool(
                "qemu-img", "create", "-q", "-f", "vmdk", "-o", f"subformat={form}", "-b", parent, "-F", "vmdk", name
            )
            self.run_tool("qemu-io", "-f", "vmdk", "-c", f"write -q -P {number} {number}M 64k", name)
            parent = name
        self.run_tool("qemu-img", "convert", "-f", "vmdk", "-O", "raw", parent, "expected.raw")
        expected = (self.scratch / "expected.raw").read_bytes()
        self.assertNotEqual(CONTENT, expected)
        self.assert_same_bytes(expected, self.content(parent))
