"""Packages of machines written: converted, taken apart, put together."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING

from xenimage.api.common import SILENT, bundle_plan, usable_cpus
from xenimage.engine import bundler, packager, packwriters, planner, splitting
from xenimage.limits import STRICT
from xenimage.model.packaging import PackagingReport, WrittenFile
from xenimage.model.plan import BundleOptions, SourceOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from xenimage.engine.feeds import Feed
    from xenimage.engine.loading import Load
    from xenimage.limits import Limits
    from xenimage.model.packaging import PackagingOptions, SplitReport
    from xenimage.model.report import BundleReport
    from xenimage.model.transfer import Progress


def plan_package(options: PackagingOptions, *, limits: Limits = STRICT) -> PackagingReport:
    """Tell what :func:`convert_package` would write. Disks are opened and not read; no manifest is held against them.

    :raises XenimageError: as :func:`convert_package`.
    """
    if options.to == "bundle":
        return _bundles(options, None, limits, SILENT, dry_run=True)
    return packager.make(options, usable_cpus(), limits, SILENT, dry_run=True)


def convert_package(
    options: PackagingOptions,
    *,
    bundle: BundleOptions | None = None,
    limits: Limits = STRICT,
    progress: Progress = SILENT,
) -> PackagingReport:
    """Write the machines of packages, or machines made up around disk images, as one package.

    The output appears under its name when it is whole, or not at all; no disk is copied in between.

    :param bundle: how bundles are made; their sources and outputs are those of *options*.
    :raises UsageError: wishes that make no sense, or do not fit the source.
    :raises FormatError: a source is damaged, or is not what its manifest says, and that is not allowed.
    :raises NotReadyError: no disk can be read, or a bundle is refused for what was found.
    :raises TransferError: a disk cannot be read, or the output not be written; nothing is left of it.
    """
    if options.to == "bundle":
        return _bundles(options, bundle, limits, progress, dry_run=False)
    return packager.make(options, usable_cpus(), limits, progress)


def package_kind(source: SourceOptions, *, limits: Limits = STRICT) -> str:
    """What a package is by default taken apart into: ``ovf``, ``ova`` or ``xva``.

    :raises UsageError: it is no package.
    """
    return splitting.default_kind(source, limits)


def split_package(
    options: PackagingOptions, *, dry_run: bool = False, limits: Limits = STRICT, progress: Progress = SILENT
) -> SplitReport:
    """Write each machine of a package as a package of its own, into the directory that is the output.

    :raises UsageError: there is a file of the same name, and it may not be replaced.
    :raises XenimageError: as :func:`convert_package`; the packages that were finished before stay.
    """
    return splitting.split(options, usable_cpus(), limits, progress, dry_run=dry_run)


def _bundles(
    options: PackagingOptions, wishes: BundleOptions | None, limits: Limits, progress: Progress, *, dry_run: bool
) -> PackagingReport:
    """A bundle of the one disk, or a directory of them."""
    started = time.monotonic()
    packager.check_options(options)
    with (
        packager.opened(options, limits, progress, dry_run=dry_run) as load,
        splitting.bundle_outputs(load, options, dry_run=dry_run) as outputs,
    ):
        if dry_run:
            return packager.report(load, options, started)
        made: list[BundleReport] = []

        def write() -> packwriters.Written:
            made[:] = splitting.together(_makers(load, options, outputs, wishes, limits, progress))
            files = (WrittenFile(path=each.receipt.path, size=each.receipt.size) for each in made)
            return packwriters.Written(tuple(files), ())

        written = packager.persistent(load, options, write)
        lost_list = packager.write_lost(load, options)
        report = packager.report(load, options, started, written, lost_list)
        return dataclasses.replace(report, bundles=tuple(made))


def _makers(
    load: Load,
    options: PackagingOptions,
    outputs: dict[str, str],
    wishes: BundleOptions | None,
    limits: Limits,
    progress: Progress,
) -> list[tuple[str, Callable[[], BundleReport]]]:
    """(path, what makes the bundle there) for each disk that is there."""

    def maker(place: int, feed: Feed) -> Callable[[], BundleReport]:
        def make() -> BundleReport:
            assert feed.content is not None
            output = outputs[feed.disk.identifier]
            given = wishes or BundleOptions(source=SourceOptions(path=feed.path), output=output)
            bundle = dataclasses.replace(
                given,
                source=SourceOptions(path=feed.path),
                output=output,
                jobs=options.jobs,
                timestamp=options.timestamp,
                force=options.force,
                # A disk of data is no guest: nothing on it could be ready.
                inspect=given.inspect and place == 0,
            )
            views, found = bundler.of_disk(feed.content, feed.path, limits, feed.origin)
            plan = bundle_plan(bundle, views, found, limits)
            planner.require_ready(plan.findings, plan.guest, bundle, "a bundle")
            return bundler.make(plan, views, limits, progress)

        return make

    wanted = [feed for feed in load.feeds if feed.wanted]
    return [(outputs[feed.disk.identifier], maker(place, feed)) for place, feed in enumerate(wanted)]
