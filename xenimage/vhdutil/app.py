"""From the words of the command line to an exit status: that of the sub-command, an errno where it failed."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from typing import TYPE_CHECKING

from xenimage.exceptions import XenimageError
from xenimage.vhdutil.terminal import UtilError, explain, status_of, warn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NAMES = ("create", "snapshot", "query", "read", "set", "repair", "resize", "coalesce", "modify", "scan", "check")
USAGE = f"""\
usage: vhd-util COMMAND [OPTIONS]
COMMANDS:  {" ".join(NAMES)}
COMMAND -h shows the options of a command."""


def main(words: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit status."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # a test may have put something simpler there
            stream.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]
    words = list(sys.argv[1:] if words is None else words)
    if words[:1] == ["--debug"]:
        del words[0]
    try:
        status = _run(words)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        return 130
    return status


def _run(words: Sequence[str]) -> int:
    command = _command(words[0]) if words else None
    if command is None:
        # Upstream ends with 0 here.
        print(USAGE)
        return 0
    try:
        return command(words[1:])
    except UtilError as error:
        if isinstance(error.__cause__, XenimageError):
            explain(error.__cause__)
        if error.line:
            print(error.line)
        return error.status
    except XenimageError as error:
        explain(error)
        return status_of(error)
    except MemoryError:
        warn("out of memory")
        return errno.ENOMEM


def _command(name: str) -> Callable[[Sequence[str]], int] | None:
    """Import one sub-command alone: consumers start this program many times for one disk."""
    if name == "query":
        from xenimage.vhdutil import query

        return query.query
    if name == "check":
        from xenimage.vhdutil import check

        return check.check
    if name in ("modify", "set", "repair", "resize"):
        from xenimage.vhdutil import change

        return {"modify": change.modify, "set": change.set_field, "repair": change.repair}.get(name, change.resize)
    if name in ("coalesce", "create", "snapshot"):
        from xenimage.vhdutil import chain

        return {"coalesce": chain.coalesce, "create": chain.create}.get(name, chain.snapshot)
    if name in ("read", "scan"):
        from xenimage.vhdutil import read, scan

        return read.read if name == "read" else scan.scan
    return None
