"""What can start a disk."""

from __future__ import annotations

import ddt

from tests.base import TestCase
from tests.builders.guests.files import MemoryFileSystem
from xenimage.guest.firmware import firmware_facts, starts_bios
from xenimage.guest.partitions.layout import BIOS_BOOT
from xenimage.guest.tree import Tree
from xenimage.limits import STRICT
from xenimage.model.guest.facts import FirmwareFacts
from xenimage.model.guest.layout import Layout, Partition


def disk(*, active: bool = False, kind: str = "0x83", **changes: object) -> Layout:
    partition = Partition(number=1, offset=0, length=1, type=kind, active=active)
    return Layout(index=0, name="", size=1, scheme="mbr", partitions=(partition,), **changes)


def esp(*paths: str) -> Tree:
    return Tree(MemoryFileSystem(dict.fromkeys(paths, b"MZ"), ignores_case=True), STRICT)


@ddt.ddt
class BiosTest(TestCase):
    @ddt.data(
        (disk(boot_code=True, active=True), True),
        (disk(boot_code=False, active=True), False),
        (disk(boot_code=True), False),
        (disk(boot_code=True, boot_loader="GRUB"), True),
        (disk(boot_code=True, boot_loader="syslinux"), False),
        (disk(boot_code=True, kind=BIOS_BOOT), True),
        (disk(kind=BIOS_BOOT), False),
    )
    @ddt.unpack
    def test_code_and_where_it_goes_on(self, layout: Layout, expected: bool) -> None:
        self.assertIs(expected, starts_bios(layout))
        self.assertEqual(FirmwareFacts(bios=expected), firmware_facts(layout, None))


@ddt.ddt
class UefiTest(TestCase):
    @ddt.data(
        ((), FirmwareFacts()),
        (("other/x.efi", "EFI/readme.txt"), FirmwareFacts()),
        (
            ("EFI/debian/grubx64.efi", "EFI/debian/grub.cfg"),
            FirmwareFacts(uefi=True, loaders=("EFI/debian/grubx64.efi",)),
        ),
        (
            ("efi/boot/bootx64.EFI",),
            FirmwareFacts(uefi=True, fallback=True, loaders=("EFI/boot/bootx64.EFI",)),
        ),
        (
            ("EFI/Microsoft/Boot/bootmgfw.efi", "EFI/Microsoft/Boot/BCD", "EFI/Microsoft/Recovery/x.efi"),
            FirmwareFacts(uefi=True, loaders=("EFI/Microsoft/Boot/bootmgfw.efi",)),
        ),
    )
    @ddt.unpack
    def test_programs(self, paths: tuple[str, ...], expected: FirmwareFacts) -> None:
        self.assertEqual(expected, firmware_facts(None, esp(*paths)))

    def test_very_many_programs(self) -> None:
        found = firmware_facts(None, esp(*(f"EFI/{folder}/{name}.efi" for folder in range(40) for name in range(10))))
        self.assertEqual(64, len(found.loaders))
