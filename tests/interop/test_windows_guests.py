"""Disks of Windows as real programs lay them out, looked at and judged as a whole: tables, volumes, files, hives.

sfdisk, mkntfs, libntfs-3g and mtools made them; nothing of what is under test did.
"""

from __future__ import annotations

import dataclasses
import shutil
from typing import TYPE_CHECKING

import ddt

from tests.base import TestCase
from tests.builders.guests import windows
from tests.builders.guests.windows_states import BY_NAME
from tests.unit.checks.guest.test_windows import TARGET, expected_properties
from xenimage.checks.guest import registry
from xenimage.formats.raw import open_raw
from xenimage.guest.inspection import inspect
from xenimage.limits import STRICT
from xenimage.sources.file import open_file
from xenimage.units import MIB

if TYPE_CHECKING:
    import pathlib

    from xenimage.model.guest.facts import GuestFacts

STATES = (
    "good-uefi", "good-bios", "bad-bios", "c000-uefi", "staged-uefi", "disabled-uefi", "legacy", "0001-bios",
    "c000-bios", "mixed", "xenvbd-4", "no-filter", "half-done", "audit", "no-cloudbase", "http-only", "no-disks",
    "dirty", "hibernated", "bios-to-uefi", "uefi-to-bios", "loader-of-bios", "no-nvme", "no-answers",
)  # fmt: skip


def drive_at(firmware: str) -> int:
    """Where drive C: begins."""
    before = windows.ESP_SIZE + windows.RESERVED_SIZE if firmware == "uefi" else windows.SYSTEM_SIZE
    return (1 + before) * MIB


@ddt.ddt
class WindowsDisksTest(TestCase):
    maxDiff = None

    def look(self, path: pathlib.Path) -> GuestFacts:
        source = open_file(path)
        self.addCleanup(source.close)
        return inspect([open_raw(source, STRICT)], STRICT, [path.name])

    def made(self, name: str) -> pathlib.Path:
        path = self.scratch / f"{name}.raw"
        BY_NAME[name].guest().write(path)
        return path

    def codes(self, facts: GuestFacts) -> list[str]:
        return [each.code for each in registry.judge(facts, TARGET)]

    @ddt.data(*STATES)
    def test_a_disk_gives_exactly_the_expected(self, name: str) -> None:
        case = BY_NAME[name]
        facts = self.look(self.made(name))
        self.assertEqual((), facts.unread)
        self.assertEqual("", facts.stopped)
        self.assertEqual(
            case.errors | case.warnings | case.infos, {each.code for each in registry.judge(facts, TARGET)}
        )
        suggested = {each.name: each.value for each in registry.suggest(facts, TARGET)}
        self.assertEqual(expected_properties(case), suggested)

    def test_little_is_read_for_it(self) -> None:
        cost = self.look(self.made("good-uefi")).cost
        self.assertLess(cost.bytes_read, 8 * MIB)

    def test_bitlocker_hides_everything(self) -> None:
        path = self.made("good-bios")
        with open(path, "r+b") as disk:
            disk.seek(drive_at("bios") + 3)
            disk.write(b"-FVE-FS-")
        facts = self.look(path)
        self.assertIsNone(facts.windows)
        self.assertEqual(["disk.bitlocker.volume", "guest.inspection.nothing"], self.codes(facts))

    def test_a_volume_that_was_not_closed(self) -> None:
        path = self.made("good-bios")
        # The low bit of $VOLUME_INFORMATION in record 3 of the MFT.
        self.set_dirty(path, drive_at("bios"))
        self.assertEqual(["windows.state.volume"], self.codes(self.look(path)))

    def set_dirty(self, path: pathlib.Path, start: int) -> None:
        with open(path, "r+b") as disk:
            disk.seek(start)
            boot = disk.read(512)
            cluster = int.from_bytes(boot[11:13], "little") * boot[13]
            record = start + int.from_bytes(boot[48:56], "little") * cluster + 3 * 1024
            disk.seek(record)
            data = disk.read(1024)
            at = int.from_bytes(data[20:22], "little")
            while int.from_bytes(data[at : at + 4], "little") != 0x70:
                at += int.from_bytes(data[at + 4 : at + 8], "little")
            flags = record + at + int.from_bytes(data[at + 20 : at + 22], "little") + 10
            disk.seek(flags)
            disk.write(b"\x01")

    def test_no_way_to_start_it(self) -> None:
        case = BY_NAME["good-uefi"]
        for missing, code in (
            ("EFI/Microsoft/Boot/BCD", "windows.boot.store"),
            ("EFI/Microsoft/Boot/bootmgfw.efi", "windows.boot.manager"),
            ("EFI/Boot/bootx64.efi", "disk.firmware.fallback"),
        ):
            guest = case.guest()
            boot = guest.boot()
            del boot[missing]
            path = self.scratch / "disk.raw"
            windows.write_disk(path, "uefi", guest.drive(), boot)
            self.assertEqual([code], self.codes(self.look(path)), missing)

    def test_index_blocks_over_two_runs_hide_nothing(self) -> None:
        path = self.scratch / "small-clusters.raw"
        BY_NAME["good-bios"].guest().write(path, cluster=512)
        self.assertEqual([], self.codes(self.look(path)))

    def test_a_disk_that_was_made_once_serves_many(self) -> None:
        first = windows.disk(windows.STATES["good-bios"])
        self.assertEqual(first, windows.disk(dataclasses.replace(windows.State(), firmware="bios")))
        copy = self.scratch / "copy.raw"
        shutil.copyfile(first, copy)
        self.assertEqual([], self.codes(self.look(copy)))
