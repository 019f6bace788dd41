from __future__ import annotations

import gzip
import tarfile
import unittest

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

    def test_links_are_never_followed(self) -> None:
        bundle = opened(build.packed(Entry("0.vhd", type=tarfile.SYMTYPE, target="/etc/passwd")))
        self.assertEqual((), bundle.facts().chain)
        with self.assertRaisesRegex(UnsupportedError, "symbolic link"):
            bundle.member_source(bundle.facts().members[0])

    def test_behind_the_end(self) -> None:
        facts = opened(gzip.compress(build.tar([Entry("a")]) + b"x" * 100_000)).facts()
        self.assertGreater(facts.tar_trailing, 100_000)

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
