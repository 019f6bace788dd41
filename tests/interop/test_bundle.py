"""Bundles as other programs read them: GNU tar and gzip, Python's tarfile, qemu-img."""

from __future__ import annotations

import json
import os
import pathlib
import random
import subprocess
import sys
import tarfile

import ddt

from tests.base import TestCase
from tests.fakes.vhd_util import Vhd
from xenimage import api
from xenimage.model.plan import BundleOptions, Compression, ConvertOptions, SourceOptions

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MIB = 1 << 20
CONTENT = random.Random(13).randbytes(3 * MIB) + bytes(6 * MIB) + b"text \n" * 100_000 + bytes(5 * MIB - 512 * 7)
CONTENT = CONTENT[: len(CONTENT) // 512 * 512]


class BundleTestCase(TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.raw = self.scratch / "disk.raw"
        self.raw.write_bytes(CONTENT)
        self.bundle = self.scratch / "disk.tgz"

    def create(self, source: str | os.PathLike[str] | None = None, **wishes: object) -> api.BundleReport:
        options = SourceOptions(path=os.fspath(source or self.raw))
        return api.create_bundle(BundleOptions(source=options, output=str(self.bundle), **wishes))  # type: ignore[arg-type]

    def extract(self) -> pathlib.Path:
        self.run_tool("tar", "-xzf", self.bundle)
        return self.scratch / "0.vhd"


@ddt.ddt
class TarTest(BundleTestCase):
    @ddt.data(*Compression)
    def test_gzip_finds_one_sound_member(self, compression):
        self.create(compression=compression)
        self.run_tool("gzip", "-t", self.bundle)
        listing = self.run_tool("gzip", "-lv", self.bundle).splitlines()
        self.assertEqual(2, len(listing))
        size = int(listing[1].split()[-3])
        self.assertEqual(0, size % 10240)

    def test_tar_lists_one_regular_file_of_root(self):
        report = self.create(timestamp=1_500_000_000)
        listing = self.run_tool("tar", "--numeric-owner", "--utc", "--full-time", "-tzvf", self.bundle)
        self.assertEqual(f"-rw-r--r-- 0/0 {report.vhd_size} 2017-07-14 02:40:00 0.vhd".split(), listing.split())

    @ddt.data(*Compression)
    def test_tar_extracts_it(self, compression):
        report = self.create(compression=compression)
        path = self.extract()
        self.assertEqual({"0.vhd", "disk.raw", "disk.tgz"}, set(os.listdir(self.scratch)))
        self.assertEqual((report.vhd_size, 0o644), (path.stat().st_size, path.stat().st_mode & 0o777))
        disk = Vhd(path.read_bytes())
        disk.check()
        self.assertTrue(disk.content().startswith(CONTENT))

    def test_tar_reads_to_its_end_as_dom0_feeds_it(self):
        """Chunks of 8 KiB on standard input; nothing may follow that tar would not take."""
        self.create()
        with (
            subprocess.Popen(["tar", "-zx", f"--directory={self.scratch}"], stdin=subprocess.PIPE, bufsize=0) as tar,
            self.bundle.open("rb") as stream,
        ):
            while chunk := stream.read(8192):
                self.assertIsNone(tar.poll())
                tar.stdin.write(chunk)
            tar.stdin.close()
            self.assertEqual(0, tar.wait(30))

    def test_tarfile_sees_one_member_in_a_stream(self):
        self.create()
        with self.bundle.open("rb") as stream, tarfile.open(fileobj=stream, mode="r|gz") as archive:
            members = [(member.name, member.isreg(), member.uname, member.pax_headers) for member in archive]
        self.assertEqual([("0.vhd", True, "", {})], members)

    def test_standard_output_into_tar(self):
        create = [sys.executable, "-m", "xenimage", "bundle", "create", str(self.raw), "--output", "-"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with subprocess.Popen(create, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as program:
            done = subprocess.run(["tar", "-tzv"], stdin=program.stdout, capture_output=True, check=True, text=True)
            program.stdout.close()
            said = program.stderr.read().decode()
        self.assertEqual(0, program.returncode, said)
        self.assertRegex(done.stdout, r"^-rw-r--r-- 0/0 +\d+ \S+ \S+ 0\.vhd\n$")
        self.assertIn("sha256", said)


@ddt.ddt
class QemuTest(BundleTestCase):
    # CHS of these sizes is smaller than they are: a reader that goes by it cuts the disk.
    SIZES = (2 * MIB, len(CONTENT), 100 * MIB, 102 * MIB, 504 * MIB)

    @ddt.data(*SIZES)
    def test_qemu_sees_the_whole_disk(self, size):
        with self.raw.open("r+b") as stream:
            stream.truncate(size)
        report = self.create()
        vhd = self.extract()
        info = json.loads(self.run_tool("qemu-img", "info", "--output=json", "-f", "vpc", vhd))
        self.assertEqual(report.plan.virtual_size, info["virtual-size"])
        self.assertEqual(-(-size // (2 * MIB)) * 2 * MIB, info["virtual-size"])
        self.run_tool("qemu-img", "compare", "-f", "raw", "-F", "vpc", self.raw, vhd)
        self.run_tool("qemu-img", "convert", "-f", "vpc", "-O", "raw", vhd, "back.raw")
        back = (self.scratch / "back.raw").read_bytes()
        self.assert_same_bytes(back, self.raw.read_bytes().ljust(info["virtual-size"], b"\0"))

    @ddt.data(
        ("qcow2", ""), ("qcow2", "compat=0.10"), ("vmdk", "subformat=monolithicSparse"),
        ("vmdk", "subformat=streamOptimized"), ("vpc", "subformat=dynamic,force_size=on"),
        ("vpc", "subformat=fixed,force_size=on"),
    )  # fmt: skip
    @ddt.unpack
    def test_what_qemu_wrote_comes_out_equal(self, form, options):
        words = ["-o", options] if options else []
        self.run_tool("qemu-img", "convert", "-f", "raw", "-O", form, *words, self.raw, "source")
        self.create(self.scratch / "source", verify=True)
        self.run_tool("qemu-img", "compare", "-f", "raw", "-F", "vpc", self.raw, self.extract())

    def test_the_sources_of_one_disk_give_the_same_bytes(self):
        sums = {self.create(compression=Compression.STORE).receipt.sha256}
        for form in ("qcow2", "vmdk"):
            self.run_tool("qemu-img", "convert", "-f", "raw", "-O", form, self.raw, f"source.{form}")
            report = self.create(self.scratch / f"source.{form}", compression=Compression.STORE, force=True)
            sums.add(report.receipt.sha256)
        self.assertEqual(1, len(sums))

    @ddt.data("raw", "vhd")
    def test_converted_disks(self, form):
        output = self.scratch / f"out.{form}"
        api.convert_disk(ConvertOptions(source=SourceOptions(path=str(self.raw)), output=str(output), format=form))
        name = {"raw": "raw", "vhd": "vpc"}[form]
        self.run_tool("qemu-img", "compare", "-f", "raw", "-F", name, self.raw, output)

    def test_a_bundle_back_to_raw(self):
        self.create()
        output = self.scratch / "back.raw"
        api.convert_disk(ConvertOptions(source=SourceOptions(path=str(self.bundle)), output=str(output), format="raw"))
        self.run_tool("qemu-img", "compare", "-f", "raw", "-F", "raw", self.raw, output)
