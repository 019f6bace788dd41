"""COT, from PyPI, given packages of OVF that we write: as it reads them, and as it writes them anew.

``tools/consumers.sh`` installs it; without it these tests fail.
"""

from __future__ import annotations

import os
import pathlib
import subprocess

import ddt

from tests.base import TestCase
from tests.functional.packages import DISKS, write_package

HERE = pathlib.Path(__file__).resolve().parent
COT = pathlib.Path(os.environ.get("XENIMAGE_CONSUMERS") or HERE.parent.parent / ".venv-consumers", "bin", "cot")


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
        # It takes SHA-1 for the digest of each OVF 1.x.
        write_package(self, self.scratch / "web.ova", form=form, digest="sha1")

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
