"""The one place from an exception to a message and an exit code."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TextIO

from xenimage.cli.text import Style, finding_lines, findings_section, visible, without_secrets
from xenimage.exceptions import NotReadyError, TransferError, XenimageError
from xenimage.model.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

INTERNAL = 1
NOT_READY = NotReadyError.exit_code
WITH_LOSS = 8
"""exit code of work that is done, with a loss that the user allowed and the report lists"""
INTERRUPTED = 130
BROKEN_PIPE = 141


class Terminated(SystemExit):
    """A signal asked for the end. An exception, so that whoever holds a half-written file takes it away."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)


def settle(error: BaseException, stream: TextIO, *, debug: bool) -> int:
    """Tell the user about *error* on *stream*, and return the exit code.

    :param debug: whether the traceback is shown as well.
    """
    if isinstance(error, SystemExit):
        return _exit_code(error)
    if _is_broken_pipe(error):
        _discard(sys.stdout)
        return BROKEN_PIPE
    if isinstance(error, OSError):
        _discard(sys.stdout)
    try:
        _tell(error, stream, debug=debug)
    except OSError:  # nobody is left to tell of a standard error that fails
        _discard(stream)
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, OSError):  # of the streams mostly, of which the library knows nothing
        return TransferError.exit_code
    return error.exit_code if isinstance(error, XenimageError) else INTERNAL


def tell_findings(findings: Sequence[Finding], stream: TextIO) -> None:
    """Show *findings* on *stream*, which is standard error: the exit code is the same where it takes nothing."""
    style = Style.of(stream)
    try:
        stream.writelines(f"{line}\n" for line in findings_section(findings, style))
        stream.flush()
    except OSError:
        _discard(stream)


def _tell(error: BaseException, stream: TextIO, *, debug: bool) -> None:
    if debug:
        import traceback

        trace = "".join(traceback.format_exception(error))
        stream.writelines(f"{visible(without_secrets(line))}\n" for line in trace.splitlines())
    style = Style.of(stream)
    stream.writelines(f"{line}\n" for line in describe(error, style))
    stream.flush()


def describe(error: BaseException, style: Style) -> Iterator[str]:
    """Yield the lines of the message."""
    if isinstance(error, XenimageError):
        yield from _describe_own(error, style)
    elif isinstance(error, KeyboardInterrupt):
        yield "xenimage: interrupted"
    elif isinstance(error, MemoryError):
        yield "xenimage: out of memory"
        yield "TIP: Use fewer threads (--jobs 1), or give the process more memory."
    elif isinstance(error, OSError):
        name = f"{error.filename}: " if isinstance(error.filename, str) else ""
        yield visible(f"xenimage: {name}{(error.strerror or str(error)).lower()}")
        yield "TIP: If files and streams are as they should be, run it again with --debug and report what it prints."
    else:
        yield f"xenimage: internal error: {type(error).__name__}: {visible(str(error))}"
        yield "TIP: Run it again with --debug and report what it prints: this is a bug of xenimage."


def _describe_own(error: XenimageError, style: Style) -> Iterator[str]:
    if isinstance(error, NotReadyError):
        for finding in error.findings:
            if isinstance(finding, Finding):
                yield from finding_lines(finding, style)
    yield visible(str(error))
    if error.tip:
        yield f"TIP: {visible(error.tip)}"


def _exit_code(error: SystemExit) -> int:
    if error.code is None:
        return 0
    return error.code if isinstance(error.code, int) else INTERNAL


def _is_broken_pipe(error: BaseException | None) -> bool:
    """Tell whether the reader of our output went away, also where an error of ours was made of it."""
    while error is not None:
        if isinstance(error, BrokenPipeError):
            return True
        if not isinstance(error, TransferError):
            return False
        error = error.__cause__
    return False


def _discard(stream: TextIO) -> None:
    """Let Python's last flush of *stream* go nowhere: it would fail once more, and change the exit code."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        return
