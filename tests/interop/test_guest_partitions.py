"""Partition tables that sfdisk makes, and what it says of them."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import ddt

from tests.base import TestCase
from tests.builders.guests.windows import PROGRAM_PATH
from xenimage.formats.raw import open_raw
from xenimage.guest.partitions.table import read_layout
from xenimage.guest.window import Budget, DiskReader
from xenimage.limits import STRICT
from xenimage.sources.file import open_file

if TYPE_CHECKING:
    from xenimage.model.guest.layout import Layout

DOS = """label: dos
label-id: 0xabcdef01
size=100M, type=7, bootable
size=200M, type=5
size=100M, type=83
size=50M, type=ef
size=20M, type=82
size=30M, type=8e
size=40M, type=c
"""
GPT = """label: gpt
label-id: 4159F95A-DF07-4689-9E6B-CCB9A2FF61E0
size=1M, type=21686148-6449-6E6F-744E-656564454649
size=100M, type=U, name="EFI System Partition"
start=400M, size=100M, type=L, attrs="LegacyBIOSBootable", uuid=3B7C1A4E-0D3A-4F0E-9C1B-7D3A5E2B4C61
start=300M, size=50M, type=V
size=10M, type=S, name="été"
"""


@ddt.ddt
class SfdiskTest(TestCase):
    def made(self, script: str, size: int = 700) -> tuple[Layout, dict[str, Any]]:
        image = self.scratch / "disk.raw"
        with open(image, "wb") as file:
            file.truncate(size << 20)
        environment = {"PATH": PROGRAM_PATH, "LC_ALL": "C.UTF-8"}
        subprocess.run(
            ["sfdisk", "-q", str(image)], input=script, text=True, check=True, capture_output=True, env=environment
        )
        told = subprocess.run(["sfdisk", "-J", str(image)], check=True, capture_output=True, env=environment).stdout
        disk = open_raw(open_file(image), STRICT)
        self.addCleanup(disk.close)
        return read_layout(DiskReader(disk, Budget(STRICT)), 0, ""), json.loads(told)["partitiontable"]

    @ddt.data(DOS, DOS.replace("type=5", "type=f"), GPT, GPT + "size=1M\n" * 60)
    def test_the_same_partitions(self, script: str) -> None:
        found, told = self.made(script)
        self.assertEqual({"dos": "mbr"}.get(told["label"], told["label"]), found.scheme)
        self.assertEqual(told["id"].lower(), found.identifier)
        expected = sorted(
            (
                row["start"] * 512,
                int(row["node"].rpartition("disk.raw")[2]),
                row["size"] * 512,
                row["type"].upper() if found.scheme == "gpt" else f"0x{int(row['type'], 16):02x}",
                row.get("uuid", "").lower(),
                row.get("name", ""),
                row.get("bootable", False) or "LegacyBIOSBootable" in row.get("attrs", ""),
            )
            for row in told["partitions"]
        )
        gpt = found.scheme == "gpt"
        self.assertEqual(
            expected,
            [
                (one.offset, one.number, one.length, one.type, one.uuid if gpt else "", one.name, one.active)
                for one in found.partitions
            ],
        )
        self.assertEqual((), found.remarks)

    def test_the_backup_of_a_gpt(self) -> None:
        sound, _ = self.made(GPT)
        with open(self.scratch / "disk.raw", "r+b") as file:
            file.seek(512)
            file.write(bytes(512))
        disk = open_raw(open_file(self.scratch / "disk.raw"), STRICT)
        self.addCleanup(disk.close)
        found = read_layout(DiskReader(disk, Budget(STRICT)), 0, "")
        self.assertEqual((sound.partitions, sound.identifier), (found.partitions, found.identifier))
        self.assertEqual((True, False), (sound.backup_table, found.backup_table))
