"""An image in a cloud, made while it is uploaded: planned, sent, proved, and if it fails nothing is left of it."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import time
from typing import TYPE_CHECKING

from xenimage.checks.bundle import judge
from xenimage.containers.bundle.check import check_bundle
from xenimage.containers.bundle.reader import open_bundle
from xenimage.engine.bundler import opened
from xenimage.engine.opener import open_source, stored_bundle
from xenimage.engine.packages import verify
from xenimage.engine.planner import guest_findings, require_ready
from xenimage.engine.provenance import image_name, package_digest, provenance, source_digest, source_format
from xenimage.engine.readiness import look
from xenimage.engine.runner import run
from xenimage.exceptions import TransferError, UsageError, XenimageError
from xenimage.model.image import (
    PROFILE,
    SOURCE_SHA256,
    Action,
    IfExists,
    ImagePlan,
    ImageReport,
)
from xenimage.model.plan import SizePolicy
from xenimage.model.report import BundleReport, Verdict
from xenimage.model.transfer import Receipt
from xenimage.profiles.properties import decide
from xenimage.sinks.glance import GlanceSink
from xenimage.sources.file import open_file
from xenimage.units import KIB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from xenimage.engine.layers import View
    from xenimage.engine.planner import Found
    from xenimage.limits import Limits
    from xenimage.model.check import Readiness
    from xenimage.model.image import ImageOptions, ImageRecord, Images
    from xenimage.model.plan import BundleOptions, Plan
    from xenimage.model.profile import Profile
    from xenimage.model.transfer import Progress

LOG = logging.getLogger(__name__)

DIGESTS = ("md5", "sha512")
"""what Glance takes of an image: its checksum, and its os_hash_value unless it is told otherwise"""
_PIECE = 512 * KIB
"""bytes that are read at once of a bundle that is stored as it is"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prepared:
    """An image that could be stored now."""

    plan: ImagePlan
    views: Sequence[View]
    """the layers of the bundle that is made on the way; none where one is stored as it is"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Sent:
    """What went to the cloud."""

    size: int
    digests: dict[str, str]
    bundle: BundleReport | None


@contextlib.contextmanager
def prepared(
    options: ImageOptions,
    profile: Profile,
    images: Images | None,
    make_plan: Callable[[BundleOptions, Sequence[View], Sequence[Found], Limits], Plan],
    limits: Limits,
    progress: Progress,
) -> Iterator[Prepared]:
    """Open the source and decide everything.

    :param images: the cloud, to look whether it has the image already; None: nobody looks.
    :param make_plan: decides about a bundle.
    :raises UsageError: the target takes no image from a cloud; or the user asks for a look at images of the same
        source, and the source cannot be told from another. Else as the opening of a source.
    """
    if profile.payload:
        raise UsageError(f"{profile.name} takes no image from a cloud", expected="another profile", tip=profile.payload)
    if as_it_is(options, limits):
        yield Prepared(plan=_plan_stored(options, profile, images, limits, progress), views=())
        return
    verify(options.bundle.source, limits, progress)
    with opened(options.bundle, limits) as (views, found):
        plan = make_plan(options.bundle, views, found, limits)
        sha256 = _digest(plan, limits, progress)
        verdict = judge(plan.findings)
        image_plan = ImagePlan(
            options=options,
            name=options.name or image_name(plan.options.source.path, plan.origin),
            plan=plan,
            check=None,
            disk_format=profile.disk_format,
            container_format=profile.container_format,
            min_disk=plan.min_disk,
            virtual_size=plan.virtual_size,
            source_sha256=sha256,
            properties=(
                *plan.properties,
                *provenance(sha256, source_format(plan.source.format, plan.origin), profile.name, verdict),
            ),
            existing=_existing(options, sha256, images),
            findings=plan.findings,
            guest=plan.guest,
        )
        yield Prepared(plan=image_plan, views=views)


def _digest(plan: Plan, limits: Limits, progress: Progress) -> str:
    source = plan.options.source
    if plan.origin is not None:
        return package_digest(source, plan.origin, limits, progress)
    return source_digest(source, [layer.source.stored_size for layer in plan.layers], progress)


def as_it_is(options: ImageOptions, limits: Limits) -> bool:
    """Whether the source is a bundle that is stored as it is.

    :raises UsageError: no such file.
    """
    wishes = options.bundle
    changed = (
        wishes.size is not None
        or wishes.size_policy is not SizePolicy.EXACT
        or wishes.chain
        or wishes.source.snapshot is not None
        or wishes.random_uuid
        or wishes.timestamp is not None
        or wishes.drop_free_space
    )
    return not options.rebuild and not changed and stored_bundle(wishes.source, limits)


def _plan_stored(
    options: ImageOptions, profile: Profile, images: Images | None, limits: Limits, progress: Progress
) -> ImagePlan:
    path = options.bundle.source.path
    with contextlib.closing(open_file(path)) as source:
        report = check_bundle(open_bundle(source, limits, progress), profile, limits, int(time.time()))
        size = source.size
    facts = report.facts
    assert facts is not None
    wanted = options.bundle.inspect and report.verdict is not Verdict.NOT_READY
    guest = _stored_guest(options.bundle, profile, limits) if wanted else None
    properties, findings = decide(profile, options.bundle, guest.suggestions if guest else ())
    findings = (*report.findings, *findings, *guest_findings(guest))
    sha256 = source_digest(options.bundle.source, [size], progress)
    return ImagePlan(
        options=options,
        name=options.name or image_name(path),
        plan=None,
        check=report,
        disk_format=profile.disk_format,
        container_format=profile.container_format,
        min_disk=facts.min_disk,
        virtual_size=facts.virtual_size,
        source_sha256=sha256,
        properties=(*properties, *provenance(sha256, "bundle", profile.name, judge(findings))),
        existing=_existing(options, sha256, images),
        findings=findings,
        guest=guest,
    )


def _stored_guest(options: BundleOptions, profile: Profile, limits: Limits) -> Readiness:
    """Look at the guest in a bundle."""
    with contextlib.closing(open_source(options.source, limits, scattered=True)) as disk:
        return look([disk], [options.source.path], profile, limits)


def _existing(options: ImageOptions, sha256: str, images: Images | None) -> tuple[ImageRecord, ...]:
    if options.if_exists is IfExists.CREATE or images is None:
        return ()
    if not sha256:
        raise UsageError(
            "consists of files that are not all named",
            expected="one file, or parents that --backing names, to know it again",
            where=options.bundle.source.path,
            tip="Leave out --if-exists.",
        )
    filters = {SOURCE_SHA256: sha256, PROFILE: options.bundle.profile, "status": "active"}
    if images.project:
        filters["owner"] = images.project
    # Held against the filters once more: a cloud that does not know one of them would list all images.
    return tuple(
        each
        for each in images.find(filters)
        if each.properties.get(SOURCE_SHA256) == sha256
        and each.properties.get(PROFILE) == options.bundle.profile
        and each.status == "active"
    )


def make(ready: Prepared, images: Images, progress: Progress) -> ImageReport:
    """Store the image, or leave it at one that is there.

    :raises NotReadyError: the plan has findings that are errors.
    :raises UsageError: an image of the same source is there, and shall not be.
    :raises TransferError: the upload failed, or the cloud stored something else; nothing is left of the image, unless
        that was wished.
    """
    started = time.monotonic()
    plan, options = ready.plan, ready.plan.options
    where = options.bundle.source.path
    require_ready(plan.findings, plan.guest, options.bundle, "an image")
    if plan.existing and options.if_exists is IfExists.FAIL:
        raise UsageError(
            f"is in the cloud already: image {plan.existing[0].id}",
            expected="none of the same source and profile",
            where=where,
            tip="Use --if-exists skip or replace.",
        )
    if plan.existing and options.if_exists is IfExists.SKIP:
        return _report(plan, plan.existing[0], Action.SKIPPED, None, started=started)
    for attempt in range(1, options.retries + 2):
        try:
            image, sent = _attempt(ready, images, progress)
            break
        except TransferError as error:
            if attempt > options.retries or not getattr(error, "transient", False):
                raise
            LOG.warning("%s; the upload begins anew", error)
    else:
        raise AssertionError("the last attempt ends the loop or raises")
    for each in plan.existing:
        try:
            images.delete(each.id)
        except XenimageError as error:
            raise error.within(f"image {image.id} is whole, but the one that it replaces is still there") from error
    action = Action.REPLACED if plan.existing else Action.CREATED
    return _report(plan, image, action, sent, attempts=attempt, started=started)


def _report(
    plan: ImagePlan, image: ImageRecord, action: Action, sent: _Sent | None, *, attempts: int = 0, started: float
) -> ImageReport:
    return ImageReport(
        plan=plan,
        image=image,
        action=action,
        bundle=sent.bundle if sent else None,
        sent=sent.size if sent else 0,
        md5=sent.digests["md5"] if sent else "",
        sha512=sent.digests["sha512"] if sent else "",
        replaced=tuple(each.id for each in plan.existing) if action is Action.REPLACED else (),
        attempts=attempts,
        seconds=time.monotonic() - started,
    )


def _attempt(ready: Prepared, images: Images, progress: Progress) -> tuple[ImageRecord, _Sent]:
    """Make a record, fill it, and compare what the cloud says of it; on any failure take it away."""
    options = ready.plan.options
    image = images.create(_record(ready.plan))
    LOG.info("image %s: %s", image.id, image.status)
    try:
        sent = _send(ready, image, images, progress)
        if options.staged:
            staged = images.get(image.id)
            if staged.size is not None and staged.size != sent.size:
                raise _differs(staged, "size", staged.size, sent.size)
            images.import_staged(
                image.id, functools.partial(LOG.info, "image %s: %s", image.id), options.import_timeout
            )
        stored = images.get(image.id)
        _compare(stored, sent)
        return stored, sent
    except BaseException as error:
        _clean_up(images, image.id, error, keep=options.keep_failed)
        raise


def _record(plan: ImagePlan) -> dict[str, object]:
    options = plan.options
    record: dict[str, object] = {each.name: each.value for each in plan.properties}
    record |= {
        "name": plan.name,
        "disk_format": plan.disk_format,
        "container_format": plan.container_format,
        "min_disk": plan.min_disk,
    }
    if options.visibility is not None:
        record["visibility"] = options.visibility
    if options.tags:
        record["tags"] = list(options.tags)
    return record


def _send(ready: Prepared, image: ImageRecord, images: Images, progress: Progress) -> _Sent:
    """Make the bundle, or read it, and send it meanwhile."""
    plan = ready.plan
    source = None if plan.plan else open_file(plan.options.bundle.source.path)
    size = source.size if source else None
    send = functools.partial(images.upload, image.id, size=size, stage=plan.options.staged)
    sink = GlanceSink(send, f"image {image.id}", DIGESTS)
    started = time.monotonic()
    try:
        bundle = None
        if plan.plan is not None:
            outcome = run(plan.plan, ready.views, sink, progress)
            receipt = Receipt(path=f"image {image.id}", size=sink.size, **sink.digests())
            bundle = BundleReport(
                plan=plan.plan,
                receipt=receipt,
                layers=outcome.layers,
                seconds=time.monotonic() - started,
                compressor=outcome.compressor,
                verified=False,
            )
        elif source is not None:
            progress.start("upload", source.size)
            for offset in range(0, source.size, _PIECE):
                piece = source.read(offset, min(_PIECE, source.size - offset))
                sink.write([piece])
                progress.advance(len(piece))
        sink.finish()
        return _Sent(size=sink.size, digests=sink.digests(), bundle=bundle)
    finally:
        progress.stop()
        sink.abandon()
        if source is not None:
            source.close()


def _compare(stored: ImageRecord, sent: _Sent) -> None:
    """Hold what the cloud says it has against what was sent."""
    if stored.status != "active":
        raise TransferError(
            f"the image is {stored.status}",
            expected="active",
            done=sent.size,
            where=f"image {stored.id}",
            tip="The log of glance-api says why.",
        )
    if stored.size != sent.size:
        raise _differs(stored, "size", stored.size, sent.size)
    if stored.checksum and stored.checksum != sent.digests["md5"]:
        raise _differs(stored, "md5", stored.checksum, sent.digests["md5"])
    wanted = sent.digests.get(stored.hash_algorithm)
    if wanted and stored.hash_value and stored.hash_value != wanted:
        raise _differs(stored, stored.hash_algorithm, stored.hash_value, wanted)


def _differs(stored: ImageRecord, what: str, there: object, sent: object) -> TransferError:
    return TransferError(
        f"the cloud stored something else: its {what} is {there}",
        expected=f"{sent}, as it was sent",
        where=f"image {stored.id}",
        tip="Run it again. If it stays so, something between here and the store changes what passes.",
    )


def _clean_up(images: Images, image_id: str, error: BaseException, *, keep: bool) -> None:
    """Take the failed image away, and say where that was not possible. Never hides *error*."""
    note = f"The failed image {image_id} is still there (--keep-failed)."
    if not keep:
        try:
            images.delete(image_id)
            LOG.info("image %s is deleted", image_id)
            return
        except XenimageError as second:
            LOG.debug("image %s cannot be deleted: %s", image_id, second)
            note = f"The failed image could not be deleted: openstack image delete {image_id}"
    LOG.warning("%s", note)
    if isinstance(error, XenimageError):
        error.tip = f"{error.tip} {note}".strip()
