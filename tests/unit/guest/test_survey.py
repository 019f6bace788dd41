"""What lies on the disks of a guest, and how places are called; and the ends that an inspection may take."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from tests.base import TestCase
from tests.builders.guests import linux, lvm, tables
from tests.builders.guests.tables import GptRow, Row, boot_record
from xenimage.exceptions import FormatError, TransferError, UnsupportedError
from xenimage.formats.raw import open_raw
from xenimage.guest.inspection import inspect
from xenimage.guest.notes import Notes
from xenimage.guest.survey import Survey
from xenimage.guest.window import Budget
from xenimage.limits import STRICT, Limits
from xenimage.model.disk import DiskFacts
from xenimage.model.extent import Extent, Kind
from xenimage.model.guest.facts import GuestFacts, Unread
from xenimage.sources.file import open_file
from xenimage.units import MIB

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator

    from xenimage.exceptions import XenimageError
    from xenimage.model.disk import Disk

ESP = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
OWN = uuid.UUID("b1946ac9-2f7a-4f6e-8d3c-0123456789ab")


class Case(TestCase):
    def volume(self, name: str, *command: str, size: int = 8) -> bytes:
        path = self.scratch / name
        with path.open("wb") as file:
            file.truncate(size * MIB)
        linux.run(*command, path)
        return path.read_bytes()

    def disk(self, name: str, parts: dict[int, bytes], size: int) -> Disk:
        path = self.scratch / name
        with path.open("wb") as file:
            file.truncate(size)
            for at, data in parts.items():
                file.seek(at)
                file.write(data)
        return self.opened(path)

    def opened(self, path: pathlib.Path) -> Disk:
        disk = open_raw(open_file(path), STRICT)
        self.addCleanup(disk.close)
        return disk

    def survey(self, *disks: Disk, limits: Limits = STRICT) -> Survey:
        self.notes = Notes()
        names = [f"disk{index}.raw" for index in range(len(disks))]
        survey = Survey(disks, names, Budget(limits), limits, self.notes)
        self.addCleanup(survey.close)
        survey.run()
        return survey


class SurveyTest(Case):
    def test_places_and_their_names(self) -> None:
        row = [
            GptRow(first=2048, last=18431, type=ESP, own=OWN, name="EFI"),
            GptRow(first=18432, last=34815),
            GptRow(first=34816, last=36863),
        ]
        parts = tables.gpt(*row, sectors=50000)
        parts[MIB] = self.volume("esp", "mkfs.vfat", "-n", "BOOT", "-i", "ABCD1234")
        parts[9 * MIB] = self.volume("root", "mke2fs", "-q", "-t", "ext4", "-L", "root", "-U", str(OWN))
        other = self.disk("other", {0: self.volume("data", "mke2fs", "-q", "-t", "ext2", "-L", "root")}, 8 * MIB)
        survey = self.survey(self.disk("disk", parts, 50000 * 512), other)
        self.assertEqual([], self.notes.unread)
        self.assertEqual(
            [
                ("disk 0, partition 1", "fat12", True, True),
                ("disk 0, partition 2", "ext4", True, False),
                ("disk 0, partition 3", "", False, False),
                ("disk 1", "ext2", True, False),
            ],
            [(one.name, one.partition.volume.kind, one.partition.volume.readable, one.is_esp) for one in survey.places],
        )
        self.assertEqual([one.partition for one in survey.places[:3]], list(survey.layouts[0].partitions))
        self.assertEqual([one.partition for one in survey.places[3:]], list(survey.layouts[1].partitions))
        named = survey.named()
        first, second, _, last = [one.filesystem for one in survey.places]
        self.assertIs(first, named["UUID=ABCD-1234"])
        self.assertIs(first, named["LABEL=BOOT"])
        self.assertIs(first, named[f"PARTUUID={OWN}"])
        self.assertIs(first, named["PARTLABEL=EFI"])
        self.assertIs(second, named[f"UUID={OWN}"])
        self.assertIs(second, named["LABEL=root"], "the first one of a name wins")
        self.assertIs(last, named[f"UUID={survey.places[3].partition.volume.uuid}"])
        self.assertEqual(["disk 0, partition 2", "disk 1"], [place.name for place, _ in survey.trees("ext")])
        self.assertEqual("disk 0, partition 1", survey.esp(1)[0].name)
        self.assertIsNone(survey.system_partition(0))

    def test_the_partition_that_an_mbr_goes_on_with(self) -> None:
        record = boot_record(Row(start=100, sectors=100), Row(type=7, start=300, sectors=100, status=0x80))
        survey = self.survey(self.disk("disk", {0: record}, MIB))
        self.assertEqual(2, survey.system_partition(0).partition.number)

    def test_what_only_the_type_tells(self) -> None:
        record = boot_record(Row(type=0x42, start=100, sectors=100), Row(type=0x82, start=300, sectors=100))
        spaces = tables.gpt(
            GptRow(first=100, last=200, type=uuid.UUID("e75caf8f-f680-4cee-afa3-b001e56efc2d")),
            GptRow(first=300, last=400, type=uuid.UUID("af9b60a0-1431-4f62-bc68-3311714a69ad")),
            sectors=2048,
        )
        survey = self.survey(self.disk("a", {0: record}, MIB), self.disk("b", spaces, MIB))
        self.assertEqual(["ldm", "", "storage-spaces", "ldm"], [one.partition.volume.kind for one in survey.places])

    def test_partitions_outside_of_the_disk_and_frames_have_no_volume(self) -> None:
        record = boot_record(Row(type=5, start=100, sectors=100), Row(start=5000, sectors=100))
        survey = self.survey(self.disk("disk", {0: record, 100 * 512: boot_record()}, MIB))
        self.assertEqual([], survey.places)
        self.assertEqual([None, None], [one.volume for one in survey.layouts[0].partitions])

    def test_logical_volumes_over_two_disks(self) -> None:
        root = self.volume("root", "mke2fs", "-q", "-t", "ext4", "-L", "lvroot")
        extents = len(root) // lvm.EXTENT
        half = extents // 2
        first, second = "a" * 32, "b" * 32
        volumes = [
            lvm.Logical(
                name="root-a",
                segments=(lvm.Segment(count=half), lvm.Segment(count=extents - half, volume=1, extent=2)),
            ),
            lvm.Logical(name="thin", segments=(lvm.Segment(count=1, type="thin"),)),
        ]
        text = lvm.text("vg-x", [first, second], volumes)
        disks = [
            self.disk("one", lvm.physical_volume(first, text, {0: root[: half * lvm.EXTENT]}), 64 * MIB),
            self.disk("two", lvm.physical_volume(second, text, {2: root[half * lvm.EXTENT :]}), 64 * MIB),
        ]
        survey = self.survey(*disks)
        self.assertEqual(["disk 0", "disk 1", "vg-x/root-a"], [one.name for one in survey.places])
        self.assertEqual(["lost+found"], survey.places[2].filesystem.names(""))
        self.assertEqual(
            [("", "lvm2"), ("vg-x/root-a", "ext4"), ("vg-x/thin", "")],
            [(one.name, one.volume.kind) for one in survey.layouts[0].partitions],
        )
        self.assertEqual([("", "lvm2")], [(one.name, one.volume.kind) for one in survey.layouts[1].partitions])
        self.assertEqual([Unread(what="vg-x/thin", why="is of the kind thin, expected linear")], self.notes.unread)
        named = survey.named()
        for name in ("/dev/vg-x/root-a", "/dev/mapper/vg--x-root--a", "LABEL=lvroot"):
            self.assertIs(survey.places[2].filesystem, named[name])


class HollowDisk:
    """A disk that cannot be read, or that fails where it is read."""

    def __init__(self, *, unreadable: XenimageError | None = None, error: XenimageError | None = None) -> None:
        self._unreadable = unreadable
        self._error = error

        self.facts = DiskFacts(format="raw", virtual_size=MIB, granularity=512, stored_size=MIB)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        if self._error is not None:
            raise self._error

    def extents(self, offset: int, length: int) -> Iterator[Extent]:
        yield Extent(offset, length, Kind.DATA)

    def unreadable(self) -> XenimageError | None:
        return self._unreadable

    def close(self) -> None:
        pass


class InspectionTest(Case):
    """Ends that an inspection may take; what it finds on good ways is tested with whole guests."""

    def found(self, *disks: Disk, limits: Limits = STRICT) -> GuestFacts:
        return inspect(disks, limits, [f"{index}.raw" for index in range(len(disks))])

    def test_no_disks_and_empty_ones(self) -> None:
        self.assertEqual((), self.found().disks)
        found = self.found(self.disk("empty", {}, MIB))
        self.assertEqual(
            ("", MIB, (), "", ()),
            (found.disks[0].scheme, found.disks[0].size, found.unread, found.stopped, found.systems),
        )

    def test_a_disk_that_cannot_be_read_is_named_and_the_next_one_is(self) -> None:
        other = self.disk("other", {0: boot_record(Row(start=1, sectors=1))}, MIB)
        found = self.found(HollowDisk(unreadable=UnsupportedError("is encrypted")), other)
        self.assertEqual((Unread(what="disk 0", why="is encrypted"),), found.unread)
        self.assertEqual(["", "mbr"], [one.scheme for one in found.disks])

    def test_a_damaged_image(self) -> None:
        found = self.found(HollowDisk(error=FormatError("points outside")))
        self.assertEqual(((Unread(what="disk 0", why="points outside"),), ""), (found.unread, found.stopped))

    def test_a_source_that_fails_ends_it(self) -> None:
        found = self.found(HollowDisk(error=TransferError("gone")), self.disk("other", {}, MIB))
        self.assertEqual(((), "the disk could not be read: gone"), (found.unread, found.stopped))
        self.assertEqual(2, len(found.disks))

    def test_what_was_found_before_the_end_is_kept(self) -> None:
        record = boot_record(Row(start=2048, sectors=2048))
        found = self.found(self.disk("disk", {0: record}, 4 * MIB), limits=Limits(guest_bytes=100_000))
        self.assertEqual("read 97.66 KiB of the disks (limit guest_bytes)", found.stopped)
        self.assertEqual(1, len(found.disks[0].partitions))
        self.assertLessEqual(found.cost.bytes_read, 100_000)

    def test_a_file_system_that_does_not_open(self) -> None:
        root = bytearray(self.volume("root", "mke2fs", "-q", "-t", "ext4"))
        root[1024 + 99] = 0x80  # a feature that nobody knows
        found = self.found(self.disk("disk", {0: bytes(root)}, 8 * MIB))
        self.assertEqual(["disk 0"], [one.what for one in found.unread])
        self.assertRegex(found.unread[0].why, "^the volume: cannot be read: unsupported incompatible features")
        self.assertFalse(found.disks[0].partitions[0].volume.readable)
        self.assertEqual("ext4", found.disks[0].partitions[0].volume.kind)
