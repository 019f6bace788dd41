"""Archives that break a rule each, or are made to harm, plain and packed."""

from __future__ import annotations

import dataclasses
import gzip
import io
import tarfile
import unittest.mock
import zipfile

import ddt

from tests.base import TestCase
from tests.builders import ova as build
from tests.builders import ovf
from tests.builders.bundle import Entry, tar
from tests.builders.ova import DATA, DESCRIPTOR, DISK, MANIFEST
from tests.builders.vhd import MemorySource
from xenimage.containers.ovf.archive import ArchiveStore, open_ova
from xenimage.exceptions import FormatError, LimitError, UnsafeError, UnsupportedError, XenimageError
from xenimage.limits import STRICT, Limits
from xenimage.model.transfer import Silent
from xenimage.units import MIB

UNSAFE = "has a name that could lead out, expected names within the archive"
PLAIN = "expected plain files: nothing else belongs into an OVA"


def named(name: str) -> tuple[Entry, ...]:
    return (DESCRIPTOR, dataclasses.replace(DISK, name=name))


def linked(kind: bytes, name: str = "disk.raw") -> tuple[Entry, ...]:
    return (DESCRIPTOR, Entry(name, type=kind, target="/etc/passwd"))


# What the archive holds, error, the whole text behind the file's name.
TABLE: tuple[tuple[tuple[Entry, ...], type[XenimageError], str], ...] = (
    ((DISK,), FormatError, r"holds no descriptor among its 1 files, expected a member whose name ends in \.ovf"),
    (
        (Entry("._web.ovf"), DISK),
        FormatError,
        r"holds no descriptor among its 2 files, expected a member whose name ends in \.ovf",
    ),
    (
        (DESCRIPTOR, Entry("docs/OTHER.OVF", DESCRIPTOR.data), DISK),
        FormatError,
        r"holds 2 descriptors, 'web\.ovf' and 'docs/OTHER\.OVF', expected a single one",
    ),
    ((DESCRIPTOR, DISK, DISK), UnsafeError, r"holds 'disk\.raw' twice, at 0x[0-9a-f]+ and 0x[0-9a-f]+"),
    ((DESCRIPTOR, DESCRIPTOR), UnsafeError, r"holds 'web\.ovf' twice, at 0x200 and 0x[0-9a-f]+"),
    (
        (DESCRIPTOR, DISK, dataclasses.replace(DISK, name="./disk.raw")),
        UnsafeError,
        r"holds 'disk\.raw' twice, at 0x[0-9a-f]+ and 0x[0-9a-f]+",
    ),
    (named("../disk.raw"), UnsafeError, rf"the member '\.\./disk\.raw' at 0x[0-9a-f]+ {UNSAFE}"),
    (named("/disk.raw"), UnsafeError, rf"the member '/disk\.raw' at 0x[0-9a-f]+ {UNSAFE}"),
    (named("a/../../disk.raw"), UnsafeError, rf"the member 'a/\.\./\.\./disk\.raw' at 0x[0-9a-f]+ {UNSAFE}"),
    (named("%2e%2e/disk.raw"), UnsafeError, rf"the member '%2e%2e/disk\.raw' at 0x[0-9a-f]+ {UNSAFE}"),
    (named("..\\disk.raw"), UnsafeError, rf"the member '\.\.\\\\disk\.raw' at 0x[0-9a-f]+ {UNSAFE}"),
    (named("C:disk.raw"), UnsafeError, rf"the member 'C:disk\.raw' at 0x[0-9a-f]+ {UNSAFE}"),
    (named("http://a/b"), UnsafeError, rf"the member 'http://a/b' at 0x[0-9a-f]+ {UNSAFE}"),
    (named("a\nb"), UnsafeError, rf"the member 'a\\nb' at 0x[0-9a-f]+ {UNSAFE}"),
    (named("a" * 300), UnsafeError, rf"the member 'a+' at 0x[0-9a-f]+ {UNSAFE}"),
    (named("a/" * 20 + "b"), UnsafeError, rf"the member '[ab/]+' at 0x[0-9a-f]+ {UNSAFE}"),
    (
        named("caf\udce9.raw"),
        UnsupportedError,
        r"the member 'caf\\udce9\.raw' at 0x[0-9a-f]+ has a name in an unknown encoding, expected UTF-8",
    ),
    (linked(tarfile.SYMTYPE), UnsafeError, rf"the member 'disk\.raw' at 0x[0-9a-f]+ is a symbolic link, {PLAIN}"),
    (linked(tarfile.LNKTYPE), UnsafeError, rf"the member 'disk\.raw' at 0x[0-9a-f]+ is a hard link, {PLAIN}"),
    (linked(tarfile.CHRTYPE), UnsafeError, rf"the member 'disk\.raw' at 0x[0-9a-f]+ is a character device, {PLAIN}"),
    (linked(tarfile.BLKTYPE), UnsafeError, rf"the member 'disk\.raw' at 0x[0-9a-f]+ is a block device, {PLAIN}"),
    (linked(tarfile.FIFOTYPE), UnsafeError, rf"the member 'disk\.raw' at 0x[0-9a-f]+ is a fifo, {PLAIN}"),
    (linked(tarfile.DIRTYPE, "../x"), UnsafeError, rf"the member '\.\./x/?' at 0x[0-9a-f]+ {UNSAFE}"),
    (linked(tarfile.DIRTYPE, "/"), UnsafeError, rf"the member '/?' at 0x[0-9a-f]+ {UNSAFE}"),
    (linked(b"Z"), UnsupportedError, r"the tar member 'disk\.raw' is of the kind b'Z', expected files"),
    (
        (DESCRIPTOR, dataclasses.replace(DISK, type=tarfile.GNUTYPE_SPARSE)),
        UnsupportedError,
        r"the member 'disk\.raw' at 0x[0-9a-f]+ is a sparse file, expected plain files: tar without --sparse",
    ),
    (
        (DESCRIPTOR, dataclasses.replace(DISK, size=1 << 40)),
        FormatError,
        r"ends inside the member 'disk\.raw', expected 1099511627776 bytes of it at 0x[0-9a-f]+",
    ),
    (
        (dataclasses.replace(DESCRIPTOR, size=1 << 62), DISK),
        LimitError,
        r"the size of the tar member 'web\.ovf' is 4611686018427387904, expected at most 35184372088832 \(limit b.*",
    ),
    (
        (Entry("web.ovf", bytes(MIB)), DISK),
        LimitError,
        r"web\.ovf: the bytes of the XML is 1048576, expected at most 1000000 \(limit xml_size\)",
    ),
    (
        (Entry("web.ovf", b"<!DOCTYPE Envelope><Envelope/>"), DISK),
        UnsafeError,
        r"web\.ovf: the XML has a document type declaration, expected none.*",
    ),
    (
        (Entry("web.ovf"), DISK),
        FormatError,
        r"web\.ovf: is not well-formed XML \(.*\), expected an XML document",
    ),
)  # fmt: skip
LIMITS = dataclasses.replace(STRICT, xml_size=1_000_000)


@ddt.ddt
class RefusalTest(TestCase):
    def assert_refused(
        self, data: bytes, kind: type[XenimageError], text: str, limits: Limits = LIMITS
    ) -> XenimageError:
        with self.assertRaisesRegex(kind, f"^web.ova: {text}$") as caught:
            open_ova(MemorySource(data, "web.ova"), limits)
        self.assertIs(kind, type(caught.exception))
        return caught.exception

    @ddt.data(*TABLE)
    @ddt.unpack
    def test_fault(self, entries: tuple[Entry, ...], kind: type[XenimageError], text: str) -> None:
        # One that claims a tebibyte is refused before that is looked for in what is packed: see below.
        packings = [""] if "1099511627776" in text else list(build.PACKINGS)
        for compression in packings:
            self.assert_refused(build.ova(*entries, compression=compression), kind, text)

    def test_pax_sparse(self) -> None:
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
            info = tarfile.TarInfo("GNUSparseFile.0/web.ovf")
            info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.name": "web.ovf", "GNU.sparse.realsize": "9"}
            archive.addfile(info)
        self.assert_refused(
            file.getvalue(),
            UnsupportedError,
            r"the member 'web\.ovf' at 0x[0-9a-f]+ is a sparse file, expected plain files: tar without --sparse",
        )

    def test_what_is_no_tar(self) -> None:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("web.ovf", DESCRIPTOR.data)
        for data in (file.getvalue(), b"web.ovf", b"x" * 5000, gzip.compress(b"x" * 5000)):
            self.assert_refused(
                data,
                FormatError,
                r"holds no tar archive: the tar header at 0x0 of the content is damaged \(.*\), expected a tar, plain"
                r" or packed with gzip, xz or zstd",
            )
        for data in (b"", bytes(10240), gzip.compress(bytes(1024))):
            self.assert_refused(
                data, FormatError, r"(holds no descriptor among its 0 files|ends at 0x0 without).*, expected .*"
            )

    def test_packages_in_a_package(self) -> None:
        for name in ("inner.ova", "inner.OVA.gz", "inner.xva"):
            error = self.assert_refused(
                build.ova(Entry(name, build.ova())), FormatError, "holds no descriptor among its 1 files, .*"
            )
            self.assertEqual(f"It holds another package, {name!r}: unpack it, and open that one.", error.tip)

    @ddt.data(*build.PACKINGS)
    def test_cut_anywhere(self, compression: str) -> None:
        whole = build.ova(compression=compression)
        bare = len(tar((DESCRIPTOR, MANIFEST, DISK), ended=False))
        end = len(whole) if compression else bare + 512
        for cut in sorted({0, 1, 511, 512, 700, *range(1024, end, max(1, end // 60)), bare, end - 1}):
            if cut < end:
                with self.assertRaisesRegex(XenimageError, "^web.ova: "):
                    open_ova(MemorySource(whole[:cut], "web.ova"), STRICT)

    def test_cut_between_two_members(self) -> None:
        bare = tar((DESCRIPTOR, DISK), ended=False)
        for compression in build.PACKINGS:
            error = self.assert_refused(
                build.PACKINGS[compression](bare),
                FormatError,
                f"ends at {len(bare):#x} without the end of an archive, expected two blocks of zeros",
            )
            self.assertIn("truncated", error.tip)

    @ddt.data("gzip", "xz", "zstd")
    def test_damaged_packing(self, compression: str) -> None:
        data = bytearray(build.ova(DESCRIPTOR, DISK, compression=compression))
        data[len(data) * 2 // 3] ^= 0x55
        with self.assertRaisesRegex(FormatError, "^web.ova: "):
            open_ova(MemorySource(data, "web.ova"), STRICT)


class BombTest(TestCase):
    """What would keep us busy for nothing."""

    def test_members(self) -> None:
        header = tar([Entry("x")], ended=False)
        for compression in ("", "zstd"):
            data = build.PACKINGS[compression](tar([DESCRIPTOR], ended=False) + header * 100)
            with self.assertRaisesRegex(
                LimitError, r"^web.ova: the number of tar headers is 2, .*limit ova_members\)$"
            ):
                open_ova(MemorySource(data, "web.ova"), Limits(ova_members=1))

    def test_a_million_members(self) -> None:
        many = tar([Entry(f"{number:07}") for number in range(1000)], ended=False)
        blocks = [bytearray(many[at : at + 512]) for at in range(0, len(many), 512)]
        data = bytearray(tar([DESCRIPTOR], ended=False))
        for thousand in range(1000):
            for block in blocks:
                block[:4] = b"%04d" % thousand
            data += b"".join(blocks)
        with self.assertRaises(XenimageError):
            open_ova(MemorySource(data, "web.ova"), STRICT)

    def test_little_that_unpacks_to_much(self) -> None:
        """A header is enough to refuse it: nothing is unpacked to find out."""
        entries = (DESCRIPTOR, dataclasses.replace(DISK, size=1 << 40))
        for compression in ("gzip", "xz", "zstd"):
            with self.assertRaisesRegex(
                LimitError,
                r"^web.ova: the number of bytes that one packed byte stands for is \d+, expected at most 64 \(limit"
                r" inflation\)$",
            ):
                open_ova(MemorySource(build.ova(*entries, compression=compression), "web.ova"), STRICT)

    def test_zeros_without_an_end(self) -> None:
        bare = tar((DESCRIPTOR, DISK), ended=False)
        for compression in ("gzip", "xz", "zstd"):
            data = build.PACKINGS[compression](bare + bytes(4 * MIB))
            with self.assertRaisesRegex(
                FormatError, "^web.ova: goes on for more than 1048576 bytes behind the archive's end, expected padding$"
            ):
                open_ova(MemorySource(data, "web.ova"), STRICT)

    def test_one_disk_in_many_pieces_under_many_names(self) -> None:
        """A thousand spellings of one name, and a thousand pieces: a million looks at them, if each were followed."""
        spelt = {""}
        for letter in "disk.raw":
            spelt = {start + each for start in spelt for each in (letter, f"%{ord(letter):02x}")}
        files = "".join(
            f'<File ovf:id="f{number}" ovf:href="{name}" ovf:size="4096" ovf:chunkSize="1"/>'
            for number, name in enumerate(sorted(spelt))
        )
        descriptor = Entry("web.ovf", ovf.envelope(files=files, disks=""))
        pieces = [Entry(f"disk.raw.{number:09}", DATA[number : number + 1]) for number in range(4096)]
        for there, expected in ((4096, set()), (4000, {"ovf.file.chunk"})):
            data = build.ova(descriptor, *pieces[:there])
            with unittest.mock.patch.object(ArchiveStore, "find", autospec=True, side_effect=ArchiveStore.find) as find:
                package = open_ova(MemorySource(data, "web.ova"), STRICT)
                package.prove(Silent())
            self.assertEqual(expected, {each.code for each in package.package.findings if "file" in each.code})
            self.assertGreater(10 * len(pieces), find.call_count)
