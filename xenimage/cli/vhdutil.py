"""A directory for the PATH in which ``xenimage-vhd-util`` is called ``vhd-util``, as Cinder and os-xenapi call it.

An installation brings one, ``share/xenimage/bin``. Run from a checkout there is none: then one is made for this user
and this interpreter.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
import secrets
import shlex
import site
import sys
import sysconfig

import xenimage
from xenimage.exceptions import UsageError

STATE_VARIABLE = "XDG_STATE_HOME"
_NAME = "vhd-util"
_ROOT = pathlib.Path(xenimage.__file__).resolve().parent.parent


def directory() -> str:
    """Tell where a program called ``vhd-util`` stands, and make it if need be.

    :raises UsageError: there is none, and none can be made.
    """
    return str(_installed() or _made())


def _installed() -> pathlib.Path | None:
    """The directory that came with this very installation."""
    for prefix in (sysconfig.get_path("data"), site.getuserbase()):
        here = pathlib.Path(prefix)
        found = here / "share" / "xenimage" / "bin"
        whole = os.access(found / _NAME, os.X_OK) and os.access(here / "bin" / "xenimage-vhd-util", os.X_OK)
        if whole and _ROOT.is_relative_to(here.resolve()):
            return found
    return None


def _made() -> pathlib.Path:
    text = (
        f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(_ROOT))} exec {shlex.quote(sys.executable)} -m xenimage.vhdutil "$@"\n'
    )
    state = os.environ.get(STATE_VARIABLE) or os.path.expanduser("~/.local/state")
    # One for each interpreter: two installations do not take it from each other.
    found = pathlib.Path(state, "xenimage", hashlib.sha256(text.encode()).hexdigest()[:12])
    if not found.is_absolute():
        raise UsageError(f"{state} is no absolute path", where=STATE_VARIABLE)
    try:
        found.mkdir(parents=True, exist_ok=True)
        _write(found / _NAME, text)
    except OSError as error:
        tip = f"Set {STATE_VARIABLE} to a directory that can be written to, or install xenimage with pip."
        raise UsageError(f"cannot be made: {(error.strerror or '').lower()}", where=str(found), tip=tip) from error
    return found


def _write(path: pathlib.Path, text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        if path.read_text("utf-8") == text and os.access(path, os.X_OK):
            return
    temporary = path.with_name(f".{_NAME}.{secrets.token_hex(6)}")
    try:
        with open(
            os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o755), "w", encoding="utf-8"
        ) as file:
            file.write(text)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
