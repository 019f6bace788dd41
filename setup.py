"""The build. pbr takes the version from git's tags; this file says what it is where there is no tag to find."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess

import setuptools

HERE = pathlib.Path(__file__).resolve().parent
FIRST = "0.1.0"
_DESCRIBED = re.compile(r"(?P<tag>\d+(?:\.\d+)*)(?:-(?P<distance>\d+)-g[0-9a-f]+)?")


def _ask_git(*question: str) -> str:
    """Return git's answer about *this* directory, empty if it has none: a repository further up says nothing of us."""
    if not (HERE / ".git").exists():
        return ""
    try:
        asked = subprocess.run(["git", *question], cwd=HERE, capture_output=True, check=False, text=True)
    except OSError:
        return ""
    return asked.stdout.strip() if asked.returncode == 0 else ""


def _version() -> str:
    """Return the version where pbr would fail, or call it 0.0.0 as in a clone of depth 1; empty where pbr knows."""
    if (HERE / "PKG-INFO").exists() or _ask_git("describe", "--tags", "--match", "[0-9]*"):
        return ""
    commits = _ask_git("rev-list", "--count", "HEAD")
    return f"{FIRST}.dev{commits}" if commits else _archived_version()


def _archived_version() -> str:
    """Return what ``git archive`` wrote into ``.git_archival.txt``, or the first version if it knew no tag."""
    try:
        described = _DESCRIBED.fullmatch((HERE / ".git_archival.txt").read_text(encoding="ascii").strip())
    except OSError:
        return f"{FIRST}.dev0"
    if described is None:
        return f"{FIRST}.dev0"
    if described["distance"] is None:
        return described["tag"]
    release = [int(number) for number in described["tag"].split(".")]
    release[-1] += 1
    return f"{'.'.join(map(str, release))}.dev{described['distance']}"


if "PBR_VERSION" not in os.environ and (version := _version()):
    os.environ["PBR_VERSION"] = version

setuptools.setup(pbr=True)
