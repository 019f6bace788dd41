"""Packages of machines: shown and checked."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from xenimage.containers.registry import open_container
from xenimage.limits import STRICT

if TYPE_CHECKING:
    from xenimage.limits import Limits
    from xenimage.model.machine import Package
    from xenimage.model.plan import SourceOptions


def show_package(source: SourceOptions, *, limits: Limits = STRICT) -> Package:
    """Tell which machines a package describes, with their hardware, products and licences, and what is odd about it.

    Reads what describes it, and none of the disks; nothing is verified.

    :param source: the package; of how it is opened its kind and the deployment option are regarded.
    :raises UsageError: no such file, or no package.
    :raises XenimageError: it is damaged, or refused, as :func:`show_disk`.
    """
    with contextlib.closing(open_container(source.path, limits, source.choice, kind=source.format or "")) as container:
        return container.package
