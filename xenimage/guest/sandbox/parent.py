"""The parent: starts the child, reads the disks for it, and takes its answer for what a stranger says.

Whatever the child does there is an answer, from what it said last: it may crash, use up its memory, or never end.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import xenimage
from xenimage.exceptions import FormatError, TransferError, XenimageError
from xenimage.guest.sandbox import layout, words
from xenimage.model.guest.facts import Cost, GuestFacts
from xenimage.model.guest.layout import Layout
from xenimage.units import format_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xenimage.limits import Limits
    from xenimage.model.disk import Disk

LOG = logging.getLogger(__name__)

_CODE = "import sys; sys.path.append(sys.argv[1]); from xenimage.guest.sandbox.child import main; sys.exit(main())"
_GRACE = 0.5
"""seconds for a child that looked at the clock itself, to say so"""
_FAREWELL = 5.0
"""seconds for a process to end once it was killed"""

_POLL_MAX = 2**31 - 1
"""milliseconds that poll takes"""


class _Over(Exception):  # noqa: N818 - an end, not an error
    """There is nothing more to hear. The text says why, and is empty if all was said."""


def inspect(
    disks: Sequence[Disk], limits: Limits, names: Sequence[str], command: Sequence[str] | None = None
) -> GuestFacts:
    """Look into the disks of one guest, in a child process that has no access to anything.

    :param names: what messages call the disks.
    :param command: how the child is started, instead of by this interpreter.
    :return: what was found; ``stopped`` says why it may not be all.
    :raises TransferError: a disk's source failed.
    """
    started = time.monotonic()
    empty = GuestFacts(
        disks=tuple(
            Layout(index=index, name=name, size=disk.facts.virtual_size, scheme="")
            for index, (disk, name) in enumerate(zip(disks, names, strict=True))
        )
    )
    try:
        process = _start(command or default_command())
    except OSError as error:
        return dataclasses.replace(empty, stopped=f"could not be started: {error}")
    try:
        dialogue = _Dialogue(process, disks, limits, empty)
        facts = dialogue.hold(names)
    finally:
        _end(process)
    cost = Cost(reads=dialogue.reads, bytes_read=dialogue.bytes_read, seconds=round(time.monotonic() - started, 3))
    return dataclasses.replace(facts, cost=cost)


def default_command() -> list[str]:
    """How the child is started: by this interpreter, with the package that runs now.

    :raises FileNotFoundError: no interpreter is known.
    """
    program = sys.executable or ""
    if not os.path.basename(program).startswith("python"):  # embedded, as under uWSGI
        program = os.path.join(sys.exec_prefix, "bin", "python3")
    if not os.access(program, os.X_OK):
        raise FileNotFoundError(f"no Python interpreter at {program}")
    return [program, "-P", "-c", _CODE, os.path.dirname(os.path.dirname(os.path.abspath(xenimage.__file__)))]


def _start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own interpreter, and no word of the image
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        bufsize=0,
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the child, and bury it."""
    process.kill()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_FAREWELL)


class _Dialogue:
    """What is said between the two until there is an answer."""

    def __init__(
        self, process: subprocess.Popen[bytes], disks: Sequence[Disk], limits: Limits, facts: GuestFacts
    ) -> None:
        assert process.stdin is not None and process.stdout is not None
        self._process = process
        self._disks = disks
        self._limits = limits
        self._facts = facts
        self._found: bytes | None = None
        """the facts so far as the child told them last; only the last ones are looked into, however many come"""
        self._end = time.monotonic() + limits.guest_time + _GRACE
        self._hearing, self._saying = process.stdout.fileno(), process.stdin.fileno()
        self._poll = {
            self._hearing: _poll(self._hearing, select.POLLIN),
            self._saying: _poll(self._saying, select.POLLOUT),
        }
        self.reads = 0
        self.bytes_read = 0

    def hold(self, names: Sequence[str]) -> GuestFacts:
        """Listen until everything is said.

        :raises TransferError: a disk's source failed.
        """
        task = words.Task(
            parent=os.getpid(),
            disks=tuple(
                words.DiskTask(
                    name=name,
                    format=disk.facts.format,
                    size=disk.facts.virtual_size,
                    granularity=disk.facts.granularity,
                )
                for disk, name in zip(self._disks, names, strict=True)
            ),
            limits=self._limits,
        )
        stopped = ""
        try:
            self._say(layout.BEGIN, words.pack(task))
            while True:
                self._answer(*self._hear())
        except _Over as over:
            stopped = str(over)
        try:
            if self._found is not None:
                self._facts = _understood(self._found)
        except _Over as over:
            stopped = str(over)
        return dataclasses.replace(self._facts, stopped=stopped) if stopped else self._facts

    def _answer(self, kind: bytes, body: bytes) -> None:
        if kind == layout.READ:
            self._serve(body)
        elif kind == layout.FOUND:
            self._found = body
        elif kind == layout.DONE:
            self._facts = _understood(body)
            self._found = None
            raise _Over
        elif kind == layout.NO_MEMORY:
            raise _Over(f"took more than {format_size(self._limits.guest_memory)} of memory (limit guest_memory)")
        elif kind == layout.FAULT:
            text = [_printable(line) for line in body.decode("utf-8", "replace").rstrip().splitlines()]
            LOG.error("the inspection of the guest failed:\n%s", "\n".join(text))
            raise _Over(f"failed by a fault of its own: {''.join(text[-1:])}")
        else:
            raise _Over("gave an answer that could not be understood")

    def _serve(self, body: bytes) -> None:
        """Read for the child, or tell it why not."""
        asked = layout.parse_read(body)
        if asked is None or asked[0] >= len(self._disks) or asked[2] > layout.READ_MAX:
            raise _Over("asked what could not be understood")
        index, offset, length = asked
        if self.bytes_read + length > self._limits.guest_bytes:
            bound = format_size(self._limits.guest_bytes)
            self._say(layout.STOP, f"read {bound} of the disks (limit guest_bytes)".encode())
            return
        disk = self._disks[index]
        if offset + length > disk.facts.virtual_size:
            self._refuse(FormatError(f"{length} bytes at {offset:#x} lie outside the disk"))
            return
        buffer = bytearray(length)
        try:
            disk.read_into(offset, memoryview(buffer))
        except TransferError:
            raise
        except XenimageError as error:
            self._refuse(error)
            return
        self.reads += 1
        self.bytes_read += length
        self._say(layout.DATA, buffer)

    def _refuse(self, error: XenimageError) -> None:
        self._say(layout.REFUSED, words.pack(words.Refusal(exit_code=error.exit_code, text=str(error))))

    def _say(self, kind: bytes, body: bytes | bytearray) -> None:
        for part in (layout.pack_head(kind, len(body)), body):
            rest = memoryview(part)
            while rest:
                try:
                    rest = rest[os.write(self._saying, rest) :]
                except BlockingIOError:
                    self._wait(self._saying)
                except BrokenPipeError:
                    raise self._died() from None

    def _hear(self) -> tuple[bytes, bytes]:
        kind, length = layout.parse_head(self._take(layout.HEAD_SIZE))
        if length > layout.BODY_MAX:
            raise _Over("gave too long an answer")
        return kind, self._take(length)

    def _take(self, length: int) -> bytes:
        parts = bytearray()
        while len(parts) < length:
            self._wait(self._hearing)
            try:
                part = os.read(self._hearing, length - len(parts))
            except BlockingIOError:
                continue
            if not part:
                raise self._died()
            parts += part
        return bytes(parts)

    def _wait(self, descriptor: int) -> None:
        """Wait until *descriptor* can be used."""
        left = self._end - time.monotonic()
        if left <= 0 or not self._poll[descriptor].poll(min(1000 * left, _POLL_MAX)):
            raise _Over(f"took longer than {self._limits.guest_time} s (limit guest_time)")

    def _died(self) -> _Over:
        """Tell an end without a word by its exit status."""
        try:
            status = self._process.wait(_FAREWELL)
        except subprocess.TimeoutExpired:
            return _Over("went silent")
        if status >= 0:
            return _Over(f"ended with the status {status} and without an answer")
        number = -status
        name = signal.Signals(number).name if number in set(signal.Signals) else str(number)
        if number in (signal.SIGKILL, signal.SIGXCPU):
            return _Over(f"was ended by {name}, a limit of the system")
        return _Over(f"crashed ({name})")


def _understood(body: bytes) -> GuestFacts:
    """The facts in *body*."""
    try:
        return words.parse_facts(body)
    except FormatError as error:
        LOG.warning("what was found in the guest could not be understood: %s", error)
        raise _Over("gave an answer that could not be understood") from None


def _poll(descriptor: int, events: int) -> select.poll:
    os.set_blocking(descriptor, False)
    poll = select.poll()
    poll.register(descriptor, events)
    return poll


def _printable(line: str) -> str:
    """*line* with escapes for what a terminal would obey: logs go there, too."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line)
