from __future__ import annotations

import gzip
import io
import tarfile
import unittest

import ddt

from tests.builders import bundle as build
from tests.builders.bundle import NOW, Entry
from tests.builders.vhd import MemorySource
from xenimage.containers.bundle.check import check_bundle
from xenimage.containers.bundle.reader import Bundle, is_gzip, open_bundle, open_bundle_disk
from xenimage.exceptions import FormatError, UnsupportedError
from xenimage.formats.vhd.reader import open_vhd
from xenimage.limits import STRICT
from xenimage.model.report import Verdict
from xenimage.profiles import registry


def opened(data: bytes) -> Bundle:
    return open_bundle(MemorySource(data, "x.vhd.tgz"), STRICT)


def chain() -> bytes:
    base = build.image()
    base.footer("hidden", 1)
    return build.packed(Entry("1.vhd", bytes(base.data)), Entry("0.vhd", bytes(build.image("child").data)))


class OpenTest(unittest.TestCase):
    def test_facts(self) -> None:
        data = build.zipped(bytes(build.image().data))
        facts = opened(data).facts()
        self.assertEqual(("x.vhd.tgz", len(data), ("0.vhd",)), (facts.path, facts.size, facts.chain))
        self.assertEqual(
            (build.SIZE, 1, 1, 0), (facts.virtual_size, facts.min_disk, facts.gzip_members, facts.gzip_trailing)
        )
        self.assertTrue(facts.tar_ended)
        self.assertLess(facts.tar_trailing, 10240)
        (member,) = facts.members
        self.assertEqual(("0.vhd", "file", 0o644, "0:0"), (member.name, member.kind, member.mode, member.owner))
        self.assertIsNotNone(member.vhd)

    def test_check_takes_two_passes(self) -> None:
        for data in (build.zipped(bytes(build.image().data)), chain()):
            bundle = opened(data)
            bundle.facts()
            self.assertEqual(1, bundle.passes)
            check_bundle(bundle, registry.get_profile("nova-xenapi"), STRICT, NOW)
            self.assertLessEqual(bundle.passes, 2)

    def test_sound_for_every_profile(self) -> None:
        bundle = opened(build.zipped(bytes(build.image().data)))
        for profile in registry.all_profiles().values():
            report = check_bundle(bundle, profile, STRICT, NOW)
            self.assertEqual((), report.findings, profile.name)
            self.assertIs(Verdict.SOUND, report.verdict)

    def test_chain_is_sound(self) -> None:
        report = check_bundle(opened(chain()), registry.get_profile("nova-xenapi"), STRICT, NOW)
        self.assertEqual((), report.findings)
        assert report.facts
        self.assertEqual(("0.vhd", "1.vhd"), report.facts.chain)

    def test_disk(self) -> None:
        image = build.image()
        disk = open_bundle_disk(opened(build.zipped(bytes(image.data))), open_vhd, STRICT)
        self.assertEqual(build.SIZE, disk.facts.virtual_size)
        buffer = bytearray(12 << 20)
        disk.read_into(0, memoryview(buffer))
        self.assertEqual(image.content()[: 12 << 20], bytes(buffer))
        disk.close()

    def test_disk_of_a_chain(self) -> None:
        disk = open_bundle_disk(opened(chain()), open_vhd, STRICT)
        self.assertIsNone(disk.facts.parent)
        buffer = bytearray(12 << 20)
        disk.read_into(0, memoryview(buffer))
        expected = build.image("child").content(build.image().content())
        self.assertEqual(expected[: 12 << 20], bytes(buffer))

    def test_child_alone_tells_its_parent(self) -> None:
        data = build.zipped(bytes(build.image("child").data))
        self.assertIsNotNone(open_bundle_disk(opened(data), open_vhd, STRICT).facts.parent)

    def test_reversed_chain(self) -> None:
        data = build.packed(Entry("0.vhd", bytes(build.image().data)), Entry("1.vhd", bytes(build.image("child").data)))
        with self.assertRaisesRegex(FormatError, "has no parent, but others follow"):
            open_bundle_disk(opened(data), open_vhd, STRICT)

    def test_no_disk(self) -> None:
        with self.assertRaisesRegex(FormatError, "no member is called 0.vhd"):
            open_bundle_disk(opened(build.packed(Entry("readme"))), open_vhd, STRICT)

    def test_member_source(self) -> None:
        image = build.image()
        bundle = opened(build.zipped(bytes(image.data)))
        member = bundle.facts().members[0]
        source = bundle.member_source(member)
        self.assertEqual((len(image.data), "0.vhd"), (source.size, source.name))
        for offset, length in ((0, 100), (60_000, 10_000), (3_000_000, 5), (source.size - 512, 512)):
            self.assertEqual(bytes(image.data[offset : offset + length]), source.read(offset, length))
        with self.assertRaisesRegex(FormatError, "outside the member"):
            source.read(source.size - 1, 2)

    def test_is_gzip(self) -> None:
        self.assertTrue(is_gzip(MemorySource(gzip.compress(b""))))
        self.assertFalse(is_gzip(MemorySource(b"\x1f")))
        self.assertFalse(is_gzip(MemorySource(b"conectix")))

    def test_progress(self) -> None:
        class Watcher:
            def __init__(self) -> None:
                self.told: list[str] = []
                self.count = 0

            def start(self, what: str, total: int) -> None:
                self.told.append(f"start {total}")

            def advance(self, count: int) -> None:
                self.count += count

            def stop(self) -> None:
                self.told.append("stop")

        watcher = Watcher()
        data = build.zipped(bytes(build.image().data))
        open_bundle(MemorySource(data), STRICT, watcher)
        self.assertEqual([f"start {len(data)}", "stop"], watcher.told)
        self.assertAlmostEqual(len(data), watcher.count, delta=64)


@ddt.ddt
class ArchiveTest(unittest.TestCase):
    """What the members say of themselves, in every dialect of tar."""

    def members(self, data: bytes) -> list[tuple[str, str, int, str]]:
        bundle = opened(gzip.compress(data, 1))
        return [(member.name, member.kind, member.size, member.header) for member in bundle.facts().members]

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

    def test_links_are_never_followed(self) -> None:
        bundle = opened(build.packed(Entry("0.vhd", type=tarfile.SYMTYPE, target="/etc/passwd")))
        self.assertEqual((), bundle.facts().chain)
        with self.assertRaisesRegex(UnsupportedError, "symbolic link"):
            bundle.member_source(bundle.facts().members[0])

    def test_pax_sparse(self) -> None:
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
            info = tarfile.TarInfo("GNUSparseFile.0/0.vhd")
            info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.name": "0.vhd", "GNU.sparse.realsize": "9"}
            archive.addfile(info)
        self.assertEqual([("0.vhd", "sparse file", 0, "pax")], self.members(file.getvalue()))

    def test_without_an_end(self) -> None:
        facts = opened(gzip.compress(build.tar([Entry("a", b"abc")], ended=False))).facts()
        self.assertEqual((1, False, 0), (len(facts.members), facts.tar_ended, facts.tar_trailing))

    def test_behind_the_end(self) -> None:
        facts = opened(gzip.compress(build.tar([Entry("a")]) + b"x" * 100_000)).facts()
        self.assertGreater(facts.tar_trailing, 100_000)

    def test_size_of_8_gib_in_base_256(self) -> None:
        data = build.tar([Entry("big", size=1 << 33)])[:512]
        with self.assertRaisesRegex(FormatError, "the tar ends inside the member 'big'"):
            self.members(data)
