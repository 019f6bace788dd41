"""Turn lower bounds into exact versions, to prove that the bounds are true.

Usage: lowest.py requirements.txt pinned.txt
"""

from __future__ import annotations

import pathlib
import re
import sys

_BOUND = re.compile(r"^([\w.-]+)>=([\w.]+)", re.MULTILINE)


def main(bounds: str, pinned: str) -> None:
    """Write each ``name>=version`` of the file *bounds* as ``name==version`` to the file *pinned*."""
    lines = [f"{name}=={version}\n" for name, version in _BOUND.findall(pathlib.Path(bounds).read_text("utf-8"))]
    pathlib.Path(pinned).write_text("".join(lines), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
