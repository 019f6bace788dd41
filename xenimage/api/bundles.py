"""Bundles: made, shown, checked, repaired, taken apart."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from xenimage.api.common import DEFAULT_PROFILE, SILENT, bundle_plan, usable_cpus
from xenimage.containers.bundle import check as bundle_check
from xenimage.containers.bundle import reader as bundle_reader
from xenimage.engine import bundler, extractor, packages, planner, rebundler
from xenimage.limits import STRICT
from xenimage.profiles import registry as profile_registry
from xenimage.sources.file import open_file

if TYPE_CHECKING:
    from xenimage.limits import Limits
    from xenimage.model.check import Readiness
    from xenimage.model.plan import BundleOptions, Plan, RepairBundleOptions
    from xenimage.model.report import BundleFacts, BundleRepairReport, BundleReport, CheckReport, ExtractReport
    from xenimage.model.transfer import Progress


def plan_bundle(options: BundleOptions, *, limits: Limits = STRICT) -> Plan:
    """Decide everything about a bundle; nothing is written, and of the data only what it takes to look at the guest.

    What is wrong with the wishes or the guest is in the plan's findings; only what makes a plan impossible is raised.

    :raises UsageError: wishes that make no sense: a size below the source's, an unknown profile, no such file.
    :raises FormatError: the source breaks its format.
    :raises UnsupportedError: the source uses what is not read here, or is larger than any VHD.
    :raises UnsafeError: the source is refused on purpose.
    """
    with bundler.opened(options, limits) as (views, found):
        return bundle_plan(options, views, found, limits)


def create_bundle(
    options: BundleOptions,
    *,
    guest: Readiness | None = None,
    limits: Limits = STRICT,
    progress: Progress = SILENT,
) -> BundleReport:
    """Make a bundle. The output appears under its name when it is whole, or not at all.

    :param guest: what :func:`plan_bundle` found of the same guest, so that it is not looked at once more.
    :raises NotReadyError: the plan is refused for its findings (see :func:`plan_bundle`), or the finished bundle did
        not pass the verification that was asked for.
    :raises TransferError: the source cannot be read, or the output not be written.
    :raises XenimageError: as :func:`plan_bundle`.
    """
    bundler.check_output(options)
    packages.verify(options.source, limits, progress)
    with bundler.opened(options, limits) as (views, found):
        plan = bundle_plan(options, views, found, limits, guest)
        planner.require_ready(plan.findings, plan.guest, options, "a bundle")
        return bundler.make(plan, views, limits, progress)


def show_bundle(path: str, *, limits: Limits = STRICT, progress: Progress = SILENT) -> BundleFacts:
    """Tell what a bundle holds.

    :raises FormatError: it is no bundle: not gzip, not tar, cut short.
    """
    with contextlib.closing(open_file(path)) as source:
        return bundle_reader.open_bundle(source, limits, progress).facts()


def extract_bundle(
    path: str,
    directory: str,
    *,
    force: bool = False,
    limits: Limits = STRICT,
    progress: Progress = SILENT,
) -> ExtractReport:
    """Write the VHDs of a bundle as files into *directory*; nothing else of it, and all of them or none.

    :raises UsageError: the directory cannot be made, or a file is there already.
    :raises FormatError: the bundle is damaged, or there is no VHD in it.
    :raises UnsafeError: a name stands in it twice, or is a link.
    """
    with contextlib.closing(open_file(path)) as source:
        return extractor.extract(source, directory, limits, progress, force=force)


def check_bundle(
    path: str, *, profile: str = DEFAULT_PROFILE, limits: Limits = STRICT, progress: Progress = SILENT
) -> CheckReport:
    """Check a bundle against a consumer; all findings, and no exception for a failing check.

    :raises FormatError: it is so damaged that nothing can be said of what it holds.
    """
    target = profile_registry.get_profile(profile)
    with contextlib.closing(open_file(path)) as source:
        bundle = bundle_reader.open_bundle(source, limits, progress)
        return bundle_check.check_bundle(bundle, target, limits, int(time.time()))


def repair_bundle(
    options: RepairBundleOptions, *, dry_run: bool = False, limits: Limits = STRICT, progress: Progress = SILENT
) -> BundleRepairReport:
    """Make a bundle by others anew: order, names, layout, hidden flags and links as the consumers take them.

    :raises FormatError: it is no bundle, or its VHDs make up no disk.
    :raises NotReadyError: parts are lost and that was not accepted, or the new bundle would not be sound.
    :raises XenimageError: as :func:`create_bundle`.
    """
    profile = profile_registry.get_profile(options.bundle.profile)
    return rebundler.repair_bundle(options, profile, usable_cpus(), limits, progress, dry_run=dry_run)
