"""The child process that reads what tenants upload: started, watched, and never outlived.

Nothing here waits in the kernel. Up to Glance 31 the service may run on eventlet, where one waiting read would stop it
all; ``time.sleep`` lets the others run there, and ``readv`` is the read that eventlet leaves alone.
"""

from __future__ import annotations

import collections
import contextlib
import json
import logging
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from xenimage.engine import hosting
from xenimage.exceptions import ConfigError
from xenimage.glance.errors import RefusedError, UnusableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

LOG = logging.getLogger(__name__)

_CHUNK = 65536
_LINE_MAX = 1 << 20
"""bytes of one line: a child that writes more is not ours any more"""
_TAIL = 40
"""lines of a child's own output that are kept for the log"""
_PAUSE_MIN, _PAUSE_MAX = 0.02, 0.25
"""seconds between two looks: short first, for small images"""
_FAREWELL = 10.0
"""seconds for a child to end after its last word"""


class Watch(NamedTuple):
    """Who is asked and told while the child works."""

    plan: Callable[[int], None]
    """asked, with the bytes that may be written, whether to go on; raises RefusedError if not"""
    progress: Callable[[str, int], None]
    """told the stage and its percentage, often"""
    timeout: float
    """seconds that all of it may take"""


def find_command(configured: str | None, host: Mapping[str, Any]) -> list[str]:
    """Tell how the child is started.

    :param configured: path of the program, from our own group.
    :raises UnusableError: there is no way.
    """
    try:
        return hosting.find_command(configured, host.get("python_interpreter"))
    except ConfigError as error:
        raise UnusableError(str(error)) from error


def run(command: list[str], request: Mapping[str, Any], watch: Watch) -> dict[str, Any]:
    """Let a child do what *request* says; its result.

    :raises RefusedError: the child refused the image, took too long, or was ended by a limit.
    :raises UnusableError: the child cannot be started, or failed by a fault of its own.
    """
    try:
        process = subprocess.Popen(  # noqa: S603 - a program that the operator installed, and no words of the image
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        raise UnusableError(f"{command[0]} cannot be started: {error}") from error
    try:
        return _Dialogue(process, watch).hold(request)
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the child and whatever it started, and bury it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
    end = time.monotonic() + _FAREWELL
    while process.poll() is None:
        if time.monotonic() > end:  # stuck in a device; the kernel ends it when that answers
            LOG.error("process %d does not end", process.pid)
            return
        time.sleep(_PAUSE_MIN)


class _Dialogue:
    """What is said between the two, a JSON object a line; other lines are kept for the log."""

    def __init__(self, process: subprocess.Popen[bytes], watch: Watch) -> None:
        assert process.stdin is not None and process.stdout is not None
        self._process = process
        self._words = process.stdin
        self._descriptor = process.stdout.fileno()
        self._watch = watch
        self._end = time.monotonic() + watch.timeout
        self._tail: collections.deque[str] = collections.deque(maxlen=_TAIL)
        os.set_blocking(self._descriptor, False)

    def hold(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Say *request*, and listen until there is a result."""
        self._say(request)
        for message in self._messages():
            if "progress" in message:
                self._watch.progress(str(message.get("stage", "")), int(message["progress"]))
            elif "plan" in message:
                self._watch.plan(int(message["plan"]))
                self._say({"go": True})
            elif "refused" in message:
                raise RefusedError(str(message["refused"]), str(message.get("detail", "")))
            elif "failed" in message:
                raise UnusableError(str(message["failed"]))
            elif "result" in message:
                return dict(message["result"])
        raise self._died()

    def _say(self, message: Mapping[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError):  # it died: what it said before tells more
            self._words.write(json.dumps(message).encode() + b"\n")
            self._words.flush()

    def _messages(self) -> Iterator[dict[str, Any]]:
        for line in self._lines():
            try:
                message = json.loads(line)
            except ValueError:
                message = None
            if isinstance(message, dict):
                yield message
            else:
                self._tail.append(line.decode("utf-8", "backslashreplace")[:500])

    def _lines(self) -> Iterator[bytes]:
        rest = b""
        pause = _PAUSE_MIN
        buffer = bytearray(_CHUNK)
        while True:
            if time.monotonic() > self._end:
                raise self._too_long()
            try:
                count = os.readv(self._descriptor, [buffer])
            except BlockingIOError:
                time.sleep(pause)
                pause = min(pause * 1.5, _PAUSE_MAX)
                continue
            if count == 0:
                break
            *lines, rest = (rest + bytes(buffer[:count])).split(b"\n")
            if len(rest) > _LINE_MAX:
                raise UnusableError("the child wrote a line without an end")
            yield from lines
        yield rest

    def _too_long(self) -> RefusedError:
        minutes = max(1, round(self._watch.timeout / 60))
        return RefusedError(
            f"Converting the image took longer than the {minutes} min that this server allows. Upload it as a compact"
            " qcow2, without free space of old data in it, or ask the operator of the cloud.",
            f"killed after {self._watch.timeout:.0f} s (timeout)",
        )

    def _died(self) -> RefusedError:
        """Tell an end without a word by its exit status."""
        end = time.monotonic() + _FAREWELL
        while self._process.poll() is None and time.monotonic() < end:
            time.sleep(_PAUSE_MIN)
        status = self._process.returncode
        said = " | ".join(self._tail)
        if status is not None and status < 0:
            name = signal.Signals(-status).name
            detail = f"the child was ended by {name}: the kernel's memory killer, a limit or a crash; it said: {said}"
            return RefusedError(
                "Converting the image was stopped, because it took more memory or computing time than this server"
                " allows. Import it again; if it fails again, ask the operator of the cloud.",
                detail,
            )
        return UnusableError(f"the child ended with {status} and without a result; it said: {said}")
