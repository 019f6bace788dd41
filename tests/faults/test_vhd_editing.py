"""Changes of a VHD that end at each of their writes in turn: the disk is read as before or as afterwards, always."""

from __future__ import annotations

import os
import pathlib
import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import ddt

from tests.base import TestCase
from tests.builders import vhd as build
from tests.builders.memory import KilledError, MemoryFile
from tests.builders.vhd import MemorySource
from tests.fakes.vhd_util import Vhd
from xenimage.exceptions import FormatError, UnsupportedError
from xenimage.formats.vhd.editing.blocks import BlockWriter
from xenimage.formats.vhd.editing.coalesce import coalesce, open_child
from xenimage.formats.vhd.editing.disk import EditableVhd, open_editable
from xenimage.formats.vhd.editing.parent import Link, set_parent
from xenimage.formats.vhd.editing.repair import repair
from xenimage.formats.vhd.editing.resize import grow
from xenimage.formats.vhd.reader import open_vhd
from xenimage.limits import STRICT

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1 << 20
BLOCK = 2 * MIB
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SIZE = 6 * MIB
CHILD = build.Vhd(
    size=SIZE,
    kind=build.DIFFERENCING,
    blocks={2: range(4096), 0: [1, 5, 6, 4095], 1: range(4096)},
    identity=b"c" * 16,
    parent=b"p" * 16,
    locators=build.blktap_locators("base.vhd"),
    seed=9,
).build()
BASE = build.Vhd(size=SIZE, blocks={0: range(100), 2: range(0, 4096, 2)}, identity=b"p" * 16).build()


def read_here(data: bytes) -> bytes:
    """The content by the project's own reader, absent as zeros."""
    disk = open_vhd(MemorySource(data), STRICT)
    buffer = bytearray(disk.facts.virtual_size)
    disk.read_into(0, memoryview(buffer))
    return bytes(buffer)


@ddt.ddt
class KilledTest(TestCase):
    def every_end(self, image: build.Image, change: Callable[[EditableVhd], object]) -> list[bytes]:
        """The file after each number of writes of *change*, the last one the whole of it."""
        whole = MemoryFile(image.data)
        change(open_editable(whole, STRICT))
        self.assertGreater(whole.syncs, 1)
        found = []
        for lives in range(whole.writes):
            file = MemoryFile(image.data, lives=lives)
            with self.assertRaises(KilledError):
                change(open_editable(file, STRICT))
            found.append(bytes(file.content))
        return [*found, bytes(whole.content)]

    @ddt.data(8, 200, 1000, 4104, 60_000)
    def test_grow(self, blocks):
        """8 fits into what there is, 200 too, 1000 needs another batmap header's place, the others move blocks."""
        before = BASE.content()
        sizes = []
        states = self.every_end(BASE, lambda disk: grow(disk, blocks * BLOCK))
        for data in states:
            disk = Vhd(data)
            disk.batmap()
            self.assertIn(disk.footer["size"], (SIZE, blocks * BLOCK))
            sizes.append(disk.footer["size"])
            # Only as much as there was: the reader makes all of the content.
            disk.footer["size"] = SIZE
            self.assert_same_bytes(before, disk.content())
            if sizes[-1] == SIZE:
                self.assert_same_bytes(before, read_here(data))
        self.assertEqual((SIZE, blocks * BLOCK), (sizes[0], sizes[-1]))
        self.assertEqual(sorted(sizes), sizes)

    @ddt.data(4096, 4097)
    def test_grow_again(self, blocks):
        """After one growth there is room in front of the tables, or not; both ways must do."""
        file = MemoryFile(BASE.data)
        grow(open_editable(file, STRICT), 1000 * BLOCK)
        grown = build.Image(file.content, 1000 * BLOCK, BLOCK, {}, 0)
        for data in self.every_end(grown, lambda disk: grow(disk, blocks * BLOCK)):
            disk = Vhd(data)
            disk.footer["size"] = SIZE
            self.assert_same_bytes(BASE.content(), disk.content())

    def test_grow_to_the_largest(self) -> None:
        """The new tables are longer than all that is there: blocks go behind them."""
        file = MemoryFile(BASE.data)
        grow(open_editable(file, STRICT), 1_044_480 * BLOCK)
        disk = Vhd(bytes(file.content))
        disk.check_table()
        disk.check_batmap()
        disk.footer["size"] = SIZE
        self.assert_same_bytes(BASE.content(), disk.content())

    def test_new_blocks_are_clean(self) -> None:
        """Whatever stood between the last block and the footer is not shown under a cleared bit."""
        file = MemoryFile(BASE.data[:-512] + b"junk" * (3 * MIB // 4) + BASE.data[-512:])
        writer = BlockWriter(open_editable(file, STRICT))
        writer.write(BLOCK + 512, b"x" * 512)
        writer.finish()
        place = next(start for block, start, _ in Vhd(bytes(file.content)).stored() if block == 1)
        found = bytes(file.content[place + 512 : place + 512 + BLOCK])
        self.assert_same_bytes(bytes(512) + b"x" * 512 + bytes(BLOCK - 1024), found)
        self.assertEqual(place + 512 + BLOCK + 512, file.size)

    def test_grow_does_not_bring_old_data_back(self) -> None:
        image = build.Vhd(size=SIZE, blocks={0: range(10), 2: range(4096)}, identity=b"p" * 16).build()
        image.footer("curr_size", 5 * MIB)
        image.footer("geometry", 1)
        surplus = build.Image(image.data, 3 * MIB, BLOCK, {}, 0)
        for size in (5 * MIB, 3 * MIB):
            image.footer("curr_size", size)
            for data in self.every_end(surplus, lambda disk: grow(disk, SIZE)):
                disk = Vhd(data)
                content, known = disk.content(), disk.footer["size"]
                self.assert_same_bytes(image.content()[:size], content[:size])
                self.assertEqual(bytes(known - size), content[size:])

    def test_coalesce(self) -> None:
        """The child shows the same all the time, and running it again makes the parent whole."""
        expected = CHILD.content(BASE.content())
        child = Vhd(bytes(CHILD.data))

        def change(disk: EditableVhd) -> None:
            coalesce(open_child(MemorySource(CHILD.data), STRICT), disk)

        for data in self.every_end(BASE, change):
            self.assert_same_bytes(expected, child.content(Vhd(data).content()))
            self.assert_same_bytes(Vhd(data).content(), read_here(data))
            again = MemoryFile(data)
            try:
                change(open_editable(again, STRICT))
            except FormatError:
                # Killed between the map and its checksum: that is what repair is for.
                repair(again, STRICT, b"n" * 16)
                change(open_editable(again, STRICT))
            self.assert_same_bytes(expected, Vhd(bytes(again.content)).content())
        Vhd(data).check_batmap()

    @ddt.data(False, True)
    def test_relink(self, create):
        link = Link(path="./other.vhd", uuid=b"o" * 16, timestamp=1_000_000_000)
        image = CHILD if not create else build.Vhd(
            size=SIZE, kind=build.DIFFERENCING, blocks={0: range(4096), 1: [7]}, identity=b"c" * 16, parent=b"p" * 16
        ).build()  # fmt: skip
        seen = set()
        for data in self.every_end(image, lambda disk: set_parent(disk, link, create=create)):
            disk = Vhd(data)
            seen.add(disk.header["parent_uuid"])
            self.assert_same_bytes(image.content(), disk.content())
        self.assertEqual({b"p" * 16, b"o" * 16}, seen)

    @ddt.data(b"end", b"front", b"batmap", b"behind")
    def test_repair(self, where):
        image = build.Image(bytearray(BASE.data), SIZE, BLOCK, BASE.present, 0, batmap_offset=BASE.batmap_offset)
        at = {b"end": -512, b"front": 0, b"batmap": BASE.batmap_offset}.get(where)
        if at is None:
            image.data.extend(b"behind" * 100)
        else:
            image.data[at : at + 12 or None] = b"\xc7" * 12
        whole = MemoryFile(image.data)
        repair(whole, STRICT, b"n" * 16)
        Vhd(bytes(whole.content)).check_table()
        for lives in range(whole.writes):
            file = MemoryFile(image.data, lives=lives)
            with self.assertRaises(KilledError):
                repair(file, STRICT, b"n" * 16)
            self.assert_same_bytes(BASE.content(), read_here(bytes(file.content)))
            file.lives = None
            repair(file, STRICT, b"n" * 16)
            self.assertEqual(whole.content, file.content)


@ddt.ddt
class RefusedTest(TestCase):
    """What would lose data is refused before the first write."""

    def assert_refused(self, image: build.Image, change: Callable[[MemoryFile], object], message: str) -> None:
        file = MemoryFile(image.data)
        with self.assertRaisesRegex((FormatError, UnsupportedError), message):
            change(file)
        self.assertEqual(0, file.writes)

    def tampered(self, image: build.Image, **fields: int) -> build.Image:
        copy = build.Image(bytearray(image.data), SIZE, BLOCK, {}, 0, image.table_offset, image.batmap_offset)
        copy.footer_offset = image.footer_offset
        for name, value in fields.items():
            copy.locator(0, name, value)
        return copy

    @ddt.data(
        (1 << 40, "their end within the file"),
        (0, "locator 0 stands at 0x0, over the footer's copy"),
        (512, "locator 0 stands at 0x200, over the header"),
        (1536, "locator 0 stands at 0x600, over the BAT"),
        (2048, "locator 0 stands at 0x800, over the batmap"),
        (3584, "locator 0 stands at 0xe00, over locator 1"),
        (3071, "locator 0 stands at 0xbff, over the batmap"),
        (0xF * 512, "a block stands at 0x1e00, expected none in front"),
    )
    @ddt.unpack
    def test_locators_that_lead_astray(self, offset, message):
        link = Link(path="./other.vhd", uuid=b"o" * 16, timestamp=1_000_000_000)
        image = self.tampered(CHILD, data_offset=offset)
        self.assert_refused(image, lambda file: set_parent(open_editable(file, STRICT), link), message)

    def test_packed_blocks_beside_a_batmap(self) -> None:
        creator = build.Creator(b"tap\0", 0x00010003, bytes(4), batmap=True)
        image = build.Vhd(size=SIZE, blocks={0: range(4096), 1: range(4096)}, creator=creator).build()
        for change in (
            lambda file: grow(open_editable(file, STRICT), 2 * SIZE),
            lambda file: coalesce(open_child(MemorySource(CHILD.data), STRICT), open_editable(file, STRICT)),
        ):
            self.assert_refused(image, change, "too near to what is in front of it")

    def test_a_parent_that_is_too_small(self) -> None:
        image = build.Vhd(size=4 * MIB).build()
        self.assert_refused(
            image,
            lambda file: coalesce(open_child(MemorySource(CHILD.data), STRICT), open_editable(file, STRICT)),
            "its child holds data up to 0x600000",
        )

    def test_sizes(self) -> None:
        self.assert_refused(BASE, lambda file: grow(open_editable(file, STRICT), 4 * MIB), "the disk has 6 MiB")
        self.assert_refused(BASE, lambda file: grow(open_editable(file, STRICT), 2041 << 30), "2041 GiB|1.99 TiB")


class ProcessTest(TestCase):
    """The command itself, killed by the kernel at any moment."""

    def test_resize_and_coalesce(self) -> None:
        chance = random.Random(4)
        base = build.Vhd(size=SIZE, blocks={0: range(4096), 1: range(50)}, identity=b"p" * 16).build()
        expected = CHILD.content(base.content())
        child = Vhd(bytes(CHILD.data))
        paths = {"base.vhd": base, "b.vhd": CHILD}
        for words in (["resize", "-n", "base.vhd", "-s", "400000", "-j", "jr"], ["coalesce", "-n", "b.vhd"]) * 6:
            for name, image in paths.items():
                (self.scratch / name).write_bytes(image.data)
            process = subprocess.Popen(
                [sys.executable, "-m", "xenimage.vhdutil", *words],
                cwd=self.scratch, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL,
            )  # fmt: skip
            time.sleep(chance.random() * 0.2)
            process.send_signal(signal.SIGKILL)
            process.wait()
            disk = Vhd((self.scratch / "base.vhd").read_bytes())
            self.assertIn(disk.footer["size"], (SIZE, 400000 * MIB))
            disk.footer["size"] = SIZE
            self.assert_same_bytes(expected, child.content(disk.content()))
            self.assertEqual(bytes(CHILD.data), (self.scratch / "b.vhd").read_bytes())
