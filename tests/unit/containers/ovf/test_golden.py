"""A package that VirtualBox wrote: version 2.0, an AHCI controller, elements of a namespace ending in .xsd."""

from __future__ import annotations

import pathlib
import shutil

from tests.unit.containers.ovf.test_folder import FolderTestCase
from xenimage.containers.ovf.folder import open_ovf
from xenimage.limits import STRICT
from xenimage.model.transfer import Silent
from xenimage.units import GIB, MIB

GOLDEN = pathlib.Path(__file__).resolve().parents[3] / "golden"


class VirtualBoxTest(FolderTestCase):
    def test_it_is_read_and_proved(self) -> None:
        for name in ("ovf/ubuntu.2.0.ovf", "ovf/ubuntu.2.0.mf", "vmdk/ubuntu.2.0-disk1.vmdk"):
            shutil.copy(GOLDEN / name, self.folder)
        package = open_ovf(self.folder / "ubuntu.2.0.ovf", STRICT)
        self.addCleanup(package.close)
        self.assertEqual(
            ("2.0", "VirtualBox", ()), (package.package.version, package.package.producer, package.package.findings)
        )
        machine = package.package.machines[0]
        self.assertEqual(
            ("ubuntu", 1, 512 * MIB, 94, "Ubuntu_64"),
            (machine.name, machine.cpus, machine.memory, machine.os_id, machine.os_name),
        )
        self.assertEqual([("NAT", "E1000")], [(nic.network, nic.model) for nic in machine.nics])
        self.assertEqual(
            [("vmdisk1", "sata", "AHCI")], [(each.identifier, each.bus, each.bus_model) for each in machine.disks]
        )
        self.assertEqual(("USB controller", "vendor's device"), machine.ignored)
        disk = package.disk(machine.disks[0])
        self.addCleanup(disk.close)
        self.assertEqual((8 * GIB, "streamOptimized"), (disk.facts.virtual_size, disk.facts.variant))
        proof, findings = package.prove(Silent())
        self.assertEqual(("verified", ("sha256",), ()), (proof.manifest, proof.algorithms, findings))
