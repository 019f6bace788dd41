"""The library's door: the same operations that the command line offers, typed.

Everything here takes frozen option values, returns frozen results, and raises the errors of
:mod:`xenimage.exceptions`. Nothing prints, exits or reads the environment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from xenimage.limits import STRICT
from xenimage.model.transfer import Silent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from xenimage.limits import Limits
    from xenimage.model.disk import DiskFacts
    from xenimage.model.extent import Extent
    from xenimage.model.plan import BundleOptions, Plan, SourceOptions
    from xenimage.model.profile import Profile
    from xenimage.model.report import (
        BundleFacts,
        BundleReport,
        CheckReport,
        Comparison,
        ConvertReport,
        Diagnosis,
    )
    from xenimage.model.transfer import Progress

SILENT = Silent()


def plan_bundle(options: BundleOptions, *, limits: Limits = STRICT) -> Plan:
    """Decide everything about a bundle; nothing is written."""
    raise NotImplementedError


def create_bundle(options: BundleOptions, *, limits: Limits = STRICT, progress: Progress = SILENT) -> BundleReport:
    """Make a bundle."""
    raise NotImplementedError


def show_bundle(path: str, *, limits: Limits = STRICT, progress: Progress = SILENT) -> BundleFacts:
    """Tell what a bundle holds."""
    raise NotImplementedError


def check_bundle(
    path: str, *, profile: str = "nova-xenapi", limits: Limits = STRICT, progress: Progress = SILENT
) -> CheckReport:
    """Check a bundle against a consumer; all findings, no exception for a failing check."""
    raise NotImplementedError


def show_disk(source: SourceOptions, *, limits: Limits = STRICT) -> DiskFacts:
    """Tell what is known of a disk without reading its data."""
    raise NotImplementedError


def map_disk(source: SourceOptions, *, limits: Limits = STRICT) -> Sequence[Extent]:
    """Tell where a disk holds data."""
    raise NotImplementedError


def convert_disk(
    source: SourceOptions,
    output: str,
    *,
    format: str,  # noqa: A002
    force: bool = False,
    timestamp: int | None = None,
    random_uuid: bool = False,
    limits: Limits = STRICT,
    progress: Progress = SILENT,
) -> ConvertReport:
    """Write a disk anew as ``raw`` (with holes) or ``vhd``."""
    raise NotImplementedError


def compare_disks(
    first: SourceOptions, second: SourceOptions, *, limits: Limits = STRICT, progress: Progress = SILENT
) -> Comparison:
    """Compare what two disks show to a guest; behind the end of the shorter one zeros count as equal."""
    raise NotImplementedError


def profiles() -> Mapping[str, Profile]:
    """All profiles by name, in the order in which they are shown."""
    raise NotImplementedError


def doctor(directory: str, problems: Sequence[Diagnosis] = ()) -> Sequence[Diagnosis]:
    """Look at what the work needs: interpreter, libraries, extensions, free space in *directory*."""
    raise NotImplementedError
