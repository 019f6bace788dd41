"""Disks and chains of them: shown, compared, checked, converted, mended."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from xenimage.api.common import SILENT, conversion_plan, convert_passing, usable_cpus
from xenimage.containers.bundle.forward import NotForwardError
from xenimage.engine import (
    backup,
    chains,
    checker,
    compare,
    conversion,
    converter,
    freeing,
    layered,
    mapper,
    mender,
    opener,
    packages,
    rebaser,
    repairer,
)
from xenimage.exceptions import UsageError
from xenimage.limits import STRICT
from xenimage.model.report import DiskMap
from xenimage.profiles import registry as profile_registry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xenimage.limits import Limits
    from xenimage.model.disk import Disk, DiskFacts
    from xenimage.model.guest.free import FreeSpace
    from xenimage.model.plan import (
        CheckOptions,
        ConvertOptions,
        ConvertPlan,
        RebaseOptions,
        RepairOptions,
        SourceOptions,
    )
    from xenimage.model.report import (
        ChainReport,
        Comparison,
        ConvertReport,
        DisksReport,
        LayersPlan,
        LayersReport,
        RebaseReport,
        RepairReport,
    )
    from xenimage.model.transfer import Progress


def show_disk(source: SourceOptions, *, limits: Limits = STRICT) -> DiskFacts:
    """Tell what is known of a disk without reading its data.

    That includes a disk that cannot be read, and one whose parents are not given.
    """
    with contextlib.closing(opener.open_leaf(source, limits)) as disk:
        return disk.facts


def map_disk(source: SourceOptions, *, limits: Limits = STRICT) -> DiskMap:
    """Tell where a disk holds data, and what deserves a word about it."""
    with contextlib.closing(opener.open_source(source, limits)) as disk:
        return DiskMap(extents=tuple(mapper.bounded_extents(disk, limits)), findings=disk.facts.findings)


def check_disks(options: CheckOptions, *, limits: Limits = STRICT, progress: Progress = SILENT) -> DisksReport:
    """Check disks against a consumer; all findings, and no exception for a failing check.

    VHDs are checked in full, those that belong together also as a chain. Of a disk of another format it is only proved
    that it opens, and that its tables lead somewhere.

    :raises UsageError: no such file, the same file twice, an unknown profile.
    :raises UnsupportedError: a file is no disk but a bundle, see :func:`check_bundle`.
    :raises TransferError: a file cannot be read.
    """
    profile = profile_registry.get_profile(options.profile)
    return checker.check(options, profile, limits, int(time.time()), progress)


def show_chain(paths: Sequence[str], *, limits: Limits = STRICT) -> ChainReport:
    """Tell which VHD is whose parent, by uuid.

    :param paths: files, or one directory, which stands for the VHDs in it.
    :raises UsageError: no such file, or the same file twice.
    """
    return chains.show(paths, limits)


def plan_conversion(options: ConvertOptions, *, limits: Limits = STRICT) -> ConvertPlan:
    """Decide everything about a disk that is to be written anew; nothing is written, and no data is read.

    :raises UsageError: wishes that make no sense, among them what the format does not have.
    :raises UnsupportedError: the disk is larger than the format can say.
    :raises XenimageError: the source cannot be read: as :func:`plan_bundle`.
    """
    conversion.check_wishes(options)
    with contextlib.closing(opener.open_source(options.source, limits, scattered=options.drop_free_space)) as disk:
        return conversion_plan(options, *_without_free(options, disk, limits), limits)


def convert_disk(options: ConvertOptions, *, limits: Limits = STRICT, progress: Progress = SILENT) -> ConvertReport:
    """Write a disk anew: ``raw`` (with holes), ``vhd``, ``qcow2`` or ``vmdk``.

    The output appears under its name when it is whole, or not at all. The same content and options give the same
    bytes, whatever the number of threads.

    :raises TransferError: the source cannot be read, or the output not be written.
    :raises NotReadyError: free space shall be left out, and a volume was not closed, or is damaged.
    :raises XenimageError: as :func:`plan_conversion`.
    """
    conversion.check_wishes(options)
    converter.check_output(options)
    packages.verify(options.source, limits, progress)
    if not options.drop_free_space:  # what is free is known only to one who can read here and there
        with contextlib.suppress(NotForwardError), opener.passing(options.source, limits, options.output) as forward:
            if forward is not None and (forward.single or options.format == "raw"):
                return convert_passing(options, forward, limits, progress)
    scattered = options.drop_free_space
    opened = opener.open_source(options.source, limits, output=options.output, scattered=scattered)
    with contextlib.closing(opened) as source:
        disk, free = _without_free(options, source, limits)
        return converter.convert(disk, conversion_plan(options, disk, free, limits), progress)


def plan_layers(options: ConvertOptions, *, limits: Limits = STRICT) -> LayersPlan:
    """Tell what :func:`convert_layers` would write.

    :raises XenimageError: as :func:`convert_layers`.
    """
    conversion.check_wishes(options)
    with contextlib.closing(opener.open_chain(options.source, limits, output=options.output, members=True)) as chain:
        return layered.plan_layers(chain, options, limits)


def convert_layers(options: ConvertOptions, *, limits: Limits = STRICT, progress: Progress = SILENT) -> LayersReport:
    """Write a chain anew as qcow2 images over each other, ``base.qcow2`` to ``leaf.qcow2``, in a directory.

    The layers are files (``backing``, ``follow``), the members of a bundle, or internal snapshots.

    :raises UsageError: another format than qcow2, a chain of one, a directory that cannot be made.
    :raises TransferError: a source cannot be read, or a file not be written.
    """
    conversion.check_wishes(options)
    with contextlib.closing(opener.open_chain(options.source, limits, output=options.output, members=True)) as chain:
        return layered.convert_layers(chain, options, usable_cpus(), limits, progress)


def _without_free(options: ConvertOptions, disk: Disk, limits: Limits) -> tuple[Disk, FreeSpace | None]:
    """The disk to convert, and what is blank in it."""
    if not options.drop_free_space:
        return disk, None
    disks, free = freeing.without_free([disk], limits, options.source.path)
    return disks[0], free


def compare_disks(
    first: SourceOptions, second: SourceOptions, *, limits: Limits = STRICT, progress: Progress = SILENT
) -> Comparison:
    """Compare what two disks show to a guest; behind the end of the shorter one zeros count as equal.

    :raises FormatError: a disk breaks its format, or does not fit the manifest of its package.
    """
    for each in (first, second):
        packages.verify(each, limits, progress)
    with contextlib.ExitStack() as stack:
        disks = [stack.enter_context(contextlib.closing(opener.open_source(each, limits))) for each in (first, second)]
        return compare.compare(disks[0], disks[1], limits, progress)


def repair_disk(options: RepairOptions, *, limits: Limits = STRICT, progress: Progress = SILENT) -> RepairReport:
    """Repair a VHD: write it anew beside the damaged one, or mend its footers where they stand.

    :raises UsageError: an output that may not be replaced, or options that contradict each other.
    :raises NotReadyError: parts are lost and that was not accepted, or the result would not be sound.
    :raises UnsafeError: in place: the disk looks as if it were in use.
    :raises UnsupportedError: it is encrypted, or a resize of it was interrupted.
    :raises FormatError: too little is left of it to say what it was.
    :raises TransferError: the source cannot be read, or the output not be written.
    """
    now = int(time.time())
    if not options.in_place:
        return repairer.repair(options, usable_cpus(), limits, progress, now)
    if options.output or options.size is not None or options.accept_loss:
        raise UsageError(
            "a repair in place has no other output, leaves the size alone and loses nothing",
            expected="--in-place without --output, --size and --accept-loss",
            where=options.path,
        )
    return mender.mend(options, limits, now)


def undo_repair(path: str, saved: str) -> int:
    """Put the bytes back that a repair in place replaced.

    :param saved: the file that it left beside the disk.
    :return: bytes of the disk then.
    :raises FormatError: *saved* is no such file.
    :raises UnsafeError: the disk was changed since.
    """
    return backup.undo(path, saved).size


def rebase_disk(options: RebaseOptions, *, limits: Limits = STRICT) -> RebaseReport:
    """Link a differencing VHD to its parent, where it stands.

    :raises UsageError: the two are one file, or one of them is missing.
    :raises UnsafeError: nothing proves that it is the parent, and that was not forced; or the parent is its child.
    :raises UnsupportedError: one of them is no VHD, or the child no differencing one; the parent's path is not
        ASCII, or too long.
    :raises FormatError: one of the disks is damaged.
    :raises TransferError: the file could not be written.
    """
    return rebaser.rebase(options, limits, int(time.time()))
