"""The program's entry. Nothing is imported here that ``--version`` does not need: start-up is part of every run."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def _open_standard_streams() -> None:
    """Take the place of streams that the caller closed: else the next file gets their number, and what is printed."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            # Not writable, so that what is meant for standard output fails as it must; errors may go nowhere.
            os.open(os.devnull, os.O_WRONLY if name == "stderr" else os.O_RDONLY)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv*, by default the process's own, and return the exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    _open_standard_streams()
    if words == ["--version"]:
        from xenimage.cli.version import version

        try:
            print(f"xenimage {version()}", flush=True)
        except OSError as error:
            from xenimage.cli.errors import settle

            return settle(error, sys.stderr, debug=False)
        return 0
    try:
        from xenimage.cli.shell import Shell
    except KeyboardInterrupt:  # the shell deals with all later ones
        return 130

    return Shell().run(words)
