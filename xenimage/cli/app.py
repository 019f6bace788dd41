"""The program's entry. Nothing is imported here that ``--version`` does not need: start-up is part of every run."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv*, by default the process's own, and return the exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    if words == ["--version"]:
        from xenimage.cli.version import version

        print(f"xenimage {version()}")
        return 0
    from xenimage.cli.shell import Shell

    return Shell().run(words)
