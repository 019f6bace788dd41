"""What a disk is divided by."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import ddt

from tests.base import TestCase
from tests.builders.guests.tables import DISK_ID, Area, GptRow, Row, boot_record, gpt, gpt_header
from xenimage.guest.partitions.table import is_extended, read_layout

if TYPE_CHECKING:
    from xenimage.model.guest.layout import Layout

SECTORS = 20000
SIZE = SECTORS * 512
ESP = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")


def layout(parts: dict[int, bytes] | bytes, size: int = SIZE) -> Layout:
    return read_layout(Area(parts, size), 3, "name")


def rows(found: Layout) -> list[tuple[int, int, int, str]]:
    """Number, first sector, sectors and type of each partition."""
    return [(one.number, one.offset // 512, one.length // 512, one.type) for one in found.partitions]


class MbrTest(TestCase):
    def test_primary_partitions(self) -> None:
        found = layout(
            boot_record(
                Row(type=7, start=2048, sectors=1000, status=0x80),
                Row(),
                Row(type=0x83, start=4096, sectors=2000),
                Row(type=0xEF, start=3500, sectors=100),
            )
        )
        self.assertEqual(
            ("mbr", "0x12345678", 3, "name", SIZE),
            (found.scheme, found.identifier, found.index, found.name, found.size),
        )
        self.assertEqual([(1, 2048, 1000, "0x07"), (4, 3500, 100, "0xef"), (3, 4096, 2000, "0x83")], rows(found))
        self.assertEqual(["12345678-01", "12345678-04", "12345678-03"], [one.uuid for one in found.partitions])
        self.assertEqual([True, False, False], [one.active for one in found.partitions])
        self.assertEqual(["NTFS or exFAT", "EFI system", "Linux"], [one.type_name for one in found.partitions])
        self.assertEqual((6096 * 512, None, ()), (found.table_end, found.backup_table, found.remarks))
        self.assertFalse(found.boot_code)

    def test_logical_partitions_are_numbered_from_5_by_their_chain(self) -> None:
        found = layout(
            {
                0: boot_record(Row(start=100, sectors=100), Row(type=0x0F, start=1000, sectors=9000)),
                1000 * 512: boot_record(Row(start=8, sectors=92), Row(type=5, start=4000, sectors=100)),
                5000 * 512: boot_record(Row(type=0x82, start=10, sectors=90), Row(type=5, start=2000, sectors=100)),
                3000 * 512: boot_record(Row(type=0x8E, start=1, sectors=5)),
            }
        )
        self.assertEqual(
            [(1, 100), (2, 1000), (5, 1008), (7, 3001), (6, 5010)],
            [(number, start) for number, start, *_ in rows(found)],
        )
        self.assertEqual((7, 3001, 5, "0x8e"), rows(found)[3])
        self.assertEqual([False, True, False, False, False], [is_extended(one) for one in found.partitions])
        self.assertEqual((), found.remarks)

    def test_an_empty_logical_partition_in_front(self) -> None:
        found = layout(
            {
                0: boot_record(Row(type=5, start=1000, sectors=9000)),
                1000 * 512: boot_record(Row(), Row(type=5, start=100, sectors=100)),
                1100 * 512: boot_record(Row(start=1, sectors=9)),
            }
        )
        self.assertEqual([(1, 1000, 9000, "0x05"), (5, 1101, 9, "0x83")], rows(found))

    def test_boot_code_and_its_loader(self) -> None:
        row = Row(start=100, sectors=100)
        found = layout(boot_record(row, code=b"\xeb\x63\x90".ljust(300) + b"GRUB \0Geom\0Hard Disk\0"))
        self.assertEqual((True, "GRUB"), (found.boot_code, found.boot_loader))
        found = layout(boot_record(row, code=b"\x33\xc0"))
        self.assertEqual((True, ""), (found.boot_code, found.boot_loader))
        self.assertEqual("Windows", layout(boot_record(row, code=b"x Invalid partition table")).boot_loader)

    def test_an_old_gpt_behind_an_mbr_is_not_read(self) -> None:
        parts = gpt(GptRow(first=100, last=200), sectors=SECTORS)
        parts[0] = boot_record(Row(start=50, sectors=10))
        found = layout(parts)
        self.assertEqual(("mbr", [(1, 50, 10, "0x83")]), (found.scheme, rows(found)))
        self.assertEqual(
            ("An old GPT stands behind the MBR, which has no protective entry; it was not read.",), found.remarks
        )


class OddMbrTest(TestCase):
    """Tables that are damaged, or made to harm."""

    def remarks(self, parts: dict[int, bytes] | bytes) -> tuple[str, ...]:
        area = Area(parts, SIZE)
        found = read_layout(area, 0, "")
        self.assertLess(area.reads, 300)
        self.assertLess(len(found.partitions), 200)
        return found.remarks

    def test_a_loop(self) -> None:
        parts = {
            0: boot_record(Row(type=5, start=1000, sectors=9000)),
            1000 * 512: boot_record(Row(start=8, sectors=92), Row(type=5, start=200, sectors=1)),
            1200 * 512: boot_record(Row(start=8, sectors=92), Row(type=5, start=0, sectors=1)),
        }
        self.assertEqual(("The chain of logical partitions does not end.",), self.remarks(parts))

    def test_a_very_long_chain(self) -> None:
        parts = {0: boot_record(Row(type=5, start=1000, sectors=9000))}
        for n in range(1000):
            parts[(1000 + 2 * n) * 512] = boot_record(Row(start=1, sectors=1), Row(type=5, start=2 * n + 2, sectors=1))
        self.assertEqual(("The chain of logical partitions does not end.",), self.remarks(parts))

    def test_a_chain_that_leaves_its_partition(self) -> None:
        parts = {
            0: boot_record(Row(type=5, start=1000, sectors=9000)),
            1000 * 512: boot_record(Row(start=8, sectors=92), Row(type=5, start=9500, sectors=1)),
        }
        self.assertEqual(
            ("The chain of logical partitions leads to sector 10500, outside of the extended partition.",),
            self.remarks(parts),
        )

    def test_a_record_without_signature(self) -> None:
        parts = {0: boot_record(Row(type=5, start=1000, sectors=9000))}
        self.assertEqual(("The record of logical partition 5, at sector 1000, is damaged.",), self.remarks(parts))

    def test_an_extended_partition_behind_the_end(self) -> None:
        parts = boot_record(Row(type=5, start=0xFFFFFF00, sectors=0xFFFFFFFF))
        self.assertEqual(
            (
                "The record of logical partition 5, at sector 4294967040, is damaged.",
                "Partition 1 ends at 0x3fffffdfe00, behind the end of the disk at 0x9c4000.",
            ),
            self.remarks(parts),
        )

    def test_four_extended_partitions(self) -> None:
        parts = {0: boot_record(*[Row(type=5, start=1000, sectors=9000)] * 4)}
        parts[1000 * 512] = boot_record(Row(start=1, sectors=1))
        self.assertEqual(
            ("Partitions 5 and 6 overlap.", "Partitions 6 and 7 overlap.", "Partitions 7 and 8 overlap."),
            self.remarks(parts),
        )

    def test_partitions_over_each_other(self) -> None:
        parts = boot_record(Row(start=100, sectors=100), Row(start=150, sectors=100))
        self.assertEqual(("Partitions 1 and 2 overlap.",), self.remarks(parts))

    def test_one_that_is_cut_off(self) -> None:
        found = layout(boot_record(Row(start=19000, sectors=2000)))
        self.assertEqual(("Partition 1 ends at 0xa41000, behind the end of the disk at 0x9c4000.",), found.remarks)
        self.assertGreater(found.table_end, found.size)

    def test_no_table(self) -> None:
        for data in (b"", bytes(512), b"\xff" * 512, boot_record(signature=b"\0\0")):
            found = layout(data)
            self.assertEqual(("", "", ()), (found.scheme, found.identifier, found.partitions), data[:9])
        self.assertEqual(("mbr", ()), (layout(boot_record()).scheme, layout(boot_record()).partitions))
        self.assertEqual(("", 0), (layout(b"", 0).scheme, layout(b"", 0).size))

    def test_a_status_that_no_table_has(self) -> None:
        self.assertEqual("", layout(boot_record(Row(start=1, sectors=1, status=0x54))).scheme)


@ddt.ddt
class GptTest(TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.rows = (
            GptRow(first=2048, last=4095, type=ESP, own=uuid.UUID(int=7), name="EFI ä"),
            GptRow(first=1000, last=2047, attributes=4, name="x" * 36),
        )
        self.parts = gpt(*self.rows, sectors=SECTORS)
        self.backup = (SECTORS - 1) * 512

    def check_rows(self, found: Layout) -> None:
        self.assertEqual(
            [(2, 1000, 1048, "0FC63DAF-8483-4772-8E79-3D69D8477DE4"), (1, 2048, 2048, str(ESP).upper())], rows(found)
        )

    def test_a_sound_one(self) -> None:
        found = layout(self.parts)
        self.check_rows(found)
        self.assertEqual(
            ("gpt", str(DISK_ID), SIZE, True, ()),
            (found.scheme, found.identifier, found.table_end, found.backup_table, found.remarks),
        )
        self.assertEqual(["x" * 36, "EFI ä"], [one.name for one in found.partitions])
        self.assertEqual(["Linux", "EFI system"], [one.type_name for one in found.partitions])
        self.assertEqual([True, False], [one.active for one in found.partitions])
        self.assertEqual(str(uuid.UUID(int=7)), found.partitions[1].uuid)

    def test_large_entries(self) -> None:
        self.check_rows(layout(gpt(*self.rows, sectors=SECTORS, size=256)))

    def test_sectors_of_4096(self) -> None:
        found = layout(gpt(GptRow(first=10, last=19), sectors=1000, sector=4096), 1000 * 4096)
        self.assertEqual([(1, 80, 80, "0FC63DAF-8483-4772-8E79-3D69D8477DE4")], rows(found))
        self.assertEqual(
            ("The GPT counts sectors of 4096 bytes: where a disk shows 512, nobody finds it.",), found.remarks
        )

    @ddt.data(
        {"crc": 1},
        {"size": 91},
        {"size": 513},
        {"says": 2},
        {"entry": 64},
        {"entry": 129},
        {"count": 0},
        {"count": 0xFFFFFFFF},
        {"entries_crc": 0},
        {"at": 0xFFFFFFFFFFFF},
    )
    def test_the_backup_is_read_where_the_primary_one_is_broken(self, change: dict[str, int]) -> None:
        self.parts[512] = gpt_header(1, SECTORS - 1, 2, self.parts[1024], **change)
        found = layout(self.parts)
        self.check_rows(found)
        self.assertFalse(found.backup_table)
        self.assertEqual(("The primary GPT is damaged; its backup at sector 19999 was read instead.",), found.remarks)

    def test_the_backup_of_a_disk_that_has_grown(self) -> None:
        self.parts[512] = bytes(512)
        found = layout(self.parts, 30000 * 512)
        self.check_rows(found)
        self.assertEqual((SIZE, False), (found.table_end, found.backup_table))

    def test_both_broken(self) -> None:
        self.parts[512] = bytes(512)
        self.parts[self.backup] = bytes(512)
        found = layout(self.parts)
        self.assertEqual(
            ("gpt", (), False, None), (found.scheme, found.partitions, found.backup_table, found.table_end)
        )
        self.assertEqual(("Both tables of the GPT are missing or damaged.",), found.remarks)

    def test_a_missing_backup(self) -> None:
        self.parts[self.backup] = bytes(512)
        found = layout(self.parts)
        self.check_rows(found)
        self.assertFalse(found.backup_table)
        self.assertEqual(("The backup of the GPT, at sector 19999, is missing or damaged.",), found.remarks)

    def test_a_backup_that_says_something_else(self) -> None:
        table = self.rows[0].pack().ljust(128 * 128, b"\0")
        self.parts[self.backup - len(table)] = table
        self.parts[self.backup] = gpt_header(SECTORS - 1, 1, SECTORS - 33, table)
        found = layout(self.parts)
        self.check_rows(found)
        self.assertFalse(found.backup_table)
        self.assertEqual(("The backup of the GPT says something else than the primary one.",), found.remarks)

    def test_a_disk_that_was_cut_off(self) -> None:
        found = layout(self.parts, 15000 * 512)
        self.check_rows(found)
        self.assertEqual((False, SIZE), (found.backup_table, found.table_end))
        self.assertEqual(
            (
                "The GPT ends at sector 19999, the disk at sector 14999: it was cut off, or the table is that of a"
                " larger disk.",
            ),
            found.remarks,
        )

    def test_a_disk_that_has_grown(self) -> None:
        found = layout(self.parts, 30000 * 512)
        self.check_rows(found)
        self.assertEqual((True, SIZE), (found.backup_table, found.table_end))
        self.assertEqual(
            ("The GPT ends at sector 19999 of 30000: the disk has grown since it was made.",), found.remarks
        )

    def test_a_hybrid_table(self) -> None:
        self.parts[0] = boot_record(Row(type=0xEE, start=1, sectors=2047), Row(type=7, start=2048, sectors=2048))
        found = layout(self.parts)
        self.check_rows(found)
        self.assertEqual(
            ("The MBR names partitions beside the GPT (a hybrid table); the GPT was read.",), found.remarks
        )

    def test_without_protective_mbr(self) -> None:
        self.parts[0] = bytes(512)
        found = layout(self.parts)
        self.check_rows(found)
        self.assertEqual(
            ("There is no protective MBR before the GPT: Linux and firmware look for one.",), found.remarks
        )

    def test_a_partition_that_ends_before_it_begins(self) -> None:
        found = layout(gpt(GptRow(first=200, last=100), GptRow(first=300, last=400), sectors=SECTORS))
        self.assertEqual([(2, 300, 101, "0FC63DAF-8483-4772-8E79-3D69D8477DE4")], rows(found))
        self.assertEqual(("Partition 1 ends before it begins.",), found.remarks)

    def test_numbers_of_64_bits(self) -> None:
        found = layout(gpt(GptRow(first=1, last=2**64 - 1), GptRow(first=2**64 - 1, last=2**64 - 1), sectors=SECTORS))
        self.assertEqual(2, len(found.partitions))
        self.assertEqual(2, sum("behind the end" in remark for remark in found.remarks))

    def test_very_many_partitions(self) -> None:
        table = b"".join(GptRow(first=100 + n, last=100 + n).pack() for n in range(8192))
        parts = {0: self.parts[0], 512: gpt_header(1, SECTORS - 1, 2, table), 1024: table}
        found = layout(parts)
        self.assertEqual(256, len(found.partitions))
        self.assertIn("The GPT has more than 256 partitions; the rest of them is left out.", found.remarks)
        table += GptRow(first=1, last=1).pack()
        parts = {0: self.parts[0], 512: gpt_header(1, SECTORS - 1, 2, table), 1024: table}
        self.assertEqual((), layout(parts).partitions)


class BareTest(TestCase):
    """A disk that one volume fills."""

    def test_a_volume_without_a_table(self) -> None:
        boot = bytearray(boot_record(Row(start=1, sectors=1, status=0x41)))
        boot[3:11] = b"NTFS    "
        found = layout(bytes(boot))
        self.assertEqual(("none", [(0, 0, SECTORS, "")]), (found.scheme, rows(found)))
        self.assertTrue(found.boot_code)

    def test_a_table_wins_where_its_rows_can_be_one(self) -> None:
        boot = bytearray(boot_record(Row(start=100, sectors=10)))
        boot[3:11] = b"NTFS    "
        self.assertEqual("mbr", layout(bytes(boot)).scheme)
