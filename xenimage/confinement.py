"""What bounds a child process: the kernel's limits, its system calls, and the life of the thread that started it."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_SECCOMP = 22
_PR_SET_NO_NEW_PRIVS = 38

_NO_MEMORY = ("new thread", "failed to map segment", "annot allocate memory", "cannot apply additional memory")
"""in what the interpreter and the dynamic loader say when the kernel gives them no memory"""

# Linux, include/uapi/linux/seccomp.h, audit.h and filter.h: a program for each call, over its number and arguments.
_SECCOMP_MODE_FILTER = 2
_ALLOW = 0x7FFF0000
_REFUSE = 0x00050000 | errno.EPERM
_NUMBER_AT, _MACHINE_AT, _FIRST_ARGUMENT_AT = 0, 4, 16
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
"""what the kernel calls the machine, and the column below"""
_CALLS = {
    "read": (0, 63),
    "readv": (19, 65),
    "write": (1, 64),
    "close": (3, 57),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "mremap": (25, 216),
    "munmap": (11, 215),
    "madvise": (28, 233),
    "brk": (12, 214),
    "futex": (202, 98),
    "sched_yield": (24, 124),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "restart_syscall": (219, 128),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "gettimeofday": (96, 169),
    "getpid": (39, 172),
    "getppid": (110, 173),
    "gettid": (186, 178),
    "getrandom": (318, 278),
    "getrusage": (98, 165),
    "sysinfo": (99, 179),
    "prctl": (157, 167),
    "exit": (60, 93),
    "exit_group": (231, 94),
}
"""what computing needs, and talking over pipes that are there; no call that takes a path, or another process"""
_PRLIMIT = (302, 261)
"""which takes a process, and may have none but the caller itself: 0"""


class _Instruction(ctypes.Structure):
    """``struct sock_filter``: a jump tells how many instructions it passes over, where equal and where not."""

    _fields_ = (
        ("code", ctypes.c_uint16),
        ("equal", ctypes.c_uint8),
        ("other", ctypes.c_uint8),
        ("value", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    """``struct sock_fprog``."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.POINTER(_Instruction)))


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


def out_of_memory(error: BaseException) -> bool:
    """Whether *error* is what the limit on memory looks like where it strikes: also in a loader or a new stack."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    return any(words in str(error) for words in _NO_MEMORY)


def lower(which: int, value: int) -> None:
    """Lower a limit of the kernel (``resource.RLIMIT_*``) for good; one that is lower already stays."""
    _, hard = resource.getrlimit(which)
    bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (bound, bound))


def compute_only() -> bool:
    """Let the kernel refuse this process every system call (EPERM) that is not for computing or for its open pipes.

    It opens and changes no file, starts no process, and reaches no other one, even where it runs as root.

    :return: whether the kernel does: not on machines whose calls are not known here, nor where it was built without.
    """
    machine = _MACHINES.get(os.uname().machine)
    if machine is None or sys.maxsize < 1 << 32:
        return False
    lines = [_Instruction(*line) for line in _instructions(*machine)]
    program = _Program(len(lines), (_Instruction * len(lines))(*lines))
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program)) == 0)


def _instructions(machine: int, column: int) -> list[tuple[int, int, int, int]]:
    numbers = [each[column] for each in _CALLS.values()]
    count = len(numbers)
    return [
        (_LOAD, 0, 0, _MACHINE_AT),
        (_JUMP_IF_EQUAL, 0, count + 4, machine),
        (_LOAD, 0, 0, _NUMBER_AT),
        *((_JUMP_IF_EQUAL, count + 3 - at, 0, number) for at, number in enumerate(numbers)),
        (_JUMP_IF_EQUAL, 0, 2, _PRLIMIT[column]),
        (_LOAD, 0, 0, _FIRST_ARGUMENT_AT),
        (_JUMP_IF_EQUAL, 1, 0, 0),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]
