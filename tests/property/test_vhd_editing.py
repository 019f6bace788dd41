"""Random writes, growths and merges of VHDs, read back by a reader that shares nothing with the project."""

from __future__ import annotations

import random

import hypothesis
import hypothesis.strategies as st

from tests.base import TestCase
from tests.builders import vhd as build
from tests.builders.memory import MemoryFile
from tests.fakes.vhd_util import Vhd
from xenimage.formats.vhd.editing.blocks import BlockWriter
from xenimage.formats.vhd.editing.coalesce import coalesce, coalesce_raw, open_child
from xenimage.formats.vhd.editing.create import Parent, empty_disk
from xenimage.formats.vhd.editing.disk import crowded_block, open_editable
from xenimage.formats.vhd.editing.parent import Link, set_parent
from xenimage.formats.vhd.editing.resize import grow
from xenimage.limits import STRICT
from xenimage.units import MIB

FEW = hypothesis.settings(max_examples=25, deadline=None, database=None, derandomize=True)
SECTOR = 512
BLOCK = 2 * MIB
BLOCKS = 4
NOISE = random.Random(5).randbytes(3 * BLOCK)
SECTORS = st.integers(0, BLOCKS * 4096 - 1)
# Small runs, runs over the end of a block, and whole blocks.
RUNS = st.one_of(
    st.tuples(SECTORS, st.integers(1, 40)),
    st.tuples(st.integers(0, BLOCKS - 1).map(lambda block: block * 4096), st.just(4096)),
    st.tuples(SECTORS, st.integers(4000, 4200)),
)
WRITES = st.lists(RUNS, max_size=6)


def sound(data: bytes | bytearray) -> Vhd:
    """The file as the independent reader takes it, with everything in its place."""
    disk = Vhd(bytes(data))
    assert disk.front == disk.back
    disk.check_table()
    disk.check_batmap()
    bits = disk.batmap()
    for block, _, bitmap in disk.stored():
        full = bool(bits[block >> 3] & 0x80 >> (block & 7))
        assert full == (bitmap == b"\xff" * SECTOR), f"the batmap is wrong about block {block}"
    with_limits = open_editable(MemoryFile(data), STRICT)
    assert crowded_block(with_limits.table, with_limits.head_end) is None
    return disk


def sow(file: MemoryFile, runs: list[tuple[int, int]], content: bytearray) -> None:
    """Write runs of noise into the file, and into the content that it should have then."""
    disk = open_editable(file, STRICT)
    writer = BlockWriter(disk)
    for first, count in runs:
        start = first * SECTOR
        size = min(count * SECTOR, len(content) - start)
        data = NOISE[start % 4096 :][:size]
        writer.write(start, data)
        content[start : start + size] = data
    writer.finish()


def new(uuid: bytes, parent: str = "", parent_uuid: bytes = bytes(16), size: int = BLOCKS * BLOCK) -> MemoryFile:
    link = Parent(path=parent, uuid=parent_uuid, timestamp=946684800) if parent else None
    return MemoryFile(empty_disk(size, uuid=uuid, now=1_000_000_000, parent=link))


class EditingTest(TestCase):
    @hypothesis.given(st.lists(WRITES, min_size=1, max_size=3))
    @FEW
    def test_what_was_written_is_read(self, rounds: list[list[tuple[int, int]]]) -> None:
        file, content = new(b"a" * 16), bytearray(BLOCKS * BLOCK)
        for runs in rounds:
            sow(file, runs, content)
            self.assert_same_bytes(bytes(content), sound(file.content).content())

    @hypothesis.given(st.lists(WRITES, min_size=2, max_size=4), st.booleans())
    @FEW
    def test_coalesced_chains_are_what_they_showed(self, layers: list[list[tuple[int, int]]], raw: bool) -> None:
        files, content = [], bytearray(BLOCKS * BLOCK)
        for index, runs in enumerate(layers):
            parent = f"{index - 1}.vhd" if index else ""
            file = new(bytes([index + 1]) * 16, parent, bytes([index]) * 16)
            if raw and not index:
                file = MemoryFile(bytes(BLOCKS * BLOCK), "base.raw")
            else:
                sow(file, runs, content)
            files.append(file)
        for child, parent in zip(files[:0:-1], files[-2::-1], strict=True):
            before = bytes(child.content)
            merged = open_child(child, STRICT)
            if raw and parent is files[0]:
                coalesce_raw(merged, parent)
            else:
                coalesce(merged, open_editable(parent, STRICT))
                sound(parent.content)
            self.assertEqual(before, bytes(child.content))
        found = bytes(files[0].content) if raw else sound(files[0].content).content()
        self.assert_same_bytes(bytes(content), found)

    @hypothesis.given(
        WRITES, WRITES, st.integers(BLOCKS, 2 * BLOCKS), st.sampled_from([8, 260, 1000, 1021, 4097, 4104, 60000])
    )
    @FEW
    def test_grown_disks_keep_their_data(
        self, before: list[tuple[int, int]], after: list[tuple[int, int]], step: int, blocks: int
    ) -> None:
        file, content = new(b"a" * 16), bytearray(BLOCKS * BLOCK)
        sow(file, before, content)
        for target in sorted({step, blocks}):
            disk = open_editable(file, STRICT)
            if target < disk.blocks:
                continue
            grow(disk, target * BLOCK)
            found = open_editable(file, STRICT)
            self.assertEqual((target * BLOCK, target), (found.footer.current_size, found.dynamic_header.max_entries))
            sound(file.content)
        # The reader makes all of the content: too much of a large disk.
        file2 = MemoryFile(file.content)
        sow(file2, after, content)
        stored = {block: (start, bitmap) for block, start, bitmap in sound(file2.content).stored()}
        for block in range(BLOCKS):
            expected = content[block * BLOCK : (block + 1) * BLOCK]
            if block in stored:
                start, _ = stored[block]
                self.assert_same_bytes(bytes(expected), bytes(file2.content[start + SECTOR : start + SECTOR + BLOCK]))
            else:
                self.assertEqual(bytes(BLOCK), bytes(expected))

    @hypothesis.given(WRITES, st.booleans())
    @FEW
    def test_locators_are_made_without_touching_data(self, runs: list[tuple[int, int]], bare: bool) -> None:
        locators = [] if bare else build.blktap_locators("a.vhd")
        made = build.Vhd(size=BLOCKS * BLOCK, kind=build.DIFFERENCING, identity=b"c" * 16, locators=locators).build()
        file, content = MemoryFile(made.data), bytearray(BLOCKS * BLOCK)
        sow(file, runs, content)
        link = Link(path="../pool/b.vhd", uuid=b"b" * 16, timestamp=1_000_000_000)
        set_parent(open_editable(file, STRICT), link, create=bare)
        disk = sound(file.content)
        self.assert_same_bytes(bytes(content), disk.content())
        self.assertEqual(b"b" * 16, disk.header["parent_uuid"])
        self.assertIn(b"file://../pool/b.vhd\0", file.content)
        self.assertIn(".\\..\\pool\\b.vhd\0".encode("utf-16-le"), file.content)
