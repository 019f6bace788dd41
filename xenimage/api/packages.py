"""Packages of machines: shown and checked."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from xenimage.api.common import SILENT
from xenimage.checks.package.targets import TARGETS
from xenimage.containers.registry import open_container
from xenimage.engine import packagecheck
from xenimage.limits import STRICT

if TYPE_CHECKING:
    from xenimage.limits import Limits
    from xenimage.model.machine import Package
    from xenimage.model.plan import PackageCheckOptions, SourceOptions
    from xenimage.model.report import PackageReport
    from xenimage.model.transfer import Progress

PACKAGE_TARGETS = tuple(TARGETS)
"""whom a package can be checked for"""


def show_package(source: SourceOptions, *, limits: Limits = STRICT) -> Package:
    """Tell which machines a package describes, with their hardware, products and licences, and what is odd about it.

    Reads what describes it, and none of the disks; nothing is verified.

    :param source: the package; of how it is opened its kind and the deployment option are regarded.
    :raises UsageError: no such file, or no package.
    :raises XenimageError: it is damaged, or refused, as :func:`show_disk`.
    """
    with contextlib.closing(open_container(source.path, limits, source.choice, kind=source.format or "")) as container:
        return container.package


def check_package(
    options: PackageCheckOptions, *, limits: Limits = STRICT, progress: Progress = SILENT
) -> PackageReport:
    """Judge a package: its description, its manifest and signature or its sums, and what a target would make of it.

    All findings, and no exception for a failing check. All of the package is read, unless it shall not be verified.

    :raises UsageError: no such file, no package, no such machine or target, or a wrong password.
    :raises XenimageError: it is so damaged that nothing can be said of what it holds, or refused.
    """
    return packagecheck.check(options, limits, progress)
