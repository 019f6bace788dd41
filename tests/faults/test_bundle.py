"""Bundles with faults in gzip, tar and names: refused by an error of ours or told by a finding, never anything else."""

from __future__ import annotations

import gzip
import lzma
import tarfile
import tracemalloc
import unittest

import ddt
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import bundle as build
from tests.builders.bundle import NOW, Entry
from tests.builders.vhd import MemorySource
from xenimage.containers.bundle.check import check_bundle
from xenimage.containers.bundle.reader import open_bundle, open_bundle_disk
from xenimage.exceptions import FormatError, LimitError, UnsupportedError, XenimageError
from xenimage.formats.vhd.reader import open_vhd
from xenimage.limits import STRICT, Limits
from xenimage.model.report import CheckReport, Verdict
from xenimage.profiles import registry

MIB = 1 << 20
SMALL = Limits(bundle_size=64 * MIB)


def check(data: bytes, profile: str = "nova-xenapi", limits: Limits = STRICT) -> CheckReport:
    bundle = open_bundle(MemorySource(data, "x.tgz"), limits)
    return check_bundle(bundle, registry.get_profile(profile), limits, NOW)


def vhd(kind: str = "base") -> bytes:
    return bytes(build.image(kind).data)


def codes(*entries: Entry, profile: str = "nova-xenapi") -> set[str]:
    return {finding.code for finding in check(build.packed(*entries), profile).findings}


def sealed(block: bytes) -> bytes:
    """A tar header with its checksum computed."""
    text = block[:148] + b" " * 8 + block[156:512]
    return text[:148] + b"%06o\0 " % sum(text) + text[156:] + block[512:]


@ddt.ddt
class RefusedTest(unittest.TestCase):
    """So damaged, or so hostile, that nothing is said of the content."""

    def refused(self, data: bytes, kind: type[XenimageError], text: str, limits: Limits = STRICT) -> None:
        self.error(data, kind, text, limits)

    def error(self, data: bytes, kind: type[XenimageError], text: str, limits: Limits = STRICT) -> XenimageError:
        with self.assertRaisesRegex(kind, text) as caught:
            open_bundle(MemorySource(data, "x.tgz"), limits)
        self.assertTrue(str(caught.exception).startswith("x.tgz: "), str(caught.exception))
        return caught.exception

    def test_not_gzip(self) -> None:
        plain = build.tar([Entry("0.vhd", b"abc")])
        for data, text, tip in (
            (plain, " but tar,", "Run gzip on it"),
            (lzma.compress(plain), " but xz,", "xz -d"),
            (b"conectix" + bytes(512), " but vhd,", "xenimage disk show"),
            (b"QFI\xfb" + bytes(512), " but qcow2,", "xenimage bundle create"),
            (b"KDMV" + bytes(512), " but vmdk,", "xenimage disk show"),
            (b"vhdxfile" + bytes(512), " but VHDX,", "qemu-img convert -O qcow2 x.tgz disk.qcow2"),
            (b"", ",", "xenimage disk show"),
            (b"hello", ",", "xenimage disk show"),
        ):
            error = self.error(
                data, FormatError, f"is not in gzip format{text} expected one gzip stream around one tar"
            )
            self.assertIn(tip, error.tip)

    def test_gzip_around_something_else(self) -> None:
        for content in (b"hello" * 1000, bytes(510) + b"\x55\xaa" + bytes(5000)):
            self.assertIn("gzip -d", self.error(gzip.compress(content), FormatError, "tar header").tip)

    def test_truncated(self) -> None:
        data = build.zipped(vhd())
        for cut in (1, 8, 20, len(data) // 2, len(data) - 11):
            self.refused(data[:-cut], FormatError, "the gzip stream ends")

    def test_tar_truncated(self) -> None:
        data = build.tar([Entry("0.vhd", b"x" * 5000)])[:3000]
        self.refused(gzip.compress(data), FormatError, "the tar ends inside the member '0.vhd'")

    def test_tar_checksum(self) -> None:
        data = bytearray(build.tar([Entry("0.vhd", b"abc")]))
        data[1] ^= 1
        self.refused(gzip.compress(bytes(data)), FormatError, "the tar header at 0x0 of the content is damaged")

    def test_not_a_tar(self) -> None:
        self.refused(gzip.compress(b"hello" * 1000), FormatError, "tar header")
        self.refused(gzip.compress(b"hello"), FormatError, "tar header")

    def test_many_members(self) -> None:
        header = build.tar([Entry("a")])[:512]
        data = gzip.compress(header * 1000, 1) * 1000
        tracemalloc.start()
        self.refused(data, LimitError, "the number of tar headers is 65")
        self.assertLess(tracemalloc.get_traced_memory()[1], 40 * MIB)
        tracemalloc.stop()

    def test_sizes(self) -> None:
        block = build.tar([Entry("0.vhd")])[:512]
        for size, kind, text in (
            (b"\x80" + b"\xff" * 11, FormatError, "has the size"),
            (b"\xff" * 12, FormatError, "has the size -1"),
            (b"77777777777\0", FormatError, "ends inside the member"),
            (b"\x80\0\0\0\0\x7f\xff\xff\xff\xff\xff\xff", LimitError, "limit bundle_size"),
            (b"zzzzzzzzzzz\0", FormatError, "is damaged"),
        ):
            changed = sealed(block[:124] + size + block[136:])
            self.refused(gzip.compress(changed + bytes(1024)), kind, text)

    def test_directory_with_data(self) -> None:
        for kind in (tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE):
            data = build.tar([Entry("0.vhd", b"x" * 512, type=kind)])
            self.refused(gzip.compress(data), FormatError, "has 512 bytes")

    def test_unknown_kind(self) -> None:
        self.refused(build.packed(Entry("v", type=b"V")), UnsupportedError, "of the kind b'V'")

    @ddt.data(
        b"x", b"9999999 a=b\n", b"0 a=b\n", b"-5 a=b\n", b"6 ab=c\n", b"6 a=bc", b"11 size=9x\n", b"12 size=-99\n"
    )
    def test_pax_records(self, body: bytes) -> None:
        data = build.packed(Entry("p", body, type=tarfile.XHDTYPE), Entry("0.vhd", b"abc"))
        self.refused(data, FormatError, "a pax header has")

    def test_pax_is_bounded(self) -> None:
        self.refused(build.packed(Entry("p", b"x" * 70_000, type=tarfile.XHDTYPE)), LimitError, "has 70000 bytes")
        long_name = Entry("././@LongLink", b"x" * 70_000, type=tarfile.GNUTYPE_LONGNAME)
        self.refused(build.packed(long_name), LimitError, "has 70000 bytes")

    def test_pax_global_size(self) -> None:
        data = build.packed(Entry("g", b"12 size=999\n", type=tarfile.XGLTYPE), Entry("0.vhd", b"abc"))
        self.refused(data, UnsupportedError, "a global pax header sets 'size'")

    def test_sparse_map_without_end(self) -> None:
        block = bytearray(build.tar([Entry("0.vhd", type=tarfile.GNUTYPE_SPARSE)])[:512])
        block[482] = 1
        self.refused(gzip.compress(sealed(bytes(block)) + b"\1" * 100_000), LimitError, "the sparse map at")

    def test_bomb(self) -> None:
        bomb = gzip.compress(build.tar([Entry("0.vhd", bytes(100 * MIB))]), 9)
        self.refused(bomb, LimitError, "limit bundle_size", SMALL)

    def test_progress_of_a_failure_names_the_file_once(self) -> None:
        with self.assertRaises(FormatError) as caught:
            open_bundle(MemorySource(build.zipped(vhd())[:-9], "x.tgz"), STRICT)
        self.assertEqual(1, str(caught.exception).count("x.tgz"))


@ddt.ddt
class FoundTest(unittest.TestCase):
    """Bundles that can be read, and that some consumer refuses or takes wrongly."""

    def test_trailing_garbage(self) -> None:
        report = check(build.zipped(vhd()) + b"junk")
        self.assertEqual(["bundle.gzip.trailing"], [finding.code for finding in report.findings])
        self.assertIs(Verdict.NOT_READY, report.verdict)
        self.assertEqual((), check(build.zipped(vhd()) + bytes(5000)).findings)

    def test_several_gzip_members(self) -> None:
        plain = build.tar([Entry("0.vhd", vhd())])
        report = check(gzip.compress(plain[:100_000], 1) + gzip.compress(plain[100_000:], 1))
        self.assertEqual(["bundle.gzip.members"], [finding.code for finding in report.findings])
        self.assertIs(Verdict.SOUND, report.verdict)

    def test_appended_data(self) -> None:
        report = check(gzip.compress(build.tar([Entry("0.vhd", vhd())]) + bytes(MIB), 1))
        self.assertEqual(["bundle.tar.trailing"], [finding.code for finding in report.findings])

    @ddt.data(
        (["0.VHD"], "bundle.name.case"),
        (["x/0.vhd"], "bundle.name.subdirectory"),
        (["0.vhd", "2.vhd"], "bundle.name.sequence"),
        (["0.vhd", "._0.vhd"], "bundle.name.appledouble"),
        (["0.vhd", "./0.vhd"], "bundle.name.repeated"),
        (["../0.vhd"], "bundle.name.escape"),
        (["1.vhd", "2.vhd"], "bundle.name.none"),
        ([], "bundle.name.none"),
    )
    @ddt.unpack
    def test_names(self, names: list[str], code: str) -> None:
        self.assertIn(code, codes(*(Entry(name, vhd()) for name in names)))

    def test_seventeen(self) -> None:
        self.assertIn("bundle.name.many", codes(*(Entry(f"{number}.vhd", b"abc") for number in range(17))))

    def test_what_tar_of_a_directory_makes(self) -> None:
        entries = (Entry("./", type=tarfile.DIRTYPE, mode=0o755), Entry("./0.vhd", vhd()))
        self.assertEqual({"bundle.member.extra"}, codes(*entries))
        report = check(build.packed(*entries), "nova-vdi-stream")
        self.assertIs(Verdict.NOT_READY, report.verdict)

    def test_link(self) -> None:
        found = codes(Entry("0.vhd", type=tarfile.SYMTYPE, target="/dev/sda"))
        self.assertEqual({"bundle.member.link", "bundle.name.none"}, found)

    def test_gnu_sparse(self) -> None:
        self.assertIn("bundle.member.sparse", codes(Entry("0.vhd", vhd(), type=tarfile.GNUTYPE_SPARSE)))

    def test_reversed_chain(self) -> None:
        found = codes(Entry("0.vhd", vhd()), Entry("1.vhd", vhd("child")))
        self.assertLessEqual({"bundle.chain.type", "vhd.parent.absent"}, found)

    def test_child_alone(self) -> None:
        self.assertEqual({"vhd.parent.absent"}, codes(Entry("0.vhd", vhd("child"))))

    def test_no_vhd_at_all(self) -> None:
        self.assertEqual({"bundle.member.data"}, codes(Entry("0.vhd", b"raw data" * 1000)))
        self.assertEqual({"bundle.member.data"}, codes(Entry("0.vhd")))

    def test_creator_matters_where_the_file_itself_is_stored(self) -> None:
        image = build.image()
        image.footer("crtr_app", b"win ")
        data = build.zipped(bytes(image.data))
        self.assertIs(Verdict.NOT_READY, check(data, "nova-xenapi").verdict)
        streamed = check(data, "nova-vdi-stream")
        self.assertIs(Verdict.SOUND, streamed.verdict)
        self.assertEqual(["vhd.creator.foreign"], [finding.code for finding in streamed.findings])
        image.batmap("key_cookie", 1)
        image.footer("crtr_app", b"tap\0")
        self.assertIs(Verdict.NOT_READY, check(build.zipped(bytes(image.data)), "nova-vdi-stream").verdict)

    def test_finding_names_its_member(self) -> None:
        image = build.image("packed")
        report = check(build.packed(Entry("0.vhd", bytes(image.data))))
        found = [finding for finding in report.findings if finding.code == "vhd.block.packed"]
        self.assertEqual({"0.vhd"}, {finding.where for finding in found})


class FuzzTest(unittest.TestCase):
    """Any bytes: an error of ours, or a report."""

    def survive(self, plain: bytes) -> None:
        data = gzip.compress(plain, 1, mtime=0)
        tracemalloc.start()
        try:
            check(data, limits=SMALL)
            bundle = open_bundle(MemorySource(data), SMALL)
            disk = open_bundle_disk(bundle, open_vhd, SMALL)
            if disk.unreadable() is None:
                disk.read_into(0, memoryview(bytearray(min(MIB, disk.facts.virtual_size))))
        except XenimageError as error:
            self.assertTrue(error.found)
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        self.assertLess(peak, 96 * MIB)

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 8191), st.integers(0, 255)), max_size=8), st.booleans())
    def test_flips(self, changes: list[tuple[int, int]], seal: bool) -> None:
        plain = bytearray(build.tar([Entry("0.vhd", vhd("child")), Entry("1.vhd", vhd())]))
        for at, value in changes:
            plain[at] = value
        self.survive(sealed(bytes(plain)) if seal else bytes(plain))

    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(st.tuples(st.sampled_from("0123457xgLKSV"), st.binary(max_size=700), st.integers(0, 2000)), max_size=6)
    )
    def test_any_members(self, entries: list[tuple[str, bytes, int]]) -> None:
        plain = b""
        for kind, data, size in entries:
            info = tarfile.TarInfo("0.vhd")
            info.size = size
            plain += sealed(info.tobuf(tarfile.GNU_FORMAT)[:156] + kind.encode() + info.tobuf()[157:]) + data
        self.survive(plain)

    @settings(max_examples=40, deadline=None)
    @given(st.binary(max_size=2000))
    def test_any_content(self, plain: bytes) -> None:
        self.survive(plain)
