"""Damaged, busy and strange volumes: each is refused, or left as it is; nothing that is in use is ever called free."""

from __future__ import annotations

import functools
import json
import pathlib
import random
import struct
import tempfile
import zlib

import ddt

from tests.base import TestCase
from tests.builders.guests import freespace, ntfs
from tests.builders.vhd import MemorySource
from tests.unit.cli.support import CliTestCase
from tests.unit.guest.free.support import raw
from xenimage.exceptions import NotReadyError, XenimageError
from xenimage.formats.raw import open_raw
from xenimage.guest.free.crc import crc32c
from xenimage.guest.free.survey import survey
from xenimage.limits import STRICT
from xenimage.sources.patched import PatchedSource
from xenimage.units import KIB, MIB

CLUSTER = 4096
MOST = 100_000
SUPER, DESCRIPTORS = 1024, 4096


@functools.cache
def ext(*options):
    """A small file system, and what is free in it."""
    with tempfile.TemporaryDirectory() as directory:
        image = pathlib.Path(directory) / "disk"
        freespace.make_ext(image, 24 * MIB, freespace.random_tree(1), "-b", "4096", *options)
        return image.read_bytes(), tuple(freespace.ext_free(image))


@functools.cache
def windows(**files):
    """A small volume with some files, and what is free in it."""
    with tempfile.TemporaryDirectory() as directory:
        image = pathlib.Path(directory) / "disk"
        ntfs.format_volume(image, 16 * MIB, cluster=CLUSTER)
        ntfs.fill(image, freespace.random_tree(1) | {name.replace("_", "."): data for name, data in files.items()})
        return image.read_bytes(), tuple(freespace.ntfs_free(image, CLUSTER))


def swap(page=4096, pages=64, signature=b"SWAPSPACE2", version=1, last=None, bad=0):
    data = bytearray(random.Random(2).randbytes(page * pages))
    data[:page] = bytes(page)
    struct.pack_into("<III", data, 1024, version, pages - 1 if last is None else last, bad)
    data[page - 10 : page] = signature.ljust(10, b"\0")
    return bytes(data)


def put(data, *changes):
    changed = bytearray(data)
    for at, value in changes:
        changed[at : at + len(value)] = value
    return bytes(changed)


def put_super(data, *changes):
    """The same in a superblock, whose checksum is put right."""
    changed = bytearray(put(data, *((SUPER + at, value) for at, value in changes)))
    changed[SUPER + 0x3FC : SUPER + 0x400] = crc32c(0xFFFFFFFF, bytes(changed[SUPER : SUPER + 0x3FC])).to_bytes(
        4, "little"
    )
    return bytes(changed)


def flipped(data, at, bit=0):
    return put(data, (at, bytes([data[at] ^ 1 << bit])))


def record(data, number):
    """Where a record of the master file table stands: one of the first."""
    return int.from_bytes(data[48:56], "little") * CLUSTER + number * 1024


def attribute(data, number, kind):
    """Where the first attribute of a kind stands."""
    start = record(data, number)
    at = start + int.from_bytes(data[start + 0x14 : start + 0x16], "little")
    while int.from_bytes(data[at : at + 4], "little") != kind:
        at += int.from_bytes(data[at + 4 : at + 8], "little")
    return at


def content(data, number, kind=0x80):
    """Where the content of an attribute begins, resident or not."""
    at = attribute(data, number, kind)
    if not data[at + 8]:
        return at + int.from_bytes(data[at + 20 : at + 22], "little")
    run = at + int.from_bytes(data[at + 32 : at + 34], "little")
    count, step = data[run] & 15, data[run] >> 4
    return CLUSTER * int.from_bytes(data[run + 1 + count : run + 1 + count + step], "little")


def restart(sequence, client, flags, version=(1, 1), page=4096):
    """A restart page of a log."""
    data = bytearray(page)
    struct.pack_into(
        "<4sHHQIIHhH", data, 0, b"RSTR", 0x1E, page // 512 + 1, 0, page, page, 0x30, version[1], version[0]
    )
    struct.pack_into("<QHHHH", data, 0x30, sequence, 1, 0xFFFF, client, flags)
    for end in range(512, page + 1, 512):
        data[end - 2 : end] = b"\x07\0"
    data[0x1E:0x20] = b"\x07\0"
    return bytes(data)


CLOSED = restart(5, 0xFFFF, 2)
FAST = restart(5, 0xFFFF, 2, (2, 0))


def with_log(data, *pages):
    return put(data, (content(data, 2), b"".join(pages)))


def sound():
    """A file system with all checksums."""
    return ext(*BASE)[0]


def plain():
    """One without any."""
    return ext(*PLAIN)[0]


def empty():
    """A volume without a file of Windows."""
    return windows()[0]


def more(at, bits):
    """The superblock's byte with more bits."""
    return at, bytes([sound()[SUPER + at] | bits])


BASE = ("-t", "ext4")
PLAIN = ("-t", "ext4", "-O", "^metadata_csum")
OLD = ("-t", "ext4", "-O", "^metadata_csum,uninit_bg")
NOT_CLEAN, DAMAGED = "ext4 on the whole disk is not clean: ", "ext4 on the whole disk is damaged: "
END = ", expected sound volumes that were closed"


def exchanged(options):
    """A bitmap that calls a block of the largest file free, and a free one used: their number stays right."""
    data, free = ext(*options)
    bitmap, block, spare = block_bitmap(data), file_block(data), free[-1][0] // 4096
    return flipped(flipped(data, bitmap + block // 8, block % 8), bitmap + spare // 8, spare % 8)


def file_block(data):
    """The first block of the largest file."""
    return data.index(max(freespace.random_tree(1).values(), key=len)[:64]) // 4096


def block_bitmap(data):
    return 4096 * int.from_bytes(data[DESCRIPTORS : DESCRIPTORS + 4], "little")


EXT_REFUSED = (
    ("state", lambda: put_super(sound(), (0x3A, b"\0\0")), NOT_CLEAN + "it was not unmounted (state 0)"),
    ("errors", lambda: put_super(sound(), (0x3A, b"\3\0")),
     NOT_CLEAN + "it holds errors that wait for a check (state 3)"),
    ("orphans", lambda: put_super(sound(), (0x3A, b"\5\0")), NOT_CLEAN + "it was not unmounted (state 5)"),
    ("error count", lambda: put_super(sound(), (0x194, b"\2")), NOT_CLEAN + "it met 2 errors since its last check"),
    ("journal", lambda: put_super(sound(), more(0x60, 4)),
     NOT_CLEAN + "its journal has to be replayed: it was not unmounted"),
    ("last orphan", lambda: put_super(sound(), (0xE8, b"\x0c")),
     NOT_CLEAN + "deleted files wait for their blocks to be freed: it was not unmounted"),
    ("orphan file", lambda: put_super(sound(), (0x66, b"\1")),
     NOT_CLEAN + "deleted files wait for their blocks to be freed: it was not unmounted"),
    ("superblock's checksum", lambda: flipped(sound(), SUPER + 0x3FD),
     DAMAGED + "the checksum of its superblock is wrong"),
    ("superblock", lambda: flipped(sound(), SUPER + 0x30), DAMAGED + "the checksum of its superblock is wrong"),
    ("cut off", lambda: sound()[: 20 * MIB],
     DAMAGED + "the numbers in its superblock contradict each other or the size of the volume"),
    ("block size", lambda: put_super(sound(), (0x18, b"\x09")),
     "ext on the whole disk is damaged: block and cluster sizes are 2^(10+9) and 2^(10+2)"),
    ("no blocks in a group", lambda: put_super(sound(), (0x20, bytes(4))),
     DAMAGED + "the numbers in its superblock contradict each other or the size of the volume"),
    ("descriptor", lambda: flipped(sound(), DESCRIPTORS + 0x0C),
     DAMAGED + "the checksum of the descriptor of group 0 is wrong"),
    ("descriptor, old checksum", lambda: flipped(ext(*OLD)[0], DESCRIPTORS + 0x0C),
     DAMAGED + "the checksum of the descriptor of group 0 is wrong"),
    ("bitmap", lambda: flipped(sound(), block_bitmap(sound()) + 70),
     DAMAGED + "the checksum of the block bitmap of group 0 is wrong"),
    ("free blocks, no checksum", lambda: put(plain(), (DESCRIPTORS + 0x0C, b"\x05\0")),
     DAMAGED + "group 0 has {free} free clusters, but its descriptor tells of 5"),
    ("bitmap, no checksum", lambda: flipped(plain(), block_bitmap(plain())),
     DAMAGED + "group 0 has {free1} free clusters, but its descriptor tells of {free}"),
    ("tables are free", lambda: put(plain(), (block_bitmap(plain()), b"\xfe"),
                                    (DESCRIPTORS + 0x0C, (count(PLAIN) + 1).to_bytes(2, "little"))),
     DAMAGED + "blocks of its own tables are free in group 0"),
    ("a file is free", lambda: exchanged(PLAIN),
     DAMAGED + "its bitmaps call blocks free that belong to a file, between {block} and {end}"),
    ("a file is free, old checksum", lambda: exchanged(OLD),
     DAMAGED + "its bitmaps call blocks free that belong to a file, between {block} and {end}"),
    ("tables over each other", lambda: put(plain(), (DESCRIPTORS + 4, plain()[DESCRIPTORS : DESCRIPTORS + 4])),
     DAMAGED + "two tables stand in block {bitmap}"),
    ("tables outside", lambda: put(plain(), (DESCRIPTORS, b"\xff\xff\xff\x7f")),
     DAMAGED + "tables of a group lie outside of the volume"),
)  # fmt: skip

EXT_LEFT = (
    ("unknown feature", lambda: put_super(sound(), (0x63, b"\x40")), "it uses the feature incompatible 0x40000000"),
    ("journal device", lambda: put_super(sound(), (0x60, b"\x08")), "it uses the feature journal_dev"),
    ("multiple mounts", lambda: put_super(sound(), more(0x61, 1)), "it uses the feature mmp"),
    ("shared blocks", lambda: put_super(sound(), more(0x65, 0x40)),
     "it uses the feature shared_blocks"),
    ("other checksums", lambda: put_super(sound(), (0x175, b"\2")), "its checksums are of the unknown type 2"),
    ("two kinds", lambda: put(sound(), (64 * KIB + 64, b"_BHRfS_M")), "it looks like ext and btrfs"),
    ("a mirror", lambda: put(sound(), (24 * MIB - 8 * KIB, b"\xfc\x4e\x2b\xa9")), "it looks like ext and md"),
)  # fmt: skip


def count(options):
    """Free blocks of the first and only group."""
    return sum(stop - start for start, stop in ext(*options)[1]) // 4096


def run(data, number, kind=0x80):
    at = attribute(data, number, kind)
    return at + int.from_bytes(data[at + 32 : at + 34], "little")


def windows_file_free():
    """A bitmap in which the first cluster of a file's content is free."""
    data, _ = windows()
    largest = max(freespace.random_tree(1).values(), key=len)
    cluster = data.index(largest[:64]) // CLUSTER
    return flipped(data, content(data, 6) + cluster // 8, cluster % 8)


NTFS_NOT_CLEAN, NTFS_DAMAGED = "ntfs on the whole disk is not clean: ", "ntfs on the whole disk is damaged: "
HIBERNATED = NTFS_NOT_CLEAN + "Windows is hibernated (hiberfil.sys is in use)"
UNCLOSED = NTFS_NOT_CLEAN + "its log was not closed"


def flags(value):
    data, _ = windows()
    return put(data, (content(data, 3, 0x70) + 10, struct.pack("<H", value)))


NTFS_REFUSED = (
    ("dirty", lambda: flags(1), NTFS_NOT_CLEAN + "it is marked for a check (flags 0x1)"),
    ("checked half", lambda: flags(0x4000), NTFS_NOT_CLEAN + "it is marked for a check (flags 0x4000)"),
    ("hibernated", lambda: windows(hiberfil_sys=b"HIBR" * 3000)[0], HIBERNATED),
    ("fast start", lambda: windows(HiberFil_sys=b"hibr" * 3000)[0], HIBERNATED),
    ("waking up", lambda: windows(hiberfil_sys=b"WAKE" * 3000)[0], HIBERNATED),
    ("hibernated, small", lambda: windows(hiberfil_sys=b"RSTR")[0], HIBERNATED),
    ("crash dump", lambda: windows(pagefile_sys=b"PAGEDU64" * 3000)[0],
     NTFS_NOT_CLEAN + "Windows has not saved its crash dump yet (pagefile.sys holds it)"),
    ("log in use", lambda: with_log(empty(), restart(5, 0, 0), restart(4, 0xFFFF, 2)), UNCLOSED),
    ("log in use, second page", lambda: with_log(empty(), restart(4, 0xFFFF, 2), restart(5, 0, 0)), UNCLOSED),
    ("log in use, equal pages", lambda: with_log(empty(), CLOSED, restart(5, 0, 0)), UNCLOSED),
    ("log of fast start", lambda: with_log(empty(), FAST, FAST), UNCLOSED),
    ("log damaged", lambda: with_log(empty(), flipped(CLOSED, 511), flipped(CLOSED, 511)),
     NTFS_DAMAGED + "its log has no restart page that can be read"),
    ("log without sense", lambda: with_log(empty(), b"CHKD" + bytes(8188)),
     NTFS_DAMAGED + "its log has no restart page that can be read"),
    ("log's page size", lambda: with_log(empty(), put(CLOSED, (0x10, b"\x01\x10"))), UNCLOSED),
    ("cluster size", lambda: put(empty(), (13, b"\x03")),
     NTFS_DAMAGED + "the numbers in its boot sector contradict each other or the size of the volume"),
    ("cut off", lambda: empty()[: 12 * MIB],
     NTFS_DAMAGED + "the numbers in its boot sector contradict each other or the size of the volume"),
    ("table elsewhere", lambda: put(empty(), (48, b"\x99")),
     NTFS_DAMAGED + "record 0 of the master file table: a record begins with {found}, expected b'FILE'"),
    ("half a record", lambda: flipped(empty(), record(empty(), 6) + 510),
     NTFS_DAMAGED + "record 6 of the master file table: a record was written in part only"),
    ("bitmap: boot sector is free", lambda: flipped(empty(), content(empty(), 6)),
     NTFS_DAMAGED + "its bitmap calls clusters free that belong to a file"),
    ("bitmap: a file is free", windows_file_free,
     NTFS_DAMAGED + "its bitmap calls clusters free that belong to a file"),
    ("bitmap: short", lambda: put(empty(), (attribute(empty(), 6, 0x80) + 48, struct.pack("<Q", 100))),
     NTFS_DAMAGED + "its bitmap has 100 bytes, expected 512"),
    ("bitmap: outside", lambda: put(empty(), (run(empty(), 6) + 2, b"\xff\x7f")),
     NTFS_DAMAGED + "record 6 of the master file table: a run of clusters lies outside of the volume"),
    ("directory", lambda: put(empty(), (content(empty(), 5, 0x90) + 20, b"\xff\xff")),
     NTFS_DAMAGED + "a directory is damaged"),
)  # fmt: skip


SHADOWS = bytes.fromhex("6b8708387 6c1484eb7ae04046e6cc752".replace(" ", ""))
NTFS_LEFT = (
    ("shadow copies", lambda: put(empty(), (0x1E00, SHADOWS + bytes(0x20) + b"\0\x40")),
     "it has shadow copies, which need what is free now"),
    ("BitLocker", lambda: put(empty(), (3, b"-FVE-FS-")), "the free space of bitlocker is not read"),
    # zpool create keeps the first 16 KiB, and all that it has not written to yet.
    ("ZFS over it", lambda: put(empty(), (16384, b"\1\1\0\0\0\0\0\0\0\0\0\1")), "it looks like ntfs and zfs"),
    ("ZFS of another machine", lambda: put(empty(), (16384, b"\1\0\0\0\0\0\0\0\0\0\0\1")),
     "it looks like ntfs and zfs"),
    ("bcachefs", lambda: put(empty(), (4120, bytes.fromhex("c68573f666ce90a9d96a60cf803df7ef"))),
     "it looks like ntfs and bcachefs"),
    ("Oracle ASM", lambda: put(empty(), (32, b"ORCLDISK")), "it looks like ntfs and oracleasm"),
)  # fmt: skip
NTFS_TAKEN = (
    ("closed log", lambda: with_log(empty(), restart(5, 0xFFFF, 0), restart(4, 0, 0))),
    ("clean log", lambda: with_log(empty(), restart(4, 0, 0), restart(5, 0, 2))),
    ("one page of the log", lambda: with_log(empty(), restart(5, 0xFFFF, 0), bytes(4096))),
    ("no shadow copies left", lambda: put(empty(), (0x1E00, SHADOWS + bytes(0x30)))),
    ("flag that stays", lambda: flags(0x80)),
)

SWAP = "swap on the whole disk is "
SWAP_REFUSED = (
    ("hibernated", lambda: swap(signature=b"S1SUSPEND"),
     SWAP + "not clean: Linux is hibernated: its memory stands in this swap space"),
    ("hibernated by uswsusp", lambda: swap(signature=b"ULSUSPEND"),
     SWAP + "not clean: Linux is hibernated: its memory stands in this swap space"),
    ("version", lambda: swap(version=7), SWAP + "damaged: its header tells of version 7 and 64 pages of 4096 bytes"),
    ("too long", lambda: swap(last=64), SWAP + "damaged: its header tells of version 1 and 65 pages of 4096 bytes"),
    ("empty", lambda: swap(last=0), SWAP + "damaged: its header tells of version 1 and 1 pages of 4096 bytes"),
)  # fmt: skip
SWAP_LEFT = (("old", lambda: swap(signature=b"SWAP-SPACE"), "it is swap space of the form before 2.4"),)


def looked(data):
    return survey(raw(data), MOST, STRICT)


@ddt.ddt
class RefusedTest(TestCase):
    @ddt.data(*EXT_REFUSED, *NTFS_REFUSED, *SWAP_REFUSED)
    @ddt.unpack
    def test_refused(self, _what, make, message):
        data = make()
        known = {
            "free": count(PLAIN),
            "block": file_block(plain()),
            "end": file_block(plain()) - (-len(max(freespace.random_tree(1).values(), key=len)) // 4096),
            "free1": count(PLAIN) + 1,
            "bitmap": block_bitmap(plain()) // 4096,
            "found": repr(data[0x99 * CLUSTER : 0x99 * CLUSTER + 4]),
        }
        with self.assertRaises(NotReadyError) as caught:
            looked(data)
        self.assertEqual(message.format_map(known) + END, str(caught.exception))
        self.assertIn("--drop-free-space", caught.exception.tip)

    @ddt.data(*EXT_LEFT, *NTFS_LEFT, *SWAP_LEFT)
    @ddt.unpack
    def test_left_as_it_is(self, _what, make, why):
        found = looked(make())
        (volume,) = found.volumes
        self.assertEqual((why, 0, 0), (volume.why, volume.free_size, len(found.starts)))

    @ddt.data(*NTFS_TAKEN)
    @ddt.unpack
    def test_taken(self, _what, make):
        found = looked(make())
        self.assertEqual(list(windows()[1]), list(zip(found.starts, found.stops, strict=True)))

    @ddt.data("pagefile.sys", "swapfile.sys", "hiberfil.sys")
    def test_a_page_file_with_another_name_is_kept(self, name):
        text = bytes(90_000)
        data, free = windows(**{name.replace(".", "_"): text})
        self.assertNotEqual(list(free), windows_files(data))
        start = next(
            at
            for at in range(record(data, 0), record(data, 200), 1024)
            if name.encode("utf-16-le") in data[at : at + 1024] and data[at : at + 4] == b"FILE"
        )
        self.assertEqual(b"\1\0", data[start + 0x12 : start + 0x14])
        linked = put(data, (start + 0x12, b"\2\0"))
        self.assertEqual(list(free), windows_files(linked))

    @ddt.data(4096, 8192, 16384, 65536)
    def test_swap_space_is_free_behind_its_first_page(self, page):
        found = looked(swap(page, last=40))
        self.assertEqual([(page, 41 * page)], list(zip(found.starts, found.stops, strict=True)))
        self.assertEqual(("swap", ""), (found.volumes[0].kind, found.volumes[0].why))

    def test_nothing_at_all(self):
        self.assertEqual("nothing is known of what it holds", looked(bytes(MIB)).volumes[0].why)
        self.assertEqual((), looked(b"").volumes)


@ddt.ddt
class FlippedBitsTest(TestCase):
    """Any bit of the tables may be wrong: then nothing is claimed, or only what is free."""

    @ddt.data(BASE, PLAIN, OLD)
    def test_ext(self, options):
        data, free = ext(*options)
        bitmap = block_bitmap(data)
        places = [*range(SUPER, SUPER + 1024), *range(DESCRIPTORS, DESCRIPTORS + 64), *range(bitmap, bitmap + 800)]
        self.flip(data, free, places)

    def test_ntfs(self):
        data, free = windows(hiberfil_sys=bytes(9000), pagefile_sys=bytes(90_000))
        taken = sorted([*free, *windows_files(data)])
        start, bitmap = record(data, 0), content(data, 6)
        places = [*range(512), *range(start, start + 16 * 1024, 3), *range(bitmap, bitmap + 512)]
        self.flip(data, taken, places)

    def flip(self, data, free, places):
        chance = random.Random(zlib.crc32(data[:8192]))
        allowed = freespace.joined(free)
        refused = 0
        source = MemorySource(data)
        for at in chance.sample(places, min(len(places), 600)):
            change = bytes([data[at] ^ 1 << chance.randrange(8)])
            try:
                found = survey(open_raw(PatchedSource(source, [(at, change)], len(data)), STRICT), MOST, STRICT)
            except XenimageError:
                refused += 1
                continue
            for start, stop in zip(found.starts, found.stops, strict=True):
                inside = any(first <= start and stop <= last for first, last in allowed)
                self.assertTrue(inside, f"byte {at:#x}: {start:#x} to {stop:#x} is in use")
        self.assertGreater(refused, 20)


def windows_files(data):
    """The clusters of the page file and the hibernation file: their content may be forgotten."""
    found = looked(data)
    return list(zip(found.starts, found.stops, strict=True))


class CommandTest(CliTestCase):
    """What somebody sees who asks for it on the command line."""

    def put(self, data):
        path = self.scratch / "disk.raw"
        path.write_bytes(data)
        return str(path)

    def test_a_volume_that_is_not_clean_ends_the_command(self):
        source = self.put(put_super(sound(), (0x3A, b"\0\0")))
        for words in (
            ("bundle", "create", source, "--format", "raw", "--output"),
            ("disk", "convert", source, "--source-format", "raw", "--format", "qcow2"),
        ):
            for more_words in ((), ("--dry-run",)):
                run = self.run_cli(*words, str(self.scratch / "out"), "--drop-free-space", *more_words)
                self.assertEqual(6, run.code, run.err)
                message, tip = run.err.splitlines()
                self.assertEqual(f"{source}: {NOT_CLEAN}it was not unmounted (state 0){END}", message)
                self.assertTrue(tip.startswith("TIP: Start the guest and shut it down"), tip)
                self.assertFalse((self.scratch / "out").exists())

    def test_what_would_be_and_what_was_left_out(self):
        source, free = self.put(sound()), sum(stop - start for start, stop in ext(*BASE)[1])
        words = ("disk", "convert", source, str(self.scratch / "out"), "--source-format", "raw", "--format", "qcow2")
        planned = json.loads(self.run_cli(*words, "--drop-free-space", "--dry-run", "-f", "json").out)
        done = json.loads(self.run_cli(*words, "--drop-free-space", "-f", "json").out)
        self.assertEqual(planned["free_space"], done["free_space"])
        self.assertEqual(free, done["free_space"]["free_size"])
        volume = {"place": "the whole disk", "kind": "ext4", "size": 24 * MIB, "free_size": free, "why": ""}
        self.assertEqual([volume | {"dropped_size": done["free_space"]["dropped_size"]}], done["free_space"]["volumes"])
        told = self.run_cli(*words, "--drop-free-space", "--force").out
        self.assertIn("the whole disk  ext4", told)
        self.assertIsNone(json.loads(self.run_cli(*words, "--force", "-f", "json").out)["free_space"])
