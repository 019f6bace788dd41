"""Packages round and round: OVF to OVA to XVA to OVF to a bundle, by the command line; qemu-img and tar look on."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import pathlib
import subprocess
import sys
from typing import Any

from tests.base import TestCase
from tests.builders import ovf as build
from tests.builders.pattern import pattern
from tests.unit.containers.ovf.test_folder import encrypted
from tests.unit.containers.ovf.test_parts import KNOWN
from xenimage.units import MIB

FIRST = pattern(0, 2 * MIB) + bytes(4 * MIB) + pattern(6 * MIB, 2 * MIB)
SECOND = bytes(MIB) + pattern(70 * MIB, MIB) + bytes(2 * MIB)
FILES = '<File ovf:id="f1" ovf:href="a.qcow2"/><File ovf:id="f2" ovf:href="b.raw"/>'
DISKS = (
    f'<Disk ovf:diskId="d1" ovf:fileRef="f1" ovf:capacity="{len(FIRST)}"/>'
    f'<Disk ovf:diskId="d2" ovf:fileRef="f2" ovf:capacity="{len(SECOND)}"/>'
)
FIRMWARE = '<vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="efi"/>'
DRIVES = "".join(
    build.item(17, str(10 + n), ElementName=f"Hard disk {n}", HostResource=f"ovf:/disk/d{n}", Parent=3,
               AddressOnParent=n - 1)
    for n in (1, 2)
)  # fmt: skip
OTHER_CARD = build.item(10, "6", ElementName="Second", Connection="DMZ", Address="00:16:3e:0a:0b:0c")
NETWORKS = (
    '<NetworkSection><Info/><Network ovf:name="LAN"><Description/></Network>'
    '<Network ovf:name="DMZ"><Description/></Network></NetworkSection>'
)


class RoundTripTestCase(TestCase):
    def xenimage(self, *words: object, code: int = 0) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "xenimage", *map(str, words), "-f", "json"],
            capture_output=True, check=False, text=True, cwd=self.scratch, env=None,
        )  # fmt: skip
        self.assertEqual(code, done.returncode, done.stderr)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def source(self) -> pathlib.Path:
        """An OVF by hand, of a qcow2 that qemu-img made, and a raw disk."""
        directory = self.scratch / "source"
        directory.mkdir()
        raw = self.scratch / "first.raw"
        raw.write_bytes(FIRST)
        self.run_tool("qemu-img", "convert", "-O", "qcow2", raw, directory / "a.qcow2")
        (directory / "b.raw").write_bytes(SECOND)
        items = build.CPU + build.MEMORY + build.SCSI + DRIVES + build.CARD + OTHER_CARD
        hardware = build.machine(items, name="web server").replace(
            "</VirtualHardwareSection>", f"{FIRMWARE}</VirtualHardwareSection>"
        )
        path = directory / "web.ovf"
        path.write_bytes(build.envelope(hardware, files=FILES, disks=DISKS, sections=NETWORKS))
        return path

    def assert_machine(self, path: pathlib.Path) -> None:
        machine = self.xenimage("package", "show", path)["machines"][0]
        self.assertEqual(
            ("web server", 2, 512 * MIB, "uefi"),
            (machine["name"], machine["cpus"], machine["memory"], machine["firmware"]),
        )
        self.assertEqual(
            [("LAN", "00:16:3e:01:02:03"), ("DMZ", "00:16:3e:0a:0b:0c")],
            [(nic["network"], nic["mac"]) for nic in machine["nics"]],
        )
        self.assertEqual([len(FIRST), len(SECOND)], [disk["capacity"] for disk in machine["disks"]])
        self.assert_disks(path)

    def assert_disks(self, path: pathlib.Path) -> None:
        for number, content in enumerate((FIRST, SECOND), 1):
            out = self.scratch / "out.raw"
            self.xenimage("disk", "convert", path, out, "--format", "raw", "--disk", number, "--force")
            self.assertEqual(hashlib.sha256(content).hexdigest(), hashlib.sha256(out.read_bytes()).hexdigest())

    def test_round_and_round(self) -> None:
        path = self.source()
        self.assert_machine(path)
        for name, options in (
            ("web.ova", ()),
            ("web.xva", ("--compress", "zstd", "--sum", "xxhash")),
            ("folder", ("--to", "ovf", "--disk-format", "vmdk", "--digest", "sha512")),
        ):
            target = self.scratch / name
            self.xenimage("package", "convert", path, target, *options)
            path = next(target.glob("*.ovf")) if target.is_dir() else target
            self.assert_machine(path)
        bundles = self.scratch / "bundles"
        report = self.xenimage("package", "convert", path, bundles, "--to", "bundle", "--no-inspect")
        self.assertEqual(2, len(report["bundles"]))
        for number, content in enumerate((FIRST, SECOND), 1):
            self.run_tool("tar", "-xzf", bundles / f"bundles-{number}.tgz")
            out = self.scratch / "tar.raw"
            self.run_tool("qemu-img", "convert", "-f", "vpc", "-O", "raw", "0.vhd", out)
            self.assert_same_bytes(content, out.read_bytes()[: len(content)])

    def test_the_disks_of_an_archive_by_others(self) -> None:
        self.xenimage("package", "convert", self.source(), "web.ova")
        self.run_tool("tar", "-xf", "web.ova")
        for number, content in enumerate((FIRST, SECOND), 1):
            out = self.scratch / "out.raw"
            self.run_tool("qemu-img", "convert", "-f", "vmdk", "-O", "raw", f"web-server-disk{number}.vmdk", out)
            self.assert_same_bytes(content, out.read_bytes())
        for line in pathlib.Path(self.scratch / "web-server.mf").read_text().splitlines():
            name, digest = line.removeprefix("SHA256(").split(")= ")
            self.assertEqual(digest, self.run_tool("sha256sum", name).split()[0])

    def test_a_damaged_disk_in_an_archive(self) -> None:
        """Acceptance: an OVA of two disks, one of them damaged in its middle."""
        self.xenimage("package", "convert", self.source(), "web.ova")
        data = bytearray((self.scratch / "web.ova").read_bytes())
        self.run_tool("tar", "-xf", "web.ova")
        second = (self.scratch / "web-server-disk2.vmdk").read_bytes()
        # The first grain stands behind 64 KiB of head: its marker is 12 bytes, then comes what is deflated.
        place = data.index(second) + 65536 + 12
        data[place : place + 64] = bytes(64)
        (self.scratch / "bad.ova").write_bytes(data)
        convert = ("package", "convert", "bad.ova")
        done = subprocess.run(
            [sys.executable, "-m", "xenimage", *convert, "no.xva"], capture_output=True, check=False, text=True,
            cwd=self.scratch,
        )  # fmt: skip
        self.assertEqual(3, done.returncode)
        self.assertFalse((self.scratch / "no.xva").exists())

        report = self.xenimage(*convert, "skip.xva", "--on-disk-error", "skip", code=8)
        self.assertEqual(["kept", "skipped"], [disk["state"] for disk in report["disks"]])
        report = self.xenimage(*convert, "named.xva", "--skip-disk", "2", code=8)
        self.assertEqual(["kept", "skipped"], [disk["state"] for disk in report["disks"]])
        report = self.xenimage(*convert, "replaced.xva", "--replace-disk", "2=source/b.raw")
        self.assertEqual(["kept", "replaced"], [disk["state"] for disk in report["disks"]])
        self.assert_disks(self.scratch / "replaced.xva")
        report = self.xenimage(*convert, "only.xva", "--metadata-only")
        self.assertEqual(["described", "described"], [disk["state"] for disk in report["disks"]])

        report = self.xenimage(*convert, "salvaged.xva", "--on-disk-error", "salvage", code=8)
        lost = [(each["offset"], each["length"]) for each in report["disks"][1]["lost"]]
        self.assertEqual([(MIB, 65536)], lost)
        self.assertIn("package.disk.lost", {finding["code"] for finding in report["findings"]})
        listed = (self.scratch / "salvaged.xva.lost.txt").read_text().splitlines()[1].split("\t")
        self.assertEqual(["2", str(MIB), "65536"], listed[:3])
        self.xenimage("disk", "convert", "salvaged.xva", "out.raw", "--format", "raw", "--disk", "2", "--force")
        expected = bytearray(SECOND)
        expected[MIB : MIB + 65536] = bytes(65536)
        self.assert_same_bytes(bytes(expected), (self.scratch / "out.raw").read_bytes())

    def test_an_encrypted_package_of_citrix(self) -> None:
        """Acceptance: a descriptor that lies about its encoding, disks of type 19, deflated, encrypted."""
        directory = self.scratch / "citrix"
        directory.mkdir()
        raw = self.scratch / "first.raw"
        raw.write_bytes(FIRST)
        self.run_tool("qemu-img", "convert", "-O", "vpc", "-o", "force_size=on", raw, "disk.vhd")
        (directory / "aa.vhd").write_bytes(encrypted(gzip.compress((self.scratch / "disk.vhd").read_bytes())))
        security = build.security(base64.b64encode(KNOWN).decode())
        descriptor = build.citrix(security=security, attributes='Id="xen_1" ovf:compression="GZip"')
        path = directory / "db.ovf"
        path.write_bytes(descriptor)
        password = self.scratch / "password"
        password.write_text("citrix\n")
        self.xenimage("package", "convert", path, "db.xva", "--password-file", password)
        machine = self.xenimage("package", "show", "db.xva")["machines"][0]
        self.assertEqual(
            ("db", 4, 2048 * MIB, "uefi"), tuple(machine[n] for n in ("name", "cpus", "memory", "firmware"))
        )
        words = ("--skip-disk", "bb", "--password-file", password, "--no-inspect")
        self.xenimage("package", "convert", path, "db.tgz", *words, code=8)
        self.run_tool("tar", "-xzf", "db.tgz")
        self.run_tool("qemu-img", "convert", "-f", "vpc", "-O", "raw", "0.vhd", "tar.raw")
        self.assert_same_bytes(FIRST, (self.scratch / "tar.raw").read_bytes()[: len(FIRST)])
