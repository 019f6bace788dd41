"""What superblocks say, in forms that no maker at hand makes, or that are damaged."""

from __future__ import annotations

import struct
import uuid

import ddt

from tests.base import TestCase
from tests.builders.guests.tables import Area, Row, boot_record
from xenimage.guest.volumes.layout import HEAD, READERS, zfs
from xenimage.guest.volumes.recognise import recognise
from xenimage.model.guest.layout import Volume
from xenimage.units import KIB, MIB

OWN = uuid.UUID("01234567-89ab-cdef-0123-456789abcdef")
SIZE = 16 * MIB


def at(offset: int, data: bytes) -> dict[int, bytes]:
    return {offset: data}


def ext(**changes: int) -> bytes:
    """A superblock of ext2."""
    field = {
        "blocks": 1000,
        "free": 100,
        "log": 0,
        "state": 1,
        "revision": 1,
        "compatible": 0,
        "incompatible": 2,
        "read_only": 3,
    } | changes
    data = bytearray(1024)
    struct.pack_into("<III", data, 4, field["blocks"], 0, field["free"])
    struct.pack_into("<II", data, 24, field["log"], field["log"])
    struct.pack_into("<HH", data, 56, 0xEF53, field["state"])
    struct.pack_into("<I", data, 76, field["revision"])
    struct.pack_into("<III", data, 92, field["compatible"], field["incompatible"], field["read_only"])
    data[104:120] = OWN.bytes
    data[120:126] = b"l\xc3\xa4bel"
    return bytes(data)


def fat(
    head: bytes = b"\xeb\x58\x90MSDOS5.0", kind: bytes = b"FAT32   ", clusters: int = 70000, flags: int = 0
) -> bytearray:
    """The boot sector of a FAT32, and its FAT."""
    data = bytearray(40 * KIB)
    data[: len(head)] = head
    struct.pack_into("<HBHBHHBH", data, 11, 512, 1, 32, 2, 0, 0, 0xF8, 0)
    struct.pack_into("<II", data, 32, 32 + 2 * 600 + clusters, 600)
    data[65] = flags
    struct.pack_into("<I", data, 67, 0xABCD1234)
    data[82:90] = kind
    data[510:512] = b"\x55\xaa"
    struct.pack_into("<II", data, 32 * 512, 0x0FFFFFF8, 0x0FFFFFFF)
    return data


MAGICS = {
    "bitlocker": (at(3, b"-FVE-FS-"), Volume(kind="bitlocker")),
    "bitlocker to go": (
        {0: b"\xeb\x58\x90MSWIN4.1", 0x1A8: uuid.UUID("4967D63B-2E29-4AD8-8399-F6A339E3D001").bytes_le},
        Volume(kind="bitlocker"),
    ),
    "refs": (at(3, b"ReFS\0\0\0\0"), Volume(kind="refs")),
    "luks 1": (
        {0: b"LUKS\xba\xbe\0\1", 168: str(OWN).encode()},
        Volume(kind="luks", uuid=str(OWN)),
    ),
    "luks 2": (
        {0: b"LUKS\xba\xbe\0\2", 24: b"secret", 168: str(OWN).encode()},
        Volume(kind="luks", uuid=str(OWN), label="secret"),
    ),
    "md 1.1": (
        {0: b"\xfc\x4e\x2b\xa9\1\0\0\0", 16: OWN.bytes, 32: b"host:0"},
        Volume(kind="md", uuid=str(OWN), label="host:0"),
    ),
    "md 1.2": ({4096: b"\xfc\x4e\x2b\xa9\1\0\0\0", 4112: OWN.bytes}, Volume(kind="md", uuid=str(OWN))),
    "md 1.0": (
        {SIZE - 8 * KIB: b"\xfc\x4e\x2b\xa9\1\0\0\0", SIZE - 8 * KIB + 16: OWN.bytes, 1024: ext()},
        Volume(kind="md", uuid=str(OWN)),
    ),
    "md 0.90": (
        {SIZE - 64 * KIB: b"\xfc\x4e\x2b\xa9\0\0\0\0\x5a\0\0\0", SIZE - 64 * KIB + 20: b"\1\2\3\4", SIZE - 64 * KIB + 52: b"\5\6\7\x08" * 3},  # noqa: E501
        Volume(kind="md", uuid="04030201-0807-0605-0807-060508070605"),
    ),
    "lvm2": (
        {512: b"LABELONE" + struct.pack("<QII8s", 1, 0, 32, b"LVM2 001") + b"0123456789abcdefghijABCDEFGHIJ01"},
        Volume(kind="lvm2", uuid="012345-6789-abcd-efgh-ijAB-CDEF-GHIJ01"),
    ),
    "swap of old": ({4086: b"SWAP-SPACE"}, Volume(kind="swap", size=4096, cluster_size=4096)),
    "swap that holds a hibernated system": (
        {1024: struct.pack("<II4x16s16s", 1, 99, OWN.bytes, b"sw"), 4086: b"S1SUSPEND\0"},
        Volume(kind="swsuspend", label="sw", uuid=str(OWN), size=409600, cluster_size=4096),
    ),
    "exfat": (
        {3: b"EXFAT   ", 72: struct.pack("<Q", 32768), 100: struct.pack("<I2xHBB", 0x12345678, 2, 9, 3)},
        Volume(kind="exfat", uuid="1234-5678", size=SIZE, cluster_size=4096, dirty=True),
    ),
    "iso9660": ({32769: b"CD001", 32808: b"CDROM   "}, Volume(kind="iso9660", label="CDROM")),
    "squashfs": ({0: b"hsqs"}, Volume(kind="squashfs")),
    "zfs": ({16 * KIB: b"\1", 128 * KIB + 4 * KIB: b"\x0c\xb1\xba\0\0\0\0\0"}, Volume(kind="zfs")),
    "nothing": ({}, Volume(kind="")),
    "noise": ({0: b"\xa5" * 100000}, Volume(kind="")),
    "an mbr": ({0: boot_record(Row(start=1, sectors=1))}, Volume(kind="")),
}  # fmt: skip


@ddt.ddt
class MagicTest(TestCase):
    @ddt.data(*MAGICS)
    def test_what_is_only_recognised(self, name: str) -> None:
        parts, expected = MAGICS[name]
        self.assertEqual(expected, recognise(Area(parts, SIZE)))

    @ddt.data(0, 1, 11, 100, 512, 1080, 1536, 4096, 65536, 70000, 131080)
    def test_a_volume_that_ends_early_is_no_error(self, size: int) -> None:
        for parts, _ in MAGICS.values():
            recognise(Area({start: data[: max(0, size - start)] for start, data in parts.items()}, size))


@ddt.ddt
class ExtTest(TestCase):
    def found(self, size: int = SIZE, **changes: int) -> Volume:
        return recognise(Area({1024: ext(**changes)}, size))

    def test_all_of_it(self) -> None:
        expected = Volume(kind="ext2", label="läbel", uuid=str(OWN), size=1000 * KIB, cluster_size=KIB, free=100 * KIB)
        self.assertEqual(expected, self.found())

    @ddt.data(
        ({}, "ext2"),
        ({"compatible": 4}, "ext3"),
        ({"compatible": 4, "incompatible": 0x40}, "ext4"),
        ({"compatible": 4, "read_only": 0x10}, "ext4"),
        ({"incompatible": 0x12}, "ext2"),
    )
    @ddt.unpack
    def test_kinds(self, changes: dict[str, int], kind: str) -> None:
        self.assertEqual(kind, self.found(**changes).kind)

    @ddt.data((0, True), (1, False), (2, True), (3, True), (5, False))
    @ddt.unpack
    def test_states(self, state: int, dirty: bool) -> None:
        self.assertIs(dirty, self.found(state=state).dirty)

    @ddt.data({"log": 7}, {"log": 0xFFFFFFFF}, {"revision": 2}, {"blocks": 0}, {"incompatible": 8})
    def test_what_is_none(self, changes: dict[str, int]) -> None:
        self.assertEqual("", self.found(**changes).kind)

    def test_more_free_than_there_is(self) -> None:
        self.assertEqual(1000 * KIB, self.found(free=0xFFFFFFFF).free)


class FatTest(TestCase):
    def test_the_number_of_clusters_tells_the_kind(self) -> None:
        found = recognise(Area(bytes(fat()), SIZE * 4))
        self.assertEqual(
            ("fat32", "ABCD-1234", 512, None, False),
            (found.kind, found.uuid, found.cluster_size, found.free, found.dirty),
        )
        self.assertEqual("fat16", recognise(Area(bytes(fat(clusters=65524)), SIZE)).kind)
        self.assertEqual("fat32", recognise(Area(bytes(fat(clusters=65525)), SIZE)).kind)
        self.assertEqual("fat12", recognise(Area(bytes(fat(clusters=4084)), SIZE)).kind)

    def test_dirty(self) -> None:
        self.assertTrue(recognise(Area(bytes(fat(flags=1)), SIZE)).dirty)
        windows = fat()
        struct.pack_into("<I", windows, 32 * 512 + 4, 0x07FFFFFF)
        self.assertTrue(recognise(Area(bytes(windows), SIZE)).dirty)

    def test_what_is_none(self) -> None:
        for start, data in (
            (11, b"\0\0"),
            (13, b"\0"),
            (13, b"\3"),
            (14, b"\0\0"),
            (16, b"\0"),
            (16, b"\3"),
            (21, b"\0"),
            (82, b"x"),
            (510, b"x"),
            (32, bytes(4)),
        ):
            damaged = fat()
            damaged[start : start + len(data)] = data
            self.assertEqual("", recognise(Area(bytes(damaged), SIZE)).kind, start)


class ReadersTest(TestCase):
    def test_any_length_of_any_bytes(self) -> None:
        for length in (0, 1, 3, 88, 511, 512, 1400, 4096, 65900, HEAD):
            for byte in (b"\0", b"\xff", b"\1"):
                for reader in (*READERS, zfs):
                    reader((byte * length).ljust(HEAD, b"\0"))
