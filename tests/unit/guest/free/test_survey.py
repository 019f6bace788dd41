"""Volumes in partitions and logical volumes: what is free in each, at its place on the disk."""

from __future__ import annotations

import functools
import pathlib
import struct
import tempfile

import ddt

from tests.base import TestCase
from tests.builders.guests import freespace, lvm, ntfs, tables
from tests.builders.guests.tables import GptRow, Row, boot_record
from tests.unit.guest.free.support import raw
from xenimage.exceptions import NotReadyError
from xenimage.guest.free.survey import survey
from xenimage.limits import STRICT
from xenimage.units import MIB, SECTOR

MOST = 10_000
PV, OTHER = "Qb" * 16, "Rc" * 16


@functools.cache
def ext(size=4 * MIB):
    """A file system, and what is free in it."""
    with tempfile.TemporaryDirectory() as directory:
        image = pathlib.Path(directory) / "disk"
        freespace.make_ext(image, size, freespace.random_tree(1, 20, 20_000), "-t", "ext2", "-b", "1024")
        return image.read_bytes(), freespace.ext_free(image)


@functools.cache
def windows():
    with tempfile.TemporaryDirectory() as directory:
        image = pathlib.Path(directory) / "disk"
        ntfs.format_volume(image, 4 * MIB)
        return image.read_bytes(), freespace.ntfs_free(image, 4096)


def swap(size=MIB):
    head = bytes(1024) + struct.pack("<III", 1, size // 4096 - 1, 0)
    return (head.ljust(4086, b"\0") + b"SWAPSPACE2").ljust(size, b"\xee"), [(4096, size)]


def fat():
    return bytes(54) + b"FAT16   " + bytes(MIB)


def disk(size, parts):
    data = bytearray(size)
    for at, part in parts.items():
        data[at : at + len(part)] = part
    return raw(data)


def sectors(start, size):
    return {"start": start // SECTOR, "sectors": size // SECTOR}


def moved(ranges, offset):
    return [(offset + start, offset + stop) for start, stop in ranges]


def pairs(found):
    return list(zip(found.starts, found.stops, strict=True))


def told(found):
    return [(volume.place, volume.kind, volume.why) for volume in found.volumes]


class PartitionsTest(TestCase):
    def test_primary_and_logical_ones(self):
        mbr = boot_record(
            Row(**sectors(MIB, 4 * MIB)),
            Row(type=0x07, **sectors(5 * MIB, 4 * MIB)),
            Row(type=0x05, **sectors(9 * MIB, 3 * MIB)),
        )
        logical = boot_record(Row(type=0x82, **sectors(MIB, MIB)))
        found = survey(
            disk(16 * MIB, {0: mbr, MIB: ext()[0], 5 * MIB: windows()[0], 9 * MIB: logical, 10 * MIB: swap()[0]}),
            MOST,
            STRICT,
        )
        self.assertEqual(
            [("partition 1", "ext2", ""), ("partition 2", "ntfs", ""), ("partition 5", "swap", "")], told(found)
        )
        expected = [*moved(ext()[1], MIB), *moved(windows()[1], 5 * MIB), *moved(swap()[1], 10 * MIB)]
        self.assertEqual(expected, pairs(found))
        sizes = [sum(stop - start for start, stop in ranges) for _, ranges in (ext(), windows(), swap())]
        self.assertEqual(sizes, [volume.free_size for volume in found.volumes])
        self.assertEqual([4 * MIB, 4 * MIB, MIB], [volume.size for volume in found.volumes])
        self.assertEqual({0, 1, 2}, set(found.owners))

    def test_a_gpt_with_what_is_left_alone(self):
        rows = (
            GptRow(first=2048, last=2048 + 4095),
            GptRow(first=8192, last=8192 + 8191),
            GptRow(first=16384, last=18431),
        )
        parts = tables.gpt(*rows, sectors=16 * 2048)
        found = survey(disk(16 * MIB, parts | {MIB: fat(), 4 * MIB: ext()[0]}), MOST, STRICT)
        self.assertEqual(
            [
                ("partition 1", "fat16", "the free space of fat16 is not read"),
                ("partition 2", "ext2", ""),
                ("partition 3", "", "nothing is known of what it holds"),
            ],
            told(found),
        )
        self.assertEqual(moved(ext()[1], 4 * MIB), pairs(found))

    def test_a_hybrid_table_that_says_something_else(self):
        protective = Row(type=0xEE, start=1, sectors=2047)
        row = GptRow(first=8192, last=8192 + 8191)
        same, other = Row(**sectors(4 * MIB, 4 * MIB)), Row(**sectors(9 * MIB, 4 * MIB))
        frame = Row(type=0x05, **sectors(12 * MIB, MIB))
        for rows in ((protective, same), (protective, Row(type=0xEE, **sectors(9 * MIB, MIB))), (protective,)):
            parts = tables.gpt(row, sectors=16 * 2048, mbr=boot_record(*rows))
            found = survey(disk(16 * MIB, parts | {4 * MIB: ext()[0]}), MOST, STRICT)
            self.assertEqual([("partition 1", "ext2", "")], told(found))
            self.assertEqual(moved(ext()[1], 4 * MIB), pairs(found))
        for rows in ((protective, other), (same, other, protective), (protective, frame)):
            parts = tables.gpt(row, sectors=16 * 2048, mbr=boot_record(*rows))
            found = survey(disk(16 * MIB, parts | {4 * MIB: ext()[0], 9 * MIB: ext()[0]}), MOST, STRICT)
            self.assertEqual([("partition 1", "", "the MBR and the GPT of its disk disagree")], told(found))
            self.assertEqual([], pairs(found))

    def test_a_hybrid_table_before_a_gpt_that_is_damaged(self):
        mbr = boot_record(Row(type=0xEE, start=1, sectors=2047), Row(**sectors(MIB, 4 * MIB)))
        found = survey(disk(16 * MIB, {0: mbr, MIB: ext()[0]}), MOST, STRICT)
        self.assertEqual([("the whole disk", "", "the MBR and the GPT of its disk disagree")], told(found))

    def test_what_shares_its_place_is_left_alone(self):
        mbr = boot_record(
            Row(**sectors(MIB, 4 * MIB)), Row(**sectors(4 * MIB, 8 * MIB)), Row(**sectors(12 * MIB, 4 * MIB))
        )
        found = survey(disk(16 * MIB, {0: mbr, MIB: ext()[0], 12 * MIB: ext()[0]}), MOST, STRICT)
        shared = "it shares a part of the disk with another volume"
        self.assertEqual(
            [("partition 1", "", shared), ("partition 2", "", shared), ("partition 3", "ext2", "")], told(found)
        )
        self.assertEqual(moved(ext()[1], 12 * MIB), pairs(found))

    def test_what_lies_outside_or_is_dynamic_is_left_alone(self):
        mbr = boot_record(Row(**sectors(MIB, 16 * MIB)), Row(type=0x42, **sectors(5 * MIB, 4 * MIB)))
        found = survey(disk(16 * MIB, {0: mbr, MIB: ext()[0], 5 * MIB: windows()[0]}), MOST, STRICT)
        self.assertEqual(
            [
                ("partition 1", "", "it lies outside of the disk, in part or as a whole"),
                ("partition 2", "", "it belongs to a dynamic disk"),
            ],
            told(found),
        )
        self.assertEqual([], pairs(found))

    def test_a_volume_that_is_not_clean_is_named(self):
        data = bytearray(ext()[0])
        data[1024 + 0x3A] = 0
        mbr = boot_record(Row(**sectors(MIB, 4 * MIB)), Row(**sectors(5 * MIB, 4 * MIB)))
        with self.assertRaises(NotReadyError) as caught:
            survey(disk(16 * MIB, {0: mbr, MIB: ext()[0], 5 * MIB: bytes(data)}), MOST, STRICT)
        self.assertIn("ext2 on partition 2 is not clean: it was not unmounted", str(caught.exception))

    def test_the_disk_of_another_guest_over_an_old_file_system(self):
        inner = boot_record(Row(**sectors(MIB, 3 * MIB)))
        mbr = boot_record(Row(**sectors(MIB, 4 * MIB)))
        found = survey(disk(6 * MIB, {0: mbr, MIB: inner + ext()[0][SECTOR:]}), MOST, STRICT)
        self.assertEqual([("partition 1", "", "it looks like ext and mbr")], told(found))
        self.assertEqual([], pairs(found))

    def test_of_too_many_ranges_the_largest_are_kept(self):
        mbr = boot_record(Row(**sectors(MIB, 4 * MIB)), Row(type=0x07, **sectors(5 * MIB, 4 * MIB)))
        parts = {0: mbr, MIB: ext()[0], 5 * MIB: windows()[0]}
        every = pairs(survey(disk(16 * MIB, parts), MOST, STRICT))
        for most in (0, 1, 2, 5):
            found = survey(disk(16 * MIB, parts), most, STRICT)
            self.assertLessEqual(len(found.starts), most)
            self.assertLessEqual(set(pairs(found)), set(every))
            self.assertEqual(
                sum(stop - start for start, stop in pairs(found)), sum(volume.free_size for volume in found.volumes)
            )
        self.assertEqual(
            [max(every, key=lambda each: each[1] - each[0])], pairs(survey(disk(16 * MIB, parts), 1, STRICT))
        )


SNAPSHOT = lvm.Logical(name="snap", segments=(lvm.Segment(count=16, extent=32, type="snapshot"),))
LEFT = {
    "a snapshot": (SNAPSHOT, "its volume group holds a volume of the kind snapshot"),
    "a pool": (
        lvm.Logical(name="pool", segments=(lvm.Segment(count=16, extent=32, type="thin-pool"),)),
        "its volume group holds a volume of the kind thin-pool",
    ),
}


@ddt.ddt
class LogicalVolumesTest(TestCase):
    """In the second MiB of a partition that begins with the second MiB."""

    def look(self, *volumes, extents=None, physical=(PV,), change=None):
        description = lvm.text("vg", physical, volumes)
        extents = extents or {}
        parts = lvm.physical_volume(PV, description, extents)
        if change:
            parts = change(parts)
        mbr = boot_record(Row(type=0x8E, **sectors(MIB, 8 * MIB)))
        return survey(disk(10 * MIB, {0: mbr} | {MIB + at: part for at, part in parts.items()}), MOST, STRICT)

    def test_two_segments_in_the_other_order(self):
        data, free = ext(MIB)
        cut = 10 * lvm.EXTENT
        root = lvm.Logical(name="root", segments=(lvm.Segment(count=10, extent=20), lvm.Segment(count=6, extent=3)))
        found = self.look(root, extents={20: data[:cut], 3: data[cut:]})
        self.assertEqual(
            [
                ("partition 1", "lvm2", "its logical volumes are looked at one by one"),
                ("logical volume vg/root", "ext2", ""),
            ],
            told(found),
        )
        first, second = 2 * MIB + 20 * lvm.EXTENT, 2 * MIB + 3 * lvm.EXTENT - cut
        expected = []
        for start, stop in free:
            expected += [(first + start, first + min(stop, cut))] if start < cut else []
            expected += [(second + max(start, cut), second + stop)] if stop > cut else []
        self.assertEqual(sorted(expected), pairs(found))
        self.assertEqual(MIB, found.volumes[1].size)

    @ddt.data(*LEFT)
    def test_a_group_with_anything_else_is_left_alone(self, what):
        other, why = LEFT[what]
        root = lvm.Logical(name="root", segments=(lvm.Segment(count=16),))
        found = self.look(root, other, extents={0: ext(MIB)[0]})
        self.assertEqual([why, why], [volume.why for volume in found.volumes[1:]])
        self.assertEqual([], pairs(found))

    def test_a_part_elsewhere(self):
        root = lvm.Logical(name="root", segments=(lvm.Segment(count=8), lvm.Segment(count=8, volume=1)))
        swapped = lvm.Logical(name="swap", segments=(lvm.Segment(count=16, extent=16),))
        found = self.look(root, swapped, extents={0: ext(MIB)[0], 16: swap()[0]}, physical=(PV, OTHER))
        self.assertEqual(["a part of it lies on another disk", ""], [volume.why for volume in found.volumes[1:]])
        self.assertEqual(moved(swap()[1], 2 * MIB + 16 * lvm.EXTENT), pairs(found))

    def test_stripes(self):
        root = lvm.Logical(name="root", segments=(lvm.Segment(count=8, stripes=2),))
        self.assertEqual("it is striped over several physical volumes", self.look(root).volumes[1].why)

    def test_two_volumes_in_one_place(self):
        volumes = [lvm.Logical(name=name, segments=(lvm.Segment(count=16),)) for name in ("one", "two")]
        found = self.look(*volumes, extents={0: ext(MIB)[0]})
        shared = "it shares a part of the disk with another volume"
        self.assertEqual([shared, shared], [volume.why for volume in found.volumes[1:]])

    def test_metadata_that_is_damaged(self):
        def change(parts):
            at = lvm.AREA + SECTOR
            return parts | {at: b"x" + parts[at][1:]}

        root = lvm.Logical(name="root", segments=(lvm.Segment(count=16),))
        found = self.look(root, extents={0: ext(MIB)[0]}, change=change)
        self.assertEqual(1, len(found.volumes))
        self.assertIn("wrong checksum", found.volumes[0].why)

    @ddt.data(
        (lvm.Segment(count=16, extent=60), "a segment of a volume in vg lies outside of its physical volume"),
        (lvm.Segment(count=16, extent=-3), "a segment of a volume in vg is damaged"),
    )
    @ddt.unpack
    def test_a_group_that_contradicts_itself(self, segment, why):
        with self.assertRaises(NotReadyError) as caught:
            self.look(lvm.Logical(name="root", segments=(segment,)))
        self.assertIn(f"a volume group of LVM is damaged: {why}", str(caught.exception))
