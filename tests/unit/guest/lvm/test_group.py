"""Logical volumes."""

from __future__ import annotations

import ddt

from tests.base import TestCase
from tests.builders.guests.lvm import AREA, AREA_SIZE, EXTENT, Logical, Segment, crc, physical_volume, text
from tests.builders.guests.tables import Area
from tests.builders.pattern import pattern
from tests.unit.guest.lvm import real
from xenimage.guest.lvm.group import LogicalVolume, Mapped, logical_volumes
from xenimage.guest.notes import Notes
from xenimage.limits import STRICT, Limits
from xenimage.units import MIB

FIRST, SECOND = "1" * 32, "2" * 32
SIZE = 64 * MIB
VOLUMES = (
    Logical(name="root", segments=(Segment(count=2, extent=1), Segment(count=1, volume=1, extent=3))),
    Logical(name="swap-1", segments=(Segment(count=1, extent=0),)),
)


def area(identifier: str = FIRST, description: str = "", extents: dict[int, bytes] | None = None, **odd: int) -> Area:
    return Area(physical_volume(identifier, description, extents or {}, **odd), SIZE)


class Case(TestCase):
    def found(self, *physical: Area, limits: Limits = STRICT) -> list[LogicalVolume]:
        self.notes = Notes()
        return logical_volumes(physical, self.notes, limits)

    def unread(self) -> list[tuple[str, str]]:
        return [(one.what, one.why) for one in self.notes.unread]


class GroupTest(Case):
    def test_a_volume_over_two_disks(self) -> None:
        described = text("vg", [FIRST, SECOND], VOLUMES)
        content = [pattern(number * EXTENT, EXTENT, number) for number in range(3)]
        for order in (0, 1):
            disks = [
                area(FIRST, described, {1: content[0], 2: content[1]}),
                area(SECOND, described, {3: content[2]}),
            ]
            found = self.found(*(reversed(disks) if order else disks))
            self.assertEqual([("vg/root", 3 * EXTENT), ("vg/swap-1", EXTENT)], [(one.name, one.size) for one in found])
            self.assertEqual([order, order], [one.first for one in found])
            self.assertEqual([], self.unread())
            whole = b"".join(content)
            self.assert_same_bytes(whole, found[0].source.read(0, 10 * EXTENT))
            for start, length in (
                (0, 1),
                (EXTENT - 3, 7),
                (EXTENT + 5, EXTENT),
                (2 * EXTENT - 1, 2),
                (3 * EXTENT - 1, 5),
            ):
                self.assert_same_bytes(whole[start : start + length], found[0].source.read(start, length))
            self.assertEqual(b"", found[0].source.read(3 * EXTENT, 5))

    def test_a_missing_disk(self) -> None:
        found = self.found(area(FIRST, text("vg", [FIRST, SECOND], VOLUMES)))
        self.assertEqual([True, False], [one.source is None for one in found])
        self.assertEqual([("vg/root", "lies on physical volume pv1, which is not among the disks")], self.unread())

    def test_the_newest_description_counts(self) -> None:
        old = text("vg", [FIRST, SECOND], VOLUMES[:1], number=4)
        new = text("vg", [FIRST, SECOND], VOLUMES[1:], number=5)
        for one, other in ((old, new), (new, old)):
            found = self.found(area(FIRST, one), area(SECOND, other))
            self.assertEqual(["vg/swap-1"], [volume.name for volume in found])

    def test_two_groups(self) -> None:
        found = self.found(
            area(FIRST, text("a", [FIRST], VOLUMES[1:])),
            area(SECOND, text("b", [SECOND], [Logical(name="x", segments=(Segment(count=1),))])),
        )
        self.assertEqual([("a/swap-1", 0), ("b/x", 1)], [(one.name, one.first) for one in found])

    def test_hidden_volumes_are_left_out(self) -> None:
        hidden = Logical(name="pool_tmeta", segments=(Segment(count=1),), status='"READ", "WRITE"')
        self.assertEqual([], self.found(area(FIRST, text("vg", [FIRST], [hidden]))))
        self.assertEqual([], self.unread())

    def test_kinds_that_are_not_read_are_named(self) -> None:
        volumes = [
            Logical(name="thin", segments=(Segment(count=1, type="thin"),)),
            Logical(name="stripes", segments=(Segment(count=2, stripes=2),)),
            Logical(name="raid", segments=(Segment(count=2, type="raid1"),)),
        ]
        found = self.found(area(FIRST, text("vg", [FIRST], volumes)))
        self.assertEqual([None] * 3, [one.source for one in found])
        self.assertEqual(
            [
                ("vg/thin", "is of the kind thin, expected linear"),
                ("vg/stripes", "is striped over 2 places, expected linear"),
                ("vg/raid", "is of the kind raid1, expected linear"),
            ],
            self.unread(),
        )

    def test_a_text_that_goes_round_the_end_of_its_area(self) -> None:
        described = text("vg", [FIRST], VOLUMES[1:])
        found = self.found(area(FIRST, described, at=AREA_SIZE - 300))
        self.assertEqual(["vg/swap-1"], [one.name for one in found])

    def test_a_label_in_another_sector(self) -> None:
        for sector in (0, 3):
            self.assertEqual(1, len(self.found(area(FIRST, text("vg", [FIRST], VOLUMES[1:]), sector=sector))))

    def test_an_unused_area(self) -> None:
        self.assertEqual([], self.found(area(FIRST, "not read", flags=1)))
        self.assertEqual([], self.unread())


class RealTest(Case):
    """What LVM's own tools wrote."""

    def test_ranges(self) -> None:
        first, second = Area(real.FIRST, SIZE), Area(real.SECOND, SIZE)
        found = self.found(first, second)
        self.assertEqual([], self.unread())
        self.assertEqual([("vg-x/root-a", 70 * MIB), ("vg-x/data", 10 * MIB)], [(one.name, one.size) for one in found])
        places = {MIB + 5: b"1st", 30 * MIB + MIB: b"2nd"}
        first.parts |= places
        second.parts[MIB] = b"3rd"
        root = found[0].source
        self.assertEqual([b"1st", b"2nd", b"3rd"], [root.read(at, 3) for at in (5, 20 * MIB, 53 * MIB)])
        first.parts[21 * MIB] = b"data"
        self.assertEqual(b"data", found[1].source.read(0, 4))

    def test_the_builder_writes_the_same_head(self) -> None:
        sector = real.FIRST[512:1024]
        identifier = sector[32:64].decode()
        location = int.from_bytes(real.FIRST[AREA + 40 : AREA + 48], "little")
        size = int.from_bytes(real.FIRST[AREA + 48 : AREA + 56], "little")
        described = real.FIRST[AREA + location : AREA + location + size - 1].decode()
        made = physical_volume(identifier, described, {}, at=location)
        self.assert_same_bytes(sector[:16] + sector[20:72], made[512][:16] + made[512][20:72])
        self.assertEqual(int.from_bytes(sector[16:20], "little"), crc(sector[20:]))
        self.assert_same_bytes(real.FIRST[AREA : AREA + 512], made[AREA])


SOUND = text("vg", [FIRST], VOLUMES[1:])
DAMAGE = {
    "no checksum": ({AREA: b"\0\0\0\0"}, "the metadata area at 0x1000 has a wrong checksum"),
    "no magic": ({AREA + 4: b"x"}, "the metadata area at 0x1000 has no header"),
    "text changed": ({AREA + 512 + 40: b"!"}, "the description of the volume group at 0x1200 has a wrong checksum"),
    "no label": ({512: b"x"}, "has no label of LVM2"),
    "label leads away": ({512 + 20: b"\xff\xff\0\0"}, "has no label of LVM2"),
    "other type": ({512 + 24: b"LVM1"}, "has no label of LVM2"),
}
TEXTS = {
    "": [],
    "vg": "'' stands in the description of the volume group where it makes no sense",
    "vg {": "the description of the volume group ends in the middle",
    "}": "'}' stands in the description of the volume group where it makes no sense",
    "vg = ": "'' stands in the description of the volume group where it makes no sense",
    "vg = [1, 2": "a list in the description of the volume group does not end",
    'vg = "x': "'\"' stands in the description of the volume group where it makes no sense",
    "vg = {": "'{' stands in the description of the volume group where it makes no sense",
    "a {" * 20: "'{' stands in the description of the volume group where it makes no sense",
    "vg { }": "seqno is None, expected a number",
    "vg { seqno = 99999999999999999999999 }": "seqno is '99999999999999999999999', expected a number",
    "vg { seqno = -1 }": "seqno is -1, expected a number",
    "\x01": "'\\x01' stands in the description of the volume group where it makes no sense",
}
GROUPS = {
    "extent_size = 0": "has extents of 0 bytes",
    "extent_size = -1": "extent_size is -1, expected a number",
    'extent_size = "x"': "extent_size is 'x', expected a number",
}


@ddt.ddt
class DamageTest(Case):
    @ddt.data(*DAMAGE)
    def test_a_damaged_head(self, name: str) -> None:
        parts, why = DAMAGE[name]
        damaged = bytearray(area(FIRST, SOUND).read(0, 2 * MIB))
        for at, data in parts.items():
            damaged[at : at + len(data)] = data
        self.assertEqual([], self.found(Area(damaged)))
        self.assertEqual([("physical volume 0 of LVM", why)], self.unread())

    @ddt.data(*TEXTS)
    def test_a_text_that_is_none(self, described: str) -> None:
        self.assertEqual([], self.found(area(FIRST, described)))
        expected = TEXTS[described]
        self.assertEqual([("physical volume 0 of LVM", expected)] if expected else [], self.unread())

    @ddt.data(*GROUPS)
    def test_a_group_that_makes_no_sense(self, line: str) -> None:
        self.assertEqual([], self.found(area(FIRST, SOUND.replace("extent_size = 128", line))))
        self.assertEqual([("volume group vg", GROUPS[line])], self.unread())

    @ddt.data(
        ("start_extent = 0", "start_extent = 5", "has a gap or an overlap at extent 0"),
        ("extent_count = 1", "extent_count = 0", "has 0 bytes"),
        ("extent_count = 1", f"extent_count = {1 << 60}", f"has {1 << 76} bytes"),
        ("extent_count = 1", 'extent_count = "many"', "extent_count is 'many', expected a number"),
        ('"pv0", 0', '"pv0", -1', "has a segment that says nothing of its place"),
        ('"pv0", 0', '0, "pv0"', "has a segment that says nothing of its place"),
        ('"pv0", 0', '"pv0"', "is striped over 1 places, expected linear"),
        ('"pv0", 0', '"pv9", 0', "lies on physical volume pv9, which is not among the disks"),
    )
    @ddt.unpack
    def test_a_volume_that_makes_no_sense(self, old: str, new: str, why: str) -> None:
        self.assertIn(old, SOUND)
        found = self.found(area(FIRST, SOUND.replace(old, new)))
        self.assertEqual([], [one for one in found if one.source])
        self.assertIn(why, self.unread()[0][1])

    def test_a_volume_that_leaves_its_disk(self) -> None:
        found = self.found(area(FIRST, SOUND.replace('"pv0", 0', f'"pv0", {1 << 40}')))
        with self.assertRaisesRegex(Exception, "the logical volume leaves its physical volume at"):
            found[0].source.read(0, 10)

    def test_the_same_physical_volume_twice(self) -> None:
        found = self.found(area(FIRST, SOUND), area(FIRST, SOUND))
        self.assertEqual(["vg/swap-1"], [one.name for one in found])
        self.assertEqual([("physical volume 1 of LVM", "is there twice")], self.unread())

    def test_a_description_that_is_too_large(self) -> None:
        self.found(area(FIRST, SOUND), limits=Limits(descriptor_size=100))
        self.assertIn("limit descriptor_size", self.unread()[0][1])

    def test_very_many_volumes(self) -> None:
        many = [Logical(name=f"lv{number}", segments=(Segment(count=1),)) for number in range(300)]
        self.assertEqual(256, len(self.found(area(FIRST, text("vg", [FIRST], many)))))
        self.assertEqual([("vg/lv256", "the group has more than 256 volumes")], self.unread())

    def test_flipped_bytes_behind_right_checksums(self) -> None:
        for position in range(0, len(SOUND), 3):
            for byte in '}"[=x0':
                self.found(area(FIRST, SOUND[:position] + byte + SOUND[position + 1 :]))


class MappedTest(TestCase):
    def test_nothing(self) -> None:
        self.assertEqual((0, b""), (Mapped([]).size, Mapped([]).read(0, 5)))
