"""xva-img and GNU tar as second readers and makers of XVAs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ddt

from tests.base import TestCase
from tests.builders import xva as build
from tests.builders.pattern import pattern
from tests.unit.containers.xva.test_writer import machine
from xenimage.containers.xva.reader import open_xva
from xenimage.containers.xva.writer import XvaOptions, write_xva
from xenimage.formats.raw import open_raw
from xenimage.limits import STRICT
from xenimage.model.transfer import Silent
from xenimage.sinks.file import FileSink
from xenimage.sources.file import open_file
from xenimage.units import MIB

if TYPE_CHECKING:
    import pathlib

DISK = pattern(0, MIB) + bytes(3 * MIB) + pattern(4 * MIB, 2 * MIB) + bytes(2 * MIB)
SECOND = bytes(5 * MIB)
ODD = (DISK + pattern(8 * MIB, 1536), SECOND + bytes(512), bytes(MIB) + pattern(MIB, MIB - 512))
"""with a short last chunk: of data, of zeros, and behind a first of zeros"""


@ddt.ddt
class XvaImgTestCase(TestCase):
    def unpacked(self, path: pathlib.Path) -> pathlib.Path:
        """Extract an XVA as people do for xva-img; the directory."""
        target = self.scratch / "unpacked"
        target.mkdir()
        self.run_tool("tar", "-xf", path, "-C", target)
        self.run_tool("chmod", "-R", "u+rwX", target)
        return target

    def written(self, contents: tuple[bytes, bytes], **options: Any) -> pathlib.Path:
        path = self.scratch / "vm.xva"
        sink = FileSink(str(path))
        self.addCleanup(sink.close)
        disks = {}
        for name, data in zip("ab", contents, strict=True):
            (self.scratch / name).write_bytes(data)
            disks[name] = open_raw(open_file(self.scratch / name), STRICT)
            self.addCleanup(disks[name].close)
        write_xva(sink, [machine()], disks, XvaOptions(**options))
        sink.flush()
        sink.commit()
        return path

    @ddt.data(
        ((DISK, SECOND), {}),
        ((DISK, SECOND), {"compression": "gzip"}),
        ((DISK, SECOND), {"compression": "zstd", "jobs": 2}),
        (ODD[:2], {}),
        (ODD[1:], {"compression": "gzip", "jobs": 2}),
    )
    @ddt.unpack
    def test_it_reads_ours(self, contents: tuple[bytes, bytes], options: dict[str, Any]) -> None:
        target = self.unpacked(self.written(contents, **options))
        for reference, data in zip(("Ref:001", "Ref:002"), contents, strict=True):
            out = self.scratch / f"{reference}.raw"
            self.run_tool("xva-img", "disk-export", f"{target}/{reference}/", out)
            self.assert_same_bytes(data, out.read_bytes())

    @ddt.data("none", "gzip", "zstd")
    def test_tar_has_nothing_to_say_of_ours(self, compression: str) -> None:
        path = self.written(ODD[:2], compression=compression)
        said = self.run_tool("sh", "-c", f"tar --warning=all -tvf {path} 2>&1 >list")
        self.assertEqual("", said)
        self.assertEqual(1 + 2 * (4 + 2), len((self.scratch / "list").read_text().splitlines()))

    def test_we_read_its_own(self) -> None:
        # It leaves out what is behind the last whole MiB.
        (self.scratch / "ova.xml").write_bytes(build.Xva(disks=[DISK, SECOND]).xml())
        for reference, data in (("Ref:6", DISK), ("Ref:8", SECOND)):
            (self.scratch / "d.raw").write_bytes(data)
            (self.scratch / reference).mkdir()
            self.run_tool("xva-img", "disk-import", f"{reference}/", "d.raw")
        # It cuts each name behind the first slash.
        self.run_tool("xva-img", "package", "out.xva", "./ova.xml", "./Ref:6", "./Ref:8")
        package = open_xva(open_file(self.scratch / "out.xva"), STRICT)
        self.addCleanup(package.close)
        for described, data in zip(package.package.machines[0].disks, (DISK, SECOND), strict=True):
            disk = package.disk(described)
            found = bytearray(disk.facts.virtual_size)
            disk.read_into(0, memoryview(found))
            self.assert_same_bytes(data, bytes(found))
        proof, findings = package.prove(Silent())
        self.assertEqual(("verified", ("sha1",), ()), (proof.manifest, proof.algorithms, findings))

    def test_the_builder_is_right(self) -> None:
        """What our reader is tested with is read by others as well."""
        path = self.scratch / "vm.xva"
        path.write_bytes(build.make(DISK, sum="sha1", keepalives=(4,), tar="pax"))
        target = self.unpacked(path)
        self.run_tool("xva-img", "disk-export", f"{target}/Ref:6/", self.scratch / "out.raw")
        self.assert_same_bytes(DISK, (self.scratch / "out.raw").read_bytes())

    def test_repacked_by_tar(self) -> None:
        path = self.scratch / "vm.xva"
        path.write_bytes(build.make(DISK, sum="sha1"))
        target = self.unpacked(path)
        for form in ("ustar", "gnu", "pax"):
            self.run_tool(
                "tar", "-cf", path, f"--format={form}", "--sort=name", "-C", target, "ova.xml", "Ref:6"
            )  # fmt: skip
            package = open_xva(open_file(path), STRICT)
            self.addCleanup(package.close)
            disk = package.disk(package.package.machines[0].disks[0])
            found = bytearray(len(DISK))
            disk.read_into(0, memoryview(found))
            self.assert_same_bytes(DISK, bytes(found))
