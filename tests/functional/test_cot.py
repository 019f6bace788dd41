"""COT, from PyPI, given packages of OVF that we write: as it reads them, and as it writes them anew.

``tools/consumers.sh`` installs it; without it these tests fail.
"""

from __future__ import annotations

import os
import pathlib
import subprocess

import ddt

from tests.base import TestCase
from tests.builders.pattern import pattern
from xenimage.containers.ovf.writer import write_ova
from xenimage.containers.ovf.writing import NewPackage, OvfOptions
from xenimage.engine.diskfiles import DiskFiles, disk_content
from xenimage.formats.raw import open_raw
from xenimage.limits import STRICT
from xenimage.model.machine import Machine, MachineDisk, Nic, Product
from xenimage.model.transfer import Silent
from xenimage.sinks.file import FileSink
from xenimage.sources.file import open_file
from xenimage.units import MIB

HERE = pathlib.Path(__file__).resolve().parent
COT = pathlib.Path(os.environ.get("XENIMAGE_CONSUMERS") or HERE.parent.parent / ".venv-consumers", "bin", "cot")
DISKS = {"root": pattern(0, 4 * MIB) + bytes(12 * MIB), "data": bytes(6 * MIB)}
MACHINE = Machine(
    identifier="web",
    name="web",
    annotation="Made by nobody",
    cpus=2,
    cores_per_socket=2,
    memory=512 * MIB,
    firmware="uefi",
    secure_boot=True,
    os_id=96,
    os_name="debian12_64Guest",
    tpm=True,
    disks=(
        MachineDisk(identifier="root", bus="sata", address=(0, 3), bootable=True),
        MachineDisk(identifier="data", bus="xen"),
    ),
    nics=(Nic(network="LAN", model="E1000", mac="00:16:3e:01:02:03"), Nic(network="DMZ")),
    cdroms=("",),
    products=(Product(name="Web", vendor="Us", version="1.0", properties=(("hostname", "web"),)),),
    eulas=("Be nice",),
    settings={"platform": "nx=true"},
)


@ddt.ddt
class CotTest(TestCase):
    def cot(self, *words: str) -> tuple[str, str]:
        """Run it; what it says, and what it complains of."""
        self.assertTrue(COT.exists(), f"{COT} is missing: run tools/consumers.sh")
        done = subprocess.run(
            [COT, *words], capture_output=True, check=False, text=True, cwd=self.scratch,
            env={**os.environ, "COLUMNS": "120", "HOME": str(self.scratch)}, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        self.assertEqual(0, done.returncode, done.stderr)
        return done.stdout, done.stderr

    def write(self, form: str) -> None:
        contents = {}
        for name, data in DISKS.items():
            path = self.scratch / f"{name}.raw"
            path.write_bytes(data)
            disk = open_raw(open_file(path), STRICT)
            self.addCleanup(disk.close)
            contents[name] = disk_content(disk, DiskFiles(format=form, jobs=2, timestamp=1577836800), STRICT, Silent())
        sink = FileSink(str(self.scratch / "web.ova"))
        self.addCleanup(sink.close)
        # It takes SHA-1 for the digest of each OVF 1.x.
        write_ova(sink, NewPackage(machines=[MACHINE], disks=contents), OvfOptions(disk_format=form, digest="sha1"))
        sink.flush()
        sink.commit()

    @ddt.data("vmdk", "vhd")
    def test_it_reads_ours(self, form: str) -> None:
        self.write(form)
        said, complaints = self.cot("info", "web.ova", "--verbose")
        self.assertNotIn("ERROR", complaints)
        self.assertNotIn("WARNING", complaints)
        for words in (
            "Web", "Us", "1.0", "Made by nobody", "Be nice", "LAN", "DMZ", f"web-disk1.{form}", f"web-disk2.{form}",
            "harddisk @ SATA 0:3", "harddisk @ SCSI 0:0", "16 MiB", "6 MiB", "512 MiB", "vmx-14", "<hostname>",
        ):  # fmt: skip
            self.assertIn(words, said)

    def test_it_writes_ours_anew(self) -> None:
        """And the disks pass through: its own checks of them too."""
        self.write("vmdk")
        self.cot("edit-hardware", "web.ova", "--cpus", "4", "--memory", "1GB", "--output", "again.ova")
        said, _ = self.cot("info", "again.ova")
        self.assertRegex(said, r"None \(default\) +4 +1 GiB +2 +0 +2 / +22 MiB")
        self.run_tool("tar", "-xf", "again.ova")
        for number, name in enumerate(DISKS, 1):
            self.run_tool("qemu-img", "compare", "-F", "vmdk", "-f", "raw", f"{name}.raw", f"web-disk{number}.vmdk")
