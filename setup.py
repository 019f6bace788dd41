"""The build. pbr takes the version from git's tags; this file says what it is where there is no git to ask."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess

import setuptools

HERE = pathlib.Path(__file__).resolve().parent
UNRELEASED = "0.1.0.dev0"
_DESCRIBED = re.compile(r"(?P<tag>\d+(?:\.\d+)*)(?:-(?P<distance>\d+)-g[0-9a-f]+)?")


def _git_answers() -> bool:
    """Tell whether *this* directory is a checkout that git can read: a repository further up says nothing of us."""
    if not (HERE / ".git").exists():
        return False
    try:
        asked = subprocess.run(["git", "rev-parse", "HEAD"], cwd=HERE, capture_output=True, check=False)
    except OSError:
        return False
    return asked.returncode == 0


def _archived_version() -> str:
    """Return what ``git archive`` wrote into ``.git_archival.txt``, or the first version if it knew no tag."""
    try:
        described = _DESCRIBED.fullmatch((HERE / ".git_archival.txt").read_text(encoding="ascii").strip())
    except OSError:
        return UNRELEASED
    if described is None:
        return UNRELEASED
    if described["distance"] is None:
        return described["tag"]
    release = [int(number) for number in described["tag"].split(".")]
    release[-1] += 1
    return f"{'.'.join(map(str, release))}.dev{described['distance']}"


if "PBR_VERSION" not in os.environ and not (HERE / "PKG-INFO").exists() and not _git_answers():
    os.environ["PBR_VERSION"] = _archived_version()

setuptools.setup(pbr=True)
