"""virt-v2v, from the distribution, given packages of OVF that we write: what it finds in them before it converts.

It starts qemu-nbd for each disk, so it has to find their files. No guest and no appliance is started.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import subprocess
import sys
from typing import Any

import ddt

from tests.base import TestCase
from tests.builders import xva
from tests.functional.packages import DISKS, MACHINE, write_package
from xenimage.model.machine import Machine, MachineDisk, Nic
from xenimage.units import GIB, MIB

PROGRAM = pathlib.Path(sys.executable).with_name("xenimage")
FOUND = {
    "source name": "web",
    "memory": f"{512 * MIB} (bytes)",
    "nr vCPUs": "2",
    "CPU topology": "sockets: 1 cores/socket: 2 threads/core: 1",
    "firmware": "uefi",
    "disks": ["0 [sata]", "1 [scsi]"],
    "removable media": ["CD-ROM [ide] in slot 0"],
    "NICs": ['Bridge "LAN" mac: 00:16:3e:01:02:03 [e1000]', 'Bridge "DMZ" [e1000]'],
}
"""what it prints of :data:`MACHINE`"""
OTHER = dataclasses.replace(
    MACHINE,
    name="Ünï <x> & co",
    cpus=6,
    cores_per_socket=3,
    memory=3 * GIB,
    firmware="bios",
    secure_boot=None,
    tpm=False,
    disks=(
        MachineDisk(identifier="root", bus="ide", bootable=True),
        MachineDisk(identifier="data", bus="scsi", address=(0, 5)),
    ),
    nics=tuple(Nic(network=model, model=model) for model in ("VmxNet3", "virtio", "rtl8139")),
    cdroms=(),
)
OTHER_FOUND = {
    "source name": "Ünï <x> & co",
    "memory": f"{3 * GIB} (bytes)",
    "nr vCPUs": "6",
    "CPU topology": "sockets: 2 cores/socket: 3 threads/core: 1",
    "firmware": "bios",
    "disks": ["0 [ide]", "1 [scsi]"],
    "removable media": [],
    "NICs": ['Bridge "VmxNet3" [vmxnet3]', 'Bridge "virtio" [virtio]', 'Bridge "rtl8139" [rtl8139]'],
}


def parsed(said: str) -> dict[str, Any]:
    """Its words about a source: a value behind each colon, and a list of the indented lines below each heading."""
    found: dict[str, Any] = {}
    heading = ""
    for line in said.splitlines():
        if line.startswith("\t"):
            found[heading].append(line.strip())
        elif line.endswith(":") and not line.startswith(" "):
            heading = line[:-1]
            found[heading] = []
        elif ":" in line:
            name, _, value = line.partition(":")
            found[name.strip()] = value.strip()
    return found


@ddt.ddt
class VirtV2vTest(TestCase):
    def virt_v2v(self, name: str, *options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["virt-v2v", "-i", "ova", name, "--print-source", "-o", "null", *options],
            capture_output=True, check=False, text=True, cwd=self.scratch, stdin=subprocess.DEVNULL,
            env={**os.environ, "LIBGUESTFS_BACKEND": "direct", "HOME": str(self.scratch)},
        )  # fmt: skip

    def assert_found(self, expected: dict[str, Any], name: str) -> None:
        done = self.virt_v2v(name)
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        self.assertNotIn("warning", done.stdout)
        found = parsed(done.stdout)
        self.assertEqual(expected, {field: found.get(field) for field in expected})

    @ddt.data(
        ("web.ova", MACHINE, FOUND, {}),
        ("web.ova", OTHER, OTHER_FOUND, {"form": "vhd"}),
        ("web.ova", MACHINE, FOUND, {"compress": True, "digest": "sha1"}),
        ("web.ova", MACHINE, FOUND, {"compress_archive": True}),
        ("web", OTHER, OTHER_FOUND, {}),
    )
    @ddt.unpack
    def test_it_reads_ours(
        self, name: str, machine: Machine, expected: dict[str, Any], options: dict[str, Any]
    ) -> None:
        write_package(self, self.scratch / name, machine, **options)
        self.assert_found(expected, name)

    def test_it_finds_the_disks(self) -> None:
        """Where it has qemu-nbd look in the archive qemu-img finds their content, in their order."""
        write_package(self, self.scratch / "web.ova")
        said = self.virt_v2v("web.ova", "-v").stderr
        places = re.findall(r'"offset": (\d+), "size": (\d+), "file": \{ "driver": "file"', said)
        self.assertEqual(len(DISKS), len(places), said)
        for name, (offset, size) in zip(DISKS, places, strict=True):
            inside = f'{{"driver": "raw", "offset": {offset}, "size": {size}, "file": {{"driver": "file", "filename":'
            image = f'json:{{"driver": "vmdk", "file": {inside} "web.ova"}}}}}}'
            self.run_tool("qemu-img", "compare", f"{name}.raw", image)

    @ddt.data("sha1", "sha256")
    def test_it_holds_the_disks_against_our_manifest(self, digest: str) -> None:
        """It passes over lines of SHA-512, with a warning."""
        write_package(self, self.scratch / "web", digest=digest)
        with (self.scratch / "web" / "web-disk2.vmdk").open("r+b") as file:
            file.seek(-1, os.SEEK_END)
            file.write(b"\1")
        done = self.virt_v2v("web")
        self.assertEqual(1, done.returncode, done.stdout)
        self.assertRegex(done.stderr, r"checksum of disk \S+/web-disk2\.vmdk does not match manifest")

    def test_an_xva_that_the_installed_program_converts(self) -> None:
        (self.scratch / "vm.xva").write_bytes(xva.make(*DISKS.values()))
        self.run_tool(
            PROGRAM, "package", "convert", "vm.xva", "out.ova",
            "--name", "other", "--memory", "1G", "--cpus", "4", "--firmware", "uefi",
        )  # fmt: skip
        done = self.virt_v2v("out.ova")
        found = parsed(done.stdout)
        expected = ("other", f"{GIB} (bytes)", "4", "uefi", 2)
        fields = ("source name", "memory", "nr vCPUs", "firmware")
        self.assertEqual(expected, (*(found.get(field) for field in fields), len(found["disks"])), done.stderr)
