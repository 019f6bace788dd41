"""Where the log goes: to standard error, to a file, or nowhere."""

from __future__ import annotations

import logging
import os
import stat
import sys
from typing import TYPE_CHECKING

from xenimage.cli.text import without_secrets
from xenimage.exceptions import UsageError
from xenimage.units import KIB

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

_FILES = (
    *("files", "source", "backing", "output", "bundle", "first", "second", "second_backing"),
    *("disk", "disks", "html", "undo", "child", "parent"),
)
"""arguments of the commands that name files"""
_LOOK = 4 * KIB
"""bytes of an existing file that are looked at: no disk, and no piece of one, starts with so much text"""


class _Formatter(logging.Formatter):
    """Libraries log the addresses that they go to, with what stands in them."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without secrets."""
        return without_secrets(super().format(record))


def configure(options: argparse.Namespace, arguments: argparse.Namespace) -> None:
    """Send the log where the global *options* want it. Without them Python shows warnings and errors by itself.

    :param arguments: the command's own: what it reads and writes is no place for a log.
    :raises UsageError: the log file cannot be opened, or is one of those.
    """
    root = logging.getLogger()
    if options.log_file:
        _refuse_others(options.log_file, [*_named(arguments), *options.config_files])
        try:
            _refuse_binary(options.log_file)
            file = logging.FileHandler(options.log_file, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"--log-file {options.log_file}: {error.strerror}") from error
        file.setFormatter(_Formatter("%(asctime)s %(levelname)-8s %(name)s %(message)s"))
        root.addHandler(file)
        root.setLevel(logging.DEBUG)
    if options.debug or options.verbose_level > 1 or options.log_file:
        console = logging.StreamHandler(sys.stderr)
        console.setFormatter(_Formatter("%(levelname)s %(name)s: %(message)s"))
        quiet_level = logging.WARNING if options.verbose_level < 2 else logging.INFO
        console.setLevel(logging.DEBUG if options.debug or options.verbose_level > 2 else quiet_level)
        root.addHandler(console)
        root.setLevel(min(root.level, console.level))


def _named(arguments: argparse.Namespace) -> Iterator[str]:
    for name in _FILES:
        value = getattr(arguments, name, None)
        if isinstance(value, str):
            yield value
        elif value:
            yield from value


def _refuse_others(log_file: str, files: list[str]) -> None:
    for path in files:
        if _same(log_file, path):
            raise UsageError(f"--log-file {log_file}: is the file {path} of this command", expected="a file of its own")


def _same(first: str, second: str) -> bool:
    """Whether two names mean one file, also where there is none yet."""
    try:
        return os.path.samefile(first, second)
    except OSError:
        return os.path.realpath(first) == os.path.realpath(second)


def _refuse_binary(path: str) -> None:
    """Keep the log out of what is no log: files that an image consists of are not on the command line.

    :raises OSError: the file is there and cannot be looked at.
    """
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISREG(mode):
        with open(path, "rb") as stream:
            binary = b"\0" in stream.read(_LOOK)
    else:
        binary = stat.S_ISBLK(mode)
    if binary:
        raise UsageError(f"--log-file {path}: holds data that is no text", expected="a log, or a new file")
