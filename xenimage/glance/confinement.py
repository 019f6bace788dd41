"""What bounds the child: the kernel's limits, and the life of the thread that started it."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
from typing import TYPE_CHECKING

from xenimage.glance.errors import UnusableError

if TYPE_CHECKING:
    from xenimage.glance.request import Request

_PR_SET_PDEATHSIG = 1
_FILES = 64
"""descriptors: the source, the result, the pipes, a few of the interpreter"""


def confine(request: Request) -> None:
    """Give up what is not needed, and live no longer than the parent.

    :raises UnusableError: the parent is gone already, or is none of ours.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise UnusableError(f"prctl: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != request.parent:
        raise UnusableError(
            f"started by process {os.getppid()} and not by {request.parent}: worker must be the program itself"
        )
    settings = request.settings
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, _FILES)
    _limit(resource.RLIMIT_AS, settings.memory)
    _limit(resource.RLIMIT_CPU, settings.cpu_time)
    if settings.max_output_size is not None:
        limit_output(settings.max_output_size)


def limit_output(size: int) -> None:
    """Let no file grow beyond *size* bytes."""
    _limit(resource.RLIMIT_FSIZE, size)


def _limit(which: int, value: int) -> None:
    """Lower a limit for good; one that is lower already stays."""
    _, hard = resource.getrlimit(which)
    bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (bound, bound))
