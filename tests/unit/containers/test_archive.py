"""The tar reader that all packages share."""

from __future__ import annotations

import io
import tarfile

import ddt
from hypothesis import example, given
from hypothesis import strategies as st

from tests.base import TestCase
from tests.builders import bundle as build
from tests.builders.bundle import Entry
from tests.builders.pattern import pattern
from tests.builders.vhd import MemorySource
from tests.builders.xva import MIB, header
from xenimage.containers.archive import Ahead, Archive, _plain, members
from xenimage.exceptions import FormatError, LimitError
from xenimage.limits import STRICT, Limits


@ddt.ddt
class ArchiveTest(TestCase):
    """What the members say of themselves, in every dialect of tar."""

    def setUp(self) -> None:
        super().setUp()
        self.archive = Archive()

    def members(self, data: bytes) -> list[tuple[str, str, int, str]]:
        found = list(members(Ahead(MemorySource(data, "x.tar")), STRICT, self.archive))
        return [(member.name, member.kind, member.size, member.header) for member in found]

    @ddt.data(
        (tarfile.USTAR_FORMAT, "ustar"),
        (tarfile.GNU_FORMAT, "gnu"),
        (tarfile.PAX_FORMAT, "pax"),
    )
    @ddt.unpack
    def test_dialects(self, format_: int, header: str) -> None:
        name = "a" * 90 if header == "ustar" else "a" * 300
        data = build.tar([Entry(name, b"abc", mtime=1.5 if header == "pax" else 1)], format_)
        self.assertEqual([(name, "file", 3, header)], self.members(data))

    def test_v7(self) -> None:
        block = bytearray(build.tar([Entry("0.txt", b"abc")])[:1024])
        block[257:265] = bytes(8)
        block[148:156] = b"%06o\0 " % (sum(block[:148]) + 256 + sum(block[156:512]))
        self.assertEqual([("0.txt", "file", 3, "v7")], self.members(bytes(block) + bytes(1024)))

    def test_kinds(self) -> None:
        entries = [
            Entry("d", type=tarfile.DIRTYPE),
            Entry("s", type=tarfile.SYMTYPE, target="/etc/passwd"),
            Entry("h", type=tarfile.LNKTYPE, target="d"),
            Entry("f", type=tarfile.FIFOTYPE),
            Entry("c", type=tarfile.CHRTYPE),
            Entry("b", type=tarfile.BLKTYPE),
        ]
        kinds = [kind for _, kind, _, _ in self.members(build.tar(entries))]
        expected = ["directory", "symbolic link", "hard link", "fifo", "character device", "block device"]
        self.assertEqual(expected, kinds)

    def test_pax_sparse(self) -> None:
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
            info = tarfile.TarInfo("GNUSparseFile.0/0.vhd")
            info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.name": "0.vhd", "GNU.sparse.realsize": "9"}
            archive.addfile(info)
        self.assertEqual([("0.vhd", "sparse file", 0, "pax")], self.members(file.getvalue()))

    def test_without_an_end(self) -> None:
        self.members(build.tar([Entry("a", b"abc")], ended=False))
        self.assertEqual((1024, False), (self.archive.end, self.archive.ended))

    def test_behind_the_end(self) -> None:
        self.members(build.tar([Entry("a")]) + b"x" * 100_000)
        self.assertEqual((1536, True), (self.archive.end, self.archive.ended))

    def test_size_of_8_gib_in_base_256(self) -> None:
        data = build.tar([Entry("big", size=1 << 33)])[:512]
        self.assertEqual([("big", "file", 1 << 33, "gnu")], self.members(data))

    def test_the_limit_is_the_callers(self) -> None:
        data = build.tar([Entry("a")] * 4)
        limits = Limits(members=3, xva_members=4)
        found = list(members(Ahead(MemorySource(data, "x.tar")), limits, Archive(), limit="xva_members"))
        self.assertEqual(4, len(found))
        with self.assertRaisesRegex(LimitError, r"^the number of tar headers is 4, expected at most 3 \(limit m"):
            list(members(Ahead(MemorySource(data, "x.tar")), limits, Archive()))

    def test_extended_headers_without_a_member(self) -> None:
        header = Entry("p", b"12 uname=ab\n", type=tarfile.XHDTYPE)
        self.assertEqual(1, len(self.members(build.tar([*[header] * 16, Entry("a")]))))
        with self.assertRaisesRegex(FormatError, "^the tar has more than 16 extended headers in front of 0x4200$"):
            self.members(build.tar([*[header] * 17, Entry("a")]))

    def test_global_records_that_say_nothing_are_not_kept(self) -> None:
        header = Entry("g", b"12 uname=ab\n", type=tarfile.XGLTYPE)
        self.assertEqual([("a", "file", 0, "pax")], self.members(build.tar([header, Entry("a")])))


class AheadTest(TestCase):
    """Reading a little more than was asked for."""

    def test_any_reads_are_those_of_the_source(self) -> None:
        data = pattern(0, 9000)
        ahead = Ahead(MemorySource(data, "x"))
        for offset, length in (
            (0, 512),
            (512, 512),
            (100, 5),
            (1500, 1000),
            (8990, 512),
            (9000, 512),
            (9001, 1),
            (0, 9),
        ):
            self.assertEqual(data[offset : offset + length], ahead.read_some(offset, length), (offset, length))


class PlainHeaderTest(TestCase):
    """The short way to read a header gives what the library's gives, or nothing."""

    @given(
        st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
        st.lists(st.tuples(st.integers(0, 511), st.integers(0, 255)), max_size=3),
        st.booleans(),
    )
    @example(tarfile.USTAR_FORMAT, [(337, 1)], True)
    def test_any_damage(self, format_: int, changes: list[tuple[int, int]], sealed: bool) -> None:
        block = bytearray(build.tar([Entry("Ref:1/00000000", b"abc", mtime=1_700_000_000)], format_)[:512])
        for at, value in changes:
            block[at] = value
        if sealed:
            block[148:156] = b"%06o\0 " % (sum(block[:148]) + 256 + sum(block[156:512]))
        found = _plain(bytes(block))
        if found is not None:
            library = tarfile.TarInfo.frombuf(bytes(block), "utf-8", "surrogateescape")
            self.assertEqual([getattr(library, name) for name in found._fields], list(found))

    def test_the_usual_is_read_so(self) -> None:
        for kind in ("v7", "ustar", "gnu"):
            self.assertIsNotNone(_plain(header("Ref:1/00000000", MIB, kind)))
