"""Damaged and hostile VMDKs: each count, offset and name in turn, with the error that it must end in."""

from __future__ import annotations

import contextlib
import os
import struct
import unittest
import unittest.mock
from typing import TYPE_CHECKING

import ddt
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.base import TestCase
from tests.builders import vmdk as build
from tests.builders.vmdk import COWD_FIELDS, FIELDS, MARKER_FIELDS, SECTOR, BytesSource, Image
from xenimage.exceptions import FormatError, LimitError, UnsafeError, UnsupportedError, UsageError, XenimageError
from xenimage.formats.vmdk import open_vmdk
from xenimage.limits import STRICT, Limits
from xenimage.model.extent import Kind
from xenimage.sources.file import open_beside, open_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CAPACITY = 70_000  # sectors: two grain tables of 64 KiB grains, the last grain cut by the end of the disk
ENTRY = "<I"


def consume(
    data: bytes | bytearray, files: Mapping[str, bytes | bytearray] | None = None, limits: Limits = STRICT
) -> bytes:
    """Open, map and read the first and last mebibyte and what is between the two as far as it holds data."""
    source = BytesSource(data)
    opened: list[BytesSource] = []

    def open_extent(name: str) -> BytesSource:
        assert files is not None
        if name not in files:
            raise UsageError("cannot be opened", where=name)
        opened.append(BytesSource(files[name], name))
        return opened[-1]

    try:
        disk = open_vmdk(source, limits, open_extent=None if files is None else open_extent)
    except BaseException:
        assert all(extent.closed for extent in opened), "an extent was left open"
        raise
    error = disk.unreadable()
    if error is not None:
        assert disk.facts.format == "vmdk"
        raise error
    content = b""
    for extent in disk.extents(0, disk.facts.virtual_size):
        buffer = bytearray(min(extent.length, 1 << 20))
        disk.read_into(extent.offset, memoryview(buffer))
        content += buffer
    disk.close()
    assert source.closed and all(extent.closed for extent in opened)
    return content


def monolithic() -> Image:
    return build.monolithic(build.some_grains([0, 1, 2, 9, 530]), CAPACITY)


def stream() -> Image:
    return build.stream(build.some_grains([0, 1, 2, 9, 530]), CAPACITY)


def front() -> Image:
    return build.stream_front(build.some_grains([0, 1, 2, 9, 530]), CAPACITY)


def cowd() -> Image:
    return build.cowd(build.some_grains([0, 1, 2, 9, 5000], 1), CAPACITY)


MAKERS: dict[str, Callable[[], Image]] = {
    "monolithic": monolithic, "stream": stream, "front": front, "cowd": cowd,
}  # fmt: skip

# (image, structure, field, value, error, fragment of its message)
NUMBERS = (
    ("monolithic", "header", FIELDS["magic"], 0, FormatError, "expected KDMV, COWD or a descriptor"),
    ("monolithic", "header", FIELDS["version"], 0, UnsupportedError, "version is 0, expected 1, 2 or 3"),
    ("monolithic", "header", FIELDS["version"], 4, UnsupportedError, "version is 4"),
    ("monolithic", "header", FIELDS["flags"], 0x10003, FormatError, "compressAlgorithm is 0 with flags 0x10003"),
    ("front", "header", FIELDS["flags"], 0x10003, UnsupportedError, "compressed grains without markers"),
    ("front", "header", FIELDS["flags"], 0x20003, FormatError, "compressAlgorithm is 1 with flags 0x20003"),
    ("monolithic", "header", FIELDS["newlines"], 0x0A0A200A, FormatError, "damaged by a text-mode transfer"),
    ("monolithic", "header", FIELDS["capacity"], 0, FormatError, "capacity is 0 sectors"),
    ("monolithic", "header", FIELDS["capacity"], 1 << 63, LimitError, "limit virtual_size"),
    ("monolithic", "header", FIELDS["capacity"], 1 << 34, FormatError, "lie outside the file"),
    ("monolithic", "header", FIELDS["grainSize"], 0, FormatError, "grainSize is 0 sectors, expected a power of two"),
    ("monolithic", "header", FIELDS["grainSize"], 4, FormatError, "grainSize is 4 sectors"),
    ("monolithic", "header", FIELDS["grainSize"], 100, FormatError, "grainSize is 100 sectors"),
    ("monolithic", "header", FIELDS["grainSize"], 1 << 40, LimitError, "limit cluster_size"),
    ("monolithic", "header", FIELDS["grainSize"], 1 << 63, LimitError, "limit cluster_size"),
    ("monolithic", "header", FIELDS["descriptorOffset"], 1 << 50, FormatError, "descriptor: 10240 bytes at"),
    ("monolithic", "header", FIELDS["descriptorOffset"], 20, FormatError, "descriptor: has no createType"),
    ("monolithic", "header", FIELDS["descriptorSize"], 1 << 50, LimitError, "limit descriptor_size"),
    ("monolithic", "header", FIELDS["descriptorSize"], 2000, FormatError, "lie outside the file"),
    ("monolithic", "header", FIELDS["descriptorSize"], 0, FormatError, "descriptor: has no createType"),
    ("monolithic", "header", FIELDS["numGTEsPerGT"], 0, FormatError, "numGTEsPerGT is 0, expected 512"),
    ("monolithic", "header", FIELDS["numGTEsPerGT"], 1 << 31, FormatError, "numGTEsPerGT is 2147483648"),
    ("monolithic", "header", FIELDS["compressAlgorithm"], 2, UnsupportedError, "compressAlgorithm is 2"),
    ("front", "header", FIELDS["compressAlgorithm"], 0, FormatError, "compressAlgorithm is 0 with flags"),
    ("stream", "header", FIELDS["rgdOffset"], 5, None, ""),
    ("stream", "header", FIELDS["overHead"], 1 << 60, None, ""),
    ("stream", "header", FIELDS["uncleanShutdown"], 1, None, ""),
    ("stream", "header", FIELDS["gdOffset"], 25, FormatError, "as in the header"),
    ("stream", "footer", FIELDS["version"], 2, FormatError, "version is 2, expected 3 as in the header"),
    ("stream", "footer", FIELDS["flags"], 0x30003, FormatError, "flags is 196611, expected 196609"),
    ("stream", "footer", FIELDS["capacity"], 1 << 63, FormatError, "as in the header"),
    ("stream", "footer", FIELDS["capacity"], 128, FormatError, "capacity is 128, expected 70000 as in the header"),
    ("stream", "footer", FIELDS["grainSize"], 8, FormatError, "grain_size is 8, expected 128 as in the header"),
    ("stream", "footer", FIELDS["descriptorOffset"], 2, FormatError, "descriptor_offset is 2"),
    ("stream", "footer", FIELDS["descriptorSize"], 1, FormatError, "descriptor_size is 1"),
    ("stream", "footer", FIELDS["numGTEsPerGT"], 1, FormatError, "entries_per_table is 1"),
    ("stream", "footer", FIELDS["compressAlgorithm"], 0, FormatError, "algorithm is 0"),
    # The tables are behind the grains: without a footer, or with one that points nowhere, the grains are walked.
    ("stream", "footer", FIELDS["gdOffset"], 1 << 62, None, ""),
    ("stream", "footer", FIELDS["gdOffset"], 0, None, ""),
    ("stream", "footer", FIELDS["magic"], 0, None, ""),
    ("stream", "marker.footer", MARKER_FIELDS["type"], 2, None, ""),
    ("stream", "gd", (0, ENTRY), 0xFFFFFFF0, None, ""),
    ("stream", "gd", (4, ENTRY), 0xFFFFFFF0, None, ""),
    ("stream", "gd", (0, ENTRY), 1, FormatError, ""),
    ("stream", "gt0", (0, ENTRY), 1, FormatError, "point to sector 1, inside the header or the descriptor"),
    ("stream", "gt0", (0, ENTRY), 0xFFFFFFFF, FormatError, "lie outside the file"),
    ("stream", "gt0", (16, ENTRY), 129, FormatError, "expected 512 as in the grain table"),
    ("stream", "grain1", (0, "<Q"), 0, FormatError, "belongs to sector 0, expected 128 as in the grain table"),
    ("stream", "grain9", (0, "<Q"), 1 << 63, FormatError, "expected 1152 as in the grain table"),
    ("stream", "grain1", (8, ENTRY), 0, FormatError, "has 0 deflated bytes, expected 1 to 131200"),
    ("stream", "grain1", (8, ENTRY), 0xFFFFFFFF, FormatError, "deflated bytes, expected 1 to 131200"),
    ("stream", "grain1", (8, ENTRY), 131_200, FormatError, "deflated bytes, expected its end before the next grain"),
    ("stream", "grain1", (8, ENTRY), 60, FormatError, "grain at"),
    ("stream", "grain1", (12, "<H"), 0xFFFF, FormatError, "zlib stream is damaged"),
    ("stream", "grain530", (8, ENTRY), 131_200, FormatError, "lie outside the file"),
    ("monolithic", "header", FIELDS["gdOffset"], 1 << 60, None, ""),  # the redundant directory serves
    ("monolithic", "header", FIELDS["rgdOffset"], 1 << 60, None, ""),
    ("monolithic", "header", FIELDS["flags"], 1, None, ""),
    ("monolithic", "gd", (0, ENTRY), 0xFFFFFFFF, None, ""),
    ("monolithic", "gd.table", (0, ENTRY), 0xFFFFFFFF, FormatError, "lie outside the file"),
    ("monolithic", "gd.table", (0, ENTRY), 1, FormatError, "point to sector 1, inside the header or the descriptor"),
    ("cowd", "header", COWD_FIELDS["version"], 2, UnsupportedError, "version is 2, expected 1"),
    ("cowd", "header", COWD_FIELDS["capacity"], 0, FormatError, "capacity is 0 sectors"),
    ("cowd", "header", COWD_FIELDS["capacity"], 0xFFFFFFFF, FormatError, "numGDEntries is 18, expected at least"),
    ("cowd", "header", COWD_FIELDS["grainSize"], 0, FormatError, "grainSize is 0 sectors"),
    ("cowd", "header", COWD_FIELDS["grainSize"], 3, FormatError, "grainSize is 3 sectors"),
    ("cowd", "header", COWD_FIELDS["grainSize"], 1 << 31, LimitError, "limit cluster_size"),
    ("cowd", "header", COWD_FIELDS["gdOffset"], 0, FormatError, "gdOffset is 0"),
    ("cowd", "header", COWD_FIELDS["gdOffset"], 0xFFFFFFFF, FormatError, "grain directory: 72 bytes at"),
    ("cowd", "header", COWD_FIELDS["numGDEntries"], 0, FormatError, "numGDEntries is 0, expected at least 18"),
    ("cowd", "header", COWD_FIELDS["numGDEntries"], 0xFFFFFFFF, LimitError, "limit table_size"),
    ("cowd", "gd", (0, ENTRY), 0xFFFFFFFF, FormatError, "grain table at 0x1fffffffe00"),
    ("cowd", "gt0", (0, ENTRY), 0xFFFFFFFF, FormatError, "lie outside the file"),
)

# What goes wrong when the grains are walked: the footer is taken away first.
WALKED = (
    ("grain1", (0, "<Q"), 0, "a grain for sector 0 behind a later one, expected rising order"),
    ("grain9", (0, "<Q"), 1 << 63, "a grain for sector 9223372036854775808"),
    ("grain9", (0, "<Q"), 70_016, "a grain for sector 70016"),
    ("grain9", (0, "<Q"), 1153, "a grain for sector 1153, expected the first sector of a grain"),
    ("grain9", (8, ENTRY), 131_201, "a grain of 131201 bytes, expected at most 131200"),
    ("grain530", (8, ENTRY), 131_200, "a grain of 131200 bytes, expected its end inside the file of"),
    ("marker.gt0", MARKER_FIELDS["type"], 5, "a marker of type 5, expected 1, 2, 3 or 4"),
    ("marker.gt0", MARKER_FIELDS["value"], 1 << 63, "a marker of type 1 for 9223372036854775808 sectors"),
    ("grain9", (0, "<QI"), 0, "an end-of-stream marker with bytes behind it"),
    ("marker.gd", MARKER_FIELDS["value"], 2, "a marker of type 2 for 2 sectors, expected at most 1"),
)

FLAT = 'RW 128 FLAT "disk-flat.vmdk" 0'

# (lines in place of the extent line, error, fragment of its message)
EXTENT_LINES: tuple[tuple[list[str], type[XenimageError], str], ...] = (
    (['RW 128 FLAT "/etc/passwd" 0'], UnsafeError, "names the file '/etc/passwd', expected a bare name"),
    (['RW 128 FLAT "../disk-flat.vmdk" 0'], UnsafeError, "names the file '../disk-flat.vmdk'"),
    (['RW 128 FLAT "..\\disk-flat.vmdk" 0'], UnsafeError, "names the file"),
    (['RW 128 FLAT "C:\\disk-flat.vmdk" 0'], UnsafeError, "names the file"),
    (['RW 128 FLAT ".." 0'], UnsafeError, "names the file '..'"),
    (['RW 128 FLAT "" 0'], UnsafeError, "names the file ''"),
    (['RW 128 SPARSE "/etc/passwd"'], UnsafeError, "names the file '/etc/passwd'"),
    (['RW 128 VMFS "sub/disk-flat.vmdk"'], UnsafeError, "names the file 'sub/disk-flat.vmdk'"),
    (['RW 128 ZERO "/etc/passwd"'], UnsafeError, "names the file '/etc/passwd'"),
    (['RW 128 FLAT "/dev/sda" 0'], UnsafeError, "names the device '/dev/sda'"),
    (['RW 128 FLAT "\\\\.\\PhysicalDrive0" 0'], UnsafeError, "names the device"),
    (['RW 128 FLAT "disk-flat.vmdk" 0 partitionUUID 0815'], UnsafeError, "names the device 'disk-flat.vmdk'"),
    (['RW 128 FLAT "disk.vmdk" 0'], UnsafeError, "names its own descriptor 'disk.vmdk'"),
    (['RW 128 SPARSE "disk.vmdk"'], UnsafeError, "names its own descriptor 'disk.vmdk'"),
    (['NOACCESS 128 FLAT "disk-flat.vmdk" 0'], UnsupportedError, "an extent of access NOACCESS"),
    (["NOACCESS 128 ZERO"], UnsupportedError, "an extent of access NOACCESS"),
    (['RW 128 SESPARSE "disk-sesparse.vmdk"'], UnsupportedError, "an extent of type SESPARSE"),
    (['RW 128 VMFSRDM "disk-rdm.vmdk"'], UnsupportedError, "an extent of type VMFSRDM"),
    (['RW 128 VMFSRAW "disk-raw.vmdk"'], UnsupportedError, "an extent of type VMFSRAW"),
    (['RW 128 HOLOGRAM "disk.holo"'], UnsupportedError, "an extent of type HOLOGRAM"),
    (['RW 128 FLAT "gone.vmdk" 0'], UsageError, "gone.vmdk: cannot be opened"),
    (['RW 128 FLAT "disk-flat.vmdk" 1'], FormatError, "flat extent: 65536 bytes at 0x200 lie outside the file"),
    (['RW 129 FLAT "disk-flat.vmdk" 0'], FormatError, "lie outside the file of 65536 bytes"),
    (['RW 128 FLAT "disk-flat.vmdk" 18446744073709551615'], FormatError, "lie outside the file"),
    (['RW 36028797018963968 FLAT "disk-flat.vmdk" 0'], LimitError, "limit virtual_size"),
    (["RW 99999999999999999999 ZERO"], LimitError, "limit virtual_size"),
    (["RW 999999999999999999999 ZERO"], FormatError, "expected access, sectors, type"),
    (["RW -1 ZERO"], FormatError, "expected access, sectors, type"),
    (["RW 0 ZERO"], FormatError, "line 8: an extent of 0 sectors"),
    (["RW 128 FLAT"], FormatError, "an extent of type FLAT without a file"),
    (["RW 128 FLAT disk-flat.vmdk 0"], FormatError, "expected access, sectors, type"),
    (['RW 128 FLAT "disk-flat.vmdk'], FormatError, "expected access, sectors, type"),
    (["RW"], FormatError, "expected key"),
    ([], FormatError, "names no extent"),
    ([FLAT, FLAT], FormatError, "uses sectors of 'disk-flat.vmdk' a second time"),
    (['RW 64 FLAT "disk-flat.vmdk" 0', 'RW 65 FLAT "disk-flat.vmdk" 63'], FormatError, "a second time"),
    (['RW 128 SPARSE "s.vmdk"', 'RW 128 SPARSE "s.vmdk"'], FormatError, "uses sectors of 's.vmdk' a second time"),
    (['RW 127 SPARSE "s.vmdk"'], FormatError, "an extent of 127 sectors, expected 128 as in its header"),
    (['RW 128 SPARSE "disk-flat.vmdk"'], FormatError, "disk-flat.vmdk: starts with"),
    (['RW 128 SPARSE "se.vmdk"'], UnsupportedError, "an extent in seSparse format"),
    (['RW 128 SPARSE "empty.vmdk"'], FormatError, "starts with b''"),
    (["RW 1 ZERO"] * 4097, LimitError, "the number of extents is 4097, expected at most 4096"),
    ([FLAT, "what is this"], FormatError, "line 9: 'what is this', expected key=\"value\" or an extent"),
    ([FLAT, "CID=1234abcd"], FormatError, "line 9: 'cid' stands there a second time"),
    ([FLAT, 'createType="vmfs"'], FormatError, "'createtype' stands there a second time"),
    ([FLAT, 'CREATETYPE="vmfs"'], FormatError, "'createtype' stands there a second time"),
    ([FLAT, "parentCID=ffffffff"], FormatError, "'parentcid' stands there a second time"),
    ([FLAT, 'encoding="zlib"'], FormatError, "encoding is 'zlib'"),
    ([FLAT, 'encoding="klingon-8"'], FormatError, "encoding is 'klingon-8'"),
    ([FLAT, 'x="' + "y" * 5000 + '"'], FormatError, "line 9: has 5004 characters, expected at most 4096"),
    ([FLAT, 'encryption.keySafe="vmware:key/list"'], UnsupportedError, "the disk is encrypted"),
    ([FLAT, 'ddb.iofilters="vmwarevmcrypt"'], UnsupportedError, "the disk is encrypted"),
)

# (a line of the descriptor, what stands in its place, error, fragment)
OTHER_LINES = (
    (b"CID=1234abcd", b"CID=xyz", FormatError, "cid is 'xyz', expected 8 hex digits"),
    (b"CID=1234abcd", b"CID=123456789abc", FormatError, "cid is '123456789abc'"),
    (b"parentCID=ffffffff", b"parentCID=", FormatError, "parentcid is ''"),
    (b"version=1", b"version=77", FormatError, "version is '77', expected 1"),
    (b'createType="monolithicFlat"', b"", FormatError, "has no createType"),
    (b'"monolithicFlat"', b'"fullDevice"', UnsafeError, "fullDevice refers to a device"),
    (b'"monolithicFlat"', b'"partitionedDevice"', UnsafeError, "partitionedDevice refers to a device"),
    (b'"monolithicFlat"', b'"vmfsRDM"', UnsupportedError, "vmfsRDM maps a raw device"),
    (b'"monolithicFlat"', b'"vmfsRDMP"', UnsupportedError, "vmfsRDMP maps a raw device"),
    (b'"monolithicFlat"', b'"vmfsRaw"', UnsupportedError, "vmfsRaw maps a raw device"),
    (b"# Disk DescriptorFile", b"# Something else     ", FormatError, "expected KDMV, COWD or a descriptor"),
    (b"# The Disk", b'encoding="ascii"\n# \xff The Disk', FormatError, "is no ascii"),
    # Spaces that a careless expression would try to split in all possible ways, for hours.
    (
        b"# The Disk",
        b"encoding=" + b" " * 900_000 + b'x"x"',
        FormatError,
        "has 900023 characters, expected at most 4096",
    ),
    (b"# The Disk", b" " * 900_000 + b'encoding x"x"', FormatError, "expected key="),
)


class _Faults(TestCase):
    def refused(
        self,
        error: type[XenimageError] | None,
        fragment: str,
        data: bytes | bytearray,
        files: Mapping[str, bytes | bytearray] | None = None,
    ) -> None:
        """The disk is read, if *error* is None, or refused with just that error, naming the file first."""
        if error is None:
            self.assertTrue(any(consume(data, files)))
            return
        with self.assertRaises(error) as caught:
            consume(data, files)
        self.assertIs(error, type(caught.exception))
        self.assertIn(fragment, str(caught.exception))
        self.assertRegex(str(caught.exception), r"^disk\.vmdk: (?!.*disk\.vmdk: )")


@ddt.ddt
class NumberTest(_Faults):
    @ddt.idata(NUMBERS)
    def test_number(self, row: tuple[str, str, tuple[int, str], int, type[XenimageError] | None, str]) -> None:
        image, place, field, value, error, fragment = row
        made = MAKERS[image]()
        made.put(place, field, value)
        self.refused(error, fragment, made.data)

    @ddt.idata(WALKED)
    def test_number_met_on_the_walk(self, row: tuple[str, tuple[int, str], int, str]) -> None:
        place, field, value, fragment = row
        made = stream()
        made.put("footer", FIELDS["magic"], 0)
        if field[1] == "<QI":
            made.data[made.places[place] : made.places[place] + 16] = bytes(16)
        else:
            made.put(place, field, value)
        self.refused(FormatError, fragment, made.data)

    def test_newline_damage_counts_only_with_its_flag(self) -> None:
        made = monolithic()
        made.put("header", FIELDS["newlines"], 0)
        made.put("header", FIELDS["flags"], 2)
        self.refused(None, "", made.data)

    def test_one_deflated_grain_for_two_places(self) -> None:
        for first, second in ((0, 1), (0, 9), (9, 10)):
            made = front()
            entry = struct.unpack_from(ENTRY, made.data, made.places["gd.table"] + 4 * first)[0]
            made.put("gd.table", (4 * second, ENTRY), entry)
            self.refused(FormatError, "point to one grain twice", made.data)

    def test_one_plain_grain_for_two_places(self) -> None:
        made = monolithic()
        entry = struct.unpack_from(ENTRY, made.data, made.places["gd.table"])[0]
        made.put("gd.table", (4 * 300, ENTRY), entry)
        self.refused(FormatError, "point to one grain twice", made.data)

    def test_one_table_for_two_entries(self) -> None:
        made = front()
        entry = struct.unpack_from(ENTRY, made.data, made.places["gd"])[0]
        made.put("gd", (4, ENTRY), entry)
        self.refused(FormatError, "point to one grain twice", made.data)

    def test_one_table_for_a_whole_directory(self) -> None:
        made = build.cowd(build.some_grains([0], 1), 4096 * 4000)
        entry = struct.unpack_from(ENTRY, made.data, made.places["gd"])[0]
        struct.pack_into("<4000I", made.data, made.places["gd"], *[entry] * 4000)
        self.refused(FormatError, "points to 4000 grain tables in a file of", made.data)

    def test_grain_that_inflates_to_more(self) -> None:
        grains = build.some_grains([0, 1])
        grains[1] = bytes(1 << 20)
        self.refused(FormatError, "the zlib stream holds more than 65536 bytes", build.stream(grains, CAPACITY).data)

    def test_grain_that_inflates_to_less(self) -> None:
        grains = build.some_grains([0, 1])
        grains[0] = b"short"
        self.refused(FormatError, "the zlib stream ends after 5 bytes", build.stream(grains, CAPACITY).data)

    def test_both_directories_gone(self) -> None:
        made = monolithic()
        made.put("header", FIELDS["gdOffset"], 1 << 60)
        made.put("header", FIELDS["rgdOffset"], 0)
        self.refused(FormatError, "grain directory: 8 bytes at", made.data)

    def test_directory_at_the_end_of_a_plain_extent(self) -> None:
        made = monolithic()
        made.put("header", FIELDS["gdOffset"], build.AT_END)
        made.put("header", FIELDS["flags"], 1)
        self.refused(FormatError, "footer: no footer at its end", made.data)

    def test_directory_past_the_limit(self) -> None:
        for made in (monolithic(), stream()):
            with self.assertRaisesRegex(LimitError, "the size of the grain directory is 8, expected at most 4"):
                consume(made.data, limits=Limits(table_size=4))

    def test_too_many_tables_in_holes(self) -> None:
        made = build.cowd(build.some_grains(range(0, 4096 * 40, 4096), 1), 4096 * 40)
        source = BytesSource(made.data)
        data = unittest.mock.patch.object(source, "data", return_value=iter([(0, 1 << 14)]))
        with data, self.assertRaises(LimitError) as raised:
            open_vmdk(source, Limits(holes=3))
        self.assertEqual(
            "disk.vmdk: grain directory: the number of grain tables in holes of the file is 4, expected at most 3 "
            "(limit holes)",
            str(raised.exception),
        )

    def test_scattered_tables_count_each(self) -> None:
        made = build.cowd(build.some_grains(range(0, 4096 * 40, 4096), 1), 4096 * 40)
        entries = struct.unpack_from("<40I", made.data, made.places["gd"])
        struct.pack_into("<40I", made.data, made.places["gd"], *reversed(entries))
        source = BytesSource(made.data)
        data = unittest.mock.patch.object(source, "data", return_value=iter([(0, 1 << 14)]))
        text = "the number of grain tables in holes of the file is 38, expected"
        with data, self.assertRaisesRegex(LimitError, text):
            open_vmdk(source, Limits(holes=37))

    def test_tables_and_grains_in_holes_are_not_read(self) -> None:
        made = monolithic()
        source = BytesSource(made.data)
        disk = open_vmdk(source, STRICT)
        source.reads = 0
        with unittest.mock.patch.object(source, "data", return_value=iter([])):
            (extent,) = disk.extents(0, disk.facts.virtual_size)
        self.assertEqual((disk.facts.virtual_size, Kind.ABSENT, 0), (extent.length, extent.kind, source.reads))
        disk = open_vmdk(source, STRICT)
        first = min(place for name, place in made.places.items() if name.startswith("grain"))
        with unittest.mock.patch.object(
            source, "data", side_effect=lambda offset, length: iter([(offset, length)] if offset < first else [])
        ):
            found = {extent.kind for extent in disk.extents(0, disk.facts.virtual_size)}
        self.assertEqual({Kind.ABSENT, Kind.ZERO}, found)

    def test_list_of_grains_past_the_limit(self) -> None:
        made = stream()
        made.put("footer", FIELDS["magic"], 0)
        with self.assertRaisesRegex(LimitError, "the list of grains is 36, expected at most 30"):
            consume(made.data, limits=Limits(table_size=30))

    def test_zeroed_grain_without_its_flag_is_a_sector(self) -> None:
        made = monolithic()
        made.put("gd.table", (4 * 20, ENTRY), 1)
        self.refused(FormatError, "point to sector 1, inside the header or the descriptor", made.data)


@ddt.ddt
class CutTest(_Faults):
    @ddt.data(*MAKERS)
    def test_every_length(self, name: str) -> None:
        """A file cut anywhere is refused, or reads, but never ends in another error."""
        data = MAKERS[name]().data
        for length in sorted({*range(40), *range(500, 530), *range(600, len(data), 4093)}):
            with self.subTest(length=length), contextlib.suppress(FormatError, LimitError):
                consume(data[:length])

    def test_stream_cut_among_its_grains(self) -> None:
        made = stream()
        self.refused(FormatError, "behind 4 grains, expected a grain directory", made.data[: made.places["grain530"]])
        self.refused(FormatError, "its end inside the file", made.data[: made.places["grain530"] + 100])

    def test_stream_filled_up_with_zeros(self) -> None:
        """What a transfer leaves that broke off in a file of full length: no end, however much it looks like one."""
        made = stream()
        for place in ("grain530", "marker.gd", "gd"):
            data = made.data[: made.places[place]]
            for zeros in (2 * SECTOR, SECTOR + 1, len(made.data) - len(data), 3 << 20):
                with self.subTest(place=place, zeros=zeros):
                    ended = place == "gd"
                    self.refused(None if ended else FormatError, "expected a grain directory", data + bytes(zeros))

    def test_stream_cut_behind_its_grains(self) -> None:
        made = stream()
        for place in ("gd", "marker.footer", "footer", "marker.eos"):
            self.refused(None, "", made.data[: made.places[place]])

    def test_tables_in_front_cut_among_the_grains(self) -> None:
        made = front()
        self.refused(FormatError, "lie outside the file", made.data[: made.places["grain530"]])


@ddt.ddt
class DescriptorTest(_Faults):
    def setUp(self) -> None:
        super().setUp()
        self.files: dict[str, bytes | bytearray] = {
            "disk-flat.vmdk": bytes(range(256)) * 256,
            "s.vmdk": build.hosted(build.some_grains([0]), 128).data,
            "se.vmdk": struct.pack("<QQQ", 0xCAFEBABE, 0x200000001, 128).ljust(4096, b"\0"),
            "empty.vmdk": b"",
        }

    @ddt.idata(EXTENT_LINES)
    def test_extent_line(self, row: tuple[list[str], type[XenimageError], str]) -> None:
        lines, error, fragment = row
        self.refused(error, fragment, build.descriptor("monolithicFlat", lines), self.files)

    @ddt.idata(OTHER_LINES)
    def test_other_line(self, row: tuple[bytes, bytes, type[XenimageError], str]) -> None:
        old, new, error, fragment = row
        text = build.descriptor("monolithicFlat", [FLAT])
        self.assertIn(old, text)
        self.refused(error, fragment, text.replace(old, new, 1), self.files)

    @ddt.data('RW 128 FLAT "/etc/passwd" 0', 'RW 128 SPARSE "/etc/passwd"', 'RW 128 SPARSE "../x"')
    def test_embedded_name_leads_elsewhere(self, line: str) -> None:
        made = build.monolithic({}, 128, text=build.descriptor("monolithicSparse", [line]))
        self.refused(UnsafeError, "names the file", made.data)

    def test_embedded_descriptor_of_other_extents(self) -> None:
        made = build.monolithic({}, 128, text=build.descriptor("monolithicFlat", [FLAT]))
        self.refused(FormatError, "1 extents, of type FLAT, expected one of type SPARSE: this file", made.data)
        made = build.monolithic({}, 128, text=build.descriptor("custom", ['RW 64 SPARSE "a"', "RW 64 ZERO"]))
        self.refused(FormatError, "2 extents, of type SPARSE, ZERO", made.data)

    def test_capacity_0_does_not_make_the_embedded_descriptor_count(self) -> None:
        made = build.monolithic({}, 128, text=build.descriptor("monolithicFlat", ['RW 8 FLAT "/etc/passwd" 0']))
        made.put("header", FIELDS["capacity"], 0)
        self.refused(FormatError, "capacity is 0 sectors", made.data)

    def test_several_files_without_leave(self) -> None:
        self.refused(UnsafeError, "consists of several files", build.descriptor("monolithicFlat", [FLAT]))

    def test_name_is_judged_before_anything_is_opened(self) -> None:
        text = build.descriptor("twoGbMaxExtentFlat", [FLAT, 'RW 128 FLAT "/etc/passwd" 0'])
        disk = open_vmdk(BytesSource(text), STRICT, open_extent=self.fail)
        self.assertIsInstance(disk.unreadable(), UnsafeError)
        self.assertEqual(256 * SECTOR, disk.facts.virtual_size)
        with self.assertRaises(UnsafeError):
            disk.read_into(0, memoryview(bytearray(512)))
        with self.assertRaises(UnsafeError):
            disk.extents(0, 512)

    def test_huge_descriptor(self) -> None:
        text = build.descriptor("monolithicFlat", [FLAT]).ljust((1 << 20) + 1, b"\n")
        self.refused(LimitError, "limit descriptor_size", text, self.files)

    def test_se_sparse(self) -> None:
        self.refused(UnsupportedError, "seSparse", self.files["se.vmdk"])
        huge = struct.pack("<QQQ", 0xCAFEBABE, 0x200000001, 1 << 63)
        self.refused(LimitError, "limit virtual_size", huge)
        self.refused(FormatError, "header: 24 bytes at 0x0", huge[:20])

    def test_no_vmdk(self) -> None:
        for data in (b"", b"K", b"\0" * 4096, b"QFI\xfb" * 300, b"MDMK" + bytes(508)):
            self.refused(FormatError, "expected KDMV, COWD or a descriptor", data)


class LinkTest(TestCase):
    def test_symbolic_link_and_directory(self) -> None:
        path = self.scratch / "disk.vmdk"
        path.write_bytes(build.descriptor("monolithicFlat", [FLAT]))
        beside = self.scratch / "disk-flat.vmdk"
        os.symlink("/etc/passwd", beside)
        with self.assertRaisesRegex(UnsafeError, "line 8: names 'disk-flat.vmdk', a symbolic link"):
            open_vmdk(open_file(path), STRICT, open_extent=lambda name: open_beside(path, name))
        beside.unlink()
        beside.mkdir()
        with self.assertRaisesRegex(UsageError, "is a directory"):
            open_vmdk(open_file(path), STRICT, open_extent=lambda name: open_beside(path, name))


class FuzzTest(unittest.TestCase):
    """Any byte of the metadata may be any other: the end is bytes or an error of ours."""

    IMAGES = tuple(maker() for maker in MAKERS.values())

    @settings(max_examples=250, deadline=None, derandomize=True)
    @given(st.data())
    def test_flipped_bytes(self, data: st.DataObject) -> None:
        image = data.draw(st.sampled_from(self.IMAGES))
        raw = bytearray(image.data)
        for _ in range(data.draw(st.integers(1, 4))):
            place = data.draw(st.sampled_from(sorted(image.places.values())))
            at = place + data.draw(st.integers(0, 100))
            if at < len(raw):
                raw[at] = data.draw(st.integers(0, 255))
        try:
            consume(raw)
        except XenimageError as error:
            self.assertTrue(str(error))

    @settings(max_examples=100, deadline=None, derandomize=True)
    @given(st.data())
    def test_flipped_descriptor(self, data: st.DataObject) -> None:
        raw = bytearray(build.descriptor("monolithicFlat", [FLAT]))
        for _ in range(data.draw(st.integers(1, 3))):
            raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
        try:
            consume(raw, {"disk-flat.vmdk": bytes(128 * SECTOR)})
        except XenimageError as error:
            self.assertTrue(str(error))
