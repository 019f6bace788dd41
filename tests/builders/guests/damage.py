"""Guests' disks with damage where it matters, and what becomes of those who look into them.

A sound disk is inspected once; what was asked for then is what an inspection lives on: tables, metadata, hives, texts,
initrds. Damage goes there and nowhere else, each read as likely as any other. Checksums that would give it away at once
are computed anew, in half of the cases. A case is a function of the disk's name and a number.
"""

from __future__ import annotations

import binascii
import collections
import dataclasses
import json
import mmap
import os
import random
import resource
import select
import signal
import struct
import time
import traceback
from typing import TYPE_CHECKING, Any
from unittest import mock

from tests.builders.guests.lvm import crc as lvm_crc
from xenimage.checks.guest import registry
from xenimage.cli.text import Style
from xenimage.cli.views import guest as view
from xenimage.guest.inspection import inspect
from xenimage.guest.sandbox import words
from xenimage.guest.window import DiskReader
from xenimage.limits import Limits
from xenimage.model.disk import DiskFacts
from xenimage.model.guest.facts import Cost
from xenimage.profiles.registry import BUILTIN

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator

    from xenimage.model.guest.facts import GuestFacts

MIB = 1 << 20
PAGE = 4096
SECTOR = 512
MEMORY = 512 * MIB
"""that a process may use beyond what it begins with"""
LIMITS = dataclasses.replace(Limits(), guest_time=10)
GRACE = 10.0
"""seconds beyond the limit after which an inspection hangs"""
_NUMBERS = (
    0,
    1,
    2,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    1 << 40,
    (1 << 63) - 1,
)


class Image:
    """A sound disk and the ranges of it that an inspection asks for, in pieces of at most a page."""

    def __init__(self, name: str, path: pathlib.Path) -> None:
        self.name = name
        with path.open("rb") as file:
            self.content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        asked: dict[tuple[int, int], None] = {}

        def read(reader: DiskReader, offset: int, length: int) -> bytes:
            asked[offset, length] = None
            return original(reader, offset, length)

        original = DiskReader.read
        with mock.patch.object(DiskReader, "read", read):
            self.facts = without_cost(inspect([Damaged(self, {}, len(self.content))], LIMITS, [name]))
        self.reads = [pieces for offset, length in asked if (pieces := list(self._pieces(offset, length)))]

    def _pieces(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        """The pages of a range that are not empty, the first and the last cut to it."""
        end = min(offset + length, len(self.content))
        while offset < end:
            stop = min(end, (offset // PAGE + 1) * PAGE)
            if any(self.content[offset:stop]):
                yield offset, stop - offset
            offset = stop

    def piece(self, chance: random.Random) -> tuple[int, int]:
        """Some range that is read."""
        return chance.choice(chance.choice(self.reads))


def without_cost(facts: GuestFacts) -> GuestFacts:
    """The facts, and not what they took."""
    return dataclasses.replace(facts, cost=Cost())


class Damaged:
    """A disk with other bytes in some places, and perhaps an early end."""

    def __init__(self, image: Image, patches: dict[int, bytes], size: int) -> None:
        self.image = image
        self.patches = patches
        self.facts = DiskFacts(format="raw", virtual_size=size, granularity=SECTOR, stored_size=size)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        end = offset + len(buffer)
        assert 0 <= offset <= end <= self.facts.virtual_size, f"outside: {offset}+{len(buffer)}"
        buffer[:] = self.image.content[offset:end]
        for at, data in self.patches.items():
            first, last = max(at, offset), min(at + len(data), end)
            if first < last:
                buffer[first - offset : last - offset] = data[first - at : last - at]

    def unreadable(self) -> None:
        return None

    def close(self) -> None:
        pass


def damaged(image: Image, number: int) -> Damaged:
    """The case *number* of *image*."""
    chance = random.Random(f"{image.name} {number}")
    pages: dict[int, bytearray] = {}
    near = image.piece(chance)
    for _ in range(min(16, 1 + int(chance.expovariate(0.5)))):
        # Half of the damage stays together: one structure that contradicts itself.
        offset, length = near if chance.random() < 0.5 else image.piece(chance)
        index, start = divmod(offset, PAGE)
        page = pages.setdefault(index, bytearray(image.content[index * PAGE : (index + 1) * PAGE]))
        _hurt(image, page, range(start, start + length), chance)
    if chance.random() < 0.5:
        for index, page in pages.items():
            _mend_checksums(image, index, page)
    size = len(image.content)
    if chance.random() < 0.03:
        size = chance.randrange(1, size // SECTOR) * SECTOR
    patches = {index * PAGE: bytes(page) for index, page in pages.items()}
    if chance.random() < 0.5:
        _mend_gpt(image, patches)
    return Damaged(image, patches, size)


def _hurt(image: Image, page: bytearray, part: range, chance: random.Random) -> None:
    used = [at for at in part if page[at]]
    at = chance.choice(used) if used and chance.random() < 0.8 else chance.choice(part)
    kind = chance.random()
    if kind < 0.35:
        page[at] ^= 1 << chance.randrange(8)
    elif kind < 0.5:
        page[at] = chance.randrange(256)
    elif kind < 0.9:
        width = chance.choice((2, 4, 8))
        at -= at % width
        order = chance.choice(("little", "big"))
        old = int.from_bytes(page[at : at + width], order)  # type: ignore[arg-type]
        new = chance.choice((*_NUMBERS, old + 1, old - 1, old << 8, old >> 8, ~old, chance.getrandbits(64)))
        page[at : at + width] = (new % (1 << 8 * width)).to_bytes(width, order)  # type: ignore[arg-type]
    else:
        at -= at % SECTOR
        other = image.piece(chance)[0] // SECTOR * SECTOR
        page[at : at + SECTOR] = chance.choice(
            (bytes(SECTOR), b"\xff" * SECTOR, chance.randbytes(SECTOR), image.content[other : other + SECTOR])
        )


def _mend_checksums(image: Image, index: int, page: bytearray) -> None:
    """Make the checksums in a page right: of a hive's head, of LVM's label and metadata area, of XFS's superblock."""
    if page[:4] == b"regf":
        total = 0
        for (word,) in struct.iter_unpack("<I", page[:508]):
            total ^= word
        page[508:512] = struct.pack("<I", total)
    for at in range(0, PAGE, SECTOR):
        if page[at : at + 8] == b"LABELONE":
            page[at + 16 : at + 20] = struct.pack("<I", lvm_crc(bytes(page[at + 20 : at + SECTOR])))
    if page[4:20] == b" LVM2 x[5A%r0N*>":
        offset, size = struct.unpack_from("<QQ", page, 40)
        base = index * PAGE + offset
        text = image.content[base : base + size] if size < MIB else b""
        page[56:60] = struct.pack("<I", lvm_crc(text))
        page[:4] = struct.pack("<I", lvm_crc(bytes(page[4:SECTOR])))


def _mend_gpt(image: Image, patches: dict[int, bytes]) -> None:
    """Make the checksums of a GPT in the first pages right."""
    head = bytearray(image.content[: 5 * PAGE])
    for at, data in patches.items():
        if at < len(head):
            head[at : at + len(data)] = data
    if head[512:520] != b"EFI PART":
        return
    count, size = struct.unpack_from("<II", head, 512 + 80)
    rows = bytes(head[1024 : 1024 + min(count * size, len(head) - 1024)])
    struct.pack_into("<I", head, 512 + 88, binascii.crc32(rows))
    struct.pack_into("<I", head, 512 + 16, 0)
    struct.pack_into("<I", head, 512 + 16, binascii.crc32(head[512 : 512 + 92]))
    patches[0] = bytes(head)


def answer(image: Image, number: int) -> GuestFacts:
    """Inspect, judge and show a case. Whatever raises here is a fault, but for a lack of memory."""
    facts = inspect([damaged(image, number)], LIMITS, [image.name], _tell)
    facts = _tell(facts)
    for profile in BUILTIN.values():
        registry.judge(facts, profile)
        registry.suggest(facts, profile)
    for line in view.lines(facts, Style()):
        assert line.isprintable(), line
    return facts


def _tell(facts: GuestFacts) -> GuestFacts:
    """The facts as they come out of the pipe."""
    return words.parse_facts(words.pack(facts))


@dataclasses.dataclass
class Outcome:
    """What became of some cases."""

    cases: int = 0
    faults: list[str] = dataclasses.field(default_factory=list)
    """what must not be, each with the case that shows it"""
    stopped: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    """why inspections ended early"""
    systems: int = 0
    """cases in which an operating system was still found"""
    unread: int = 0
    """cases in which something was told to be unreadable"""
    changed: int = 0
    """cases in which other things were found, as another disk would have them"""
    untouched: int = 0
    """cases in which the damage made no difference"""
    slowest: float = 0.0
    """seconds of computing time"""
    memory: int = 0
    """bytes: the largest process"""

    def add(self, other: Outcome) -> None:
        """Take in *other*."""
        self.cases += other.cases
        self.faults += other.faults
        self.stopped += other.stopped
        self.systems += other.systems
        self.unread += other.unread
        self.changed += other.changed
        self.untouched += other.untouched
        self.slowest = max(self.slowest, other.slowest)
        self.memory = max(self.memory, other.memory)


def run(image: Image, numbers: range) -> Outcome:
    """Take the cases through in processes of their own, each of which does as many as it survives."""
    outcome = Outcome()
    rest = list(numbers)
    while rest:
        done = _batch(image, rest, outcome)
        rest = rest[done:]
    return outcome


def _batch(image: Image, numbers: list[int], outcome: Outcome) -> int:
    """Let a process do *numbers* until it is through or dies; how many are done then."""
    hearing, saying = os.pipe()
    process = os.fork()
    if not process:
        os.close(hearing)
        _work(image, numbers, saying)
    os.close(saying)
    with open(hearing, "rb", buffering=0) as pipe:
        done, hung = _listen(image, numbers, pipe, outcome)
    if hung:
        os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    if hung or done < len(numbers):
        why = "hangs" if hung else f"ends its process: {os.waitstatus_to_exitcode(status)}"
        outcome.faults.append(f"{image.name} {numbers[done]}: {why}")
        outcome.cases += 1
        done += 1
    return done


def _work(image: Image, numbers: list[int], saying: int) -> None:
    with open("/proc/self/statm", encoding="ascii") as file:
        bound = int(file.read().split()[0]) * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in numbers:
        start = time.process_time()
        result: dict[str, Any] = {}
        try:
            facts = answer(image, number)
        except MemoryError:
            result["stopped"] = "out of memory"
        except BaseException as error:  # noqa: BLE001 - that is what is looked for
            result["fault"] = "".join(traceback.format_exception(error)[-4:])
        else:
            result["stopped"] = facts.stopped
            result["systems"] = len(facts.systems)
            result["unread"] = len(facts.unread) + sum(len(disk.remarks) for disk in facts.disks)
            result["changed"] = without_cost(facts) != image.facts
        result["seconds"] = time.process_time() - start
        result["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        os.write(saying, json.dumps(result).encode() + b"\n")
    os._exit(0)


def _listen(image: Image, numbers: list[int], pipe: Any, outcome: Outcome) -> tuple[int, bool]:
    done = 0
    for result in _results(pipe):
        if result is None:
            return done, True
        if "fault" in result:
            outcome.faults.append(f"{image.name} {numbers[done]}: {result['fault']}")
        elif result["stopped"]:
            outcome.stopped[result["stopped"]] += 1
        elif result.get("unread"):
            outcome.unread += 1
        elif result["changed"]:
            outcome.changed += 1
        else:
            outcome.untouched += 1
        outcome.systems += bool(result.get("systems"))
        outcome.slowest = max(outcome.slowest, result["seconds"])
        outcome.memory = max(outcome.memory, result["memory"])
        outcome.cases += 1
        done += 1
    return done, False


def _results(pipe: Any) -> Iterator[dict[str, Any] | None]:
    """Yield what is said, line by line; None where nothing is said for too long."""
    rest = b""
    while True:
        ready, _, _ = select.select([pipe], [], [], LIMITS.guest_time + GRACE)
        if not ready:
            yield None
            return
        part = pipe.read(1 << 16)
        if not part:
            return
        *lines, rest = (rest + part).split(b"\n")
        yield from (json.loads(line) for line in lines)
