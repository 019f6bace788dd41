"""The child: reads a request from its standard input, confines itself, does the work, and says what came of it.

It is the only process of the import that looks into what a tenant uploaded. Everything it may use up has a limit, and
it is killed with the thread that started it.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from typing import TYPE_CHECKING, Any

from xenimage.confinement import out_of_memory
from xenimage.glance.confinement import confine
from xenimage.glance.errors import RefusedError, UnusableError
from xenimage.glance.request import parse

if TYPE_CHECKING:
    from collections.abc import Mapping

_INTERVAL = 0.5
"""seconds between two words on progress"""

OUT_OF_MEMORY = (
    "Converting the image takes more memory than this server allows. Upload it as a plain qcow2 (qemu-img convert -O"
    " qcow2), or ask the operator of the cloud."
)


class Channel:
    """The child's end of the dialogue; also the watcher of the work."""

    def __init__(self, hearing: int, saying: int) -> None:
        self._hearing = os.fdopen(hearing, "rb", closefd=False)
        self._saying = saying
        self._stage = ""
        self._total = 0
        self._done = 0
        self._next = 0.0

    def hear(self) -> bytes:
        """Return the next line; empty where there is none any more."""
        return self._hearing.readline()

    def say(self, message: Mapping[str, Any]) -> None:
        """Say one thing, in one write if it is short."""
        line = memoryview(json.dumps(message).encode() + b"\n")
        while line:
            line = line[os.write(self._saying, line) :]

    def ask_room(self, needed: int) -> None:
        """Tell how many bytes may be written, and wait for the answer. Whoever refuses kills us."""
        self.say({"plan": needed})
        if not self.hear():
            raise RefusedError("The import was given up.", "the service went away")

    def start(self, what: str, total: int) -> None:
        """See :class:`xenimage.model.transfer.Progress`."""
        self._stage, self._total, self._done = what, total, 0

    def advance(self, count: int) -> None:
        """See :class:`xenimage.model.transfer.Progress`."""
        self._done += count
        now = time.monotonic()
        if now >= self._next and self._total:
            self._next = now + _INTERVAL
            self.say({"stage": self._stage, "progress": min(100, 100 * self._done // self._total)})

    def stop(self) -> None:
        """See :class:`xenimage.model.transfer.Progress`."""


def main() -> int:
    """Do one request; the exit status is 0 if there was an answer, good or not."""
    # What libraries print must not get between the words.
    saying = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    channel = Channel(sys.stdin.fileno(), saying)
    try:
        channel.say(_answer(channel))
    except BrokenPipeError:
        return 1
    return 0


def _answer(channel: Channel) -> dict[str, Any]:
    try:
        request = parse(channel.hear())
        confine(request)
        # Imported behind the limits: from here on everything is bounded.
        from xenimage.glance import conversion

        return {"result": conversion.perform(request, channel)}
    except Exception as error:  # noqa: BLE001 - the parent has a log, we have none
        return _excuse(error)


def _excuse(error: Exception) -> dict[str, Any]:
    if isinstance(error, UnusableError):
        return {"failed": error.detail}
    if isinstance(error, RefusedError):
        return {"refused": error.text, "detail": error.detail}
    if out_of_memory(error):
        return {"refused": OUT_OF_MEMORY, "detail": f"{type(error).__name__}: {error} (memory in [xenimage])"}
    return {"failed": "".join(traceback.format_exception(error))}
