"""Chains flattened while they pass by, from files and from pipes."""

from __future__ import annotations

import dataclasses
import os
import threading
import unittest

import ddt

from tests.builders import bundle as build
from tests.builders import vhd
from tests.builders.bundle import Entry
from tests.builders.vhd import MemorySource
from tests.unit.engine.support import Watcher
from xenimage.containers.bundle.forward import ForwardDisk, NotForwardError, open_forward
from xenimage.engine.flattening import flatten
from xenimage.exceptions import FormatError, LimitError, TransferError, UnsupportedError
from xenimage.limits import STRICT
from xenimage.sources.pipe import PipeSource

BLOCK = 2 << 20


def flat(source, jobs: int = 2) -> bytes:
    """What a bundle shows, put together by flatten; fails if a sector is handed over twice."""
    forward = open_forward(source, STRICT)
    size = forward.leaf.tables.virtual_size
    content, seen = bytearray(size), bytearray(size // 512)
    lock = threading.Lock()

    def put(offset: int, buffer: bytearray, low: int, high: int) -> int:
        data = memoryview(buffer)[low:high]
        with lock:
            sectors = slice(offset // 512, (offset + len(data)) // 512)
            assert not any(seen[sectors])
            seen[sectors] = b"\1" * (sectors.stop - sectors.start)
            content[offset : offset + len(data)] = data
        return len(data)

    watcher = Watcher()
    written = flatten(forward, size, jobs, watcher, put)
    assert written == 512 * sum(seen)
    assert forward.content.passes == 1
    return bytes(content)


def disk(kind: int = vhd.DYNAMIC, **fields: object) -> bytes:
    values: dict[str, object] = {"size": 20 << 20, "kind": kind, "identity": build.BASE_ID}
    if kind == vhd.DIFFERENCING:
        values |= {"parent": build.BASE_ID, "locators": vhd.blktap_locators("base.vhd"), "identity": build.CHILD_ID}
    return vhd.Vhd(**(values | fields)).build()  # type: ignore[arg-type]


@ddt.ddt
class FlattenTest(unittest.TestCase):
    def test_a_single_disk(self) -> None:
        image = build.image()
        self.assertEqual(image.content(), flat(MemorySource(build.zipped(bytes(image.data)))))

    @ddt.data(1, 4)
    def test_the_first_copy_of_a_sector_counts(self, jobs: int) -> None:
        base = disk(blocks={0: range(4096), 2: range(10, 3000), 3: range(7)})
        middle = disk(vhd.DIFFERENCING, blocks={2: range(100, 200), 4: range(1, 4096)})
        leaf = disk(vhd.DIFFERENCING, blocks={2: [*range(50), *range(150, 160)], 0: range(3, 4)})
        expected = leaf.content(middle.content(base.content()))
        packed = build.packed(*(Entry(f"{n}.vhd", bytes(each.data)) for n, each in enumerate((leaf, middle, base))))
        self.assertEqual(expected, flat(MemorySource(packed), jobs))

    def test_a_child_larger_than_its_parent_and_one_smaller(self) -> None:
        for sizes in ((20, 12), (12, 20)):
            base = disk(size=sizes[1] << 20, blocks={number: range(4096) for number in range(sizes[1] // 2)})
            leaf = disk(vhd.DIFFERENCING, size=sizes[0] << 20, blocks={1: range(9)})
            packed = build.packed(Entry("0.vhd", bytes(leaf.data)), Entry("1.vhd", bytes(base.data)))
            expected = leaf.content(base.content().ljust(20 << 20, b"\0"))[: sizes[0] << 20]
            self.assertEqual(expected, flat(MemorySource(packed)))

    def test_the_end_of_a_layer_hides_what_is_stored_behind_it(self) -> None:
        full = {number: range(4096) for number in range(4)}
        base = disk(size=8 << 20, blocks=full)
        for size in ((4 << 20), (5 << 20) + 512):
            middle = disk(vhd.DIFFERENCING, size=size, blocks={1: range(9), 2: range(4096)} if size > 4 << 20 else {})
            leaf = disk(vhd.DIFFERENCING, size=8 << 20, blocks={0: range(3), 3: range(5)})
            expected = leaf.content(middle.content(base.content()))
            packed = build.packed(*(Entry(f"{n}.vhd", bytes(each.data)) for n, each in enumerate((leaf, middle, base))))
            self.assertEqual(expected, flat(MemorySource(packed)))

    def test_out_of_a_pipe(self) -> None:
        data = build.packed(
            Entry("readme", b"x"),
            Entry("0.vhd", bytes(build.image("child").data)),
            Entry("1.vhd", bytes(build.image().data)),
        )
        expected = build.image("child").content(build.image().content())
        self.assertEqual(expected, flat(self._pipe(data)))

    def _pipe(self, data: bytes) -> PipeSource:
        reader, writer = os.pipe()

        def feed() -> None:
            with open(writer, "wb") as stream:
                stream.write(data)

        thread = threading.Thread(target=feed)
        thread.start()
        self.addCleanup(os.close, reader)
        self.addCleanup(thread.join)
        return PipeSource(reader, "standard input")

    def test_members_in_another_order(self) -> None:
        data = build.packed(Entry("1.vhd", bytes(build.image().data)), Entry("0.vhd", bytes(build.image("child").data)))
        with self.assertRaises(NotForwardError):
            open_forward(MemorySource(data), STRICT)

    def test_a_footer_that_contradicts_its_copy(self) -> None:
        image = build.image()
        image.footer("curr_size", 98 << 20, front=False)
        with self.assertRaises(NotForwardError):
            flat(MemorySource(build.zipped(bytes(image.data))))

    def test_a_parent_too_few(self) -> None:
        with self.assertRaisesRegex(FormatError, "'0.vhd' has a parent, but none follows"):
            flat(MemorySource(build.zipped(bytes(build.image("child").data))))

    def test_a_parent_too_many(self) -> None:
        data = bytes(build.image().data)
        with self.assertRaisesRegex(FormatError, "'0.vhd' has no parent, but others follow"):
            flat(MemorySource(build.packed(Entry("0.vhd", data), Entry("1.vhd", data))))

    def test_damage_behind_the_last_block(self) -> None:
        packed = bytearray(build.zipped(bytes(build.image().data)))
        packed[-8] ^= 1  # the CRC
        with self.assertRaisesRegex(FormatError, "CRC"):
            flat(MemorySource(packed))

    def test_a_bundle_that_is_cut_short(self) -> None:
        packed = build.zipped(bytes(build.image().data))
        for source in (MemorySource(packed[: len(packed) // 2]), self._pipe(packed[: len(packed) // 2])):
            with self.assertRaisesRegex(FormatError, "ends at .* inside its data|ends inside"):
                flat(source)

    def test_no_bundle(self) -> None:
        with self.assertRaises(UnsupportedError):
            open_forward(MemorySource(bytes(1024)), STRICT)
        with self.assertRaisesRegex(FormatError, "no member is called 0.vhd"):
            open_forward(MemorySource(build.packed(Entry("readme"))), STRICT)

    def test_a_chain_that_is_too_long(self) -> None:
        limits = dataclasses.replace(STRICT, chain_depth=1)
        data = build.packed(Entry("0.vhd", bytes(build.image("child").data)), Entry("1.vhd", bytes(build.image().data)))
        with self.assertRaisesRegex(LimitError, "chain_depth"):
            list(open_forward(MemorySource(data), limits).layers())


class ForwardDiskTest(unittest.TestCase):
    def test_reads_once(self) -> None:
        image = build.image()
        forward = open_forward(MemorySource(build.zipped(bytes(image.data))), STRICT)
        found = ForwardDisk(forward)
        self.assertTrue(found.facts.sequential)
        content = bytearray()
        for offset in range(0, build.SIZE, BLOCK):
            buffer = bytearray(BLOCK)
            found.read_into(offset, memoryview(buffer))
            content += buffer
        found.finish()
        self.assertEqual(image.content(), bytes(content))
        self.assertEqual(1, forward.content.passes)

    def test_the_end_is_proven(self) -> None:
        packed = bytearray(build.zipped(bytes(build.image().data)))
        packed[-8] ^= 1
        found = ForwardDisk(open_forward(MemorySource(packed), STRICT))
        with self.assertRaisesRegex(FormatError, "CRC"):
            found.finish()


class PipeSourceTest(unittest.TestCase):
    def test_forward_only(self) -> None:
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        content = os.urandom(3 << 20)
        thread = threading.Thread(target=lambda: (os.write(writer, content[:1]), _write_all(writer, content[1:])))
        thread.start()
        source = PipeSource(reader, "standard input")
        self.assertEqual(content[:100], source.read(0, 100))
        self.assertEqual(content[50:2_000_000], source.read(50, 1_999_950))
        self.assertEqual(content[1_900_000:2_100_000], source.read(1_900_000, 200_000))
        with self.assertRaisesRegex(FormatError, "have passed"):
            source.read(0, 1)
        self.assertEqual(content[-10:], source.read_some(len(content) - 10, 100))
        thread.join()
        with self.assertRaisesRegex(TransferError, "ends at"):
            source.read(len(content) - 10, 100)


def _write_all(descriptor: int, data: bytes) -> None:
    with open(descriptor, "wb") as stream:
        stream.write(data)
