"""What ``doctor`` looks at: whether this installation can do the work, and the one command that mends what it can't."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from typing import TYPE_CHECKING

from xenimage.checks.guest import registry as check_registry
from xenimage.exceptions import XenimageError
from xenimage.model.report import Diagnosis
from xenimage.profiles import registry
from xenimage.streams.deflate import has_isal
from xenimage.units import GIB, format_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_PYTHON = (3, 11)
_LIBRARIES = (
    "isal",
    "zlib-ng",
    "zstandard",
    "lz4",
    "xxhash",
    "libfsext-python",
    "libfsntfs-python",
    "libfsxfs-python",
    "cliff",
    "oslo.config",
    "stevedore",
)
_SPACE = GIB


def diagnose(directory: str) -> Iterator[Diagnosis]:
    """Yield one diagnosis for each thing, good or not.

    :param directory: where bundles would be written.
    """
    yield Diagnosis(
        what="python",
        good=sys.version_info >= _PYTHON,
        found=f"{platform.python_implementation()} {platform.python_version()} on {platform.machine()}",
        act="Install Python 3.11 or later.",
    )
    for name in _LIBRARIES:
        yield _library(name)
    yield Diagnosis(
        what="deflate",
        good=has_isal(),
        found="ISA-L" if has_isal() else "zlib-ng only: several times slower, and other bytes than with ISA-L",
        act="pip install isal",
    )
    yield _extensions("profiles", registry.all_profiles)
    yield _extensions("checks", check_registry.all_checks)
    yield _space(directory)


def _library(name: str) -> Diagnosis:
    from importlib import metadata  # here, since it would be a sixth of the library's start-up

    try:
        return Diagnosis(what=name, good=True, found=metadata.version(name))
    except metadata.PackageNotFoundError:
        return Diagnosis(what=name, good=False, found="not installed", act=f"pip install {name}")


def _extensions(what: str, load: Callable[[], Iterable[str]]) -> Diagnosis:
    try:
        found = load()
    except XenimageError as error:
        return Diagnosis(what=what, good=False, found=str(error), act=error.tip or "pip uninstall the extension")
    return Diagnosis(what=what, good=True, found=", ".join(found))


def _space(directory: str) -> Diagnosis:
    try:
        free = shutil.disk_usage(directory).free
    except OSError as error:
        return Diagnosis(what="space", good=False, found=f"{directory}: {error.strerror}", act="Name a directory.")
    writable = os.access(directory, os.W_OK)
    found = f"{format_size(free)} free in {directory}" + ("" if writable else ", no right to write")
    return Diagnosis(what="space", good=free >= _SPACE and writable, found=found, act="Free some space there.")
