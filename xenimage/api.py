"""The library's door: the same operations that the command line offers, typed.

Everything here takes frozen option values, returns frozen results, and raises the errors of
:mod:`xenimage.exceptions`. Nothing prints, exits or reads the environment.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Any

from xenimage.cloud import connection
from xenimage.containers.bundle import check as bundle_check
from xenimage.containers.bundle import reader as bundle_reader
from xenimage.containers.bundle.forward import ForwardDisk, NotForwardError, open_forward
from xenimage.engine import (
    backup,
    bundler,
    chains,
    checker,
    compare,
    conversion,
    converter,
    diagnosis,
    extractor,
    freeing,
    hosting,
    imaging,
    inspecting,
    kinds,
    kit,
    layered,
    mapper,
    mender,
    opener,
    planner,
    readiness,
    rebaser,
    rebundler,
    repairer,
    stored,
)
from xenimage.exceptions import UsageError
from xenimage.limits import STRICT
from xenimage.model.image import CloudOptions
from xenimage.model.report import DiskMap
from xenimage.model.transfer import Silent
from xenimage.profiles import registry as profile_registry
from xenimage.sources.file import open_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from xenimage.containers.bundle.forward import Forward
    from xenimage.engine.layers import View
    from xenimage.limits import Limits
    from xenimage.model.check import Readiness
    from xenimage.model.disk import Disk, DiskFacts
    from xenimage.model.guest.facts import GuestFacts
    from xenimage.model.guest.free import FreeSpace
    from xenimage.model.host import GlanceHost
    from xenimage.model.image import (
        ImageFacts,
        ImageOptions,
        ImagePlan,
        ImageReport,
        Images,
        RecordReport,
        SaveReport,
    )
    from xenimage.model.kind import FindingKind
    from xenimage.model.kit import KitImage, KitReport
    from xenimage.model.plan import (
        BundleOptions,
        CheckOptions,
        ConvertOptions,
        ConvertPlan,
        GuestOptions,
        Plan,
        RebaseOptions,
        RepairBundleOptions,
        RepairOptions,
        SourceOptions,
    )
    from xenimage.model.profile import Profile
    from xenimage.model.report import (
        BundleFacts,
        BundleRepairReport,
        BundleReport,
        ChainReport,
        CheckReport,
        Comparison,
        ConvertReport,
        Diagnosis,
        DisksReport,
        ExtractReport,
        GuestReport,
        LayersPlan,
        LayersReport,
        RebaseReport,
        RepairReport,
    )
    from xenimage.model.transfer import Progress
    from xenimage.sources.glance import GlanceSource

SILENT = Silent()
DEFAULT_PROFILE = "nova-xenapi"


def plan_bundle(options: BundleOptions, *, limits: Limits = STRICT) -> Plan:
    """Decide everything about a bundle; nothing is written, and of the data only what it takes to look at the guest.

    What is wrong with the wishes or the guest is in the plan's findings; only what makes a plan impossible is raised.

    :raises UsageError: wishes that make no sense: a size below the source's, an unknown profile, no such file.
    :raises FormatError: the source breaks its format.
    :raises UnsupportedError: the source uses what is not read here, or is larger than any VHD.
    :raises UnsafeError: the source is refused on purpose.
    """
    with bundler.opened(options, limits) as (views, found):
        return _plan(options, views, found, limits)


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
    with bundler.opened(options, limits) as (views, found):
        plan = _plan(options, views, found, limits, guest)
        planner.require_ready(plan.findings, plan.guest, options, "a bundle")
        return bundler.make(plan, views, limits, progress)


def _plan(
    options: BundleOptions,
    views: Sequence[View],
    found: Sequence[planner.Found],
    limits: Limits,
    guest: Readiness | None = None,
) -> Plan:
    profile = profile_registry.get_profile(options.profile)
    if guest is None and options.inspect:
        guest = readiness.look([bundler.whole(views)], [options.source.path], profile, limits)
    return planner.plan(options, profile, found, guest, jobs=usable_cpus(), now=int(time.time()))


def usable_cpus() -> int:
    """The CPUs that this process may use: the default number of threads."""
    return len(os.sched_getaffinity(0))


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


def check_guest(options: GuestOptions, *, limits: Limits = STRICT) -> GuestReport:
    """Look into the disks of a guest, and tell whether its target would boot and configure it; all findings.

    A failing check is no exception, nor is damage in the guest: what cannot be read is told.

    :raises UsageError: no such file, an unknown profile, a property given twice.
    :raises XenimageError: a disk cannot be opened, as for :func:`plan_bundle`.
    """
    return readiness.check(options, profile_registry.get_profile(options.profile), limits)


def show_chain(paths: Sequence[str], *, limits: Limits = STRICT) -> ChainReport:
    """Tell which VHD is whose parent, by uuid.

    :param paths: files, or one directory, which stands for the VHDs in it.
    :raises UsageError: no such file, or the same file twice.
    """
    return chains.show(paths, limits)


def finding_kinds() -> Mapping[str, FindingKind]:
    """All kinds of findings, by code; an upper-case part of a code stands for any name.

    :raises ExtensionError: an installed check of guests cannot be loaded.
    """
    return kinds.all_kinds()


def plan_conversion(options: ConvertOptions, *, limits: Limits = STRICT) -> ConvertPlan:
    """Decide everything about a disk that is to be written anew; nothing is written, and no data is read.

    :raises UsageError: wishes that make no sense, among them what the format does not have.
    :raises UnsupportedError: the disk is larger than the format can say.
    :raises XenimageError: the source cannot be read: as :func:`plan_bundle`.
    """
    conversion.check_wishes(options)
    with contextlib.closing(opener.open_source(options.source, limits)) as disk:
        return _plan_conversion(options, *_without_free(options, disk, limits), limits)


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
    if not options.drop_free_space:  # what is free is known only to one who can read here and there
        with contextlib.suppress(NotForwardError), opener.passing(options.source, limits, options.output) as forward:
            if forward is not None and (forward.single or options.format == "raw"):
                return _convert_passing(options, forward, limits, progress)
    with contextlib.closing(opener.open_source(options.source, limits, output=options.output)) as source:
        disk, free = _without_free(options, source, limits)
        return converter.convert(disk, _plan_conversion(options, disk, free, limits), progress)


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


def _convert_passing(options: ConvertOptions, forward: Forward, limits: Limits, progress: Progress) -> ConvertReport:
    """Convert a bundle while it is read once, from its start to its end."""
    disk = ForwardDisk(forward)
    plan = _plan_conversion(options, disk, None, limits)
    if forward.single:
        return converter.convert(disk, plan, progress, disk.finish)
    return converter.convert_passing(forward, plan, progress)


def _without_free(options: ConvertOptions, disk: Disk, limits: Limits) -> tuple[Disk, FreeSpace | None]:
    """The disk to convert, and what is blank in it."""
    if not options.drop_free_space:
        return disk, None
    disks, free = freeing.without_free([disk], limits, options.source.path)
    return disks[0], free


def _plan_conversion(options: ConvertOptions, disk: Disk, free: FreeSpace | None, limits: Limits) -> ConvertPlan:
    blocks = mapper.map_blocks(disk, limits)
    now = int(time.time())
    return conversion.plan_conversion(options, disk.facts, blocks, jobs=usable_cpus(), now=now, free=free)


def compare_disks(
    first: SourceOptions, second: SourceOptions, *, limits: Limits = STRICT, progress: Progress = SILENT
) -> Comparison:
    """Compare what two disks show to a guest; behind the end of the shorter one zeros count as equal."""
    with contextlib.ExitStack() as stack:
        disks = [stack.enter_context(contextlib.closing(opener.open_source(each, limits))) for each in (first, second)]
        return compare.compare(disks[0], disks[1], limits, progress)


def inspect_guest(sources: Sequence[SourceOptions], *, limits: Limits = STRICT) -> GuestFacts:
    """Look into the disks of one guest: partitions, file systems, the operating system, its drivers and its set-up.

    A child process does it that has nothing but pipes to this one. Damage ends up in the facts: what could not be read,
    and why the inspection ended early if it did.

    :param sources: the guest's disks, in their order; a bundle is one disk.
    :raises UsageError: no disk, no such file, or the same one twice.
    :raises TransferError: a source failed.
    :raises XenimageError: a disk cannot be opened: as :func:`show_disk`, or it needs a parent that was not given.
    """
    return inspecting.inspect(sources, limits)


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


def connect_cloud(options: CloudOptions) -> Images:
    """Find the image service of a cloud, by ``clouds.yaml`` and the ``OS_*`` variables, as openstacksdk reads them.

    :raises ExtensionError: the libraries are not installed: ``pip install 'xenimage[client]'``.
    :raises ConfigError: the configuration names no cloud that could be used.
    :raises TransferError: the cloud does not answer, or does not know the user.
    """
    return connection.connect(options)


def connect_region(region: Any, *, timeout: float = CloudOptions.timeout) -> Images:
    """The same by a configuration that openstacksdk has read already.

    :param region: an ``openstack.config.cloud_region.CloudRegion``.
    :param timeout: seconds that the cloud may be silent, unless the configuration says ``api_timeout``.
    :raises TransferError: as :func:`connect_cloud`.
    """
    return connection.connect_region(region, timeout)


def plan_image(
    options: ImageOptions, images: Images | None = None, *, limits: Limits = STRICT, progress: Progress = SILENT
) -> ImagePlan:
    """Decide everything about an image; nothing is stored. Of a disk no data is read but for its digest.

    :param images: the cloud, to look for images of the same source; None: nobody looks.
    :raises XenimageError: as :func:`plan_bundle`.
    """
    profile = profile_registry.get_profile(options.bundle.profile)
    with imaging.prepared(options, profile, images, _plan, limits, progress) as ready:
        return ready.plan


def create_image(
    options: ImageOptions, images: Images, *, limits: Limits = STRICT, progress: Progress = SILENT
) -> ImageReport:
    """Make a bundle of a disk while it is uploaded, or upload one; no file is written here.

    :raises NotReadyError: the plan has findings that are errors.
    :raises UsageError: an image of the same source and profile is there, and shall not be.
    :raises TransferError: the upload failed, or the cloud stored something else than was sent. The image is deleted.
    :raises XenimageError: as :func:`plan_image`.
    """
    profile = profile_registry.get_profile(options.bundle.profile)
    with imaging.prepared(options, profile, images, _plan, limits, progress) as ready:
        return imaging.make(ready, images, progress)


def show_image(image: str, images: Images, *, limits: Limits = STRICT) -> ImageFacts:
    """Tell what an image in a cloud holds, by its head.

    :param image: its id, or a name that only it has.
    :raises UsageError: there is no such image, or it has no data.
    :raises FormatError: it is damaged.
    :raises TransferError: the cloud failed, or said no.
    """
    return stored.look(images, image, limits)


def show_image_bundle(
    image: str, images: Images, *, limits: Limits = STRICT, progress: Progress = SILENT
) -> BundleFacts:
    """Tell what a bundle in a cloud holds, by all of it: see :func:`show_bundle`."""
    with stored.opened(images, image) as (_, source):
        return bundle_reader.open_bundle(source, limits, progress).facts()


def check_image(
    image: str,
    images: Images,
    *,
    profile: str = DEFAULT_PROFILE,
    inspect: bool = True,
    limits: Limits = STRICT,
    progress: Progress = SILENT,
) -> CheckReport:
    """Check a bundle that is in a cloud, the guest in it, and its record, against a consumer; all findings.

    :param inspect: whether the guest is looked at, if the bundle is sound itself.

    :raises FormatError: it is so damaged that nothing can be said of what it holds, or it is no bundle.
    :raises TransferError: the cloud failed, or what comes is not what it recorded.
    """
    return stored.check(images, image, profile_registry.get_profile(profile), limits, progress, inspect=inspect)


def judge_image(
    image: str,
    images: Images,
    *,
    profile: str = DEFAULT_PROFILE,
    wishes: Mapping[str, str] | None = None,
    fix: bool = False,
    limits: Limits = STRICT,
) -> RecordReport:
    """Hold the properties of an image in a cloud against a consumer, and mend them if that is wished.

    :param wishes: properties that shall have these values, whatever the profile says.
    :raises TransferError: the cloud failed, or does not let its record be changed.
    """
    return stored.judge_properties(images, image, profile_registry.get_profile(profile), wishes or {}, limits, fix=fix)


def save_image(
    options: ConvertOptions, images: Images, *, limits: Limits = STRICT, progress: Progress = SILENT
) -> SaveReport:
    """Take an image out of a cloud; converted and flattened as it comes down, if its bundle allows that.

    The output appears under its name when it is whole, and is what the cloud recorded, or not at all.

    :param options: the path of the source is the image's id, or a name that only it has; the format may also be
        ``stored``, which leaves it as it is.
    :raises UsageError: there is no such image, or the output cannot be written.
    :raises FormatError: it is damaged.
    :raises TransferError: the cloud failed, or what comes is not what it recorded.
    """
    if options.format != stored.STORED:
        conversion.check_wishes(options)
    converter.check_output(options)
    with stored.opened(images, options.source.path) as (record, source):
        if options.format == stored.STORED:
            return stored.copy(record, source, options, progress)
        return stored.saved(record, source, _convert_stored(options, source, limits, progress))


def _convert_stored(options: ConvertOptions, source: GlanceSource, limits: Limits, progress: Progress) -> ConvertReport:
    if bundle_reader.is_gzip(source):
        with contextlib.suppress(NotForwardError):
            forward = open_forward(source, limits)
            if forward.single or options.format == "raw":
                return _convert_passing(options, forward, limits, progress)
    disk = opener.open_stored(source, limits)
    return converter.convert(disk, _plan_conversion(options, disk, None, limits), progress, source.prove)


def profiles() -> Mapping[str, Profile]:
    """All profiles by name, in the order in which they are shown.

    :raises ExtensionError: an installed profile of somebody else cannot be loaded.
    """
    return profile_registry.all_profiles()


def profile(name: str) -> Profile:
    """Return the profile called *name*.

    :raises UsageError: nobody provides it.
    :raises ExtensionError: as for :func:`profiles`.
    """
    return profile_registry.get_profile(name)


def doctor(directory: str, problems: Sequence[Diagnosis] = ()) -> Sequence[Diagnosis]:
    """Look at what the work needs: interpreter, libraries, extensions, free space in *directory*.

    :param problems: what the caller knows already, to stand first: a configuration that does not parse.
    """
    return (*problems, *diagnosis.diagnose(directory))


def doctor_glance(host: GlanceHost) -> Sequence[Diagnosis]:
    """Look at what the import plugins need of a Glance service. To be run where that runs, by its user.

    :param host: as its configuration tells it (``xenimage.conf.host.read_host``).
    """
    return tuple(hosting.diagnose_host(host))


def kit_images() -> tuple[KitImage, ...]:
    """Tell what :func:`write_kit` writes, beside the manifest."""
    return kit.IMAGES


def write_kit(directory: str, *, force: bool = False) -> KitReport:
    """Write sample images into *directory*, and a manifest that lists them: good ones, and ones to be refused.

    :param force: whether files of an earlier kit are replaced.
    :raises UsageError: the directory cannot be made, or holds a file of that name.
    :raises TransferError: a file cannot be written.
    """
    return kit.write(directory, convert_disk, create_bundle, force=force)
