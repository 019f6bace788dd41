"""What several of the modules behind the door share."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from xenimage.containers.bundle.forward import ForwardDisk
from xenimage.engine import bundler, conversion, converter, mapper, planner, readiness
from xenimage.model.transfer import Silent
from xenimage.profiles import registry as profile_registry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xenimage.containers.bundle.forward import Forward
    from xenimage.engine.layers import View
    from xenimage.limits import Limits
    from xenimage.model.check import Readiness
    from xenimage.model.disk import Disk
    from xenimage.model.guest.free import FreeSpace
    from xenimage.model.plan import BundleOptions, ConvertOptions, ConvertPlan, Plan
    from xenimage.model.report import ConvertReport
    from xenimage.model.transfer import Progress


SILENT = Silent()
DEFAULT_PROFILE = "nova-xenapi"


def usable_cpus() -> int:
    """The CPUs that this process may use: the default number of threads."""
    return len(os.sched_getaffinity(0))


def bundle_plan(
    options: BundleOptions,
    views: Sequence[View],
    found: Sequence[planner.Found],
    limits: Limits,
    guest: Readiness | None = None,
) -> Plan:
    """Decide about a bundle of layers that are open.

    :param guest: what was seen in it, if somebody looked already.
    """
    profile = profile_registry.get_profile(options.profile)
    if guest is None and options.inspect:
        guest = readiness.look([bundler.whole(views)], [options.source.path], profile, limits)
    return planner.plan(options, profile, found, guest, jobs=usable_cpus(), now=int(time.time()))


def conversion_plan(options: ConvertOptions, disk: Disk, free: FreeSpace | None, limits: Limits) -> ConvertPlan:
    """Decide how an open disk is written anew."""
    blocks = mapper.map_blocks(disk, limits)
    now = int(time.time())
    return conversion.plan_conversion(options, disk.facts, blocks, jobs=usable_cpus(), now=now, free=free)


def convert_passing(options: ConvertOptions, forward: Forward, limits: Limits, progress: Progress) -> ConvertReport:
    """Convert a bundle while it is read once, from its start to its end."""
    disk = ForwardDisk(forward)
    plan = conversion_plan(options, disk, None, limits)
    if forward.single:
        return converter.convert(disk, plan, progress, disk.finish)
    return converter.convert_passing(forward, plan, progress)
