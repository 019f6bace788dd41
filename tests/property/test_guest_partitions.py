"""Partition tables of any shape: sound ones are read as they are, others end in facts and not in errors."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.base import TestCase
from tests.builders.guests.tables import Area, GptRow, Row, boot_record, gpt
from xenimage.guest.partitions.table import read_layout
from xenimage.model.guest.layout import Layout

SECTORS = 4000
# On a busy machine the first examples may take long to make.
FEW = settings(
    max_examples=40,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

cuts = st.lists(st.integers(64, 3900), min_size=2, max_size=16, unique=True).map(sorted)
"""borders of partitions that do not overlap"""


def ranges(borders: list[int]) -> list[tuple[int, int]]:
    """(first sector, sectors) between each second pair of borders."""
    return [(start, stop - start) for start, stop in zip(borders[::2], borders[1::2], strict=False)]


class SoundTest(TestCase):
    @FEW
    @given(cuts, st.randoms(use_true_random=False))
    def test_gpt(self, borders, random) -> None:
        wanted = ranges(borders)
        order = random.sample(wanted, len(wanted))
        found = read_layout(
            Area(gpt(*(GptRow(first=at, last=at + size - 1) for at, size in order), sectors=SECTORS)), 0, ""
        )
        self.assertEqual(wanted, [(one.offset // 512, one.length // 512) for one in found.partitions])
        self.assertEqual([order.index(one) + 1 for one in wanted], [one.number for one in found.partitions])
        self.assertEqual((True, ()), (found.backup_table, found.remarks))

    @FEW
    @given(cuts)
    def test_logical_ones(self, borders) -> None:
        """Each record stands one sector before its partition."""
        wanted = ranges(borders)
        frame = 60
        parts = {0: boot_record(Row(type=0x0F, start=frame, sectors=SECTORS - frame))}
        records = [frame, *(at - 1 for at, _ in wanted[1:])]
        for index, (record, (at, size)) in enumerate(zip(records, wanted, strict=True)):
            rows = [Row(start=at - record, sectors=size)]
            if index + 1 < len(records):
                rows.append(Row(type=5, start=records[index + 1] - frame, sectors=1))
            parts[record * 512] = boot_record(*rows)
        found = read_layout(Area(parts, SECTORS * 512), 0, "")
        self.assertEqual(
            [(5 + index, at, size) for index, (at, size) in enumerate(wanted)],
            [(one.number, one.offset // 512, one.length // 512) for one in found.partitions[1:]],
        )
        self.assertEqual((), found.remarks)


class HostileTest(TestCase):
    def judge(self, area: Area) -> None:
        found = read_layout(area, 0, "")
        self.assertIsInstance(found, Layout)
        self.assertLess(area.reads, 600)
        self.assertLessEqual(len(found.partitions), 700)

    @FEW
    @given(
        st.dictionaries(st.integers(0, 20), st.binary(min_size=512, max_size=512), max_size=12), st.integers(0, 12000)
    )
    def test_any_bytes(self, sectors, size) -> None:
        self.judge(Area({512 * index: data for index, data in sectors.items()} or b"", size))

    rows = st.builds(
        Row,
        type=st.sampled_from([0, 5, 0x0F, 0x83, 0xEE, 7]),
        start=st.one_of(st.integers(0, 20), st.integers(0, 2**32 - 1)),
        sectors=st.one_of(st.integers(0, 20), st.integers(0, 2**32 - 1)),
        status=st.sampled_from([0, 0x80]),
    )

    @FEW
    @given(st.lists(st.lists(rows, max_size=4), min_size=1, max_size=8))
    def test_any_rows(self, records) -> None:
        self.judge(Area({512 * index: boot_record(*rows) for index, rows in enumerate(records)}))

    @FEW
    @given(st.data())
    def test_a_gpt_with_flipped_bytes(self, data) -> None:
        parts = gpt(GptRow(first=100, last=200, name="root"), GptRow(first=300, last=400), sectors=SECTORS)
        for _ in range(data.draw(st.integers(1, 4))):
            at = data.draw(st.sampled_from(sorted(parts)))
            changed = bytearray(parts[at])
            changed[data.draw(st.integers(0, min(len(changed), 300) - 1))] = data.draw(st.integers(0, 255))
            parts[at] = bytes(changed)
        self.judge(Area(parts, SECTORS * 512))
