"""Whether paths lead to one file: a source is never written, and stands only once in a chain."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from xenimage.exceptions import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence


def same_file(first: str, second: str) -> bool:
    """Whether two paths name one file; false where either is missing."""
    try:
        return os.path.samefile(first, second)
    except (OSError, ValueError):  # names inside images may be such as no file can have
        return False


def refuse_repeated(path: str, others: Sequence[str]) -> None:
    """Refuse a disk that is in the chain already.

    :raises UsageError: it is one of *others*.
    """
    for other in others:
        if same_file(path, other):
            raise UsageError(f"is the same file as {other}", expected="each disk of the chain once", where=path)


def refuse_output(output: str | None, path: str) -> None:
    """A source is never written, not even with ``--force``.

    :raises UsageError: *output* is the file *path*.
    """
    # The sink writes to what the links lead to, where "missing/.." is the directory itself; the kernel finds no file.
    if output is not None and same_file(os.path.realpath(output), path):
        raise UsageError(f"is the source {path}", expected="another file", where=output)
