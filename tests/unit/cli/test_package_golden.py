"""A real package, of VirtualBox: what is shown of it, and what is found."""

from __future__ import annotations

import os
import pathlib
import shutil

import ddt

from tests.unit.cli.support import CliTestCase

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "golden" / "ovf"
UPDATE = "XENIMAGE_UPDATE_GOLDEN" in os.environ
SHOW = ("package", "show", "ubuntu.2.0.ovf")
CHECK = ("package", "check", "ubuntu.2.0.ovf", "--for")


@ddt.ddt
class RealPackageTest(CliTestCase):
    maxDiff = None

    def setUp(self) -> None:
        super().setUp()
        for name in ("ubuntu.2.0.ovf", "ubuntu.2.0.mf", "../vmdk/ubuntu.2.0-disk1.vmdk"):
            shutil.copy(GOLDEN / name, self.scratch)
        here = pathlib.Path.cwd()
        os.chdir(self.scratch)
        self.addCleanup(os.chdir, here)

    @ddt.data(
        ("ubuntu.show.txt", 0, SHOW),
        ("ubuntu.show.json", 0, (*SHOW, "-f", "json")),
        ("ubuntu.vmware.txt", 6, (*CHECK, "vmware")),
        ("ubuntu.openstack.txt", 0, (*CHECK, "openstack-xenserver")),
        ("ubuntu.openstack.json", 0, (*CHECK, "openstack-xenserver", "-f", "json")),
    )
    @ddt.unpack
    def test_output(self, name: str, code: int, words: tuple[str, ...]) -> None:
        run = self.run_cli(*words)
        self.assertEqual((code, ""), (run.code, run.err))
        if UPDATE:
            (GOLDEN / name).write_text(run.out, encoding="utf-8")
        self.assertEqual((GOLDEN / name).read_text(encoding="utf-8"), run.out)
