"""What bounds a child process: the kernel's limits, and the life of the thread that started it."""

from __future__ import annotations

import ctypes
import os
import resource
import signal

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38


def die_with_parent(parent: int) -> None:
    """Let the kernel kill this process when the thread that started it ends.

    :param parent: the process that should be it.
    :raises OSError: the kernel refuses; ChildProcessError where the parent is gone already, or is another one.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(f"prctl: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:
        raise ChildProcessError(f"started by process {os.getppid()} and not by {parent}")


def keep_privileges_down() -> None:
    """Let no program that this process may start have more rights than it has itself.

    :raises OSError: the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(f"prctl: {os.strerror(ctypes.get_errno())}")


def lower(which: int, value: int) -> None:
    """Lower a limit of the kernel (``resource.RLIMIT_*``) for good; one that is lower already stays."""
    _, hard = resource.getrlimit(which)
    bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (bound, bound))
