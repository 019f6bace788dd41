"""Turn lower bounds into exact versions, to prove that the bounds are true.

Usage: lowest.py requirements.txt pyproject.toml pinned.txt
"""

from __future__ import annotations

import itertools
import pathlib
import re
import sys
import tomllib

_BOUND = re.compile(r"^([\w.-]+)>=([\w.]+)", re.MULTILINE)


def main(bounds: str, project: str, pinned: str) -> None:
    """Write each ``name>=version`` of *bounds*, and of the extras of *project*, as ``name==version`` to *pinned*."""
    extras = tomllib.loads(pathlib.Path(project).read_text("utf-8"))["project"]["optional-dependencies"]
    text = "\n".join([pathlib.Path(bounds).read_text("utf-8"), *itertools.chain(*extras.values())])
    lines = dict.fromkeys(f"{name}=={version}\n" for name, version in _BOUND.findall(text))
    pathlib.Path(pinned).write_text("".join(lines), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
