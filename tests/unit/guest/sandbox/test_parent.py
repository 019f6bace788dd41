"""Children of every kind, also such as do not keep to the rules."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import logging
import os
import sys
import tempfile
import unittest
import zlib
from typing import Any
from unittest import mock

import ddt

import xenimage
from tests.builders.disk import MemoryDisk
from tests.builders.pattern import pattern
from xenimage.exceptions import FormatError, TransferError, UnsupportedError
from xenimage.guest.sandbox import layout, parent, words
from xenimage.guest.sandbox.child import CODECS
from xenimage.guest.sandbox.parent import inspect
from xenimage.limits import STRICT, Limits
from xenimage.model.guest.facts import GuestFacts, Unread
from xenimage.model.guest.layout import Layout, Partition, Volume
from xenimage.model.guest.windows import BootStore, Firmware

MIB = 1 << 20
ROOT = os.path.dirname(os.path.dirname(xenimage.__file__))

# A child with another inspection in it: the rest of it, and all limits, are real.
_REPLACED = """
import ctypes, os, resource, socket, sys, time, types, zlib
sys.path.insert(0, {root!r})
from xenimage.exceptions import FormatError, LimitError, UnsafeError, UnsupportedError
from xenimage.guest.notes import Stopped
from xenimage.model.guest.facts import GuestFacts, Unread
module = types.ModuleType("xenimage.guest.inspection")
def inspect(disks, limits, names, tell=None):
    def found(*texts):
        return GuestFacts(disks=(), unread=tuple(Unread(what=str(each), why="") for each in texts))
{body}
module.inspect = inspect
sys.modules["xenimage.guest.inspection"] = module
from xenimage.guest.sandbox.child import main
sys.exit(main())
"""
# A child that is not ours at all.
_STRANGER = """
import json, os, struct, sys, time
def say(kind, body=b"", length=None):
    os.write(1, struct.pack("<cI", kind, len(body) if length is None else length) + body)
def hear(count):
    data = b""
    while len(data) < count:
        data += os.read(0, count - len(data))
    return data
def frame():
    kind, length = struct.unpack("<cI", hear(5))
    return kind, hear(length)
{body}
"""


def replaced(body: str) -> list[str]:
    """How a child is started whose inspection is *body*, lines of a function."""
    text = "\n".join(f"    {line}" for line in body.strip().splitlines())
    return [sys.executable, "-P", "-c", _REPLACED.format(root=ROOT, body=text)]


def stranger(body: str) -> list[str]:
    """How a program is started that is none of ours."""
    return [sys.executable, "-P", "-c", _STRANGER.format(body=body)]


def look(command: list[str], *disks: MemoryDisk, **limits: int) -> GuestFacts:
    bounds = dataclasses.replace(Limits(), **limits)
    return inspect(disks, bounds, [f"{number}.raw" for number in range(len(disks))], command)


def told(facts: GuestFacts) -> list[str]:
    return [each.what for each in facts.unread]


class OwnChildTest(unittest.TestCase):
    def test_reads_come_from_the_right_place(self) -> None:
        first, second = MemoryDisk(pattern(0, 3 * MIB)), MemoryDisk(pattern(0, 4096, seed=7))
        facts = look(
            replaced("""
def crc(disk, offset, length):
    buffer = bytearray(length)
    disk.read_into(offset, memoryview(buffer))
    return zlib.crc32(buffer)
return found(crc(disks[0], 13, 2_500_000), crc(disks[1], 0, 4096), crc(disks[1], 4096, 0), *names,
             disks[0].facts.virtual_size, disks[1].facts.format)
"""),
            first,
            second,
        )
        crcs = [zlib.crc32(pattern(13, 2_500_000)), zlib.crc32(pattern(0, 4096, seed=7)), 0]
        self.assertEqual([*map(str, crcs), "0.raw", "1.raw", str(3 * MIB), "raw"], told(facts))
        self.assertEqual("", facts.stopped)
        # The read of 2.5 MB goes in three pieces.
        self.assertEqual((4, 2_500_000 + 4096), (facts.cost.reads, facts.cost.bytes_read))

    def test_errors_of_the_disk_reach_the_child(self) -> None:
        def fail(error: Exception) -> MemoryDisk:
            return MemoryDisk(bytes(512), error=error)

        facts = look(
            replaced("""
texts = []
for disk in disks:
    try:
        disk.read_into(0, memoryview(bytearray(512)))
    except Exception as error:
        texts += [type(error).__name__, error]
return found(*texts)
"""),
            fail(FormatError("is damaged", where="0x200")),
            fail(UnsupportedError("is encrypted")),
        )
        self.assertEqual(["FormatError", "0x200: is damaged", "UnsupportedError", "is encrypted"], told(facts))

    def test_a_failing_source_is_an_error(self) -> None:
        disk = MemoryDisk(bytes(512), error=TransferError("Input/output error", where="x.raw"))
        with self.assertRaisesRegex(TransferError, "x.raw: Input/output error"):
            look(replaced("disks[0].read_into(0, memoryview(bytearray(512)))"), disk)

    def test_reads_outside_are_refused(self) -> None:
        facts = look(
            replaced("""
try:
    disks[0].read_into(500, memoryview(bytearray(13)))
except FormatError as error:
    return found(error)
"""),
            MemoryDisk(bytes(512)),
        )
        self.assertEqual(["13 bytes at 0x1f4 lie outside the disk"], told(facts))

    def test_the_budget_of_bytes(self) -> None:
        facts = look(
            replaced("""
tell(found("first"))
count = 0
try:
    while True:
        disks[0].read_into(0, memoryview(bytearray(4096)))
        count += 1
except Stopped as stop:
    return found(count, stop)
"""),
            MemoryDisk(bytes(4096)),
            guest_bytes=10 * 4096 + 1,
        )
        self.assertEqual(["10", "read 40.00 KiB of the disks (limit guest_bytes)"], told(facts))

    def test_a_child_without_end(self) -> None:
        facts = look(replaced('tell(found("first"))\nwhile True: pass'), guest_time=1)
        self.assertEqual(["first"], told(facts))
        self.assertEqual("took longer than 1 s (limit guest_time)", facts.stopped)

    def test_a_child_that_sleeps(self) -> None:
        facts = look(replaced("time.sleep(60)"), MemoryDisk(bytes(512)), guest_time=1)
        self.assertEqual("took longer than 1 s (limit guest_time)", facts.stopped)
        # What is known without the child is said without it.
        self.assertEqual([(0, "0.raw", 512, "")], [(d.index, d.name, d.size, d.scheme) for d in facts.disks])

    def test_a_crash_keeps_what_was_found(self) -> None:
        facts = look(replaced('tell(found("first"))\nctypes.string_at(0)'))
        self.assertEqual(["first"], told(facts))
        self.assertEqual("crashed (SIGSEGV)", facts.stopped)

    def test_memory_is_bounded(self) -> None:
        facts = look(
            replaced('tell(found("first"))\ndata = [bytearray(1 << 20) for _ in range(4000)]'), guest_memory=200 * MIB
        )
        self.assertEqual(["first"], told(facts))
        self.assertEqual("took more than 200 MiB of memory (limit guest_memory)", facts.stopped)

    def test_a_fault_of_our_own_is_told(self) -> None:
        with self.assertLogs(parent.LOG, logging.ERROR) as logs:
            facts = look(replaced('tell(found("first"))\n[][1]'))
        self.assertEqual(["first"], told(facts))
        self.assertEqual("failed by a fault of its own: IndexError: list index out of range", facts.stopped)
        self.assertIn("Traceback", logs.output[0])

    def test_prints_do_not_get_between_the_words(self) -> None:
        facts = look(replaced('print("x", flush=True)\nos.write(1, b"y")\nreturn found("all")'))
        self.assertEqual((["all"], ""), (told(facts), facts.stopped))

    def test_it_can_open_nothing(self) -> None:
        facts = look(
            replaced("""
texts = []
def attempt(act):
    try:
        act()
        texts.append("done")
    except OSError as error:
        texts.append(type(error).__name__ + str(error.errno))
attempt(lambda: open("/etc/hostname"))
attempt(lambda: os.open("/", os.O_RDONLY))
attempt(lambda: socket.socket(socket.AF_UNIX))
attempt(os.pipe)
attempt(lambda: os.memfd_create("x"))
texts.append(resource.getrlimit(resource.RLIMIT_FSIZE))
texts.append(resource.getrlimit(resource.RLIMIT_CORE))
texts.append(resource.getrlimit(resource.RLIMIT_NPROC))
return found(*texts)
"""),
        )
        self.assertEqual("", facts.stopped)
        # EPERM by the filter of system calls, EMFILE where there is none.
        self.assertEqual([], [each for each in told(facts)[:5] if each not in ("PermissionError1", "OSError24")])
        self.assertEqual(["(0, 0)", "(0, 0)", "(0, 0)"], told(facts)[5:])

    def test_closing_makes_no_room_for_opening(self) -> None:
        command = replaced("""
os.close(1)
try:
    return found(os.open("/etc/hostname", os.O_RDONLY))
except OSError as error:
    return found(error.errno)
""")
        # By the limit alone, as where there is no filter of system calls.
        unfiltered = command[-1].replace(
            "sys.exit(main())", "main.__globals__['compute_only'] = bool; sys.exit(main())"
        )
        self.assertEqual([str(errno.EMFILE)], told(look([*command[:-1], unfiltered])))
        self.assertNotEqual(command[-1], unfiltered)

    def test_it_reaches_no_file_and_no_process(self) -> None:
        with tempfile.NamedTemporaryFile() as file:
            facts = look(
                replaced(f"""
texts = []
def attempt(act, *arguments):
    try:
        texts.append(act(*arguments) or "done")
    except OSError as error:
        texts.append(type(error).__name__)
attempt(os.unlink, {file.name!r})
attempt(os.stat, {file.name!r})
attempt(os.chmod, {file.name!r}, 0)
attempt(os.fork)
attempt(os.execv, "/bin/true", ["true"])
attempt(os.kill, os.getppid(), 0)
attempt(resource.prlimit, os.getppid(), resource.RLIMIT_CORE)
return found(*texts)
""")
            )
            self.assertTrue(os.path.exists(file.name))
        self.assertEqual(("", ["PermissionError"] * 7), (facts.stopped, told(facts)))

    def test_codecs_are_there_without_files(self) -> None:
        facts = look(replaced("from xenimage.guest.sandbox.child import CODECS\n"
                              'return found(*("x".encode(name).decode(name) for name in CODECS))'))  # fmt: skip
        self.assertEqual(["x"] * len(CODECS), told(facts))

    def test_it_goes_with_the_thread_that_started_it(self) -> None:
        facts = look(
            replaced("""
signal = ctypes.c_int()
ctypes.CDLL(None).prctl(2, ctypes.byref(signal))
return found(signal.value, ctypes.CDLL(None).prctl(39, 0, 0, 0, 0))
""")
        )
        # PR_GET_PDEATHSIG, PR_GET_NO_NEW_PRIVS
        self.assertEqual(["9", "1"], told(facts))


@ddt.ddt
class StrangeChildTest(unittest.TestCase):
    """Nothing that comes from the child is believed."""

    @ddt.data(
        ("", "ended with the status 0 and without an answer"),
        ("sys.exit(3)", "ended with the status 3 and without an answer"),
        ("os.kill(os.getpid(), 9)", "was ended by SIGKILL, a limit of the system"),
        ("say(b'F', b'{}')", "gave an answer that could not be understood"),
        ("say(b'D', b'[' * 100000)", "gave an answer that could not be understood"),
        ("say(b'D', b'NaN')", "gave an answer that could not be understood"),
        ("say(b'D', b'9' * 5000)", "gave an answer that could not be understood"),
        ("say(b'D', b'\\xff')", "gave an answer that could not be understood"),
        ("say(b'D', b'', 1 << 31)", "gave too long an answer"),
        ("say(b'F', b'', (4 << 20) + 1)", "gave too long an answer"),
        ("say(b'?')", "gave an answer that could not be understood"),
        ("say(b'R', b'abc')", "asked what could not be understood"),
        ("say(b'R', struct.pack('<IQI', 9, 0, 1))", "asked what could not be understood"),
        ("say(b'R', struct.pack('<IQI', 0, 0, 1 << 24))", "asked what could not be understood"),
        ("say(b'X', b'\\xff\\x1b[31m')", "failed by a fault of its own: \ufffd\\x1b[31m"),
    )
    @ddt.unpack
    def test_what_it_says(self, body: str, stopped: str) -> None:
        with self.assertLogs(parent.LOG, logging.WARNING):
            parent.LOG.warning("at least this")
            facts = look(stranger(f"frame()\n{body}"), MemoryDisk(bytes(512)))
        self.assertEqual(stopped, facts.stopped)
        self.assertEqual(["0.raw"], [disk.name for disk in facts.disks])

    def test_only_the_last_of_what_was_found_is_looked_into(self) -> None:
        good = [words.pack(GuestFacts(disks=(), systems=(str(number),))) for number in range(2)]
        start = f"frame()\nfor _ in range(300): say(b'F', b'{{' * 9999)\nsay(b'F', {good[0]!r})\n"
        for end, systems, stopped in (
            (f"say(b'D', {good[1]!r})", ("1",), ""),
            ("sys.exit(3)", ("0",), "ended with the status 3 and without an answer"),
            ("say(b'D', b'{}')", ("0",), "gave an answer that could not be understood"),
        ):
            with mock.patch.object(words, "parse_facts", wraps=words.parse_facts) as parse:
                facts = look(stranger(start + end))
            self.assertEqual((systems, stopped), (facts.systems, facts.stopped))
            self.assertLessEqual(parse.call_count, 2)

    def test_a_large_answer_of_an_honest_child_fits(self) -> None:
        partitions = tuple(
            Partition(
                number=number,
                offset=number << 30,
                length=1 << 30,
                type=36 * "t",
                name=36 * "\u6f22",
                uuid=36 * "u",
                volume=Volume(kind="ext4", label=16 * "\u6f22", uuid=36 * "u"),
            )
            for number in range(256)
        )
        disks = tuple(
            Layout(index=index, name="x.raw", size=1 << 40, scheme="gpt", partitions=partitions) for index in range(8)
        )
        unread = tuple(Unread(what=500 * "p", why=500 * "w") for _ in range(200))
        facts = GuestFacts(disks=disks, unread=unread)
        self.assertLess(len(words.pack(facts)), layout.BODY_MAX)

    def test_it_asks_and_does_not_listen(self) -> None:
        body = "frame()\nwhile True: say(b'R', struct.pack('<IQI', 0, 0, 1 << 20))"
        facts = look(stranger(body), MemoryDisk(bytes(MIB)), guest_time=1)
        self.assertEqual("took longer than 1 s (limit guest_time)", facts.stopped)

    def test_it_says_half_a_word(self) -> None:
        facts = look(stranger("frame()\nsay(b'D', b'{', 100)\ntime.sleep(60)"), guest_time=1)
        self.assertEqual("took longer than 1 s (limit guest_time)", facts.stopped)

    def test_it_reads_on_when_told_to_stop(self) -> None:
        body = """
frame()
kinds = []
for _ in range(5):
    say(b"R", struct.pack("<IQI", 0, 0, 512))
    kinds.append(frame()[0])
sys.exit(kinds == [b"d", b"d", b"s", b"s", b"s"] and 42)
"""
        facts = look(stranger(body), MemoryDisk(bytes(512)), guest_bytes=1024)
        self.assertEqual(("ended with the status 42 and without an answer", 2), (facts.stopped, facts.cost.reads))

    def test_its_cost_is_counted_here(self) -> None:
        plain = json.loads(words.pack(GuestFacts(disks=())))
        plain["cost"]["reads"] = 10**9
        facts = look(stranger(f"frame()\nsay(b'D', {json.dumps(plain).encode()!r})"))
        self.assertEqual(("", 0), (facts.stopped, facts.cost.reads))

    def test_it_cannot_be_started(self) -> None:
        facts = look(["/nonexistent/python"])
        self.assertIn("could not be started: ", facts.stopped)


class WordsTest(unittest.TestCase):
    def test_every_field_of_the_facts_has_a_plain_form(self) -> None:
        seen: set[Any] = set()

        def walk(kind: Any) -> None:
            if dataclasses.is_dataclass(kind) and kind not in seen:
                seen.add(kind)
                for hint in words.READER.hints(kind).values():
                    walk(hint)
            for each in getattr(kind, "__args__", ()):
                walk(each)

        walk(GuestFacts)
        self.assertLess(5, len(seen))
        for kind in seen:
            for name, hint in words.READER.hints(kind).items():
                with self.subTest(kind=kind, name=name), contextlib.suppress(FormatError):
                    words.READER.read(hint, object())

    def test_facts_there_and_back(self) -> None:
        facts = GuestFacts(disks=(), unread=(Unread(what="a\x00é", why="\U0001f600"),), systems=("Linux",))
        self.assertEqual(facts, words.parse_facts(words.pack(facts)))

    def test_a_firmware_that_nobody_knows(self) -> None:
        good = BootStore(firmware=Firmware.UEFI, path="BCD", manager="bootmgfw.efi", manager_present=True)
        plain = json.loads(words.pack(good))
        self.assertEqual(good, words.READER.read(BootStore, plain))
        with self.assertRaisesRegex(FormatError, "firmware: is str, expected a Firmware"):
            words.READER.read(BootStore, plain | {"firmware": "openfirmware"})

    def test_limits_there_and_back(self) -> None:
        limits = Limits(guest_time=3, virtual_size=1 << 60)
        self.assertEqual(limits, words.parse(Limits, words.pack(limits)))
        self.assertEqual(STRICT, words.parse(Limits, words.pack(STRICT)))

    def test_frames(self) -> None:
        self.assertEqual((b"R", 16), layout.parse_head(layout.pack_read(1, 2, 3)[:5]))
        self.assertEqual((1, 1 << 40, 3), layout.parse_read(layout.pack_read(1, 1 << 40, 3)[5:]))
        self.assertIsNone(layout.parse_read(b"x" * 15))
