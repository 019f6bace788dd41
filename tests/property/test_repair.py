"""Repairing a sound disk of any style changes nothing of what it holds; repairing a damaged one never ends in a bug."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import random
import tempfile
import unittest

import hypothesis
import hypothesis.strategies as st

from tests.builders.vhd import CREATORS, DIFFERENCING, DYNAMIC, MemorySource, Vhd, blktap_locators
from xenimage import api
from xenimage.exceptions import XenimageError
from xenimage.formats.vhd.reader import open_vhd
from xenimage.limits import STRICT
from xenimage.model.finding import Severity
from xenimage.model.plan import RepairOptions

MIB = 1 << 20
FEW = hypothesis.settings(max_examples=25, deadline=None, database=None, derandomize=True)
MORE = hypothesis.settings(FEW, max_examples=60)


@st.composite
def disks(draw: st.DrawFn) -> Vhd:
    """A sound VHD by any program: creator, block size, layout, sectors that are present, kind."""
    block_size = draw(st.sampled_from((2 * MIB, MIB, MIB // 2)))
    sectors = block_size // 512
    count = draw(st.integers(1, 6))
    runs = st.tuples(st.integers(0, sectors), st.integers(0, sectors)).map(lambda pair: range(min(pair), max(pair)))
    blocks = draw(st.dictionaries(st.integers(0, count - 1), st.one_of(st.just(range(sectors)), runs), max_size=4))
    kind = draw(st.sampled_from((DYNAMIC, DIFFERENCING)))
    return Vhd(
        size=count * block_size - 512 * draw(st.sampled_from((0, 0, 1, 100))),
        kind=kind,
        block_size=block_size,
        blocks=blocks,
        creator=CREATORS[draw(st.sampled_from(sorted(CREATORS)))],
        parent=b"\x02" * 16 if kind == DIFFERENCING else bytes(16),
        locators=blktap_locators("base.vhd") if kind == DIFFERENCING and draw(st.booleans()) else (),
    )


class RepairTest(unittest.TestCase):
    @hypothesis.given(disks())
    @FEW
    def test_a_sound_disk_stays_what_it_was(self, disk: Vhd) -> None:
        image = disk.build()
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory, "old.vhd")
            path.write_bytes(image.data)
            report = api.repair_disk(RepairOptions(path=os.fspath(path), output=f"{directory}/new.vhd"))
            data = pathlib.Path(directory, "new.vhd").read_bytes()
        self.assertEqual((), report.lost)
        self.assertEqual([], [each for each in report.after if each.severity is Severity.ERROR])
        self.assertEqual(image.data[68:84], data[68:84])
        found = open_vhd(MemorySource(data), STRICT)
        size = found.facts.virtual_size
        self.assertEqual(-(-disk.size // (2 * MIB)) * 2 * MIB, size)
        buffer = bytearray(size)
        found.read_into(0, memoryview(buffer))
        self.assertEqual(image.content().ljust(size, b"\0"), bytes(buffer))
        if disk.kind == DIFFERENCING:
            held = {
                at
                for each in found.extents(0, size)
                if each.kind.value != "absent"
                for at in range(each.offset, each.end, 512)
            }
            self.assertEqual({start for start, _ in image.ranges()}, held)

    @hypothesis.given(disks(), st.integers(0, 1 << 32), st.integers(1, 40), st.booleans())
    @MORE
    def test_a_damaged_disk_ends_in_a_sound_one_or_in_an_error(
        self, disk: Vhd, seed: int, count: int, cut: bool
    ) -> None:
        data = bytearray(disk.build().data)
        dice = random.Random(seed)
        for _ in range(count):
            place = dice.randrange(min(len(data), 8192)) if dice.random() < 0.8 else -1 - dice.randrange(512)
            data[place] = dice.choice((0, 0xFF, dice.randrange(256)))
        if cut:
            del data[dice.randrange(len(data)) :]
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory, "old.vhd")
            path.write_bytes(data)
            options = RepairOptions(path=os.fspath(path), output=f"{directory}/new.vhd", accept_loss=True)
            try:
                report = api.repair_disk(options)
            except XenimageError:
                self.assertEqual(["old.vhd"], os.listdir(directory))
                return
            new = pathlib.Path(directory, "new.vhd").read_bytes()
            try:
                mended = api.repair_disk(dataclasses.replace(options, output="", in_place=True, accept_loss=False))
            except XenimageError:
                self.assertEqual(data, path.read_bytes())
            else:
                if mended.backup:
                    api.undo_repair(os.fspath(path), mended.backup)
                self.assertEqual(data, path.read_bytes())
        self.assertTrue(report.written)
        self.assertEqual(new[:512], new[-512:])
        open_vhd(MemorySource(new), STRICT)
