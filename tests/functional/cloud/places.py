"""Where the environments stand, and what the releases of Glance differ in."""

from __future__ import annotations

import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[3]
ENVIRONMENTS = pathlib.Path(os.environ.get("XENIMAGE_FUNCTIONAL_DIR") or ROOT / ".venv-functional")
"""made by tools/functional.sh, one directory each: keystone, tempest, and glance with the number of a release"""
LOGS = ENVIRONMENTS / "logs"
"""of the servers, kept when these are gone"""


def program(environment: str, name: str) -> str:
    """The path of a program of an environment; a missing one fails whoever asks, it skips nothing."""
    path = ENVIRONMENTS / environment / "bin" / name
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: run tools/functional.sh --prepare")
    return os.fspath(path)


def application(environment: str) -> tuple[str, str]:
    """UWSGI's option that loads Glance: a script up to release 31, a module since."""
    script = ENVIRONMENTS / environment / "bin" / "glance-wsgi-api"
    if script.exists():
        return "--wsgi-file", os.fspath(script)
    return "--module", "glance.wsgi.api:application"
