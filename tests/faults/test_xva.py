"""XVAs that break a rule each, in every packing and by each way to read them."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING, Any

import ddt

from tests.base import TestCase
from tests.builders import xva as build
from tests.builders.pattern import pattern
from tests.builders.vhd import MemorySource
from xenimage.containers.xva.reader import open_xva
from xenimage.exceptions import FormatError, LimitError, UnsafeError, UnsupportedError, XenimageError
from xenimage.limits import STRICT, Limits
from xenimage.model.transfer import Silent
from xenimage.sources.pipe import PipeSource
from xenimage.units import MIB

if TYPE_CHECKING:
    from collections.abc import Callable

    from xenimage.model.disk import ByteSource

DISK = pattern(0, MIB) + bytes(MIB) + pattern(2 * MIB, MIB + 1536)

# Fault, error, the whole text behind the file's name; numbers are of the plain archive with XXH64 sums.
TABLE: tuple[tuple[str, type[XenimageError], str], ...] = (
    (
        "badsum",
        FormatError,
        r"the chunk 'Ref:6/00000000' at 0x[0-9a-f]+ has the xxh64 [0-9a-f]{16}, expected [0-9a-f]{16}, as recorded",
    ),
    (
        "nosum",
        FormatError,
        r"the member 'Ref:6/00000000' at 0x[0-9a-f]+ has no sum, expected Ref:6/00000000.checksum or"
        r" Ref:6/00000000.xxhash behind it",
    ),
    (
        "lastmissing",
        FormatError,
        r"the chunks of Ref:6 end at 0x300000 of the disk, 0x[0-9a-f]+ of the archive, expected the last chunk, which"
        r" is always there, up to 0x300600",
    ),
    (
        "firstmissing",
        FormatError,
        r"the member 'Ref:6/00000002' at 0x[0-9a-f]+ is the first of Ref:6, expected 00000000: the first chunk is"
        r" missing, 1048576 bytes",
    ),
    (
        "truncate",
        FormatError,
        r"the member 'Ref:6/00000002' at 0x[0-9a-f]+ is cut short by the end of the file, expected 1048576 bytes",
    ),
    ("trailing", FormatError, r"bytes follow the archive's end, at 0x[0-9a-f]+, expected nothing behind it"),
    ("ovalast", FormatError, r"begins with the file 'Ref:6/00000000', expected ova\.xml as the first member"),
    (
        "dupchunk",
        FormatError,
        r"the member 'Ref:6/00000000' at 0x[0-9a-f]+ is there twice, expected a number above 00000000",
    ),
    (
        "backwards",
        FormatError,
        r"the member 'Ref:6/00000000' at 0x[0-9a-f]+ comes behind the number 00000002, expected ascending numbers",
    ),
    (
        "longchunk",
        FormatError,
        r"the member 'Ref:6/00000000' at 0x[0-9a-f]+ has 1049088 bytes, expected at most 1048576, one chunk",
    ),
    (
        "shortchunk",
        FormatError,
        r"the member 'Ref:6/00000000' at 0x[0-9a-f]+ has 1048064 bytes, expected 1048576, or those that are left up to"
        r" the disk's end",
    ),
    (
        "behind",
        FormatError,
        r"the member 'Ref:6/99999999' at 0x[0-9a-f]+ belongs to 0x5f5e0ff00000 of Ref:6, behind its end, expected"
        r" chunks in front of 0x300600, its virtual_size",
    ),
    (
        "dotdot",
        UnsafeError,
        r"the member '\.\./Ref:6/00000000' at 0x[0-9a-f]+ has a name that leads outside, expected names within the"
        r" archive",
    ),
    (
        "absolute",
        UnsafeError,
        r"the member '/absolute/Ref:6/00000000' at 0x[0-9a-f]+ has an absolute name, expected names within the archive",
    ),
    (
        "symlink",
        UnsafeError,
        r"the member 'Ref:6/00000000' at 0x[0-9a-f]+ is a symbolic link, expected plain files: nothing else belongs"
        r" into an XVA",
    ),
    (
        "device",
        UnsafeError,
        r"the member 'Ref:6/00000000' at 0x[0-9a-f]+ is a character device, expected plain files: nothing else belongs"
        r" into an XVA",
    ),
    (
        "hugenum",
        FormatError,
        r"the member 'Ref:6/1000000003' at 0x[0-9a-f]+ has no number of eight digits, expected 00000000 to 99999999",
    ),
    (
        "unknown",
        FormatError,
        r"the member 'README' at 0x[0-9a-f]+ belongs to no disk, expected chunks of disks and their sums, behind"
        r" ova\.xml",
    ),
    (
        "wrongprefix",
        FormatError,
        r"the member 'Ref:999/00000000' at 0x[0-9a-f]+ belongs to Ref:999, of which ova\.xml knows no disk, expected"
        r" one of its disks",
    ),
    ("noend", FormatError, r"the archive ends at 0x[0-9a-f]+ without its end, expected two blocks of zeros"),
    (
        "sumfirst",
        FormatError,
        r"the member 'Ref:6/00000000.xxhash' at 0x[0-9a-f]+ does not stand behind its chunk, expected each chunk, then"
        r" its sum",
    ),
    (
        "dupsum",
        FormatError,
        r"the member 'Ref:6/00000000.xxhash' at 0x[0-9a-f]+ is there twice, expected one sum of a kind",
    ),
    (
        "longsum",
        FormatError,
        r"the member 'Ref:6/00000000.xxhash' at 0x[0-9a-f]+ has 17 bytes, expected the 16 hexadecimal digits of its"
        r" xxh64",
    ),
    (
        "nohex",
        FormatError,
        r"the member 'Ref:6/00000000.xxhash' at 0x[0-9a-f]+ holds b'x{16}', expected 16 hexadecimal digits",
    ),
)


def piped(case: TestCase, data: bytes) -> PipeSource:
    """*data* down a real pipe."""
    out, into = os.pipe()

    def send() -> None:
        with os.fdopen(into, "wb") as file, contextlib.suppress(BrokenPipeError):
            file.write(data)

    thread = threading.Thread(target=send)
    thread.start()
    case.addCleanup(thread.join)
    case.addCleanup(os.close, out)
    return PipeSource(out, "vm.xva")


def read_indexed(source: ByteSource, limits: Limits) -> bytes:
    package = open_xva(source, limits)
    disk = package.disk(package.package.machines[0].disks[0])
    buffer = bytearray(disk.facts.virtual_size)
    disk.read_into(0, memoryview(buffer))
    return bytes(buffer)


def read_forward(source: ByteSource, limits: Limits) -> bytes:
    package = open_xva(source, limits)
    disk = package.forward(package.package.machines[0].disks[0])
    buffer = bytearray(disk.facts.virtual_size)
    disk.read_into(0, memoryview(buffer))
    disk.finish()
    return bytes(buffer)


@ddt.ddt
class RefusalTest(TestCase):
    def assert_refused(
        self, data: bytes, kind: type[XenimageError], text: str, limits: Limits = STRICT, *, piped_too: bool = True
    ) -> None:
        ways: list[tuple[Callable[[ByteSource, Limits], bytes], ByteSource]] = [
            (read_indexed, MemorySource(data, "vm.xva")),
            (read_forward, MemorySource(data, "vm.xva")),
        ]
        if piped_too:
            ways.append((read_forward, piped(self, data)))
        for read, source in ways:
            with self.assertRaisesRegex(kind, f"^vm.xva: {text}$") as caught:
                read(source, limits)
            self.assertIs(kind, type(caught.exception))

    def test_every_fault_has_its_line(self) -> None:
        self.assertEqual(sorted(build.FAULTS), sorted(fault for fault, _, _ in TABLE))
        self.assertEqual(len(TABLE), len({text for _, _, text in TABLE}))

    @ddt.data(*TABLE)
    @ddt.unpack
    def test_fault(self, fault: str, kind: type[XenimageError], text: str) -> None:
        disk = DISK[: 3 * MIB] if fault == "truncate" else DISK
        for compress in ("", "gzip", "zstd"):
            self.assert_refused(build.make(disk, fault=fault, compress=compress), kind, text)

    @ddt.data(*[entry for entry in TABLE if entry[0] not in ("ovalast",)])
    @ddt.unpack
    def test_a_check_finds_it(self, fault: str, kind: type[XenimageError], text: str) -> None:
        disk = DISK[: 3 * MIB] if fault == "truncate" else DISK
        package = open_xva(MemorySource(build.make(disk, fault=fault), "vm.xva"), STRICT)
        proof, findings = package.prove(Silent())
        self.assertEqual("not verified", proof.manifest)
        code = "xva.chunk.sum" if fault == "badsum" else "xva.archive"
        self.assertEqual({code}, {finding.code for finding in findings})
        if fault != "badsum":
            self.assertRegex(findings[0].what, f"^{text}\\.$")

    def test_only_the_damaged_chunk_is_refused(self) -> None:
        data = bytearray(build.make(DISK))
        data[data.index(DISK[2 * MIB :][:64])] ^= 1
        package = open_xva(MemorySource(bytes(data), "vm.xva"), STRICT)
        disk = package.disk(package.package.machines[0].disks[0])
        buffer = bytearray(2 * MIB)
        disk.read_into(0, memoryview(buffer))
        self.assert_same_bytes(DISK[: 2 * MIB], bytes(buffer))
        for _ in range(2):
            with self.assertRaisesRegex(FormatError, "the chunk 'Ref:6/00000002' at 0x"):
                disk.read_into(2 * MIB + 512, memoryview(bytearray(512)))
        _, findings = package.prove(Silent())
        self.assertEqual(["Ref:6/00000002"], [finding.where for finding in findings])

    def test_bytes_behind_the_packing(self) -> None:
        for compress in ("gzip", "zstd"):
            data = build.make(DISK, compress=compress)
            self.assert_refused(
                data + b"garbage",
                FormatError,
                f"bytes follow the end of the {compress} stream, expected nothing behind it",
            )
            self.assertEqual(DISK, read_indexed(MemorySource(data + bytes(512), "vm.xva"), STRICT))

    @ddt.data("", "gzip", "zstd")
    def test_cut_anywhere(self, compress: str) -> None:
        data = build.make(DISK[: MIB + 512], compress=compress)
        for cut in sorted({0, 1, 100, 512, 700, *range(1024, len(data), len(data) // 40), len(data) - 1}):
            for read in (read_indexed, read_forward):
                with self.assertRaises(XenimageError):
                    read(MemorySource(data[:cut], "vm.xva"), STRICT)


@ddt.ddt
class DescriptionTest(TestCase):
    """Faults of ova.xml."""

    def assert_refused(
        self,
        edit: Callable[[list[dict[str, Any]]], None],
        kind: type[XenimageError],
        text: str,
        limits: Limits = STRICT,
    ) -> None:
        data = build.make(DISK[:512], edit=edit)
        with self.assertRaisesRegex(kind, f"^vm.xva: ova.xml: {text}$"):
            open_xva(MemorySource(data, "vm.xva"), limits)

    @ddt.data(
        (None, r"VDI Ref:6 has the virtual_size '', expected a size"),
        ("0", r"VDI Ref:6 has the virtual_size '0', expected a size"),
        ("-512", r"VDI Ref:6 has the virtual_size '-512', expected a size"),
        ("x", r"VDI Ref:6 has the virtual_size 'x', expected a size"),
        ("9" * 19, r"VDI Ref:6 has the virtual_size '9{19}', expected a size"),
        ("1000", r"VDI Ref:6 has a virtual_size of 1000 bytes, expected whole sectors of 512 bytes"),
    )
    @ddt.unpack
    def test_sizes(self, size: str | None, text: str) -> None:
        def edit(objects: list[dict[str, Any]]) -> None:
            fields = objects[2]["snapshot"]
            del fields["virtual_size"]
            if size is not None:
                fields["virtual_size"] = size

        self.assert_refused(edit, FormatError, text)

    def test_a_size_beyond_the_limit(self) -> None:
        self.assert_refused(
            lambda objects: objects[2]["snapshot"].update(virtual_size=str(17 << 40)),
            LimitError,
            r"the virtual size of VDI Ref:6 is 18691697672192, expected at most 17592186044416 \(limit virtual_size\)",
        )

    def test_references(self) -> None:
        self.assert_refused(
            lambda objects: objects[1]["snapshot"].update(VDI="Ref:77"),
            FormatError,
            "VBD Ref:5 refers to the VDI 'Ref:77', which is not there, expected records that refer to each other",
        )
        self.assert_refused(
            lambda objects: objects[1]["snapshot"].update(VDI="Ref:1"),
            FormatError,
            "VBD Ref:5 refers to the VDI 'Ref:1', which is a VM, expected records that refer to each other",
        )

    def test_names(self) -> None:
        self.assert_refused(
            lambda objects: objects[2].update(id="Ref:1"),
            FormatError,
            "two objects are called Ref:1, expected a reference of its own for each",
        )
        for name in ("../x", "Ref:1/../..", "Ref:", "Ref:1\n", "OpaqueRef:1"):
            with self.subTest(name):
                self.assert_refused(
                    lambda objects, name=name: objects[2].update(id=name),  # type: ignore[misc]
                    FormatError,
                    r"object 2, a VDI, is called '.*', expected 'Ref:' and a number",
                )

    def test_records(self) -> None:
        self.assert_refused(
            lambda objects: objects[2].pop("snapshot"),
            FormatError,
            "object 2 is no record, expected a class, an id and a snapshot",
        )

    @ddt.data(
        (b"<value/>", FormatError, "has no list of objects, expected the description that XenServer exports"),
        (b"<a/>", FormatError, "line 1: has the element 'a', expected value"),
        (b"<value><x/></value>", FormatError, "line 1: has the element 'x', expected struct, array or a scalar"),
        (
            b"<value><int/><int/></value>",
            FormatError,
            "line 1: has the element 'int', expected one element in a value",
        ),
        (
            b"<value><struct><member><name>a</name></member></struct></value>",
            FormatError,
            "line 1: has the element 'member', expected a member with a name and a value",
        ),
        (
            b"<value><struct>" + b"<member><name>a</name><value/></member>" * 2 + b"</struct></value>",
            FormatError,
            "line 1: a struct has the member 'a' twice",
        ),
        (b"", FormatError, r"is not well-formed XML \(.*\), expected an XML document"),
        (b"<!DOCTYPE value><value/>", UnsafeError, "the XML has a document type declaration, expected none.*"),
        (
            b"<a>" * 65 + b"</a>" * 65,
            LimitError,
            r"the depth of the XML is 65, expected at most 64 \(limit xml_depth\)",
        ),
    )
    @ddt.unpack
    def test_other_text(self, text: bytes, kind: type[XenimageError], message: str) -> None:
        archive = build.Xva(disks=())
        archive.put("ova.xml", text)
        with self.assertRaisesRegex(kind, f"^vm.xva: ova.xml: {message}$"):
            open_xva(MemorySource(bytes(archive.out) + bytes(1024), "vm.xva"), STRICT)

    @ddt.data("0", "3", "", "x")
    def test_versions(self, export: str) -> None:
        with self.assertRaisesRegex(
            UnsupportedError, f"^vm.xva: ova.xml: has the export version '{export}', expected 1 or 2$"
        ):
            open_xva(MemorySource(build.make(DISK, export=export), "vm.xva"), STRICT)

    def test_its_size(self) -> None:
        archive = build.Xva(disks=())
        archive.put("ova.xml", bytes(100))
        for limits, kind, text in (
            (Limits(xml_size=99), LimitError, r"the size of ova.xml is 100, expected at most 99 \(limit xml_size\)"),
            (STRICT, FormatError, "ends inside ova.xml, expected 100 bytes of it"),
        ):
            with self.assertRaisesRegex(kind, f"^vm.xva: {text}$"):
                open_xva(MemorySource(bytes(archive.out[:550]), "vm.xva"), limits)


class BombTest(TestCase):
    """What would keep us busy for nothing."""

    def assert_refused(self, data: bytes, text: str, limits: Limits = STRICT) -> None:
        for read in (read_indexed, read_forward):
            with self.assertRaisesRegex(LimitError, f"^vm.xva: {text}"):
                read(MemorySource(data, "vm.xva"), limits)

    def test_keep_alives(self) -> None:
        archive = build.Xva(disks=[bytes(512)], edit=lambda each: each[2]["snapshot"].update(virtual_size=str(MIB)))
        archive.put("ova.xml", archive.xml())
        for number in range(102):
            archive.put(f"Ref:6/{number:08d}", b"")
            archive.put(f"Ref:6/{number:08d}.xxhash", b"EF46DB3751D8E999")
        self.assert_refused(
            bytes(archive.out),
            r"the number of empty chunks is 101, expected at most 100 \(limit k",
            Limits(keepalives=100),
        )

    def test_headers(self) -> None:
        self.assert_refused(
            build.make(DISK), "the number of tar headers is 6, .*limit xva_members", Limits(xva_members=5)
        )

    def test_the_index(self) -> None:
        with self.assertRaisesRegex(LimitError, "the bytes of the index of Ref:6 is 64, expected at most 60"):
            read_indexed(MemorySource(build.make(DISK), "vm.xva"), Limits(table_size=60))
