"""Images in a cloud: made, shown, checked, saved."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from xenimage.api.common import DEFAULT_PROFILE, SILENT, bundle_plan, conversion_plan, convert_passing
from xenimage.cloud import connection
from xenimage.containers.bundle import reader as bundle_reader
from xenimage.containers.bundle.forward import NotForwardError, open_forward
from xenimage.engine import conversion, converter, imaging, opener, stored
from xenimage.limits import STRICT
from xenimage.model.image import CloudOptions
from xenimage.profiles import registry as profile_registry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from xenimage.limits import Limits
    from xenimage.model.image import ImageFacts, ImageOptions, ImagePlan, ImageReport, Images, RecordReport, SaveReport
    from xenimage.model.plan import ConvertOptions
    from xenimage.model.report import BundleFacts, CheckReport, ConvertReport
    from xenimage.model.transfer import Progress
    from xenimage.sources.glance import GlanceSource


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
    with imaging.prepared(options, profile, images, bundle_plan, limits, progress) as ready:
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
    with imaging.prepared(options, profile, images, bundle_plan, limits, progress) as ready:
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
                return convert_passing(options, forward, limits, progress)
    disk = opener.open_stored(source, limits)
    return converter.convert(disk, conversion_plan(options, disk, None, limits), progress, source.prove)
