"""The VMDK reader on disks of a known content: every variant, any slice, facts, extents, and how much is read."""

from __future__ import annotations

import threading
import unittest
from typing import TYPE_CHECKING, ClassVar

import ddt
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import vmdk as build
from tests.builders.pattern import pattern
from tests.builders.vmdk import FIELDS, SECTOR, BytesSource
from xenimage.formats.vmdk import VmdkDisk, open_vmdk
from xenimage.limits import STRICT
from xenimage.model.disk import ParentReference
from xenimage.model.extent import Kind
from xenimage.units import KIB, MIB, TIB

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CAPACITY = 70_001  # no whole grain, two grain tables of 64 KiB grains
NUMBERS = [0, 1, 2, 5, 7, 8, 31, 32, 511, 512, 546]


def opened(text: bytes, files: Mapping[str, bytes | bytearray]) -> VmdkDisk:
    return open_vmdk(BytesSource(text), STRICT, open_extent=lambda name: BytesSource(files[name], name))


def content(disk: VmdkDisk, offset: int = 0, length: int | None = None) -> bytes:
    buffer = bytearray(disk.facts.virtual_size - offset if length is None else length)
    disk.read_into(offset, memoryview(buffer))
    return bytes(buffer)


def one_file(maker: Callable[..., build.Image], grain: int = 128, **options: object) -> tuple[VmdkDisk, bytes]:
    grains = build.some_grains(NUMBERS, grain)
    disk = open_vmdk(BytesSource(maker(grains, CAPACITY, grain=grain, **options).data), STRICT)
    return disk, build.flat_content(grains, CAPACITY, grain)


def split_sparse() -> tuple[VmdkDisk, bytes]:
    lines, files, plain = [], {}, b""
    for number, sectors in enumerate((1000, 333, 2048), 1):
        grains = build.some_grains([0, 2], seed=number)
        name = f"disk-s{number:03}.vmdk"
        files[name] = build.hosted(grains, sectors).data
        lines.append(f'RW {sectors} SPARSE "{name}"')
        plain += build.flat_content(grains, sectors)
    return opened(build.descriptor("twoGbMaxExtentSparse", lines), files), plain


def split_flat() -> tuple[VmdkDisk, bytes]:
    files: dict[str, bytes | bytearray] = {"a.vmdk": pattern(0, 100 * SECTOR, 1), "b.vmdk": pattern(0, 300 * SECTOR, 2)}
    lines = [
        'RW 90 FLAT "a.vmdk" 10',
        "RW 7 ZERO",
        'RDONLY 100 FLAT "b.vmdk" 200',
        'RW 50 VMFS "b.vmdk"',
    ]
    plain = files["a.vmdk"][10 * SECTOR :] + bytes(7 * SECTOR) + files["b.vmdk"][200 * SECTOR :]
    return opened(build.descriptor("custom", lines), files), bytes(plain + files["b.vmdk"][: 50 * SECTOR])


def vmfs_sparse() -> tuple[VmdkDisk, bytes]:
    grains = build.some_grains([0, 3, 4, 4095, 4096, 9000], 1)
    text = build.descriptor(
        "vmfsSparse", [f'RW {CAPACITY} VMFSSPARSE "d-delta.vmdk"'], parent="0badcafe", hint="b.vmdk"
    )
    return opened(text, {"d-delta.vmdk": build.cowd(grains, CAPACITY).data}), build.flat_content(grains, CAPACITY, 1)


DISKS: dict[str, Callable[[], tuple[VmdkDisk, bytes]]] = {
    "monolithicSparse": lambda: one_file(build.monolithic),
    "no redundant directory": lambda: one_file(build.monolithic, redundant=False),
    "grains out of order": lambda: one_file(build.monolithic, order=NUMBERS[::-1]),
    "small grains": lambda: one_file(build.monolithic, 8),
    "half grains": lambda: one_file(build.monolithic, 64),
    "streamOptimized": lambda: one_file(build.stream),
    "streamOptimized, padded as by Xen Orchestra": lambda: one_file(build.stream, padding=11),
    "streamOptimized, tables in front": lambda: one_file(build.stream_front),
    "streamOptimized, tables in front, ended": lambda: one_file(build.stream_front, eos=True),
    "streamOptimized, no footer": lambda: one_file(without_footer),
    "streamOptimized, no footer, padded": lambda: one_file(without_footer, padding=200),
    "bare COWD": lambda: one_file(build.cowd, 1),
    "COWD, larger grains": lambda: one_file(build.cowd, 16),
    "twoGbMaxExtentSparse": split_sparse,
    "flat and zero": split_flat,
    "vmfsSparse": vmfs_sparse,
}


def without_footer(*arguments: object, **options: object) -> build.Image:
    image = build.stream(*arguments, **options)  # type: ignore[arg-type]
    del image.data[image.places["marker.footer"] :]
    return image


class ContentTest(unittest.TestCase):
    OPENED: ClassVar[dict[str, tuple[VmdkDisk, bytes]]] = {}

    @classmethod
    def setUpClass(cls) -> None:
        # Half a gigabyte, which not every process that only looks for tests shall have.
        cls.OPENED |= {name: maker() for name, maker in DISKS.items()}
        cls.addClassCleanup(cls.OPENED.clear)

    @settings(max_examples=400, deadline=None, derandomize=True)
    @given(st.data())
    def test_any_slice(self, data: st.DataObject) -> None:
        disk, plain = self.OPENED[data.draw(st.sampled_from(sorted(self.OPENED)))]
        offset = data.draw(st.integers(0, len(plain)))
        length = data.draw(st.one_of(st.integers(0, 3 * KIB), st.integers(0, len(plain)))) % (len(plain) - offset + 1)
        self.assertEqual(plain[offset : offset + length], content(disk, offset, length))
        self.check_extents(disk, plain, offset, length)

    def test_whole(self) -> None:
        for name, (disk, plain) in self.OPENED.items():
            with self.subTest(name):
                self.assertEqual(len(plain), disk.facts.virtual_size)
                self.assertEqual(plain, content(disk))
                self.assertIsNone(disk.unreadable())

    def check_extents(self, disk: VmdkDisk, plain: bytes, offset: int, length: int) -> None:
        position = offset
        previous = None
        for extent in disk.extents(offset, length):
            self.assertEqual(position, extent.offset)
            self.assertIsNot(previous, extent.kind)
            self.assertGreater(extent.length, 0)
            if extent.kind is not Kind.DATA:
                self.assertFalse(plain[extent.offset : extent.end].strip(b"\0"))
            position, previous = extent.end, extent.kind
        self.assertEqual(offset + length, position)

    def test_from_many_threads(self) -> None:
        disk, plain = DISKS["streamOptimized"]()
        wrong: list[int] = []

        def work(first: int) -> None:
            starts = range(first * 4096, len(plain) - 100_000, 100_003)
            wrong.extend(at for at in starts if content(disk, at, 100_000) != plain[at : at + 100_000])

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([], wrong)

    def test_range_outside_is_a_bug_of_the_caller(self) -> None:
        disk, plain = DISKS["monolithicSparse"]()
        with self.assertRaises(ValueError):
            content(disk, len(plain) - 10, 11)
        with self.assertRaises(ValueError):
            disk.extents(-1, 2)


@ddt.ddt
class CostTest(unittest.TestCase):
    """How much is read, and how long it takes when there is nothing."""

    @ddt.data(build.monolithic, build.stream, build.stream_front)
    def test_bytes_read(self, maker: Callable[..., build.Image]) -> None:
        grains = {number: pattern(number, 64 * KIB) for number in range(1024)}
        source = BytesSource(maker(grains, 1024 * 128).data)
        disk = open_vmdk(source, STRICT)
        buffer = memoryview(bytearray(2 * MIB))
        for offset in range(0, disk.facts.virtual_size, len(buffer)):
            disk.read_into(offset, buffer)
        self.assertLess(source.read_bytes, 1.05 * source.size)
        self.assertLess(source.reads, 4 * 32)

    def test_plain_grains_side_by_side_are_one_read(self) -> None:
        source = BytesSource(build.monolithic(build.some_grains(range(32)), 32 * 128).data)
        disk = open_vmdk(source, STRICT)
        content(disk, 0, 512)
        before = source.reads
        content(disk)
        self.assertEqual(before + 1, source.reads)

    @ddt.data(build.monolithic, build.stream)
    def test_empty_2_tib(self, maker: Callable[..., build.Image]) -> None:
        disk = open_vmdk(BytesSource(maker({}, 2 * TIB // SECTOR, **self.few_tables(maker)).data), STRICT)
        extents = list(disk.extents(0, 2 * TIB))
        self.assertEqual([(0, 2 * TIB, Kind.ABSENT)], [(one.offset, one.length, one.kind) for one in extents])

    def few_tables(self, maker: Callable[..., build.Image]) -> dict[str, object]:
        """Keep the image that is built with all its tables small: 1 MiB grains."""
        return {"grain": 2048, "redundant": False} if maker is build.monolithic else {}


class FactsTest(unittest.TestCase):
    def codes(self, disk: VmdkDisk) -> list[str]:
        return [finding.code for finding in disk.facts.findings]

    def test_stream(self) -> None:
        disk, _ = DISKS["streamOptimized"]()
        facts = disk.facts
        self.assertEqual(("vmdk", "streamOptimized", 64 * KIB, True), (
            facts.format, facts.variant, facts.granularity, facts.compressed,
        ))  # fmt: skip
        self.assertEqual(("1234abcd", None, ()), (facts.identity, facts.parent, facts.findings))
        details = dict(facts.details)
        self.assertEqual("lsilogic", details["adapter type"])
        self.assertEqual("4", details["hardware version"])
        self.assertEqual("2147483647", details["tools version"])
        self.assertEqual("64 KiB", details["grain size"])

    def test_several_files(self) -> None:
        disk, _ = split_flat()
        self.assertEqual((512, False), (disk.facts.granularity, disk.facts.compressed))
        self.assertGreater(disk.facts.stored_size, 400 * SECTOR)
        disk.close()
        disk.close()

    def test_delta(self) -> None:
        disk, _ = vmfs_sparse()
        parent = ParentReference(name="b.vmdk", identity="0badcafe", format="vmdk")
        self.assertEqual(parent, disk.facts.parent)

    def test_zeroed_grains(self) -> None:
        grains = build.some_grains([0, 4])
        grains.update({1: None, 2: None})
        for disk in (
            open_vmdk(BytesSource(build.monolithic(grains, 1024, zeroed=True).data), STRICT),
            open_vmdk(BytesSource(build.stream(grains, 1024, zeroed=True).data), STRICT),
        ):
            kinds = [(extent.offset // (64 * KIB), extent.kind) for extent in disk.extents(0, 1024 * SECTOR)]
            self.assertEqual(
                [(0, Kind.DATA), (1, Kind.ZERO), (3, Kind.ABSENT), (4, Kind.DATA), (5, Kind.ABSENT)], kinds
            )
            self.assertEqual(build.flat_content(grains, 1024), content(disk))

    def test_redundant_directory(self) -> None:
        image = build.monolithic(build.some_grains([0, 3]), 1024)
        image.put("header", FIELDS["gdOffset"], 1 << 50)
        disk = open_vmdk(BytesSource(image.data), STRICT)
        self.assertEqual(["vmdk.grain-directory"], self.codes(disk))
        self.assertIn("the redundant grain directory served instead", disk.facts.findings[0].what)
        self.assertEqual(build.flat_content(build.some_grains([0, 3]), 1024), content(disk))

    def test_walked(self) -> None:
        disk, _ = one_file(without_footer)
        self.assertEqual(["vmdk.grain-directory"], self.codes(disk))

    def test_unclean(self) -> None:
        self.assertEqual(["vmdk.unclean"], self.codes(one_file(build.monolithic, uncleanShutdown=1)[0]))

    def test_bare_extent(self) -> None:
        disk, _ = one_file(build.hosted)
        self.assertEqual((["vmdk.no-descriptor"], "monolithicSparse"), (self.codes(disk), disk.facts.variant))
        self.assertEqual((["vmdk.no-descriptor"]), self.codes(one_file(build.cowd, 1)[0]))

    def test_capacity_of_the_header_counts(self) -> None:
        text = build.descriptor("streamOptimized", ['RW 999 SPARSE "disk.vmdk"'])
        disk = open_vmdk(BytesSource(build.stream({}, 1024, text=text).data), STRICT)
        self.assertEqual((["vmdk.capacity"], 1024 * SECTOR), (self.codes(disk), disk.facts.virtual_size))


@ddt.ddt
class DescriptorTest(unittest.TestCase):
    @ddt.data("\n", "\r\n")
    def test_line_ends(self, newline: str) -> None:
        text = build.descriptor("vmfs", ['RW 1 VMFS "x.vmdk"'], newline=newline)
        for raw in (text, b"\xef\xbb\xbf" + text, text + bytes(1000), text.replace(b"CID", b"cid")):
            disk = opened(raw, {"x.vmdk": pattern(0, 512)})
            self.assertEqual(pattern(0, 512), content(disk))
            self.assertEqual("1234abcd", disk.facts.identity)

    @ddt.data(("UTF-8", "utf-8"), ("GBK", "gbk"), ("windows-1252", "cp1252"), ("Shift_JIS", "cp932"))
    @ddt.unpack
    def test_encoding(self, name: str, codec: str) -> None:
        file = {"cp1252": "Müller.vmdk", "cp932": "表.vmdk"}.get(codec, "虚拟机.vmdk")
        text = build.descriptor("vmfs", [f'RW 1 VMFS "{file}"'], extra=(f'encoding="{name}"',), encoding=codec)
        self.assertEqual(pattern(0, 512), content(opened(text, {file: pattern(0, 512)})))

    def test_content_id_of_xen_orchestra_is_decimal(self) -> None:
        text = build.descriptor("vmfs", ["RW 1 ZERO"], cid="4012345678")
        self.assertEqual("4012345678", opened(text, {}).facts.identity)

    def test_short_content_ids_compare(self) -> None:
        text = build.descriptor("vmfs", ["RW 1 ZERO"], cid="ABC", parent="DEF")
        facts = opened(text, {}).facts
        assert facts.parent is not None
        self.assertEqual(("00000abc", "00000def"), (facts.identity, facts.parent.identity))

    def test_only_zeros_need_no_other_file(self) -> None:
        disk = open_vmdk(BytesSource(build.descriptor("custom", ["RW 9 ZERO"])), STRICT)
        self.assertEqual(bytes(9 * SECTOR), content(disk))
        self.assertEqual([Kind.ZERO], [extent.kind for extent in disk.extents(0, 9 * SECTOR)])
