"""Disks of a folder: their content over the parents of their snapshots, their parts, and what is told of them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tests.base import TestCase
from tests.builders import vmdk
from tests.builders import vmx as build
from xenimage.containers.registry import open_container
from xenimage.containers.vmx.package import open_vmx
from xenimage.engine.opener import open_source
from xenimage.exceptions import FormatError, LimitError, UsageError
from xenimage.limits import STRICT, Limits
from xenimage.model.machine import Proof
from xenimage.model.plan import PackageChoice, SourceOptions
from xenimage.model.transfer import Silent

if TYPE_CHECKING:
    from xenimage.containers.base import Container
    from xenimage.containers.vmx.package import VmxPackage

SECTORS = 1024
GRAINS = vmdk.some_grains([0, 1, 5])
NEWER = vmdk.some_grains([1, 2], seed=1)
NEWEST = vmdk.some_grains([2], seed=2)


class PackageTestCase(TestCase):
    def opened(self, keys: dict[str, str | None] | None = None, **disks: bytes) -> VmxPackage:
        package = open_vmx(build.write(self.scratch, keys, **disks), STRICT)
        self.addCleanup(package.close)
        return package

    def content(self, package: VmxPackage, index: int = 0) -> bytes:
        disk = package.disk(package.package.machines[0].disks[index])
        self.addCleanup(disk.close)
        buffer = bytearray(disk.facts.virtual_size)
        disk.read_into(0, memoryview(buffer))
        return bytes(buffer)

    def test_it_is_a_container(self) -> None:
        container: Container = self.opened(web=build.disk(GRAINS))
        self.assertEqual("vmx", container.package.kind)
        self.assertEqual((), container.prove_disks(container.package.machines[0].disks, Silent()))

    def test_it_is_known_by_its_content(self) -> None:
        path = build.write(self.scratch, web=build.disk(GRAINS)).rename(self.scratch / "web.txt")
        with contextlib.closing(open_container(str(path), STRICT, PackageChoice())) as container:
            self.assertEqual("vmx", container.package.kind)

    def test_it_is_opened_as_the_disk_in_it(self) -> None:
        path = build.write(self.scratch, web=build.disk(GRAINS))
        with contextlib.closing(open_source(SourceOptions(path=str(path)), STRICT)) as disk:
            buffer = bytearray(disk.facts.virtual_size)
            disk.read_into(0, memoryview(buffer))
        self.assert_same_bytes(vmdk.flat_content(GRAINS, SECTORS), bytes(buffer))

    def test_no_file_of_it_is_written(self) -> None:
        flat = vmdk.descriptor("monolithicFlat", [f'RW {SECTORS} FLAT "web-flat.vmdk" 0'])
        path = build.write(self.scratch, web=flat, **{"web-flat": bytes(SECTORS * 512)})
        for name in ("web.vmx", "web.vmdk", "web-flat.vmdk"):
            output = str(self.scratch / name)
            with self.assertRaises(UsageError) as caught:
                open_source(SourceOptions(path=str(path)), STRICT, output=output)
            self.assertEqual(f"{output}: is the source {output}, expected another file", str(caught.exception))
        open_source(SourceOptions(path=str(path)), STRICT, output=str(self.scratch / "new.vmdk")).close()

    def test_a_disk(self) -> None:
        package = self.opened(web=build.disk(GRAINS))
        self.assert_same_bytes(vmdk.flat_content(GRAINS, SECTORS), self.content(package))
        self.assertEqual((Proof(), ()), package.prove(Silent()))
        self.assertEqual(["web.vmx", "web.vmdk"], list(package.parts()))
        source = package.file("web.vmdk")
        self.addCleanup(source.close)
        self.assertEqual((self.scratch / "web.vmdk").read_bytes(), source.read(0, source.size))

    def test_a_disk_in_a_directory_below(self) -> None:
        (self.scratch / "disks").mkdir()
        (self.scratch / "disks" / "a.vmdk").write_bytes(
            vmdk.descriptor("monolithicFlat", [f'RW {SECTORS} FLAT "a-flat.vmdk" 0'])
        )
        content = vmdk.flat_content(GRAINS, SECTORS)
        (self.scratch / "disks" / "a-flat.vmdk").write_bytes(content)
        for name in ("disks/a.vmdk", ".\\disks\\a.vmdk"):
            package = self.opened({"scsi0:0.fileName": name})
            self.assert_same_bytes(content, self.content(package))
            self.assertEqual(["web.vmx", "disks/a.vmdk", "disks/a-flat.vmdk"], list(package.parts()))

    def test_a_name_with_accents_in_either_form(self) -> None:
        (self.scratch / "bu\u0308ro.vmdk").write_bytes(build.disk(GRAINS))
        package = self.opened({"scsi0:0.fileName": "b\u00fcro.vmdk"})
        self.assertEqual((), package.package.findings)
        self.assert_same_bytes(vmdk.flat_content(GRAINS, SECTORS), self.content(package))

    def test_snapshots(self) -> None:
        package = self.opened(
            {"scsi0:0.fileName": "web-000002.vmdk"},
            **{
                "web": build.disk(GRAINS, cid="0000aaaa"),
                "web-000001": build.disk(NEWER, cid="0000bbbb", parent="0000aaaa", hint="web.vmdk"),
                "web-000002": build.disk(NEWEST, cid="0000cccc", parent="0000bbbb", hint="web-000001.vmdk"),
            },
        )
        expected = vmdk.flat_content({**GRAINS, **NEWER, **NEWEST}, SECTORS)
        self.assert_same_bytes(expected, self.content(package))
        _proof, findings = package.prove(Silent())
        self.assertEqual(["The disk 'web-000002.vmdk' stands on 2 others."], [finding.what for finding in findings])
        self.assertEqual(["web.vmx", "web-000002.vmdk", "web-000001.vmdk", "web.vmdk"], list(package.parts()))

    def test_the_chain_has_a_limit(self) -> None:
        path = build.write(
            self.scratch,
            web=build.disk(NEWER, parent="0000aaaa", hint="base.vmdk"),
            base=build.disk(GRAINS, cid="0000aaaa"),
        )
        package = open_vmx(path, Limits(chain_depth=1))
        with self.assertRaises(LimitError) as caught:
            package.disk(package.package.machines[0].disks[0])
        self.assertTrue(str(caught.exception).startswith(f"{path}: the number of disks over each other is 2, "))

    def test_damaged_disks_are_findings_of_the_proof(self) -> None:
        keys: dict[str, str | None] = {"scsi0:1.present": "TRUE", "scsi0:1.fileName": "data.vmdk"}
        package = self.opened(keys, web=b"garbage" * 100, data=build.disk(GRAINS))
        _proof, findings = package.prove(Silent())
        self.assertEqual(["vmx.disk.content"], [finding.code for finding in findings])
        self.assertIn("is raw, expected a VMDK", findings[0].what)
        self.assert_same_bytes(vmdk.flat_content(GRAINS, SECTORS), self.content(package, 1))

    def test_other_files_are_not_given(self) -> None:
        package = self.opened(web=build.disk(GRAINS))
        for name in ("web.vmx", "../web.vmx", ""):
            with self.assertRaises(FormatError):
                package.file(name)

    def test_the_size_of_a_vmx_is_bounded(self) -> None:
        path = build.write(self.scratch, web=b"")
        path.write_bytes(build.text() + b"#" * STRICT.descriptor_size)
        with self.assertRaises(LimitError):
            open_vmx(path, STRICT)
