"""The child: hears its task, gives up all that it does not need, inspects, and says what it found.

What it is left with are the pipes to its parent. It cannot open a file, a socket or a pipe, start a program, or outlive
the thread that started it; memory and computing time have limits.
"""

from __future__ import annotations

import codecs
import os
import resource
import traceback
from typing import TYPE_CHECKING

from xenimage.confinement import compute_only, die_with_parent, keep_privileges_down, lower, out_of_memory
from xenimage.guest.sandbox import layout, words
from xenimage.guest.sandbox.remote import Channel, RemoteDisk

if TYPE_CHECKING:
    from xenimage.limits import Limits

CODECS = (
    "ascii",
    "cp437",
    "cp1252",
    "latin-1",
    "unicode_escape",
    "utf-8",
    "utf-8-sig",
    "utf-16",
    "utf-16-be",
    "utf-16-le",
)
"""which Python loads from files when they are first used, and that is too late here"""
_TEXT_MAX = 16384


def main() -> int:
    """Do one task; the exit status is 0 if there was an answer."""
    # What libraries print must not get between the words.
    saying = os.dup(1)
    os.dup2(2, 1)
    channel = Channel(0, saying)
    try:
        _answer(channel)
    except (EOFError, BrokenPipeError):
        return 1
    except Exception as error:  # noqa: BLE001 - the parent has a log, we have none
        channel.say(*_excuse(error))
    return 0


def _answer(channel: Channel) -> None:
    _, length = channel.hear()
    task = words.parse(words.Task, channel.body(length))
    die_with_parent(task.parent)
    keep_privileges_down()
    _confine(task.limits)
    # Imported behind the limit on memory, in front of that on files.
    from xenimage.guest.inspection import inspect

    for name in CODECS:
        codecs.lookup(name)
    # Not a bound above those that are open: whoever closes one of them could open another.
    lower(resource.RLIMIT_NOFILE, 0)
    compute_only()
    disks = [RemoteDisk(channel, index, disk) for index, disk in enumerate(task.disks)]
    names = [disk.name for disk in task.disks]
    facts = inspect(disks, task.limits, names, lambda found: channel.say(layout.FOUND, words.pack(found)))
    channel.say(layout.DONE, words.pack(facts))


def _confine(limits: Limits) -> None:
    lower(resource.RLIMIT_CORE, 0)
    lower(resource.RLIMIT_FSIZE, 0)
    lower(resource.RLIMIT_NPROC, 0)
    lower(resource.RLIMIT_AS, limits.guest_memory)
    # The parent looks at the clock; this is for a parent that does not come to it.
    lower(resource.RLIMIT_CPU, limits.guest_time + 1)


def _excuse(error: Exception) -> tuple[bytes, bytes]:
    if out_of_memory(error):
        return layout.NO_MEMORY, b""
    return layout.FAULT, "".join(traceback.format_exception(error))[-_TEXT_MAX:].encode("utf-8", "replace")
