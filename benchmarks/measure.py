"""Run whole commands and account for them: wall clock, processor time, peak memory."""

from __future__ import annotations

import dataclasses
import os
import shlex
import statistics
import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Sequence


WARM = (".qcow2", ".vmdk", ".vhd")
"""files that are brought into memory before a command that names them is timed"""


@dataclasses.dataclass(frozen=True)
class Run:
    """One finished command."""

    wall: float
    """seconds"""
    cpu: float
    """seconds, user and system, of all its processes"""
    memory: int
    """bytes: peak of its largest process"""


@dataclasses.dataclass(frozen=True)
class Figures:
    """The medians of several runs of one command."""

    wall: float
    cpu: float
    memory: int
    runs: int


def run(command: Sequence[str], directory: pathlib.Path) -> Run:
    """Run a command to its end; a failing one ends the benchmark."""
    # What the last command left unwritten is no concern of this one: ours waits for the disk, the recipe does not. And
    # each finds its source in memory, however long the other one took before it.
    os.sync()
    for word in shlex.split(command[-1]):
        if (directory / word).suffix in WARM and (directory / word).is_file():
            _read_through(directory / word)
    start = time.perf_counter()
    with subprocess.Popen(command, cwd=directory, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def _read_through(path: pathlib.Path) -> None:
    with path.open("rb", buffering=0) as file:
        while file.read(1 << 22):
            pass


def shell(text: str) -> list[str]:
    """The command that a shell understands."""
    return ["sh", "-ec", text]


def medians(runs: Sequence[Run]) -> Figures:
    """What is quoted of several runs."""
    return Figures(
        statistics.median(each.wall for each in runs),
        statistics.median(each.cpu for each in runs),
        max(each.memory for each in runs),
        len(runs),
    )


def in_turn(
    commands: Sequence[Sequence[str]],
    directory: pathlib.Path,
    times: int,
    say: Callable[[str], None] = lambda _text: None,
) -> list[Figures]:
    """Run several commands in turn, *times* rounds; the medians of each."""
    results: list[list[Run]] = [[] for _ in commands]
    for round_ in range(times):
        for command, runs in zip(commands, results, strict=True):
            done = run(command, directory)
            say(f"  round {round_}: {done.wall:6.2f} s  {command[-1][:90]}")
            runs.append(done)
    return [medians(each) for each in results]
