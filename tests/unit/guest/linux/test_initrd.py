from __future__ import annotations

import unittest
from typing import TYPE_CHECKING, Any
from unittest import mock

import ddt

from tests.builders.guests.linux import PACKERS, cpio, initrd
from tests.unit.streams.test_unpack import forward
from xenimage.exceptions import FormatError, LimitError, XenimageError
from xenimage.guest.linux import initrd as module
from xenimage.guest.linux.initrd import Allowance, Listing, list_modules, module_name
from xenimage.guest.notes import Stopped
from xenimage.streams.forward import Forward
from xenimage.units import MIB

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = "usr/lib/modules/6.1/kernel/"
NAMES = [
    "bin/sh",
    f"{FOLDER}drivers/ata/ata_piix.ko",
    f"{FOLDER}drivers/block/xen-blkfront.ko.xz",
    f"{FOLDER}drivers/net/xen-netfront.ko.zst",
]
WANTED = frozenset({"xen-blkfront", "ata-piix", "nvme"})
NEVER = frozenset({"nothing"})


def listed(data: bytes, enough: frozenset[str] = NEVER) -> Listing:
    return list_modules(forward(data, 4096), WANTED, enough)


@ddt.ddt
class ListModulesTest(unittest.TestCase):
    @ddt.data(*PACKERS)
    def test_of_every_packing(self, packing: str) -> None:
        found = listed(initrd(NAMES, packing))
        self.assertEqual({"ata-piix": NAMES[1], "xen-blkfront": NAMES[2]}, found.modules)
        self.assertEqual((5, True), (found.names, found.complete))

    @ddt.data(*PACKERS)
    def test_without_microcode(self, packing: str) -> None:
        self.assertEqual({"ata-piix", "xen-blkfront"}, set(listed(PACKERS[packing](cpio(NAMES))).modules))

    def test_archives_behind_one_another(self) -> None:
        for first in PACKERS:
            data = (
                cpio(["early"], magic=b"070702")
                + bytes(3 * 512)
                + PACKERS[first](cpio(NAMES[:2]) + bytes(1024) + cpio(["more"]))
                + bytes(512)
                + PACKERS["gzip"](cpio(NAMES[2:]))
                + bytes(100)
            )
            self.assertEqual((6, True), (listed(data).names, listed(data).complete), first)

    def test_stops_once_enough_was_seen(self) -> None:
        data = initrd([*NAMES, *(f"z{number}" for number in range(1000))], "plain")
        asked = []
        source = forward(data, 512)
        with mock.patch.object(source, "_read", wraps=source._read) as read:
            found = list_modules(source, WANTED, frozenset({"xen-blkfront"}))
            asked = [call.args for call in read.call_args_list]
        self.assertEqual({"ata-piix", "xen-blkfront"}, set(found.modules))
        self.assertFalse(found.complete)
        self.assertLess(sum(length for length, _ in asked), 10_000)

    def test_data_of_plain_archives_is_not_read(self) -> None:
        data = cpio(["firmware"], content=bytes(5_000_000)) + cpio(NAMES)
        source = forward(data, 512)
        with mock.patch.object(source, "_read", wraps=source._read) as read:
            self.assertEqual(5, list_modules(source, WANTED, NEVER).names)
            self.assertLess(sum(call.args[0] for call in read.call_args_list), 10_000)

    def test_junk_behind_the_archives(self) -> None:
        self.assertEqual(4, listed(cpio(NAMES) + b"junk of a boot loader").names)

    @ddt.unpack
    @ddt.data(
        (b"", FormatError, "^is empty, expected a cpio archive, packed or not$"),
        (bytes(4096), FormatError, "^is empty, "),
        (b"#!/bin/sh\n", FormatError, "^begins with 23 21 2f 62 69 6e, expected a cpio archive, packed or not$"),
        (cpio(NAMES)[:300], FormatError, "^a header of the cpio archive begins with "),
        (PACKERS["gzip"](b"no archive"), FormatError, "^a header of the cpio archive begins with b'no arc', expected "),
        (b"070701" + b"z" * 104, FormatError, "^a number in the cpio archive is b'zzzzzzzz', expected hexadecimal"),
        (b"070701" + b"0" * 104, FormatError, "^a name in the cpio archive has 0 bytes, expected 1 to 4096$"),
        (b"070701" + b"F" * 104, FormatError, "^a name in the cpio archive has 4294967295 bytes, expected 1 to 4096$"),
        (PACKERS["zstd"](cpio(NAMES))[:50], FormatError, "^ends at "),
    )
    def test_damage(self, data: bytes, kind: type[XenimageError], text: str) -> None:
        with self.assertRaisesRegex(kind, text):
            listed(data)

    def test_bounds(self) -> None:
        with mock.patch.object(module, "NAMES_MAX", 3), self.assertRaisesRegex(LimitError, "^holds more than 3 names$"):
            listed(cpio(NAMES))
        bomb = PACKERS["gzip"](cpio(["a"], content=bytes(3_000_000)))
        with (
            mock.patch.object(module, "UNPACKED_MAX", 1_500_000),
            self.assertRaisesRegex(LimitError, "^unpacks to more than is left of 1500000 bytes for all initrds$"),
        ):
            listed(bomb)

    def test_all_initrds_share_what_may_be_unpacked(self) -> None:
        allowance = Allowance()
        content = cpio(["a"], content=bytes(600_000))
        with mock.patch.object(module, "UNPACKED_MAX", 1_500_000):
            for packing in ("xz", "bzip2"):
                list_modules(forward(PACKERS[packing](content)), WANTED, NEVER, allowance)
            self.assertEqual(2 * len(content), allowance.unpacked)
            with self.assertRaisesRegex(LimitError, "^unpacks to more than is left of "):
                list_modules(forward(PACKERS["zstd"](content)), WANTED, NEVER, allowance)

    @ddt.data(*sorted(set(PACKERS) - {"plain"}))
    def test_the_clock_is_looked_at_between_the_pieces(self, packing: str) -> None:
        ticks = 0

        def check() -> None:
            nonlocal ticks
            ticks += 1
            if ticks == 4:
                raise Stopped("took longer than 30 s")

        allowance = Allowance(check)
        with self.assertRaises(Stopped):
            list_modules(forward(PACKERS[packing](bytes(512) + cpio(["a"], content=bytes(40 * MIB)))), WANTED, NEVER,
                         allowance)  # fmt: skip
        self.assertLessEqual(allowance.unpacked, 24 * MIB)

    def test_a_hostile_initrd_of_small_parts(self) -> None:
        # Each of them once cost a copy of all that was read ahead.
        copied = 0

        class Counted(bytes):
            def __getitem__(self, key: Any) -> Any:
                nonlocal copied
                part = super().__getitem__(key)
                copied += len(part) if isinstance(key, slice) else 0
                return Counted(part) if isinstance(key, slice) else part

        data = bytes(2 * MIB) + cpio(f"n{number}" for number in range(1000))
        source = Forward(lambda length, offset: Counted(data[offset : offset + length]), MIB)
        self.assertEqual(1000, list_modules(source, WANTED, NEVER).names)
        self.assertLess(copied, 12 * MIB)

    @ddt.data(lambda data: data, PACKERS["gzip"])
    def test_archives_are_counted(self, pack: Callable[[bytes], bytes]) -> None:
        # Without names in them nothing else would bound them.
        with self.assertRaisesRegex(LimitError, "^holds 1000 archives or more$"):
            listed(pack(cpio([]) * 1001))
        self.assertEqual(0, listed(pack(cpio([]) * 999)).names)

    def test_names_of_modules(self) -> None:
        for path, name in {
            "a/b/xen-blkfront.ko": "xen-blkfront",
            "xen_blkfront.ko.gz": "xen-blkfront",
            "lib/nvme.ko.zst": "nvme",
            "lib/nvme.kon": "",
            "lib/nvme-core.ko": "nvme-core",
        }.items():
            self.assertEqual(name, module_name(path), path)
