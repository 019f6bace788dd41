"""Programs that run beside the tests. Each leads its own session, and is ended by its pid."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING

import fixtures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

START = 180
"""seconds that a server may take to answer: other tests keep the machine busy"""
SOON = 60
"""seconds for anything else"""
GRACE = 30
"""seconds between TERM and KILL; Glance lets a running import finish"""
PAUSE = 0.1


def wait_for(what: str, ready: Callable[[], object], seconds: float = SOON) -> None:
    """Return as soon as *ready* says something true; the time is a bound against hanging, no measurement."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: nothing after {seconds} s")
        time.sleep(PAUSE)


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def listens(port: int) -> bool:
    """Whether somebody takes connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def clean() -> dict[str, str]:
    """Our environment without what is meant for us: a server shall find what is installed for it, not the checkout."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "OS_"))}


class Server(fixtures.Fixture):
    """A program that stays. It goes with the tests, also if these are killed: setpriv sees to that.

    :param log: the file for what it says.
    :param ready: whether it answers.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: pathlib.Path,
        ready: Callable[[], object],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self._command = ("setpriv", "--pdeathsig", "TERM", *command)
        self._log = log
        self._ready = ready
        self._environment = {**clean(), **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def _setUp(self) -> None:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
                env=self._environment,
                start_new_session=True,
            )
        self.addCleanup(self._end)
        wait_for(f"{self._command[3]}, see {self._log}", self._answers, START)

    @property
    def pid(self) -> int:
        """Of the program: with uWSGI the master, which leads the session."""
        assert self._process is not None
        return self._process.pid

    def _answers(self) -> object:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"{self._command[3]} ended with {self._process.returncode}, see {self._log}")
        return self._ready()

    def _end(self) -> None:
        assert self._process is not None
        if self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(GRACE)
        self.kill()

    def kill(self) -> None:
        """End the whole session at once, as the kernel does when memory is short."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        assert self._process is not None
        self._process.wait()

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process is not None and self._process.poll() is None

    def family(self) -> Iterator[int]:
        """Yield the pids of the program and of everything below it, parents first."""
        waiting = [self.pid]
        while waiting:
            pid = waiting.pop(0)
            yield pid
            waiting += children(pid)


def children(pid: int) -> list[int]:
    """The pids of a process's children, whichever of its threads started them; none if it is gone."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def resident(pid: int) -> int:
    """Bytes of memory that a process holds."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0
